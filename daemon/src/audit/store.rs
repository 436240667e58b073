//! Audit entries as rows. Entries are inserted on a login that can do nothing else;
//! everything is read on the operator's.

use jiff::Timestamp;
use sqlx::{FromRow, PgPool, Row, postgres::PgRow};
use streamspace_core::filter::{FieldValue, Record};
use streamspace_proto::v1::{AuditDecision, AuditEntry, AuditPhase};
use uuid::Uuid;

use crate::{
    db::DbError,
    rpc::{audit::AuditRecord, time},
};

/// The longest text of a field, in bytes. The digest covers the whole request.
const LONGEST: usize = 4096;

/// What an entry records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Intent,
    Outcome,
    Denial,
}

impl Phase {
    fn word(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::Denial => "denial",
        }
    }
}

/// Which replica of which region writes.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    pub(super) replica: String,
    pub(super) region: String,
}

/// What is added to the record of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict<'a> {
    pub(super) phase: Phase,
    pub(super) decision: &'a str,
    pub(super) code: i32,
    pub(super) message: &'a str,
    pub(super) summary: &'a str,
    pub(super) count: i32,
}

/// Inserts an entry. The login cannot read, so an entry that is there already shows
/// as a conflict.
pub(super) async fn insert(
    pool: &PgPool,
    writer: &Writer,
    record: &AuditRecord,
    verdict: Verdict<'_>,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO audit_entries
             (entry_id, call_id, replica, region, phase, actor, certificate_serial, role, method,
              resource, request_sha256, reason, decision, rule, status_code, status_message, peer,
              count, incident, summary)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                 $19, $20)",
    )
    .bind(Uuid::now_v7())
    .bind(record.call_id)
    .bind(&writer.replica)
    .bind(&writer.region)
    .bind(verdict.phase.word())
    .bind(clean(&record.actor))
    .bind(clean(&record.certificate_serial))
    .bind(clean(&record.role))
    .bind(clean(&record.method))
    .bind(clean(&record.resource))
    .bind(&record.request_sha256)
    .bind(clean(&record.reason))
    .bind(verdict.decision)
    .bind(clean(&record.rule))
    .bind(verdict.code)
    .bind(clean(verdict.message))
    .bind(clean(&record.peer))
    .bind(verdict.count)
    .bind(clean(&record.incident))
    .bind(clean(verdict.summary))
    .execute(pool)
    .await?;
    Ok(())
}

/// Whether an insert failed because the call has an entry of that phase already.
pub(super) fn is_repeated(error: &DbError) -> bool {
    error.constraint() == Some("audit_one_per_phase")
}

/// A text as PostgreSQL takes it, and not longer than a line should be.
fn clean(text: &str) -> String {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = text.get(..end).unwrap_or_default().replace('\0', "\u{fffd}");
    if end < text.len() { format!("{kept}…") } else { kept }
}

/// Gives positions to entries that have none, one sequencer at a time. `whole` looks
/// at the whole log and not just at its end. Returns how many got one.
pub(super) async fn sequence(pool: &PgPool, whole: bool) -> Result<u64, DbError> {
    const LOCK: i64 = 0x5353_4155_4449_5431;
    let mut tx = pool.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *tx).await?;
    // A statement of its own: its snapshot is younger than the lock. An entry is
    // visible from its commit on, so nothing is put before a position that was given.
    let sequenced = sqlx::query(
        "WITH last AS (
             SELECT p.position, e.time
             FROM audit_positions p JOIN audit_entries e USING (entry_id)
             ORDER BY p.position DESC LIMIT 1
         )
         INSERT INTO audit_positions (position, entry_id)
         SELECT coalesce((SELECT position FROM last), 0)
                    + row_number() OVER (ORDER BY e.time, e.call_id, e.phase),
                e.entry_id
         FROM audit_entries e
         WHERE ($1 OR e.time >= coalesce((SELECT time FROM last), '-infinity') - interval '1 hour')
           AND NOT EXISTS (SELECT FROM audit_positions p WHERE p.entry_id = e.entry_id)
         ORDER BY e.time, e.call_id, e.phase
         LIMIT 1000",
    )
    .bind(whole)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(sequenced.rows_affected())
}

