//! The loop that makes the cluster what the tenants' rows wish.
//!
//! Only the leader runs it. Three things put a tenant into the queue: the change log,
//! a watch event on its namespace, and a resync now and then. A worker reads the row
//! and the live object, asks [`super::decide`] for one step, takes it, and writes what
//! it saw back to the row. Every step can be repeated, so a crash between any two of
//! them costs nothing but the repetition.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use jiff::Timestamp;
use streamspace_core::{
    conditions::{self, Condition, ConditionStatus},
    ids::TenantUid,
    tenant::{Event, TenantState, advance},
};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    TenantRecord, convert,
    decide::{Obstacle, Step, next_step},
    store,
};
use crate::{
    db::{
        Database, DbError, Leadership, Scope,
        changes::{self, ChangeKind, ChangeLog, ChangeType},
        lease,
    },
    kube::{Cluster, ClusterError, Observed, TENANT_UID_LABEL, queue::WorkQueue, watch_managed},
    operations,
};

/// Who writes what was observed, in the change log.
pub const ACTOR: &str = "streamspaced";
/// The condition that tells of the namespace.
const NAMESPACE_READY: &str = "NamespaceReady";

const WORKERS: usize = 8;
const RESYNC_PERIOD: Duration = Duration::from_mins(5);
const LOOK_AGAIN: Duration = Duration::from_secs(5);
const CHANGE_BATCH: i64 = 500;

/// Keeps the tenants of a region in its cluster.
#[derive(Clone)]
pub struct TenantReconciler {
    db: Database,
    cluster: Cluster,
    changes: ChangeLog,
}

/// Why a step did not succeed.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Database(#[from] DbError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("another replica leads")]
    NotLeader,
}

/// What a worker does with a key after a step.
enum Next {
    Done,
    LookAgain,
}

impl TenantReconciler {
    /// Reconciles the rows of `db` into `cluster`.
    pub fn new(db: Database, cluster: Cluster, changes: ChangeLog) -> Self {
        Self { db, cluster, changes }
    }

