//! What a tenant becomes in the cluster. Pure.
//!
//! [`objects`] gives all of it. Each object is written whole: what the API server would
//! fill in stands there already, and quantities have the form that it prints, so that
//! the live object and the wish compare equal.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::{LimitRange, Namespace, ResourceQuota},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Serialize;
use serde_json::Value;
use streamspace_core::plan::Quota;

use super::TenantRecord;
use crate::kube::{INSTANCE_LABEL, Kind, MANAGED_BY, MANAGED_BY_LABEL, TENANT_UID_LABEL};

pub use network::{Cidr, CidrError, NetworkConfig};

mod limits;
mod network;
mod rights;
#[cfg(test)]
mod tests;

/// The name of the quota and of the limit range.
pub const LIMITS: &str = "streamspace";
/// The policy that denies all that no other allows.
pub const DEFAULT_DENY: &str = "streamspace-default-deny";
/// The policy on who reaches the tenant's pods, and that they reach one another.
pub const INGRESS: &str = "streamspace-ingress";
/// The policy on names.
pub const DNS: &str = "streamspace-dns";
/// The policy on the internet.
pub const INTERNET: &str = "streamspace-internet";
/// The role of the tenant's administrators, and its binding.
pub const ADMINISTRATORS: &str = "streamspace-administrators";
/// The budget that holds evictions off live sessions.
pub const LIVE_SESSIONS: &str = "streamspace-live-sessions";
/// The label with the value `true` on the pods of live sessions.
pub const LIVE_LABEL: &str = "stream.space/live";

/// The annotations that name the account that pays: ours, and the plain one that the
/// platform's own tools look for.
const BILLING_ACCOUNT_ANNOTATIONS: [&str; 2] =
    ["control.stream.space/billing-account", "billing-account"];

/// What a tenant's objects depend on beside the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// The installation that manages the cluster, for the instance label.
    pub instance: String,
    /// The namespace of the installation itself.
    pub control_namespace: String,
    /// What the network is like.
    pub network: NetworkConfig,
    /// Whether the quota counts sessions: their kind is established. A quota made
    /// before it blocks for minutes.
    pub sessions_counted: bool,
}

/// One object of a tenant.
#[derive(Clone, Debug, PartialEq)]
pub enum TenantObject {
    /// The namespace. The others live within it.
    Namespace(Namespace),
    /// What the tenant may request.
    ResourceQuota(ResourceQuota),
    /// Defaults and the largest container.
    LimitRange(LimitRange),
    /// Who may talk to whom.
    NetworkPolicy(NetworkPolicy),
    /// What the tenant's administrators may do.
    Role(Role),
    /// Who they are.
    RoleBinding(RoleBinding),
    /// What an eviction must leave.
    PodDisruptionBudget(PodDisruptionBudget),
}

impl TenantObject {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Namespace(_) => Kind::Namespace,
            Self::ResourceQuota(_) => Kind::ResourceQuota,
            Self::LimitRange(_) => Kind::LimitRange,
            Self::NetworkPolicy(_) => Kind::NetworkPolicy,
            Self::Role(_) => Kind::Role,
            Self::RoleBinding(_) => Kind::RoleBinding,
            Self::PodDisruptionBudget(_) => Kind::PodDisruptionBudget,
        }
    }

    /// Its metadata.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Namespace(object) => &object.metadata,
            Self::ResourceQuota(object) => &object.metadata,
            Self::LimitRange(object) => &object.metadata,
            Self::NetworkPolicy(object) => &object.metadata,
            Self::Role(object) => &object.metadata,
            Self::RoleBinding(object) => &object.metadata,
            Self::PodDisruptionBudget(object) => &object.metadata,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// As it is applied, with `apiVersion` and `kind`. The same object gives the same
    /// value, so that a digest of it tells a change.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Namespace(object) => json(object),
            Self::ResourceQuota(object) => json(object),
            Self::LimitRange(object) => json(object),
            Self::NetworkPolicy(object) => json(object),
            Self::Role(object) => json(object),
            Self::RoleBinding(object) => json(object),
            Self::PodDisruptionBudget(object) => json(object),
        }
    }
}

/// These types are texts, numbers, lists and maps with texts as keys, of which
/// serialisation cannot fail. The API server would refuse `null`.
fn json(object: &impl Serialize) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

/// All objects of a tenant with the quota that applies to it, in the order in which they
/// are written: the namespace, what limits it, who may talk to whom, and only then the
/// rights of its administrators. Without administrators there is neither role nor
/// binding.
pub fn objects(
    tenant: &TenantRecord,
    quota: &Quota,
    surroundings: &Surroundings,
) -> Vec<TenantObject> {
    let place = Place { tenant, surroundings };
    let mut objects = vec![
        TenantObject::Namespace(namespace(&place)),
        TenantObject::ResourceQuota(limits::resource_quota(&place, quota)),
        TenantObject::LimitRange(limits::limit_range(&place, quota)),
    ];
    objects.extend(network::policies(&place).map(TenantObject::NetworkPolicy));
    if !tenant.spec.admin_subjects.is_empty() {
        objects.push(TenantObject::Role(rights::role(&place)));
        objects.push(TenantObject::RoleBinding(rights::binding(&place)));
    }
    objects.push(TenantObject::PodDisruptionBudget(limits::live_sessions(&place)));
    objects
}

/// The namespace of a tenant, with the names that the platform's own tools look for.
fn namespace(place: &Place<'_>) -> Namespace {
    let tenant = place.tenant;
    let id = tenant.spec.id.as_str();
    let plan = tenant.spec.plan.as_str();
    let region = tenant.spec.home_region.as_str();
    let mut labels = place.labels();
    let own = [
        ("control.stream.space/tenant", id),
        ("control.stream.space/plan", plan),
        ("control.stream.space/region", region),
        // The plain names that the platform's own tools look for.
        ("tenant-id", id),
        ("tier", plan),
        ("region", region),
        ("pod-security.kubernetes.io/enforce", "baseline"),
        ("pod-security.kubernetes.io/audit", "restricted"),
        ("pod-security.kubernetes.io/warn", "restricted"),
    ];
    labels.extend(own.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let account = &tenant.spec.billing_account;
    let annotations = (!account.is_empty())
        .then(|| BILLING_ACCOUNT_ANNOTATIONS.map(|key| (key.to_owned(), account.clone())).into());
    Namespace {
        metadata: ObjectMeta {
            name: Some(tenant.namespace.clone()),
            labels: Some(labels),
            annotations,
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

/// Whose objects are made, and where.
struct Place<'a> {
    tenant: &'a TenantRecord,
    surroundings: &'a Surroundings,
}

impl Place<'_> {
    /// The labels of everything that is managed.
    fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned()),
            (INSTANCE_LABEL.to_owned(), self.surroundings.instance.clone()),
            (TENANT_UID_LABEL.to_owned(), self.tenant.uid.0.to_string()),
        ])
    }

    /// The metadata of an object within the namespace.
    fn metadata(&self, name: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.tenant.namespace.clone()),
            labels: Some(self.labels()),
            ..ObjectMeta::default()
        }
    }
}
