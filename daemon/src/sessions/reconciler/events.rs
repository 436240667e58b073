//! Kubernetes events on sessions.

use serde_json::json;
use streamspace_core::session::lifecycle::{Event, EventKind};

use crate::{
    kube::events::{NewEvent, Tone},
    sessions::object::SeenMetadata,
};

/// An event on a session.
pub(super) fn event(session: &SeenMetadata, event: &Event) -> NewEvent {
    let (name, namespace) = (&session.name, &session.namespace);
    NewEvent {
        namespace: namespace.clone(),
        name: name.clone(),
        regarding: json!({
            "apiVersion": "stream.space/v1alpha1", "kind": "Session", "name": name,
            "namespace": namespace, "uid": session.uid.to_string(),
        }),
        tone: match event.kind {
            EventKind::Normal => Tone::Normal,
            EventKind::Warning => Tone::Warning,
        },
        reason: event.reason.clone(),
        note: event.message.clone(),
    }
}
