//! What the server itself does to an object before it is stored.

use serde_json::Value;
use uuid::Uuid;

use super::{Manner, Place, is_terminating};
use crate::{
    admission::Operation,
    apply, checks, defaults,
    kinds::{self, Generation, Resource, View},
    namespaces,
    schema::{Object, Schema, at, edit, normalize},
    status::Failure,
    store::{Decision, Store},
    validation,
};

/// Metadata that an update cannot change.
const KEPT_METADATA: [&str; 9] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generateName",
    "generation",
];

/// Takes the server's fields from `live`, checks, and decides what to write.
pub(super) fn settle_update(
    store: &Store,
    place: &Place,
    live: &Object,
    mut object: Object,
    name: &str,
    manner: &Manner,
) -> Result<Decision, Failure> {
    let (resource, view) = (&*place.resource, manner.writer.view);
    let is_namespace = resource.is("", "namespaces");
    edit(&mut object, "metadata", |metadata| {
        for field in KEPT_METADATA {
            keep(live.get("metadata").and_then(|metadata| metadata.get(field)), field, metadata);
        }
    });
    keep_other_parts(resource, view, live, &mut object);
    if resource.is("", "services") {
        defaults::keep_allocated(live, &mut object);
    }
    normalize(&mut object, resource.schema_of(view), resource.builtin);
    fill_defaults(resource, &mut object);
    if resource.generation == Generation::Counted && differs_in_substance(resource, live, &object) {
        raise_generation(&mut object);
    }
    checks::object(resource, view, &object, Some(live), name)?;
    checks::role(resource, live, &object, name)?;
    if is_terminating(live) {
        checks::finalizers(resource, live, &object, name)?;
    }
    if let Some(gate) = &manner.gate {
        gate.admit(store, &place.act(Operation::Update, name, manner).with(&object, Some(live)))?;
    }
    if apply::same_but_for_times(live, &object) {
        return Ok(Decision::Answer(live.clone()));
    }
    if manner.dry_run {
        return Ok(Decision::Answer(object));
    }
    let held = validation::finalizers(&object).next().is_some()
        || (is_namespace && at(&object, &["spec", "finalizers"]).is_some())
        || awaits_its_node(&object);
    Ok(if is_terminating(&object) && !held {
        Decision::Remove(object)
    } else {
        Decision::Put(object)
    })
}

/// A pod whose grace has not passed goes when its node says so, and no node is here.
fn awaits_its_node(object: &Object) -> bool {
    let grace = at(object, &["metadata", "deletionGracePeriodSeconds"]).and_then(Value::as_i64);
    grace.is_some_and(|grace| grace > 0)
}

fn keep(value: Option<&Value>, field: &str, object: &mut Object) {
    match value {
        Some(value) => object.insert(field.to_owned(), value.clone()),
        None => object.remove(field),
    };
}

/// What this path does not write stays as it is.
fn keep_other_parts(resource: &Resource, view: View, live: &Object, object: &mut Object) {
    let schema = resource.schema_of(view);
    let mut fields: Vec<String> = match view {
        View::Status => {
            let all = live.keys().chain(object.keys()).cloned();
            all.filter(|field| !matches!(field.as_str(), "metadata" | "status")).collect()
        }
        View::Whole if resource.is("", "namespaces") => vec!["spec".into(), "status".into()],
        _ => vec!["status".into()],
    };
    // A status that is a field as any other is the client's.
    fields.retain(|field| {
        resource.is("", "namespaces")
            || matches!(schema.child(field), Some((Schema::Server, _)) | None)
    });
    for field in fields {
        keep(live.get(&field), &field, object);
    }
    if view == View::Status {
        keep_metadata(resource, live, object);
    }
}

/// A status is written alone: of a custom resource no metadata changes with it, of a
/// built-in kind a little may not.
fn keep_metadata(resource: &Resource, live: &Object, object: &mut Object) {
    let Some(Value::Object(old)) = live.get("metadata") else {
        return;
    };
    edit(object, "metadata", |metadata| {
        if resource.builtin {
            let kept: &[&str] = match &*resource.plural {
                "deployments" => &["labels"],
                "pods" => &["ownerReferences"],
                _ => &[],
            };
            for field in kept {
                keep(old.get(*field), field, metadata);
            }
        } else {
            let managers = metadata.remove("managedFields");
            metadata.clone_from(old);
            keep(managers.as_ref(), "managedFields", metadata);
        }
    });
}

fn differs_in_substance(resource: &Resource, live: &Object, object: &Object) -> bool {
    let substance = |object: &Object| {
        let mut object = object.clone();
        for field in ["kind", "apiVersion", "metadata", "status"] {
            object.remove(field);
        }
        object
    };
    // What a deployment is annotated with is part of what is rolled out.
    let annotations = |object: &Object| at(object, &["metadata", "annotations"]).cloned();
    substance(live) != substance(object)
        || (resource.is("apps", "deployments") && annotations(live) != annotations(object))
}

pub(super) fn raise_generation(object: &mut Object) {
    edit(object, "metadata", |metadata| {
        let generation = metadata.get("generation").and_then(Value::as_u64).unwrap_or_default();
        metadata.insert("generation".to_owned(), (generation + 1).into());
    });
}

pub(super) fn set_namespace(object: &mut Object, place: &Place) {
    edit(object, "metadata", |metadata| {
        if place.namespace.is_empty() {
            metadata.remove("namespace");
        } else {
            metadata.insert("namespace".to_owned(), place.namespace.as_str().into());
        }
    });
}

/// Drops what a client may not bring to a creation.
pub(super) fn forget_server_fields(object: &mut Object, resource: &Resource) {
    normalize(object, &resource.schema, resource.builtin);
    edit(object, "metadata", |metadata| {
        for field in [
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "managedFields",
            "generation",
            "selfLink",
        ] {
            metadata.remove(field);
        }
    });
}

pub(super) fn fill_defaults(resource: &Resource, object: &mut Object) {
    if resource.is("", "namespaces") {
        namespaces::label_with_name(object);
    }
    if resource.builtin {
        defaults::fill(resource, object);
    } else {
        kinds::set_defaults(object, resource);
    }
}

pub(super) fn finish_new(resource: &Resource, object: &mut Object, time: &str) {
    normalize(object, &resource.schema, resource.builtin);
    fill_defaults(resource, object);
    if matches!(resource.schema.child("status"), Some((Schema::Server, _))) {
        object.remove("status");
    }
    if let Some(status) = defaults::first_status(resource, object) {
        object.insert("status".to_owned(), status);
    }
    edit(object, "metadata", |metadata| {
        metadata.insert("uid".to_owned(), Uuid::new_v4().to_string().into());
        metadata.insert("creationTimestamp".to_owned(), time.into());
        if resource.generation == Generation::Counted {
            metadata.insert("generation".to_owned(), 1.into());
        }
    });
    if resource.is("", "namespaces") {
        namespaces::finish_new(object);
    }
    if resource.is("", "services") {
        defaults::allocate(object);
    }
}
