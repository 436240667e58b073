//! Sets of fields, and what managers own: the `fieldsV1` shape of `managedFields`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::schema::{Object, Schema, edit, metadata};

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

/// The fields that `object` names, for an applied configuration.
pub(crate) fn named_fields(object: &Object, schema: &Schema) -> FieldSet {
    let mut found = FieldSet::new();
    if let Schema::Fields(fields) = schema {
        for (name, schema) in *fields {
            if let Some(value) = object.get(*name) {
                name_fields(value, schema, &vec![format!("f:{name}")], &mut found);
            }
        }
    }
    found.remove(&vec!["f:metadata".to_owned()]);
    found
}

fn name_fields(value: &Value, schema: &Schema, path: &Path, found: &mut FieldSet) {
    match (schema, value) {
        (Schema::Server, _) => {}
        (Schema::Fields(_) | Schema::TextMap, Value::Object(map)) if map.is_empty() => {
            found.insert(path.clone());
        }
        (Schema::Fields(fields), Value::Object(map)) => {
            for (name, schema) in *fields {
                if let Some(value) = map.get(*name) {
                    name_fields(value, schema, &field_step(path, name), found);
                }
            }
        }
        (Schema::TextMap, Value::Object(map)) => {
            found.extend(map.keys().map(|key| field_step(path, key)));
        }
        (Schema::TextSet, Value::Array(items)) => {
            found.extend(items.iter().map(|item| item_step(path, item)));
        }
        _ => {
            found.insert(path.clone());
        }
    }
}

/// What differs from `old` to `new`.
pub(crate) fn compare(old: &Object, new: &Object, schema: &Schema) -> Comparison {
    let mut comparison = Comparison::default();
    if let Schema::Fields(fields) = schema {
        for (name, schema) in *fields {
            let path = vec![format!("f:{name}")];
            compare_values(old.get(*name), new.get(*name), schema, &path, &mut comparison);
        }
    }
    comparison
}

fn compare_values(
    old: Option<&Value>,
    new: Option<&Value>,
    schema: &Schema,
    path: &Path,
    into: &mut Comparison,
) {
    match schema {
        Schema::Server => {}
        Schema::Fields(fields) => {
            for (name, schema) in *fields {
                let child =
                    |value: Option<&'_ Value>| value.and_then(|value| value.get(*name)).cloned();
                let (old, new) = (child(old), child(new));
                compare_values(old.as_ref(), new.as_ref(), schema, &field_step(path, name), into);
            }
        }
        Schema::TextMap => {
            compare_presence(old, new, path, into);
            let empty = Map::new();
            let old = old.and_then(Value::as_object).unwrap_or(&empty);
            let new = new.and_then(Value::as_object).unwrap_or(&empty);
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                compare_leaves(old.get(key), new.get(key), field_step(path, key), into);
            }
        }
        Schema::TextSet => {
            compare_presence(old, new, path, into);
            let empty = Vec::new();
            let old = old.and_then(Value::as_array).unwrap_or(&empty);
            let new = new.and_then(Value::as_array).unwrap_or(&empty);
            into.added.extend(
                new.iter().filter(|item| !old.contains(item)).map(|item| item_step(path, item)),
            );
            into.removed.extend(
                old.iter().filter(|item| !new.contains(item)).map(|item| item_step(path, item)),
            );
        }
        Schema::TextList | Schema::Text => compare_leaves(old, new, path.clone(), into),
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

/// Removes the field at `path`, if it is there.
pub(crate) fn remove(object: &mut Object, path: &[String]) {
    match path {
        [last] => {
            if let Some(name) = last.strip_prefix("f:") {
                object.remove(name);
            }
        }
        [name, item] if item.starts_with("v:") => {
            if let Some(Value::Array(items)) =
                name.strip_prefix("f:").and_then(|name| object.get_mut(name))
            {
                items.retain(|kept| format!("v:{kept}") != *item);
            }
        }
        [name, rest @ ..] => {
            if let Some(Value::Object(inner)) =
                name.strip_prefix("f:").and_then(|name| object.get_mut(name))
            {
                remove(inner, rest);
            }
        }
        [] => {}
    }
}

/// A path in the API server's words: `.metadata.labels.team`.
pub(crate) fn spell(path: &Path) -> String {
    path.iter()
        .map(|step| match step.split_once(':') {
            Some(("f", name)) => format!(".{name}"),
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

/// All entries of an object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Managers(pub(crate) BTreeMap<(Manner, String), Entry>);

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
            managers.insert(
                (manner, text("manager").unwrap_or_default().to_owned()),
                Entry { fields, time },
            );
        }
        Self(managers)
    }

    /// The value of `metadata.managedFields`, in the API server's order.
    pub(crate) fn to_json(&self, api_version: &str) -> Value {
        let mut entries: Vec<_> = self.0.iter().collect();
        entries.sort_by_key(|((manner, manager), entry)| {
            (*manner, entry.time.clone(), manager.clone())
        });
        let entries = entries.into_iter().map(|((manner, manager), entry)| {
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
            value
        });
        Value::Array(entries.collect())
    }

    /// Takes `fields` from all entries and drops those that own nothing more;
    /// the entry of `except` is left alone.
    pub(crate) fn release(&mut self, fields: &FieldSet, except: Option<&(Manner, String)>) {
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
