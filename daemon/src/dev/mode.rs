//! The development region: a private PostgreSQL, a fresh authority, the simulator or
//! the cluster of a kubeconfig, and three sample tenants.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use streamspace_core::{access::Role, ids::RegionId};
use streamspace_sim::Simulator;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    anew, furnish,
    load::{self, LoadOptions},
    ports::{self, Sockets},
    postgres::PrivatePostgres,
    ssctl::Ssctl,
};
use crate::{
    access::{self, Authority, AuthorityFiles, Grant},
    config::{AccessConfig, Config, ListenConfig, TenantConfig, host_name},
    db::{Database, migrate},
    kube::{Cluster, ClusterConfig},
    notify::config::NotifyConfig,
    platform::{
        install::{self, InstallOptions},
        manifests::Manifests,
    },
    region::{self, Brought, Ready},
    sessions::{
        config::{SessionConfig, WebhookConfig},
        webhook,
    },
    simulator::{FaultBoard, config::FaultConfig, kubelet},
    slo::config::SloConfig,
    telemetry::logs::{self, LogConfig, LogFormat},
    usage::config::UsageConfig,
};

const SAMPLE_TENANTS: &str = include_str!("../../../packaging/dev/tenants.yaml");
const DATABASE: &str = "streamspace";
/// How long a pod of the built-in cluster takes to be ready.
const START_LATENCY: Duration = Duration::from_secs(1);
const TOKEN_LIFE: Duration = Duration::from_hours(1);

/// What `streamspaced dev` is asked for.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// Where everything is kept; it survives restarts.
    pub data_dir: PathBuf,
    /// Where the daemon listens for clients. Where it did before, or where there is room,
    /// if nothing is said.
    pub listen: Option<SocketAddr>,
    /// Where metrics and health are, likewise.
    pub http: Option<SocketAddr>,
    /// The cluster to manage. Without one, the simulator.
    pub cluster: ClusterConfig,
    /// How the simulator fails from the start on.
    pub faults: Vec<FaultConfig>,
    /// Who is told.
    pub notify: NotifyConfig,
    /// The name of the region.
    pub region: RegionId,
    /// The context that is made for `ssctl`.
    pub context: String,
    /// Whether to make the sample tenants at the first start.
    pub samples: bool,
    /// Whether to forget what is there, and begin anew.
    pub fresh: bool,
    /// Which load is made.
    pub load: LoadOptions,
    /// What to log.
    pub log_filter: String,
}

/// Runs a development region until `stop`.
pub async fn run(options: DevOptions, stop: CancellationToken) -> anyhow::Result<()> {
    let begin = Instant::now();
    let data_dir = std::path::absolute(&options.data_dir)?;
    fs::create_dir_all(&data_dir).with_context(|| {
        format!("cannot make {}; choose another folder with --data-dir", data_dir.display())
    })?;
    let _lock = lock(&data_dir)?;
    start_logs(&options)?;
    if options.fresh {
        let folder = data_dir.clone();
        tokio::task::spawn_blocking(move || anew::forget(&folder)).await??;
    }
    let sockets = ports::choose(&data_dir, options.listen, options.http)?;

    let postgres_dir = data_dir.join("postgres");
    let mut postgres =
        tokio::task::spawn_blocking(move || PrivatePostgres::start(&postgres_dir)).await??;
    let result = Box::pin(run_on(&postgres, &options, &data_dir, sockets, begin, stop)).await;
    tokio::task::spawn_blocking(move || postgres.stop()).await??;
    result
}

