//! What is kept of the objects that are watched. Pure, and never fails: texts of the
//! cluster may be anything.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DynamicObject;
use serde_json::{Map, Value, json};
use streamspace_core::session::{
    SessionState,
    lifecycle::{Activity, Fault, IDLE, MAXIMUM_DURATION, StateChange},
};
use uuid::Uuid;

use super::{
    METERING_FINALIZER, STATE_BEFORE_ANNOTATION, STATE_CHANGE_ANNOTATION, WISH_ANNOTATION,
};
use crate::{
    kube::FIELD_MANAGER,
    sessions::{
        manifests::{
            HOME_MOUNTED_LABEL, SESSION_LABEL, SESSION_UID_LABEL, SHAPE_ANNOTATION, SessionKind,
            USER_LABEL, is_headless,
        },
        object::{SeenSession, SeenTemplate, clipped, read_session, read_template},
    },
};

/// The longest sentence and the longest word of the cluster that are kept, in characters.
const SENTENCE_KEPT: usize = 1024;
const WORD_KEPT: usize = 64;
/// The prefix of the annotations that are the daemon's own.
const OWN_PREFIX: &str = "control.stream.space/";
/// What a container waits for that is well.
const STARTING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// A session.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Session {
    pub(super) seen: SeenSession,
    /// Whether metering holds it.
    pub(super) held: bool,
    /// What was reported of its use.
    pub(super) activity: Option<Activity>,
    /// What the daemon itself changed of its state.
    pub(super) last_change: Option<StateChange>,
    /// What it was before a suspension, where the controller is another.
    pub(super) before: Option<SessionState>,
}

/// A template, and what is told of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TemplateSeen {
    pub(super) seen: SeenTemplate,
    pub(super) valid: Option<bool>,
    pub(super) message: String,
}

/// A home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) terminating: bool,
}

/// An object that was made of a session.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Child {
    pub(super) kind: SessionKind,
    pub(super) name: Box<str>,
    pub(super) uid: Uuid,
    /// The uid of the session that it belongs to.
    pub(super) owner: Uuid,
    /// The mark of all that decides how it is.
    pub(super) substance: u64,
    /// That itself, until it was compared with a wish.
    pub(super) live: Option<Box<Value>>,
    /// The mark of the wish that it was found to be.
    pub(super) matched: Option<u64>,
    /// The mark of the wish that it was applied for.
    pub(super) wish: u64,
    /// The mark of what the session said then of its pods.
    pub(super) shape: u64,
    /// Of a Deployment: how many copies it wants.
    pub(super) replicas: Option<i32>,
    /// Of a Service: whether it has no address of its own.
    pub(super) headless: Option<bool>,
    /// Of a Deployment: what is wrong with it.
    pub(super) fault: Option<Box<Fault>>,
    pub(super) terminating: bool,
}

impl Child {
    /// Whether a session must be looked at because it is now like `other`.
    pub(super) fn is_otherwise_than(&self, other: &Self) -> bool {
        self.uid != other.uid
            || self.substance != other.substance
            || self.fault != other.fault
            || self.terminating != other.terminating
    }
}

/// A pod of a session.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SeenPod {
    pub(super) name: Box<str>,
    pub(super) uid: Box<str>,
    /// The uid of its session.
    pub(super) session_uid: Box<str>,
    pub(super) user: Box<str>,
    pub(super) home_mounted: bool,
    pub(super) ready: bool,
    pub(super) deleting: bool,
    pub(super) node: Box<str>,
    pub(super) create_time: Timestamp,
    /// When its container started.
    pub(super) start: Option<Timestamp>,
    pub(super) fault: Option<Fault>,
}

/// The session that an object was made of, by its label.
pub(super) fn session_of(metadata: &ObjectMeta) -> Option<&str> {
    metadata.labels.as_ref()?.get(SESSION_LABEL).map(String::as_str)
}

pub(super) fn session(object: &DynamicObject, reporters: &BTreeSet<String>) -> Session {
    let seen = read_session(object);
    let annotation = |key: &str| {
        let text = object.metadata.annotations.as_ref()?.get(key)?;
        Some(text.as_str())
    };
    let finalizers = object.metadata.finalizers.iter().flatten();
    Session {
        held: finalizers.into_iter().any(|finalizer| finalizer == METERING_FINALIZER),
        activity: activity(object, &seen, reporters),
        last_change: annotation(STATE_CHANGE_ANNOTATION).and_then(state_change),
        before: annotation(STATE_BEFORE_ANNOTATION).and_then(SessionState::parse),
        seen,
    }
}