/// An intent that has no outcome.
#[derive(Clone, Debug)]
pub(super) struct OpenIntent {
    pub(super) record: AuditRecord,
    pub(super) time: Timestamp,
    pub(super) own: bool,
    pub(super) orphaned: bool,
}

impl FromRow<'_, PgRow> for OpenIntent {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            record: AuditRecord {
                call_id: row.try_get("call_id")?,
                actor: row.try_get("actor")?,
                certificate_serial: row.try_get("certificate_serial")?,
                role: row.try_get("role")?,
                method: row.try_get("method")?,
                resource: row.try_get("resource")?,
                request_sha256: row.try_get("request_sha256")?,
                reason: row.try_get("reason")?,
                incident: row.try_get("incident")?,
                rule: row.try_get("rule")?,
                peer: row.try_get("peer")?,
            },
            time: row.try_get::<jiff_sqlx::Timestamp, _>("time")?.to_jiff(),
            own: row.try_get("own")?,
            orphaned: row.try_get("orphaned")?,
        })
    }
}

/// The intents without outcome that are younger than `floor`, oldest first, at most
/// `limit`. Those of a replica that was not seen for ten seconds are orphaned.
pub(super) async fn open_intents(
    pool: &PgPool,
    replica: &str,
    floor: Option<Timestamp>,
    limit: i64,
) -> Result<Vec<OpenIntent>, DbError> {
    let rows = sqlx::query_as(
        "SELECT i.*,
                i.replica = $1 AS own,
                i.time < now() - interval '10 seconds' AND NOT EXISTS (
                    SELECT FROM replicas r
                    WHERE r.replica = i.replica AND r.seen_time > now() - interval '10 seconds'
                ) AS orphaned
         FROM audit_entries i
         WHERE i.phase = 'intent'
           AND ($2::timestamptz IS NULL OR i.time >= $2)
           AND NOT EXISTS (
               SELECT FROM audit_entries o WHERE o.call_id = i.call_id AND o.phase = 'outcome'
           )
         ORDER BY i.time
         LIMIT $3",
    )
    .bind(replica)
    .bind(floor.map(jiff_sqlx::Timestamp::from))
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// The database's clock.
pub(super) async fn now(pool: &PgPool) -> Result<Timestamp, DbError> {
    let (now,): (jiff_sqlx::Timestamp,) = sqlx::query_as("SELECT now()").fetch_one(pool).await?;
    Ok(now.to_jiff())
}

/// A sequenced entry.
#[derive(Clone, Debug)]
pub(super) struct EntryRow {
    pub(super) position: i64,
    phase: String,
    decision: String,
    entry: AuditEntry,
}

impl FromRow<'_, PgRow> for EntryRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let position = row.try_get("position")?;
        let phase: String = row.try_get("phase")?;
        let decision: String = row.try_get("decision")?;
        let time: jiff_sqlx::Timestamp = row.try_get("time")?;
        let entry = AuditEntry {
            position,
            time: time::timestamp(time.to_jiff()),
            phase: phase_of(&phase).into(),
            call_id: row.try_get::<Uuid, _>("call_id")?.to_string(),
            actor: row.try_get("actor")?,
            certificate_serial: row.try_get("certificate_serial")?,
            role: row.try_get("role")?,
            method: row.try_get("method")?,
            resource: row.try_get("resource")?,
            request_sha256: row.try_get("request_sha256")?,
            reason: row.try_get("reason")?,
            decision: decision_of(&decision).into(),
            rule: row.try_get("rule")?,
            status_code: row.try_get("status_code")?,
            status_message: row.try_get("status_message")?,
            peer: row.try_get("peer")?,
            count: row.try_get("count")?,
            incident: row.try_get("incident")?,
            summary: row.try_get("summary")?,
        };
        Ok(Self { position, phase, decision, entry })
    }
}

impl EntryRow {
    pub(super) fn into_proto(self) -> AuditEntry {
        self.entry
    }
}

