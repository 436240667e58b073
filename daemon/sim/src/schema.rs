//! The shape of a kind's fields: which exist, how they merge, and which belong
//! to the server alone.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::quantity;

/// A Kubernetes object as JSON.
pub(crate) type Object = Map<String, Value>;

/// What tells the items of a list apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    /// The fields, and what they are where an item does not say.
    pub(crate) fields: Vec<(String, Option<Value>)>,
    /// The field by which a strategic merge patch tells them apart, if it merges them.
    pub(crate) patch: Option<String>,
    /// The list is there even when it is empty, as a Go slice that is always written.
    pub(crate) always: bool,
}

/// How a field merges and who may own it.
#[derive(Clone, Debug, Default)]
pub(crate) enum Schema {
    /// Named fields, each with its own schema.
    Fields {
        /// The fields.
        fields: BTreeMap<String, Schema>,
        /// Owned as a whole.
        atomic: bool,
        /// Written even when it is empty, as a Go struct that is no pointer.
        always: bool,
        /// Fields that are not declared are kept.
        open: bool,
    },
    /// A map whose keys are owned one by one, or as a whole.
    Map {
        /// Each value.
        values: Box<Schema>,
        /// Owned as a whole.
        atomic: bool,
    },
    /// A list of distinct values that are owned one by one, and which strategic merge
    /// patches add to.
    Set,
    /// A list of objects that are told apart by some of their fields and owned one by one.
    Keyed {
        /// Those fields.
        by: Keys,
        /// Each object.
        items: Box<Schema>,
    },
    /// A list that is owned as a whole.
    List(Box<Schema>),
    /// One string.
    Text,
    /// One number.
    Number,
    /// True or false.
    Flag,
    /// An amount such as `500m` or `2Gi`.
    Quantity,
    /// An instant in microseconds.
    MicroTime,
    /// Anything: a map's keys are owned one by one, all else as a whole.
    #[default]
    Any,
    /// Written by the server alone: a client's value is not merged and nobody owns it.
    Server,
}

impl Schema {
    /// No declared field.
    pub(crate) fn empty() -> Self {
        Self::Fields { fields: BTreeMap::new(), atomic: false, always: false, open: false }
    }

    /// Reads the form that `kinds.json` has.
    pub(crate) fn read(value: &Value, shapes: &Shapes<'_>) -> Self {
        let flag = |name: &str| value.get(name) == Some(&Value::Bool(true));
        let inner = |value: &Value| Box::new(Self::read(value, shapes));
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        match value.as_str() {
            Some("text") => return Self::Text,
            Some("number") => return Self::Number,
            Some("flag") => return Self::Flag,
            Some("quantity") => return Self::Quantity,
            Some("micro") => return Self::MicroTime,
            Some("metadata") => return shapes.metadata.clone(),
            Some("server") => return Self::Server,
            Some(_) => return Self::Any,
            None => {}
        }
        // A shape that several kinds share; what is said here comes on top.
        if let Some(shared) = text("of").and_then(|name| shapes.types?.get(name)) {
            let mut schema = Self::read(shared, shapes);
            if let Self::Fields { atomic, always, .. } = &mut schema {
                *atomic |= flag("atomic");
                *always |= flag("always");
            }
            return schema;
        }
        if let Some(fields) = value.get("fields").and_then(Value::as_object) {
            let fields = fields.iter().map(|(name, value)| (name.clone(), *inner(value))).collect();
            let (atomic, always) = (flag("atomic"), flag("always"));
            return Self::Fields { fields, atomic, always, open: false };
        }
        if let Some(values) = value.get("map") {
            return Self::Map { values: inner(values), atomic: flag("atomic") };
        }
        if let Some(items) = value.get("keyed") {
            let by = value.get("by").and_then(Value::as_array).into_iter().flatten();
            let with_default = |name: &str| {
                let default = value.get("defaults").and_then(|all| all.get(name));
                (name.to_owned(), default.cloned())
            };
            let fields = by.filter_map(Value::as_str).map(with_default).collect();
            let (patch, always) = (text("patch").map(str::to_owned), flag("always"));
            return Self::Keyed { by: Keys { fields, patch, always }, items: inner(items) };
        }
        if let Some(items) = value.get("list") {
            return Self::List(inner(items));
        }
        if value.get("set").is_some() { Self::Set } else { Self::Any }
    }

    /// The schema of the field or key of this name, and whether it is a declared field.
    pub(crate) fn child(&self, name: &str) -> Option<(&Self, bool)> {
        match self {
            Self::Fields { fields, open, .. } => match fields.get(name) {
                Some(schema) => Some((schema, true)),
                None if *open => Some((&Self::Any, false)),
                None => None,
            },
            Self::Map { values, .. } => Some((values, false)),
            Self::Any => Some((self, false)),
            _ => None,
        }
    }

    /// Whether a map of this schema is owned field by field.
    pub(crate) fn is_granular(&self) -> bool {
        match self {
            Self::Fields { atomic, .. } | Self::Map { atomic, .. } => !atomic,
            Self::Any => true,
            _ => false,
        }
    }

    /// The field by which a strategic merge patch merges the items of this list.
    pub(crate) fn patch_key(&self) -> Option<&str> {
        match self {
            Self::Keyed { by, .. } => by.patch.as_deref(),
            _ => None,
        }
    }

