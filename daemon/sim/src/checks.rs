//! What a write must not do to an object: the API server's checks and its words.

use crate::{
    kinds::{Resource, View},
    objects::{Place, Preconditions, is_terminating},
    rules,
    schema::{Object, metadata_text},
    status::{Failure, Fault},
    store::Store,
    structure, validation,
};

pub(crate) fn finalizers(
    resource: &Resource,
    live: &Object,
    object: &Object,
    name: &str,
) -> Result<(), Failure> {
    let present: Vec<&str> = validation::finalizers(live).collect();
    let new: Vec<String> = validation::finalizers(object)
        .filter(|finalizer| !present.contains(finalizer))
        .map(|finalizer| format!("{finalizer:?}"))
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let why = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        new.join(", ")
    );
    let fault = Fault::forbidden("metadata.finalizers", &why);
    Err(Failure::invalid(&resource.group, &resource.kind, name, &[fault]))
}

/// A binding's role is chosen once.
pub(crate) fn role(
    resource: &Resource,
    live: &Object,
    object: &Object,
    name: &str,
) -> Result<(), Failure> {
    let role = |object: &Object| object.get("roleRef").cloned();
    if !resource.plural.ends_with("rolebindings") || role(live) == role(object) {
        return Ok(());
    }
    let part = |field: &str| {
        let text = role(object).and_then(|role| Some(role.get(field)?.as_str()?.to_owned()));
        format!("{:?}", text.unwrap_or_default())
    };
    let found = format!(
        "{{\"APIGroup\":{},\"Kind\":{},\"Name\":{}}}",
        part("apiGroup"),
        part("kind"),
        part("name")
    );
    let fault = Fault::invalid_value("roleRef", &found, "cannot change roleRef");
    Err(Failure::invalid(&resource.group, &resource.kind, name, &[fault]))
}

/// The namespace that something new wants to be in.
pub(crate) fn namespace(store: &Store, place: &Place, name: &str) -> Result<(), Failure> {
    if !place.resource.namespaced {
        return Ok(());
    }
    let key = format!("namespaces/{}", place.namespace);
    match store.get(&key) {
        None => Err(Failure::no_namespace(&place.namespace)),
        Some(namespace) if is_terminating(&namespace.object()) => {
            Err(Failure::namespace_terminating(&place.resource, &place.namespace, name))
        }
        Some(_) => Ok(()),
    }
}

/// Whether a delete hits what it means; what finalizers hold is told in other words.
pub(crate) fn preconditions(
    resource: &Resource,
    live: &Object,
    name: &str,
    preconditions: &Preconditions,
    held: bool,
) -> Result<(), Failure> {
    for (wanted, field, spelled, happened) in [
        (&preconditions.uid, "uid", "UID", "deleted and then recreated"),
        (&preconditions.resource_version, "resourceVersion", "ResourceVersion", "modified"),
    ] {
        let present = metadata_text(live, field);
        let Some(wanted) = wanted.as_ref().filter(|wanted| *wanted != present) else {
            continue;
        };
        return Err(if held {
            let why = format!(
                "Precondition failed: {spelled} in precondition: {wanted}, {spelled} in object meta: {present}"
            );
            Failure::conflict(resource, name, &why)
        } else {
            let why = format!(
                "the {spelled} in the precondition ({wanted}) does not match the {spelled} in record ({present}). The object might have been {happened}"
            );
            Failure::conflict_of_kind(resource, name, &why)
        });
    }
    Ok(())
}

/// A client's uid or version that is not the object's.
pub(crate) fn versions(
    resource: &Resource,
    live: &Object,
    wanted: &Object,
    name: &str,
) -> Result<(), Failure> {
    let uid = metadata_text(wanted, "uid");
    if !uid.is_empty() && uid != metadata_text(live, "uid") {
        return Err(immutable_uid(resource, name, uid));
    }
    let version = metadata_text(wanted, "resourceVersion");
    if !version.is_empty() && version != metadata_text(live, "resourceVersion") {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Failure::conflict(resource, name, why));
    }
    Ok(())
}

pub(crate) fn immutable_uid(resource: &Resource, name: &str, uid: &str) -> Failure {
    let fault = Fault::invalid("metadata.uid", uid, "field is immutable");
    Failure::invalid(&resource.group, &resource.kind, name, &[fault])
}

/// Everything that is wrong with an object that is to be stored.
pub(crate) fn object(
    resource: &Resource,
    view: View,
    object: &Object,
    old: Option<&Object>,
    name: &str,
) -> Result<(), Failure> {
    let mut faults = validation::faults(object, resource.names);
    if let Some(shape) = &resource.structure {
        faults.extend(structure::faults(object, shape, view));
        if let Some(rules) = &resource.rules {
            structure::follow(rules, object, &mut faults);
        }
    } else {
        faults.extend(rules::faults(resource, object, old));
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Failure::invalid(&resource.group, &resource.kind, name, &faults))
    }
}
