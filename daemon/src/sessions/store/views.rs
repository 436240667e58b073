//! Sessions for readers that hold few of them at a time.

use futures::TryStreamExt as _;
use jiff::Timestamp;
use prost::Message as _;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use streamspace_core::{
    ids::TenantUid,
    session::{SessionPhase, SessionState},
};
use streamspace_proto::v1;
use uuid::Uuid;

use super::stored;
use crate::{db::DbError, sessions::view::View};

/// What tells the sessions of a region apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionKey {
    tenant: TenantUid,
    name: Box<str>,
}

impl SessionKey {
    /// The key of a session of this tenant.
    pub fn of(tenant: TenantUid, view: &View<'_>) -> Self {
        Self { tenant, name: view.name.into() }
    }
}

/// Shows all in scope as filters and orders see them at `now`, with whose they are, in the
/// order of their tenants' names and their own. One row at a time: what is held is what
/// `see` keeps.
pub async fn view_all(
    tx: &mut PgConnection,
    now: Timestamp,
    mut see: impl FnMut(TenantUid, &View<'_>) + Send,
) -> Result<(), DbError> {
    let mut rows = sqlx::query(
        "SELECT s.tenant_uid, t.tenant_id, s.name, s.user_name, s.template, s.state, s.phase, \
         s.node, s.deleting, s.create_time, s.last_activity \
         FROM sessions AS s JOIN tenants AS t ON t.tenant_uid = s.tenant_uid \
         ORDER BY t.tenant_id COLLATE \"C\", t.tenant_uid, s.name COLLATE \"C\"",
    )
    .fetch(tx);
    while let Some(row) = rows.try_next().await? {
        let text = |column: &str| row.try_get::<&str, _>(column);
        let create_time: jiff_sqlx::Timestamp = row.try_get("create_time")?;
        let last_activity: Option<jiff_sqlx::Timestamp> = row.try_get("last_activity")?;
        let view = View {
            tenant: text("tenant_id")?,
            name: text("name")?,
            user: text("user_name")?,
            template: text("template")?,
            state: stored(SessionState::parse(text("state")?).ok_or("unknown state"))?,
            phase: stored(SessionPhase::parse(text("phase")?).ok_or("unknown phase"))?,
            node: text("node")?,
            deleting: row.try_get("deleting")?,
            create_time: Some(create_time.to_jiff()),
            last_activity: last_activity.map(jiff_sqlx::Timestamp::to_jiff),
            now,
        };
        see(TenantUid(row.try_get("tenant_uid")?), &view);
    }
    Ok(())
}

/// Those of these that are in scope, in this order, as the contract shows them.
pub async fn resources(
    tx: &mut PgConnection,
    keys: &[SessionKey],
) -> Result<Vec<v1::Session>, DbError> {
    let tenants: Vec<Uuid> = keys.iter().map(|key| key.tenant.0).collect();
    let names: Vec<&str> = keys.iter().map(|key| &*key.name).collect();
    let rows = sqlx::query(
        "SELECT s.resource \
         FROM UNNEST($1::uuid[], $2::text[]) WITH ORDINALITY AS wanted (tenant_uid, name, place) \
         JOIN sessions AS s ON s.tenant_uid = wanted.tenant_uid AND s.name = wanted.name \
         ORDER BY wanted.place",
    )
    .bind(tenants)
    .bind(names)
    .fetch_all(tx)
    .await?;
    let read = |row: &PgRow| stored(v1::Session::decode(row.try_get::<&[u8], _>(0)?));
    Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
}