async fn run_on(
    postgres: &PrivatePostgres,
    options: &DevOptions,
    data_dir: &Path,
    sockets: Sockets,
    begin: Instant,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let database = migrate::setup(&postgres.superuser_url(), DATABASE).await?;
    let access_dir = data_dir.join("access");
    DirBuilder::new().recursive(true).mode(0o700).create(&access_dir)?;
    let files = AuthorityFiles::in_folder(&access_dir);
    if !files.key.exists() {
        Authority::create(&files, options.region.as_str(), Timestamp::now())?;
    }
    let mut sessions = SessionConfig::default();
    let (cluster, faults) = if options.cluster.kubeconfig.is_some() {
        let cluster = prepared(&options.cluster).await?;
        sessions.webhook = webhook_for(&cluster)?;
        (cluster, None)
    } else {
        let (cluster, faults) = simulator(data_dir)?;
        let (config, catalogue) = (&options.cluster, &sessions.catalogue_namespace);
        furnish::furnish(&cluster, config, catalogue, data_dir, options.samples).await?;
        let stand_in = kubelet::Options { controllers: true, latency: START_LATENCY };
        tokio::spawn(kubelet::run(cluster.client().clone(), stand_in, stop.clone()));
        for fault in &options.faults {
            fault.apply(&faults).map_err(anyhow::Error::msg)?;
        }
        (cluster, Some(faults))
    };
    let catalogue = sessions.catalogue_namespace.clone();
    let config = Config {
        region: options.region.clone(),
        replica: host_name(),
        listen: ListenConfig { grpc: sockets.grpc.local_addr()?, http: sockets.http.local_addr()? },
        database: database.clone(),
        cluster: options.cluster.clone(),
        access: AccessConfig { directory: access_dir, ..AccessConfig::default() },
        tenants: TenantConfig::default(),
        sessions,
        usage: UsageConfig::default(),
        slo: SloConfig { evaluate_seconds: 5, settle_seconds: 10, ..SloConfig::default() },
        notify: options.notify.clone(),
        log: LogConfig::default(),
    };
    let brought = Brought {
        faults,
        grpc: Some(sockets.grpc),
        http: Some(sockets.http),
        ..Brought::default()
    };
    let (ready, is_ready) = oneshot::channel();
    let region = region::run(config, cluster.clone(), brought, Some(ready), stop.clone());
    let welcome = async {
        let Ok(ready) = is_ready.await else { return Ok(()) };
        let db = Database::connect(&database).await?;
        let welcomed = welcome(options, data_dir, &db, &files, &ready)
            .await
            .and_then(|()| announce(options, data_dir, &cluster, &ready, begin.elapsed()));
        if welcomed.is_ok()
            && let Err(error) = load::run(&options.load, &db, &cluster, &catalogue, &stop).await
        {
            tracing::warn!(%error, "no load is made, or no more");
        }
        db.close().await;
        welcomed
    };
    let welcome_or_stop = async {
        let result = welcome.await;
        if result.is_err() {
            stop.cancel();
        }
        result
    };
    let (region, welcomed) = tokio::join!(region, welcome_or_stop);
    region?;
    welcomed
}

/// Logs go to standard error, and by default only what is wrong, so that the few lines
/// that help stay in sight.
fn start_logs(options: &DevOptions) -> anyhow::Result<()> {
    let config = LogConfig { format: LogFormat::Text, filter: options.log_filter.clone() };
    logs::start(&config).map(drop).map_err(anyhow::Error::msg)
}

/// One daemon on a folder: two would take each other's database away.
fn lock(data_dir: &Path) -> anyhow::Result<File> {
    let path = data_dir.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another `streamspaced dev` runs on {}; stop it, or give this one another folder with \
             --data-dir",
            data_dir.display()
        ),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// The cluster of a kubeconfig, prepared as an administrator would.
async fn prepared(config: &ClusterConfig) -> anyhow::Result<Cluster> {
    let cluster = Cluster::open(config).await?;
    let options = InstallOptions { definitions: true, dry_run: false };
    let say = |line: &str| tracing::info!("{line}");
    install::install(&cluster, &Manifests::new(config), options, say).await?;
    Ok(cluster)
}

/// How an API server on this machine asks whether a session may start. One elsewhere does
/// not reach this region, and a webhook that it cannot reach would refuse every session.
fn webhook_for(cluster: &Cluster) -> anyhow::Result<WebhookConfig> {
    let uri: http::Uri = cluster.endpoint().parse().unwrap_or_default();
    if !matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]")) {
        return Ok(WebhookConfig::default());
    }
    // Whoever takes the port in between makes the start fail, and the next one finds another.
    let listen = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    let url = Some(format!("https://{listen}{}", webhook::PATH));
    Ok(WebhookConfig { listen: Some(listen), url, service: None })
}

/// The built-in cluster, and how it is made to fail.
fn simulator(data_dir: &Path) -> anyhow::Result<(Cluster, FaultBoard)> {
    let folder = data_dir.join("cluster");
    let simulator = Simulator::open(&folder)?;
    let board = FaultBoard::new(simulator.faults().clone());
    Ok((Cluster::from_client(simulator.client(), "the built-in simulator"), board))
}

