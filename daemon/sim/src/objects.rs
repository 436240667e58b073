//! What every kind has in common: where objects are, how they are served, and what
//! creation, update, server-side apply and deletion do.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    admission::Gate,
    apply::Writer,
    events,
    kinds::{Resource, View},
    schema::{Object, metadata_text},
    status::Failure,
    store::{Decision, Store, Stored},
};

mod deleting;
mod settling;
mod writing;

pub(crate) use deleting::{
    Deletion, FOREGROUND, ORPHAN, Preconditions, Propagation, delete, deleted,
};
pub(crate) use writing::{apply, create, update};

/// An answer: the object, and whether this request made it.
pub(crate) type Outcome = (Object, bool);

/// Where objects of one kind are: in a namespace, or in the cluster.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) resource: Arc<Resource>,
    /// Empty in the cluster, or for all namespaces.
    pub(crate) namespace: String,
}

impl Place {
    pub(crate) fn key(&self, name: &str) -> String {
        self.resource.key(&self.namespace, name)
    }

    pub(crate) fn prefix(&self) -> String {
        self.resource.prefix(&self.namespace)
    }
}

/// Who writes, and whether it counts.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) writer: Writer,
    pub(crate) dry_run: bool,
    /// What admits the write; the simulator's own controllers need no admission.
    pub(crate) gate: Option<Arc<Gate>>,
}

impl Manner {
    /// A write of one of the simulator's own controllers.
    pub(crate) fn controller() -> Self {
        let manager = "kube-controller-manager".to_owned();
        let writer = Writer { manager, time: now(), view: View::Whole };
        Self { writer, dry_run: false, gate: None }
    }

    fn put(&self, object: Object) -> Decision {
        if self.dry_run { Decision::Answer(object) } else { Decision::Put(object) }
    }
}

/// This instant as the API server writes it, in whole seconds.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Writes a status as a controller does: nobody's field, and no write without a change.
pub(crate) fn set_status(
    store: &Store,
    key: &str,
    status: impl FnOnce(&Object) -> Option<Value>,
) -> Result<Object, Failure> {
    store.commit(key, |live| {
        let Some(live) = live else {
            return Ok(Decision::Answer(Object::new()));
        };
        let Some(status) = status(live).filter(|status| live.get("status") != Some(status)) else {
            return Ok(Decision::Answer(live.clone()));
        };
        let mut object = live.clone();
        object.insert("status".to_owned(), status);
        Ok(Decision::Put(object))
    })
}

/// Whether a delete has begun.
pub(crate) fn is_terminating(object: &Object) -> bool {
    !metadata_text(object, "deletionTimestamp").is_empty()
}

/// The object as this kind's path serves it.
pub(crate) fn served(resource: &Resource, mut object: Object) -> Value {
    if resource.plural == "events" {
        if resource.is_core_event() {
            events::to_core(&mut object);
        } else {
            events::complete(&mut object);
        }
    }
    object.insert("kind".to_owned(), resource.kind.as_str().into());
    object.insert("apiVersion".to_owned(), resource.api_version().into());
    Value::Object(object)
}

/// The kept object's JSON as this kind's path serves it.
pub(crate) fn served_json(resource: &Resource, stored: &Stored, named: bool) -> String {
    if resource.plural == "events" {
        let mut value = served(resource, stored.object());
        if let (Value::Object(object), false) = (&mut value, named) {
            object.remove("kind");
            object.remove("apiVersion");
        }
        return value.to_string();
    }
    match stored.json().strip_prefix('{') {
        Some(rest) if named => {
            let comma = if rest == "}" { "" } else { "," };
            format!(
                "{{\"kind\":\"{}\",\"apiVersion\":\"{}\"{comma}{rest}",
                resource.kind,
                resource.api_version()
            )
        }
        _ => stored.json().to_owned(),
    }
}
