//! The parts of a region's daemon and its loops.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use prometheus_client::registry::Registry;
use streamspace_core::ids::RegionId;
use streamspace_proto::policy;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{RegionError, Stage};
use crate::{
    access::{self, Authority, AuthorityFiles, Serving, Standings, trust::TrustFollower},
    audit::{self, AuditLog},
    bulk::{
        runner::{self, Parts as RunnerParts},
        session::SessionWork,
    },
    config::Config,
    db::{ChangeLog, Database, LeaderLease, Leadership, replicas, requests},
    incidents::engine::Engine,
    kube::Cluster,
    maintenance::ends::Ends,
    notify::{self, Channels, NotifyCounters, Sender, SenderParts},
    platform::reconciler::PlatformReconciler,
    regions::{
        self,
        controls::{BreakerTerms, ControlsFollower},
        health::HealthBoard,
    },
    rpc::{
        self,
        ends::EndLog,
        observe::CallObserver,
        peer::{CertificateStatus, PeerJudge},
        server::{self, Layers},
    },
    sessions::{
        config::Controller,
        manifests::SESSION_LABEL,
        projection::{ProjectionSettings, SessionProjection},
        reconciler::{self as session_reconciler, SessionReconciler},
        reservations::{self, Admission},
        webhook::{self, reach},
    },
    simulator::FaultBoard,
    slo::{Evaluator, EvaluatorParts, config::SloConfig, own::OwnCounters},
    telemetry::{
        backup::{BackupBoard, BackupCollector},
        metrics::{Metrics, RegionCollector},
        notify::{NotifyBoard, NotifyCollector},
        resources::{DiskBoard, ResourceCollector},
        usage::{UsageBoard, UsageCollector},
    },
    tenants::{
        ManifestWishes, expiry,
        manifests::Surroundings,
        reconciler::{ReconcilerSettings, TenantReconciler},
    },
    usage::{
        self, UsageCounters,
        actual::{ActualUse, Selector},
        config::UsageConfig,
    },
    watchdog::{self, Watchdog},
};

/// What a region's daemon is made of.
pub(super) struct Parts {
    pub(super) region: RegionId,
    pub(super) replica: String,
    pub(super) start_time: Timestamp,
    pub(super) namespace_prefix: String,
    pub(super) authority: Arc<Authority>,
    pub(super) serving: Arc<Serving>,
    pub(super) judge: Arc<PeerJudge>,
    pub(super) trust: Arc<TrustFollower>,
    pub(super) standings: Arc<Standings>,
    pub(super) db: Database,
    pub(super) changes: ChangeLog,
    pub(super) lease: LeaderLease,
    pub(super) leadership: watch::Receiver<Leadership>,
    pub(super) audit: Arc<AuditLog>,
    pub(super) cluster: Cluster,
    pub(super) faults: Option<FaultBoard>,
    pub(super) platform: PlatformReconciler,
    pub(super) projection: SessionProjection,
    pub(super) sessions: session_reconciler::ReconcilerSettings,
    pub(super) admission: Admission,
    pub(super) webhook: Option<TcpListener>,
    pub(super) usage: UsageConfig,
    pub(super) slo: SloConfig,
    pub(super) channels: Channels,
    pub(super) inbound: Option<(TcpListener, PathBuf)>,
    pub(super) notices: Arc<NotifyCounters>,
    pub(super) notify_board: NotifyBoard,
    pub(super) backup_board: BackupBoard,
    pub(super) counters: Arc<UsageCounters>,
    pub(super) usage_board: UsageBoard,
    pub(super) disk: DiskBoard,
    pub(super) surroundings: Surroundings,
    pub(super) settings: ReconcilerSettings,
    pub(super) controls: ControlsFollower,
    pub(super) board: HealthBoard,
    pub(super) calls: TaskTracker,
}

/// Who is told of each call.
#[derive(Clone)]
pub(super) struct Observers {
    metrics: Metrics,
    pub(super) own: Arc<OwnCounters>,
}

impl CallObserver for Observers {
    fn finished(&self, method: &str, code: i32, took: Duration) {
        self.metrics.finished(method, code, took);
        self.own.finished(method, code, took);
    }
}

