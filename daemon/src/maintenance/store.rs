//! Maintenances and silences in the database.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgConnection, Row as _, postgres::PgRow};

use crate::db::DbError;

/// Rows of a list.
const MOST: i64 = 1_000;
/// How long those that ended are shown.
const SHOWN_DAYS: i32 = 90;

#[derive(Clone, Debug)]
pub(super) struct MaintenanceRecord {
    pub(super) number: i32,
    pub(super) title: String,
    pub(super) slos: Vec<String>,
    pub(super) tenants: Vec<String>,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) actor: String,
    pub(super) reason: String,
    pub(super) begun: bool,
    pub(super) ended: bool,
    pub(super) ended_by: String,
}

impl FromRow<'_, PgRow> for MaintenanceRecord {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            number: row.try_get("maintenance_number")?,
            title: row.try_get("title")?,
            slos: row.try_get("slos")?,
            tenants: row.try_get("tenants")?,
            start: row.try_get::<jiff_sqlx::Timestamp, _>("start_time")?.to_jiff(),
            end: row.try_get::<jiff_sqlx::Timestamp, _>("end_time")?.to_jiff(),
            actor: row.try_get("actor")?,
            reason: row.try_get("reason")?,
            begun: row.try_get("begun")?,
            ended: row.try_get("ended")?,
            ended_by: row.try_get("ended_by")?,
        })
    }
}

/// A rule on a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Matcher {
    pub(super) label: String,
    pub(super) value: String,
    pub(super) negative: bool,
}

#[derive(Clone, Debug)]
pub(super) struct SilenceRecord {
    pub(super) number: i32,
    pub(super) matchers: Vec<Matcher>,
    pub(super) comment: String,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) actor: String,
    pub(super) ended: bool,
}

impl FromRow<'_, PgRow> for SilenceRecord {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let matchers: sqlx::types::Json<Vec<Matcher>> = row.try_get("matchers")?;
        Ok(Self {
            number: row.try_get("silence_number")?,
            matchers: matchers.0,
            comment: row.try_get("comment")?,
            start: row.try_get::<jiff_sqlx::Timestamp, _>("start_time")?.to_jiff(),
            end: row.try_get::<jiff_sqlx::Timestamp, _>("end_time")?.to_jiff(),
            actor: row.try_get("actor")?,
            ended: row.try_get("ended")?,
        })
    }
}

/// The next number of a table; nobody else takes it meanwhile.
pub(super) async fn next_number(
    tx: &mut PgConnection,
    query: &'static str,
) -> Result<i32, DbError> {
    const LOCK: i64 = 0x5353_4d41_494e_5431;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *tx).await?;
    Ok(sqlx::query_scalar(query).fetch_one(tx).await?)
}

/// The next number of a maintenance.
pub(super) const NEXT_MAINTENANCE: &str =
    "SELECT coalesce(max(maintenance_number), 0) + 1 FROM maintenances";
/// The next number of a silence.
pub(super) const NEXT_SILENCE: &str = "SELECT coalesce(max(silence_number), 0) + 1 FROM silences";

pub(super) async fn insert(
    tx: &mut PgConnection,
    record: &MaintenanceRecord,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO maintenances (maintenance_number, title, slos, tenants, start_time, \
         end_time, actor, reason, begun) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(record.number)
    .bind(&record.title)
    .bind(&record.slos)
    .bind(&record.tenants)
    .bind(jiff_sqlx::Timestamp::from(record.start))
    .bind(jiff_sqlx::Timestamp::from(record.end))
    .bind(&record.actor)
    .bind(&record.reason)
    .bind(record.begun)
    .execute(tx)
    .await?;
    Ok(())
}

/// One of them, which nobody else changes meanwhile.
pub(super) async fn lock(
    tx: &mut PgConnection,
    number: i32,
) -> Result<Option<MaintenanceRecord>, DbError> {
    let query =
        sqlx::query_as("SELECT * FROM maintenances WHERE maintenance_number = $1 FOR UPDATE");
    Ok(query.bind(number).fetch_optional(tx).await?)
}

/// Those whose beginning or end is due and not told yet; nobody else tells it meanwhile.
pub(super) async fn due(
    tx: &mut PgConnection,
    at: Timestamp,
) -> Result<Vec<MaintenanceRecord>, DbError> {
    let query = sqlx::query_as(
        "SELECT * FROM maintenances WHERE NOT ended AND (end_time <= $1 \
         OR (start_time <= $1 AND NOT begun)) ORDER BY maintenance_number LIMIT 100 FOR UPDATE",
    );
    Ok(query.bind(jiff_sqlx::Timestamp::from(at)).fetch_all(tx).await?)
}

