//! The loop that makes the cluster what sessions wish, where the daemon is their
//! controller.
//!
//! Only the leader runs it, and only while the platform says that it may write
//! ([`Standing::Ready`]); all writes go through the client in there, which carries the
//! leader term. Watches, changes of tenants and the time put a session into the queue. A
//! worker reads what is known of it, asks the rules of its life what must be done
//! ([`lifecycle::decide`]), writes what differs, and tells in the status what it saw. Every
//! step can be repeated.
//!
//! - A session that is as it should be costs no write, and no call either.
//! - Every session is held by a finalizer before anything is made of it, and let go once the
//!   end of its usage is stored.
//! - A template that changes ends nothing that runs: the session is made anew at its next
//!   start, or when it says something else itself.
//! - With another controller only the finalizer is the daemon's, and the suspension of
//!   tenants.
//!
//! [`lifecycle::decide`]: streamspace_core::session::lifecycle::decide

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use futures::future::BoxFuture;
use streamspace_core::{ids::TenantUid, session::SessionUid};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::config::{Controller, SessionConfig};
use crate::{
    db::{ChangeLog, Database, DbError, Leadership},
    kube::{
        Cluster, ClusterError, INSTANCE_LABEL, MANAGED_BY, MANAGED_BY_LABEL, RateLimit,
        events::Events, queue::WorkQueue,
    },
    platform::{Ready, Standing},
    usage::facts,
};

use cache::{Cache, Key, Watched};
use kept::Which;
use tenants::Tenants;

mod cache;
mod compare;
mod events;
mod external;
mod follow;
mod keep;
mod kept;
mod look;
mod metering;
mod observe;
mod read;
mod recognise;
mod templates;
mod tenants;
#[cfg(test)]
mod tests;
mod told;
mod writes;

/// The finalizer that holds every session until its usage is stored.
pub const METERING_FINALIZER: &str = "control.stream.space/metering";
/// The annotation with the last change of `spec.state` that the daemon made by itself.
pub const STATE_CHANGE_ANNOTATION: &str = "control.stream.space/state-change";
/// The annotation with what `spec.state` was before its tenant was suspended, where another
/// controller makes sessions run.
pub const STATE_BEFORE_ANNOTATION: &str = "control.stream.space/state-before-suspension";
/// The annotation with the sum of the wish that an object was applied for.
const WISH_ANNOTATION: &str = "control.stream.space/wish";

/// How long the first lists may take before it is told what is missing.
const LIST_PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How the reconciler works.
#[derive(Clone, Debug)]
pub struct ReconcilerSettings {
    /// The name of this installation in the cluster.
    pub instance: String,
    /// The name of this replica.
    pub replica: String,
    /// How sessions are made.
    pub sessions: SessionConfig,
    /// How often every session is looked at, whatever the watches tell.
    pub resync: Duration,
    /// How many writes a second the cluster gets; 0 for no limit.
    pub writes_per_second: u32,
}

impl ReconcilerSettings {
    /// The usual settings.
    pub fn new(
        instance: impl Into<String>,
        replica: impl Into<String>,
        sessions: SessionConfig,
    ) -> Self {
        Self {
            instance: instance.into(),
            replica: replica.into(),
            sessions,
            resync: Duration::from_mins(5),
            writes_per_second: 200,
        }
    }
}

/// Tells whether all of a session's usage is stored.
pub trait Metering: Send + Sync {
    /// Whether the end of its life is stored, so that its object may go.
    fn is_ended(
        &self,
        tenant: TenantUid,
        session: SessionUid,
    ) -> BoxFuture<'_, Result<bool, DbError>>;
}

/// The facts in the database tell.
impl Metering for Database {
    fn is_ended(
        &self,
        tenant: TenantUid,
        session: SessionUid,
    ) -> BoxFuture<'_, Result<bool, DbError>> {
        Box::pin(async move {
            let mut connection = self.operator().acquire().await?;
            facts::is_ended(&mut connection, tenant, session).await
        })
    }
}

/// Keeps the sessions of a region in its cluster.
#[derive(Clone)]
pub struct SessionReconciler {
    db: Database,
    cluster: Cluster,
    changes: ChangeLog,
    metering: Arc<dyn Metering>,
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
    /// A pause holds writes back.
    #[error("a pause holds the writes back")]
    Held,
    /// What was read is no longer what holds.
    #[error("the tenant has changed meanwhile")]
    Changed,
}

/// What a worker does with a key after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Done,
    LookAgain(Duration),
}

/// What a worker works on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Work {
    Session(Key),
    Template(Key),
}

impl SessionReconciler {
    /// Reconciles sessions in `cluster`, which is read with the daemon's own identity and
    /// written under the one that [`Standing`] brings. Sessions go when `metering` says so:
    /// that is `db`, but in tests.
    pub fn new(
        db: Database,
        cluster: Cluster,
        changes: ChangeLog,
        metering: Arc<dyn Metering>,
        settings: ReconcilerSettings,
    ) -> Self {
        Self { db, cluster, changes, metering, settings }
    }