/// Makes the context and, the first time, the sample tenants, both as a person would.
async fn welcome(
    options: &DevOptions,
    data_dir: &Path,
    db: &Database,
    files: &AuthorityFiles,
    ready: &Ready,
) -> anyhow::Result<()> {
    let Some(ssctl) = Ssctl::find(&options.context) else { return Ok(()) };
    if !ssctl.is_logged_in().await {
        let grant = Grant { operator: user_name(), role: Role::Admin, tenants: Vec::new() };
        let authority = Authority::open(files)?;
        let token = access::create_token(
            db,
            authority.fingerprint(),
            &grant,
            "streamspaced dev",
            TOKEN_LIFE,
        )
        .await?;
        ssctl
            .log_in(&format!("localhost:{}", ready.grpc.port()), &token.text)
            .await
            .map_err(|words| anyhow::anyhow!("ssctl login: {words}"))?;
    }
    let marker = data_dir.join("samples-applied");
    if options.samples && !marker.exists() {
        let file = data_dir.join("tenants.yaml");
        fs::write(&file, SAMPLE_TENANTS)?;
        ssctl.apply(&file).await.map_err(|words| anyhow::anyhow!("ssctl apply: {words}"))?;
        // Once: a sample that somebody deleted stays deleted.
        fs::write(&marker, "")?;
    }
    Ok(())
}

/// Who is logged in at this machine, as far as that is a name for a certificate.
fn user_name() -> String {
    let name: String = std::env::var("USER")
        .unwrap_or_default()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.'))
        .take(63)
        .collect();
    if name.is_empty() { "dev".into() } else { name }
}

fn announce(
    options: &DevOptions,
    data_dir: &Path,
    cluster: &Cluster,
    ready: &Ready,
    took: Duration,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "region {} is ready after {:.1} s: gRPC on {}, metrics on http://{}/metrics",
        options.region,
        took.as_secs_f64(),
        ready.grpc,
        ready.http,
    )?;
    writeln!(out, "cluster: {}; data: {}", cluster.endpoint(), data_dir.display())?;
    if !options.faults.is_empty() {
        writeln!(out, "faults: {} from the start on", options.faults.len())?;
    }
    let Some(ssctl) = Ssctl::find(&options.context) else {
        writeln!(
            out,
            "ssctl is neither beside streamspaced nor on the path: build it with `cargo build -p ssctl`"
        )?;
        return Ok(out.flush()?);
    };
    // Commands without a context go to the current one, which another region may be.
    let chosen = match options.context.as_str() {
        "dev" => String::new(),
        context => format!("--context {context} "),
    };
    let mut tell = |title: &str, commands: &[&str]| {
        writeln!(out, "\n{title}")?;
        commands.iter().try_for_each(|command| writeln!(out, "  ssctl {chosen}{command}"))
    };
    tell(&format!("Try in another terminal, after `alias ssctl={}`:", ssctl.shown()), &TOUR)?;
    if options.cluster.kubeconfig.is_none() {
        tell("Start a session, and see what it used once five minutes are closed:", &SESSIONS)?;
        tell("Make the cluster fail, and see what becomes of it:", &FAULTS)?;
    }
    writeln!(
        out,
        "\nCtrl-C stops everything; the next start finds the same data, or begins anew with \
         --fresh.\nAnother region beside this one, for --all-contexts: `streamspaced dev --region \
         eu-west-1`, or `make run ARGS='--region eu-west-1'`."
    )?;
    Ok(out.flush()?)
}

/// What a newcomer may try, in this order.
const TOUR: [&str; 8] = [
    "status",
    "tenant list",
    "tenant create delta-gmbh --plan professional --seats 5 --admin d@delta.example --dry-run",
    "tenant create delta-gmbh --plan professional --seats 5 --admin d@delta.example --wait",
    "tenant show acme-corp",
    "changes --since 1h",
    "region show",
    "ui",
];

/// A session's life. A real cluster has no templates of ours.
const SESSIONS: [&str; 4] = [
    "template list",
    "session create acme-corp/ada-desk --user ada --template firefox-browser --wait",
    "session describe acme-corp/ada-desk",
    "usage explain acme-corp",
];

/// How the cluster is made to fail.
const FAULTS: [&str; 3] = [
    "simulator fault create --kind too-many-requests --percent 30 --for 10m",
    "simulator fault list",
    "simulator fault delete --all",
];