    /// Works whenever this replica leads, until it is stopped.
    pub async fn run(self, mut leadership: watch::Receiver<Leadership>, stop: CancellationToken) {
        let me = Arc::new(self);
        loop {
            let now = leadership.borrow_and_update().clone();
            let term_over = leadership_lost(leadership.clone(), now.clone());
            let work = async {
                if now.leads {
                    tracing::info!(leader_term = now.leader_term, "reconciling tenants");
                    Arc::clone(&me).lead(now.clone()).await;
                } else {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                // Dropping the work aborts every worker with it.
                () = term_over => {}
                () = work => {}
            }
            if leadership.has_changed().is_err() {
                return;
            }
        }
    }

    async fn lead(self: Arc<Self>, leadership: Leadership) {
        let queue = WorkQueue::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&self).follow_changes(queue.clone()));
        tasks.spawn(Arc::clone(&self).follow_cluster(queue.clone()));
        tasks.spawn(Arc::clone(&self).resync(queue.clone()));
        for _ in 0..WORKERS {
            tasks.spawn(Arc::clone(&self).work(queue.clone(), leadership.clone()));
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

    async fn follow_changes(self: Arc<Self>, queue: WorkQueue<TenantUid>) {
        let mut latest = self.changes.latest();
        // What was committed before is covered by the resync that begins every term.
        let mut after = *latest.borrow_and_update();
        loop {
            match self.changes.read(&Scope::Region, after, CHANGE_BATCH).await {
                Ok(rows) => {
                    let full = i64::try_from(rows.len()).unwrap_or(0) >= CHANGE_BATCH;
                    for row in rows {
                        after = row.revision;
                        if row.kind == ChangeKind::Tenant {
                            queue.add(row.tenant_uid);
                        }
                    }
                    if full {
                        continue;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the change log cannot be read; trying again");
                    tokio::time::sleep(LOOK_AGAIN).await;
                    continue;
                }
            }
            if latest.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    async fn follow_cluster(self: Arc<Self>, queue: WorkQueue<TenantUid>) {
        let mut events = Box::pin(watch_managed(&self.cluster));
        while let Some(event) = events.next().await {
            match event {
                Observed::Namespace(namespace) => {
                    let label = namespace.metadata.labels.unwrap_or_default();
                    let uid = label.get(TENANT_UID_LABEL).map(|text| Uuid::try_parse(text));
                    match uid {
                        Some(Ok(uid)) => queue.add(TenantUid(uid)),
                        // A hand took or garbled the label: which tenant it was, only
                        // the rows can tell.
                        _ => self.add_all(&queue).await,
                    }
                }
                Observed::Synced => {}
                Observed::Broken(error) => {
                    tracing::warn!(%error, "the watch of the cluster broke; it is made anew");
                }
            }
        }
    }

    async fn resync(self: Arc<Self>, queue: WorkQueue<TenantUid>) {
        loop {
            self.add_all(&queue).await;
            tokio::time::sleep(RESYNC_PERIOD + jitter(RESYNC_PERIOD / 5)).await;
        }
    }

    async fn add_all(&self, queue: &WorkQueue<TenantUid>) {
        loop {
            match self.live_uids().await {
                Ok(uids) => {
                    for uid in uids {
                        queue.add(uid);
                    }
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "the tenants cannot be listed; trying again");
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
        }
    }

    async fn live_uids(&self) -> Result<Vec<TenantUid>, DbError> {
        let mut tx = self.db.begin(&Scope::Region).await?;
        store::live_uids(&mut tx).await
    }

    async fn work(self: Arc<Self>, queue: WorkQueue<TenantUid>, leadership: Leadership) {
        loop {
            let uid = queue.next().await;
            match self.reconcile(uid, &leadership).await {
                Ok(Next::Done) => queue.done(&uid),
                Ok(Next::LookAgain) => queue.again(uid, LOOK_AGAIN),
                Err(error) => {
                    let delay = queue.failed(uid, jitter_thousandths());
                    tracing::warn!(tenant_uid = %uid.0, %error, retry_in = ?delay, "reconcile failed");
                }
            }
        }
    }

    /// One step for one tenant.
    async fn reconcile(&self, uid: TenantUid, leadership: &Leadership) -> Result<Next, StepError> {
        let Some(tenant) = self.read(uid).await? else { return Ok(Next::Done) };
        if tenant.state == TenantState::Gone {
            return Ok(Next::Done);
        }
        let result = self.step(&tenant, leadership).await;
        if let Err(StepError::Cluster(error)) = &result {
            self.note_failure(&tenant, error, leadership).await?;
        }
        result
    }

    async fn step(
        &self,
        tenant: &TenantRecord,
        leadership: &Leadership,
    ) -> Result<Next, StepError> {
        let live = self.cluster.namespace(&tenant.namespace).await?;
        match next_step(tenant, live.as_ref()) {
            Step::Nothing => Ok(Next::Done),
            Step::Provisioned => {
                self.observe(tenant, Seen::Provisioned, leadership).await?;
                Ok(Next::Done)
            }
            Step::Apply(wish) => {
                // Forced writes must not come from a replica that was replaced.
                self.require_lead(leadership).await?;
                let repaired = tenant.state == TenantState::Active && live.is_some();
                self.cluster.apply_namespace(&wish).await?;
                if repaired {
                    tracing::info!(tenant = %tenant.spec.id, "drift repaired");
                }
                self.observe(tenant, Seen::Provisioned, leadership).await?;
                Ok(Next::Done)
            }
            Step::Delete => {
                self.require_lead(leadership).await?;
                if let Some(live) = &live {
                    self.cluster.delete_namespace(live).await?;
                }
                let words = Obstacle {
                    reason: "NamespaceTerminating".into(),
                    message: "the namespace is being deleted by the cluster".into(),
                };
                self.observe(tenant, Seen::InTheWay(words), leadership).await?;
                Ok(Next::LookAgain)
            }
            Step::Wait(obstacle) | Step::Blocked(obstacle) => {
                self.observe(tenant, Seen::InTheWay(obstacle), leadership).await?;
                Ok(Next::LookAgain)
            }
            Step::Empty => {
                self.observe(tenant, Seen::Empty, leadership).await?;
                Ok(Next::Done)
            }
        }
    }

    async fn read(&self, uid: TenantUid) -> Result<Option<TenantRecord>, DbError> {
        let mut tx = self.db.begin(&Scope::Region).await?;
        store::by_uid(&mut tx, uid).await
    }

    async fn require_lead(&self, leadership: &Leadership) -> Result<(), StepError> {
        let mut tx = self.db.begin(&Scope::Region).await?;
        if lease::still_leads(&mut tx, leadership).await? {
            Ok(())
        } else {
            Err(StepError::NotLeader)
        }
    }

    /// A failure is told on the tenant in the cluster's own words. While the cluster
    /// as a whole is away, a tenant that was well is not rewritten: the region says it.
    async fn note_failure(
        &self,
        tenant: &TenantRecord,
        error: &ClusterError,
        leadership: &Leadership,
    ) -> Result<(), StepError> {
        if error.is_conflict() {
            return Ok(());
        }
        let settled =
            tenant.observed_generation == tenant.generation && tenant.state != TenantState::Purging;
        if error.is_unavailable() && settled {
            return Ok(());
        }
        let words = Obstacle { reason: error.reason().to_owned(), message: error.to_string() };
        self.observe(tenant, Seen::InTheWay(words), leadership).await
    }

    /// Writes to the row what was seen of the tenant as it was read. Where the wish
    /// changed meanwhile nothing is written: the change put the tenant into the queue
    /// again.
    async fn observe(
        &self,
        read: &TenantRecord,
        seen: Seen,
        leadership: &Leadership,
    ) -> Result<(), StepError> {
        let mut tx = self.db.begin(&Scope::Region).await?;
        if !lease::still_leads(&mut tx, leadership).await? {
            return Err(StepError::NotLeader);
        }
        let Some(current) = store::lock_by_uid(&mut tx, read.uid).await? else { return Ok(()) };
        if current.generation != read.generation || current.state != read.state {
            return Ok(());
        }
        let tenant = seen.apply_to(&current, Timestamp::now());
        let progress = match &seen {
            Seen::InTheWay(obstacle) => Some(obstacle.message.as_str()),
            Seen::Provisioned | Seen::Empty => None,
        };
        if let (Some(words), TenantState::Purging) = (progress, tenant.state) {
            operations::progress(&mut tx, tenant.uid, operations::TENANT_DELETE, words, ACTOR)
                .await?;
        }
        if tenant == current {
            // Dropping the transaction would lose the operation's progress.
            tx.commit().await.map_err(DbError::from)?;
            return Ok(());
        }
        store::update(&mut tx, &tenant).await?;
        let change = if tenant.state == TenantState::Gone {
            operations::finish(&mut tx, tenant.uid, operations::TENANT_DELETE, ACTOR).await?;
            ChangeType::Deleted
        } else {
            ChangeType::Updated
        };
        changes::record(&mut tx, &convert::change(&tenant, change, ACTOR)).await?;
        tx.commit().await.map_err(DbError::from)?;
        if tenant.state != current.state {
            tracing::info!(tenant = %tenant.spec.id, from = %current.state, to = %tenant.state, "tenant moved on");
        }
        Ok(())
    }
}

/// What was seen of a tenant in the cluster.
enum Seen {
    Provisioned,
    InTheWay(Obstacle),
    Empty,
}

impl Seen {
    /// The row after this was seen. Equal to `current` where it tells nothing new.
    fn apply_to(&self, current: &TenantRecord, now: Timestamp) -> TenantRecord {
        let mut tenant = current.clone();
        let (status, reason, message, event) = match self {
            Self::Provisioned => (
                ConditionStatus::True,
                "Applied",
                format!("namespace {} is as wished", current.namespace),
                Some(Event::Provisioned),
            ),
            Self::InTheWay(obstacle) => {
                (ConditionStatus::False, obstacle.reason.as_str(), obstacle.message.clone(), None)
            }
            Self::Empty => (
                ConditionStatus::False,
                "Deleted",
                "the cluster holds nothing of this tenant".to_owned(),
                Some(Event::ClusterEmpty),
            ),
        };
        if let Some(Ok(state)) = event.map(|event| advance(current.state, event)) {
            tenant.state = state;
            tenant.observed_generation = current.generation;
        }
        conditions::set(
            &mut tenant.conditions,
            Condition {
                type_: NAMESPACE_READY.into(),
                status,
                reason: reason.into(),
                message,
                observed_generation: current.generation,
                last_transition_time: now,
            },
        );
        if tenant != *current {
            tenant.update_time = now;
        }
        tenant
    }
}

/// Returns when the leadership is no longer what it was.
async fn leadership_lost(mut leadership: watch::Receiver<Leadership>, then: Leadership) {
    // An error: the lease's task ended, and with it the right to lead.
    let _ended = leadership.wait_for(|now| *now != then).await;
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
mod tests {
    use super::*;
    use crate::tenants::store::testing::a_tenant;

    fn later() -> Timestamp {
        Timestamp::from_second(1000).unwrap()
    }

    #[test]
    fn what_is_seen_again_changes_nothing() {
        let tenant = Seen::Provisioned.apply_to(&a_tenant(), later());
        assert_eq!(tenant.state, TenantState::Active);
        assert_eq!(tenant.observed_generation, tenant.generation);
        let again = Timestamp::from_second(2000).unwrap();
        assert_eq!(Seen::Provisioned.apply_to(&tenant, again), tenant);
    }

    #[test]
    fn a_refusal_of_the_cluster_stands_in_the_condition_in_its_own_words() {
        let words = Obstacle { reason: "Forbidden".into(), message: "quota exceeded".into() };
        let tenant = Seen::InTheWay(words).apply_to(&a_tenant(), later());
        assert_eq!(tenant.state, TenantState::Provisioning);
        assert_eq!(tenant.conditions[0].reason, "Forbidden");
        assert_eq!(tenant.conditions[0].message, "quota exceeded");
        assert_eq!(tenant.observed_generation, 0);
    }

    #[test]
    fn absence_in_the_cluster_ends_only_a_purge() {
        let active = TenantRecord { state: TenantState::Active, ..a_tenant() };
        assert_eq!(Seen::Empty.apply_to(&active, later()).state, TenantState::Active);
        let purging = TenantRecord { state: TenantState::Purging, ..a_tenant() };
        assert_eq!(Seen::Empty.apply_to(&purging, later()).state, TenantState::Gone);
    }
}
