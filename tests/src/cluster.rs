//! A real Kubernetes control plane for the tests: the Go program in
//! `tests/cluster/`, or any cluster that `STREAMSPACE_TEST_KUBECONFIG` names.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::{
        authentication::v1::{TokenRequest, TokenRequestSpec},
        core::v1::ServiceAccount,
        rbac::v1::{ClusterRoleBinding, RoleRef, Subject},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Config,
    api::PostParams,
    config::{AuthInfo, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Mutex,
};

use crate::go_program::{self, GoProgram};

/// Names a kubeconfig whose cluster the tests use instead of one of their own.
pub const KUBECONFIG_VARIABLE: &str = "STREAMSPACE_TEST_KUBECONFIG";

const CLUSTER: GoProgram = GoProgram {
    module: "cluster",
    name: "cluster",
    package: ".",
    version: "-X k8s.io/component-base/version.gitVersion=v1.36.3",
};
const KUBECTL: GoProgram =
    GoProgram { name: "kubectl", package: "k8s.io/kubernetes/cmd/kubectl", ..CLUSTER };

/// Where the program has the API server write what was written.
const AUDIT_LOG: &str = "audit.jsonl";

/// How long an orderly stop may take before the program is killed.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// A cluster that cannot be had or commanded.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A file or a process; the text says what was tried.
    #[error("{0}: {1}")]
    Io(String, #[source] io::Error),
    /// `go build` failed in this module; its output is in the text.
    #[error("building tests/{0} failed; is Go installed?\n{1}")]
    Build(&'static str, String),
    /// The program ended or said something else than expected.
    #[error("the cluster program said {said:?} where {expected} was expected; its logs: {logs}")]
    Protocol {
        /// What it said; empty when it ended.
        said: String,
        /// What it should have said.
        expected: &'static str,
        /// The end of its logs.
        logs: String,
    },
    /// The kubeconfig cannot be read.
    #[error("the kubeconfig is not usable")]
    Kubeconfig(#[from] KubeconfigError),
    /// No client can be made of the kubeconfig.
    #[error("no client for the cluster")]
    Client(#[source] Box<kube::Error>),
    /// The cluster is not ours to stop.
    #[error(
        "the cluster of {KUBECONFIG_VARIABLE} cannot be stopped or started by a test; unset it"
    )]
    NotOurs,
}

/// A write that the API server has answered, from its audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteRecord {
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The kind's plural, with a subresource behind a slash: `namespaces/finalize`.
    pub resource: String,
    /// Empty for an object of the cluster.
    pub namespace: String,
    /// Empty where the server makes up the name.
    pub name: String,
    /// Who acted: the impersonated user where there is one.
    pub user: String,
    /// What the client calls itself, up to its first slash.
    pub agent: String,
    /// The answer's HTTP status.
    pub code: u16,
    /// Whether it was a dry run, which writes nothing.
    pub dry_run: bool,
}

/// A running control plane; it stops when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    kubeconfig: PathBuf,
    ours: Option<Own>,
}

/// The program that this process has started.
#[derive(Debug)]
struct Own {
    // Before the folder: the program stops before its files go.
    program: Program,
    folder: TempDir,
}

#[derive(Debug)]
struct Program {
    child: Child,
    control: Option<Mutex<Control>>,
}

#[derive(Debug)]
struct Control {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Cluster {
    /// Starts a control plane, building the program first if its sources are
    /// newer (some 8 minutes without Go's build cache, 20 s with it).
    pub async fn start() -> Result<Self, ClusterError> {
        if let Some(kubeconfig) =
            std::env::var_os(KUBECONFIG_VARIABLE).filter(|value| !value.is_empty())
        {
            return Ok(Self { kubeconfig: PathBuf::from(kubeconfig), ours: None });
        }
        Self::start_by(|program| Command::new(program)).await
    }

