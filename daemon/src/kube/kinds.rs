//! The kinds of objects that the daemon manages.

use std::fmt;

use kube::core::{ApiResource, GroupVersionKind};

/// A kind of managed object, in the order in which a tenant's are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A tenant's namespace. The others live within it.
    Namespace,
    /// What a tenant may request. First, so that the cluster counts while the daemon
    /// writes the others.
    ResourceQuota,
    /// Defaults of a container.
    LimitRange,
    /// Who may talk to whom.
    NetworkPolicy,
    /// What the tenant's administrators may do.
    Role,
    /// Who the tenant's administrators are.
    RoleBinding,
    /// What an eviction must leave.
    PodDisruptionBudget,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Namespace,
        Self::ResourceQuota,
        Self::LimitRange,
        Self::NetworkPolicy,
        Self::Role,
        Self::RoleBinding,
        Self::PodDisruptionBudget,
    ];

    /// The kind as Kubernetes writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::ResourceQuota => "ResourceQuota",
            Self::LimitRange => "LimitRange",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::Role => "Role",
            Self::RoleBinding => "RoleBinding",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
        }
    }

    /// Reads the kind as Kubernetes writes it.
    pub fn parse(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == kind)
    }

    /// Group, version and plural.
    const fn coordinates(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Namespace => ("", "v1", "namespaces"),
            Self::ResourceQuota => ("", "v1", "resourcequotas"),
            Self::LimitRange => ("", "v1", "limitranges"),
            Self::NetworkPolicy => ("networking.k8s.io", "v1", "networkpolicies"),
            Self::Role => ("rbac.authorization.k8s.io", "v1", "roles"),
            Self::RoleBinding => ("rbac.authorization.k8s.io", "v1", "rolebindings"),
            Self::PodDisruptionBudget => ("policy", "v1", "poddisruptionbudgets"),
        }
    }

    /// The name of the resource in paths and in rules of access.
    pub const fn plural(self) -> &'static str {
        self.coordinates().2
    }

    /// Where the API server serves it.
    pub fn api_resource(self) -> ApiResource {
        let (group, version, plural) = self.coordinates();
        let kind = GroupVersionKind::gvk(group, version, self.as_str());
        ApiResource::from_gvk_with_plural(&kind, plural)
    }

    /// Whether its objects live in a namespace.
    pub const fn is_namespaced(self) -> bool {
        !matches!(self, Self::Namespace)
    }

    /// Whether its strings can be quantities, of which `1` and `1000m` are the same.
    pub(super) const fn has_quantities(self) -> bool {
        matches!(self, Self::ResourceQuota | Self::LimitRange)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_kinds_are_one_to_one() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
            assert_eq!(kind.api_resource().kind, kind.as_str());
        }
        assert_eq!(Kind::parse("Pod"), None);
        assert_eq!(Kind::NetworkPolicy.api_resource().api_version, "networking.k8s.io/v1");
        assert_eq!(Kind::ResourceQuota.api_resource().api_version, "v1");
    }
}
