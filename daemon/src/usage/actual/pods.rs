//! The pods of sessions, with when each was made.

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};
use streamspace_core::usage::Second;

use super::{
    engine::Selector,
    source::{Missing, PodName, Pods},
};
use crate::kube::{Cluster, limited};

/// So many are asked for at once.
const PAGE: u32 = 5_000;
/// More pages than a cluster has.
const PAGES: usize = 60;

/// Lists them, by name alone: their whole objects would be some hundred times as much.
pub(super) async fn list(cluster: &Cluster, selector: &Selector) -> Result<Pods, Missing> {
    let api: Api<Pod> = Api::all(cluster.client().clone());
    let mut chosen = ListParams::default().limit(PAGE);
    if let Selector::Label(label) = selector {
        chosen = chosen.labels(label);
    }
    let mut pods = Pods::new();
    for _ in 0..PAGES {
        let failed = |error| Missing::Failed(format!("the pods cannot be listed: {error}"));
        let found = limited(api.list_metadata(&chosen)).await.map_err(failed)?;
        for pod in found.items {
            let (namespace, name) = (pod.metadata.namespace, pod.metadata.name);
            let made = pod.metadata.creation_timestamp;
            if let (Some(namespace), Some(name), Some(made)) = (namespace, name, made) {
                pods.insert(PodName { namespace, name }, Second::holding(made.0));
            }
        }
        match found.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => chosen.continue_token = Some(next),
            None => return Ok(pods),
        }
    }
    Err(Missing::Failed("the list of pods has no end".into()))
}
