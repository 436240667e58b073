//! What a quota becomes in the cluster.

use super::Quantities;
use crate::{plan::Quota, quantity::Unit, tenant::TenantState};

/// The key that counts sessions. The API server knows it once their kind is there.
pub const SESSIONS_KEY: &str = "count/sessions.stream.space";

/// How many sessions, and how many of the objects that belong to them, there may be for
/// each pod: a session that hibernates keeps its object, its Service and its home, and
/// has no pod.
const OBJECTS_FOR_A_POD: i64 = 4;
/// Local scratch space for each pod: 1Gi.
const EPHEMERAL_FOR_A_POD: i64 = 1 << 30;

/// The keys that say how much may run at once.
const COMPUTE: [&str; 6] =
    ["requests.cpu", "requests.memory", "limits.cpu", "limits.memory", EPHEMERAL_KEY, "pods"];
const EPHEMERAL_KEY: &str = "requests.ephemeral-storage";

/// The hard map of the `ResourceQuota` of a tenant that is open, in the form that the
/// API server prints back. Limits are twice the requests.
pub fn hard(quota: &Quota, sessions_counted: bool) -> Quantities {
    let pods = i64::from(quota.pods);
    let objects = pods.saturating_mul(OBJECTS_FOR_A_POD);
    let mut amounts = vec![
        ("requests.cpu", quota.cpu.0),
        ("limits.cpu", quota.cpu.0.saturating_mul(2)),
        ("requests.memory", quota.memory.0),
        ("limits.memory", quota.memory.0.saturating_mul(2)),
        (EPHEMERAL_KEY, pods.saturating_mul(EPHEMERAL_FOR_A_POD)),
        ("requests.storage", quota.storage.0),
        ("pods", pods),
        ("services", objects),
        // Both would open a way into the tenant past the ingress controller.
        ("services.loadbalancers", 0),
        ("services.nodeports", 0),
        ("persistentvolumeclaims", objects),
        ("secrets", objects),
        ("configmaps", objects),
    ];
    if sessions_counted {
        amounts.push((SESSIONS_KEY, objects));
    }
    let canonical = |(key, amount)| (String::from(key), unit_of(key).canonical(amount));
    amounts.into_iter().map(canonical).collect()
}

/// The hard map of a tenant in a state.
///
/// A quota refuses what is new and leaves alone what runs. So a tenant where nothing new
/// starts (cordoned, suspended, archived) gets no pods and no sessions, and its running
/// pods go on until something ends them; an archived one gets nothing to compute with at
/// all. Storage and what else keeps data stay as they are.
pub fn hard_in(state: TenantState, quota: &Quota, sessions_counted: bool) -> Quantities {
    let closed: &[&str] = match state {
        TenantState::Provisioning | TenantState::Active => &[],
        TenantState::Cordoned | TenantState::Suspended => &["pods", SESSIONS_KEY],
        TenantState::Archived | TenantState::Purging | TenantState::Gone => {
            &[COMPUTE.as_slice(), &[SESSIONS_KEY]].concat()
        }
    };
    let mut map = hard(quota, sessions_counted);
    for (key, amount) in &mut map {
        if closed.contains(&key.as_str()) {
            "0".clone_into(amount);
        }
    }
    map
}

/// The unit of a key of a hard map.
pub fn unit_of(key: &str) -> Unit {
    match key.rsplit_once('.').map_or(key, |(_, resource)| resource) {
        _ if key.starts_with("count/") => Unit::Count,
        "cpu" => Unit::Millicores,
        "memory" | "storage" | "ephemeral-storage" => Unit::Bytes,
        _ => Unit::Count,
    }
}