impl Parts {
    pub(super) async fn build(
        config: &Config,
        cluster: Cluster,
        faults: Option<FaultBoard>,
    ) -> Result<Self, RegionError> {
        let files = AuthorityFiles::in_folder(&config.access.directory);
        let authority = Arc::new(Authority::open(&files)?);
        let mut names = config.access.names.clone();
        names.extend(reach::name(&config.sessions.webhook));
        let serving = Arc::new(Serving::start(Arc::clone(&authority), names, rpc::system_clock())?);
        let standings = Arc::new(Standings::new());
        let status: Arc<dyn CertificateStatus> = Arc::clone(&standings) as _;
        let judge = Arc::new(PeerJudge::new(authority.trust_bundle()?, status));
        let webhook = match config.sessions.webhook.listen {
            Some(address) => Some(super::listen(address).await?),
            None => None,
        };
        let channels = Channels::new(&config.notify).map_err(RegionError::Notify)?;
        let told = &config.notify.inbound;
        let inbound = match (told.listen, &told.token_file) {
            (Some(address), Some(file)) => Some((super::listen(address).await?, file.clone())),
            _ => None,
        };
        let asked = reach::client(&config.sessions.webhook, authority.certificates())
            .map_err(RegionError::Webhook)?;
        let db = Database::connect(&config.database).await?;
        let lease = LeaderLease::new(db.clone(), config.replica.clone());
        let changes = ChangeLog::new(db.clone());
        let catalogue = &config.sessions.catalogue_namespace;
        let projection = SessionProjection::new(
            db.clone(),
            cluster.clone(),
            changes.clone(),
            ProjectionSettings::new(config.replica.clone(), catalogue.clone()),
        );
        Ok(Self {
            region: config.region.clone(),
            replica: config.replica.clone(),
            start_time: Timestamp::now(),
            namespace_prefix: config.tenants.namespace_prefix.clone(),
            authority,
            serving,
            trust: Arc::new(TrustFollower::new(files, Arc::clone(&judge))),
            judge,
            standings,
            changes,
            leadership: lease.leadership(),
            lease,
            audit: Arc::new(AuditLog::new(
                db.clone(),
                config.replica.clone(),
                config.region.as_str(),
            )),
            platform: PlatformReconciler::new(db.clone(), cluster.clone(), &config.cluster)
                .with_webhook(asked),
            projection,
            sessions: session_reconciler::ReconcilerSettings {
                writes_per_second: config.cluster.writes_per_second,
                ..session_reconciler::ReconcilerSettings::new(
                    config.cluster.instance.clone(),
                    config.replica.clone(),
                    config.sessions.clone(),
                )
            },
            admission: Admission::new(db.clone()),
            webhook,
            controls: ControlsFollower::new(
                db.clone(),
                BreakerTerms {
                    limit: config.tenants.breaker.limit,
                    window: config.tenants.breaker.window(),
                },
            ),
            db,
            cluster,
            faults,
            usage: config.usage.clone(),
            slo: config.slo.clone(),
            notices: Arc::new(NotifyCounters::new(&channels)),
            channels,
            inbound,
            notify_board: NotifyBoard::default(),
            backup_board: BackupBoard::default(),
            counters: Arc::default(),
            usage_board: UsageBoard::default(),
            disk: DiskBoard::new(config.access.directory.clone()),
            surroundings: Surroundings {
                instance: config.cluster.instance.clone(),
                control_namespace: format!("{}-system", config.cluster.instance),
                network: config.tenants.network.clone(),
                sessions_counted: false,
            },
            settings: ReconcilerSettings {
                instance: config.cluster.instance.clone(),
                replica: config.replica.clone(),
                workers: config.tenants.workers,
                resync: Duration::from_secs(config.tenants.resync_seconds.into()),
                writes_per_second: config.cluster.writes_per_second,
                breaker: config.tenants.breaker,
            },
            board: HealthBoard::new(Timestamp::now()),
            calls: TaskTracker::new(),
        })
    }

