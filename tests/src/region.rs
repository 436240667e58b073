//! A region of a story's own: a database, a daemon and an admin who is logged in.

#![allow(clippy::panic, clippy::expect_used, reason = "a panic fails the story, as it should")]

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{Api, Client};
use rustix::process::Signal;
use serde_json::Value;
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::{
    process::Command,
    sync::{Mutex, OnceCell},
};

use crate::{
    authority::Authority,
    cluster::Cluster,
    daemon::{Daemon, Log, Version},
    database::Server,
    http, janitor,
    ports::Port,
    rpc,
    ssctl::Ssctl,
    wait::{holds, until},
};

/// The name of every story's region.
pub const REGION: &str = "story-1";

static SHARED_CLUSTER: OnceCell<Arc<Cluster>> = OnceCell::const_new();
static REGIONS: AtomicU32 = AtomicU32::new(0);

/// A region with its daemon.
#[derive(Debug)]
pub struct Region {
    // In the order in which they go: the daemon before what it stands on.
    daemon: Mutex<Option<Daemon>>,
    version: std::sync::Mutex<Version>,
    log: Log,
    admin: Ssctl,
    grpc: Port,
    http: Port,
    prefix: String,
    database: String,
    server: Server,
    cluster: Arc<Cluster>,
    folder: TempDir,
}

impl Region {
    /// A region on the PostgreSQL and the cluster that the stories share.
    pub async fn start() -> Self {
        let (server, cluster) = tokio::join!(Server::shared(), shared_cluster());
        Self::on(server, cluster).await
    }

    /// A region on these, which the story may stop.
    pub async fn on(server: Server, cluster: Arc<Cluster>) -> Self {
        Self::of_version(Version::This, server, cluster).await
    }

    /// As [`Region::on`], with the programs of this version.
    pub async fn of_version(version: Version, server: Server, cluster: Arc<Cluster>) -> Self {
        let mut region = Self::prepare(server, cluster);
        region.turn_to(version);
        region.admin = region.admin.with_version(version);
        let token = region.init().await;
        region.launch().await;
        region.is_well().await;
        region.admin.ok(&["login", &region.grpc().to_string(), "--token", &token]).await;
        region
    }

    fn prepare(server: Server, cluster: Arc<Cluster>) -> Self {
        let number = REGIONS.fetch_add(1, Ordering::Relaxed);
        let id = std::process::id();
        let folder = TempDir::with_prefix("streamspace-story-").expect("a temporary folder");
        janitor::folder(folder.path());
        Self {
            daemon: Mutex::new(None),
            version: std::sync::Mutex::default(),
            log: Log::new(folder.path().join("streamspaced.log")),
            admin: Ssctl::new(folder.path().join("admin")),
            grpc: Port::take(),
            http: Port::take(),
            prefix: format!("s{id}x{number}-"),
            database: format!("story_{id}_{number}"),
            server,
            cluster,
            folder,
        }
    }

    /// As an administrator sets a region up: `init`, then the file is edited.
    async fn init(&self) -> String {
        let config = self.config().display().to_string();
        let superuser = self.server.superuser_url("postgres");
        let mut init = vec!["init", "--config", &config, "--region", REGION];
        init.extend(["--database-superuser", &superuser, "--database", &self.database]);
        init.extend(["--operator", "root"]);
        if self.version() == Version::This {
            // Stories share a server, which asks for no passwords.
            init.push("--keep-passwords");
        }
        let said = self.host(&init).await;
        let text = std::fs::read_to_string(self.config()).expect("init wrote it");
        let mut table: toml::Table = toml::from_str(&text).expect("init wrote TOML");
        let mut put = |section: &str, key: &str, value: String| {
            let section = table.entry(section).or_insert_with(|| toml::Table::new().into());
            section.as_table_mut().expect("a section").insert(key.into(), value.into());
        };
        put("listen", "grpc", self.grpc.address().to_string());
        put("listen", "http", self.http.address().to_string());
        put("cluster", "kubeconfig", self.kubeconfig().display().to_string());
        put("cluster", "instance", self.instance().to_owned());
        put("tenants", "namespace_prefix", self.prefix.clone());
        put("log", "filter", "info,streamspaced=debug".into());
        std::fs::write(self.config(), table.to_string()).expect("the folder is ours");
        let administrator = self.cluster.kubeconfig().display().to_string();
        self.host(&[
            "cluster",
            "install",
            "--crds",
            "--config",
            &config,
            "--kubeconfig",
            &administrator,
        ])
        .await;
        let account = self.cluster.service_account(self.instance()).await;
        std::fs::write(self.kubeconfig(), account.expect("a service account"))
            .expect("the folder is ours");
        let token = said.split("--token").nth(1).and_then(|rest| rest.split_whitespace().next());
        token.unwrap_or_else(|| panic!("init prints no token: {said}")).to_owned()
    }

