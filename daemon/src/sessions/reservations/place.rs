//! What a session takes, by the templates that the watch has shown.

use prost::Message as _;
use sqlx::PgConnection;
use streamspace_core::{
    admission::Place,
    ids::TenantUid,
    quantity::{self, Bytes, Millicores, Unit},
    session::{Amounts, Resources, Wish, resolve},
};
use streamspace_proto::v1;

use crate::db::DbError;

/// What a session of this wish takes. A template that is not known, or not valid, says
/// nothing: such a session does not start, and takes what the defaults are.
pub(super) async fn of(
    connection: &mut PgConnection,
    tenant: TenantUid,
    wish: &Wish,
) -> Result<Place, DbError> {
    let says_all = wish.resources.limits.cpu.is_some() && wish.resources.limits.memory.is_some();
    let template = if says_all { None } else { template(connection, tenant, wish).await? };
    let allotment = resolve(&wish.resources, template.as_ref(), &Resources::default());
    Ok(Place::of(wish, &allotment))
}

/// What the template says: the tenant's own, else the catalogue's.
async fn template(
    connection: &mut PgConnection,
    tenant: TenantUid,
    wish: &Wish,
) -> Result<Option<Amounts>, DbError> {
    let resource: Option<Vec<u8>> = sqlx::query_scalar(
        "SELECT resource FROM templates WHERE tenant_uid = $1 AND name = $2 \
         UNION ALL \
         SELECT resource FROM catalogue_templates WHERE name = $2 \
           AND NOT EXISTS (SELECT FROM templates WHERE tenant_uid = $1 AND name = $2)",
    )
    .bind(tenant.0)
    .bind(wish.template.as_str())
    .fetch_optional(connection)
    .await?;
    let template = resource.and_then(|resource| v1::Template::decode(&*resource).ok());
    Ok(template.filter(|template| template.valid).map(|template| defaults(&template)))
}

fn defaults(template: &v1::Template) -> Amounts {
    let read = |unit, value: &str| quantity::observed(unit, value).ok().filter(|it| *it > 0);
    Amounts {
        cpu: read(Unit::Millicores, &template.cpu).map(Millicores),
        memory: read(Unit::Bytes, &template.memory).map(Bytes),
    }
}
