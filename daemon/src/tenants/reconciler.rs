//! The loop that makes the cluster what the tenants' rows wish.
//!
//! Only the leader runs it, and only while the platform says that it may write
//! ([`Standing::Ready`]); all writes go through the client in there, which carries the
//! leader term. Three things put a tenant into the queue: the change log, a watch event
//! on one of its objects that is not as wished, and a pass over all tenants now and
//! then. A worker reads the row, compares the wish with what the index knows of the
//! cluster, writes what differs, and notes in the row what it saw. Every step can be
//! repeated, so a crash between any two of them costs nothing but the repetition.
//!
//! - A tenant of which the cluster has all costs no write, and a pass no call at all.
//! - Nothing is deleted because a row is absent; see [`strays`].
//! - What the cluster refuses of one object stops neither the tenant's others nor other
//!   tenants.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use streamspace_core::ids::TenantUid;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{TenantRecord, breaker::BreakerConfig, consequences, decide::Wish, store};
use crate::{
    db::{ChangeLog, Database, DbError, Leadership, Scope},
    kube::{
        Cluster, ClusterError, INSTANCE_LABEL, Kind, MANAGED_BY, MANAGED_BY_LABEL, RateLimit,
        events::Events, index::Index, queue::WorkQueue,
    },
    platform::{Features, Names, Ready, Standing},
};

mod events;
mod follow;
mod keep;
mod ledger;
mod note;
mod pass;
mod purge;
mod seen;
mod strays;

use ledger::Ledger;

/// Who writes what was observed, in the change log.
pub const ACTOR: &str = "streamspaced";

/// How long a term waits for the first lists while they bring nothing new, before it
/// looks at single objects instead.
const LIST_PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How the reconciler works.
#[derive(Clone, Debug)]
pub struct ReconcilerSettings {
    /// The name of this installation in the cluster.
    pub instance: String,
    /// The name of this replica.
    pub replica: String,
    /// How many tenants are worked on at once.
    pub workers: usize,
    /// How often every tenant is looked at, whatever the watches tell.
    pub resync: Duration,
    /// How many writes a second the cluster gets; 0 for no limit.
    pub writes_per_second: u32,
    /// When the breaker trips.
    pub breaker: BreakerConfig,
}

impl ReconcilerSettings {
    /// The usual settings.
    pub fn new(instance: impl Into<String>, replica: impl Into<String>) -> Self {
        Self {
            instance: instance.into(),
            replica: replica.into(),
            workers: 16,
            resync: Duration::from_mins(5),
            writes_per_second: 200,
            breaker: BreakerConfig::default(),
        }
    }
}

/// What a tenant should have in a cluster with these features.
pub trait Wishes: Send + Sync {
    /// Every object, the namespace first. Pure: the same for the same input.
    fn of(&self, tenant: &TenantRecord, features: Features) -> Vec<Wish>;

    /// Those of one kind.
    fn of_kind(&self, tenant: &TenantRecord, features: Features, kind: Kind) -> Vec<Wish> {
        let mut wishes = self.of(tenant, features);
        wishes.retain(|wish| wish.kind == kind);
        wishes
    }
}

/// Keeps the tenants of a region in its cluster.
#[derive(Clone)]
pub struct TenantReconciler {
    db: Database,
    cluster: Cluster,
    changes: ChangeLog,
    wishes: Arc<dyn Wishes>,
    settings: ReconcilerSettings,
}

/// Why a step did not succeed.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Database(#[from] DbError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("{0}")]
    Refused(String),
    #[error("another replica leads")]
    NotLeader,
}

/// What stands above every tenant: whether this replica leads, why the region is paused,
/// why the breaker is open, and what time it is.
type Above = (bool, Option<String>, Option<String>, jiff_sqlx::Timestamp);

/// What a worker does with a key after a step.
enum Next {
    Done,
    LookAgain(Duration),
}

impl TenantReconciler {
    /// Reconciles the rows of `db` into `cluster`, which is read with the daemon's own
    /// identity and written under the one that [`Standing`] brings.
    pub fn new(
        db: Database,
        cluster: Cluster,
        changes: ChangeLog,
        wishes: Arc<dyn Wishes>,
        settings: ReconcilerSettings,
    ) -> Self {
        Self { db, cluster, changes, wishes, settings }
    }

