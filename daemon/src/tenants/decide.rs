//! What to do about a tenant: the wish and the live object in, one step out. Pure.

use k8s_openapi::api::core::v1::Namespace;
use streamspace_core::tenant::TenantState;

use super::{TenantRecord, manifests};
use crate::kube::{TENANT_UID_LABEL, needs_apply};

/// The next step for a tenant.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Write the namespace.
    Apply(Box<Namespace>),
    /// The cluster has all that is wished.
    Provisioned,
    /// Delete the namespace, as it was read.
    Delete,
    /// The cluster is still at it; look again.
    Wait(Obstacle),
    /// Something is in the way that only a person can remove.
    Blocked(Obstacle),
    /// Nothing of the tenant is left in the cluster.
    Empty,
    /// The tenant is gone and the daemon has nothing to do with it.
    Nothing,
}

/// What is in the way, for a condition.
#[derive(Debug, PartialEq)]
pub struct Obstacle {
    /// One word for programs.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}

impl Obstacle {
    fn new(reason: &str, message: String) -> Self {
        Self { reason: reason.into(), message }
    }
}

/// Decides the next step for a tenant whose namespace is `live`.
pub fn next_step(tenant: &TenantRecord, live: Option<&Namespace>) -> Step {
    match tenant.state {
        TenantState::Gone => Step::Nothing,
        TenantState::Purging => purge(tenant, live),
        _ => keep(tenant, live),
    }
}

fn keep(tenant: &TenantRecord, live: Option<&Namespace>) -> Step {
    let wish = manifests::namespace(tenant);
    let Some(live) = live else { return Step::Apply(Box::new(wish)) };
    if !belongs_to(tenant, live) {
        let message = format!(
            "namespace {} exists and does not belong to this tenant; the daemon does not touch \
             it. Delete or rename it, or delete this tenant",
            tenant.namespace
        );
        return Step::Blocked(Obstacle::new("NamespaceExists", message));
    }
    if let Some(obstacle) = terminating(live) {
        return Step::Wait(obstacle);
    }
    if needs_apply(&live.metadata, &wish.metadata) {
        Step::Apply(Box::new(wish))
    } else {
        Step::Provisioned
    }
}

/// Only what belongs to the tenant is deleted; a namespace of somebody else under
/// the same name is none of it.
fn purge(tenant: &TenantRecord, live: Option<&Namespace>) -> Step {
    match live {
        Some(live) if belongs_to(tenant, live) => {
            terminating(live).map_or(Step::Delete, Step::Wait)
        }
        _ => Step::Empty,
    }
}

/// The uid label, and where a hand removed it, what our field manager wrote there.
fn belongs_to(tenant: &TenantRecord, live: &Namespace) -> bool {
    let uid = tenant.uid.0.to_string();
    let labelled = live.metadata.labels.as_ref().and_then(|labels| labels.get(TENANT_UID_LABEL));
    match labelled {
        Some(label) => *label == uid,
        None => crate::kube::applied_by_us(&live.metadata),
    }
}

fn terminating(live: &Namespace) -> Option<Obstacle> {
    live.metadata.deletion_timestamp.as_ref()?;
    // The namespace controller says in conditions what it waits for.
    let words: Vec<String> = live
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten())
        .filter(|condition| condition.status == "True")
        .filter_map(|condition| condition.message.clone())
        .collect();
    let message = if words.is_empty() {
        "the namespace is being deleted by the cluster".to_owned()
    } else {
        words.join("; ")
    };
    Some(Obstacle::new("NamespaceTerminating", message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{kube::FIELD_MANAGER, tenants::store::testing::a_tenant};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, Time};
    use serde_json::json;

    /// The namespace of the tenant as the API server would hold it.
    fn applied(tenant: &TenantRecord) -> Namespace {
        let mut live = manifests::namespace(tenant);
        let keys = |map: &Option<std::collections::BTreeMap<String, String>>| -> serde_json::Value {
            map.iter().flatten().map(|(key, _)| (format!("f:{key}"), json!({}))).collect()
        };
        let fields = json!({"f:metadata": {
            "f:labels": keys(&live.metadata.labels),
            "f:annotations": keys(&live.metadata.annotations),
        }});
        live.metadata.managed_fields = Some(vec![ManagedFieldsEntry {
            manager: Some(FIELD_MANAGER.into()),
            operation: Some("Apply".into()),
            fields_v1: Some(serde_json::from_value(fields).unwrap()),
            ..Default::default()
        }]);
        live
    }

    fn in_state(state: TenantState) -> TenantRecord {
        TenantRecord { state, ..a_tenant() }
    }

    fn foreign() -> Namespace {
        let mut other = manifests::namespace(&a_tenant());
        other.metadata.labels = None;
        other
    }

    fn dying(mut namespace: Namespace) -> Namespace {
        namespace.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
        namespace
    }

    #[test]
    fn a_new_tenant_is_written_and_then_left_alone() {
        let tenant = in_state(TenantState::Provisioning);
        assert!(matches!(next_step(&tenant, None), Step::Apply(_)));
        assert_eq!(next_step(&tenant, Some(&applied(&tenant))), Step::Provisioned);
    }

    #[test]
    fn drift_is_repaired_also_where_a_hand_took_every_label() {
        let tenant = in_state(TenantState::Active);
        let mut live = applied(&tenant);
        live.metadata.labels.as_mut().unwrap().insert("tier".into(), "free".into());
        assert!(matches!(next_step(&tenant, Some(&live)), Step::Apply(_)));
        live.metadata.labels = None;
        assert!(matches!(next_step(&tenant, Some(&live)), Step::Apply(_)));
    }

    #[test]
    fn a_namespace_of_somebody_else_is_never_touched() {
        let tenant = in_state(TenantState::Provisioning);
        assert!(matches!(next_step(&tenant, Some(&foreign())), Step::Blocked(_)));
        let purging = in_state(TenantState::Purging);
        assert_eq!(next_step(&purging, Some(&foreign())), Step::Empty);
        let mut other_tenant = applied(&purging);
        other_tenant
            .metadata
            .labels
            .as_mut()
            .unwrap()
            .insert(TENANT_UID_LABEL.into(), uuid::Uuid::nil().to_string());
        assert_eq!(next_step(&purging, Some(&other_tenant)), Step::Empty);
    }

    #[test]
    fn a_purge_deletes_waits_and_ends() {
        let tenant = in_state(TenantState::Purging);
        let live = applied(&tenant);
        assert_eq!(next_step(&tenant, Some(&live)), Step::Delete);
        assert!(matches!(next_step(&tenant, Some(&dying(live))), Step::Wait(_)));
        assert_eq!(next_step(&tenant, None), Step::Empty);
    }

    #[test]
    fn a_tombstone_deletes_nothing() {
        let tenant = in_state(TenantState::Gone);
        assert_eq!(next_step(&tenant, Some(&applied(&tenant))), Step::Nothing);
    }
}
