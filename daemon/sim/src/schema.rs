//! The kinds that are served and the shape of their fields: which fields exist,
//! how they merge, and which belong to the server alone.

use serde_json::{Map, Value};

/// A Kubernetes object as JSON.
pub(crate) type Object = Map<String, Value>;

/// One kind of object under one path.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) api_version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) list_kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) schema: Schema,
}

impl Resource {
    /// Where the store keeps the object of this name.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.plural)
    }

    /// The prefix of all keys of this kind.
    pub(crate) fn prefix(&self) -> String {
        format!("{}/", self.plural)
    }
}

/// How a field merges and who may own it.
#[derive(Debug)]
pub(crate) enum Schema {
    /// Named fields, each with its own schema.
    Fields(&'static [(&'static str, Schema)]),
    /// A map of strings whose keys are owned one by one.
    TextMap,
    /// A list of distinct strings that are owned one by one.
    TextSet,
    /// A list of strings that is owned as a whole.
    TextList,
    /// One string.
    Text,
    /// Written by the server alone: a client's value is not merged and nobody owns it.
    Server,
}

/// core/v1 namespaces.
pub(crate) const NAMESPACES: Resource = Resource {
    api_version: "v1",
    kind: "Namespace",
    list_kind: "NamespaceList",
    plural: "namespaces",
    schema: Schema::Fields(&[
        ("apiVersion", Schema::Server),
        ("kind", Schema::Server),
        (
            "metadata",
            Schema::Fields(&[
                ("annotations", Schema::TextMap),
                ("creationTimestamp", Schema::Server),
                ("deletionGracePeriodSeconds", Schema::Server),
                ("deletionTimestamp", Schema::Server),
                ("finalizers", Schema::TextSet),
                ("generateName", Schema::Text),
                ("generation", Schema::Server),
                ("labels", Schema::TextMap),
                ("managedFields", Schema::Server),
                ("name", Schema::Server),
                ("namespace", Schema::Server),
                ("resourceVersion", Schema::Server),
                ("selfLink", Schema::Server),
                ("uid", Schema::Server),
            ]),
        ),
        ("spec", Schema::Fields(&[("finalizers", Schema::TextList)])),
        ("status", Schema::Server),
    ]),
};

/// A value that does not fit its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// No such field; the path has no leading dot.
    Undeclared(String),
    /// A value of another type.
    Mistyped {
        /// The whole path, with the map's key.
        path: String,
        /// The declared field that holds it.
        field: String,
        /// What the schema wants there: `string`, `map` or `list`.
        wanted: &'static str,
        /// The offending value.
        found: Value,
    },
}

/// Everything in `object` that does not fit, in the order of its fields.
pub(crate) fn misfits(object: &Object, schema: &Schema) -> Vec<Misfit> {
    let mut found = Vec::new();
    if let Schema::Fields(fields) = schema {
        inspect_fields(object, fields, "", &mut found);
    }
    found
}

fn inspect_fields(
    object: &Object,
    fields: &[(&str, Schema)],
    prefix: &str,
    found: &mut Vec<Misfit>,
) {
    for (name, value) in object {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match fields.iter().find(|(declared, _)| declared == name) {
            Some((_, schema)) => inspect(value, schema, &path, found),
            None => found.push(Misfit::Undeclared(path)),
        }
    }
}

fn inspect(value: &Value, schema: &Schema, path: &str, found: &mut Vec<Misfit>) {
    let mut mistyped = |at: String, wanted, value: &Value| {
        found.push(Misfit::Mistyped {
            path: at,
            field: path.to_owned(),
            wanted,
            found: value.clone(),
        });
    };
    match (schema, value) {
        (_, Value::Null) | (Schema::Server, _) | (Schema::Text, Value::String(_)) => {}
        (Schema::Fields(fields), Value::Object(object)) => {
            inspect_fields(object, fields, path, found);
        }
        (Schema::TextMap, Value::Object(map)) => {
            for (key, value) in map.iter().filter(|(_, value)| !value.is_string()) {
                mistyped(format!("{path}.{key}"), "string", value);
            }
        }
        (Schema::TextSet | Schema::TextList, Value::Array(items)) => {
            for (index, value) in items.iter().enumerate().filter(|(_, value)| !value.is_string()) {
                mistyped(format!("{path}[{index}]"), "string", value);
            }
        }
        (Schema::Fields(_) | Schema::TextMap, other) => mistyped(path.to_owned(), "map", other),
        (Schema::TextSet | Schema::TextList, other) => mistyped(path.to_owned(), "list", other),
        (Schema::Text, other) => mistyped(path.to_owned(), "string", other),
    }
}

/// Drops undeclared fields, nulls, and empty maps and lists, as a decode and
/// encode by the API server does.
pub(crate) fn normalize(object: &mut Object, schema: &Schema) {
    let Schema::Fields(fields) = schema else {
        return;
    };
    object.retain(|name, value| {
        fields.iter().any(|(declared, _)| declared == name) && !value.is_null()
    });
    for (name, schema) in *fields {
        let Some(value) = object.get_mut(*name) else {
            continue;
        };
        match value {
            Value::Object(inner) if matches!(schema, Schema::Fields(_)) => normalize(inner, schema),
            Value::Object(inner) if inner.is_empty() && matches!(schema, Schema::TextMap) => {
                object.remove(*name);
            }
            Value::Array(items) if items.is_empty() => {
                object.remove(*name);
            }
            _ => {}
        }
    }
}

/// `metadata.{field}` as text, empty when absent.
pub(crate) fn metadata_text<'a>(object: &'a Object, field: &str) -> &'a str {
    metadata(object)
        .and_then(|metadata| metadata.get(field))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The object's `metadata`.
pub(crate) fn metadata(object: &Object) -> Option<&Object> {
    object.get("metadata").and_then(Value::as_object)
}

/// Edits the map under `name`, made when absent.
pub(crate) fn edit<R>(object: &mut Object, name: &str, change: impl FnOnce(&mut Object) -> R) -> R {
    let mut section = match object.remove(name) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let result = change(&mut section);
    object.insert(name.to_owned(), Value::Object(section));
    result
}
