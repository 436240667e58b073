//! Which rows a transaction may touch.

use streamspace_core::ids::TenantUid;
use uuid::Uuid;

/// What a caller may see: the whole region, or some tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every tenant of the region.
    Region,
    /// These tenants and nothing else. An empty list sees nothing.
    Tenants(Vec<TenantUid>),
}

impl Scope {
    /// The tenants as a bindable value: `None` for the whole region. It goes with
    /// `($1::uuid[] IS NULL OR tenant_uid = ANY ($1))`, the predicate that row-level
    /// security stands behind.
    pub fn tenant_uids(&self) -> Option<Vec<Uuid>> {
        match self {
            Self::Region => None,
            Self::Tenants(tenants) => Some(tenants.iter().map(|tenant| tenant.0).collect()),
        }
    }

    /// Whether rows of this tenant are within the scope.
    pub fn contains(&self, tenant: TenantUid) -> bool {
        match self {
            Self::Region => true,
            Self::Tenants(tenants) => tenants.contains(&tenant),
        }
    }
}

/// Opens a transaction that is held to these tenants; the setting ends with it.
///
/// `SET LOCAL` and not `set_config`: the tenant login may not call the latter, so no
/// expression within a query can change what the query sees. `SET` takes no bound
/// values; the digits and hyphens of a UUID need no quoting.
pub(super) fn opening(tenants: &[TenantUid]) -> String {
    let tenant_uids: Vec<String> =
        tenants.iter().map(|tenant| tenant.0.hyphenated().to_string()).collect();
    format!("BEGIN; SET LOCAL streamspace.tenant_uids = '{{{}}}'", tenant_uids.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_opens_with_its_tenants() {
        let some = uuid::uuid!("01900000-0000-7000-8000-00000000000a");
        let opened = opening(&[TenantUid(some), TenantUid(Uuid::nil())]);
        assert_eq!(
            opened,
            "BEGIN; SET LOCAL streamspace.tenant_uids = \
             '{01900000-0000-7000-8000-00000000000a,00000000-0000-0000-0000-000000000000}'"
        );
        assert_eq!(opening(&[]), "BEGIN; SET LOCAL streamspace.tenant_uids = '{}'");
    }
}