    pub(super) fn metrics(&self) -> (Registry, Observers) {
        let mut registry = Registry::with_prefix("streamspace");
        let metrics = Metrics::new(&mut registry);
        registry.register_collector(Box::new(RegionCollector {
            board: self.board.clone(),
            leadership: self.leadership.clone(),
            revision: self.changes.latest(),
            break_glass: self.standings.active_grants(),
        }));
        registry.register_collector(Box::new(UsageCollector {
            board: self.usage_board.clone(),
            counters: Arc::clone(&self.counters),
        }));
        registry.register_collector(Box::new(NotifyCollector {
            board: self.notify_board.clone(),
            counters: Arc::clone(&self.notices),
        }));
        registry.register_collector(Box::new(BackupCollector { board: self.backup_board.clone() }));
        registry.register_collector(Box::new(ResourceCollector {
            db: self.db.clone(),
            server_expires: self.serving.expires(),
            authority_expires: self.authority.expires(),
            disk: self.disk.clone(),
        }));
        let own = Arc::new(OwnCounters::new(&policy::methods(), &mut registry));
        (registry, Observers { metrics, own })
    }

    /// The gRPC server, until `stop`.
    pub(super) fn serve(
        &self,
        listener: TcpListener,
        observers: Observers,
        stop: CancellationToken,
    ) -> impl Future<Output = std::io::Result<()>> + Send + use<> {
        let layers = Layers {
            methods: policy::methods(),
            judge: Arc::clone(&self.judge),
            sink: Arc::clone(&self.audit) as _,
            observer: Arc::new(observers),
            clock: rpc::system_clock(),
            calls: self.calls.clone(),
        };
        let services = self.services(&stop);
        server::serve(listener, self.serving.certificate(), layers, services, stop)
    }

    /// What measures actual use. The pods of another controller carry no label of ours.
    fn actual_use(&self) -> ActualUse {
        let selector = match self.sessions.sessions.controller {
            Controller::Builtin => Selector::Label(SESSION_LABEL.to_owned()),
            Controller::External => Selector::All,
        };
        ActualUse::new(self.db.clone(), self.cluster.clone(), selector, &self.usage.actual)
    }

    /// Starts what sees that somebody is needed, and calls them.
    fn on_duty(&self, own: &Arc<OwnCounters>, acting: &Stage, standing: &Stage) {
        let (clock, region) = (rpc::system_clock, self.region.as_str());
        let leadership = || self.leadership.clone();
        let watchdog = Watchdog::new(watchdog::Parts {
            db: self.db.clone(),
            clock: clock(),
            replica: self.replica.clone(),
            own: Arc::clone(own),
            disk: self.disk.clone(),
            server_expires: self.serving.expires(),
            authority_expires: self.authority.expires(),
            channels: self.channels.clone(),
        });
        standing.spawn(watchdog.run(leadership(), standing.stop.clone()));
        let incidents = Engine::new(self.db.clone(), clock(), region, self.channels.clone());
        acting.spawn(incidents.run(leadership(), acting.stop.clone()));
        let log = EndLog::new(Arc::clone(&self.audit) as _);
        let channels = self.channels.clone();
        let maintenances = Ends::new(self.db.clone(), log, clock(), region, channels);
        acting.spawn(maintenances.run(leadership(), acting.stop.clone()));
    }

