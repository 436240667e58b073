//! Sets of fields, and what managers own: the `fieldsV1` shape of `managedFields`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::schema::{Keys, Object, Schema, edit, metadata};

/// A path from the object's root, each step as `fieldsV1` spells it: `f:name`
/// for a field or key, `v:"text"` for an item of a set.
pub(crate) type Path = Vec<String>;

/// A set of fields.
pub(crate) type FieldSet = BTreeSet<Path>;

/// What differs between two objects, by field.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) added: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) removed: FieldSet,
}

impl Comparison {
    /// Fields that the second object sets to something new.
    pub(crate) fn written(&self) -> FieldSet {
        self.added.union(&self.modified).cloned().collect()
    }
}

fn step(path: &Path, last: String) -> Path {
    let mut longer = path.clone();
    longer.push(last);
    longer
}

fn field_step(path: &Path, name: &str) -> Path {
    step(path, format!("f:{name}"))
}

fn item_step(path: &Path, item: &Value) -> Path {
    step(path, format!("v:{item}"))
}

/// An item of a keyed list by its keys: `k:{"type":"Ready"}`.
pub(crate) fn key_of(item: &Value, by: &Keys) -> String {
    let keys = by.fields.iter().filter_map(|(key, default)| {
        Some((key.clone(), item.get(key).or(default.as_ref())?.clone()))
    });
    let keys: Map<String, Value> = keys.collect();
    format!("k:{}", Value::Object(keys))
}

/// The fields that `object` names, for an applied configuration.
pub(crate) fn named_fields(object: &Object, schema: &Schema) -> FieldSet {
    let mut found = FieldSet::new();
    name_children(object, schema, &Vec::new(), &mut found);
    found.remove(&vec!["f:metadata".to_owned()]);
    found
}

fn name_children(object: &Object, schema: &Schema, path: &Path, found: &mut FieldSet) {
    for (name, value) in object {
        let Some((schema, declared)) = schema.child(name) else {
            continue;
        };
        let path = field_step(path, name);
        name_fields(value, schema, &path, found);
        if !declared && !matches!(schema, Schema::Server) {
            found.insert(path);
        }
    }
}

fn name_fields(value: &Value, schema: &Schema, path: &Path, found: &mut FieldSet) {
    match (schema, value) {
        (Schema::Server, _) => {}
        (schema, Value::Object(map)) if schema.is_granular() && !map.is_empty() => {
            name_children(map, schema, path, found);
        }
        (Schema::Set, Value::Array(items)) => {
            found.extend(items.iter().map(|item| item_step(path, item)));
        }
        (Schema::Keyed { by, items: schema }, Value::Array(items)) => {
            for item in items {
                let path = step(path, key_of(item, by));
                name_fields(item, schema, &path, found);
                found.insert(path);
            }
        }
        _ => {
            found.insert(path.clone());
        }
    }
}

/// What differs from `old` to `new`.
pub(crate) fn compare(old: &Object, new: &Object, schema: &Schema) -> Comparison {
    let mut comparison = Comparison::default();
    compare_children(Some(old), Some(new), schema, &Vec::new(), &mut comparison);
    comparison
}

fn compare_children(
    old: Option<&Object>,
    new: Option<&Object>,
    schema: &Schema,
    path: &Path,
    into: &mut Comparison,
) {
    let nothing = Map::new();
    let (old_fields, new_fields) = (old.unwrap_or(&nothing), new.unwrap_or(&nothing));
    let names: BTreeSet<&String> = old_fields.keys().chain(new_fields.keys()).collect();
    for name in names {
        if let Some((schema, _)) = schema.child(name) {
            // What a struct is never without is there with the struct.
            let implied = schema.implied();
            let of = |fields: &'_ Object, holder: Option<&Object>| {
                fields.get(name).cloned().or(holder.and(implied.clone()))
            };
            let (old, new) = (of(old_fields, old), of(new_fields, new));
            compare_values(old.as_ref(), new.as_ref(), schema, &field_step(path, name), into);
        }
    }
}

