//! Kubernetes events on a tenant's namespace, for people who look there. They are told
//! once and may be lost; the conditions of the tenant are what lasts.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    kube::{Cluster, MANAGED_BY},
    tenants::TenantRecord,
};

/// How many events wait at most; more of them are lost.
const WAITING: usize = 256;
/// The longest note that the API server takes, in bytes.
const LONGEST_NOTE: usize = 1024;

/// Whether somebody should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Normal,
    Warning,
}

/// Namespaces and events in them.
type Receiver = mpsc::Receiver<(String, Value)>;

/// Where events are handed in. They are sent by a task of their own, so that no tenant
/// waits for them.
pub(super) struct Events {
    cluster: Cluster,
    replica: String,
    sender: mpsc::Sender<(String, Value)>,
    /// Until the task has it.
    receiver: Mutex<Option<Receiver>>,
}

impl Events {
    pub(super) fn new(cluster: Cluster, replica: String) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        Self { cluster, replica, sender, receiver: Mutex::new(Some(receiver)) }
    }

    /// Hands in an event on the namespace of a tenant.
    pub(super) fn emit(&self, tenant: &TenantRecord, tone: Tone, reason: &str, note: String) {
        let event = event(tenant, tone, reason, note, &self.replica, Timestamp::now());
        if self.sender.try_send((tenant.namespace.clone(), event)).is_err() {
            tracing::debug!(namespace = tenant.namespace, "too many events; one is lost");
        }
    }

    /// Sends what is handed in, for ever.
    pub(super) fn sender(&self) -> impl Future<Output = ()> + Send + use<> {
        let cluster = self.cluster.clone();
        let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            let Some(mut receiver) = receiver else { return std::future::pending().await };
            while let Some((namespace, event)) = receiver.recv().await {
                if let Err(error) = cluster.create_event(&namespace, &event).await {
                    tracing::debug!(namespace, %error, "an event could not be written");
                }
            }
        }
    }
}

fn event(
    tenant: &TenantRecord,
    tone: Tone,
    reason: &str,
    mut note: String,
    replica: &str,
    now: Timestamp,
) -> Value {
    if note.len() > LONGEST_NOTE {
        let end = (0..=LONGEST_NOTE - 4).rev().find(|end| note.is_char_boundary(*end));
        note.truncate(end.unwrap_or_default());
        note.push('…');
    }
    let namespace = &tenant.namespace;
    json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": format!("{namespace}.{}", uuid::Uuid::now_v7().simple()),
            "namespace": namespace,
        },
        "eventTime": format!("{now:.6}"),
        "reportingController": format!("control.stream.space/{MANAGED_BY}"),
        "reportingInstance": replica,
        "action": "Reconcile",
        "reason": reason,
        "type": match tone {
            Tone::Normal => "Normal",
            Tone::Warning => "Warning",
        },
        // An event stands in the namespace that it tells of, so the reference names that
        // twice.
        "regarding": {
            "apiVersion": "v1", "kind": "Namespace", "name": namespace, "namespace": namespace,
        },
        "note": note,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenants::store::testing::a_tenant;

    #[test]
    fn a_long_note_is_cut_between_characters() {
        let note = "é".repeat(2000);
        let event = event(&a_tenant(), Tone::Warning, "Refused", note, "a", Timestamp::UNIX_EPOCH);
        let note = event["note"].as_str().unwrap();
        assert!(note.len() <= LONGEST_NOTE && note.ends_with("é…"), "{}", note.len());
        assert_eq!(event["eventTime"], "1970-01-01T00:00:00.000000Z");
        assert_eq!(event["regarding"]["namespace"], event["metadata"]["namespace"]);
        // The API server takes it as what it is.
        serde_json::from_value::<k8s_openapi::api::events::v1::Event>(event).unwrap();
    }
}
