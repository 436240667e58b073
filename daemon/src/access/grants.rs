//! Break-glass grants, as rows.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::{FromRow, PgConnection, PgPool, Row, postgres::PgRow};
use streamspace_core::ids::GrantId;
use streamspace_proto::v1;
use uuid::Uuid;

use crate::{
    db::DbError,
    rpc::{BreakGlass, time::timestamp},
};

/// The first key of the locks on the grants of a person; "glas" in ASCII.
const LOCKS: i32 = 0x676c_6173;

/// A grant as the database holds it.
#[derive(Clone, Debug)]
pub(super) struct GrantRecord {
    pub(super) id: GrantId,
    pub(super) operator: String,
    pub(super) expire_time: Timestamp,
    pub(super) end_time: Option<Timestamp>,
    pub(super) reviewer: Option<String>,
    /// By the database's clock, when the row was read.
    pub(super) in_force: bool,
    role: String,
    reason: String,
    start_time: Timestamp,
    review: String,
    review_time: Option<Timestamp>,
}

impl FromRow<'_, PgRow> for GrantRecord {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let time = |column: &str| -> Result<Option<Timestamp>, sqlx::Error> {
            let time: Option<jiff_sqlx::Timestamp> = row.try_get(column)?;
            Ok(time.map(jiff_sqlx::Timestamp::to_jiff))
        };
        Ok(Self {
            id: GrantId(row.try_get("grant_id")?),
            operator: row.try_get("operator")?,
            role: row.try_get("role")?,
            reason: row.try_get("reason")?,
            start_time: row.try_get::<jiff_sqlx::Timestamp, _>("start_time")?.to_jiff(),
            expire_time: row.try_get::<jiff_sqlx::Timestamp, _>("expire_time")?.to_jiff(),
            end_time: time("end_time")?,
            reviewer: row.try_get("reviewer")?,
            review: row.try_get("review")?,
            review_time: time("review_time")?,
            in_force: row.try_get("in_force")?,
        })
    }
}

impl GrantRecord {
    /// The key of the grant in a list.
    pub(super) fn key(&self) -> String {
        self.id.0.to_string()
    }

    pub(super) fn to_proto(&self) -> v1::BreakGlassGrant {
        v1::BreakGlassGrant {
            name: self.id.to_name(),
            operator: self.operator.clone(),
            role_name: self.role.clone(),
            reason: self.reason.clone(),
            start_time: timestamp(self.start_time),
            expire_time: timestamp(self.expire_time),
            end_time: self.end_time.and_then(timestamp),
            reviewer: self.reviewer.clone().unwrap_or_default(),
            review: self.review.clone(),
            review_time: self.review_time.and_then(timestamp),
        }
    }
}

/// `break_glass` with all columns that a record reads.
macro_rules! with_columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " grant_id, operator, role, reason, start_time, expire_time, end_time, reviewer, \
             review, review_time, end_time IS NULL AND expire_time > clock_timestamp() AS in_force ",
            $after
        )
    };
}

/// Gives a person the role admin for so many seconds. What they had before ends, so that
/// they have one grant at a time.
pub(super) async fn begin(
    tx: &mut PgConnection,
    operator: &str,
    role: &str,
    reason: &str,
    seconds: i64,
) -> Result<GrantRecord, DbError> {
    // Two of the same person come one after the other.
    sqlx::query("SELECT pg_advisory_xact_lock($1, hashtext($2))")
        .bind(LOCKS)
        .bind(operator)
        .execute(&mut *tx)
        .await?;
    end_all(tx, operator).await?;
    let query = sqlx::query_as(with_columns!(
        "INSERT INTO break_glass (grant_id, operator, role, reason, expire_time) \
         VALUES ($1, $2, $3, $4, now() + $5 * interval '1 second') RETURNING",
        ""
    ));
    Ok(query
        .bind(Uuid::now_v7())
        .bind(operator)
        .bind(role)
        .bind(reason)
        .bind(seconds)
        .fetch_one(tx)
        .await?)
}

/// Ends every grant of a person that is in force.
pub(super) async fn end_all(tx: &mut PgConnection, operator: &str) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE break_glass SET end_time = clock_timestamp()
         WHERE operator = $1 AND end_time IS NULL AND expire_time > clock_timestamp()",
    )
    .bind(operator)
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends one grant.
pub(super) async fn end(tx: &mut PgConnection, id: GrantId) -> Result<GrantRecord, DbError> {
    let query = sqlx::query_as(with_columns!(
        "UPDATE break_glass SET end_time = clock_timestamp() WHERE grant_id = $1 RETURNING",
        ""
    ));
    Ok(query.bind(id.0).fetch_one(tx).await?)
}

/// One grant, held until the transaction ends.
pub(super) async fn lock_by_id(
    tx: &mut PgConnection,
    id: GrantId,
) -> Result<Option<GrantRecord>, DbError> {
    let query =
        sqlx::query_as(with_columns!("SELECT", "FROM break_glass WHERE grant_id = $1 FOR UPDATE"));
    Ok(query.bind(id.0).fetch_optional(tx).await?)
}

/// The grant of a person that is in force, held until the transaction ends.
pub(super) async fn lock_of(
    tx: &mut PgConnection,
    operator: &str,
) -> Result<Option<GrantRecord>, DbError> {
    let query = sqlx::query_as(with_columns!(
        "SELECT",
        "FROM break_glass \
         WHERE operator = $1 AND end_time IS NULL AND expire_time > clock_timestamp() \
         ORDER BY expire_time DESC LIMIT 1 FOR UPDATE"
    ));
    Ok(query.bind(operator).fetch_optional(tx).await?)
}

/// Grants, newest first.
pub(super) async fn list(
    tx: &mut PgConnection,
    unreviewed: bool,
) -> Result<Vec<GrantRecord>, DbError> {
    let query = sqlx::query_as(with_columns!(
        "SELECT",
        "FROM break_glass WHERE NOT $1 OR reviewer IS NULL ORDER BY start_time DESC, grant_id"
    ));
    Ok(query.bind(unreviewed).fetch_all(tx).await?)
}

/// Writes down what a review found.
pub(super) async fn review(
    tx: &mut PgConnection,
    id: GrantId,
    reviewer: &str,
    words: &str,
) -> Result<GrantRecord, DbError> {
    let query = sqlx::query_as(with_columns!(
        "UPDATE break_glass SET reviewer = $2, review = $3, review_time = clock_timestamp() \
         WHERE grant_id = $1 RETURNING",
        ""
    ));
    Ok(query.bind(id.0).bind(reviewer).bind(words).fetch_one(tx).await?)
}

/// Every grant that is in force, by operator.
pub(super) async fn in_force(database: &PgPool) -> Result<HashMap<String, BreakGlass>, DbError> {
    let rows: Vec<(String, Uuid, jiff_sqlx::Timestamp)> = sqlx::query_as(
        "SELECT operator, grant_id, expire_time FROM break_glass
         WHERE end_time IS NULL AND expire_time > now() ORDER BY expire_time",
    )
    .fetch_all(database)
    .await?;
    let known = rows.into_iter().map(|(operator, id, end)| {
        (operator, BreakGlass { grant: GrantId(id), until: end.to_jiff() })
    });
    Ok(known.collect())
}
