//! Closes five minutes after five minutes: what each subject used in them becomes rows
//! that are never changed.
//!
//! A tick is one transaction. It reads who was alive and what was in force, lets the rules
//! integrate it, inserts, and moves the watermark on only where nobody else did. Facts
//! that come while it computes bear on a time that was said to be complete, so they are
//! late, and are corrected after it.

use std::collections::BTreeSet;

use sqlx::PgConnection;
use streamspace_core::{
    ids::TenantUid,
    usage::{Commit, Grain, LeaderTerm, Ledger, Refusal, Second},
};

use super::{
    rollups,
    store::{self, Hold},
};
use crate::db::{Database, DbError, Leadership, Scope, lease};
use read::{Batch, Reader};

mod read;
pub(super) mod write;

/// How long after its end a bucket is closed. A fact takes a second or two to the store;
/// this leaves room for an API server that is slow, so that corrections are rare, and is
/// little beside the five minutes.
pub const SETTLE_SECONDS: i64 = 30;
/// The most buckets of one tick: an hour.
pub const BUCKETS_MAXIMUM: u32 = 12;
/// The most rows of one tick, nearly. What is longer holds its transaction open too long.
const ROWS: i64 = 400_000;

/// What a tick did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticked {
    /// What it closed.
    pub commit: Commit,
    /// How many intervals it computed.
    pub rows: u64,
}

/// Why a step did nothing.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The database could not do it.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The watermark does not move.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// This replica does not lead by the database.
    #[error("this replica does not lead any more")]
    NotLeader,
}

impl From<sqlx::Error> for StepError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Closes what is due at an instant; `None` where nothing is, or where the leader of this
/// term has not taken the watermark yet.
pub async fn tick(
    db: &Database,
    leadership: &Leadership,
    now: Second,
) -> Result<Option<Ticked>, StepError> {
    let mut reading = db.begin(&Scope::Region).await?;
    let Some((commit, ledger)) = plan(&mut reading, now).await? else {
        return Ok(None);
    };
    if commit.leader_term != LeaderTerm(leadership.leader_term) {
        return Ok(None);
    }
    let mut writing = db.begin(&Scope::Region).await?;
    let rows = insert(&mut writing, &mut reading, &commit, &ledger).await?;
    // Last, for whoever leads renews the row that is held by it.
    if !lease::still_leads(&mut writing, leadership).await? {
        return Err(StepError::NotLeader);
    }
    advance(&mut writing, &commit).await?;
    writing.commit().await?;
    Ok(Some(Ticked { commit, rows }))
}

/// What is due, and the ledger to compute it by.
pub(super) async fn plan(
    tx: &mut PgConnection,
    now: Second,
) -> Result<Option<(Commit, Ledger)>, DbError> {
    let Some(watermark) = store::watermark(tx, Hold::Nothing).await? else {
        return Ok(None);
    };
    let Some(one) = watermark.due(now, SETTLE_SECONDS, 1) else {
        return Ok(None);
    };
    let living: i64 =
        sqlx::query_scalar("SELECT count(*) FROM usage_subjects WHERE end_second IS NULL")
            .fetch_one(&mut *tx)
            .await?;
    let most = u32::try_from(ROWS / living.max(1)).unwrap_or(BUCKETS_MAXIMUM);
    let buckets = most.clamp(1, BUCKETS_MAXIMUM);
    let commit = watermark.due(now, SETTLE_SECONDS, buckets).unwrap_or(one);
    let ledger = store::ledger(tx, &watermark, commit.closed_through, None).await?;
    Ok(Some((commit, ledger)))
}

/// Computes and inserts the intervals of a commit. The next part is read and computed
/// while PostgreSQL inserts the one before.
pub(super) async fn insert(
    writing: &mut PgConnection,
    reading: &mut PgConnection,
    commit: &Commit,
    ledger: &Ledger,
) -> Result<u64, DbError> {
    let mut reader = Reader::new(commit.span(), ledger);
    let mut hours: BTreeSet<(TenantUid, Second)> = BTreeSet::new();
    let mut rows = 0;
    let mut ready = reader.next(reading).await?;
    while let Some(batch) = ready {
        let (inserted, next) = tokio::join!(batch.insert(writing), reader.next(reading));
        rows += inserted?;
        hours.extend(hours_of(&batch));
        ready = next?;
    }
    rollups::mark(writing, &hours).await?;
    Ok(rows)
}

fn hours_of(batch: &Batch) -> impl Iterator<Item = (TenantUid, Second)> + '_ {
    batch.tenants().map(|(tenant, bucket)| (tenant, Grain::Hour.holding(bucket.start()).from))
}

/// Moves the watermark on by a commit, or says why it does not move.
pub(super) async fn advance(tx: &mut PgConnection, commit: &Commit) -> Result<(), StepError> {
    let watermark = store::watermark(tx, Hold::All).await?;
    let missing = Refusal::NotDue { through: commit.through };
    let after = watermark.ok_or(missing)?.advance(commit)?;
    // The row is held, and it is asked again what the rule has asked.
    let moved = sqlx::query(
        "UPDATE usage_watermark SET closed_through = $1 \
         WHERE closed_through = $2 AND leader_term = $3",
    )
    .bind(after.closed_through.0)
    .bind(commit.closed_through.0)
    .bind(commit.leader_term.0)
    .execute(tx)
    .await?;
    if moved.rows_affected() == 0 { Err(StepError::NotLeader) } else { Ok(()) }
}
