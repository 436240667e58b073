//! What stands in the cluster, read without trust: sessions, templates and homes.
//!
//! Tenants write these objects with whatever tool there is, under either variant of the
//! definitions, of which one checks little. Reading never fails. Texts are cut to a length
//! that any valid one keeps to, values that make no sense count as absent, and what is
//! wrong with a wish stands beside it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::core::{DynamicObject, ObjectMeta};
use serde_json::Value;
use streamspace_core::{
    conditions::{self, Condition},
    session::{
        self, Allotment, SessionPhase, SessionState, SessionUid, Wish, WrittenResources,
        WrittenSession,
    },
    template::{
        self, Found, Template, WrittenDefaults, WrittenPort, WrittenScreen, WrittenTemplate,
    },
    tenant::ENTRIES_MAXIMUM,
    text,
    violation::Violation,
};
use uuid::Uuid;

use reading::{entries, flag, last_write, number, object_text, optional_text, quantity_map};

pub mod aside;
mod home;
mod reading;
mod status;
#[cfg(test)]
mod tests;

pub use aside::ASIDE_ANNOTATION;
pub use home::{HOME_LABEL, SeenHome, read_home};
pub use reading::clipped;

/// The longest text that is kept of a name: longer than any valid one, so that the rules
/// still see that it is too long.
const NAME_KEPT: usize = 300;
/// The longest quantity or span that is kept.
const AMOUNT_KEPT: usize = 100;
/// The longest sentence that is kept.
const SENTENCE_KEPT: usize = 1024;
/// The longest address that is kept.
const ADDRESS_KEPT: usize = 2048;
/// The longest text of a template that is kept.
const TEXT_KEPT: usize = 33 * 1024;
/// One entry more than is allowed, so that the rules still see that there are too many.
const ENTRIES_KEPT: usize = ENTRIES_MAXIMUM + 1;
/// How many finalizers are kept.
const FINALIZERS_KEPT: usize = 32;

/// What every object tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenMetadata {
    /// The namespace that it lives in.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its identity; nil where it tells none, which no API server does.
    pub uid: Uuid,
    /// The state of the cluster that showed it, as a number; 0 where it is none.
    pub resource_version: u64,
    /// Counts the changes of its wish.
    pub generation: i64,
    /// When it was created; 1970 where it does not tell.
    pub create_time: Timestamp,
    /// Since when it is being deleted.
    pub deletion_time: Option<Timestamp>,
    /// Who wants to do something before it goes.
    pub finalizers: Vec<String>,
    /// When its status was written last, by the API server's clock: by who wrote the phase,
    /// where that is told. Absent before there is a status.
    pub status_time: Option<Timestamp>,
    /// When anything of it was written last, by the API server's clock.
    pub write_time: Option<Timestamp>,
}

/// A session's object.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenSession {
    /// What it tells of itself.
    pub metadata: SeenMetadata,
    /// What its author wrote. An unknown state stands there as `hibernated`.
    pub written: WrittenSession,
    /// What it should be; `None` where that is no state.
    pub state: Option<SessionState>,
    /// The wish, where it is valid.
    pub wish: Option<Wish>,
    /// What is wrong with it otherwise.
    pub invalid: Vec<Violation>,
    /// What its controller says of it.
    pub status: SeenStatus,
}

/// What the controller of a session says of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeenStatus {
    /// How far it is; `None` where that is not said, or is no phase.
    pub phase: Option<SessionPhase>,
    /// The pod that it runs in; empty where there is none.
    pub pod_name: String,
    /// Where its user finds it.
    pub url: String,
    /// When somebody used it last.
    pub last_activity: Option<Timestamp>,
    /// What was observed, at most one of each type.
    pub conditions: Vec<Condition>,
    /// What it gets.
    pub allotted: Option<SeenAllotment>,
    /// Which run it is.
    pub run: Option<SeenRun>,
    /// What was last reported of its use.
    pub activity: Option<SeenActivity>,
}

/// What a session gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenAllotment {
    /// What each copy gets.
    pub each: Allotment,
    /// How many copies run now, 1 or more.
    pub replicas: i32,
}

/// A run of a session of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRun {
    /// The UID of its pod.
    pub pod_uid: Uuid,
    /// When the pod's container started.
    pub container_start: Option<Timestamp>,
    /// The node that it is on; empty where there is none yet.
    pub node: String,
}

/// What was last reported of a session's use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenActivity {
    /// Who reported it.
    pub reporter: String,
    /// When that was.
    pub report_time: Option<Timestamp>,
}

impl SeenSession {
    /// Its identity.
    pub fn uid(&self) -> SessionUid {
        SessionUid(self.metadata.uid)
    }

    /// Whether it is being deleted.
    pub fn is_deleting(&self) -> bool {
        self.metadata.deletion_time.is_some()
    }

    /// The condition of a type.
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        conditions::get(&self.status.conditions, type_)
    }
}

/// A template's object.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenTemplate {
    /// What it tells of itself.
    pub metadata: SeenMetadata,
    /// What its author wrote.
    pub written: WrittenTemplate,
    /// What sessions are made of, where it is valid.
    pub template: Option<Template>,
    /// In one line what is wrong with it; empty where nothing is.
    pub verdict: String,
}

impl SeenTemplate {
    /// What the search for a session's template finds here.
    pub fn found(&self) -> Found<'_, Template> {
        match &self.template {
            Some(template) => Found::Valid(template),
            None => Found::Invalid(&self.verdict),
        }
    }
}

