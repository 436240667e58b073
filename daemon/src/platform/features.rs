//! What the cluster serves that not every cluster serves.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;

use super::{
    Features,
    resources::{AUTOSCALERS, NODE_POOLS, SESSIONS},
};
use crate::kube::{Cluster, ClusterError, limited};

/// Looks at the definitions that the daemon knows.
pub async fn look(cluster: &Cluster) -> Result<Features, ClusterError> {
    Ok(Features {
        sessions_counted: is_served(cluster, SESSIONS).await?,
        karpenter: is_served(cluster, NODE_POOLS).await?,
        vpa: is_served(cluster, AUTOSCALERS).await?,
    })
}

/// Whether the definition is there and established. A quota that counts what is not yet
/// served blocks for minutes.
pub(super) async fn is_served(cluster: &Cluster, name: &str) -> Result<bool, ClusterError> {
    let definitions: Api<CustomResourceDefinition> = Api::all(cluster.client().clone());
    let live = limited(definitions.get_opt(name)).await?;
    let conditions = live.and_then(|live| live.status).and_then(|status| status.conditions);
    Ok(conditions
        .iter()
        .flatten()
        .any(|condition| condition.type_ == "Established" && condition.status == "True"))
}
