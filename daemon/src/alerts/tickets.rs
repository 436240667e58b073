//! What the channels for tickets were told of alerts. Who tells them notes it here, in the
//! transaction that keeps the notice.

use jiff::Timestamp;
use sqlx::{FromRow, PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

use super::store::{COLUMNS, Record, Seen};
use crate::db::DbError;

/// An alert of severity `ticket`, of which something is to be told, or may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The alert.
    pub alert: Seen,
    /// When it was told that it fires. `None`: it fires, and nobody was told.
    pub told: Option<Timestamp>,
}

/// A row of an alert with what was told of it.
struct Row(Record, Option<Timestamp>);

impl FromRow<'_, PgRow> for Row {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let told: Option<jiff_sqlx::Timestamp> = row.try_get("ticket_time")?;
        Ok(Self(Record::from_row(row)?, told.map(jiff_sqlx::Timestamp::to_jiff)))
    }
}

/// Those that fire, and those that ended and whose beginning alone was told, the oldest
/// first. Nothing where there is nothing to tell of any of them.
pub async fn tickets(tx: &mut PgConnection) -> Result<Vec<Ticket>, DbError> {
    let any: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM alerts WHERE severity = 'ticket' AND NOT ticket_over \
         AND (end_time IS NULL OR ticket_time IS NOT NULL) \
         AND (end_time IS NULL) = (ticket_time IS NULL))",
    )
    .fetch_one(&mut *tx)
    .await?;
    if !any {
        return Ok(Vec::new());
    }
    let query = format!(
        "{COLUMNS} WHERE severity = 'ticket' AND NOT ticket_over \
         AND (end_time IS NULL OR ticket_time IS NOT NULL) ORDER BY start_time, alert_uid"
    );
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(query)).fetch_all(tx).await?;
    let ticket = |Row(record, told)| Ticket { alert: Seen::of(record), told };
    Ok(rows.into_iter().map(ticket).collect())
}

/// When it was told last that alerts of a kind, a rule and a subject fire, of any tenant.
pub async fn last_ticket(
    tx: &mut PgConnection,
    kind: &str,
    rule: &str,
    subject: &str,
) -> Result<Option<Timestamp>, DbError> {
    let query = sqlx::query_scalar(
        "SELECT max(ticket_time) FROM alerts \
         WHERE kind = $1 AND rule = $2 AND subject = $3 AND ticket_time IS NOT NULL",
    );
    let query = query.bind(kind).bind(rule).bind(subject);
    let last: Option<jiff_sqlx::Timestamp> = query.fetch_one(tx).await?;
    Ok(last.map(jiff_sqlx::Timestamp::to_jiff))
}

/// Notes that it was told that these fire.
pub async fn ticket_told(
    tx: &mut PgConnection,
    ids: &[Uuid],
    at: Timestamp,
) -> Result<(), DbError> {
    sqlx::query("UPDATE alerts SET ticket_time = $2 WHERE alert_uid = ANY ($1)")
        .bind(ids)
        .bind(jiff_sqlx::Timestamp::from(at))
        .execute(tx)
        .await?;
    Ok(())
}

/// Notes that nothing more is to be told of these.
pub async fn ticket_over(tx: &mut PgConnection, ids: &[Uuid]) -> Result<(), DbError> {
    sqlx::query("UPDATE alerts SET ticket_over = true WHERE alert_uid = ANY ($1)")
        .bind(ids)
        .execute(tx)
        .await?;
    Ok(())
}
