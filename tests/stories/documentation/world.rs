//! What a page is run against: a region of its own, and the people at their terminals.

use std::{
    any::Any,
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::process::Signal;
use streamspace_tests::{
    cluster::Cluster,
    daemon::{Daemon, Log},
    database::Server,
    helm::Helm,
    janitor,
    ports::Port,
    region::{REGION, Region, own_cluster, shared_cluster},
    ssctl::Ssctl,
    wait::{holds, until},
};
use streamspaced::config::host_name;
use tempfile::TempDir;

use crate::{
    page::{Needs, SetUp},
    terminal::{Home, path},
};

/// Who reads the pages.
pub(crate) const READER: &str = "ada";

static WORLDS: AtomicU32 = AtomicU32::new(0);

/// A page's world. It ends in order with [`World::end`].
pub(crate) struct World {
    /// The homes, by name.
    pub(crate) homes: BTreeMap<String, Home>,
    /// What is written on the page, and what stands for it here.
    names: Vec<(String, String)>,
    /// What stands for a word in braces, in what the page does not show.
    templates: Vec<(&'static str, String)>,
    /// What this machine is called.
    host: String,
    /// What a page shows of the start of its development region.
    pub(crate) start: Option<Log>,
    developments: Vec<Daemon>,
    /// What must stay as long as the world does.
    held: Vec<Box<dyn Any>>,
    ports: [Port; 2],
    folder: TempDir,
}

impl World {
    /// Makes what the page needs.
    pub(crate) async fn make(needs: &Needs) -> Self {
        let folder = folder();
        let (grpc, http) = (Port::take(), Port::take());
        let home = |name: &str| Home {
            folder: folder.path().join(name),
            variables: vec![("USER".into(), name.into()), ("HOSTNAME".into(), "laptop".into())],
        };
        let mut world = Self {
            homes: BTreeMap::from([(READER.to_owned(), home(READER))]),
            names: Vec::new(),
            templates: Vec::new(),
            host: host_name(),
            start: None,
            developments: Vec::new(),
            held: Vec::new(),
            ports: [grpc, http],
            folder,
        };
        let [grpc, http] = world.ports.each_ref().map(|port| port.address().to_string());
        world.templates = vec![("{grpc}", grpc.clone()), ("{http}", http.clone())];
        match needs.set_up {
            SetUp::None => {}
            SetUp::Dev => world.develop(needs, &grpc, &http, &[]).await,
            SetUp::Kubectl => {
                // Of the installation `streamspace`, which no region of the tests is called.
                let cluster = shared_cluster().await;
                let kubeconfig = cluster.kubeconfig().display().to_string();
                world.know_kubectl().await;
                world.know("KUBECONFIG", &kubeconfig);
                world.develop(needs, &grpc, &http, &["--kubeconfig", &kubeconfig]).await;
            }
            SetUp::Region => world.real(needs).await,
            SetUp::Host => {
                let (server, cluster) = tokio::join!(Server::start(), own_cluster());
                world.know_kubectl().await;
                world.know_helm().await;
                world.templates.push(("{root}", root().display().to_string()));
                let etc = world.folder.path().join("etc");
                world.templates.push(("{etc}", etc.display().to_string()));
                world.templates.push(("{superuser}", server.superuser_url("postgres")));
                let kubeconfig = cluster.kubeconfig().display().to_string();
                world.templates.push(("{kubeconfig}", kubeconfig));
                let config = etc.join("streamspaced.toml").display().to_string();
                world.know("STREAMSPACED_CONFIG", &config);
                world.held.push(Box::new((server, cluster)));
            }
        }
        // The page's own words first: they can be longer than ours.
        let mut names = Vec::new();
        for (shown, template) in &needs.replace {
            names.push((shown.clone(), world.filled(template)));
        }
        for (name, home) in &world.homes {
            names.push((format!("/home/{name}"), home.folder.display().to_string()));
        }
        names.append(&mut world.names);
        names.push(("127.0.0.1:7443".into(), grpc.clone()));
        names.push(("localhost:7443".into(), grpc.replace("127.0.0.1", "localhost")));
        names.push(("127.0.0.1:7480".into(), http));
        world.names = names;
        world
    }

    /// `streamspaced dev`, as `make run` starts it.
    async fn develop(&mut self, needs: &Needs, grpc: &str, http: &str, more: &[&str]) {
        // A channel, so that there is one to show. Nobody listens there.
        let config = self.folder.path().join("dev.toml");
        let channel = "[notify.channels.oncall]\nkind = 'webhook'\nfor = ['page']\n\
                       url = 'http://127.0.0.1:9'\n";
        fs::write(&config, channel).unwrap();
        let config = config.display().to_string();
        let mut arguments = vec!["--listen", grpc, "--http", http, "--config", &config];
        arguments.extend(more);
        self.start = Some(self.launch("dev", &arguments).await);
        let free = "127.0.0.1:0";
        for region in &needs.also {
            let arguments = ["--region", region, "--listen", free, "--http", free];
            let log = self.launch(region, &arguments).await;
            self.held.push(Box::new(log));
        }
        let admin = Ssctl::new(self.homes[READER].folder.clone());
        if !needs.also.is_empty() {
            admin.ok(&["context", "use", "dev"]).await;
        }
        for (name, role) in &needs.people {
            let asked = ["token", "create", "--operator", name, "--role", role, "-o", "json"];
            let token = token_in(&admin.ok(&asked).await.stdout).expect("a token");
            self.enrol(name, grpc, &token).await;
        }
    }

    /// Starts one, and waits until its cluster has the sample tenants.
    async fn launch(&mut self, region: &str, more: &[&str]) -> Log {
        let reader = self.homes[READER].clone();
        let home = reader.folder.display().to_string();
        // The folder that it takes by itself where nobody is root.
        let folder = if region == "dev" {
            "streamspace-dev".into()
        } else {
            format!("streamspace-{region}")
        };
        let data = format!("{home}/.local/share/{folder}");
        let config = format!("{home}/config");
        let mut variables = vec![
            ("HOME", home.as_str()),
            ("XDG_CONFIG_HOME", config.as_str()),
            ("SSCTL_CREDENTIAL_STORE", "file"),
        ];
        variables
            .extend(reader.variables.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let log = Log::new(self.folder.path().join(format!("{region}.log")));
        let mut arguments = vec!["dev", "--data-dir", &data];
        arguments.extend(more);
        let mut daemon = Daemon::start(&arguments, log.path(), &variables).gently();
        until("the development region is ready", async || {
            assert!(daemon.ended().is_none(), "it ended by itself: {}", log.text());
            holds(log.text().contains("Ctrl-C stops everything"), || log.text())
        })
        .await;
        let admin = Ssctl::new(reader.folder);
        until("the cluster has the sample tenants", async || {
            let shown = admin.run(&["--context", region, "tenant", "list"]).await;
            holds(shown.stdout.matches("active").count() == 3, || shown.stdout + &shown.stderr)
        })
        .await;
        self.developments.push(daemon);
        log
    }

    /// A region on a real PostgreSQL and a real kube-apiserver.
    async fn real(&mut self, needs: &Needs) {
        let region = Region::start().await;
        let grpc = region.grpc().to_string();
        let reader = (READER.to_owned(), "admin".to_owned());
        for (name, role) in std::iter::once(&reader).chain(&needs.people) {
            // Made on the host, so that nobody was let in by another of them.
            let token = region.token(name, role).await;
            self.enrol(name, &grpc, &token).await;
        }
        self.names.push(("127.0.0.1:7443".into(), grpc));
        self.know_kubectl().await;
        self.know("KUBECONFIG", &region.cluster().kubeconfig().display().to_string());
        self.templates.push(("{config}", region.config().display().to_string()));
        let instance = region.instance();
        self.names.push(("streamspace-system".into(), format!("{instance}-system")));
        self.names.push(("streamspace:".into(), format!("{instance}:")));
        self.names.push(("tenant-".into(), region.prefix().to_owned()));
        self.names.push(("us-east-1".into(), REGION.into()));
        self.held.push(Box::new(region));
    }

    /// Builds the real Helm, beside the kubectl that is on everybody's path.
    async fn know_helm(&mut self) {
        let helm = Helm::program().await.unwrap_or_else(|error| panic!("no helm: {error}"));
        let kubectl = Cluster::kubectl().await.ok();
        assert_eq!(helm.parent(), kubectl.as_deref().and_then(Path::parent), "one folder");
    }

    /// Puts the real kubectl of the cluster's release first on everybody's path.
    async fn know_kubectl(&mut self) {
        let kubectl =
            Cluster::kubectl().await.unwrap_or_else(|error| panic!("no kubectl: {error}"));
        let folder = kubectl.parent().expect("a folder").display().to_string();
        self.know("PATH", &format!("{folder}:{}", path()));
    }

    /// Puts a variable into everybody's environment.
    fn know(&mut self, name: &str, value: &str) {
        for home in self.homes.values_mut() {
            home.variables.push((name.into(), value.into()));
        }
    }

    async fn enrol(&mut self, name: &str, grpc: &str, token: &str) {
        let home = self.homes.entry(name.to_owned()).or_insert_with(|| Home {
            folder: self.folder.path().join(name),
            variables: vec![("USER".into(), name.into())],
        });
        Ssctl::new(home.folder.clone()).ok(&["login", grpc, "--token", token]).await;
    }

    /// Where metrics and health are.
    pub(crate) fn http(&self) -> SocketAddr {
        self.ports[1].address()
    }

    fn filled(&self, template: &str) -> String {
        let fill = |text: String, (name, value): &(&str, String)| text.replace(name, value);
        self.templates.iter().fold(template.to_owned(), fill)
    }

    /// A command that the page does not show, as it is run here.
    pub(crate) fn hidden(&self, command: &str) -> String {
        self.filled(&self.here(command))
    }

    /// A command of the page as it is run here.
    pub(crate) fn here(&self, command: &str) -> String {
        let is_ours = command.trim_start().starts_with("ssctl");
        let mut command = command.to_owned();
        for (shown, stands) in &self.names {
            // What the cluster calls a tenant's namespace is no word of ours.
            if !(is_ours && shown == "tenant-") {
                command = command.replace(shown.as_str(), stands);
            }
        }
        command
    }

    /// What came, as the page shows it.
    pub(crate) fn shown(&self, output: &str) -> Vec<String> {
        let mut output = output.to_owned();
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort_by_key(|(_, stands)| std::cmp::Reverse(stands.len()));
        for (shown, stands) in names {
            output = output.replace(stands.as_str(), shown);
        }
        let output = without_secrets(&word_replaced(&output, &self.host, "laptop"));
        output.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Ends all of it in order.
    pub(crate) async fn end(self) -> Result<(), String> {
        for daemon in self.developments {
            let status = daemon.stop(Signal::INT).await;
            if !status.success() {
                return Err(format!("the daemon ended with {status}"));
            }
        }
        Ok(())
    }
}

/// The account of PostgreSQL must come through, so it is not private; and short enough for
/// a socket.
fn folder() -> TempDir {
    let number = WORLDS.fetch_add(1, Ordering::Relaxed);
    let prefix = format!("ss-docs-{}-{number}-", std::process::id());
    let folder = tempfile::Builder::new()
        .prefix(&prefix)
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir()
        .expect("a temporary folder");
    janitor::folder(folder.path());
    folder
}

/// A word exchanged for another, where it stands alone.
fn word_replaced(text: &str, word: &str, other: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let mut replaced = String::new();
    let mut last = 0;
    for (at, _) in text.match_indices(word) {
        let end = at + word.len();
        let alone = !text[..at].ends_with(is_part) && !text[end..].starts_with(is_part);
        if alone && at >= last {
            replaced += &text[last..at];
            replaced += other;
            last = end;
        }
    }
    replaced + &text[last..]
}

/// Enrolment tokens without their secrets.
fn without_secrets(text: &str) -> String {
    let mut parts = text.split("sst1_");
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let secret = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        told += "sst1_…";
        told += part.trim_start_matches(secret);
    }
    told
}

/// The token in what was printed.
fn token_in(text: &str) -> Option<String> {
    let at = text.find("sst1_")?;
    let end = text[at..].find(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)));
    Some(text[at..end.map_or(text.len(), |end| at + end)].to_owned())
}

/// The root of the project.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_path_buf()
}

#[test]
fn names_and_secrets_are_exchanged() {
    assert_eq!(
        word_replaced("vm: a vm, vmware (vm)", "vm", "laptop"),
        "laptop: a laptop, vmware (laptop)"
    );
    assert_eq!(without_secrets("run sst1_aB-c_d now"), "run sst1_… now");
}
