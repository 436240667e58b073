//! What happens in the cluster to the objects that the daemon manages.

use futures::{Stream, StreamExt};
use kube::runtime::{WatchStreamExt, watcher};

use super::{Cluster, Kind, Object};

/// What a watch tells.
#[derive(Debug)]
pub enum WatchEvent {
    /// A list of all that there is begins: at the start, and after the watch was cut
    /// for so long that the API server no longer knows what happened meanwhile.
    Begin,
    /// One of the list.
    Listed(Box<Object>),
    /// The list is complete.
    Synced,
    /// One appeared or changed.
    Applied(Box<Object>),
    /// One disappeared, or lost the labels that are watched.
    Deleted(Box<Object>),
    /// The watch broke and tries again by itself.
    Broken(String),
}

/// Follows the objects of a kind with these labels in all namespaces, for ever. It
/// lists page by page, and after a fault it goes on with backoff.
pub fn watch_kind(
    cluster: &Cluster,
    kind: Kind,
    selector: &str,
) -> impl Stream<Item = WatchEvent> + Send + use<> {
    let config = watcher::Config::default().labels(selector);
    watcher(cluster.api(kind, None), config).default_backoff().map(|event| match event {
        Ok(watcher::Event::Init) => WatchEvent::Begin,
        Ok(watcher::Event::InitApply(object)) => WatchEvent::Listed(Box::new(object)),
        Ok(watcher::Event::InitDone) => WatchEvent::Synced,
        Ok(watcher::Event::Apply(object)) => WatchEvent::Applied(Box::new(object)),
        Ok(watcher::Event::Delete(object)) => WatchEvent::Deleted(Box::new(object)),
        Err(error) => WatchEvent::Broken(error.to_string()),
    })
}
