//! The composition root: builds every part of a region's daemon, starts them, and
//! stops them in order. The only place that knows all.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{net::TcpListener, sync::oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    access::{AuthorityError, Standings, serving::ServingError},
    config::Config,
    db::{
        Database, DbError,
        catalogue::{self, CatalogueError},
        migrate::{self, MigrateError},
    },
    kube::Cluster,
    regions::probes,
    rpc::peer::PeerError,
    simulator::FaultBoard,
    systemd::{Keeper, Manager},
    telemetry::http,
};
use parts::Parts;
use reload::Reloader;
pub use reload::Reloads;
use signs::RegionSigns;

mod followed;
mod parts;
mod reload;
mod services;
mod signs;

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
    /// The webhook is configured in contradiction.
    #[error("{0}")]
    Webhook(String),
    /// The channels are configured in contradiction.
    #[error("{0}")]
    Notify(String),
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

/// What whoever starts a region brings along.
#[derive(Debug, Default)]
pub struct Brought {
    /// How the simulated cluster of a development region fails.
    pub faults: Option<FaultBoard>,
    /// Where clients are heard, where that is open already. Else it is opened as the
    /// configuration says.
    pub grpc: Option<std::net::TcpListener>,
    /// Likewise for metrics and health.
    pub http: Option<std::net::TcpListener>,
    /// Who is told how the daemon is.
    pub manager: Manager,
    /// What asks for the configuration to be read anew.
    pub reloads: Option<Reloads>,
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
    let manager = brought.manager;
    let grpc = open(brought.grpc, config.listen.grpc).await?;
    let http = open(brought.http, config.listen.http).await?;
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
    // To the very end: what it tells is that the others still work at it.
    let keeping = Stage::default();

    // How the region is can be asked from the first moment on, also while the database
    // is away.
    let (registry, observers) = parts.metrics();
    let own = Arc::clone(&observers.own);
    standing.spawn(http::serve(http, registry, parts.board.clone(), standing.stop.clone()));
    standing.spawn(probes::run(
        parts.board.clone(),
        parts.db.clone(),
        parts.cluster.clone(),
        parts.leadership.clone(),
        parts.platform.standing(),
        {
            let (leadership, board) = (parts.leadership.clone(), parts.projection.board());
            move || followed::sessions(leadership.borrow().leads, &board.read())
        },
        standing.stop.clone(),
    ));
    let mut server = tokio::spawn(parts.serve(grpc, observers, serving.clone()));
    let keeper = Keeper::new(manager.clone(), RegionSigns::new(&parts, manager.watchdog()));

    let result = tokio::select! {
        prepared = prepare(&db, &config, &standings) => match prepared {
            Ok(()) => {
                if let Some(reloads) = brought.reloads {
                    let reloader = Reloader::new(&parts, &config, reloads, manager.clone());
                    standing.spawn(reloader.run(serving.clone()));
                }
                parts.start(own, &acting, &standing);
                keeping.spawn(keeper.run(serving.clone(), keeping.stop.clone()));
                if let Some(ready) = ready {
                    // Whoever asked may have gone; that stops nothing.
                    let _asked = ready.send(listening);
                }
                ended(server.await)
            }
            Err(error) => Err(error),
        },
        result = &mut server => ended(result),
        () = keeper.starting() => Ok(()),
    };
    serving.cancel();
    calls.close();
    calls.wait().await;
    acting.end().await;
    standing.end().await;
    db.close().await;
    keeping.end().await;
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

/// Brings the schema up to date, checks that it keeps tenants apart, and reads who may do
/// nothing any more. While the database is away it waits for it.
async fn prepare(db: &Database, config: &Config, standings: &Standings) -> Result<(), RegionError> {
    loop {
        let unavailable = match migrate::run(&config.database.owner).await {
            Ok(plan) => match catalogue::check(db.operator()).await {
                Err(CatalogueError::Database(error)) if error.is_unavailable() => error,
                checked => {
                    checked?;
                    if let Some(newest) = plan.newer.last() {
                        tracing::warn!(
                            migration = newest.number,
                            name = newest.name,
                            "the schema is of a newer version, which this one lives with"
                        );
                    }
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

/// What is open already, or the address.
async fn open(
    brought: Option<std::net::TcpListener>,
    address: SocketAddr,
) -> Result<TcpListener, RegionError> {
    match brought {
        Some(listener) => Ok(TcpListener::from_std(listener)?),
        None => listen(address).await,
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, RegionError> {
    TcpListener::bind(address).await.map_err(|source| RegionError::Listen { address, source })
}
