//! The ends of the subjects that a list lacks.

use sqlx::PgConnection;
use streamspace_core::{
    ids::TenantUid,
    session::SessionUid,
    usage::{History, Listing},
};
use uuid::Uuid;

use super::{super::row, append::Entry};
use crate::db::DbError;

/// The ends of all subjects that a list lacks.
///
/// The latest that a list can show of a subject decides, and mostly this is the latest
/// that is known, which stands with the subject. Recordings are not in the cluster.
pub(super) async fn ends(
    tx: &mut PgConnection,
    listing: Listing,
    listed: &[SessionUid],
) -> Result<Vec<Entry>, DbError> {
    let listed: Vec<Uuid> = listed.iter().map(|uid| uid.0).collect();
    let rows = sqlx::query(
        "SELECT subject.tenant_uid, known.* \
         FROM usage_subjects AS subject \
         CROSS JOIN LATERAL ( \
             SELECT subject_uid, position, at, phase, cpu_millicores, memory_bytes, home_bytes, \
                    pod_uid, container_start \
             FROM usage_transitions AS known \
             WHERE known.tenant_uid = subject.tenant_uid AND known.subject_uid = subject.subject_uid \
               AND known.position <= $1 \
             ORDER BY position DESC LIMIT 1) AS known \
         WHERE (subject.end_second IS NULL OR subject.position > $1) \
           AND subject.kind <> 'recording' \
           AND NOT EXISTS (SELECT FROM UNNEST($2::uuid[]) AS listed (uid) \
                           WHERE listed.uid = subject.subject_uid)",
    )
    .bind(row::position(listing.order))
    .bind(listed)
    .fetch_all(tx)
    .await?;
    let mut ends = Vec::new();
    for found in &rows {
        let tenant = TenantUid(sqlx::Row::try_get(found, "tenant_uid")?);
        let history = History::new([row::transition_at(found, 1)?]);
        if let Some(transition) = history.vanished(listing) {
            ends.push(Entry { tenant, transition, cause: String::new() });
        }
    }
    Ok(ends)
}