    /// What is there with the object that holds it, whether it is said or not.
    pub(crate) fn implied(&self) -> Option<Value> {
        match self {
            Self::Keyed { by, .. } if by.always => Some(Value::Array(Vec::new())),
            schema => schema.is_always().then(|| Value::Object(Object::new())),
        }
    }

    /// Whether it is there even when it is empty.
    pub(crate) fn is_always(&self) -> bool {
        matches!(self, Self::Fields { always: true, .. })
    }
}

/// What shapes refer to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shapes<'a> {
    pub(crate) metadata: &'a Schema,
    /// By their names.
    pub(crate) types: Option<&'a Object>,
}

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
        /// What the schema wants there: `string`, `map`, `list` …
        wanted: &'static str,
        /// The offending value.
        found: Value,
    },
    /// Text that is no quantity.
    NoQuantity(String),
}

/// Everything in `object` that does not fit, in the order of its fields.
pub(crate) fn misfits(object: &Object, schema: &Schema) -> Vec<Misfit> {
    let mut found = Vec::new();
    inspect_fields(object, schema, "", "", &mut found);
    found
}

fn inspect_fields(
    object: &Object,
    schema: &Schema,
    path: &str,
    field: &str,
    found: &mut Vec<Misfit>,
) {
    for (name, value) in object {
        let below =
            |path: &str| if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match schema.child(name) {
            Some((schema, true)) => inspect(value, schema, &below(path), &below(field), found),
            Some((schema, false)) => inspect(value, schema, &below(path), field, found),
            None => found.push(Misfit::Undeclared(below(path))),
        }
    }
}

fn inspect(value: &Value, schema: &Schema, path: &str, field: &str, found: &mut Vec<Misfit>) {
    let wanted = match (schema, value) {
        (_, Value::Null)
        | (Schema::Server | Schema::Any, _)
        | (Schema::Text | Schema::MicroTime, Value::String(_))
        | (Schema::Number | Schema::Quantity, Value::Number(_))
        | (Schema::Flag, Value::Bool(_)) => return,
        (Schema::Quantity, Value::String(text)) => {
            if quantity::canonical(text).is_none() {
                found.push(Misfit::NoQuantity(text.clone()));
            }
            return;
        }
        (Schema::Fields { .. } | Schema::Map { .. }, Value::Object(object)) => {
            return inspect_fields(object, schema, path, field, found);
        }
        (Schema::Set, Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                inspect(item, &Schema::Text, &format!("{path}[{index}]"), field, found);
            }
            return;
        }
        (Schema::List(schema) | Schema::Keyed { items: schema, .. }, Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                inspect(item, schema, &format!("{path}[{index}]"), field, found);
            }
            return;
        }
        (Schema::Fields { .. } | Schema::Map { .. }, _) => "map",
        (Schema::Set | Schema::List(_) | Schema::Keyed { .. }, _) => "list",
        (Schema::Number, _) => "numeric",
        (Schema::Flag, _) => "boolean",
        (Schema::Text | Schema::MicroTime | Schema::Quantity, _) => "string",
    };
    found.push(Misfit::Mistyped {
        path: path.to_owned(),
        field: field.to_owned(),
        wanted,
        found: value.clone(),
    });
}

/// Makes of the object what a decode and an encode by the API server does:
/// undeclared fields and nulls go, quantities are spelled in their one way; of a
/// built-in kind empty maps and lists go, and structs are there.
pub(crate) fn normalize(object: &mut Object, schema: &Schema, builtin: bool) {
    let Schema::Fields { fields, open, .. } = schema else {
        return;
    };
    object.retain(|name, value| (*open || fields.contains_key(name)) && !value.is_null());
    for (name, schema) in fields {
        if builtin && schema.is_always() && !matches!(object.get(name), Some(Value::Object(_))) {
            object.insert(name.clone(), Value::Object(Object::new()));
        }
        if let Some(value) = object.get_mut(name) {
            normalize_value(value, schema, builtin);
            let is_empty = match (schema, &*value) {
                (Schema::Map { .. }, Value::Object(map)) => map.is_empty(),
                (Schema::Set | Schema::List(_) | Schema::Keyed { .. }, Value::Array(items)) => {
                    items.is_empty()
                }
                _ => false,
            };
            if builtin && is_empty {
                object.remove(name);
            }
        }
    }
}

fn normalize_value(value: &mut Value, schema: &Schema, builtin: bool) {
    match (schema, value) {
        (Schema::Fields { .. }, Value::Object(object)) => normalize(object, schema, builtin),
        (Schema::Map { values, .. }, Value::Object(map)) => {
            for value in map.values_mut() {
                normalize_value(value, values, builtin);
            }
        }
        (Schema::List(schema) | Schema::Keyed { items: schema, .. }, Value::Array(items)) => {
            for item in items {
                normalize_value(item, schema, builtin);
            }
        }
        (Schema::Quantity, value) => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if let Some(canonical) = quantity::canonical(&text) {
                *value = canonical.into();
            }
        }
        (Schema::MicroTime, value) => {
            let instant = value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
            if let Some(instant) = instant {
                *value = instant.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string().into();
            }
        }
        _ => {}
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

/// The value at a path of fields.
pub(crate) fn at<'a>(object: &'a Object, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(object.get(*first)?, |value, step| value.get(*step))
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
