//! How much a tenant may use, and what an eviction must leave.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::{LimitRange, LimitRangeItem, LimitRangeSpec, ResourceQuota, ResourceQuotaSpec},
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{
        api::resource::Quantity, apis::meta::v1::LabelSelector, util::intstr::IntOrString,
    },
};
use streamspace_core::{
    plan::{Bytes, Millicores, Quota},
    quota,
};

use super::{LIMITS, LIVE_LABEL, LIVE_SESSIONS, Place};

/// What a container may use that does not say.
const DEFAULT: Amounts =
    Amounts { cpu: Millicores(500), memory: Bytes(1 << 30), ephemeral: Bytes(1 << 30) };
/// What a container gets that does not say: half of it, as the quota's limits are twice
/// its requests.
const DEFAULT_REQUEST: Amounts =
    Amounts { cpu: Millicores(250), memory: Bytes(512 << 20), ephemeral: Bytes(512 << 20) };
/// The most local scratch space of a container: more would fill the node for others.
const EPHEMERAL_MAXIMUM: Bytes = Bytes(10 << 30);

/// What the tenant may request in its state.
pub(super) fn resource_quota(place: &Place<'_>, quota: &Quota) -> ResourceQuota {
    let hard = quota::hard_in(place.tenant.state, quota, place.surroundings.sessions_counted);
    let hard = hard.into_iter().map(|(key, amount)| (key, Quantity(amount))).collect();
    ResourceQuota {
        metadata: place.metadata(LIMITS),
        spec: Some(ResourceQuotaSpec { hard: Some(hard), ..ResourceQuotaSpec::default() }),
        ..ResourceQuota::default()
    }
}

/// Defaults, without which a quota refuses every pod that does not say what it requests,
/// and the largest container and claim: no larger than the whole quota.
pub(super) fn limit_range(place: &Place<'_>, quota: &Quota) -> LimitRange {
    let largest = Amounts { cpu: quota.cpu, memory: quota.memory, ephemeral: EPHEMERAL_MAXIMUM };
    let container = LimitRangeItem {
        type_: "Container".to_owned(),
        default: Some(DEFAULT.at_most(&largest).to_map()),
        default_request: Some(DEFAULT_REQUEST.at_most(&largest).to_map()),
        max: Some(largest.to_map()),
        ..LimitRangeItem::default()
    };
    let claim = LimitRangeItem {
        type_: "PersistentVolumeClaim".to_owned(),
        max: Some(BTreeMap::from([("storage".to_owned(), Quantity(quota.storage.canonical()))])),
        ..LimitRangeItem::default()
    };
    LimitRange {
        metadata: place.metadata(LIMITS),
        spec: Some(LimitRangeSpec { limits: vec![container, claim] }),
    }
}

/// Nothing evicts the pod of a live session that is well; one that is not ready hinders
/// no node from being drained.
pub(super) fn live_sessions(place: &Place<'_>) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: place.metadata(LIVE_SESSIONS),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(0)),
            selector: Some(LabelSelector {
                match_labels: Some(BTreeMap::from([(LIVE_LABEL.to_owned(), "true".to_owned())])),
                ..LabelSelector::default()
            }),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}

/// What a container has.
struct Amounts {
    cpu: Millicores,
    memory: Bytes,
    ephemeral: Bytes,
}

impl Amounts {
    fn at_most(&self, other: &Self) -> Self {
        Self {
            cpu: self.cpu.min(other.cpu),
            memory: self.memory.min(other.memory),
            ephemeral: self.ephemeral.min(other.ephemeral),
        }
    }

    fn to_map(&self) -> BTreeMap<String, Quantity> {
        [
            ("cpu", self.cpu.canonical()),
            ("memory", self.memory.canonical()),
            ("ephemeral-storage", self.ephemeral.canonical()),
        ]
        .map(|(key, amount)| (key.to_owned(), Quantity(amount)))
        .into()
    }
}