    /// Works whenever this replica may write, until it is stopped.
    pub async fn run(self, mut standing: watch::Receiver<Standing>, stop: CancellationToken) {
        loop {
            let ready = standing.borrow_and_update().ready().cloned();
            let over = changed(standing.clone(), ready.as_ref().map(|it| it.leader_term));
            let work = async {
                match &ready {
                    Some(ready) => {
                        tracing::info!(leader_term = ready.leader_term, "reconciling sessions");
                        self.term(ready).lead().await;
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

    fn term(&self, ready: &Ready) -> Arc<Term> {
        let settings = self.settings.clone();
        let rate = RateLimit::per_second(settings.writes_per_second, settings.writes_per_second);
        let acting = ready.acting.clone().with_rate(rate.clone());
        Arc::new(Term {
            db: self.db.clone(),
            cluster: self.cluster.clone(),
            changes: self.changes.clone(),
            metering: Arc::clone(&self.metering),
            events: Events::new(acting.clone(), settings.replica.clone()),
            leadership: Leadership {
                replica: settings.replica.clone(),
                leader_term: ready.leader_term,
                leads: true,
            },
            reporters: settings.sessions.activity_reporters.iter().cloned().collect(),
            settings,
            acting,
            rate,
            queue: WorkQueue::default(),
            cache: Cache::default(),
            tenants: Tenants::default(),
            knows_less: AtomicBool::new(false),
        })
    }
}

/// The work of one leader term.
struct Term {
    db: Database,
    /// For reading.
    cluster: Cluster,
    /// For writing.
    acting: Cluster,
    rate: RateLimit,
    changes: ChangeLog,
    metering: Arc<dyn Metering>,
    settings: ReconcilerSettings,
    reporters: BTreeSet<String>,
    leadership: Leadership,
    queue: WorkQueue<Work>,
    cache: Cache,
    tenants: Tenants,
    events: Events,
    /// Whether the installed definition of sessions knows less of a status than ours.
    knows_less: AtomicBool,
}

impl Term {
    async fn lead(self: Arc<Self>) {
        // What is committed from here on is read from the log; what was before, now.
        let after = self.load_tenants().await;
        let mut tasks = JoinSet::new();
        for watched in Watched::ALL {
            let term = Arc::clone(&self);
            tasks.spawn(async move {
                // By what is known of sessions their objects are recognised.
                term.cache.wait_for(watched.follows()).await;
                term.follow(watched).await;
            });
        }
        tasks.spawn(Arc::clone(&self).follow_tenants(after));
        tasks.spawn(self.events.sender());
        // Without one of them a session that is well would look as if it were not.
        loop {
            let missing = self.cache.wait_synced(LIST_PATIENCE).await;
            if missing.is_empty() {
                break;
            }
            tracing::warn!(?missing, "sessions wait: not all could be listed yet");
        }
        tasks.spawn(Arc::clone(&self).pass_again_and_again());
        for _ in 0..self.settings.sessions.workers.max(1) {
            tasks.spawn(Arc::clone(&self).work());
        }
        while let Some(ended) = tasks.join_next().await {
            // None of them ends by itself; one that panicked must not leave the region
            // half alive, so the term's work starts anew.
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the sessions' reconciler ended; starting again");
                return;
            }
        }
    }

    /// What is watched: all that this installation makes of sessions.
    fn selector(&self) -> String {
        format!("{MANAGED_BY_LABEL}={MANAGED_BY},{INSTANCE_LABEL}={}", self.settings.instance)
    }

    fn is_builtin(&self) -> bool {
        self.settings.sessions.controller == Controller::Builtin
    }

    async fn pass_again_and_again(self: Arc<Self>) {
        loop {
            for key in self.cache.sessions(None, Which::All) {
                self.queue.add(Work::Session(key));
            }
            for key in self.cache.templates_of(None) {
                self.queue.add(Work::Template(key));
            }
            let period = self.settings.resync;
            tokio::time::sleep(period + period.saturating_mul(jitter_thousandths()) / 5000).await;
        }
    }

    async fn work(self: Arc<Self>) {
        loop {
            let work = self.queue.next().await;
            let step = match &work {
                Work::Session(key) => self.look(key).await,
                Work::Template(key) => self.look_at_template(key).await,
            };
            match step {
                Ok(Next::Done) => self.queue.done(&work),
                Ok(Next::LookAgain(delay)) => self.queue.again(work, delay),
                Err(StepError::Held) => {
                    let wait = LOOK_AGAIN + LOOK_AGAIN.saturating_mul(jitter_thousandths()) / 1000;
                    self.queue.again(work, wait);
                }
                Err(StepError::Changed) => self.queue.again(work, Duration::from_millis(50)),
                Err(error) => {
                    let delay = self.queue.failed(work.clone(), jitter_thousandths());
                    tracing::warn!(?work, %error, retry_in = ?delay, "reconcile failed");
                }
            }
        }
    }
}

/// Returns when what may be written with is no longer what it was.
async fn changed(mut standing: watch::Receiver<Standing>, then: Option<i64>) {
    // An error: the platform's task ended, and with it the right to write.
    let _ended = standing.wait_for(|now| now.ready().map(|ready| ready.leader_term) != then).await;
}

/// A number in 0..1000, different from call to call.
fn jitter_thousandths() -> u32 {
    let random = Uuid::new_v4().as_u128() % 1000;
    u32::try_from(random).unwrap_or_default()
}
