//! What is particular to namespaces: their label, those that a cluster begins
//! with, and the second step of an end.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    apply::Writer,
    kinds::Kinds,
    objects::{self, Deletion, Manner, Place, is_terminating},
    schema::{Object, edit, metadata_text},
    status::Failure,
    store::{Decision, Store},
    validation,
};

/// Those that a cluster starts with.
const DEFAULT: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];
/// Those that may not be deleted.
const IMMORTAL: [&str; 3] = ["default", "kube-public", "kube-system"];
/// The label that the server sets to the namespace's name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// The finalizer that waits for the namespace's content to go.
const CONTENT_FINALIZER: &str = "kubernetes";

/// Whether the namespace may not be deleted.
pub(crate) fn is_immortal(name: &str) -> bool {
    IMMORTAL.contains(&name)
}

/// Where namespaces are.
pub(crate) fn place(kinds: &Kinds) -> Option<Place> {
    let resource = kinds.builtin("", "namespaces")?.clone();
    Some(Place { resource, namespace: String::new() })
}

/// Makes those of a new cluster that are not there.
pub(crate) fn create_defaults(store: &Store, kinds: &Kinds) -> Result<(), Failure> {
    let Some(place) = place(kinds) else {
        return Ok(());
    };
    for name in DEFAULT.into_iter().filter(|name| store.get(&place.key(name)).is_none()) {
        let mut object = Object::new();
        edit(&mut object, "metadata", |metadata| metadata.insert("name".to_owned(), name.into()));
        let writer = Writer { manager: "kube-apiserver".to_owned(), ..Manner::controller().writer };
        objects::create(store, &place, object, &Manner { writer, ..Manner::controller() })?;
    }
    Ok(())
}

/// The second step of an end: the content goes, and then the namespace, unless
/// finalizers hold either. Tells whether there is something to wait for.
pub(crate) fn end(store: &Store, kinds: &Kinds, name: &str, uid: &str) -> Result<bool, Failure> {
    let Some(place) = place(kinds) else {
        return Ok(false);
    };
    let is_ending = store.get(&place.key(name)).is_some_and(|namespace| {
        let namespace = namespace.object();
        metadata_text(&namespace, "uid") == uid && is_terminating(&namespace)
    });
    if !is_ending {
        return Ok(false);
    }
    let mut remaining = Vec::new();
    for resource in kinds.all().into_iter().filter(|resource| resource.namespaced) {
        let place = Place { resource, namespace: name.to_owned() };
        for object in store.all(&place.prefix()) {
            // A pod that waits for its node has none to wait for.
            let deletion = Deletion { grace: Some(0), ..Deletion::default() };
            match objects::delete(store, &place, &object.name, &deletion, &Manner::controller()) {
                Ok((object, false)) => {
                    let finalizers: Vec<String> =
                        validation::finalizers(&object).map(str::to_owned).collect();
                    let kind = format!("{}.{}", place.resource.plural, place.resource.group);
                    remaining.push((kind, finalizers));
                }
                Ok((_, true)) => {}
                Err(failure) if failure.code == http::StatusCode::NOT_FOUND => {}
                Err(failure) => return Err(failure),
            }
        }
    }
    if remaining.is_empty() {
        finalize(store, &place, name, uid)?;
        return Ok(false);
    }
    let conditions = conditions(&remaining);
    objects::set_status(store, &place.key(name), |live| {
        let mut status = live.get("status").cloned().unwrap_or_default();
        // Only the times may differ, and a time alone is no news.
        let known = status.get("conditions").map(without_times);
        if let (Value::Object(status), true) =
            (&mut status, known != Some(without_times(&conditions)))
        {
            status.insert("conditions".to_owned(), conditions);
        }
        Some(status)
    })?;
    Ok(true)
}

fn without_times(conditions: &Value) -> Value {
    let mut conditions = conditions.clone();
    for condition in conditions.as_array_mut().into_iter().flatten() {
        if let Value::Object(condition) = condition {
            condition.remove("lastTransitionTime");
        }
    }
    conditions
}

fn count<'a>(names: impl Iterator<Item = &'a String>) -> BTreeMap<&'a String, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

/// Why the namespace does not end, in the controller's words.
fn conditions(remaining: &[(String, Vec<String>)]) -> Value {
    let kinds = count(remaining.iter().map(|(kind, _)| kind));
    let finalizers = count(remaining.iter().flat_map(|(_, finalizers)| finalizers));
    let resources: Vec<_> = kinds
        .iter()
        .map(|(kind, count)| format!("{kind} has {count} resource instances"))
        .collect();
    let holding: Vec<_> = finalizers
        .iter()
        .map(|(name, count)| format!("{name} in {count} resource instances"))
        .collect();
    let time = objects::now();
    let condition = |name: &str, status: &str, reason: &str, message: String| {
        json!({
            "type": name, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": time,
        })
    };
    json!([
        condition(
            "NamespaceDeletionDiscoveryFailure",
            "False",
            "ResourcesDiscovered",
            "All resources successfully discovered".to_owned()
        ),
        condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed".to_owned()
        ),
        condition(
            "NamespaceDeletionContentFailure",
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization".to_owned()
        ),
        condition(
            "NamespaceContentRemaining",
            "True",
            "SomeResourcesRemain",
            format!("Some resources are remaining: {}", resources.join(", "))
        ),
        condition(
            "NamespaceFinalizersRemaining",
            "True",
            "SomeFinalizersRemain",
            format!(
                "Some content in the namespace has finalizers remaining: {}",
                holding.join(", ")
            )
        ),
    ])
}

fn finalize(store: &Store, place: &Place, name: &str, uid: &str) -> Result<(), Failure> {
    store.commit(&place.key(name), |live| {
        let Some(live) =
            live.filter(|live| metadata_text(live, "uid") == uid && is_terminating(live))
        else {
            return Ok(Decision::Answer(Object::new()));
        };
        let mut object = live.clone();
        object.remove("spec");
        if validation::finalizers(&object).next().is_none() {
            return Ok(Decision::Remove(live.clone()));
        }
        edit(&mut object, "spec", |_| {});
        Ok(if object == *live { Decision::Answer(object) } else { Decision::Put(object) })
    })?;
    Ok(())
}

/// Sets what each new namespace has.
pub(crate) fn finish_new(object: &mut Object) {
    edit(object, "spec", |spec| {
        let list = spec.entry("finalizers").or_insert_with(|| json!([]));
        if let Value::Array(items) = list
            && !items.iter().any(|item| item == CONTENT_FINALIZER)
        {
            items.push(CONTENT_FINALIZER.into());
        }
    });
}

/// Sets the label that carries the name.
pub(crate) fn label_with_name(object: &mut Object) {
    let name = metadata_text(object, "name").to_owned();
    if !name.is_empty() {
        edit(object, "metadata", |metadata| {
            edit(metadata, "labels", |labels| labels.insert(NAME_LABEL.to_owned(), name.into()));
        });
    }
}