fn compare_values(
    old: Option<&Value>,
    new: Option<&Value>,
    schema: &Schema,
    path: &Path,
    into: &mut Comparison,
) {
    let is_empty = |value: Option<&Value>| match value {
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Null) | None => true,
        Some(_) => false,
    };
    let is_map = |value: Option<&Value>| value.is_none_or(Value::is_object);
    let is_list = |value: Option<&Value>| value.is_none_or(Value::is_array);
    match schema {
        Schema::Server => {}
        // Whether both are empty or absent is a difference of its own.
        _ if is_empty(old) && is_empty(new) => compare_leaves(old, new, path.clone(), into),
        schema if schema.is_granular() && is_map(old) && is_map(new) => {
            compare_presence(old, new, path, into);
            let (old, new) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
            compare_children(old, new, schema, path, into);
        }
        Schema::Set if is_list(old) && is_list(new) => {
            compare_presence(old, new, path, into);
            let nothing = Vec::new();
            let old = old.and_then(Value::as_array).unwrap_or(&nothing);
            let new = new.and_then(Value::as_array).unwrap_or(&nothing);
            into.added.extend(
                new.iter().filter(|item| !old.contains(item)).map(|item| item_step(path, item)),
            );
            into.removed.extend(
                old.iter().filter(|item| !new.contains(item)).map(|item| item_step(path, item)),
            );
        }
        Schema::Keyed { by, items } if is_list(old) && is_list(new) => {
            compare_presence(old, new, path, into);
            let by_key = |list: Option<&'_ Value>| -> BTreeMap<String, Value> {
                let items = list.and_then(Value::as_array).into_iter().flatten();
                items.map(|item| (key_of(item, by), item.clone())).collect()
            };
            let (old, new) = (by_key(old), by_key(new));
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                compare_values(old.get(key), new.get(key), items, &step(path, key.clone()), into);
            }
        }
        _ => compare_leaves(old, new, path.clone(), into),
    }
}

fn compare_presence(old: Option<&Value>, new: Option<&Value>, path: &Path, into: &mut Comparison) {
    match (old, new) {
        (None, Some(_)) => into.added.insert(path.clone()),
        (Some(_), None) => into.removed.insert(path.clone()),
        _ => false,
    };
}

fn compare_leaves(old: Option<&Value>, new: Option<&Value>, path: Path, into: &mut Comparison) {
    match (old, new) {
        (None, Some(_)) => into.added.insert(path),
        (Some(_), None) => into.removed.insert(path),
        (Some(old), Some(new)) if old != new => into.modified.insert(path),
        _ => false,
    };
}

/// Removes the field at `path`, if it is there, and what that leaves empty.
pub(crate) fn remove(object: &mut Object, path: &[String]) {
    let [name, rest @ ..] = path else {
        return;
    };
    let Some(name) = name.strip_prefix("f:") else {
        return;
    };
    if rest.is_empty() {
        object.remove(name);
        return;
    }
    match object.get_mut(name) {
        Some(Value::Object(inner)) => remove(inner, rest),
        Some(Value::Array(items)) => {
            let [item, rest @ ..] = rest else {
                return;
            };
            let keys = item.strip_prefix("k:").and_then(|keys| serde_json::from_str(keys).ok());
            let is_it = |kept: &Value| match &keys {
                Some(Value::Object(keys)) => {
                    keys.iter().all(|(key, value)| kept.get(key) == Some(value))
                }
                _ => format!("v:{kept}") == *item,
            };
            if rest.is_empty() {
                items.retain(|kept| !is_it(kept));
            } else if let Some(Value::Object(inner)) = items.iter_mut().find(|kept| is_it(kept)) {
                remove(inner, rest);
            }
        }
        _ => {}
    }
}

/// A path in the API server's words: `.metadata.labels.team`.
pub(crate) fn spell(path: &Path) -> String {
    path.iter()
        .map(|step| match step.split_once(':') {
            Some(("f", name)) => format!(".{name}"),
            Some(("k", keys)) => {
                let keys: Object = serde_json::from_str(keys).unwrap_or_default();
                let keys: Vec<_> =
                    keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
                format!("[{}]", keys.join(","))
            }
            Some((_, item)) => format!("[={item}]"),
            None => step.clone(),
        })
        .collect()
}