    /// Starts every loop.
    pub(super) fn start(self, own: Arc<OwnCounters>, acting: &Stage, standing: &Stage) {
        let work = RunnerParts {
            db: self.db.clone(),
            changes: self.changes.clone(),
            work: self.work(),
            sessions: SessionWork::new(self.admission.clone(), self.platform.standing()),
            status: Arc::clone(&self.standings) as _,
            sink: Arc::clone(&self.audit) as _,
            clock: rpc::system_clock(),
        };
        acting.spawn(runner::run(work, self.leadership.clone(), acting.stop.clone()));
        self.on_duty(&own, acting, standing);
        let actual = self.actual_use();
        let unjudged = self.admission.unjudged();
        let Self { db, changes, cluster, leadership, audit, standings, .. } = self;
        let ends = leadership.clone();
        // Told before it runs, so that no standing is missed.
        let may_write = self.platform.standing();
        let (leads, proved) = (leadership.clone(), may_write.clone());
        // Another cluster than the pinned one measures nothing of these tenants.
        let measures = move || {
            let now = leads.borrow().clone();
            let term = proved.borrow().ready().map(|ready| ready.leader_term);
            (now.leads && term == Some(now.leader_term)).then_some(now)
        };
        acting.spawn(actual.run(measures, acting.stop.clone()));
        acting.spawn(self.platform.run(leadership, acting.stop.clone()));
        let wishes = Arc::new(ManifestWishes::new(self.surroundings));
        let reconciler = TenantReconciler::new(
            db.clone(),
            cluster.clone(),
            changes.clone(),
            wishes,
            self.settings,
        );
        let sessions = SessionReconciler::new(
            db.clone(),
            cluster,
            changes.clone(),
            Arc::new(db.clone()),
            self.sessions,
        );
        acting.spawn(self.projection.run(may_write.clone(), acting.stop.clone()));
        acting.spawn(sessions.run(may_write.clone(), acting.stop.clone()));
        if let Some(listener) = self.webhook {
            let certificate = self.serving.certificate();
            let answering =
                webhook::serve(listener, certificate, self.admission, acting.stop.clone());
            acting.spawn(async move {
                if let Err(error) = answering.await {
                    tracing::error!(%error, "the webhook ended; no session starts by this replica");
                }
            });
        }
        acting.spawn(usage::run(
            db.clone(),
            self.usage,
            self.counters,
            ends.clone(),
            acting.stop.clone(),
        ));
        let evaluator = Evaluator::new(EvaluatorParts {
            db: db.clone(),
            config: self.slo,
            clock: rpc::system_clock(),
        });
        acting.spawn(evaluator.run(ends.clone(), acting.stop.clone()));
        let sender = Sender::new(SenderParts {
            db: db.clone(),
            channels: self.channels.clone(),
            counters: self.notices,
        });
        acting.spawn(sender.run(ends.clone(), acting.stop.clone()));
        hear(self.inbound, &db, acting);
        acting.spawn(reservations::run(db.clone(), ends.clone(), acting.stop.clone()));
        let log = EndLog::new(Arc::clone(&audit) as _);
        acting.spawn(expiry::run(db.clone(), log.clone(), ends.clone(), acting.stop.clone()));
        let stopped = acting.stop.clone();
        acting.spawn(access::ends::run(db.clone(), log.clone(), ends.clone(), stopped));
        let stopped = acting.stop.clone();
        acting.spawn(regions::ends::run(db.clone(), log, self.region, ends, stopped));
        acting.spawn(reconciler.run(may_write, acting.stop.clone()));

        let stop = || standing.stop.clone();
        standing.spawn(changes.run(stop()));
        standing.spawn(own.run(db.clone(), unjudged, stop()));
        standing.spawn(self.controls.run(stop()));
        standing.spawn(self.usage_board.run(db.clone(), stop()));
        standing.spawn(self.notify_board.run(db.clone(), self.channels, stop()));
        standing.spawn(self.backup_board.run(db.clone(), stop()));
        standing.spawn(self.disk.run(stop()));
        standing.spawn(self.lease.run(stop()));
        standing.spawn(self.serving.run(stop()));
        standing.spawn(self.trust.run(stop()));
        standing.spawn(Arc::clone(&audit).run_denials(stop()));
        standing.spawn(audit::sequencer::run(Arc::clone(&audit), stop()));
        standing.spawn(audit::sweep::run(audit, stop()));
        let version = env!("CARGO_PKG_VERSION").to_owned();
        standing.spawn(replicas::run(db.clone(), self.replica, version, stop()));
        standing.spawn(requests::run(db.clone(), stop()));
        let stopped = stop();
        standing.spawn(async move { standings.run(&db, stopped).await });
    }
}

/// Serves Alertmanagers, where that is configured.
fn hear(inbound: Option<(TcpListener, PathBuf)>, db: &Database, acting: &Stage) {
    let Some((listener, token_file)) = inbound else { return };
    let serving = notify::inbound::serve(listener, token_file, db.clone(), acting.stop.clone());
    acting.spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "no Alertmanager reaches this replica any more");
        }
    });
}