    /// Works whenever this replica may write, until it is stopped.
    pub async fn run(self, mut standing: watch::Receiver<Standing>, stop: CancellationToken) {
        loop {
            let ready = standing.borrow_and_update().ready().cloned();
            let over = changed(standing.clone(), ready.as_ref().map(key));
            let work = async {
                match &ready {
                    Some(ready) => {
                        tracing::info!(leader_term = ready.leader_term, "reconciling tenants");
                        self.term(ready.clone()).lead().await;
                        // A task of it ended, which none should.
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                // Dropping the work aborts every worker with it.
                () = over => {}
                () = work => {}
            }
            if standing.has_changed().is_err() {
                return;
            }
        }
    }

    fn term(&self, ready: Ready) -> Arc<Term> {
        let (settings, db) = (self.settings.clone(), self.db.clone());
        let rate = RateLimit::per_second(settings.writes_per_second, settings.writes_per_second);
        let acting = ready.acting.with_rate(rate);
        let leadership = Leadership {
            replica: settings.replica.clone(),
            leader_term: ready.leader_term,
            leads: true,
        };
        Arc::new(Term {
            db,
            cluster: self.cluster.clone(),
            changes: self.changes.clone(),
            wishes: Arc::clone(&self.wishes),
            events: Events::new(acting.clone(), settings.replica.clone()),
            settings,
            acting,
            leadership,
            features: ready.features,
            queue: WorkQueue::default(),
            index: Index::default(),
            ledger: Ledger::default(),
            paused: AtomicBool::new(false),
        })
    }
}

/// The work of one leader term in a cluster with the same features.
struct Term {
    db: Database,
    /// For reading.
    cluster: Cluster,
    /// For writing.
    acting: Cluster,
    changes: ChangeLog,
    wishes: Arc<dyn Wishes>,
    settings: ReconcilerSettings,
    leadership: Leadership,
    features: Features,
    queue: WorkQueue<TenantUid>,
    index: Index,
    ledger: Ledger,
    /// Whether the region was paused when that was last looked at.
    paused: AtomicBool,
    events: Events,
}

impl Term {
    async fn lead(self: Arc<Self>) {
        // What is committed from here on is read from the log; what was before, now.
        let after = self.load().await;
        let mut tasks = JoinSet::new();
        for kind in Kind::ALL {
            tasks.spawn(Arc::clone(&self).follow_kind(kind));
        }
        tasks.spawn(Arc::clone(&self).follow_changes(after));
        tasks.spawn(self.events.sender());
        if !self.listed().await {
            tracing::warn!("not every kind of object could be listed yet; going on without");
        }
        tasks.spawn(Arc::clone(&self).pass_again_and_again());
        tasks.spawn(Arc::clone(&self).tick());
        for _ in 0..self.settings.workers.max(1) {
            tasks.spawn(Arc::clone(&self).work());
        }
        while let Some(ended) = tasks.join_next().await {
            // None of them ends by itself; one that panicked must not leave the region
            // half alive, so the term's work starts anew.
            if let Err(error) = ended {
                tracing::error!(%error, "a reconciler task ended; starting again");
                return;
            }
        }
    }

    /// Waits until every kind is listed, for as long as the lists bring anything:
    /// how long they take depends on how much there is. Returns whether they are.
    async fn listed(&self) -> bool {
        loop {
            let before = self.index.len();
            if self.index.wait_synced(LIST_PATIENCE).await {
                return true;
            }
            if self.index.len() == before {
                return false;
            }
        }
    }

    /// What is watched: all that this installation manages.
    fn selector(&self) -> String {
        format!("{MANAGED_BY_LABEL}={MANAGED_BY},{INSTANCE_LABEL}={}", self.settings.instance)
    }

    /// The namespace of the installation itself, which is managed and no tenant's.
    fn control_namespace(&self) -> String {
        Names::new(&self.settings.instance).control_namespace()
    }

    async fn work(self: Arc<Self>) {
        loop {
            let uid = self.queue.next().await;
            match self.reconcile(uid).await {
                Ok(Next::Done) => self.queue.done(&uid),
                Ok(Next::LookAgain(delay)) => self.queue.again(uid, delay),
                Err(error) => {
                    let delay = self.queue.failed(uid, jitter_thousandths());
                    tracing::warn!(tenant_uid = %uid.0, %error, retry_in = ?delay, "reconcile failed");
                }
            }
        }
    }

    /// One look at one tenant.
    async fn reconcile(&self, uid: TenantUid) -> Result<Next, StepError> {
        let Some(read) = self.read(uid).await? else {
            self.ledger.forget(uid);
            return Ok(Next::Done);
        };
        let result = match read.course {
            Course::Keep => self.keep(&read).await,
            Course::Purge => self.purge(&read).await,
        };
        if let Err(StepError::Cluster(error)) = &result {
            self.note_failure(&read, error).await?;
        }
        result
    }

    /// Reads the row and what stands above it; `None` where the tenant is gone.
    async fn read(&self, uid: TenantUid) -> Result<Option<Read>, StepError> {
        let told = self.ledger.told(uid);
        let mut connection = self.db.operator().acquire().await.map_err(DbError::from)?;
        // Ends are judged by the clock that all replicas share.
        let (leads, region_pause, breaker, now): Above = sqlx::query_as(
            "SELECT EXISTS (SELECT FROM leader WHERE leader_term = $1 AND replica = $2), \
                        (SELECT pause_reason FROM region_controls \
                         WHERE pause_time IS NOT NULL \
                           AND (pause_until IS NULL OR pause_until > now())), \
                        (SELECT message FROM breaker WHERE trip_time IS NOT NULL \
                           AND (release_time IS NULL OR release_time < trip_time)), \
                        clock_timestamp()",
        )
        .bind(self.leadership.leader_term)
        .bind(&self.leadership.replica)
        .fetch_one(&mut *connection)
        .await
        .map_err(DbError::from)?;
        if !leads {
            return Err(StepError::NotLeader);
        }
        let Some(tenant) = store::by_uid(&mut connection, uid).await? else { return Ok(None) };
        let course = match tenant.state {
            streamspace_core::tenant::TenantState::Gone => return Ok(None),
            streamspace_core::tenant::TenantState::Purging => Course::Purge,
            _ => Course::Keep,
        };
        let sum = ledger::sum_of(&tenant, self.features);
        let now = now.to_jiff();
        let pause = match tenant.pause.as_ref().filter(|pause| now < pause.until) {
            Some(pause) => Some(Hold {
                words: format!(
                    "{} paused the tenant until {}: {}",
                    pause.actor,
                    consequences::seconds(pause.until),
                    pause.reason
                ),
                of_tenant: true,
                remaining: pause.until.duration_since(now).try_into().ok(),
            }),
            None => region_pause.map(|reason| Hold {
                words: format!("the region is paused: {reason}"),
                of_tenant: false,
                remaining: None,
            }),
        };
        Ok(Some(Read { tenant: self.ledger.put(tenant), course, sum, pause, breaker, told }))
    }

    /// Reads every tenant. Returns the revision up to which the change log tells nothing
    /// that is not in there.
    async fn load(&self) -> i64 {
        loop {
            match self.load_once().await {
                Ok(revision) => return revision,
                Err(error) => {
                    tracing::warn!(%error, "the tenants cannot be read; trying again");
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
        }
    }

    async fn load_once(&self) -> Result<i64, DbError> {
        let mut tx = self.db.begin(&Scope::Region).await?;
        let revision =
            sqlx::query_scalar("SELECT revision FROM change_sequence").fetch_one(&mut *tx).await?;
        for tenant in store::list(&mut tx, false).await? {
            self.ledger.put(tenant);
        }
        Ok(revision)
    }
}

/// A row as a worker read it, and what stood above it.
struct Read {
    tenant: Arc<TenantRecord>,
    course: Course,
    /// The sum of the wish.
    sum: crate::kube::index::Digest,
    pause: Option<Hold>,
    /// Why nothing may be deleted, while that is so.
    breaker: Option<String>,
    /// What the ledger was told of the row before it was read.
    told: u64,
}

/// Where a tenant goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Course {
    Keep,
    Purge,
}

/// Why nothing is written.
struct Hold {
    words: String,
    /// The tenant's own pause, rather than the region's.
    of_tenant: bool,
    /// How long it lasts, where that is known. The end of the region's is told by the
    /// tick.
    remaining: Option<Duration>,
}

/// What must stay the same for a term's work to go on.
fn key(ready: &Ready) -> (i64, Features) {
    (ready.leader_term, ready.features)
}

/// Returns when what may be written with is no longer what it was.
async fn changed(mut standing: watch::Receiver<Standing>, then: Option<(i64, Features)>) {
    // An error: the platform's task ended, and with it the right to write.
    let _ended = standing.wait_for(|now| now.ready().map(key) != then).await;
}

fn jitter(span: Duration) -> Duration {
    span.saturating_mul(jitter_thousandths()) / 1000
}

/// A number in 0..1000, different from call to call.
fn jitter_thousandths() -> u32 {
    let random = Uuid::new_v4().as_u128() % 1000;
    u32::try_from(random).unwrap_or_default()
}

#[cfg(test)]
#[path = "reconciler/tests.rs"]
mod tests;
