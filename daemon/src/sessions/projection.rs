//! What the cluster shows of sessions, templates and homes, brought into the database: rows
//! that every replica reads, changes that watchers are told, and the facts of usage.
//!
//! The leader alone runs it, while the platform says that the cluster is the pinned one: a
//! list of another would end every session. It reads the cluster and writes to it never.
//!
//! ```text
//!  list ──► pages ──┐                       ┌─► rows, changes ─┐
//!                   ├─► sights ─► batches ──┤                  ├─ one transaction
//!  watch ─► news ───┘                       └─► facts of usage ┘
//!  probe ─► once both watches have come so far ─► everything before it is complete
//! ```
//!
//! Memory is never the truth. A term begins with a list, and so does the watch after it was
//! cut for too long; the keys of facts make it harmless that they come again. The rules of
//! lists and instants are those of `streamspace_core::usage`.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim};
use kube::{Api, core::ApiResource};
use streamspace_core::usage::{Refusal, Second};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::object::{HOME_LABEL, SeenHome, SeenMetadata, SeenSession};
use crate::{
    db::{ChangeLog, Database, DbError, Leadership, Scope, lease},
    kube::{Cluster, ClusterError, limited},
    platform::{
        Standing,
        resources::{Session, Template},
    },
    usage::facts as usage_facts,
};
use batch::Memory;
use clock::ApiClock;
use source::{Source, jittered};
use templates::TemplateIndex;

/// Tries a step until it succeeds. A macro, for what it tries may borrow anything.
macro_rules! persist {
    ($term:expr, $what:literal, $step:expr) => {{
        let mut trial = $crate::sessions::projection::Trial::of(&$term.board, $what);
        loop {
            match $step.await {
                Ok(done) => {
                    trial.succeeded();
                    break done;
                }
                Err(error) => trial.failed(&error).await,
            }
        }
    }};
}

mod batch;
mod board;
mod clock;
mod facts;
mod follow;
mod relist;
mod shown;
mod source;
mod templates;
#[cfg(test)]
mod tests;

pub use board::{ProjectionBoard, ProjectionState};

/// How long sessions wait for the first list of templates, from which they get what they do
/// not say themselves.
const TEMPLATES_WITHIN: Duration = Duration::from_secs(10);
/// Pauses after a fault.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// How often it is looked for a definition that is not installed.
const MISSING: Duration = Duration::from_secs(5);

/// How the projection works.
#[derive(Clone, Debug)]
pub struct ProjectionSettings {
    /// The name of this replica.
    pub replica: String,
    /// The namespace of the templates that all tenants share.
    pub catalogue_namespace: String,
    /// How many seconds a watch is asked to last. At its end the API server tells how far it
    /// has come.
    pub watch_seconds: u32,
    /// How often the API server is asked what time it is.
    pub probe_period: Duration,
}

impl ProjectionSettings {
    /// The usual settings.
    pub fn new(replica: impl Into<String>, catalogue_namespace: impl Into<String>) -> Self {
        Self {
            replica: replica.into(),
            catalogue_namespace: catalogue_namespace.into(),
            watch_seconds: 20,
            probe_period: Duration::from_secs(5),
        }
    }
}

/// Brings sessions, templates and homes into the database.
#[derive(Clone)]
pub struct SessionProjection {
    db: Database,
    cluster: Cluster,
    changes: ChangeLog,
    settings: ProjectionSettings,
    board: ProjectionBoard,
}

/// One sight of an object.
#[derive(Clone, Debug)]
enum Sight {
    Session { seen: Box<SeenSession>, gone: bool },
    Home { seen: Box<SeenHome>, gone: bool },
}

impl Sight {
    fn metadata(&self) -> &SeenMetadata {
        match self {
            Self::Session { seen, .. } => &seen.metadata,
            Self::Home { seen, .. } => &seen.metadata,
        }
    }

    fn is_gone(&self) -> bool {
        match self {
            Self::Session { gone, .. } | Self::Home { gone, .. } => *gone,
        }
    }
}

/// Why a step did not succeed.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Database(#[from] DbError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("another replica leads")]
    NotLeader,
}

impl From<sqlx::Error> for StepError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl StepError {
    /// Whether what is asked for is not there, as before a definition is installed.
    fn is_missing(&self) -> bool {
        matches!(self, Self::Cluster(ClusterError::Refused { code: 404, .. }))
    }
}

impl SessionProjection {
    /// Brings what `cluster` shows into `db`. The cluster is read with the daemon's own
    /// identity.
    pub fn new(
        db: Database,
        cluster: Cluster,
        changes: ChangeLog,
        settings: ProjectionSettings,
    ) -> Self {
        Self { db, cluster, changes, settings, board: ProjectionBoard::default() }
    }

    /// What is told of it. Take it before [`SessionProjection::run`].
    pub fn board(&self) -> ProjectionBoard {
        self.board.clone()
    }

