//! What a tenant uses of its quota, as the cluster counts it.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use streamspace_core::quota::Quantities;

use crate::kube::{Cluster, Kind};

/// The name of a tenant's `ResourceQuota`.
pub const QUOTA: &str = "streamspace";
/// A person waits for this.
const LIMIT: Duration = Duration::from_secs(3);

/// What the `ResourceQuota` of a tenant allows and what is used of it. Both are empty
/// until the cluster has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The limits that the cluster enforces now.
    pub hard: Quantities,
    /// What counts against them.
    pub used: Quantities,
}

/// Reads the quota of a namespace from the cluster at once, or tells why it is not to be
/// had.
pub async fn read(cluster: &Cluster, namespace: &str) -> Result<Usage, String> {
    let call = cluster.get(Kind::ResourceQuota, namespace, QUOTA);
    let object = match tokio::time::timeout(LIMIT, call).await {
        Ok(Ok(Some(object))) => object,
        Ok(Ok(None)) => {
            return Err(format!("there is no ResourceQuota {QUOTA} in namespace {namespace} yet"));
        }
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(format!("the cluster did not answer within {} s", LIMIT.as_secs())),
    };
    let status = object.content.get("status");
    Ok(Usage { hard: quantities(status, "hard"), used: quantities(status, "used") })
}

fn quantities(status: Option<&Value>, key: &str) -> Quantities {
    let map = status.and_then(|status| status.get(key)).and_then(Value::as_object);
    let entries = map.into_iter().flatten();
    entries
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect::<BTreeMap<_, _>>()
}
