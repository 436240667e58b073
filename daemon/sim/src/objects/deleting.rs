//! Deletion: at once, after a grace, or once finalizers let go.

use serde_json::{Value, json};

use super::{Manner, Outcome, Place, is_terminating, now, served, settling::raise_generation};
use crate::{
    admission::Operation,
    checks,
    kinds::{Generation, Resource},
    namespaces,
    schema::{Object, at, edit, metadata_text},
    status::Failure,
    store::{Decision, Store},
    validation,
};

/// The finalizer that the garbage collector takes away once no dependent is left.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer that the garbage collector takes away once all dependents are on their own.
pub(crate) const ORPHAN: &str = "orphan";
/// What a pod is given that says nothing.
const GRACE: i64 = 30;

/// A delete's conditions on what it may hit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Preconditions {
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
}

/// What becomes of dependents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Propagation {
    /// They go after their owner.
    #[default]
    Background,
    /// They go before their owner.
    Foreground,
    /// They stay.
    Orphan,
}

/// How something is deleted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deletion {
    pub(crate) preconditions: Preconditions,
    /// Absent, finalizers that are there decide, and else the background.
    pub(crate) propagation: Option<Propagation>,
    /// For pods.
    pub(crate) grace: Option<i64>,
}

/// Deletes at once, or marks what must wait. The flag tells whether it is gone.
pub(crate) fn delete(
    store: &Store,
    place: &Place,
    name: &str,
    deletion: &Deletion,
    manner: &Manner,
) -> Result<Outcome, Failure> {
    let resource = &*place.resource;
    let is_namespace = resource.is("", "namespaces");
    if is_namespace && namespaces::is_immortal(name) {
        return Err(Failure::forbidden(resource, name, "this namespace may not be deleted"));
    }
    let mut gone = false;
    let object = store.commit(&place.key(name), |live| {
        let live = live.ok_or_else(|| Failure::not_found(resource, name))?;
        let finalizers = finalizers_after(resource, live, deletion);
        let grace = grace(resource, live, deletion);
        let held = is_namespace || !finalizers.is_empty() || grace > 0;
        checks::preconditions(resource, live, name, &deletion.preconditions, held)?;
        if let Some(gate) = &manner.gate {
            let act = place.act(Operation::Delete, name, manner);
            gate.admit(store, &act.without(live))?;
        }
        if !held {
            gone = true;
            // A pod is given a grace, if only of no seconds.
            let last = if resource.is("", "pods") && !is_terminating(live) {
                marked(resource, live, &[], 0)
            } else {
                live.clone()
            };
            return Ok(if manner.dry_run {
                Decision::Answer(last)
            } else {
                Decision::Remove(last)
            });
        }
        if is_terminating(live) && !shortens(live, grace) {
            return Ok(Decision::Answer(live.clone()));
        }
        Ok(manner.put(marked(resource, live, &finalizers, grace)))
    })?;
    Ok((object, gone))
}

/// The finalizers once the garbage collector's own are as the deletion wants them.
fn finalizers_after(resource: &Resource, live: &Object, deletion: &Deletion) -> Vec<String> {
    let mut finalizers: Vec<String> = validation::finalizers(live).map(str::to_owned).collect();
    // Once a deletion has begun no other one changes how it ends; namespaces have no
    // dependents.
    let wanted = match deletion.propagation {
        Some(wanted) if !is_terminating(live) && !resource.is("", "namespaces") => wanted,
        _ => return finalizers,
    };
    finalizers.retain(|finalizer| finalizer != FOREGROUND && finalizer != ORPHAN);
    match wanted {
        Propagation::Background => {}
        Propagation::Foreground => finalizers.push(FOREGROUND.to_owned()),
        Propagation::Orphan => finalizers.push(ORPHAN.to_owned()),
    }
    finalizers
}

/// How long the object stays: a pod that is on a node is given time to stop.
fn grace(resource: &Resource, live: &Object, deletion: &Deletion) -> i64 {
    let is_done = || {
        let phase = at(live, &["status", "phase"]).and_then(Value::as_str);
        matches!(phase, Some("Succeeded" | "Failed"))
    };
    let is_placed = || {
        let node = at(live, &["spec", "nodeName"]).and_then(Value::as_str);
        node.is_some_and(|node| !node.is_empty())
    };
    if !resource.is("", "pods") || !is_placed() || is_done() {
        return 0;
    }
    let own = at(live, &["spec", "terminationGracePeriodSeconds"]).and_then(Value::as_i64);
    deletion.grace.or(own).unwrap_or(GRACE).max(0)
}

/// Whether what is being deleted is now given less time.
fn shortens(live: &Object, grace: i64) -> bool {
    let present = at(live, &["metadata", "deletionGracePeriodSeconds"]).and_then(Value::as_i64);
    present.is_some_and(|present| grace < present)
}

/// The object with the marks of a deletion that has to wait.
fn marked(resource: &Resource, live: &Object, finalizers: &[String], grace: i64) -> Object {
    let mut object = live.clone();
    let is_namespace = resource.is("", "namespaces");
    edit(&mut object, "metadata", |metadata| {
        if !metadata.contains_key("deletionTimestamp") {
            metadata.insert("deletionTimestamp".to_owned(), after(grace).into());
        }
        if is_namespace {
            return;
        }
        metadata.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
        if finalizers.is_empty() {
            metadata.remove("finalizers");
        } else {
            metadata.insert("finalizers".to_owned(), json!(finalizers));
        }
    });
    if is_namespace {
        edit(&mut object, "status", |status| {
            status.insert("phase".to_owned(), "Terminating".into())
        });
    } else if resource.generation == Generation::Counted && !is_terminating(live) {
        raise_generation(&mut object);
    }
    object
}

/// So many seconds from now.
fn after(seconds: i64) -> String {
    let then = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_secs(seconds));
    then.map_or_else(|_| now(), |then| then.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Kinds whose deleted object is the answer.
const RETURNED: [&str; 5] =
    ["resourcequotas", "serviceaccounts", "pods", "services", "persistentvolumeclaims"];

/// What a delete answers when the object is gone.
pub(crate) fn deleted(resource: &Resource, object: &Object) -> Value {
    if resource.builtin && RETURNED.contains(&&*resource.plural) {
        return served(resource, object.clone());
    }
    let mut details = json!({
        "name": metadata_text(object, "name"),
        "kind": resource.plural,
        "uid": metadata_text(object, "uid"),
    });
    if let (Value::Object(map), false) = (&mut details, resource.group.is_empty()) {
        map.insert("group".to_owned(), resource.group.as_str().into());
    }
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
    })
}
