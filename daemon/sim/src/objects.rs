//! What every kind has in common: creation, update, server-side apply and the end.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    apply::{self, Writer},
    checks, defaults, events,
    kinds::{self, EXTENSIONS, Generation, Resource},
    namespaces,
    schema::{Object, at, edit, metadata_text, normalize},
    status::{Failure, Fault},
    store::{Decision, Store, Stored},
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

/// An answer: the object, and whether this request made it.
pub(crate) type Outcome = (Object, bool);

/// A delete's conditions on what it may hit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Preconditions {
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
}

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
}

impl Manner {
    fn put(&self, object: Object) -> Decision {
        if self.dry_run { Decision::Answer(object) } else { Decision::Put(object) }
    }
}

/// This instant as the API server writes it, in whole seconds.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Creates from a whole object.
pub(crate) fn create(
    store: &Store,
    place: &Place,
    mut object: Object,
    manner: &Manner,
) -> Result<Object, Failure> {
    let resource = &*place.resource;
    if !metadata_text(&object, "resourceVersion").is_empty() {
        return Err(Failure::internal(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let generate = metadata_text(&object, "generateName").to_owned();
    set_namespace(&mut object, place);
    forget_server_fields(&mut object, resource);
    fill_defaults(store, resource, &mut object);
    apply::update(resource, None, &mut object, &manner.writer);
    if metadata_text(&object, "name").is_empty() && !generate.is_empty() {
        let name = format!("{generate}{}", random_suffix());
        edit(&mut object, "metadata", |metadata| metadata.insert("name".to_owned(), name.into()));
    }
    let name = metadata_text(&object, "name").to_owned();
    store.commit(&place.key(&name), |present| {
        checks::namespace(store, place, &name)?;
        finish_new(store, resource, &mut object, &manner.writer.time);
        checks::metadata(resource, &object, &name)?;
        match present {
            Some(present) => Err(Failure::already_exists(resource, &name, is_terminating(present))),
            None => Ok(manner.put(object)),
        }
    })
}

/// Server-side apply, which creates what is not there.
pub(crate) fn apply(
    store: &Store,
    place: &Place,
    name: &str,
    configuration: &Object,
    manner: &Manner,
    force: bool,
) -> Result<Outcome, Failure> {
    let mut created = false;
    let resource = &*place.resource;
    let object = store.commit(&place.key(name), |live| {
        created = live.is_none();
        let Some(live) = live else {
            let mut base = Object::new();
            edit(&mut base, "metadata", |metadata| metadata.insert("name".to_owned(), name.into()));
            set_namespace(&mut base, place);
            let mut object = apply::apply(resource, &base, configuration, &manner.writer, force)?;
            checks::namespace(store, place, name)?;
            finish_new(store, resource, &mut object, &manner.writer.time);
            let wanted = metadata_text(configuration, "uid");
            if !wanted.is_empty() {
                return Err(checks::immutable_uid(resource, name, wanted));
            }
            checks::metadata(resource, &object, name)?;
            return Ok(manner.put(object));
        };
        let object = apply::apply(resource, live, configuration, &manner.writer, force)?;
        checks::versions(resource, live, configuration, name)?;
        settle_update(store, resource, live, object, name, manner.dry_run)
    })?;
    Ok((object, created))
}

/// Replaces the object by what `change` makes of it.
pub(crate) fn update(
    store: &Store,
    place: &Place,
    name: &str,
    manner: &Manner,
    change: impl FnOnce(&Object) -> Result<Object, Failure>,
) -> Result<Object, Failure> {
    let resource = &*place.resource;
    store.commit(&place.key(name), |live| {
        let live = live.ok_or_else(|| Failure::not_found(resource, name))?;
        let mut object = change(live)?;
        for told_by_path in ["kind", "apiVersion"] {
            object.remove(told_by_path);
        }
        if resource.wants_version() && metadata_text(&object, "resourceVersion").is_empty() {
            let why = "must be specified for an update";
            let fault = Fault::invalid_value("metadata.resourceVersion", "0", why);
            return Err(Failure::invalid(&resource.group, &resource.plural, name, &[fault]));
        }
        checks::versions(resource, live, &object, name)?;
        normalize(&mut object, &resource.schema, resource.builtin);
        set_namespace(&mut object, place);
        fill_defaults(store, resource, &mut object);
        apply::update(resource, Some(live), &mut object, &manner.writer);
        settle_update(store, resource, live, object, name, manner.dry_run)
    })
}

/// Deletes at once, or marks what finalizers hold. The flag tells whether it is gone.
pub(crate) fn delete(
    store: &Store,
    place: &Place,
    name: &str,
    preconditions: &Preconditions,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let resource = &*place.resource;
    let is_namespace = resource.is("", "namespaces");
    if is_namespace && namespaces::is_immortal(name) {
        return Err(Failure::forbidden(resource, name, "this namespace may not be deleted"));
    }
    let mut gone = false;
    let object = store.commit(&place.key(name), |live| {
        let live = live.ok_or_else(|| Failure::not_found(resource, name))?;
        let held = is_namespace || validation::finalizers(live).next().is_some();
        checks::preconditions(resource, live, name, preconditions, held)?;
        if !held {
            gone = true;
            return Ok(if dry_run {
                Decision::Answer(live.clone())
            } else {
                Decision::Remove(live.clone())
            });
        }
        if is_terminating(live) {
            return Ok(Decision::Answer(live.clone()));
        }
        let mut object = live.clone();
        edit(&mut object, "metadata", |metadata| {
            metadata.insert("deletionTimestamp".to_owned(), now().into());
            if !is_namespace {
                metadata.insert("deletionGracePeriodSeconds".to_owned(), 0.into());
            }
        });
        if is_namespace {
            edit(&mut object, "status", |status| {
                status.insert("phase".to_owned(), "Terminating".into())
            });
        } else if resource.generation == Generation::Counted {
            raise_generation(&mut object);
        }
        Ok(if dry_run { Decision::Answer(object) } else { Decision::Put(object) })
    })?;
    Ok((object, gone))
}

/// What a delete answers when the object is gone.
pub(crate) fn deleted(resource: &Resource, object: &Object) -> Value {
    if resource.builtin && matches!(&*resource.plural, "resourcequotas" | "serviceaccounts") {
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

/// Takes the server's fields from `live`, checks, and decides what to write.
fn settle_update(
    store: &Store,
    resource: &Resource,
    live: &Object,
    mut object: Object,
    name: &str,
    dry_run: bool,
) -> Result<Decision, Failure> {
    let is_namespace = resource.is("", "namespaces");
    edit(&mut object, "metadata", |metadata| {
        for field in KEPT_METADATA {
            match live.get("metadata").and_then(|metadata| metadata.get(field)) {
                Some(value) => metadata.insert(field.to_owned(), value.clone()),
                None => metadata.remove(field),
            };
        }
    });
    let kept: &[&str] = if is_namespace { &["spec", "status"] } else { &["status"] };
    for field in kept {
        // A status that is a field as any other is the client's.
        let is_own =
            matches!(resource.schema.child(field), Some((crate::schema::Schema::Server, _)));
        if !is_own && !is_namespace {
            continue;
        }
        match live.get(*field) {
            Some(value) => object.insert((*field).to_owned(), value.clone()),
            None => object.remove(*field),
        };
    }
    normalize(&mut object, &resource.schema, resource.builtin);
    fill_defaults(store, resource, &mut object);
    if resource.generation == Generation::Counted && differs_in_substance(live, &object) {
        raise_generation(&mut object);
    }
    checks::metadata(resource, &object, name)?;
    checks::role(resource, live, &object, name)?;
    if is_terminating(live) {
        checks::finalizers(resource, live, &object, name)?;
    }
    if apply::same_but_for_times(live, &object) {
        return Ok(Decision::Answer(live.clone()));
    }
    if dry_run {
        return Ok(Decision::Answer(object));
    }
    let held = validation::finalizers(&object).next().is_some()
        || (is_namespace && at(&object, &["spec", "finalizers"]).is_some());
    Ok(if is_terminating(&object) && !held {
        Decision::Remove(object)
    } else {
        Decision::Put(object)
    })
}

fn differs_in_substance(live: &Object, object: &Object) -> bool {
    let substance = |object: &Object| {
        let mut object = object.clone();
        for field in ["kind", "apiVersion", "metadata", "status"] {
            object.remove(field);
        }
        object
    };
    substance(live) != substance(object)
}

fn raise_generation(object: &mut Object) {
    edit(object, "metadata", |metadata| {
        let generation = metadata.get("generation").and_then(Value::as_u64).unwrap_or_default();
        metadata.insert("generation".to_owned(), (generation + 1).into());
    });
}

fn set_namespace(object: &mut Object, place: &Place) {
    edit(object, "metadata", |metadata| {
        if place.namespace.is_empty() {
            metadata.remove("namespace");
        } else {
            metadata.insert("namespace".to_owned(), place.namespace.as_str().into());
        }
    });
}

/// Drops what a client may not bring to a creation.
fn forget_server_fields(object: &mut Object, resource: &Resource) {
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

fn fill_defaults(store: &Store, resource: &Resource, object: &mut Object) {
    if resource.is("", "namespaces") {
        namespaces::label_with_name(object);
    }
    if resource.builtin {
        defaults::fill(resource, object);
        return;
    }
    let definition =
        format!("customresourcedefinitions.{EXTENSIONS}/{}", resource.qualified_plural());
    if let Some(definition) = store.get(&definition) {
        kinds::set_defaults(object, &definition.object(), &resource.version);
    }
}

fn finish_new(store: &Store, resource: &Resource, object: &mut Object, time: &str) {
    normalize(object, &resource.schema, resource.builtin);
    fill_defaults(store, resource, object);
    if matches!(resource.schema.child("status"), Some((crate::schema::Schema::Server, _))) {
        object.remove("status");
    }
    if let Some(status) = defaults::first_status(resource) {
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