/// Writes how far one is.
pub(super) async fn update(
    tx: &mut PgConnection,
    record: &MaintenanceRecord,
) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE maintenances SET start_time = $2, end_time = $3, begun = $4, ended = $5, \
         ended_by = $6 WHERE maintenance_number = $1",
    )
    .bind(record.number)
    .bind(jiff_sqlx::Timestamp::from(record.start))
    .bind(jiff_sqlx::Timestamp::from(record.end))
    .bind(record.begun)
    .bind(record.ended)
    .bind(&record.ended_by)
    .execute(tx)
    .await?;
    Ok(())
}

/// Those that go on or will begin, and with `ended` those that ended of late.
pub(super) async fn list(
    tx: &mut PgConnection,
    ended: bool,
    now: Timestamp,
) -> Result<Vec<MaintenanceRecord>, DbError> {
    let query = sqlx::query_as(
        "SELECT * FROM maintenances \
         WHERE NOT ended OR ($1 AND end_time > $4 - make_interval(days => $2)) \
         ORDER BY ended, end_time, maintenance_number LIMIT $3",
    );
    let bound = query.bind(ended).bind(SHOWN_DAYS).bind(MOST);
    Ok(bound.bind(jiff_sqlx::Timestamp::from(now)).fetch_all(tx).await?)
}

/// Those that touch a time. One that ended before it began has touched none.
pub(super) async fn touching(
    tx: &mut PgConnection,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<MaintenanceRecord>, DbError> {
    let query = sqlx::query_as(
        "SELECT * FROM maintenances WHERE end_time > $1 AND start_time <= $2 \
         AND end_time > start_time ORDER BY maintenance_number",
    );
    let bound = query.bind(jiff_sqlx::Timestamp::from(from)).bind(jiff_sqlx::Timestamp::from(to));
    Ok(bound.fetch_all(tx).await?)
}

pub(super) async fn insert_silence(
    tx: &mut PgConnection,
    record: &SilenceRecord,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO silences (silence_number, matchers, comment, start_time, end_time, actor) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(record.number)
    .bind(sqlx::types::Json(&record.matchers))
    .bind(&record.comment)
    .bind(jiff_sqlx::Timestamp::from(record.start))
    .bind(jiff_sqlx::Timestamp::from(record.end))
    .bind(&record.actor)
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn lock_silence(
    tx: &mut PgConnection,
    number: i32,
) -> Result<Option<SilenceRecord>, DbError> {
    let query = sqlx::query_as("SELECT * FROM silences WHERE silence_number = $1 FOR UPDATE");
    Ok(query.bind(number).fetch_optional(tx).await?)
}

/// Ends a silence, not before it began.
pub(super) async fn end_silence(
    tx: &mut PgConnection,
    number: i32,
    at: Timestamp,
) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE silences SET ended = true, end_time = greatest(start_time, least(end_time, $2)) \
         WHERE silence_number = $1",
    )
    .bind(number)
    .bind(jiff_sqlx::Timestamp::from(at))
    .execute(tx)
    .await?;
    Ok(())
}

/// Marks those whose time is over.
pub(super) async fn end_silences(tx: &mut PgConnection, at: Timestamp) -> Result<u64, DbError> {
    let query = sqlx::query("UPDATE silences SET ended = true WHERE NOT ended AND end_time <= $1");
    Ok(query.bind(jiff_sqlx::Timestamp::from(at)).execute(tx).await?.rows_affected())
}

pub(super) async fn silences(
    tx: &mut PgConnection,
    ended: bool,
    now: Timestamp,
) -> Result<Vec<SilenceRecord>, DbError> {
    let query = sqlx::query_as(
        "SELECT * FROM silences \
         WHERE NOT ended OR ($1 AND end_time > $4 - make_interval(days => $2)) \
         ORDER BY ended, end_time, silence_number LIMIT $3",
    );
    let bound = query.bind(ended).bind(SHOWN_DAYS).bind(MOST);
    Ok(bound.bind(jiff_sqlx::Timestamp::from(now)).fetch_all(tx).await?)
}

/// Those that hold at an instant.
pub(super) async fn silences_at(
    tx: &mut PgConnection,
    at: Timestamp,
) -> Result<Vec<SilenceRecord>, DbError> {
    let query = sqlx::query_as(
        "SELECT * FROM silences WHERE NOT ended AND start_time <= $1 AND end_time > $1 \
         ORDER BY silence_number LIMIT $2",
    );
    Ok(query.bind(jiff_sqlx::Timestamp::from(at)).bind(MOST).fetch_all(tx).await?)
}
