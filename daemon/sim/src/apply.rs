//! Who owns which field: server-side apply, and the bookkeeping of every other write.

use std::{cmp::Ordering, fmt::Write as _};

use serde_json::Value;

use crate::{
    fields::{self, Entry, FieldSet, Managers, Manner, Owner, Path},
    kinds::{Resource, View},
    schema::{Object, Schema, edit},
    status::Failure,
};

/// Who writes, and when (RFC 3339).
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    pub(crate) manager: String,
    pub(crate) time: String,
    /// The part of the object that is written.
    pub(crate) view: View,
}

impl Writer {
    fn owner(&self, manner: Manner) -> Owner {
        (manner, self.manager.clone(), self.view.name().to_owned())
    }
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
        let before = Writer {
            manager: "before-first-apply".to_owned(),
            time: writer.time.clone(),
            view: View::Whole,
        };
        record_update(resource, &Object::new(), live, &mut managers, &before);
    }
    let (own, schema) = (writer.owner(Manner::Apply), resource.schema_of(writer.view));
    let last = managers.0.remove(&own).unwrap_or_default();
    let named = fields::named_fields(configuration, schema);
    managers.0.insert(own.clone(), Entry { fields: named, time: last.time.clone() });

    let mut merged = live.clone();
    merge(&mut merged, configuration, schema);
    prune(&mut merged, schema, &last.fields, &managers);

    let comparison = fields::compare(live, &merged, schema);
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
    let comparison = fields::compare(live, new, resource.schema_of(writer.view));
    let written = comparison.written();
    let own = writer.owner(Manner::Update);
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
            metadata.insert("managedFields".to_owned(), managers.to_json(&resource.api_version()));
        }
    });
}

fn conflicts(
    resource: &Resource,
    managers: &Managers,
    written: &FieldSet,
    own: &Owner,
) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut others: Vec<_> = managers.0.iter().filter(|(key, _)| *key != own).collect();
    others.sort_by_key(|((manner, manager, part), _)| (manager, *manner, part));
    for (key, entry) in others {
        let (manner, manager, part) = key;
        let mut spelled = format!("{manager:?}");
        if !part.is_empty() {
            let _ = write!(spelled, " with subresource {part:?}");
        }
        if *manner == Manner::Update {
            let _ = write!(spelled, " using {}", resource.api_version());
        }
        let mut owned: Vec<&Path> = entry.fields.intersection(written).collect();
        owned.sort_by(|left, right| told_before(left, right));
        let owned = owned.into_iter();
        found.extend(owned.map(|field| (spelled.clone(), fields::spell(field))));
    }
    found
}

/// The API server tells of a level's own fields before those of the levels below.
fn told_before(left: &Path, right: &Path) -> Ordering {
    let common = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    let is_below = |path: &Path| path.len() > common + 1;
    is_below(left).cmp(&is_below(right)).then_with(|| left.cmp(right))
}

fn merge(into: &mut Object, from: &Object, schema: &Schema) {
    for (name, value) in from {
        let Some((schema, _)) = schema.child(name) else {
            continue;
        };
        match (schema, value) {
            (Schema::Server, _) => {}
            (schema, Value::Object(inner)) if schema.is_granular() => {
                edit(into, name, |section| merge(section, inner, schema));
            }
            (Schema::Set, Value::Array(items)) => {
                let mut present = take_list(into, name);
                let missing: Vec<Value> =
                    items.iter().filter(|item| !present.contains(item)).cloned().collect();
                present.extend(missing);
                into.insert(name.clone(), Value::Array(present));
            }
            (Schema::Keyed { by, items: schema }, Value::Array(items)) => {
                let mut present = take_list(into, name);
                for item in items {
                    let key = fields::key_of(item, by);
                    match (present.iter_mut().find(|old| fields::key_of(old, by) == key), item) {
                        (Some(Value::Object(old)), Value::Object(new)) if schema.is_granular() => {
                            merge(old, new, schema);
                        }
                        (Some(old), new) => *old = new.clone(),
                        (None, new) => present.push(new.clone()),
                    }
                }
                into.insert(name.clone(), Value::Array(present));
            }
            _ => {
                into.insert(name.clone(), value.clone());
            }
        }
    }
}

fn take_list(object: &mut Object, name: &str) -> Vec<Value> {
    match object.remove(name) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// Removes what the last configuration named and nobody owns now.
fn prune(merged: &mut Object, schema: &Schema, last: &FieldSet, managers: &Managers) {
    let owned = |path: &Path| managers.0.values().any(|entry| entry.fields.contains(path));
    for path in last.iter().filter(|path| !owned(path)) {
        // A map or list that the last configuration named as empty may hold
        // what others put there since.
        if !(is_granular(schema, path) && is_filled_container(merged, path)) {
            fields::remove(merged, path);
            remove_emptied(merged, path, &owned);
        }
    }
}

/// Removes the maps and lists above `path` that are empty now and nobody's own.
fn remove_emptied(merged: &mut Object, path: &Path, owned: &impl Fn(&Path) -> bool) {
    for length in (2..path.len()).rev() {
        let above: Path = path.iter().take(length).cloned().collect();
        if !is_empty_container(merged, &above) || owned(&above) {
            return;
        }
        fields::remove(merged, &above);
    }
}

fn find<'a>(object: &'a Object, path: &Path) -> Option<&'a Value> {
    let mut steps = path.iter().map(|step| step.strip_prefix("f:"));
    let first = object.get(steps.next()??)?;
    steps.try_fold(first, |value, step| value.get(step?))
}

fn is_empty_container(object: &Object, path: &Path) -> bool {
    match find(object, path) {
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        _ => false,
    }
}

/// Whether what is at `path` is owned field by field.
fn is_granular(schema: &Schema, path: &Path) -> bool {
    let below =
        path.iter().try_fold(schema, |schema, step| match (schema, step.split_once(':')?) {
            (Schema::Keyed { items, .. }, ("k", _)) => Some(&**items),
            (schema, ("f", name)) => schema.child(name).map(|(schema, _)| schema),
            _ => None,
        });
    below.is_some_and(Schema::is_granular)
}

fn is_filled_container(object: &Object, path: &Path) -> bool {
    matches!(find(object, path), Some(Value::Object(map)) if !map.is_empty())
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
