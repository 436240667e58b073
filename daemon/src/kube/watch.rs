//! What happens in the cluster to the objects that the daemon manages.

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::{WatchStreamExt, watcher};

use super::{Cluster, ClusterError, MANAGED_BY, MANAGED_BY_LABEL};

/// One observation of the watch.
#[derive(Debug)]
pub enum Observed {
    /// A managed namespace appeared, changed or disappeared.
    Namespace(Box<Namespace>),
    /// The watch holds the state of the cluster as it is.
    Synced,
    /// The watch broke and tries again by itself.
    Broken(ClusterError),
}

/// Follows the managed namespaces for ever; it reconnects with backoff.
pub fn watch_managed(cluster: &Cluster) -> impl Stream<Item = Observed> + Send + use<> {
    let selector = format!("{MANAGED_BY_LABEL}={MANAGED_BY}");
    watcher(cluster.namespaces(), watcher::Config::default().labels(&selector))
        .default_backoff()
        .filter_map(|event| async move {
            match event {
                Ok(watcher::Event::Init) => None,
                Ok(watcher::Event::InitDone) => Some(Observed::Synced),
                Ok(
                    watcher::Event::Apply(namespace)
                    | watcher::Event::InitApply(namespace)
                    | watcher::Event::Delete(namespace),
                ) => Some(Observed::Namespace(Box::new(namespace))),
                Err(error) => Some(Observed::Broken(ClusterError::Unavailable(error.to_string()))),
            }
        })
}
