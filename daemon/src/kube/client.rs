//! One cluster, with a time limit on every call.

use std::{future::Future, path::PathBuf, time::Duration};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde::Deserialize;

use super::ClusterError;

/// A caller wants to know sooner than a connection that hangs would tell.
const CALL_LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Which cluster the daemon manages.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterConfig {
    /// The kubeconfig file. Without one, the service account of the pod.
    pub kubeconfig: Option<PathBuf>,
    /// The context in that file; its current one where it is absent.
    pub context: Option<String>,
}

/// A connection to one cluster. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    endpoint: String,
}

impl Cluster {
    /// Reads the configuration. Does not connect yet.
    pub async fn open(config: &ClusterConfig) -> Result<Self, ClusterError> {
        let wrong = |error: &dyn std::fmt::Display| ClusterError::Configuration(error.to_string());
        let mut settings = match &config.kubeconfig {
            Some(path) => {
                let file = Kubeconfig::read_from(path)
                    .map_err(|e| wrong(&format!("{}: {e}", path.display())))?;
                let options =
                    KubeConfigOptions { context: config.context.clone(), ..Default::default() };
                Config::from_custom_kubeconfig(file, &options).await.map_err(|e| wrong(&e))?
            }
            None => Config::incluster().map_err(|e| {
                wrong(&format!("{e}; outside a cluster, name a file as cluster.kubeconfig"))
            })?,
        };
        settings.connect_timeout = Some(CONNECT_LIMIT);
        // Whoever calls has a backoff of its own, which tells what it waits for.
        settings.default_retry = false;
        let endpoint = settings.cluster_url.to_string();
        let client = Client::try_from(settings).map_err(|e| wrong(&e))?;
        Ok(Self { client, endpoint })
    }

    /// A cluster behind a client that exists already, such as the simulator's.
    pub fn from_client(client: Client, endpoint: impl Into<String>) -> Self {
        Self { client, endpoint: endpoint.into() }
    }

    /// Where the API server is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The namespaces of the cluster.
    pub fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client.clone())
    }

    /// The version that the API server tells.
    pub async fn version(&self) -> Result<String, ClusterError> {
        let info = limited(self.client.apiserver_version()).await?;
        Ok(info.git_version)
    }
}

/// Runs one call within the time limit.
pub(super) async fn limited<T>(
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ClusterError> {
    match tokio::time::timeout(CALL_LIMIT, call).await {
        Ok(result) => result.map_err(ClusterError::from),
        Err(_) => Err(ClusterError::TimedOut(CALL_LIMIT)),
    }
}
