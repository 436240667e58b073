//! What is taken now, from the sessions as the watch of the cluster showed them last.
//!
//! What a session takes is its own word, and those of a tenant may add up to more than 64
//! bits: such a sum is shown as the largest number.

use sqlx::{FromRow, PgConnection};
use streamspace_core::{
    ids::TenantUid,
    usage::{Second, Watermark},
};
use streamspace_proto::v1;
use uuid::Uuid;

use super::{
    input::Live,
    store::{self, Hold},
};
use crate::db::DbError;

/// How a sum of what was written by anybody becomes a number of 64 bits.
macro_rules! bounded_sum {
    ($column:literal) => {
        concat!("least(coalesce(sum(", $column, "), 0), 9223372036854775807)::bigint")
    };
    ($column:literal, $filter:literal) => {
        concat!(
            "least(coalesce(sum(",
            $column,
            ") FILTER (WHERE ",
            $filter,
            "), 0), 9223372036854775807)::bigint"
        )
    };
}

/// What one tenant takes now, or all together.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
struct Taken {
    tenant_id: String,
    running: i64,
    total: i64,
    cpu: i64,
    memory: i64,
}

impl Taken {
    fn to_proto(&self) -> v1::LiveUsage {
        let tenant = match self.tenant_id.as_str() {
            "" => String::new(),
            id => format!("tenants/{id}"),
        };
        v1::LiveUsage {
            tenant,
            running_sessions: self.running,
            total_sessions: self.total,
            cpu_millicores: self.cpu,
            memory_bytes: self.memory,
        }
    }
}

macro_rules! taken {
    () => {
        concat!(
            "count(*) FILTER (WHERE phase = 'Running' AND NOT deleting) AS running, count(*) AS total, ",
            bounded_sum!("cpu", "phase = 'Running' AND NOT deleting"), " AS cpu, ",
            bounded_sum!("memory", "phase = 'Running' AND NOT deleting"), " AS memory"
        )
    };
}

/// The tenants that take most, and what all take together. A tenant without a session
/// takes nothing and has no row.
pub(super) async fn list(
    tx: &mut PgConnection,
    tenants: Option<Vec<Uuid>>,
    wish: &Live,
) -> Result<(Vec<v1::LiveUsage>, v1::LiveUsage), DbError> {
    let rows: Vec<Taken> = sqlx::query_as(concat!(
        "SELECT tenant_id, ",
        taken!(),
        " FROM sessions JOIN tenants USING (tenant_uid) \
         WHERE $1::uuid[] IS NULL OR tenant_uid = ANY ($1) \
         GROUP BY tenant_uid, tenant_id \
         ORDER BY CASE $2 WHEN 'memory' THEN ",
        bounded_sum!("memory", "phase = 'Running' AND NOT deleting"),
        " WHEN 'sessions' THEN count(*) FILTER (WHERE phase = 'Running' AND NOT deleting) ELSE ",
        bounded_sum!("cpu", "phase = 'Running' AND NOT deleting"),
        " END DESC, tenant_id LIMIT $3"
    ))
    .bind(&tenants)
    .bind(wish.order.as_str())
    .bind(wish.size)
    .fetch_all(&mut *tx)
    .await?;
    let total = all(tx, tenants).await?;
    Ok((rows.iter().map(Taken::to_proto).collect(), total.to_proto()))
}

async fn all(tx: &mut PgConnection, tenants: Option<Vec<Uuid>>) -> Result<Taken, DbError> {
    let total = sqlx::query_as(concat!(
        "SELECT '' AS tenant_id, ",
        taken!(),
        " FROM sessions WHERE $1::uuid[] IS NULL OR tenant_uid = ANY ($1)"
    ));
    Ok(total.bind(tenants).fetch_one(tx).await?)
}

#[derive(FromRow)]
struct OnNode {
    node: String,
    tenant_id: String,
    sessions: i64,
    cpu: i64,
    memory: i64,
}

