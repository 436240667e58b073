//! Tenants that are no tombstones, for readers that hold few of them at a time.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use sqlx::{PgConnection, Row as _, types::Json};
use streamspace_core::{ids::TenantUid, tenant::TenantState};
use uuid::Uuid;

use super::{TenantRecord, row::select_tenants};
use crate::{
    db::DbError,
    plans,
    tenants::view::{Labels, View},
};

/// Shows all in scope as filters and orders see them, by name. One row at a time: what is
/// held is what `see` keeps.
pub async fn view_live(
    connection: &mut PgConnection,
    mut see: impl FnMut(TenantUid, &View<'_>) + Send,
) -> Result<(), DbError> {
    let mut rows = sqlx::query(
        "SELECT tenant_uid, tenant_id, display_name, plan_id, seats, state, billing_account, \
         protected, labels, create_time \
         FROM tenants WHERE state <> 'gone' ORDER BY tenant_id COLLATE \"C\"",
    )
    .fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let text = |column: &str| row.try_get::<&str, _>(column);
        let Json(labels) = row.try_get::<Json<BTreeMap<String, String>>, _>("labels")?;
        let create_time: jiff_sqlx::Timestamp = row.try_get("create_time")?;
        let view = View {
            id: text("tenant_id")?,
            display_name: text("display_name")?,
            plan: text("plan_id")?,
            seats: row.try_get("seats")?,
            state: TenantState::parse(text("state")?),
            billing_account: text("billing_account")?,
            protected: row.try_get("protected")?,
            labels: Labels::Sorted(&labels),
            create_time: Some(create_time.to_jiff()),
        };
        see(TenantUid(row.try_get("tenant_uid")?), &view);
    }
    Ok(())
}

/// Those of these that are in scope, in this order.
pub async fn live_by_uid(
    connection: &mut PgConnection,
    uids: &[TenantUid],
) -> Result<Vec<TenantRecord>, DbError> {
    let wanted: Vec<Uuid> = uids.iter().map(|uid| uid.0).collect();
    let statement = select_tenants!(
        "JOIN UNNEST($1::uuid[]) WITH ORDINALITY AS wanted (tenant_uid, place) \
           ON wanted.tenant_uid = t.tenant_uid \
         WHERE t.state <> 'gone' ORDER BY wanted.place"
    );
    let rows = sqlx::query(statement).bind(wanted).fetch_all(connection).await?;
    let mut plans = plans::Joined::default();
    let tenants = rows.iter().map(|row| TenantRecord::read(row, &mut plans));
    Ok(tenants.collect::<Result<_, sqlx::Error>>()?)
}
