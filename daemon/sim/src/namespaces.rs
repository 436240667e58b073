//! What is particular to namespaces: creation, update, and the two steps of an end.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    apply::{self, Writer},
    schema::{NAMESPACES, Object, edit, metadata_text, normalize},
    status::{Failure, Fault},
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

/// An answer: the object, and whether this request made it.
pub(crate) type Outcome = (Object, bool);

/// A delete's conditions on what it may hit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Preconditions {
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
}

/// This instant as the API server writes it, in whole seconds.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Makes those of a new cluster that are not there.
pub(crate) fn create_defaults(store: &Store) -> Result<(), Failure> {
    for name in DEFAULT {
        if store.get(&NAMESPACES.key(name)).is_none() {
            let mut object = Object::new();
            edit(&mut object, "metadata", |metadata| {
                metadata.insert("name".to_owned(), name.into())
            });
            let writer = Writer { manager: "kube-apiserver".to_owned(), time: now() };
            create(store, object, &writer, false)?;
        }
    }
    Ok(())
}

/// Creates from a whole object.
pub(crate) fn create(
    store: &Store,
    mut object: Object,
    writer: &Writer,
    dry_run: bool,
) -> Result<Object, Failure> {
    if !metadata_text(&object, "resourceVersion").is_empty() {
        return Err(Failure::internal(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let generate = metadata_text(&object, "generateName").to_owned();
    label_with_name(&mut object);
    forget_server_fields(&mut object);
    apply::update(&NAMESPACES, None, &mut object, writer);
    if metadata_text(&object, "name").is_empty() && !generate.is_empty() {
        let name = format!("{generate}{}", random_suffix());
        edit(&mut object, "metadata", |metadata| metadata.insert("name".to_owned(), name.into()));
        label_with_name(&mut object);
    }
    finish_new(&mut object, &writer.time);
    let name = metadata_text(&object, "name").to_owned();
    check(&object, &name)?;
    store.commit(&NAMESPACES.key(&name), |present| match present {
        Some(present) => Err(Failure::already_exists(&NAMESPACES, &name, is_terminating(present))),
        None if dry_run => Ok(Decision::Answer(object)),
        None => Ok(Decision::Put(object)),
    })
}

/// Server-side apply, which creates what is not there.
pub(crate) fn apply(
    store: &Store,
    name: &str,
    configuration: &Object,
    writer: &Writer,
    force: bool,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let mut created = false;
    let object = store.commit(&NAMESPACES.key(name), |live| {
        created = live.is_none();
        let Some(live) = live else {
            let mut base = new_base(name);
            edit(&mut base, "spec", |_| {});
            let mut object = apply::apply(&NAMESPACES, &base, configuration, writer, force)?;
            finish_new(&mut object, &writer.time);
            let wanted = metadata_text(configuration, "uid");
            if !wanted.is_empty() {
                return Err(immutable_uid(name, wanted));
            }
            check(&object, name)?;
            return Ok(if dry_run { Decision::Answer(object) } else { Decision::Put(object) });
        };
        let object = apply::apply(&NAMESPACES, live, configuration, writer, force)?;
        check_versions(live, configuration, name)?;
        settle_update(live, object, name, dry_run)
    })?;
    Ok((object, created))
}

/// Replaces the object by what `change` makes of it.
pub(crate) fn update(
    store: &Store,
    name: &str,
    writer: &Writer,
    dry_run: bool,
    change: impl FnOnce(&Object) -> Result<Object, Failure>,
) -> Result<Object, Failure> {
    store.commit(&NAMESPACES.key(name), |live| {
        let live = live.ok_or_else(|| Failure::not_found(&NAMESPACES, name))?;
        let mut object = change(live)?;
        check_versions(live, &object, name)?;
        normalize(&mut object, &NAMESPACES.schema);
        label_with_name(&mut object);
        apply::update(&NAMESPACES, Some(live), &mut object, writer);
        settle_update(live, object, name, dry_run)
    })
}

/// The first step of an end: from now on the namespace is terminating.
pub(crate) fn delete(
    store: &Store,
    name: &str,
    preconditions: &Preconditions,
    dry_run: bool,
) -> Result<Object, Failure> {
    if IMMORTAL.contains(&name) {
        return Err(Failure::forbidden(&NAMESPACES, name, "this namespace may not be deleted"));
    }
    store.commit(&NAMESPACES.key(name), |live| {
        let live = live.ok_or_else(|| Failure::not_found(&NAMESPACES, name))?;
        for (wanted, field, spelled) in [
            (&preconditions.uid, "uid", "UID"),
            (&preconditions.resource_version, "resourceVersion", "ResourceVersion"),
        ] {
            let present = metadata_text(live, field);
            if let Some(wanted) = wanted
                && wanted != present
            {
                let why = format!("Precondition failed: {spelled} in precondition: {wanted}, {spelled} in object meta: {present}");
                return Err(Failure::conflict(&NAMESPACES, name, &why));
            }
        }
        if is_terminating(live) {
            return Ok(Decision::Answer(live.clone()));
        }
        let mut object = live.clone();
        edit(&mut object, "metadata", |metadata| metadata.insert("deletionTimestamp".to_owned(), now().into()));
        edit(&mut object, "status", |status| status.insert("phase".to_owned(), "Terminating".into()));
        Ok(if dry_run { Decision::Answer(object) } else { Decision::Put(object) })
    })
}

/// The second step: the content is gone, so is the namespace, unless another
/// finalizer still holds it.
pub(crate) fn finalize(store: &Store, name: &str, uid: &str) -> Result<(), Failure> {
    store.commit(&NAMESPACES.key(name), |live| {
        let Some(live) =
            live.filter(|live| metadata_text(live, "uid") == uid && is_terminating(live))
        else {
            return Ok(Decision::Answer(Object::new()));
        };
        let mut object = live.clone();
        object.remove("spec");
        if validation::finalizers(&object).next().is_none() {
            return Ok(Decision::Remove(object));
        }
        edit(&mut object, "spec", |_| {});
        Ok(if object == *live { Decision::Answer(object) } else { Decision::Put(object) })
    })?;
    Ok(())
}

/// Whether a delete has begun.
pub(crate) fn is_terminating(object: &Object) -> bool {
    !metadata_text(object, "deletionTimestamp").is_empty()
}

/// Takes the server's fields from `live`, checks, and decides what to write.
fn settle_update(
    live: &Object,
    mut object: Object,
    name: &str,
    dry_run: bool,
) -> Result<Decision, Failure> {
    edit(&mut object, "metadata", |metadata| {
        for field in [
            "name",
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "deletionTimestamp",
            "generateName",
        ] {
            match live.get("metadata").and_then(|metadata| metadata.get(field)) {
                Some(value) => metadata.insert(field.to_owned(), value.clone()),
                None => metadata.remove(field),
            };
        }
    });
    for field in ["apiVersion", "kind", "spec", "status"] {
        match live.get(field) {
            Some(value) => object.insert(field.to_owned(), value.clone()),
            None => object.remove(field),
        };
    }
    normalize(&mut object, &NAMESPACES.schema);
    label_with_name(&mut object);
    check(&object, name)?;
    if is_terminating(live) {
        let present: Vec<&str> = validation::finalizers(live).collect();
        let new: Vec<&str> = validation::finalizers(&object)
            .filter(|finalizer| !present.contains(finalizer))
            .collect();
        if !new.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                quoted(&new)
            );
            return Err(Failure::invalid(
                "",
                NAMESPACES.kind,
                name,
                &[Fault::forbidden("metadata.finalizers", &why)],
            ));
        }
    }
    if apply::same_but_for_times(live, &object) {
        return Ok(Decision::Answer(live.clone()));
    }
    if dry_run {
        return Ok(Decision::Answer(object));
    }
    let held = validation::finalizers(&object).next().is_some()
        || object.get("spec").and_then(|spec| spec.get("finalizers")).is_some();
    Ok(if is_terminating(&object) && !held {
        Decision::Remove(object)
    } else {
        Decision::Put(object)
    })
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

/// A client's uid or version that is not the object's.
fn check_versions(live: &Object, wanted: &Object, name: &str) -> Result<(), Failure> {
    let uid = metadata_text(wanted, "uid");
    if !uid.is_empty() && uid != metadata_text(live, "uid") {
        return Err(immutable_uid(name, uid));
    }
    let version = metadata_text(wanted, "resourceVersion");
    if !version.is_empty() && version != metadata_text(live, "resourceVersion") {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Failure::conflict(&NAMESPACES, name, why));
    }
    Ok(())
}

fn immutable_uid(name: &str, uid: &str) -> Failure {
    Failure::invalid(
        "",
        NAMESPACES.kind,
        name,
        &[Fault::invalid("metadata.uid", uid, "field is immutable")],
    )
}

fn check(object: &Object, name: &str) -> Result<(), Failure> {
    let faults = validation::faults(object);
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Failure::invalid("", NAMESPACES.kind, name, &faults))
    }
}

