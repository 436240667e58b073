//! Kubernetes events, for people who look there. They are told once and may be lost; the
//! conditions of what they tell of are what lasts.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Cluster, MANAGED_BY};

/// How many events wait at most; more of them are lost.
const WAITING: usize = 256;
/// The longest note and the longest reason that the API server takes, in bytes.
const LONGEST_NOTE: usize = 1024;
const LONGEST_REASON: usize = 128;

/// Whether somebody should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It went as wished.
    Normal,
    /// Somebody should.
    Warning,
}

/// What is told.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// The namespace that it stands in.
    pub namespace: String,
    /// What it is named after, followed by a mark of its own.
    pub name: String,
    /// What it is about: an object reference.
    pub regarding: Value,
    /// Whether somebody should look.
    pub tone: Tone,
    /// One word for programs.
    pub reason: String,
    /// A sentence for people.
    pub note: String,
}

impl NewEvent {
    /// As the API server takes it.
    pub(crate) fn to_json(&self, replica: &str, now: Timestamp) -> Value {
        json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": format!("{}.{}", self.name, uuid::Uuid::now_v7().simple()),
                "namespace": self.namespace,
            },
            "eventTime": format!("{now:.6}"),
            "reportingController": format!("control.stream.space/{MANAGED_BY}"),
            "reportingInstance": replica,
            "action": "Reconcile",
            "reason": cut(&self.reason, LONGEST_REASON),
            "type": match self.tone {
                Tone::Normal => "Normal",
                Tone::Warning => "Warning",
            },
            "regarding": self.regarding,
            "note": cut(&self.note, LONGEST_NOTE),
        })
    }
}

/// A text of at most so many bytes, cut between characters.
fn cut(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let end = (0..=longest.saturating_sub(4)).rev().find(|end| text.is_char_boundary(*end));
    format!("{}…", text.get(..end.unwrap_or_default()).unwrap_or_default())
}

/// Where events are handed in. They are sent by a task of their own, so that no work waits
/// for them.
pub struct Events {
    cluster: Cluster,
    replica: String,
    sender: mpsc::Sender<NewEvent>,
    /// Until the task has it.
    receiver: Mutex<Option<mpsc::Receiver<NewEvent>>>,
}

impl Events {
    /// Events that `replica` writes into `cluster`.
    pub fn new(cluster: Cluster, replica: String) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        Self { cluster, replica, sender, receiver: Mutex::new(Some(receiver)) }
    }

    /// Hands in an event.
    pub fn emit(&self, event: NewEvent) {
        if let Err(lost) = self.sender.try_send(event) {
            let namespace = lost.into_inner().namespace;
            tracing::debug!(namespace, "too many events; one is lost");
        }
    }

    /// Sends what is handed in, for ever.
    pub fn sender(&self) -> impl Future<Output = ()> + Send + use<> {
        let (cluster, replica) = (self.cluster.clone(), self.replica.clone());
        let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move {
            let Some(mut receiver) = receiver else { return std::future::pending().await };
            while let Some(event) = receiver.recv().await {
                let body = event.to_json(&replica, Timestamp::now());
                if let Err(error) = cluster.create_event(&event.namespace, &body).await {
                    tracing::debug!(event.namespace, %error, "an event could not be written");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_between_characters() {
        let event = NewEvent {
            namespace: "tenant-acme".into(),
            name: "ada-firefox".into(),
            regarding: json!({"kind": "Session", "name": "ada-firefox", "namespace": "tenant-acme"}),
            tone: Tone::Warning,
            reason: "r".repeat(200),
            note: "é".repeat(2000),
        };
        let event = event.to_json("a", Timestamp::UNIX_EPOCH);
        let note = event["note"].as_str().unwrap();
        assert!(note.len() <= LONGEST_NOTE && note.ends_with("é…"), "{}", note.len());
        assert!(event["reason"].as_str().unwrap().len() <= LONGEST_REASON);
        assert_eq!(event["eventTime"], "1970-01-01T00:00:00.000000Z");
        assert_eq!(event["regarding"]["namespace"], event["metadata"]["namespace"]);
        // The API server takes it as what it is.
        serde_json::from_value::<k8s_openapi::api::events::v1::Event>(event).unwrap();
    }
}
