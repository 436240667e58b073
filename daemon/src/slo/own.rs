//! What a replica counts itself: the calls that it answered.
//!
//! Each minute that is over goes into the database, where the leader takes it; also one
//! without a call, so that it is known to be no gap. While the database is away the minutes
//! wait here. A replica that is killed takes its last minute with it.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use streamspace_core::slo::{Counts, Minute, OwnCounter};
use streamspace_proto::policy::Method;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::series::wide;
use crate::{
    alerts::REGION,
    db::{Database, DbError, Scope},
    rpc::observe::CallObserver,
};

/// How often minutes that are over are written.
const PERIOD: Duration = Duration::from_secs(5);
/// So many minutes wait at most while the database is away: three days.
const KEPT: usize = 3 * 1_440;
/// So many minutes before this one are looked at as the last ones.
const RECENT: i64 = 5;
/// A call that takes longer is not in time.
const IN_TIME: Duration = Duration::from_millis(500);
/// What this package's methods begin with.
const CONTRACT: &str = "streamspace.";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    counter: &'static str,
    outcome: &'static str,
}

/// The counts of a minute by counter.
type OfMinute = BTreeMap<OwnCounter, Counts>;

/// What this replica counts.
pub struct OwnCounters {
    minutes: Mutex<BTreeMap<Minute, OfMinute>>,
    /// The same of the last minutes, whether they were written or not.
    recent: Mutex<BTreeMap<Minute, OfMinute>>,
    streams: HashSet<String>,
    events: Family<Labels, Counter>,
    /// This run of the replica.
    run: Uuid,
}

impl std::fmt::Debug for OwnCounters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnCounters").finish_non_exhaustive()
    }
}

impl OwnCounters {
    /// Counts calls of these methods, also as a metric.
    pub fn new(methods: &[Method], registry: &mut Registry) -> Self {
        let events = Family::default();
        registry.register(
            "slo_own_events",
            "What this replica counts for service level objectives",
            events.clone(),
        );
        let streams = methods.iter().filter(|method| method.streams);
        Self {
            minutes: Mutex::default(),
            recent: Mutex::default(),
            streams: streams.map(|method| method.path.clone()).collect(),
            events,
            run: Uuid::new_v4(),
        }
    }

    fn add(&self, minute: Minute, counter: OwnCounter, bad: bool) {
        for kept in [&self.minutes, &self.recent] {
            let mut minutes = kept.lock().unwrap_or_else(PoisonError::into_inner);
            let counts = minutes.entry(minute).or_default().entry(counter).or_default();
            *counts = *counts + Counts::new(1, u64::from(bad));
        }
        let outcome = if bad { "bad" } else { "good" };
        self.events.get_or_create(&Labels { counter: counter.as_str(), outcome }).inc();
    }

    /// Counts a call that was answered at an instant.
    fn call(&self, method: &str, code: i32, took: Duration, now: Timestamp) {
        if !method.starts_with(CONTRACT) {
            return;
        }
        let minute = Minute::holding(now);
        self.add(minute, OwnCounter::Calls, is_our_fault(code));
        if !self.streams.contains(method) {
            self.add(minute, OwnCounter::CallsInTime, took > IN_TIME);
        }
    }

    /// Calls, and calls by whether they were in time, of this minute and the five before it.
    pub fn recent(&self, now: Timestamp) -> (Counts, Counts) {
        let first = Minute::holding(now).plus(-RECENT);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        *recent = recent.split_off(&first);
        let sum = |counter: OwnCounter| {
            let counts = recent.values().filter_map(|minute| minute.get(&counter).copied());
            counts.fold(Counts::default(), |sum, counts| sum + counts)
        };
        (sum(OwnCounter::Calls), sum(OwnCounter::CallsInTime))
    }

    /// Opens minutes that are over and had no call.
    fn open(&self, from: Minute, to: Minute) {
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut minute = from;
        while minute < to {
            let counts = minutes.entry(minute).or_default();
            for counter in [OwnCounter::Calls, OwnCounter::CallsInTime] {
                counts.entry(counter).or_default();
            }
            minute = minute.plus(1);
        }
        while minutes.len() > KEPT {
            minutes.pop_first();
        }
    }

    fn over(&self, now: Minute) -> Vec<(Minute, OfMinute)> {
        let minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        minutes.range(..now).map(|(minute, counts)| (*minute, counts.clone())).collect()
    }

    async fn write(&self, db: &Database, now: Minute) -> Result<(), DbError> {
        let over = self.over(now);
        let flat: Vec<(Minute, OwnCounter, Counts)> = over
            .iter()
            .flat_map(|(minute, counts)| counts.iter().map(|(name, it)| (*minute, *name, *it)))
            .collect();
        if flat.is_empty() {
            return Ok(());
        }
        let mut tx = db.begin(&Scope::Region).await?;
        sqlx::query(
            "INSERT INTO slo_counts (tenant_uid, source_uid, counter, minute, total, bad) \
             SELECT $1, $2, counter, minute, total, bad \
             FROM unnest($3::text[], $4::bigint[], $5::bigint[], $6::bigint[]) \
             AS new (counter, minute, total, bad) ON CONFLICT DO NOTHING",
        )
        .bind(REGION)
        .bind(self.run)
        .bind(flat.iter().map(|(_, counter, _)| counter.as_str()).collect::<Vec<_>>())
        .bind(flat.iter().map(|(minute, ..)| minute.0).collect::<Vec<_>>())
        .bind(flat.iter().map(|(.., counts)| wide(counts.total)).collect::<Vec<_>>())
        .bind(flat.iter().map(|(.., counts)| wide(counts.bad)).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        for (minute, _) in over {
            minutes.remove(&minute);
        }
        Ok(())
    }

    /// Writes what is over, until it is stopped, and then what there is. `unjudged` counts
    /// sessions that were refused because nobody could judge whether they may start.
    pub async fn run(
        self: Arc<Self>,
        db: Database,
        unjudged: Arc<AtomicU64>,
        stop: CancellationToken,
    ) {
        let mut next = Minute::holding(Timestamp::now());
        let mut told = 0;
        loop {
            let stopped = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(PERIOD) => false,
            };
            let now = Minute::holding(Timestamp::now());
            let refused = unjudged.load(Ordering::Relaxed);
            for _ in told..refused {
                self.add(now, OwnCounter::SessionStarts, true);
            }
            told = refused;
            self.open(next, now);
            next = next.max(now);
            // The minute that a replica stops in is over for it.
            let until = if stopped { now.plus(1) } else { now };
            if let Err(error) = self.write(&db, until).await {
                tracing::debug!(%error, "what was counted is written later");
            }
            if stopped {
                return;
            }
        }
    }
}

/// Whether a gRPC code says that the daemon failed, and not that the caller asked wrongly.
fn is_our_fault(code: i32) -> bool {
    use tonic::Code;
    matches!(
        Code::from(code),
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

impl CallObserver for OwnCounters {
    fn finished(&self, method: &str, code: i32, took: Duration) {
        self.call(method, code, took, Timestamp::now());
    }
}