/// How a manager came to own fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Manner {
    /// By server-side apply.
    Apply,
    /// By any other write.
    Update,
}

impl Manner {
    fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// One manager's entry: the fields, and when it last changed the object (RFC 3339).
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) fields: FieldSet,
    pub(crate) time: Option<String>,
}

/// Whose an entry is: how it was written, by whom, and through which subresource.
pub(crate) type Owner = (Manner, String, String);

/// All entries of an object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Managers(pub(crate) BTreeMap<Owner, Entry>);

impl Managers {
    /// Reads `metadata.managedFields`, which only this crate has written.
    pub(crate) fn of(object: &Object) -> Self {
        let entries = metadata(object)
            .and_then(|metadata| metadata.get("managedFields"))
            .and_then(Value::as_array);
        let mut managers = BTreeMap::new();
        for entry in entries.into_iter().flatten() {
            let text = |field: &str| entry.get(field).and_then(Value::as_str);
            let manner =
                if text("operation") == Some("Apply") { Manner::Apply } else { Manner::Update };
            let mut fields = FieldSet::new();
            if let Some(Value::Object(tree)) = entry.get("fieldsV1") {
                read_tree(tree, &Vec::new(), &mut fields);
            }
            let time = text("time").map(str::to_owned);
            let owned = |field: &str| text(field).unwrap_or_default().to_owned();
            managers
                .insert((manner, owned("manager"), owned("subresource")), Entry { fields, time });
        }
        Self(managers)
    }

    /// The value of `metadata.managedFields`, in the API server's order.
    pub(crate) fn to_json(&self, api_version: &str) -> Value {
        let mut entries: Vec<_> = self.0.iter().collect();
        entries.sort_by_key(|((manner, manager, subresource), entry)| {
            (*manner, entry.time.clone(), manager.clone(), subresource.clone())
        });
        let entries = entries.into_iter().map(|((manner, manager, subresource), entry)| {
            let mut value = json!({
                "manager": manager,
                "operation": manner.name(),
                "apiVersion": api_version,
                "fieldsType": "FieldsV1",
                "fieldsV1": write_tree(&entry.fields),
            });
            if let (Value::Object(map), Some(time)) = (&mut value, &entry.time) {
                map.insert("time".to_owned(), time.as_str().into());
            }
            if let (Value::Object(map), false) = (&mut value, subresource.is_empty()) {
                map.insert("subresource".to_owned(), subresource.as_str().into());
            }
            value
        });
        Value::Array(entries.collect())
    }

    /// Takes `fields` from all entries and drops those that own nothing more;
    /// the entry of `except` is left alone.
    pub(crate) fn release(&mut self, fields: &FieldSet, except: Option<&Owner>) {
        self.0.retain(|key, entry| {
            if Some(key) != except {
                entry.fields.retain(|field| !fields.contains(field));
            }
            !entry.fields.is_empty()
        });
    }
}

fn read_tree(tree: &Object, path: &Path, found: &mut FieldSet) {
    for (key, value) in tree {
        match value.as_object() {
            _ if key == "." => {
                found.insert(path.clone());
            }
            Some(children) if !children.is_empty() => {
                read_tree(children, &step(path, key.clone()), found);
            }
            _ => {
                found.insert(step(path, key.clone()));
            }
        }
    }
}

fn write_tree(fields: &FieldSet) -> Value {
    let mut root = Map::new();
    for path in fields {
        plant(&mut root, path);
    }
    Value::Object(root)
}

/// Adds one path. Paths come in order, a parent before its children; the
/// parent is marked with "." once it has some.
fn plant(node: &mut Object, path: &[String]) {
    if let [step, rest @ ..] = path {
        let owned_leaf = !rest.is_empty()
            && node.get(step).and_then(Value::as_object).is_some_and(Map::is_empty);
        edit(node, step, |child| {
            if owned_leaf {
                child.insert(".".to_owned(), json!({}));
            }
            plant(child, rest);
        });
    }
}