/// The latest word of a configured reporter on the last activity: of who owns that in the
/// status, or of who reported it through the daemon. Without any, the word of another.
fn activity(
    object: &DynamicObject,
    seen: &SeenSession,
    reporters: &BTreeSet<String>,
) -> Option<Activity> {
    let last = seen.status.last_activity?;
    let told = seen.status.activity.as_ref().and_then(|activity| {
        Some(Activity {
            last,
            report_time: activity.report_time?,
            reporter: activity.reporter.clone(),
        })
    });
    let owners = object.metadata.managed_fields.iter().flatten().filter_map(|entry| {
        let fields = &entry.fields_v1.as_ref()?.0;
        fields.get("f:status")?.get("f:lastActivity")?;
        let reporter = entry.manager.as_deref().filter(|manager| *manager != FIELD_MANAGER)?;
        let report_time = entry.time.as_ref()?.0;
        Some(Activity { last, report_time, reporter: clipped(reporter, WORD_KEPT * 4) })
    });
    let known = |activity: &Activity| reporters.contains(&activity.reporter);
    told.into_iter().chain(owners).max_by_key(|activity| (known(activity), activity.report_time))
}

/// A change that the daemon made; nobody else's is believed to be one.
fn state_change(text: &str) -> Option<StateChange> {
    let value: Value = serde_json::from_str(text).ok()?;
    let text = |field: &str| value.get(field).and_then(Value::as_str);
    let reason = text("reason").filter(|reason| [IDLE, MAXIMUM_DURATION].contains(reason))?;
    Some(StateChange {
        to: SessionState::parse(text("to")?)?,
        reason: reason.to_owned(),
        message: clipped(text("message")?, SENTENCE_KEPT),
        time: text("time")?.parse().ok()?,
    })
}

/// A change as the annotation holds it.
pub(super) fn written_change(change: &StateChange) -> String {
    json!({
        "to": change.to.as_str(),
        "reason": change.reason,
        "message": change.message,
        "time": change.time.to_string(),
    })
    .to_string()
}

pub(super) fn template(object: &DynamicObject) -> TemplateSeen {
    let status = object.data.get("status");
    let part = |field: &str| status.and_then(|status| status.get(field));
    TemplateSeen {
        seen: read_template(object),
        valid: part("valid").and_then(Value::as_bool),
        message: clipped(
            part("message").and_then(Value::as_str).unwrap_or_default(),
            SENTENCE_KEPT,
        ),
    }
}

pub(super) fn home(object: &DynamicObject) -> Home {
    Home { terminating: object.metadata.deletion_timestamp.is_some() }
}

pub(super) fn child(kind: SessionKind, object: &DynamicObject) -> Child {
    let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
    let annotations = object.metadata.annotations.as_ref();
    let annotation = |key: &str| {
        let value = annotations.and_then(|annotations| annotations.get(key));
        mark(value.map(String::as_str).unwrap_or_default())
    };
    let owners = object.metadata.owner_references.iter().flatten();
    let owner = owners.into_iter().find(|owner| owner.controller == Some(true));
    let uuid = |text: Option<&str>| Uuid::parse_str(text.unwrap_or_default()).unwrap_or_default();
    let live = content(object);
    let spec = object.data.get("spec");
    let replicas = spec.and_then(|spec| spec.get("replicas")).and_then(Value::as_i64);
    let is_deployment = kind == SessionKind::Deployment;
    Child {
        kind,
        name: text(&object.metadata.name),
        uid: uuid(object.metadata.uid.as_deref()),
        owner: uuid(owner.map(|owner| owner.uid.as_str())),
        substance: mark(&live.to_string()),
        live: Some(Box::new(live)),
        matched: None,
        wish: annotation(WISH_ANNOTATION),
        shape: annotation(SHAPE_ANNOTATION),
        replicas: replicas
            .filter(|_| is_deployment)
            .map(|replicas| i32::try_from(replicas).unwrap_or(i32::MAX)),
        headless: (kind == SessionKind::Service).then(|| is_headless(&object.data)),
        fault: is_deployment.then(|| deployment_fault(&object.data)).flatten().map(Box::new),
        terminating: object.metadata.deletion_timestamp.is_some(),
    }
}

/// Whether an annotation is the daemon's own.
pub(super) fn is_own(annotation: &str) -> bool {
    annotation.starts_with(OWN_PREFIX)
}

