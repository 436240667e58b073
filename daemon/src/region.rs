//! The composition root: builds every part of a region's daemon, starts them, and
//! stops them in order. The only file that knows all.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use prometheus_client::registry::Registry;
use streamspace_core::ids::RegionId;
use streamspace_proto::{
    policy,
    v1::{
        access_service_server::AccessServiceServer, approval_service_server::ApprovalServiceServer,
        audit_service_server::AuditServiceServer, bulk_service_server::BulkServiceServer,
        operation_service_server::OperationServiceServer, plan_service_server::PlanServiceServer,
        quota_service_server::QuotaServiceServer, region_service_server::RegionServiceServer,
        simulator_service_server::SimulatorServiceServer,
        tenant_service_server::TenantServiceServer, watch_service_server::WatchServiceServer,
    },
};
use thiserror::Error;
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;

use crate::{
    access::{
        self, Access, AccessParts, Authority, AuthorityError, AuthorityFiles, Serving, Standings,
        serving::ServingError, trust::TrustFollower,
    },
    approvals::service::Approvals,
    audit::{self, Audit, AuditLog},
    bulk::{
        change::Work,
        runner::{self, Parts as RunnerParts},
        service::Bulk,
    },
    config::Config,
    db::{
        ChangeLog, Database, DbError, LeaderLease, Leadership,
        catalogue::{self, CatalogueError},
        migrate::{self, MigrateError},
        replicas, requests,
    },
    kube::Cluster,
    operations::service::Operations,
    plans::service::Plans,
    platform::reconciler::PlatformReconciler,
    quotas::service::Quotas,
    regions::{
        self,
        controls::{BreakerTerms, ControlsFollower},
        health::HealthBoard,
        probes,
        service::Regions,
    },
    rpc::{
        self,
        ends::EndLog,
        peer::{CertificateStatus, PeerError, PeerJudge},
        server::{self, Layers},
    },
    simulator::{FaultBoard, service::Simulations},
    telemetry::{
        http,
        metrics::{Metrics, RegionCollector},
    },
    tenants::{
        Directory, ManifestWishes, expiry,
        manifests::Surroundings,
        reconciler::{ReconcilerSettings, TenantReconciler},
        service::Tenants,
    },
    watch::service::Watches,
};

const DATABASE_PATIENCE: Duration = Duration::from_secs(1);

/// Where a daemon listens, once it does and its database is ready.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// gRPC.
    pub grpc: SocketAddr,
    /// Metrics and health.
    pub http: SocketAddr,
}

