//! The metering's loop on the leader: make partitions, close what is due, correct what was
//! late, add up what has changed. Each is a transaction of its own that can be repeated or
//! left out, so that a leader may be killed between any two.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use streamspace_core::usage::Second;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    config::UsageConfig,
    corrections,
    partitions::{self, PartitionError},
    rollups,
    ticker::{self, StepError},
};
use crate::db::{Database, DbError, Leadership};

/// How often it is looked whether there is work. A bucket is due every five minutes.
const POLL: Duration = Duration::from_secs(5);

/// What the metering did and how far it is, for the metrics. Of a replica that does not
/// lead they stand still.
#[derive(Debug, Default)]
pub struct UsageCounters {
    closed_through: AtomicI64,
    intervals: AtomicU64,
    corrections: AtomicU64,
    hours: AtomicU64,
    failures: AtomicU64,
    faults: AtomicU64,
}

impl UsageCounters {
    /// Every five minutes before this second since 1970 are closed; 0 where this replica has
    /// closed none.
    pub fn closed_through(&self) -> i64 {
        self.closed_through.load(Ordering::Relaxed)
    }

    /// Intervals that were computed.
    pub fn intervals(&self) -> u64 {
        self.intervals.load(Ordering::Relaxed)
    }

    /// Corrections that were written.
    pub fn corrections(&self) -> u64 {
        self.corrections.load(Ordering::Relaxed)
    }

    /// Hours of tenants that were added up.
    pub fn hours(&self) -> u64 {
        self.hours.load(Ordering::Relaxed)
    }

    /// Steps that failed and are tried again.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// What the last proof found not to hold ([`super::verify`]).
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    /// Notes what a proof found.
    pub fn prove(&self, faults: u64) {
        self.faults.store(faults, Ordering::Relaxed);
    }
}

/// Meters while this replica leads, until it is stopped.
pub async fn run(
    db: Database,
    config: UsageConfig,
    counters: Arc<UsageCounters>,
    mut leadership: watch::Receiver<Leadership>,
    stop: CancellationToken,
) {
    let mut engine = Engine { db, config, counters, next_partitions: None, failing: false };
    loop {
        let now = leadership.borrow_and_update().clone();
        if now.leads {
            tokio::select! {
                () = stop.cancelled() => return,
                // What is under way is rolled back.
                changed = leadership.changed() => if changed.is_err() { return } else { continue },
                () = engine.round(&now) => {}
            }
        } else {
            engine.next_partitions = None;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = leadership.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

struct Engine {
    db: Database,
    config: UsageConfig,
    counters: Arc<UsageCounters>,
    /// When partitions are looked at again.
    next_partitions: Option<Instant>,
    failing: bool,
}

impl Engine {
    async fn round(&mut self, leadership: &Leadership) {
        // One that fails keeps no other from its work.
        let partitions = self.partitions().await.err().map(|error| error.to_string());
        let steps = [
            self.ticks(leadership).await,
            self.correct(leadership).await,
            self.roll(leadership).await,
        ];
        let errors = steps.into_iter().filter_map(|step| match step {
            // The next leader does it.
            Ok(()) | Err(StepError::NotLeader | StepError::Refused(_)) => None,
            Err(StepError::Database(error)) => Some(error.to_string()),
        });
        let errors: Vec<String> = partitions.into_iter().chain(errors).collect();
        if let Some(error) = errors.first() {
            self.counters.failures.fetch_add(1, Ordering::Relaxed);
            if self.failing {
                tracing::debug!(%error, "usage is metered later");
            } else {
                tracing::warn!(%error, "usage is metered later; nothing of it is lost");
            }
        }
        self.failing = !errors.is_empty();
    }

    async fn partitions(&mut self) -> Result<(), PartitionError> {
        if self.next_partitions.is_some_and(|next| Instant::now() < next) {
            return Ok(());
        }
        let now = now(&self.db).await?;
        let rolled = partitions::roll(&self.db, &self.config, now).await?;
        if rolled.made > 0 || rolled.dropped > 0 {
            let partitions::Rolled { made, dropped, .. } = rolled;
            tracing::info!(made, dropped, "partitions of usage");
        }
        self.next_partitions = (!rolled.is_behind).then(|| Instant::now() + partitions::PERIOD);
        Ok(())
    }

    async fn ticks(&self, leadership: &Leadership) -> Result<(), StepError> {
        loop {
            let now = now(&self.db).await?;
            let Some(ticked) = ticker::tick(&self.db, leadership, now).await? else {
                return Ok(());
            };
            let through = ticked.commit.through.0;
            self.counters.closed_through.store(through, Ordering::Relaxed);
            self.counters.intervals.fetch_add(ticked.rows, Ordering::Relaxed);
        }
    }

    async fn correct(&self, leadership: &Leadership) -> Result<(), StepError> {
        loop {
            let done = corrections::correct_some(&self.db, leadership).await?;
            if done.spans == 0 {
                return Ok(());
            }
            self.counters.corrections.fetch_add(done.corrections, Ordering::Relaxed);
        }
    }

    async fn roll(&self, leadership: &Leadership) -> Result<(), StepError> {
        loop {
            let count = rollups::roll_some(&self.db, leadership).await?;
            if count == 0 {
                return Ok(());
            }
            self.counters.hours.fetch_add(count, Ordering::Relaxed);
        }
    }
}

/// By the database's clock. Where it is wrong, buckets are closed later, or with less time
/// for late facts, and never before their facts are complete.
async fn now(db: &Database) -> Result<Second, DbError> {
    let now = sqlx::query_scalar("SELECT extract(epoch FROM clock_timestamp())::bigint");
    Ok(Second(now.fetch_one(db.operator()).await?))
}