/// Tells one text from another, within this process.
pub(super) fn mark(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// What the daemon decides of an object: its name, labels, its own annotations, owners, and the
/// specification. Controllers annotate what they keep, which changes nothing.
fn content(object: &DynamicObject) -> Value {
    let annotations: Map<String, Value> = object
        .metadata
        .annotations
        .iter()
        .flatten()
        .filter(|(key, _)| is_own(key))
        .map(|(key, value)| (key.clone(), Value::String(value.clone())))
        .collect();
    json!({
        "metadata": {
            "name": object.metadata.name,
            "namespace": object.metadata.namespace,
            "labels": object.metadata.labels,
            "annotations": annotations,
            "ownerReferences": object.metadata.owner_references,
        },
        "spec": object.data.get("spec"),
    })
}

fn deployment_fault(data: &Value) -> Option<Fault> {
    let conditions = || list(data, &["status", "conditions"]);
    let told = |kind: &str, status: &str| {
        conditions().find(|it| word(it, "type") == kind && word(it, "status") == status)
    };
    let condition = told("ReplicaFailure", "True").or_else(|| told("Progressing", "False"))?;
    Some(fault(word(condition, "reason"), word(condition, "message")))
}

pub(super) fn pod(object: &DynamicObject) -> SeenPod {
    let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
    let label = |key: &str| {
        let value = object.metadata.labels.as_ref().and_then(|labels| labels.get(key));
        value.map(String::as_str).unwrap_or_default()
    };
    let data = &object.data;
    let ready = list(data, &["status", "conditions"])
        .any(|it| word(it, "type") == "Ready" && word(it, "status") == "True");
    let statuses = || list(data, &["status", "containerStatuses"]);
    let start = statuses().find_map(|status| {
        status.get("state")?.get("running")?.get("startedAt")?.as_str()?.parse().ok()
    });
    let node = data.get("spec").map(|spec| word(spec, "nodeName")).unwrap_or_default();
    SeenPod {
        name: text(&object.metadata.name),
        uid: text(&object.metadata.uid),
        session_uid: label(SESSION_UID_LABEL).into(),
        user: label(USER_LABEL).into(),
        home_mounted: label(HOME_MOUNTED_LABEL) == "true",
        ready,
        deleting: object.metadata.deletion_timestamp.is_some(),
        node: node.into(),
        create_time: object.metadata.creation_timestamp.as_ref().map_or(Timestamp::MIN, |t| t.0),
        start,
        fault: if ready { None } else { pod_fault(data) },
    }
}

/// What the cluster says is wrong with a pod that is not ready.
fn pod_fault(data: &Value) -> Option<Fault> {
    let part = |value: &Value, path: [&str; 2]| {
        value.get(path[0]).and_then(|it| it.get(path[1])).filter(|it| it.is_object()).cloned()
    };
    for list_name in ["initContainerStatuses", "containerStatuses"] {
        for status in list(data, &["status", list_name]) {
            let ended = part(status, ["state", "terminated"])
                .or_else(|| part(status, ["lastState", "terminated"]));
            let ended = ended.filter(|ended| {
                ended.get("exitCode").and_then(Value::as_i64).unwrap_or_default() != 0
            });
            let how = ended.as_ref().map(|ended| {
                let code = ended.get("exitCode").and_then(Value::as_i64).unwrap_or_default();
                let message = word(ended, "message");
                let more = if message.is_empty() { String::new() } else { format!(": {message}") };
                format!("the container ended with {} ({code}){more}", word(ended, "reason"))
            });
            if let Some(waiting) = part(status, ["state", "waiting"])
                && !STARTING.contains(&word(&waiting, "reason"))
            {
                let words = [Some(word(&waiting, "message").to_owned()), how];
                let words: Vec<String> =
                    words.into_iter().flatten().filter(|words| !words.is_empty()).collect();
                return Some(fault(word(&waiting, "reason"), &words.join("; ")));
            }
            if let (Some(ended), Some(how)) = (part(status, ["state", "terminated"]), how) {
                return Some(fault(word(&ended, "reason"), &how));
            }
        }
    }
    let status = data.get("status")?;
    if word(status, "phase") == "Failed" {
        return Some(fault(word(status, "reason"), word(status, "message")));
    }
    let scheduled = list(data, &["status", "conditions"])
        .find(|it| word(it, "type") == "PodScheduled" && word(it, "status") == "False")?;
    Some(fault(word(scheduled, "reason"), word(scheduled, "message")))
}

fn fault(reason: &str, message: &str) -> Fault {
    Fault { reason: clipped(reason, WORD_KEPT), message: clipped(message, SENTENCE_KEPT) }
}

fn word<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, path: &[&str]) -> impl Iterator<Item = &'a Value> + use<'a> {
    let mut place = Some(value);
    for step in path {
        place = place.and_then(|value| value.get(*step));
    }
    place.and_then(Value::as_array).into_iter().flatten()
}

/// A sentence as a status holds it.
pub(super) fn sentence(text: &str) -> String {
    clipped(text, SENTENCE_KEPT)
}

#[cfg(test)]
#[path = "read/tests.rs"]
mod tests;
