//! One cluster, with a time limit on every call.

use std::{future::Future, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use super::{ClusterConfig, ClusterError, rate::RateLimit};

/// A caller wants to know sooner than a connection that hangs would tell.
const CALL_LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Carries the leader term to the API server, which reads it as the extra
/// `stream.space/term`.
const TERM_HEADER: HeaderName = HeaderName::from_static("impersonate-extra-stream.space%2fterm");

/// A connection to one cluster. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    endpoint: String,
    /// How fast it writes.
    rate: RateLimit,
    /// How to connect under another identity. Absent behind a client that was given.
    settings: Option<Arc<Settings>>,
}

struct Settings {
    connection: Config,
    instance: String,
    fence: bool,
}

impl Cluster {
    /// Whether the configuration can be read. Runs no program that it names for its
    /// credentials, and connects nowhere.
    pub async fn check(config: &ClusterConfig) -> Result<(), ClusterError> {
        read(config).await.map(drop)
    }

    /// Reads the configuration. Does not connect yet.
    pub async fn open(config: &ClusterConfig) -> Result<Self, ClusterError> {
        let wrong = |error: &dyn std::fmt::Display| ClusterError::Configuration(error.to_string());
        let mut settings = read(config).await?;
        settings.connect_timeout = Some(CONNECT_LIMIT);
        // Whoever calls has a backoff of its own, which tells what it waits for.
        settings.default_retry = false;
        let endpoint = settings.cluster_url.to_string();
        let client = Client::try_from(settings.clone()).map_err(|e| wrong(&e))?;
        let settings = Settings {
            connection: settings,
            instance: config.instance.clone(),
            fence: config.fence,
        };
        let settings = Some(Arc::new(settings));
        Ok(Self { client, endpoint, rate: RateLimit::unlimited(), settings })
    }

    /// The cluster as a leader of this term writes to it: under the acting identity
    /// `{instance}:daemon`, each request carrying the term. Without fences it is the
    /// cluster as it is.
    pub fn acting(&self, leader_term: i64) -> Result<Self, ClusterError> {
        let Some(settings) = self.settings.as_ref().filter(|settings| settings.fence) else {
            return Ok(self.clone());
        };
        let mut connection = settings.connection.clone();
        connection.auth_info.impersonate = Some(format!("{}:daemon", settings.instance));
        connection.headers.push((TERM_HEADER, HeaderValue::from(leader_term)));
        let client = Client::try_from(connection)
            .map_err(|error| ClusterError::Configuration(error.to_string()))?;
        Ok(Self { client, ..self.clone() })
    }

    /// Whether the cluster refuses stale terms and the writes of others.
    pub fn is_fenced(&self) -> bool {
        self.settings.as_ref().is_some_and(|settings| settings.fence)
    }

    /// Whether this is a cluster that the process holds itself, which nobody else can
    /// reach and which goes with its data.
    pub fn is_built_in(&self) -> bool {
        self.settings.is_none()
    }

    /// A cluster behind a client that exists already, such as the simulator's.
    pub fn from_client(client: Client, endpoint: impl Into<String>) -> Self {
        Self { client, endpoint: endpoint.into(), rate: RateLimit::unlimited(), settings: None }
    }

    /// The same cluster, whose writes keep to `rate`.
    #[must_use]
    pub fn with_rate(self, rate: RateLimit) -> Self {
        Self { rate, ..self }
    }

    /// The client behind it.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The limit that its writes keep to.
    pub(super) fn rate(&self) -> &RateLimit {
        &self.rate
    }

    /// Where the API server is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The version that the API server tells.
    pub async fn version(&self) -> Result<String, ClusterError> {
        let info = limited(self.client.apiserver_version()).await?;
        Ok(info.git_version)
    }
}

/// How the configuration says that the cluster is reached.
async fn read(config: &ClusterConfig) -> Result<Config, ClusterError> {
    let wrong = |error: &dyn std::fmt::Display| ClusterError::Configuration(error.to_string());
    let Some(path) = &config.kubeconfig else {
        return Config::incluster().map_err(|e| {
            wrong(&format!("{e}; outside a cluster, name a file as cluster.kubeconfig"))
        });
    };
    let file =
        Kubeconfig::read_from(path).map_err(|e| wrong(&format!("{}: {e}", path.display())))?;
    let options = KubeConfigOptions { context: config.context.clone(), ..Default::default() };
    let read = Config::from_custom_kubeconfig(file, &options).await;
    read.map_err(|e| wrong(&format!("{}: {e}", path.display())))
}

/// Runs one call within the time limit.
pub(crate) async fn limited<T>(
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ClusterError> {
    match tokio::time::timeout(CALL_LIMIT, call).await {
        Ok(result) => result.map_err(ClusterError::from),
        Err(_) => Err(ClusterError::TimedOut(CALL_LIMIT)),
    }
}