    /// As [`Cluster::start`], always of one's own, whose program is started by the command
    /// that is made of its path.
    pub async fn start_by(launch: impl FnOnce(&Path) -> Command) -> Result<Self, ClusterError> {
        let binary = go_program::build(CLUSTER).await?;
        let folder =
            TempDir::with_prefix("streamspace-cluster-").map_err(failed("a temporary folder"))?;
        let log =
            File::create(folder.path().join("cluster.log")).map_err(failed("the cluster's log"))?;
        let mut child = launch(&binary)
            .args([OsString::from("start"), OsString::from("--dir"), folder.path().into()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed(binary.display().to_string()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(ClusterError::Io(
                "the cluster's pipes".to_owned(),
                io::ErrorKind::BrokenPipe.into(),
            ));
        };
        let mut control = Control { input, output: BufReader::new(output).lines() };
        let said = control.read().await?;
        let Some(kubeconfig) = said.strip_prefix("ready ").map(PathBuf::from) else {
            return Err(protocol(said, "`ready KUBECONFIG`", folder.path()));
        };
        let program = Program { child, control: Some(Mutex::new(control)) };
        Ok(Self { kubeconfig, ours: Some(Own { program, folder }) })
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Whether the API server can be stopped and started.
    pub fn is_ours(&self) -> bool {
        self.ours.is_some()
    }

    /// The real `kubectl` of the cluster's release, built if need be.
    pub async fn kubectl() -> Result<PathBuf, ClusterError> {
        go_program::build(KUBECTL).await
    }

    /// A client as the administrator, which retries nothing by itself.
    pub async fn client(&self) -> Result<Client, ClusterError> {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig)?;
        let mut config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        // A test looks at the server's first answer.
        config.default_retry = false;
        Client::try_from(config).map_err(|error| ClusterError::Client(Box::new(error)))
    }

    /// A client as somebody else, as `kubectl --as USER --as-group GROUP` is.
    pub async fn client_as(&self, user: &str, groups: &[&str]) -> Result<Client, ClusterError> {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig)?;
        let mut config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        config.default_retry = false;
        config.auth_info.impersonate = Some(user.to_owned());
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        config.auth_info.impersonate_groups = Some(groups);
        Client::try_from(config).map_err(|error| ClusterError::Client(Box::new(error)))
    }

    /// Stops the API server; the data and the controllers stay.
    pub async fn stop_apiserver(&self) -> Result<(), ClusterError> {
        self.command("apiserver stop\n").await
    }

    /// Starts the API server again at the same address, and waits until it is ready.
    pub async fn start_apiserver(&self) -> Result<(), ClusterError> {
        self.command("apiserver start\n").await
    }

    /// A kubeconfig of a service account in the control namespace of this installation,
    /// with the rights that the daemon is given in production and no others.
    pub async fn service_account(&self, instance: &str) -> Result<String, ClusterError> {
        let wrong = |error: kube::Error| ClusterError::Client(Box::new(error));
        let (client, namespace) = (self.client().await?, format!("{instance}-system"));
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
        let account = ServiceAccount {
            metadata: ObjectMeta { name: Some("streamspaced".into()), ..Default::default() },
            ..Default::default()
        };
        accounts.create(&PostParams::default(), &account).await.map_err(wrong)?;
        let rights = ClusterRoleBinding {
            metadata: ObjectMeta {
                name: Some(format!("{instance}-account")),
                ..Default::default()
            },
            role_ref: RoleRef {
                api_group: Some("rbac.authorization.k8s.io".into()),
                kind: "ClusterRole".into(),
                name: format!("{instance}-base"),
            },
            subjects: Some(vec![Subject {
                kind: "ServiceAccount".into(),
                name: "streamspaced".into(),
                namespace: Some(namespace),
                ..Default::default()
            }]),
        };
        let bindings: Api<ClusterRoleBinding> = Api::all(client);
        bindings.create(&PostParams::default(), &rights).await.map_err(wrong)?;
        let asked = TokenRequest {
            spec: Some(TokenRequestSpec {
                expiration_seconds: Some(24 * 3600),
                ..Default::default()
            }),
            ..Default::default()
        };
        let token = accounts
            .create_token_request("streamspaced", &PostParams::default(), &asked)
            .await
            .map_err(wrong)?;
        let token = token.status.and_then(|status| status.token).unwrap_or_default();
        let mut kubeconfig = Kubeconfig::read_from(&self.kubeconfig)?;
        for user in &mut kubeconfig.auth_infos {
            user.auth_info =
                Some(AuthInfo { token: Some(token.clone().into()), ..Default::default() });
        }
        // JSON is YAML too.
        serde_json::to_string(&kubeconfig)
            .map_err(|error| failed("the kubeconfig")(io::Error::other(error)))
    }

    /// Every write that the API server has answered so far and that `fits`, in the
    /// order of the answers; without leases and the system's events. A record comes
    /// to the log within moments of its answer.
    pub fn writes(
        &self,
        fits: impl Fn(&WriteRecord) -> bool,
    ) -> Result<Vec<WriteRecord>, ClusterError> {
        let Some(Own { folder, .. }) = &self.ours else {
            return Err(ClusterError::NotOurs);
        };
        let path = folder.path().join(AUDIT_LOG);
        let text = fs::read_to_string(&path).map_err(failed(path.display().to_string()))?;
        // A last line may be in the making.
        let records = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        Ok(records.map(|record| write_record(&record)).filter(fits).collect())
    }

    /// The writes of this user, and of whoever acts as that user.
    pub fn writes_of(&self, user: &str) -> Result<Vec<WriteRecord>, ClusterError> {
        self.writes(|record| record.user == user)
    }

    /// The writes to namespaces whose name begins so, and in them.
    pub fn writes_below(&self, namespace_prefix: &str) -> Result<Vec<WriteRecord>, ClusterError> {
        self.writes(|record| record.namespace.starts_with(namespace_prefix))
    }

    async fn command(&self, line: &str) -> Result<(), ClusterError> {
        let Some(Own { program: Program { control: Some(control), .. }, folder }) = &self.ours
        else {
            return Err(ClusterError::NotOurs);
        };
        let mut control = control.lock().await;
        control.input.write_all(line.as_bytes()).await.map_err(failed("the cluster's input"))?;
        let said = control.read().await?;
        if said == "ok" { Ok(()) } else { Err(protocol(said, "`ok`", folder.path())) }
    }
}

impl Control {
    /// The next line, empty at the end.
    async fn read(&mut self) -> Result<String, ClusterError> {
        let line = self.output.next_line().await.map_err(failed("the cluster's output"))?;
        Ok(line.unwrap_or_default())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The end of its input asks the program to stop its parts.
        self.control = None;
        let limit = Instant::now() + STOP_LIMIT;
        while Instant::now() < limit && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn write_record(event: &serde_json::Value) -> WriteRecord {
    let text = |pointer: &str| {
        event.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default()
    };
    let (resource, subresource) = (text("/objectRef/resource"), text("/objectRef/subresource"));
    let slash = if subresource.is_empty() { "" } else { "/" };
    let acting = ["/impersonatedUser/username", "/user/username"];
    let code = event.pointer("/responseStatus/code").and_then(serde_json::Value::as_u64);
    WriteRecord {
        verb: text("/verb").to_owned(),
        resource: format!("{resource}{slash}{subresource}"),
        namespace: text("/objectRef/namespace").to_owned(),
        name: text("/objectRef/name").to_owned(),
        user: acting
            .map(text)
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_default()
            .to_owned(),
        agent: text("/userAgent").split('/').next().unwrap_or_default().to_owned(),
        code: code.and_then(|code| u16::try_from(code).ok()).unwrap_or_default(),
        dry_run: text("/requestURI").contains("dryRun="),
    }
}

pub(crate) fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> ClusterError {
    move |error| ClusterError::Io(what.into(), error)
}

fn protocol(said: String, expected: &'static str, folder: &Path) -> ClusterError {
    let tail = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
    };
    let logs = ["cluster.log", "apiserver.log"]
        .map(|name| format!("\n--- {name}\n{}", tail(name)))
        .concat();
    ClusterError::Protocol { said, expected, logs }
}
