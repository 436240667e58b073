//! Who owns which field: server-side apply, and the bookkeeping of every other write.

use serde_json::Value;

use crate::{
    fields::{self, Entry, FieldSet, Managers, Manner, Path},
    schema::{Object, Resource, Schema, edit},
    status::Failure,
};

/// Who writes, and when (RFC 3339).
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    pub(crate) manager: String,
    pub(crate) time: String,
}

/// Merges the applied configuration into `live`: sets what it names, removes
/// what this manager named before and nobody else owns, and moves ownership.
/// Another manager's field with another value is a conflict unless `force`.
pub(crate) fn apply(
    resource: &Resource,
    live: &Object,
    configuration: &Object,
    writer: &Writer,
    force: bool,
) -> Result<Object, Failure> {
    let mut managers = Managers::of(live);
    if managers.0.is_empty() && !crate::schema::metadata_text(live, "uid").is_empty() {
        let before = Writer { manager: "before-first-apply".to_owned(), time: writer.time.clone() };
        record_update(resource, &Object::new(), live, &mut managers, &before);
    }
    let own = (Manner::Apply, writer.manager.clone());
    let last = managers.0.remove(&own).unwrap_or_default();
    let named = fields::named_fields(configuration, &resource.schema);
    managers.0.insert(own.clone(), Entry { fields: named, time: last.time.clone() });

    let mut merged = live.clone();
    merge(&mut merged, configuration, &resource.schema);
    prune(&mut merged, &last.fields, &managers);

    let comparison = fields::compare(live, &merged, &resource.schema);
    let written = comparison.written();
    if !force {
        let conflicts = conflicts(resource, &managers, &written, &own);
        if !conflicts.is_empty() {
            return Err(Failure::apply_conflict(&conflicts));
        }
    }
    let changed = !written.is_empty() || !comparison.removed.is_empty();
    managers.release(&written, Some(&own));
    managers.release(&comparison.removed, Some(&own));
    if let Some(entry) = managers.0.get_mut(&own)
        && changed
    {
        entry.time = Some(writer.time.clone());
    }
    store(resource, &mut merged, &managers);
    Ok(merged)
}

/// Moves to the writer what it changed from `live` (`None` at creation) to `new`.
pub(crate) fn update(
    resource: &Resource,
    live: Option<&Object>,
    new: &mut Object,
    writer: &Writer,
) {
    let mut managers = live.map(Managers::of).unwrap_or_default();
    // An object that nobody's fields are kept for stays so until its first apply.
    if live.is_none() || !managers.0.is_empty() {
        let empty = Object::new();
        record_update(resource, live.unwrap_or(&empty), new, &mut managers, writer);
    }
    store(resource, new, &managers);
}

fn record_update(
    resource: &Resource,
    live: &Object,
    new: &Object,
    managers: &mut Managers,
    writer: &Writer,
) {
    let comparison = fields::compare(live, new, &resource.schema);
    let written = comparison.written();
    let own = (Manner::Update, writer.manager.clone());
    let mut kept = managers.0.get(&own).cloned().unwrap_or_default();
    managers.release(&written, None);
    managers.release(&comparison.removed, None);
    if !written.is_empty() {
        kept.fields.retain(|field| !comparison.removed.contains(field));
        kept.fields.extend(written);
        kept.time = Some(writer.time.clone());
        managers.0.insert(own, kept);
    }
}

fn store(resource: &Resource, object: &mut Object, managers: &Managers) {
    edit(object, "metadata", |metadata| {
        if managers.0.is_empty() {
            metadata.remove("managedFields");
        } else {
            metadata.insert("managedFields".to_owned(), managers.to_json(resource.api_version));
        }
    });
}

fn conflicts(
    resource: &Resource,
    managers: &Managers,
    written: &FieldSet,
    own: &(Manner, String),
) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (key, entry) in managers.0.iter().filter(|(key, _)| *key != own) {
        let (manner, manager) = key;
        let spelled = match manner {
            Manner::Apply => format!("{manager:?}"),
            Manner::Update => format!("{manager:?} using {}", resource.api_version),
        };
        let owned = entry.fields.intersection(written);
        found.extend(owned.map(|field| (spelled.clone(), fields::spell(field))));
    }
    found
}

fn merge(into: &mut Object, from: &Object, schema: &Schema) {
    let Schema::Fields(fields) = schema else {
        return;
    };
    for (name, schema) in *fields {
        let Some(value) = from.get(*name) else {
            continue;
        };
        match (schema, value) {
            (Schema::Server, _) => {}
            (Schema::Fields(_), Value::Object(inner)) => {
                edit(into, name, |section| merge(section, inner, schema));
            }
            (Schema::TextMap, Value::Object(map)) => {
                edit(into, name, |section| {
                    section.extend(map.iter().map(|(key, value)| (key.clone(), value.clone())));
                });
            }
            (Schema::TextSet, Value::Array(items)) => {
                let slot = into.entry(*name).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(present) = slot {
                    let missing: Vec<Value> =
                        items.iter().filter(|item| !present.contains(item)).cloned().collect();
                    present.extend(missing);
                }
            }
            _ => {
                into.insert((*name).to_owned(), value.clone());
            }
        }
    }
}

/// Removes what the last configuration named and nobody owns now.
fn prune(merged: &mut Object, last: &FieldSet, managers: &Managers) {
    let owned = |path: &Path| managers.0.values().any(|entry| entry.fields.contains(path));
    for path in last.iter().filter(|path| !owned(path)) {
        // A map or list that the last configuration named as empty may hold
        // what others put there since.
        let holds_more = is_filled_container(merged, path);
        if !holds_more {
            fields::remove(merged, path);
        }
    }
    if let Some(Value::Object(metadata)) = merged.get_mut("metadata") {
        for (name, step) in [
            ("labels", "f:labels"),
            ("annotations", "f:annotations"),
            ("finalizers", "f:finalizers"),
        ] {
            let empty = match metadata.get(name) {
                Some(Value::Object(map)) => map.is_empty(),
                Some(Value::Array(items)) => items.is_empty(),
                _ => false,
            };
            if empty && !owned(&vec!["f:metadata".to_owned(), step.to_owned()]) {
                metadata.remove(name);
            }
        }
    }
}

fn is_filled_container(object: &Object, path: &Path) -> bool {
    let mut node = object;
    for step in path {
        let Some(value) = step.strip_prefix("f:").and_then(|name| node.get(name)) else {
            return false;
        };
        match value {
            Value::Object(inner) => node = inner,
            _ => return false,
        }
    }
    !node.is_empty()
}

/// Whether the two differ in nothing but the times of their managers' entries.
pub(crate) fn same_but_for_times(left: &Object, right: &Object) -> bool {
    without_times(left) == without_times(right)
}

fn without_times(object: &Object) -> Object {
    let mut object = object.clone();
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    if let Some(Value::Array(entries)) =
        metadata.and_then(|metadata| metadata.get_mut("managedFields"))
    {
        for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
            entry.remove("time");
        }
    }
    object
}
