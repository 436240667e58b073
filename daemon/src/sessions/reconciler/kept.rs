//! A session as the cache keeps it: the text of its object, which is read anew for each look.
//! Read, it takes more than twice the memory, and of a region's tens of thousands of sessions
//! nearly all rest.

use kube::core::{DynamicObject, ObjectMeta};
use streamspace_core::session::lifecycle::Activity;

use super::read::{self, Session, mark};

/// The longest text that is kept, in bytes. A session that its author or a controller wrote
/// more about is kept as it was read: that cuts what is too long.
const TEXT_KEPT: usize = 4096;

/// A session as it was seen, without its version.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct KeptSession {
    user: u64,
    template: u64,
    form: Form,
}

#[derive(Clone, Debug, PartialEq)]
enum Form {
    Text {
        text: Box<str>,
        /// Read of who wrote what, which the text does not tell.
        activity: Option<Box<Activity>>,
    },
    Read(Box<Session>),
}

/// Which sessions are meant.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which<'a> {
    All,
    OfUser(&'a str),
    OfTemplate(&'a str),
}

impl KeptSession {
    pub(super) fn new(object: &DynamicObject, session: Session) -> Self {
        let (user, template) =
            (mark(&session.seen.written.user), mark(&session.seen.written.template));
        let form = match text(object).filter(|text| text.len() <= TEXT_KEPT) {
            Some(text) => {
                Form::Text { text: text.into_boxed_str(), activity: session.activity.map(Box::new) }
            }
            None => Form::Read(Box::new(session)),
        };
        Self { user, template, form }
    }

    /// Whether it is one of these. Of two names with one mark, which there hardly are, the other's
    /// sessions are among them.
    pub(super) fn is(&self, which: Which<'_>) -> bool {
        match which {
            Which::All => true,
            Which::OfUser(name) => self.user == mark(name),
            Which::OfTemplate(name) => self.template == mark(name),
        }
    }

    /// What was seen, and in which version.
    pub(super) fn read(&self, version: &str) -> Option<Session> {
        let mut session = match &self.form {
            Form::Text { text, activity } => {
                let object = serde_json::from_str(text).ok()?;
                let activity = activity.as_deref().cloned();
                Session { activity, ..read::session(&object, &[].into()) }
            }
            Form::Read(session) => Session::clone(session),
        };
        session.seen.metadata.resource_version = version.parse().unwrap_or_default();
        Some(session)
    }
}

/// What a session is read of, but for its version and who wrote what.
fn text(object: &DynamicObject) -> Option<String> {
    let metadata = &object.metadata;
    let metadata = ObjectMeta {
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        generation: metadata.generation,
        creation_timestamp: metadata.creation_timestamp.clone(),
        deletion_timestamp: metadata.deletion_timestamp.clone(),
        finalizers: metadata.finalizers.clone(),
        annotations: metadata.annotations.as_ref().map(|annotations| {
            let own = |(key, _): &(&String, &String)| read::is_own(key);
            annotations.iter().filter(own).map(|(key, text)| (key.clone(), text.clone())).collect()
        }),
        ..ObjectMeta::default()
    };
    let essence = DynamicObject { types: None, metadata, data: object.data.clone() };
    serde_json::to_string(&essence).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};
    use streamspace_core::session::SessionPhase;

    use super::*;

    fn seen(object: Value) -> (DynamicObject, Session) {
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let session = read::session(&object, &BTreeSet::from(["proxy".to_owned()]));
        (object, session)
    }

    fn desk() -> Value {
        json!({
            "apiVersion": "stream.space/v1alpha1", "kind": "Session",
            "metadata": {
                "name": "desk", "namespace": "tenant-acme", "generation": 3,
                "uid": "f4d92c1e-3c5a-4b21-9d0c-0a8f8e6d2b11", "resourceVersion": "812",
                "creationTimestamp": "2026-11-01T08:00:00Z",
                "finalizers": ["control.stream.space/metering"],
                "annotations": {
                    "control.stream.space/state-change": json!({
                        "to": "hibernated", "reason": "Idle", "message": "nobody used it",
                        "time": "2026-11-01T09:00:00Z",
                    }).to_string(),
                    "control.stream.space/status": json!({
                        "allotted": {"cpu": "1", "memory": "2Gi", "replicas": 1},
                    }).to_string(),
                    "example.com/note": "x".repeat(5000),
                },
                "managedFields": [{
                    "manager": "proxy", "operation": "Update", "subresource": "status",
                    "time": "2026-11-01T08:59:00Z", "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:status": {"f:lastActivity": {}}},
                }],
            },
            "spec": {"user": "ada", "template": "firefox", "state": "hibernated"},
            "status": {
                "phase": "Hibernated", "lastActivity": "2026-11-01T08:30:00Z",
                "conditions": [{
                    "type": "Awake", "status": "False", "reason": "Idle",
                    "message": "nobody used it", "observedGeneration": 3,
                    "lastTransitionTime": "2026-11-01T09:00:00Z",
                }],
            },
        })
    }

    #[test]
    fn what_is_kept_reads_as_it_was_seen() {
        let (object, mut session) = seen(desk());
        assert!(session.activity.is_some() && session.last_change.is_some() && session.held);
        assert!(session.seen.status.allotted.is_some());
        assert_eq!(session.seen.status.phase, Some(SessionPhase::Hibernated));
        let kept = KeptSession::new(&object, session.clone());
        assert!(matches!(&kept.form, Form::Text { text, .. } if text.len() < 1500));
        // Of who wrote what only the activity counts here.
        session.seen.metadata.status_time = None;
        session.seen.metadata.write_time = None;
        assert_eq!(kept.read("812"), Some(session));
        assert_eq!(kept.read("813").unwrap().seen.metadata.resource_version, 813);
    }

    #[test]
    fn another_version_alone_is_no_news() {
        let kept = |object: Value| {
            let (object, session) = seen(object);
            KeptSession::new(&object, session)
        };
        let mut later = desk();
        later["metadata"]["resourceVersion"] = json!("813");
        later["metadata"]["annotations"]["example.com/note"] = json!("another");
        assert_eq!(kept(desk()), kept(later.clone()));
        later["metadata"]["managedFields"][0]["time"] = json!("2026-11-01T09:10:00Z");
        assert_ne!(kept(desk()), kept(later), "it was reported once more");
    }

    #[test]
    fn one_that_is_too_long_is_kept_as_it_was_read() {
        let mut long = desk();
        long["spec"]["template"] = json!("t".repeat(1 << 20));
        let (object, session) = seen(long);
        let kept = KeptSession::new(&object, session.clone());
        assert!(matches!(kept.form, Form::Read(_)));
        assert_eq!(kept.read("812"), Some(session));
    }

    #[test]
    fn sessions_are_found_by_user_and_by_template() {
        let (object, session) = seen(desk());
        let kept = KeptSession::new(&object, session);
        assert!(kept.is(Which::All) && kept.is(Which::OfUser("ada")));
        assert!(kept.is(Which::OfTemplate("firefox")));
        assert!(!kept.is(Which::OfUser("firefox")) && !kept.is(Which::OfTemplate("ada")));
    }
}
