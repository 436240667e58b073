//! Starts of sessions, as who sees them tells them: the events of an indicator.

use sqlx::PgConnection;
use streamspace_core::{
    ids::TenantUid,
    session::SessionUid,
    slo::{Minute, OwnCounter},
};

use crate::db::DbError;

/// How a start ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Whose session it is.
    pub tenant: TenantUid,
    /// The session.
    pub session: SessionUid,
    /// Whether it failed, or took longer than its time.
    pub failed: bool,
}

/// Notes starts that ended in a minute, in the transaction that stores what showed them.
pub async fn note(tx: &mut PgConnection, minute: Minute, starts: &[Start]) -> Result<(), DbError> {
    if starts.is_empty() {
        return Ok(());
    }
    // One that is woken twice within a minute counts once.
    sqlx::query(
        "INSERT INTO slo_counts (tenant_uid, source_uid, counter, minute, total, bad) \
         SELECT tenant_uid, session_uid, $1, $2, 1, bad \
         FROM unnest($3::uuid[], $4::uuid[], $5::bigint[]) AS new (tenant_uid, session_uid, bad) \
         ON CONFLICT DO NOTHING",
    )
    .bind(OwnCounter::SessionStarts.as_str())
    .bind(minute.0)
    .bind(starts.iter().map(|start| start.tenant.0).collect::<Vec<_>>())
    .bind(starts.iter().map(|start| start.session.0).collect::<Vec<_>>())
    .bind(starts.iter().map(|start| i64::from(start.failed)).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}
