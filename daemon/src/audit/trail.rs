//! What was changed, for those who follow an incident.

use jiff::Timestamp;
use sqlx::PgPool;
use streamspace_proto::v1::AuditEntry;

use super::{sequencer, store};
use crate::db::DbError;

/// The most entries of either kind.
const MOST: i64 = 2_000;

/// What was changed under an incident and shortly before it.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// Under it, the newest first.
    pub under: Vec<AuditEntry>,
    /// Before it, under whatever, the newest first.
    pub before: Vec<AuditEntry>,
}

/// Reads the outcomes of changes that name an incident, from `from` on, and of all changes
/// from `from` up to `begin`. What the daemon keeps of the incident itself is left out, and
/// so are renewals of certificates, which clients make by themselves.
pub async fn of_incident(
    pool: &PgPool,
    incident: &str,
    from: Timestamp,
    begin: Timestamp,
) -> Result<Trail, DbError> {
    sequencer::catch_up(pool).await;
    Ok(Trail {
        under: read(pool, Some(incident), from, None).await?,
        before: read(pool, None, from, Some(begin)).await?,
    })
}

async fn read(
    pool: &PgPool,
    incident: Option<&str>,
    from: Timestamp,
    to: Option<Timestamp>,
) -> Result<Vec<AuditEntry>, DbError> {
    let rows: Vec<store::EntryRow> = sqlx::query_as(
        "SELECT p.position, e.*
         FROM audit_entries e JOIN audit_positions p USING (entry_id)
         WHERE e.phase = 'outcome' AND e.decision IN ('succeeded', 'unknown')
           AND e.time >= $1 AND ($2::timestamptz IS NULL OR e.time < $2)
           AND ($3::text IS NULL OR e.incident = $3)
           AND e.method NOT LIKE '%.IncidentService/%'
           AND e.method NOT LIKE '%/RenewCredential'
         ORDER BY p.position DESC
         LIMIT $4",
    )
    .bind(jiff_sqlx::Timestamp::from(from))
    .bind(to.map(jiff_sqlx::Timestamp::from))
    .bind(incident)
    .bind(MOST)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(store::EntryRow::into_proto).collect())
}