/// Who has sessions on the nodes of a tenant's, by node and name; the tenant is among them.
pub(super) async fn neighbours(
    tx: &mut PgConnection,
    tenant: Uuid,
) -> Result<Vec<v1::Neighbour>, DbError> {
    let rows: Vec<OnNode> = sqlx::query_as(concat!(
        "SELECT node, tenant_id, count(*) AS sessions, ",
        bounded_sum!("cpu"),
        " AS cpu, ",
        bounded_sum!("memory"),
        " AS memory \
         FROM sessions JOIN tenants USING (tenant_uid) \
         WHERE node IN (SELECT node FROM sessions WHERE tenant_uid = $1 AND node <> '') \
         GROUP BY node, tenant_uid, tenant_id \
         ORDER BY node, tenant_id"
    ))
    .bind(tenant)
    .fetch_all(tx)
    .await?;
    let shown = |row: OnNode| v1::Neighbour {
        node: row.node,
        tenant: format!("tenants/{}", row.tenant_id),
        sessions: row.sessions,
        cpu_millicores: row.cpu,
        memory_bytes: row.memory,
    };
    Ok(rows.into_iter().map(shown).collect())
}

/// What one user holds: sessions that run or may start.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Holding {
    /// The user.
    pub user_name: String,
    /// How many sessions.
    pub sessions: i64,
    /// The memory that they request, in bytes.
    pub memory: i64,
}

/// The users of a tenant who hold most, at most `limit`.
pub async fn holdings(
    tx: &mut PgConnection,
    tenant: TenantUid,
    limit: i64,
) -> Result<Vec<Holding>, DbError> {
    let query = sqlx::query_as(concat!(
        "SELECT user_name, count(*) AS sessions, ",
        bounded_sum!("memory"),
        " AS memory FROM sessions \
         WHERE tenant_uid = $1 AND state = 'running' AND NOT deleting \
         GROUP BY user_name ORDER BY 2 DESC, 3 DESC, 1 LIMIT $2"
    ));
    Ok(query.bind(tenant.0).bind(limit).fetch_all(tx).await?)
}

/// What a tenant used in one hour that is closed and added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourOfTenant {
    /// Its first second.
    pub start: Second,
    /// Requested CPU, in millicore-seconds.
    pub cpu: i128,
    /// Requested memory, in byte-seconds.
    pub memory: i128,
    /// Homes, in byte-seconds.
    pub storage: i128,
}

/// The last hours of a tenant of which all is closed and added up, at most `most`. One in
/// which nothing was used is among them; one that waits to be added up is not.
pub async fn last_hours(
    tx: &mut PgConnection,
    tenant: TenantUid,
    most: i64,
) -> Result<Vec<HourOfTenant>, DbError> {
    const HOUR: i64 = 3_600;
    let Some(Watermark { begins, closed_through, .. }) =
        store::watermark(tx, Hold::Nothing).await?
    else {
        return Ok(Vec::new());
    };
    let end = closed_through.0.div_euclid(HOUR);
    let first = (end.saturating_sub(most)).max(begins.0.saturating_add(HOUR - 1).div_euclid(HOUR));
    let rows: Vec<(i64, String, String, String)> = sqlx::query_as(
        "SELECT hour * 3600, coalesce(sum(cpu_millicore_seconds), 0)::text, \
                coalesce(sum(memory_byte_seconds), 0)::text, coalesce(sum(storage_byte_seconds), 0)::text \
         FROM generate_series($2::bigint, $3::bigint - 1) AS hours (hour) \
         LEFT JOIN usage_hours AS used \
                ON used.tenant_uid = $1 AND used.hour_time = to_timestamp(hour * 3600) \
         WHERE NOT EXISTS (SELECT FROM usage_dirty AS dirty \
                           WHERE dirty.tenant_uid = $1 AND dirty.hour_time = to_timestamp(hour * 3600)) \
         GROUP BY hour ORDER BY hour",
    )
    .bind(tenant.0)
    .bind(first)
    .bind(end)
    .fetch_all(tx)
    .await?;
    let hour = |(start, cpu, memory, storage): (i64, String, String, String)| {
        Some(HourOfTenant {
            start: Second(start),
            cpu: cpu.parse().ok()?,
            memory: memory.parse().ok()?,
            storage: storage.parse().ok()?,
        })
    };
    // What is no number of 128 bits is not known.
    Ok(rows.into_iter().filter_map(hour).collect())
}
