//! Kubernetes events on a tenant's namespace.

use serde_json::json;

use crate::{
    kube::events::{NewEvent, Tone},
    tenants::TenantRecord,
};

/// An event on the namespace of a tenant.
pub(super) fn event(tenant: &TenantRecord, tone: Tone, reason: &str, note: String) -> NewEvent {
    let namespace = &tenant.namespace;
    NewEvent {
        namespace: namespace.clone(),
        name: namespace.clone(),
        // An event stands in the namespace that it tells of, so the reference names that
        // twice.
        regarding: json!({
            "apiVersion": "v1", "kind": "Namespace", "name": namespace, "namespace": namespace,
        }),
        tone,
        reason: reason.to_owned(),
        note,
    }
}