    /// From its next start on, the daemon is of this version, and so is what is done on its host.
    pub fn turn_to(&self, version: Version) {
        *self.version.lock().expect("nobody panics with it") = version;
    }

    fn version(&self) -> Version {
        *self.version.lock().expect("nobody panics with it")
    }

    /// Goes to a machine with nothing: an empty folder and this PostgreSQL. Addresses, the
    /// cluster and the admin's machine stay. What was left behind is returned: it goes when
    /// that is dropped.
    pub fn go_to(&mut self, server: Server) -> (TempDir, Server) {
        let folder = TempDir::with_prefix("streamspace-story-").expect("a temporary folder");
        janitor::folder(folder.path());
        (std::mem::replace(&mut self.folder, folder), std::mem::replace(&mut self.server, server))
    }

    /// What the daemon connects with: an account that reads, and acts as the acting user.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Runs a command of the daemon's program on the host and returns what it prints.
    pub async fn host(&self, arguments: &[&str]) -> String {
        let output = Command::new(self.version().program("streamspaced"))
            .args(arguments)
            .kill_on_drop(true)
            .output()
            .await
            .expect("streamspaced starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "streamspaced {}: {}",
            arguments.join(" "),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// As [`Region::host`], for a command that fails: its code, and all that it says.
    pub async fn host_fails(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(self.version().program("streamspaced"));
        let output = command.args(arguments).kill_on_drop(true).output().await;
        let output = output.expect("streamspaced starts");
        assert!(!output.status.success(), "streamspaced {} is done", arguments.join(" "));
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Starts the daemon, on the same data if it ran before, and returns when it
    /// answers probes.
    pub async fn launch(&self) {
        self.launch_with(&[]).await;
    }

    /// As [`Region::launch`], with these variables in its environment.
    pub async fn launch_with(&self, variables: &[(&str, &str)]) {
        let config = self.config().display().to_string();
        let arguments = ["run", "--config", &config];
        let daemon = Daemon::start_as(self.version(), &arguments, self.log.path(), variables);
        self.launched(daemon).await;
    }

    /// As [`Region::launch`], and hands the daemon these sockets under these names.
    pub async fn launch_handed(&self, names: &str, sockets: [TcpListener; 2]) {
        self.launched(self.handed(names, sockets)).await;
    }

    /// A daemon of this region that was handed these sockets, and is the story's to wait for.
    pub fn handed(&self, names: &str, sockets: [TcpListener; 2]) -> Daemon {
        let config = self.config().display().to_string();
        Daemon::start_handed(&["run", "--config", &config], self.log.path(), names, sockets)
    }

    async fn launched(&self, daemon: Daemon) {
        let mut held = self.daemon.lock().await;
        assert!(held.is_none(), "a daemon runs already");
        *held = Some(daemon);
        until("the daemon listens", async || {
            if let Some(status) = held.as_mut().and_then(Daemon::ended) {
                panic!("the daemon ended by itself: {status}");
            }
            match http::get(self.http(), "/livez").await {
                Ok((200, _)) => Ok(()),
                Ok((code, body)) => Err(format!("{code}: {body}")),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    /// Waits until every part is well.
    pub async fn is_well(&self) {
        until("every part of the region is well", async || {
            let (code, body) =
                http::get(self.http(), "/readyz").await.map_err(|e| e.to_string())?;
            let well = body.lines().all(|line| line.split(' ').nth(1) == Some("Ok:"));
            holds(code == 200 && well, || format!("{code}: {body}"))
        })
        .await;
    }

    /// What the region says of its part `cluster`, as JSON.
    pub async fn cluster_says(&self) -> String {
        let shown = self.admin().json(&["region", "show"]).await;
        let parts = shown.get("components").and_then(Value::as_array);
        let named = |part: &&Value| part.get("name").is_some_and(|name| name == "cluster");
        let cluster = parts.and_then(|parts| parts.iter().find(named));
        cluster.map(Value::to_string).unwrap_or_default()
    }

    /// Kills the daemon, as `kill -9` does.
    pub async fn kill(&self) {
        self.take().await.kill().await;
    }

    /// Sends the daemon a signal, for example to stop it in its tracks.
    pub async fn signal(&self, signal: Signal) {
        self.daemon.lock().await.as_ref().expect("a daemon runs").signal(signal);
    }

    /// Sets one value of the configuration. It counts from the next start on.
    pub fn set(&self, section: &str, key: &str, value: impl Into<toml::Value>) {
        let text = std::fs::read_to_string(self.config()).expect("init wrote it");
        let mut table: toml::Table = toml::from_str(&text).expect("it is TOML");
        let section = table.entry(section).or_insert_with(|| toml::Table::new().into());
        section.as_table_mut().expect("a section").insert(key.into(), value.into());
        std::fs::write(self.config(), table.to_string()).expect("the folder is ours");
    }

    /// Asks the daemon to stop and waits until it has.
    pub async fn stop(&self) -> ExitStatus {
        self.take().await.stop(Signal::TERM).await
    }

    async fn take(&self) -> Daemon {
        self.daemon.lock().await.take().expect("a daemon runs")
    }

    /// The number of the daemon's process. It fails where the daemon ended by itself.
    pub async fn process_id(&self) -> u32 {
        let mut held = self.daemon.lock().await;
        let daemon = held.as_mut().expect("a daemon runs");
        assert!(daemon.ended().is_none(), "the daemon ended by itself: {:?}", daemon.ended());
        daemon.id()
    }

    /// The admin who was enrolled with the token of `init`.
    pub fn admin(&self) -> &Ssctl {
        &self.admin
    }

    /// Somebody's machine, not logged in.
    pub fn machine(&self, name: &str) -> Ssctl {
        Ssctl::new(self.folder.path().join("machines").join(name))
    }

    /// A one-time token that is made on the host.
    pub async fn token(&self, operator: &str, role: &str) -> String {
        let config = self.config().display().to_string();
        let arguments =
            ["token", "create", "--config", &config, "--operator", operator, "--role", role];
        self.host(&arguments).await.trim().to_owned()
    }

    /// Somebody who is logged in.
    pub async fn person(&self, operator: &str, role: &str) -> Ssctl {
        let token = self.token(operator, role).await;
        let machine = self.machine(operator);
        machine.ok(&["login", &self.grpc().to_string(), "--token", &token]).await;
        machine
    }

    /// A folder of this region's own.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("streamspaced.toml")
    }

    /// The region's authority, by the key that `init` made.
    pub fn authority(&self) -> Authority {
        Authority::open(&self.folder.path().join("access"))
    }

    /// A channel with this certificate, or none.
    pub async fn channel(&self, identity: Option<&rpc::Identity>) -> tonic::transport::Channel {
        rpc::channel(self.grpc(), &self.authority().certificate(), identity).await
    }

    /// Where the daemon is called.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc.address()
    }

    /// Where it is probed.
    pub fn http(&self) -> SocketAddr {
        self.http.address()
    }

    /// The daemon's log so far.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// The database, as the superuser sees it.
    pub fn pool(&self) -> PgPool {
        self.server.pool(&self.database)
    }

    /// The PostgreSQL server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The namespace of a tenant.
    pub fn namespace(&self, tenant: &str) -> String {
        format!("{}{tenant}", self.prefix)
    }

    /// Waits until the cluster takes pods of a new tenant: it makes the service account of a
    /// namespace in its own time, one account after another.
    pub async fn takes_pods_of(&self, tenant: &str) {
        let accounts =
            Api::<ServiceAccount>::namespaced(self.client().await, &self.namespace(tenant));
        until("the namespace has its service account", async || {
            accounts.get("default").await.map(drop).map_err(|error| error.to_string())
        })
        .await;
    }

    /// The name of this region's installation in the cluster.
    pub fn instance(&self) -> &str {
        self.prefix.trim_end_matches('-')
    }

    /// What every namespace of this region begins with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The cluster as its administrator sees it.
    pub async fn client(&self) -> Client {
        self.cluster.client().await.expect("a client")
    }

    /// The cluster as somebody of the break-glass group sees it.
    pub async fn break_glass(&self) -> Client {
        let group = format!("{}:break-glass", self.instance());
        let groups = [group.as_str(), "system:authenticated"];
        self.cluster.client_as("nora-on-call", &groups).await.expect("a client")
    }

    /// The cluster's namespaces.
    pub async fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client().await)
    }
}

/// The cluster that the stories of this process share.
pub async fn shared_cluster() -> Arc<Cluster> {
    SHARED_CLUSTER.get_or_init(own_cluster).await.clone()
}

/// A cluster of the caller's own.
pub async fn own_cluster() -> Arc<Cluster> {
    let cluster = Cluster::start().await.unwrap_or_else(|error| panic!("no cluster: {error}"));
    if cluster.is_ours()
        && let Some(folder) = cluster.kubeconfig().parent()
    {
        // What is shared is never dropped. The cluster's program ends with this process.
        janitor::folder(folder);
    }
    Arc::new(cluster)
}
