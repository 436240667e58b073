//! The loop of the leader over what a region has in the cluster beside its tenants.
//!
//! A term begins with the question whether this cluster is the pinned one, then the
//! cluster is closed to earlier terms, and only then may anything of tenants be written.

use std::time::{Duration, Instant};

use futures::{Stream, StreamExt as _, stream};
use k8s_openapi::api::{
    admissionregistration::v1::{
        ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
    },
    core::v1::{ConfigMap, Namespace},
};
use kube::{
    Api,
    runtime::{WatchStreamExt as _, watcher},
};
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{
    Blocked, Features, Ready, Standing, features,
    fence::{self, FenceError},
    keep::{self, Done, Exactly},
    manifests::{Manifests, WebhookClient, Wish},
    pin::{self, Pin, PinError},
    store,
};
use crate::{
    db::{Database, DbError, Leadership},
    kube::{Cluster, ClusterConfig, ClusterError},
};

/// How often a leader that may not write looks whether it may.
const RETRY: Duration = Duration::from_secs(1);
/// How often the definitions are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How often everything is looked at, whatever the watches tell.
const RESYNC: Duration = Duration::from_mins(1);

/// Keeps the cluster fenced and pinned, and tells whether tenants may be written.
pub struct PlatformReconciler {
    db: Database,
    cluster: Cluster,
    manifests: Manifests,
    standing: watch::Sender<Standing>,
}

