//! What a tenant becomes in the cluster. Pure.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use super::TenantRecord;
use crate::kube::{MANAGED_BY, MANAGED_BY_LABEL, TENANT_UID_LABEL};

/// The annotation that names the account that pays.
const BILLING_ACCOUNT_ANNOTATION: &str = "control.stream.space/billing-account";

/// The namespace of a tenant.
pub fn namespace(tenant: &TenantRecord) -> Namespace {
    let id = tenant.spec.id.as_str();
    let plan = tenant.spec.plan.as_str();
    let region = tenant.spec.home_region.as_str();
    let uid = tenant.uid.0.to_string();
    let labels = [
        (MANAGED_BY_LABEL, MANAGED_BY),
        (TENANT_UID_LABEL, &uid),
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
    let account = &tenant.spec.billing_account;
    let annotations = (!account.is_empty())
        .then(|| BTreeMap::from([(BILLING_ACCOUNT_ANNOTATION.to_owned(), account.clone())]));
    Namespace {
        metadata: ObjectMeta {
            name: Some(tenant.namespace.clone()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            annotations,
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenants::store::testing::a_tenant;

    /// The committed picture of what a tenant becomes. `UPDATE_SNAPSHOTS=1` writes
    /// it anew; the change then shows in review.
    #[test]
    fn the_namespace_is_as_committed() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tenants/snapshots/namespace.json");
        let now = serde_json::to_string_pretty(&namespace(&a_tenant())).unwrap() + "\n";
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(path, &now).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), now);
    }
}