impl Record for EntryRow {
    fn field(&self, name: &str) -> Option<FieldValue> {
        let text = match name {
            "actor" => &self.entry.actor,
            "role" => &self.entry.role,
            "method" => &self.entry.method,
            "resource" => &self.entry.resource,
            "phase" => &self.phase,
            "decision" => &self.decision,
            "rule" => &self.entry.rule,
            "call_id" => &self.entry.call_id,
            "incident" => &self.entry.incident,
            _ => return None,
        };
        (!text.is_empty()).then(|| FieldValue::Text(text.clone()))
    }
}

fn phase_of(word: &str) -> AuditPhase {
    match word {
        "intent" => AuditPhase::Intent,
        "outcome" => AuditPhase::Outcome,
        "denial" => AuditPhase::Denial,
        _ => AuditPhase::Unspecified,
    }
}

fn decision_of(word: &str) -> AuditDecision {
    match word {
        "allowed" => AuditDecision::Allowed,
        "denied" => AuditDecision::Denied,
        "succeeded" => AuditDecision::Succeeded,
        "failed" => AuditDecision::Failed,
        "unknown" => AuditDecision::Unknown,
        _ => AuditDecision::Unspecified,
    }
}

/// A span of time: from an instant on, and before another.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub(super) start: Option<Timestamp>,
    pub(super) end: Option<Timestamp>,
}

impl Span {
    pub(super) fn is_all(self) -> bool {
        self.start.is_none() && self.end.is_none()
    }

    fn bounds(self) -> (Option<jiff_sqlx::Timestamp>, Option<jiff_sqlx::Timestamp>) {
        (self.start.map(jiff_sqlx::Timestamp::from), self.end.map(jiff_sqlx::Timestamp::from))
    }
}

/// A range of positions: the first of it, and the one after its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: i64,
    pub(super) before: i64,
}

impl Range {
    /// The whole log.
    pub(super) const ALL: Self = Self { from: 0, before: i64::MAX };
}

/// The positions between which all entries of a span stand; `None`: it has none. It is
/// read once for a whole list, by the index on time. Positions follow the commit and not
/// the clock, so entries of other times may stand between.
pub(super) async fn positions(pool: &PgPool, span: Span) -> Result<Option<Range>, DbError> {
    if span.is_all() {
        return Ok(Some(Range::ALL));
    }
    let (start, end) = span.bounds();
    let (first, last): (Option<i64>, Option<i64>) = sqlx::query_as(
        "SELECT min(p.position), max(p.position)
         FROM audit_entries e JOIN audit_positions p USING (entry_id)
         WHERE ($1::timestamptz IS NULL OR e.time >= $1)
           AND ($2::timestamptz IS NULL OR e.time < $2)",
    )
    .bind(start)
    .bind(end)
    .fetch_one(pool)
    .await?;
    Ok(first.zip(last).map(|(first, last)| Range { from: first, before: last.saturating_add(1) }))
}

/// The entries of a span in a range of positions, newest first.
pub(super) async fn list(
    pool: &PgPool,
    range: Range,
    span: Span,
    limit: i64,
) -> Result<Vec<EntryRow>, DbError> {
    let (start, end) = span.bounds();
    let rows = sqlx::query_as(
        "SELECT p.position, e.*
         FROM audit_positions p JOIN audit_entries e USING (entry_id)
         WHERE p.position >= $1 AND p.position < $2
           AND ($3::timestamptz IS NULL OR e.time >= $3)
           AND ($4::timestamptz IS NULL OR e.time < $4)
         ORDER BY p.position DESC
         LIMIT $5",
    )
    .bind(range.from)
    .bind(range.before)
    .bind(start)
    .bind(end)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// What was remembered in the transaction of something that the daemon does again until it
/// is done; `None` where that transaction was not committed.
pub(super) async fn remembered(
    pool: &PgPool,
    record: &AuditRecord,
) -> Result<Option<Vec<u8>>, DbError> {
    let query =
        sqlx::query_scalar("SELECT response FROM requests WHERE actor = $1 AND request_id = $2");
    Ok(query.bind(&record.actor).bind(record.call_id).fetch_optional(pool).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_can_be_stored() {
        assert_eq!(clean("a\0b"), "a\u{fffd}b");
        let long = "é".repeat(LONGEST);
        let kept = clean(&format!("x{long}"));
        assert!(kept.len() < LONGEST + 4 && kept.ends_with('…'), "{}", kept.len());
    }
}