/// Why a leader cannot, or must not, go on.
#[derive(Debug, Error)]
enum Hindrance {
    #[error("{}", .0.message)]
    Blocked(Blocked),
    #[error(transparent)]
    Pin(#[from] PinError),
    #[error(transparent)]
    Fence(#[from] FenceError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Database(#[from] DbError),
    #[error("a manifest of the daemon is not JSON: {0}")]
    Manifest(#[from] serde_json::Error),
}

/// What came of a look.
enum Looked {
    /// All is as wished.
    Kept,
    /// A pause holds the daemon's writes back, so that a hand can repair something.
    Paused,
}

impl PlatformReconciler {
    /// The loop for this cluster.
    pub fn new(db: Database, cluster: Cluster, config: &ClusterConfig) -> Self {
        let manifests = Manifests::new(config);
        Self { db, cluster, manifests, standing: watch::Sender::new(Standing::Waiting) }
    }

    /// Keeps the webhook that admits sessions as well, where there is one.
    #[must_use]
    pub fn with_webhook(self, webhook: Option<WebhookClient>) -> Self {
        Self { manifests: self.manifests.with_webhook(webhook), ..self }
    }

    /// Whether tenants may be written; it wakes with each change. Take it before
    /// [`PlatformReconciler::run`].
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Works while this replica leads, until stopped.
    pub async fn run(self, mut leadership: watch::Receiver<Leadership>, stop: CancellationToken) {
        loop {
            let held = leadership.borrow_and_update().clone();
            let term = async {
                if held.leads {
                    self.lead(&held).await;
                }
                std::future::pending::<()>().await;
            };
            let over = tokio::select! {
            () = stop.cancelled() => true,
            () = term => false,
            () = other_than(&mut leadership, &held) => false,
            };
            self.publish(Standing::Waiting);
            if over {
                return;
            }
        }
    }

    /// One term. It ends only from outside.
    async fn lead(&self, held: &Leadership) {
        loop {
            let hindrance = match self.enter(held).await {
                Ok(ready) => {
                    tracing::info!(leader_term = held.leader_term, "the cluster is fenced");
                    self.publish(Standing::Ready(ready.clone()));
                    self.maintain(ready).await
                }
                Err(hindrance) => hindrance,
            };
            let blocked = blocked(&hindrance);
            if self.publish(Standing::Blocked(blocked.clone())) {
                tracing::error!(
                    reason = blocked.reason,
                    message = blocked.message,
                    "the cluster is not written to"
                );
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn enter(&self, held: &Leadership) -> Result<Ready, Hindrance> {
        let leader_term = held.leader_term;
        if self.cluster.is_built_in() {
            // Nobody else reaches it, so there is nothing to pin or to fence.
            let (acting, features) = (self.cluster.clone(), features::look(&self.cluster).await?);
            return Ok(Ready { acting, leader_term, features });
        }
        let acting = self.cluster.acting(leader_term)?;
        let fresh = match pin::verify(&self.db, &acting, &self.manifests).await? {
            Pin::Pinned => false,
            Pin::Fresh => true,
            Pin::Mismatch(blocked) => return Err(Hindrance::Blocked(blocked)),
        };
        let features = features::look(&acting).await?;
        self.keep_all(&acting, leader_term, features, &mut Exactly::default()).await?;
        self.tell_of_a_stray_webhook(&acting).await;
        if self.cluster.is_fenced() {
            let raised = fence::raise(&self.cluster, &acting, &self.manifests, leader_term).await;
            if let Err(FenceError::Passed { accepted, .. }) = &raised {
                store::raise_leader_term(&self.db, held, *accepted).await?;
            }
            raised?;
        }
        if fresh {
            let pinned = pin::establish(&self.db, &acting, &self.manifests).await?;
            if let Pin::Mismatch(blocked) = pinned {
                return Err(Hindrance::Blocked(blocked));
            }
            tracing::info!(endpoint = self.cluster.endpoint(), "the cluster is pinned");
        }
        Ok(Ready { acting, leader_term, features })
    }

    /// Repairs what changes, until the cluster must not be written to any more.
    async fn maintain(&self, ready: Ready) -> Hindrance {
        if self.cluster.is_built_in() {
            return self.follow_features(ready).await;
        }
        let changed = Notify::new();
        let mut events = self.events(&ready.acting);
        let follow = async {
            while events.next().await.is_some() {
                changed.notify_one();
            }
        };
        tokio::select! {
            () = follow => Hindrance::Cluster(ClusterError::Unavailable("the watches ended".into())),
            hindrance = self.repair(ready, &changed) => hindrance,
        }
    }

    async fn repair(&self, mut ready: Ready, changed: &Notify) -> Hindrance {
        let mut settled = Exactly::default();
        let mut resynced = Instant::now();
        let mut owed = false;
        loop {
            owed |= tokio::select! {
                () = changed.notified() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            // What comes with them is made at once.
            owed |= self.look_at_features(&mut ready).await;
            if !owed && resynced.elapsed() < RESYNC {
                continue;
            }
            match self.look_after(&ready, &mut settled).await {
                Ok(Looked::Kept) => (owed, resynced) = (false, Instant::now()),
                // It is looked after once the pause is over.
                Ok(Looked::Paused) => owed = true,
                Err(hindrance @ Hindrance::Blocked(_)) => return hindrance,
                Err(error) => {
                    tracing::warn!(%error, "the cluster's fences cannot be looked after");
                    tokio::time::sleep(RETRY).await;
                    changed.notify_one();
                }
            }
        }
    }

    /// All that may change of a cluster that this process holds itself.
    async fn follow_features(&self, mut ready: Ready) -> Hindrance {
        loop {
            tokio::time::sleep(LOOK).await;
            self.look_at_features(&mut ready).await;
        }
    }

    /// Returns whether the cluster serves something else than before.
    async fn look_at_features(&self, ready: &mut Ready) -> bool {
        match features::look(&ready.acting).await {
            Ok(features) if features != ready.features => {
                tracing::info!(?features, "what the cluster serves has changed");
                ready.features = features;
                self.publish(Standing::Ready(ready.clone()));
                true
            }
            Ok(_) => false,
            Err(error) => {
                tracing::debug!(%error, "the definitions cannot be read");
                false
            }
        }
    }

    async fn look_after(&self, ready: &Ready, settled: &mut Exactly) -> Result<Looked, Hindrance> {
        let acting = &ready.acting;
        let pin = pin::verify(&self.db, acting, &self.manifests).await?;
        let paused = store::is_paused(&self.db).await?;
        match pin {
            Pin::Pinned => {}
            Pin::Mismatch(blocked) if blocked.reason != pin::MARK_MISSING => {
                return Err(Hindrance::Blocked(blocked));
            }
            Pin::Fresh | Pin::Mismatch(_) if paused => {}
            // It was here a moment ago, and it is the same cluster.
            Pin::Fresh | Pin::Mismatch(_) => {
                self.keep_all(acting, ready.leader_term, ready.features, settled).await?;
                tracing::warn!("the mark of the database in the cluster was gone; put back");
                pin::mark_again(&self.db, acting, &self.manifests).await?;
            }
        }
        if paused {
            return Ok(Looked::Paused);
        }
        self.keep_all(acting, ready.leader_term, ready.features, settled).await?;
        Ok(Looked::Kept)
    }

    async fn keep_all(
        &self,
        acting: &Cluster,
        leader_term: i64,
        features: Features,
        settled: &mut Exactly,
    ) -> Result<(), Hindrance> {
        let manifests = &self.manifests;
        let wish = manifests.control_namespace()?;
        tell(&wish, keep::keep(acting, &wish).await?);
        if self.cluster.is_fenced() {
            let wish = manifests.leader(leader_term)?;
            if keep::live(acting, &wish).await?.is_none() {
                keep::apply(acting, &wish, false).await?;
                tell(&wish, Done::Created);
            }
            let fence = manifests.fence()?;
            for wish in std::iter::once(fence).chain(manifests.policies()?) {
                tell(&wish, settled.keep(acting, &wish).await?);
            }
        }
        if let Some(wish) = manifests.sessions() {
            let wish = wish?;
            tell(&wish, settled.keep(acting, &wish).await?);
        }
        if features.karpenter {
            for wish in manifests.node_pools() {
                tell(&wish, keep::keep(acting, &wish).await?);
            }
        }
        Ok(())
    }

    /// A webhook that is there and not configured here is left: another replica may serve
    /// it, and without it limits hold no more. While nobody does, no session starts.
    async fn tell_of_a_stray_webhook(&self, acting: &Cluster) {
        if self.manifests.sessions().is_some() {
            return;
        }
        let wish = self.manifests.any_sessions();
        if let Ok(Some(_)) = keep::live(acting, &wish).await {
            tracing::warn!(
                object = wish.title(),
                "the cluster asks a webhook that is not configured here (sessions.webhook), and \
                 where no replica answers it, no session starts; if none shall, delete the \
                 object by hand, in the break-glass group"
            );
        }
    }

    /// Something happened to what is looked after.
    fn events(&self, acting: &Cluster) -> stream::SelectAll<stream::BoxStream<'static, ()>> {
        let names = self.manifests.names();
        let control = names.control_namespace();
        let client = || acting.client().clone();
        let labelled = || watcher::Config::default().labels(&names.selector());
        let this = watcher::Config::default().fields(&format!("metadata.name={control}"));
        let mut events = stream::select_all([
            told(watcher(Api::<Namespace>::all(client()), this)),
            told(watcher(
                Api::<ConfigMap>::namespaced(client(), &control),
                watcher::Config::default(),
            )),
            told(watcher(Api::<ValidatingAdmissionPolicy>::all(client()), labelled())),
            told(watcher(Api::<ValidatingAdmissionPolicyBinding>::all(client()), labelled())),
        ]);
        if self.manifests.sessions().is_some() {
            let webhooks = Api::<ValidatingWebhookConfiguration>::all(client());
            events.push(told(watcher(webhooks, labelled())));
        }
        events
    }

    /// Whether it was news.
    fn publish(&self, standing: Standing) -> bool {
        self.standing.send_if_modified(|current| {
            let differs = !same(current, &standing);
            if differs {
                *current = standing;
            }
            differs
        })
    }
}

/// A watch is only asked that something happened; what, the cluster is asked itself.
fn told<K: Send + 'static>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
) -> stream::BoxStream<'static, ()> {
    events
        .default_backoff()
        .filter_map(async |event| match event {
            Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_) | watcher::Event::InitDone) => {
                Some(())
            }
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => None,
            Err(error) => {
                tracing::debug!(%error, "a watch of the fences broke; it tries again");
                None
            }
        })
        .boxed()
}

fn tell(wish: &Wish, done: Done) {
    if done != Done::Unchanged {
        tracing::warn!(
            object = wish.title(),
            ?done,
            "the cluster differed from the wish; repaired"
        );
    }
}

async fn other_than(leadership: &mut watch::Receiver<Leadership>, held: &Leadership) {
    let same = |now: &Leadership| now.leads == held.leads && now.leader_term == held.leader_term;
    // The sender outlives the loops; without it there is nothing to wait for.
    if leadership.wait_for(|now| !same(now)).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn same(one: &Standing, other: &Standing) -> bool {
    match (one, other) {
        (Standing::Waiting, Standing::Waiting) => true,
        (Standing::Blocked(one), Standing::Blocked(other)) => one == other,
        (Standing::Ready(one), Standing::Ready(other)) => {
            one.leader_term == other.leader_term && one.features == other.features
        }
        _ => false,
    }
}

/// The hindrance for people.
fn blocked(hindrance: &Hindrance) -> Blocked {
    let cluster = |error: &ClusterError| match error {
        ClusterError::Refused { code: 403 | 404, .. } => Blocked {
            reason: "NotInstalled",
            message: format!(
                "{error}. The cluster is not prepared for this daemon, or for this version: run \
                 `streamspaced cluster install` as its administrator"
            ),
        },
        _ => Blocked { reason: "ClusterUnavailable", message: error.to_string() },
    };
    let reason = match hindrance {
        Hindrance::Blocked(blocked) => return blocked.clone(),
        Hindrance::Cluster(error)
        | Hindrance::Pin(PinError::Cluster(error))
        | Hindrance::Fence(FenceError::Cluster(error)) => return cluster(error),
        Hindrance::Fence(FenceError::Passed { .. }) => "TermPassed",
        Hindrance::Fence(FenceError::Open { .. }) => "FenceOpen",
        Hindrance::Database(_) | Hindrance::Pin(PinError::Database(_)) => "DatabaseUnavailable",
        Hindrance::Manifest(_)
        | Hindrance::Pin(PinError::Manifest(_))
        | Hindrance::Fence(FenceError::Manifest(_)) => "BrokenManifest",
    };
    Blocked { reason, message: hindrance.to_string() }
}
