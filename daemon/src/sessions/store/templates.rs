//! Templates in the database: those of tenants, and of the catalogue.

use prost::Message as _;
use sqlx::PgConnection;
use streamspace_core::ids::TenantUid;
use streamspace_proto::v1;
use uuid::Uuid;

use super::stored;
use crate::db::DbError;

/// A template as the watch showed it last.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::sessions) struct TemplateRecord {
    /// Whose it is; `None` for one of the catalogue.
    pub(in crate::sessions) tenant: Option<TenantUid>,
    /// The name of its object.
    pub(in crate::sessions) name: String,
    /// The UID of its object.
    pub(in crate::sessions) uid: Uuid,
    /// The state of the cluster that showed it.
    pub(in crate::sessions) resource_version: i64,
    /// As the contract shows it.
    pub(in crate::sessions) resource: v1::Template,
}

/// The templates of a tenant, or of the catalogue, by name.
pub async fn templates_of(
    tx: &mut PgConnection,
    tenant: Option<TenantUid>,
) -> Result<Vec<v1::Template>, DbError> {
    let rows: Vec<Vec<u8>> = match tenant {
        Some(tenant) => {
            sqlx::query_scalar("SELECT resource FROM templates WHERE tenant_uid = $1 ORDER BY name")
                .bind(tenant.0)
                .fetch_all(tx)
                .await?
        }
        None => {
            sqlx::query_scalar("SELECT resource FROM catalogue_templates ORDER BY name")
                .fetch_all(tx)
                .await?
        }
    };
    rows.iter().map(|row| decoded(row)).collect()
}

/// A tenant's own template of a name, or the catalogue's.
pub async fn template(
    tx: &mut PgConnection,
    tenant: Option<TenantUid>,
    name: &str,
) -> Result<Option<v1::Template>, DbError> {
    let row: Option<Vec<u8>> = match tenant {
        Some(tenant) => {
            sqlx::query_scalar("SELECT resource FROM templates WHERE tenant_uid = $1 AND name = $2")
                .bind(tenant.0)
                .bind(name)
                .fetch_optional(tx)
                .await?
        }
        None => {
            sqlx::query_scalar("SELECT resource FROM catalogue_templates WHERE name = $1")
                .bind(name)
                .fetch_optional(tx)
                .await?
        }
    };
    row.map(|row| decoded(&row)).transpose()
}

fn decoded(row: &[u8]) -> Result<v1::Template, DbError> {
    Ok(stored(v1::Template::decode(row))?)
}

/// Writes templates, in the place of those of the same name. No name stands there twice.
pub(in crate::sessions) async fn upsert(
    tx: &mut PgConnection,
    records: &[TemplateRecord],
) -> Result<(), DbError> {
    let (own, catalogue): (Vec<_>, Vec<_>) = records.iter().partition(|it| it.tenant.is_some());
    let columns = |records: &[&TemplateRecord]| {
        let all = || records.iter().copied();
        (
            all().map(|it| it.name.clone()).collect::<Vec<_>>(),
            all().map(|it| it.uid).collect::<Vec<_>>(),
            all().map(|it| it.resource_version).collect::<Vec<_>>(),
            all().map(|it| it.resource.encode_to_vec()).collect::<Vec<_>>(),
        )
    };
    let (names, uids, versions, resources) = columns(&own);
    sqlx::query(
        "INSERT INTO templates (tenant_uid, name, template_uid, resource_version, resource) \
         SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::bytea[]) \
         ON CONFLICT (tenant_uid, name) DO UPDATE SET template_uid = excluded.template_uid, \
             resource_version = excluded.resource_version, resource = excluded.resource",
    )
    .bind(own.iter().filter_map(|it| Some(it.tenant?.0)).collect::<Vec<_>>())
    .bind(names)
    .bind(uids)
    .bind(versions)
    .bind(resources)
    .execute(&mut *tx)
    .await?;
    let (names, uids, versions, resources) = columns(&catalogue);
    sqlx::query(
        "INSERT INTO catalogue_templates (name, template_uid, resource_version, resource) \
         SELECT * FROM UNNEST($1::text[], $2::uuid[], $3::bigint[], $4::bytea[]) \
         ON CONFLICT (name) DO UPDATE SET template_uid = excluded.template_uid, \
             resource_version = excluded.resource_version, resource = excluded.resource",
    )
    .bind(names)
    .bind(uids)
    .bind(versions)
    .bind(resources)
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes the templates of these objects.
pub(in crate::sessions) async fn delete(
    tx: &mut PgConnection,
    uids: &[Uuid],
) -> Result<(), DbError> {
    sqlx::query(
        "WITH own AS (DELETE FROM templates WHERE template_uid = ANY ($1)) \
         DELETE FROM catalogue_templates WHERE template_uid = ANY ($1)",
    )
    .bind(uids)
    .execute(tx)
    .await?;
    Ok(())
}

/// Removes all templates whose objects are not among these.
pub(in crate::sessions) async fn keep_only(
    tx: &mut PgConnection,
    uids: &[Uuid],
) -> Result<(), DbError> {
    sqlx::query(
        "WITH listed AS MATERIALIZED (SELECT uid FROM UNNEST($1::uuid[]) AS listed (uid)), \
              own AS (DELETE FROM templates AS t WHERE NOT EXISTS \
                      (SELECT FROM listed WHERE listed.uid = t.template_uid)) \
         DELETE FROM catalogue_templates AS t \
         WHERE NOT EXISTS (SELECT FROM listed WHERE listed.uid = t.template_uid)",
    )
    .bind(uids)
    .execute(tx)
    .await?;
    Ok(())
}
