//! Alerts in the database.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::{FromRow, PgConnection, Row as _, postgres::PgRow};
use streamspace_core::slo::Severity;
use uuid::Uuid;

use crate::db::DbError;

/// How long those that ended are shown.
const SHOWN_DAYS: i32 = 30;

/// An alert that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAlert {
    /// The tenant that it is about, or [`super::REGION`].
    pub tenant_uid: Uuid,
    /// What it is: `SloBurn`.
    pub kind: &'static str,
    /// Which rule of that kind.
    pub rule: String,
    /// What it is about: `slos/api`.
    pub subject: String,
    /// How it reaches people.
    pub severity: Severity,
    /// A sentence with the numbers.
    pub summary: String,
    /// Where to read what to do.
    pub runbook_url: String,
    /// Since when.
    pub start: Timestamp,
}

/// One that fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    /// Its id.
    pub alert_uid: Uuid,
    /// The tenant that it is about.
    pub tenant_uid: Uuid,
    /// What it is.
    pub kind: String,
    /// Which rule.
    pub rule: String,
    /// How it reaches people.
    pub severity: String,
    /// Since when.
    pub start: Timestamp,
}

impl Firing {
    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            alert_uid: row.try_get("alert_uid")?,
            tenant_uid: row.try_get("tenant_uid")?,
            kind: row.try_get("kind")?,
            rule: row.try_get("rule")?,
            severity: row.try_get("severity")?,
            start: row.try_get::<jiff_sqlx::Timestamp, _>("start_time")?.to_jiff(),
        })
    }
}

/// An alert with the name of its tenant.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) alert_uid: Uuid,
    pub(super) tenant: Option<String>,
    pub(super) kind: String,
    pub(super) rule: String,
    pub(super) subject: String,
    pub(super) severity: String,
    pub(super) summary: String,
    pub(super) runbook_url: String,
    pub(super) start: Timestamp,
    pub(super) end: Option<Timestamp>,
    pub(super) acknowledged_by: String,
    pub(super) acknowledged: Option<Timestamp>,
}

impl FromRow<'_, PgRow> for Record {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let maybe = |column: &str| -> Result<Option<Timestamp>, sqlx::Error> {
            let time: Option<jiff_sqlx::Timestamp> = row.try_get(column)?;
            Ok(time.map(jiff_sqlx::Timestamp::to_jiff))
        };
        Ok(Self {
            alert_uid: row.try_get("alert_uid")?,
            tenant: row.try_get("tenant_id")?,
            kind: row.try_get("kind")?,
            rule: row.try_get("rule")?,
            subject: row.try_get("subject")?,
            severity: row.try_get("severity")?,
            summary: row.try_get("summary")?,
            runbook_url: row.try_get("runbook_url")?,
            start: row.try_get::<jiff_sqlx::Timestamp, _>("start_time")?.to_jiff(),
            end: maybe("end_time")?,
            acknowledged_by: row.try_get("acknowledged_by")?,
            acknowledged: maybe("acknowledge_time")?,
        })
    }
}

/// Those that fire for a subject, of all tenants.
pub async fn firing_of(tx: &mut PgConnection, subject: &str) -> Result<Vec<Firing>, DbError> {
    let rows = sqlx::query(
        "SELECT alert_uid, tenant_uid, kind, rule, severity, start_time FROM alerts \
         WHERE subject = $1 AND end_time IS NULL ORDER BY start_time, rule",
    )
    .bind(subject)
    .fetch_all(tx)
    .await?;
    Ok(rows.iter().map(Firing::read).collect::<Result<_, _>>()?)
}

/// Begins one. `None`: it fires already.
pub async fn begin(tx: &mut PgConnection, alert: &NewAlert) -> Result<Option<Uuid>, DbError> {
    // Its beginning alone tells it from others: people type it.
    let alert_uid = Uuid::new_v4();
    let done = sqlx::query(
        "INSERT INTO alerts (tenant_uid, alert_uid, kind, rule, subject, severity, summary, \
         runbook_url, start_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         ON CONFLICT (tenant_uid, kind, rule, subject) WHERE end_time IS NULL DO NOTHING",
    )
    .bind(alert.tenant_uid)
    .bind(alert_uid)
    .bind(alert.kind)
    .bind(&alert.rule)
    .bind(&alert.subject)
    .bind(alert.severity.as_str())
    .bind(&alert.summary)
    .bind(&alert.runbook_url)
    .bind(jiff_sqlx::Timestamp::from(alert.start))
    .execute(tx)
    .await?;
    Ok((done.rows_affected() == 1).then_some(alert_uid))
}

/// Ends one, not before it began.
pub async fn end(tx: &mut PgConnection, alert_uid: Uuid, at: Timestamp) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE alerts SET end_time = greatest(start_time, $2) \
         WHERE alert_uid = $1 AND end_time IS NULL",
    )
    .bind(alert_uid)
    .bind(jiff_sqlx::Timestamp::from(at))
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends all of a subject that is gone.
pub async fn end_all_of(tx: &mut PgConnection, subject: &str) -> Result<(), DbError> {
    sqlx::query("UPDATE alerts SET end_time = now() WHERE subject = $1 AND end_time IS NULL")
        .bind(subject)
        .execute(tx)
        .await?;
    Ok(())
}

