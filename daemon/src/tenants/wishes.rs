//! What every tenant should have in this region's cluster.

use streamspace_core::tenant::TenantState;

use super::{
    TenantRecord,
    decide::Wish,
    manifests::{self, Surroundings},
    reconciler::Wishes,
};
use crate::platform::Features;

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
}

impl Wishes for ManifestWishes {
    fn of(&self, tenant: &TenantRecord, features: Features) -> Vec<Wish> {
        if matches!(tenant.state, TenantState::Purging | TenantState::Gone) {
            return Vec::new();
        }
        let surroundings =
            if features.sessions_counted { &self.with_sessions } else { &self.without_sessions };
        let objects = manifests::objects(tenant, &tenant.quota(), surroundings);
        objects.iter().filter_map(|object| Wish::new(object.to_json())).collect()
    }
}