/// Reads a session's object. What is wrong with it stands in [`SeenSession::invalid`].
pub fn read_session(object: &DynamicObject) -> SeenSession {
    let spec = object.data.get("spec").unwrap_or(&Value::Null);
    let metadata = read_metadata(&object.metadata);
    let word = object_text(spec, "state", NAME_KEPT);
    let state = SessionState::parse(&word);
    let written = WrittenSession {
        name: metadata.name.clone(),
        user: object_text(spec, "user", NAME_KEPT),
        template: object_text(spec, "template", NAME_KEPT),
        state: state.unwrap_or(SessionState::Hibernated),
        resources: spec.get("resources").filter(|it| it.is_object()).map(read_resources),
        persistent_home: flag(spec, "persistentHome"),
        idle_timeout: optional_text(spec, "idleTimeout", AMOUNT_KEPT),
        max_session_duration: optional_text(spec, "maxSessionDuration", AMOUNT_KEPT),
        tags: texts(spec, "tags"),
        max_replicas: spec.get("shared").and_then(|shared| number(shared, "maxReplicas")),
    };
    let mut invalid = Vec::new();
    if state.is_none() {
        let (shown, words) = (text::excerpt(&word), SessionState::ALL.map(SessionState::as_str));
        invalid.push(Violation {
            field: "spec.state".to_owned(),
            description: format!("`{shown}` is no state: write one of {}", words.join(", ")),
        });
    }
    let wish = match session::read(&written) {
        Ok(wish) => state.map(|_| wish),
        Err(violations) => {
            invalid.extend(violations);
            None
        }
    };
    let told = object.data.get("status").unwrap_or(&Value::Null);
    let status = match aside::whole(told, &object.metadata) {
        Some(whole) => status::read(&whole),
        None => status::read(told),
    };
    SeenSession { metadata, written, state, wish, invalid, status }
}

/// Reads a template's object. What is wrong with it stands in [`SeenTemplate::verdict`].
pub fn read_template(object: &DynamicObject) -> SeenTemplate {
    let spec = object.data.get("spec").unwrap_or(&Value::Null);
    let metadata = read_metadata(&object.metadata);
    let pairs = |field: &str, value: &str| {
        let pair = |entry: &Value| {
            (object_text(entry, "name", NAME_KEPT), object_text(entry, value, TEXT_KEPT))
        };
        entries(spec, field, ENTRIES_KEPT).map(pair).collect::<Vec<_>>()
    };
    let screen = |field: &str| {
        let screen = spec.get(field).filter(|it| it.is_object())?;
        Some(WrittenScreen { enabled: flag(screen, "enabled"), port: number(screen, "port") })
    };
    let defaults = spec.get("defaultResources").filter(|it| it.is_object());
    let ports = entries(spec, "ports", ENTRIES_KEPT).map(|port| WrittenPort {
        name: optional_text(port, "name", NAME_KEPT),
        container_port: number(port, "containerPort").unwrap_or_default(),
        protocol: optional_text(port, "protocol", NAME_KEPT),
    });
    let written = WrittenTemplate {
        name: metadata.name.clone(),
        display_name: object_text(spec, "displayName", NAME_KEPT),
        description: optional_text(spec, "description", TEXT_KEPT),
        category: optional_text(spec, "category", NAME_KEPT),
        icon: optional_text(spec, "icon", 2 * ADDRESS_KEPT),
        base_image: object_text(spec, "baseImage", ADDRESS_KEPT),
        default_resources: defaults.map(|defaults| WrittenDefaults {
            memory: optional_text(defaults, "memory", AMOUNT_KEPT),
            cpu: optional_text(defaults, "cpu", AMOUNT_KEPT),
        }),
        ports: ports.collect(),
        env: pairs("env", "value"),
        volume_mounts: pairs("volumeMounts", "mountPath"),
        vnc: screen("vnc"),
        kasmvnc: screen("kasmvnc"),
        capabilities: texts(spec, "capabilities"),
        tags: texts(spec, "tags"),
    };
    let (template, verdict) = match template::read(&written) {
        Ok(template) => (Some(template), String::new()),
        Err(violations) => (None, template::verdict(&violations)),
    };
    SeenTemplate { metadata, written, template, verdict }
}

fn read_resources(resources: &Value) -> WrittenResources {
    WrittenResources {
        memory: optional_text(resources, "memory", AMOUNT_KEPT),
        cpu: optional_text(resources, "cpu", AMOUNT_KEPT),
        limits: quantity_map(resources, "limits"),
        requests: quantity_map(resources, "requests"),
    }
}

fn read_metadata(metadata: &ObjectMeta) -> SeenMetadata {
    let text = |text: &Option<String>| clipped(text.as_deref().unwrap_or_default(), NAME_KEPT);
    let uid = metadata.uid.as_deref().and_then(|uid| Uuid::parse_str(uid).ok());
    let version = metadata.resource_version.as_deref().and_then(|version| version.parse().ok());
    let finalizers = metadata.finalizers.iter().flatten().take(FINALIZERS_KEPT);
    SeenMetadata {
        namespace: text(&metadata.namespace),
        name: text(&metadata.name),
        uid: uid.unwrap_or_default(),
        resource_version: version.unwrap_or_default(),
        generation: metadata.generation.unwrap_or_default().max(0),
        create_time: metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |t| t.0),
        deletion_time: metadata.deletion_timestamp.as_ref().map(|time| time.0),
        finalizers: finalizers.map(|finalizer| clipped(finalizer, NAME_KEPT)).collect(),
        status_time: last_write(metadata, true),
        write_time: last_write(metadata, false),
    }
}

fn texts(parent: &Value, field: &str) -> Vec<String> {
    entries(parent, field, ENTRIES_KEPT)
        .map(|entry| reading::shown(entry, NAME_KEPT).unwrap_or_default())
        .collect()
}

/// Names and amounts, as `limits` and `requests` have them.
type Amounts = BTreeMap<String, String>;