fn new_base(name: &str) -> Object {
    let mut base = Object::new();
    edit(&mut base, "metadata", |metadata| metadata.insert("name".to_owned(), name.into()));
    base
}

/// Drops what a client may not bring to a creation.
fn forget_server_fields(object: &mut Object) {
    normalize(object, &NAMESPACES.schema);
    edit(object, "metadata", |metadata| {
        for field in [
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "managedFields",
            "generation",
            "selfLink",
        ] {
            metadata.remove(field);
        }
    });
}

fn finish_new(object: &mut Object, time: &str) {
    normalize(object, &NAMESPACES.schema);
    object.insert("apiVersion".to_owned(), NAMESPACES.api_version.into());
    object.insert("kind".to_owned(), NAMESPACES.kind.into());
    object.insert("status".to_owned(), json!({ "phase": "Active" }));
    edit(object, "metadata", |metadata| {
        metadata.insert("uid".to_owned(), Uuid::new_v4().to_string().into());
        metadata.insert("creationTimestamp".to_owned(), time.into());
    });
    edit(object, "spec", |spec| {
        let list = spec.entry("finalizers").or_insert_with(|| json!([]));
        if let Value::Array(items) = list
            && !items.iter().any(|item| item == CONTENT_FINALIZER)
        {
            items.push(CONTENT_FINALIZER.into());
        }
    });
    label_with_name(object);
}

fn label_with_name(object: &mut Object) {
    let name = metadata_text(object, "name").to_owned();
    if !name.is_empty() {
        edit(object, "metadata", |metadata| {
            edit(metadata, "labels", |labels| labels.insert(NAME_LABEL.to_owned(), name.into()));
        });
    }
}

/// Five letters and digits without those that are easily mistaken or make words.
fn random_suffix() -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let random = Uuid::new_v4();
    let letters = random.as_bytes().iter().take(5);
    letters
        .filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()))
        .copied()
        .map(char::from)
        .collect()
}