/// An alert as those see it who act on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub alert_uid: Uuid,
    /// What people call the tenant; empty for the region.
    pub tenant: String,
    /// What it is.
    pub kind: String,
    /// Which rule of it.
    pub rule: String,
    /// What it is about.
    pub subject: String,
    /// How it reaches people: `page` or `ticket`.
    pub severity: String,
    /// A sentence with the numbers.
    pub summary: String,
    /// Where to read what to do; empty where nothing is known.
    pub runbook_url: String,
    /// Since when.
    pub start: Timestamp,
    /// Whether it is over.
    pub ended: bool,
    /// Who has it in hand; empty where nobody.
    pub acknowledged_by: String,
}

impl Seen {
    /// Its name in the contract.
    pub fn name(&self) -> String {
        format!("alerts/{}", self.alert_uid)
    }

    pub(super) fn of(record: Record) -> Self {
        Self {
            alert_uid: record.alert_uid,
            tenant: record.tenant.unwrap_or_default(),
            kind: record.kind,
            rule: record.rule,
            subject: record.subject,
            severity: record.severity,
            summary: record.summary,
            runbook_url: record.runbook_url,
            start: record.start,
            ended: record.end.is_some(),
            acknowledged_by: record.acknowledged_by,
        }
    }
}

/// Those that fire and page, and those of these ids, the oldest first.
pub async fn paging(tx: &mut PgConnection, also: &[Uuid]) -> Result<Vec<Seen>, DbError> {
    let query = format!(
        "{COLUMNS} WHERE (end_time IS NULL AND severity = 'page') OR alert_uid = ANY ($1) \
         ORDER BY start_time, alert_uid"
    );
    let rows: Vec<Record> =
        sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(also).fetch_all(tx).await?;
    Ok(rows.into_iter().map(Seen::of).collect())
}

/// One of them.
pub async fn find(tx: &mut PgConnection, alert_uid: Uuid) -> Result<Option<Seen>, DbError> {
    Ok(lock(tx, alert_uid).await?.map(Seen::of))
}

/// Has somebody have those of these ids that nobody has.
pub async fn take(tx: &mut PgConnection, ids: &[Uuid], actor: &str) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE alerts SET acknowledged_by = $2, acknowledge_time = now() \
         WHERE alert_uid = ANY ($1) AND acknowledged_by = ''",
    )
    .bind(ids)
    .bind(actor)
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) const COLUMNS: &str = "SELECT alerts.*, tenants.tenant_id FROM alerts \
                       LEFT JOIN tenants USING (tenant_uid)";

/// Those that fire, pages first and the newest first; with `ended` also those that ended of
/// late, after them.
pub(super) async fn list(tx: &mut PgConnection, ended: bool) -> Result<Vec<Record>, DbError> {
    let query = format!(
        "{COLUMNS} WHERE end_time IS NULL \
         OR ($1 AND end_time > now() - make_interval(days => $2)) \
         ORDER BY end_time IS NOT NULL, severity, start_time DESC, alert_uid"
    );
    let rows = sqlx::query_as(sqlx::AssertSqlSafe(query));
    Ok(rows.bind(ended).bind(SHOWN_DAYS).fetch_all(tx).await?)
}

pub(super) async fn lock(tx: &mut PgConnection, uid: Uuid) -> Result<Option<Record>, DbError> {
    let query = format!("{COLUMNS} WHERE alert_uid = $1 FOR UPDATE OF alerts");
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(uid).fetch_optional(tx).await?)
}

pub(super) async fn acknowledge(
    tx: &mut PgConnection,
    uid: Uuid,
    actor: &str,
) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE alerts SET acknowledged_by = $2, acknowledge_time = now() WHERE alert_uid = $1",
    )
    .bind(uid)
    .bind(actor)
    .execute(tx)
    .await?;
    Ok(())
}

/// Those that fire for subjects that begin with a text, by tenant and subject.
pub async fn firing(
    tx: &mut PgConnection,
    prefix: &str,
) -> Result<HashMap<(Uuid, String), Vec<Firing>>, DbError> {
    let rows = sqlx::query(
        "SELECT alert_uid, tenant_uid, kind, rule, severity, start_time, subject FROM alerts \
         WHERE starts_with(subject, $1) AND end_time IS NULL ORDER BY start_time, rule",
    )
    .bind(prefix)
    .fetch_all(tx)
    .await?;
    let mut all: HashMap<(Uuid, String), Vec<Firing>> = HashMap::new();
    for row in &rows {
        let firing = Firing::read(row)?;
        all.entry((firing.tenant_uid, row.try_get("subject")?)).or_default().push(firing);
    }
    Ok(all)
}
