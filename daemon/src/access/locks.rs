//! Locked people, as rows.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::{FromRow, PgConnection, PgPool, Row, postgres::PgRow};
use streamspace_proto::v1;

use super::status::KnownLock;
use crate::{db::DbError, rpc::time::timestamp};

/// The lock of a person as the database holds it.
#[derive(Clone, Debug)]
pub(super) struct LockRecord {
    pub(super) operator: String,
    pub(super) reason: String,
    pub(super) expire_time: Option<Timestamp>,
    pub(super) actor: String,
    pub(super) lock_time: Timestamp,
}

impl FromRow<'_, PgRow> for LockRecord {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let end: Option<jiff_sqlx::Timestamp> = row.try_get("expire_time")?;
        Ok(Self {
            operator: row.try_get("operator")?,
            reason: row.try_get("reason")?,
            actor: row.try_get("actor")?,
            lock_time: row.try_get::<jiff_sqlx::Timestamp, _>("lock_time")?.to_jiff(),
            expire_time: end.map(jiff_sqlx::Timestamp::to_jiff),
        })
    }
}

impl LockRecord {
    pub(super) fn to_proto(&self) -> v1::OperatorLock {
        v1::OperatorLock {
            name: format!("operators/{}", self.operator),
            reason: self.reason.clone(),
            actor: self.actor.clone(),
            lock_time: timestamp(self.lock_time),
            expire_time: self.expire_time.and_then(timestamp),
        }
    }
}

/// Locks a person, or locks them anew for another reason or time. `seconds` is after how
/// long it ends by itself.
pub(super) async fn lock(
    tx: &mut PgConnection,
    operator: &str,
    reason: &str,
    actor: &str,
    seconds: Option<i64>,
) -> Result<LockRecord, DbError> {
    let query = sqlx::query_as(
        "INSERT INTO operator_locks (operator, reason, actor, lock_time, expire_time)
         VALUES ($1, $2, $3, now(), now() + $4 * interval '1 second')
         ON CONFLICT (operator) DO UPDATE
         SET reason = excluded.reason, actor = excluded.actor, lock_time = excluded.lock_time,
             expire_time = excluded.expire_time
         RETURNING operator, reason, actor, lock_time, expire_time",
    );
    Ok(query.bind(operator).bind(reason).bind(actor).bind(seconds).fetch_one(tx).await?)
}

/// Ends the lock of a person. `None` where there is none in force.
pub(super) async fn unlock(
    tx: &mut PgConnection,
    operator: &str,
) -> Result<Option<LockRecord>, DbError> {
    let query = sqlx::query_as(
        "DELETE FROM operator_locks
         WHERE operator = $1 AND (expire_time IS NULL OR expire_time > now())
         RETURNING operator, reason, actor, lock_time, expire_time",
    );
    Ok(query.bind(operator).fetch_optional(tx).await?)
}

/// Locks whose time is over, and their rows locked: nobody sets them anew meanwhile.
pub(super) async fn over(tx: &mut PgConnection) -> Result<Vec<LockRecord>, DbError> {
    let query = sqlx::query_as(
        "SELECT operator, reason, actor, lock_time, expire_time FROM operator_locks
         WHERE expire_time <= clock_timestamp() ORDER BY operator LIMIT 100 FOR UPDATE",
    );
    Ok(query.fetch_all(tx).await?)
}

/// Takes the lock of a person away.
pub(super) async fn delete(tx: &mut PgConnection, operator: &str) -> Result<(), DbError> {
    sqlx::query("DELETE FROM operator_locks WHERE operator = $1")
        .bind(operator)
        .execute(tx)
        .await?;
    Ok(())
}

/// The lock of a person that is in force.
pub(super) async fn of(
    tx: &mut PgConnection,
    operator: &str,
) -> Result<Option<LockRecord>, DbError> {
    let query = sqlx::query_as(
        "SELECT operator, reason, actor, lock_time, expire_time FROM operator_locks
         WHERE operator = $1 AND (expire_time IS NULL OR expire_time > now())",
    );
    Ok(query.bind(operator).fetch_optional(tx).await?)
}

/// Every lock that is in force, by name.
pub(super) async fn list(tx: &mut PgConnection) -> Result<Vec<LockRecord>, DbError> {
    let query = sqlx::query_as(
        "SELECT operator, reason, actor, lock_time, expire_time FROM operator_locks
         WHERE expire_time IS NULL OR expire_time > now() ORDER BY operator",
    );
    Ok(query.fetch_all(tx).await?)
}

/// The same, to be looked up.
pub(super) async fn in_force(database: &PgPool) -> Result<HashMap<String, KnownLock>, DbError> {
    let rows: Vec<(String, String, Option<jiff_sqlx::Timestamp>)> = sqlx::query_as(
        "SELECT operator, reason, expire_time FROM operator_locks
         WHERE expire_time IS NULL OR expire_time > now()",
    )
    .fetch_all(database)
    .await?;
    let known = rows.into_iter().map(|(operator, reason, end)| {
        (operator, KnownLock { until: end.map(jiff_sqlx::Timestamp::to_jiff), reason })
    });
    Ok(known.collect())
}