/// Why a daemon does not start, or stopped by itself.
#[derive(Debug, Error)]
pub enum RegionError {
    /// The authority cannot be used.
    #[error("{0}; `streamspaced init` makes an authority")]
    Authority(#[from] AuthorityError),
    /// The daemon's own certificate cannot be made.
    #[error(transparent)]
    Serving(#[from] ServingError),
    /// The trust bundle cannot be used.
    #[error("the trust bundle: {0}")]
    Trust(#[from] PeerError),
    /// An address is taken.
    #[error("cannot listen on {address}: {source}; stop what listens there, or configure another")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The schema cannot be brought up to date.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The schema does not keep tenants apart.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DbError),
    /// A server ended.
    #[error("the server ended: {0}")]
    Server(#[from] std::io::Error),
}

/// What a development region brings along. A region that is run for good brings nothing.
#[derive(Debug, Default)]
pub struct Brought {
    /// How its simulated cluster fails.
    pub faults: Option<FaultBoard>,
    /// Where it listens, for clients and for metrics and health, where it does so already.
    pub sockets: Option<(std::net::TcpListener, std::net::TcpListener)>,
}

/// Runs the daemon until `stop`. `ready` is told once it serves and its database is there.
pub async fn run(
    config: Config,
    cluster: Cluster,
    brought: Brought,
    ready: Option<oneshot::Sender<Ready>>,
    stop: CancellationToken,
) -> Result<(), RegionError> {
    let parts = Parts::build(&config, cluster, brought.faults).await?;
    let (db, calls) = (parts.db.clone(), parts.calls.clone());
    let standings = Arc::clone(&parts.standings);
    let (grpc, http) = match brought.sockets {
        Some((grpc, http)) => (TcpListener::from_std(grpc)?, TcpListener::from_std(http)?),
        None => (listen(config.listen.grpc).await?, listen(config.listen.http).await?),
    };
    let listening = Ready { grpc: grpc.local_addr()?, http: http.local_addr()? };
    tracing::info!(
        region = %config.region, replica = config.replica,
        grpc = %listening.grpc, http = %listening.http, "listening"
    );

    // Stopped in this order: no new calls; the loops that act on what was committed;
    // what they stand on.
    let serving = stop.child_token();
    let acting = Stage::default();
    let standing = Stage::default();

    // How the region is can be asked from the first moment on, also while the database
    // is away.
    let metrics = parts.metrics();
    standing.spawn(http::serve(http, metrics.0, parts.board.clone(), standing.stop.clone()));
    standing.spawn(probes::run(
        parts.board.clone(),
        parts.db.clone(),
        parts.cluster.clone(),
        parts.leadership.clone(),
        parts.platform.standing(),
        standing.stop.clone(),
    ));
    let mut server = tokio::spawn(parts.serve(grpc, metrics.1, serving.clone()));

    let result = tokio::select! {
        prepared = prepare(&db, &config, &standings) => match prepared {
            Ok(()) => {
                parts.start(&acting, &standing);
                if let Some(ready) = ready {
                    // Whoever asked may have gone; that stops nothing.
                    let _asked = ready.send(listening);
                }
                ended(server.await)
            }
            Err(error) => Err(error),
        },
        result = &mut server => ended(result),
    };
    serving.cancel();
    calls.close();
    calls.wait().await;
    acting.end().await;
    standing.end().await;
    db.close().await;
    tracing::info!("stopped");
    result
}

fn ended(server: Result<std::io::Result<()>, tokio::task::JoinError>) -> Result<(), RegionError> {
    Ok(server.map_err(std::io::Error::other)??)
}

/// Tasks that are stopped together.
#[derive(Default)]
struct Stage {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Stage {
    fn spawn(&self, task: impl Future<Output: Send + 'static> + Send + 'static) {
        self.tasks.spawn(task);
    }

    async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// What a region's daemon is made of.
struct Parts {
    region: RegionId,
    replica: String,
    start_time: Timestamp,
    namespace_prefix: String,
    authority: Arc<Authority>,
    serving: Serving,
    judge: Arc<PeerJudge>,
    trust: TrustFollower,
    standings: Arc<Standings>,
    db: Database,
    changes: ChangeLog,
    lease: LeaderLease,
    leadership: watch::Receiver<Leadership>,
    audit: Arc<AuditLog>,
    cluster: Cluster,
    faults: Option<FaultBoard>,
    platform: PlatformReconciler,
    surroundings: Surroundings,
    settings: ReconcilerSettings,
    controls: ControlsFollower,
    board: HealthBoard,
    calls: TaskTracker,
}

impl Parts {
    async fn build(
        config: &Config,
        cluster: Cluster,
        faults: Option<FaultBoard>,
    ) -> Result<Self, RegionError> {
        let files = AuthorityFiles::in_folder(&config.access.directory);
        let authority = Arc::new(Authority::open(&files)?);
        let names = config.access.names.clone();
        let serving = Serving::start(Arc::clone(&authority), names, rpc::system_clock())?;
        let standings = Arc::new(Standings::new());
        let status: Arc<dyn CertificateStatus> = Arc::clone(&standings) as _;
        let judge = Arc::new(PeerJudge::new(authority.trust_bundle()?, status));
        let db = Database::connect(&config.database).await?;
        let lease = LeaderLease::new(db.clone(), config.replica.clone());
        Ok(Self {
            region: config.region.clone(),
            replica: config.replica.clone(),
            start_time: Timestamp::now(),
            namespace_prefix: config.tenants.namespace_prefix.clone(),
            authority,
            serving,
            trust: TrustFollower::new(files, Arc::clone(&judge)),
            judge,
            standings,
            changes: ChangeLog::new(db.clone()),
            leadership: lease.leadership(),
            lease,
            audit: Arc::new(AuditLog::new(
                db.clone(),
                config.replica.clone(),
                config.region.as_str(),
            )),
            platform: PlatformReconciler::new(db.clone(), cluster.clone(), &config.cluster),
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

    fn metrics(&self) -> (Registry, Metrics) {
        let mut registry = Registry::with_prefix("streamspace");
        let metrics = Metrics::new(&mut registry);
        registry.register_collector(Box::new(RegionCollector {
            board: self.board.clone(),
            leadership: self.leadership.clone(),
            revision: self.changes.latest(),
            break_glass: self.standings.active_grants(),
        }));
        (registry, metrics)
    }

    /// The gRPC server, until `stop`.
    fn serve(
        &self,
        listener: TcpListener,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> impl Future<Output = std::io::Result<()>> + Send + use<> {
        let layers = Layers {
            methods: policy::methods(),
            judge: Arc::clone(&self.judge),
            sink: Arc::clone(&self.audit) as _,
            observer: Arc::new(metrics),
            clock: rpc::system_clock(),
            calls: self.calls.clone(),
        };
        let services = self.services(&stop);
        server::serve(listener, self.serving.certificate(), layers, services, stop)
    }

    fn services(&self, stop: &CancellationToken) -> Routes {
        let db = || self.db.clone();
        let access = Access::new(AccessParts {
            authority: Arc::clone(&self.authority),
            database: db(),
            standings: Arc::clone(&self.standings),
            tenants: Arc::new(Directory::new(db())),
            region: self.region.clone(),
            methods: policy::methods(),
            clock: rpc::system_clock(),
        });
        let regions = Regions {
            region: self.region.clone(),
            replica: self.replica.clone(),
            start_time: self.start_time,
            cluster_endpoint: self.cluster.endpoint().to_owned(),
            board: self.board.clone(),
            leadership: self.leadership.clone(),
            revision: self.changes.latest(),
            db: db(),
            controls: self.controls.clone(),
        };
        let Work { tenants, quotas } = self.work();
        let operations = Operations::new(db(), self.changes.clone());
        let simulations = Simulations::new(self.faults.clone(), self.cluster.endpoint());
        let watches = Watches::new(db(), self.changes.clone(), stop.clone());
        let mut services = Routes::builder();
        services
            .add_service(AccessServiceServer::new(access))
            .add_service(ApprovalServiceServer::new(Approvals::new(db())))
            .add_service(AuditServiceServer::new(Audit::new(db())))
            .add_service(BulkServiceServer::new(Bulk { db: db(), work: self.work() }))
            .add_service(OperationServiceServer::new(operations))
            .add_service(PlanServiceServer::new(Plans::new(db())))
            .add_service(QuotaServiceServer::new(quotas))
            .add_service(RegionServiceServer::new(regions))
            .add_service(SimulatorServiceServer::new(simulations))
            .add_service(TenantServiceServer::new(tenants))
            .add_service(WatchServiceServer::new(watches));
        server::add_health_and_reflection(&mut services);
        services.routes()
    }

    /// The services that change one tenant.
    fn work(&self) -> Work {
        let tenants = Tenants {
            db: self.db.clone(),
            region: self.region.clone(),
            namespace_prefix: self.namespace_prefix.clone(),
            cluster: self.cluster.clone(),
            instance: self.surroundings.instance.clone(),
            wishes: Arc::new(ManifestWishes::new(self.surroundings.clone())),
            leadership: self.leadership.clone(),
        };
        Work { tenants, quotas: Quotas::new(self.db.clone(), self.cluster.clone()) }
    }

    /// Starts every loop.
    fn start(self, acting: &Stage, standing: &Stage) {
        let work = RunnerParts {
            db: self.db.clone(),
            changes: self.changes.clone(),
            work: self.work(),
            status: Arc::clone(&self.standings) as _,
            sink: Arc::clone(&self.audit) as _,
            clock: rpc::system_clock(),
        };
        acting.spawn(runner::run(work, self.leadership.clone(), acting.stop.clone()));
        let Self { db, changes, cluster, leadership, audit, standings, .. } = self;
        let ends = leadership.clone();
        // Told before it runs, so that no standing is missed.
        let may_write = self.platform.standing();
        acting.spawn(self.platform.run(leadership, acting.stop.clone()));
        let wishes = Arc::new(ManifestWishes::new(self.surroundings));
        let reconciler =
            TenantReconciler::new(db.clone(), cluster, changes.clone(), wishes, self.settings);
        let log = EndLog::new(Arc::clone(&audit) as _);
        acting.spawn(expiry::run(db.clone(), log.clone(), ends.clone(), acting.stop.clone()));
        let stopped = acting.stop.clone();
        acting.spawn(access::ends::run(db.clone(), log.clone(), ends.clone(), stopped));
        let stopped = acting.stop.clone();
        acting.spawn(regions::ends::run(db.clone(), log, self.region, ends, stopped));
        acting.spawn(reconciler.run(may_write, acting.stop.clone()));

        let stop = || standing.stop.clone();
        standing.spawn(changes.run(stop()));
        standing.spawn(self.controls.run(stop()));
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

/// Brings the schema up to date, checks that it keeps tenants apart, and reads who may do
/// nothing any more. While the database is away it waits for it.
async fn prepare(db: &Database, config: &Config, standings: &Standings) -> Result<(), RegionError> {
    loop {
        let unavailable = match migrate::run(&config.database.owner).await {
            Ok(()) => match catalogue::check(db.operator()).await {
                Err(CatalogueError::Database(error)) if error.is_unavailable() => error,
                checked => {
                    checked?;
                    match standings.refresh(db).await {
                        Err(error) if error.is_unavailable() => error,
                        read => return Ok(read?),
                    }
                }
            },
            Err(MigrateError::Database(error)) if error.is_unavailable() => error,
            Err(error) => return Err(error.into()),
        };
        tracing::warn!(error = %unavailable, "the database is away; waiting for it");
        tokio::time::sleep(DATABASE_PATIENCE).await;
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, RegionError> {
    TcpListener::bind(address).await.map_err(|source| RegionError::Listen { address, source })
}
