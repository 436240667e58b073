//! Sessions and templates in the database: what the watch of the cluster showed last.
//! Every function runs in the caller's transaction, whose login and scope decide what it
//! sees. Only the projection writes here.

use prost::Message as _;
use sqlx::{FromRow, PgConnection, Row as _, postgres::PgRow};
use streamspace_core::{
    admission::Place,
    ids::TenantUid,
    quantity::{Bytes, Millicores},
    session::{SessionPhase, SessionState, SessionUid},
};
use streamspace_proto::v1;
use uuid::Uuid;

use super::record::SessionRecord;
use crate::db::DbError;

pub(super) mod templates;
#[cfg(test)]
mod tests;
mod views;
mod write;

pub use templates::{template, templates_of};
pub use views::{SessionKey, resources, view_all};
pub(super) use write::{Told, delete, record_changes, upsert};

impl FromRow<'_, PgRow> for SessionRecord {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let word = |column: &str| row.try_get::<String, _>(column);
        let time = |time: jiff_sqlx::Timestamp| time.to_jiff();
        let last_activity = row.try_get::<Option<jiff_sqlx::Timestamp>, _>("last_activity")?;
        let resource: Vec<u8> = row.try_get("resource")?;
        let pods: i64 = row.try_get("pods")?;
        Ok(Self {
            tenant: TenantUid(row.try_get("tenant_uid")?),
            name: row.try_get("name")?,
            uid: SessionUid(row.try_get("session_uid")?),
            resource_version: row.try_get("resource_version")?,
            generation: row.try_get("generation")?,
            user: row.try_get("user_name")?,
            template: row.try_get("template")?,
            state: stored(SessionState::parse(&word("state")?).ok_or("unknown state"))?,
            phase: stored(SessionPhase::parse(&word("phase")?).ok_or("unknown phase"))?,
            deleting: row.try_get("deleting")?,
            place: Place {
                // What takes no pod is no session that could run.
                sessions: i64::from(pods > 0),
                pods,
                cpu: Millicores(row.try_get("cpu")?),
                cpu_limit: Millicores(row.try_get("cpu_limit")?),
                memory: Bytes(row.try_get("memory")?),
                memory_limit: Bytes(row.try_get("memory_limit")?),
            },
            node: row.try_get("node")?,
            last_activity: last_activity.map(time),
            create_time: time(row.try_get("create_time")?),
            resource: stored(v1::Session::decode(resource.as_slice()))?,
        })
    }
}

/// A stored value that no longer parses is a fault of the database, not of a request.
fn stored<T, E: std::fmt::Display>(parsed: Result<T, E>) -> Result<T, sqlx::Error> {
    parsed.map_err(|error| sqlx::Error::Decode(error.to_string().into()))
}

/// `SELECT` over sessions with the given rest of the statement.
macro_rules! select_sessions {
    ($rest:literal) => {
        concat!(
            "SELECT s.tenant_uid, s.name, s.session_uid, s.resource_version, s.generation, \
             s.user_name, s.template, s.state, s.phase, s.deleting, s.pods, s.cpu, s.cpu_limit, \
             s.memory, s.memory_limit, s.node, s.last_activity, s.create_time, s.resource \
             FROM sessions AS s ",
            $rest
        )
    };
}

/// A tenant's session of a name.
pub async fn by_name(
    tx: &mut PgConnection,
    tenant: TenantUid,
    name: &str,
) -> Result<Option<SessionRecord>, DbError> {
    let statement = select_sessions!("WHERE s.tenant_uid = $1 AND s.name = $2");
    Ok(sqlx::query_as(statement).bind(tenant.0).bind(name).fetch_optional(tx).await?)
}

/// A tenant's sessions, by name.
pub async fn of_tenant(
    tx: &mut PgConnection,
    tenant: TenantUid,
) -> Result<Vec<SessionRecord>, DbError> {
    let statement = select_sessions!("WHERE s.tenant_uid = $1 ORDER BY s.name");
    Ok(sqlx::query_as(statement).bind(tenant.0).fetch_all(tx).await?)
}

/// At most `limit` sessions in scope after the given one, in the order of their resource
/// names; of one tenant where it is given.
pub async fn page(
    tx: &mut PgConnection,
    tenant: Option<TenantUid>,
    after: Option<(TenantUid, String)>,
    limit: i64,
) -> Result<Vec<SessionRecord>, DbError> {
    let statement = match (tenant.is_some(), after.is_some()) {
        (true, _) => select_sessions!(
            "WHERE s.tenant_uid = $1 AND ($2::uuid IS NULL OR s.name > $3) ORDER BY s.name LIMIT $4"
        ),
        (false, false) => select_sessions!(
            "JOIN tenants AS t ON t.tenant_uid = s.tenant_uid \
             WHERE $1::uuid IS NULL AND $2::uuid IS NULL AND $3::text = '' \
             ORDER BY t.tenant_id, t.tenant_uid, s.name LIMIT $4"
        ),
        // The name of a tenant stays, so the place of one that is gone meanwhile is known.
        (false, true) => select_sessions!(
            "JOIN tenants AS t ON t.tenant_uid = s.tenant_uid \
             WHERE $1::uuid IS NULL AND t.tenant_id >= (SELECT tenant_id FROM tenants WHERE tenant_uid = $2) \
               AND (t.tenant_id, t.tenant_uid, s.name) > \
                   ((SELECT tenant_id FROM tenants WHERE tenant_uid = $2), $2, $3) \
             ORDER BY t.tenant_id, t.tenant_uid, s.name LIMIT $4"
        ),
    };
    let (uid, name) = match after {
        Some((tenant, name)) => (Some(tenant.0), name),
        None => (None, String::new()),
    };
    Ok(sqlx::query_as(statement)
        .bind(tenant.map(|tenant| tenant.0))
        .bind(uid)
        .bind(name)
        .bind(limit)
        .fetch_all(tx)
        .await?)
}

/// The rows of these names, held until the transaction ends.
pub(super) async fn lock(
    tx: &mut PgConnection,
    tenants: &[Uuid],
    names: &[&str],
) -> Result<Vec<SessionRecord>, DbError> {
    let statement = select_sessions!(
        "JOIN UNNEST($1::uuid[], $2::text[]) AS wanted (tenant_uid, name) \
           ON wanted.tenant_uid = s.tenant_uid AND wanted.name = s.name \
         ORDER BY s.tenant_uid, s.name FOR UPDATE OF s"
    );
    Ok(sqlx::query_as(statement).bind(tenants).bind(names).fetch_all(tx).await?)
}

/// At most `limit` rows whose objects are not among `listed`, held until the transaction
/// ends.
pub(super) async fn lock_unlisted(
    tx: &mut PgConnection,
    listed: &[Uuid],
    limit: i64,
) -> Result<Vec<SessionRecord>, DbError> {
    let statement = select_sessions!(
        "WHERE NOT EXISTS (SELECT FROM UNNEST($1::uuid[]) AS listed (uid) WHERE listed.uid = s.session_uid) \
         ORDER BY s.tenant_uid, s.name LIMIT $2 FOR UPDATE OF s"
    );
    Ok(sqlx::query_as(statement).bind(listed).bind(limit).fetch_all(tx).await?)
}

/// How many sessions there are in scope.
pub async fn count(tx: &mut PgConnection) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM sessions").fetch_one(tx).await?)
}