    /// Works whenever this replica may act for the region, until it is stopped.
    pub async fn run(self, mut standing: watch::Receiver<Standing>, stop: CancellationToken) {
        let term_of = |standing: &Standing| standing.ready().map(|ready| ready.leader_term);
        loop {
            let leader_term = term_of(&standing.borrow_and_update());
            let work = async {
                match leader_term {
                    Some(leader_term) => self.term(leader_term).lead().await,
                    None => std::future::pending().await,
                }
            };
            let mut changed = standing.clone();
            let over = tokio::select! {
                () = stop.cancelled() => true,
                // An error: the platform's task ended, and with it the right to act.
                ended = changed.wait_for(|now| term_of(now) != leader_term) => ended.is_err(),
                () = work => false,
            };
            self.board.edit(|state| state.follows = false);
            if over {
                return;
            }
        }
    }

    fn term(&self, leader_term: i64) -> Arc<Term> {
        let client = || self.cluster.client().clone();
        let source = |resource, selector: Option<&str>| {
            Source::new(client(), resource, selector.map(str::to_owned))
        };
        let leadership =
            Leadership { replica: self.settings.replica.clone(), leader_term, leads: true };
        Arc::new(Term {
            db: self.db.clone(),
            cluster: self.cluster.clone(),
            changes: self.changes.clone(),
            settings: self.settings.clone(),
            board: self.board.clone(),
            leadership,
            sessions: source(ApiResource::erase::<Session>(&()), None),
            templates: source(ApiResource::erase::<Template>(&()), None),
            homes: source(ApiResource::erase::<PersistentVolumeClaim>(&()), Some(HOME_LABEL)),
            index: TemplateIndex::new(&self.settings.catalogue_namespace),
            clock: ApiClock::default(),
        })
    }
}

/// The work of one leader term.
struct Term {
    db: Database,
    cluster: Cluster,
    changes: ChangeLog,
    settings: ProjectionSettings,
    board: ProjectionBoard,
    leadership: Leadership,
    sessions: Source,
    templates: Source,
    homes: Source,
    index: TemplateIndex,
    clock: ApiClock,
}

impl Term {
    /// It ends only where a task of it broke, which none should.
    async fn lead(self: Arc<Self>) {
        let cluster = persist!(self, "begin", self.begin());
        let leader_term = self.leadership.leader_term;
        tracing::info!(leader_term, "following sessions");
        self.board.edit(|state| state.follows = true);
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&self).follow_templates());
        let term = Arc::clone(&self);
        tasks.spawn(async move {
            if !term.index.wait(TEMPLATES_WITHIN).await {
                tracing::warn!("the templates could not be listed yet; going on without");
            }
            let mut memory = Memory::of(cluster);
            loop {
                let from = persist!(term, "list", term.relist(&mut memory));
                term.follow(&mut memory, from).await;
            }
        });
        if let Some(Err(error)) = tasks.join_next().await {
            tracing::error!(%error, "a task of the projection ended; starting again");
        }
        // None of them ends by itself.
        sleep(Duration::from_secs(1)).await;
    }

    /// Takes the metering for this term. Returns which cluster it is.
    async fn begin(&self) -> Result<String, StepError> {
        let asked = Instant::now();
        let page = self.homes.page(1, None).await?;
        self.clock.told(page.date, asked);
        let namespaces: Api<Namespace> = Api::all(self.cluster.client().clone());
        let system = limited(namespaces.get("kube-system")).await?;
        let mut tx = self.leading().await?;
        usage_facts::lead(&mut tx, self.leadership.leader_term, page.date).await??;
        tx.commit().await?;
        self.clock.passed(Second(i64::MIN));
        Ok(system.metadata.uid.unwrap_or_default())
    }

    /// A transaction that commits only where this replica still leads.
    async fn leading(&self) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, StepError> {
        let mut tx = self.db.begin(&Scope::Region).await?;
        if lease::still_leads(&mut tx, &self.leadership).await? {
            Ok(tx)
        } else {
            Err(StepError::NotLeader)
        }
    }
}

/// Attempts at one step, with growing pauses. What hinders is told once.
struct Trial<'a> {
    board: &'a ProjectionBoard,
    what: &'static str,
    pause: Duration,
    hindered: bool,
}

impl<'a> Trial<'a> {
    fn of(board: &'a ProjectionBoard, what: &'static str) -> Self {
        Self { board, what, pause: BACKOFF.0, hindered: false }
    }

    fn succeeded(&self) {
        if self.hindered && self.board.fault("") {
            tracing::info!(what = self.what, "the projection of sessions goes on");
        }
    }

    async fn failed(&mut self, error: &StepError) {
        self.hindered = true;
        if self.board.fault(&error.to_string()) {
            if error.is_missing() {
                tracing::warn!(%error, "sessions are not installed in the cluster; waiting");
            } else {
                let what = self.what;
                tracing::warn!(what, %error, "the projection of sessions waits; trying on");
            }
        }
        sleep(if error.is_missing() { MISSING } else { jittered(self.pause) }).await;
        self.pause = (self.pause * 2).min(BACKOFF.1);
    }
}
