//! What every tenant should have in this region's cluster.

use streamspace_core::tenant::TenantState;

use super::{
    TenantRecord,
    decide::Wish,
    manifests::{self, Surroundings},
    reconciler::Wishes,
};
use crate::{kube::Kind, platform::Features};

/// The wishes that [`manifests`] makes.
#[derive(Clone, Debug)]
pub struct ManifestWishes {
    without_sessions: Surroundings,
    with_sessions: Surroundings,
}

impl ManifestWishes {
    /// Wishes for tenants in these surroundings. Whether sessions are counted is told
    /// with each call.
    pub fn new(surroundings: Surroundings) -> Self {
        Self {
            without_sessions: Surroundings { sessions_counted: false, ..surroundings.clone() },
            with_sessions: Surroundings { sessions_counted: true, ..surroundings },
        }
    }

    /// The name of this installation in the cluster.
    pub fn instance(&self) -> &str {
        &self.with_sessions.instance
    }

    fn wishes(
        &self,
        tenant: &TenantRecord,
        features: Features,
        wanted: impl Fn(Kind) -> bool,
    ) -> Vec<Wish> {
        if matches!(tenant.state, TenantState::Purging | TenantState::Gone) {
            return Vec::new();
        }
        let surroundings =
            if features.sessions_counted { &self.with_sessions } else { &self.without_sessions };
        let objects = manifests::objects(tenant, &tenant.quota(), surroundings);
        let objects = objects.iter().filter(|object| wanted(object.kind()));
        objects.filter_map(|object| Wish::new(object.to_json())).collect()
    }
}

impl Wishes for ManifestWishes {
    fn of(&self, tenant: &TenantRecord, features: Features) -> Vec<Wish> {
        self.wishes(tenant, features, |_kind| true)
    }

    fn of_kind(&self, tenant: &TenantRecord, features: Features, kind: Kind) -> Vec<Wish> {
        // Most of the work is to write an object down, so the others are not.
        self.wishes(tenant, features, |of| of == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenants::{manifests::NetworkConfig, store::testing::a_tenant};

    #[test]
    fn those_of_one_kind_are_those_among_all() {
        let wishes = ManifestWishes::new(Surroundings {
            instance: "streamspace".into(),
            control_namespace: "streamspace-system".into(),
            network: NetworkConfig::default(),
            sessions_counted: false,
        });
        let (tenant, features) = (a_tenant(), Features::default());
        let all = wishes.of(&tenant, features);
        for kind in Kind::ALL {
            let mut among = all.clone();
            among.retain(|wish| wish.kind == kind);
            assert_eq!(wishes.of_kind(&tenant, features, kind), among, "{kind}");
        }
        assert!(!wishes.of_kind(&tenant, features, Kind::NetworkPolicy).is_empty());
    }
}
