//! What stands under a spec, held against the contract's own descriptor: names,
//! types, short forms. Everything that is wrong is found at once.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value as Reflected};
use serde_json::{Map, Value as Json};
use streamspace_client::context::nearest;
use streamspace_proto::policy::pool;

use super::{
    kind::Fields,
    yaml::{Fault, Node, Value, short},
};
use crate::quantity::parse_bytes;

/// The numbers of `google.api.FieldBehavior`.
const OUTPUT_ONLY: i32 = 3;
const IDENTIFIER: i32 = 8;

/// A field that a document gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Where it stands in the resource's JSON.
    pub(super) json: Vec<String>,
    /// As a mask names it.
    pub(super) mask: String,
}

impl Leaf {
    /// A field of the resource itself.
    pub(super) fn top(json: &str, mask: &str) -> Self {
        Self { json: vec![json.to_owned()], mask: mask.to_owned() }
    }

    /// What a resource has there.
    pub(super) fn of<'a>(&self, resource: &'a Map<String, Json>) -> Option<&'a Json> {
        let (first, rest) = self.json.split_first()?;
        rest.iter().try_fold(resource.get(first)?, |value, name| value.get(name))
    }
}

/// Where a value stands.
struct Place {
    /// For messages: `spec.labels.tier`.
    shown: String,
    /// As in a [`Leaf`]. None inside of lists, which are replaced as a whole.
    leaf: Option<Leaf>,
}

impl Place {
    fn field(&self, field: &FieldDescriptor) -> Self {
        let leaf = self.leaf.as_ref().map(|leaf| {
            let mut json = leaf.json.clone();
            json.push(field.json_name().to_owned());
            let dot = if leaf.mask.is_empty() { "" } else { "." };
            Leaf { json, mask: format!("{}{dot}{}", leaf.mask, field.name()) }
        });
        Self { shown: self.key(field.json_name()), leaf }
    }

    fn key(&self, name: &str) -> String {
        if self.shown.is_empty() { short(name) } else { format!("{}.{}", self.shown, short(name)) }
    }
}

/// How a kind's fields may be written beyond what the contract says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Style {
    /// Fields that name another resource, and what such names begin with.
    pub(super) references: &'static [(&'static str, &'static str)],
    /// The field that guards against overwriting somebody else's change.
    pub(super) guard: &'static str,
}

/// Reads a spec.
pub(super) struct Reader {
    style: Style,
    /// Whether it is the form that `show` prints, which has fields of the daemon.
    pub(super) is_shown: bool,
    /// Whatever is wrong.
    pub(super) faults: Vec<Fault>,
    /// What is given, but the guard.
    pub(super) given: Vec<Leaf>,
    /// The guard as text; empty where none is given.
    pub(super) guard: String,
    /// Fields that only the daemon writes, as they stand there.
    pub(super) observed: Fields,
}

impl Reader {
    pub(super) fn new(style: Style, is_shown: bool) -> Self {
        Self {
            style,
            is_shown,
            faults: Vec::new(),
            given: Vec::new(),
            guard: String::new(),
            observed: Fields::new(),
        }
    }

    pub(super) fn fault(&mut self, line: u64, message: String) {
        self.faults.push(Fault::new(line, message));
    }

    /// What a field is called in messages.
    pub(super) fn called(&self, name: &str) -> String {
        if self.is_shown { short(name) } else { format!("spec.{}", short(name)) }
    }

    /// The fields of a message of the contract, as its JSON.
    pub(super) fn resource(
        &mut self,
        message: &MessageDescriptor,
        entries: &[(Node, Node)],
    ) -> Map<String, Json> {
        let shown = if self.is_shown { String::new() } else { "spec".into() };
        let leaf = Some(Leaf { json: Vec::new(), mask: String::new() });
        self.message(message, entries, &Place { shown, leaf })
    }

    /// The text of a key, or a fault.
    pub(super) fn key(&mut self, key: &Node) -> Option<String> {
        if let Value::Text(name) = &key.value {
            return Some(name.clone());
        }
        let what = key.value.described();
        self.fault(key.line, format!("a key must be text, and this is {what}: put it into quotes"));
        None
    }

    /// Keeps the guard.
    pub(super) fn take_guard(&mut self, node: &Node, shown: &str) {
        match &node.value {
            Value::Text(text) => self.guard.clone_from(text),
            Value::Whole(number) => self.guard = number.to_string(),
            other => {
                let message =
                    format!("{shown} must be what `show` prints, not {}", other.described());
                self.fault(node.line, message);
            }
        }
    }

    fn message(
        &mut self,
        message: &MessageDescriptor,
        entries: &[(Node, Node)],
        place: &Place,
    ) -> Map<String, Json> {
        let is_resource = place.leaf.as_ref().is_some_and(|leaf| leaf.json.is_empty());
        let mut seen: Vec<String> = Vec::new();
        let mut out = Map::new();
        for (key, node) in entries {
            let Some(typed) = self.key(key) else { continue };
            let shown = place.key(&typed);
            let Some(field) = message.fields().find(|field| is_called(field, &typed)) else {
                let message = unknown(&shown, &typed, message);
                self.fault(key.line, message);
                continue;
            };
            let name = field.json_name().to_owned();
            if seen.contains(&name) {
                let message = format!("{shown} is given twice, in both of its spellings");
                self.fault(key.line, message);
                continue;
            }
            seen.push(name.clone());
            if is_resource && name == self.style.guard {
                self.take_guard(node, &shown);
            } else if is_observed(&field) {
                if self.is_shown && is_resource {
                    self.observed.insert(name, as_json(&node.value));
                } else {
                    let message = format!("{shown} is written by the daemon alone; leave it out");
                    self.fault(key.line, message);
                }
            } else if let Some(value) = self.field(&field, node, &place.field(&field)) {
                out.insert(name, value);
            }
        }
        out
    }

    fn field(&mut self, field: &FieldDescriptor, node: &Node, place: &Place) -> Option<Json> {
        let Place { shown, leaf } = place;
        if node.value == Value::Null {
            if field.supports_presence() && field.kind().as_message().is_none() {
                self.given.extend(leaf.clone());
                return None;
            }
            let message = format!(
                "{shown} has no value: leave it out, or write {} to set it back to nothing",
                nothing(field)
            );
            self.fault(node.line, message);
            return None;
        }
        match (field.kind(), &node.value) {
            (Kind::Message(entry), value) if field.is_map() => {
                self.given.extend(leaf.clone());
                let Value::Map(entries) = value else {
                    return self.mismatch(node, shown, "a map: {key: value}");
                };
                Some(Json::Object(self.map(&entry, entries, place)))
            }
            (kind, value) if field.is_list() => {
                self.given.extend(leaf.clone());
                let Value::List(items) = value else {
                    return self.mismatch(
                        node,
                        shown,
                        "a list: [a, b], or lines that begin with -",
                    );
                };
                let read = items.iter().enumerate().filter_map(|(at, item)| {
                    self.single(field.json_name(), &kind, item, format!("{shown}[{at}]"))
                });
                Some(Json::Array(read.collect()))
            }
            (Kind::Message(inner), Value::Map(entries)) => {
                Some(Json::Object(self.message(&inner, entries, place)))
            }
            (kind, _) => {
                self.given.extend(leaf.clone());
                self.single(field.json_name(), &kind, node, shown.clone())
            }
        }
    }

    fn map(
        &mut self,
        entry: &MessageDescriptor,
        entries: &[(Node, Node)],
        place: &Place,
    ) -> Map<String, Json> {
        let mut out = Map::new();
        let kind = entry.map_entry_value_field().kind();
        for (key, node) in entries {
            let Some(key) = self.key(key) else { continue };
            let shown = place.key(&key);
            if let Some(value) = self.single("", &kind, node, shown) {
                out.insert(key, value);
            }
        }
        out
    }

    /// One value of a kind. `name` is the field's, for what its name tells.
    fn single(&mut self, name: &str, kind: &Kind, node: &Node, shown: String) -> Option<Json> {
        match (kind, &node.value) {
            (Kind::Message(message), Value::Map(entries)) => {
                let place = Place { shown, leaf: None };
                Some(Json::Object(self.message(message, entries, &place)))
            }
            (Kind::Message(_), _) => self.mismatch(node, &shown, "a map with fields"),
            (Kind::Bool, Value::Bool(value)) => Some(Json::Bool(*value)),
            (Kind::Bool, _) => self.mismatch(node, &shown, "true or false"),
            (Kind::String, Value::Text(text)) => Some(Json::String(self.reference(name, text))),
            (Kind::String, Value::Bool(_) | Value::Whole(_) | Value::Real(_)) => {
                self.mismatch(node, &shown, "text: put it into quotes")
            }
            (Kind::String, _) => self.mismatch(node, &shown, "text"),
            (Kind::Enum(values), Value::Text(text)) => {
                let found = enum_value(values, text);
                if let Err(message) = &found {
                    self.fault(node.line, format!("{shown} {message}"));
                }
                found.ok().map(Json::String)
            }
            (Kind::Enum(_), _) => self.mismatch(node, &shown, "one of the words of the contract"),
            (Kind::Float | Kind::Double, Value::Real(value)) => Some((*value).into()),
            (Kind::Float | Kind::Double, Value::Whole(value)) => {
                let value = i64::try_from(*value).ok();
                value.map(Json::from).or_else(|| self.mismatch(node, &shown, "a smaller number"))
            }
            (Kind::Float | Kind::Double, _) => self.mismatch(node, &shown, "a number"),
            (Kind::Bytes, _) => self.mismatch(node, &shown, "left out: files give no bytes"),
            (kind, value) => match whole(name, kind, value) {
                Ok(number) => Some(number),
                Err(wanted) => self.mismatch(node, &shown, &wanted),
            },
        }
    }

    fn mismatch(&mut self, node: &Node, shown: &str, wanted: &str) -> Option<Json> {
        let hint = match &node.value {
            Value::Text(text) if wanted == "true or false" => match text.as_str() {
                "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => "; write false",
                "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => "; write true",
                _ => "",
            },
            _ => "",
        };
        let found = node.value.described();
        self.fault(node.line, format!("{shown} must be {wanted}, and this is {found}{hint}"));
        None
    }

    /// `business` as `plans/business`, where the field names a plan.
    fn reference(&self, name: &str, text: &str) -> String {
        let prefix = self.style.references.iter().find(|(field, _)| *field == name);
        match prefix {
            Some((_, prefix)) if !text.is_empty() && !text.contains('/') => {
                format!("{prefix}{text}")
            }
            _ => text.to_owned(),
        }
    }
}

fn is_called(field: &FieldDescriptor, typed: &str) -> bool {
    field.json_name() == typed || field.name() == typed
}

/// Whether only the daemon writes it.
fn is_observed(field: &FieldDescriptor) -> bool {
    let behaviour = pool().and_then(|pool| pool.get_extension_by_name("google.api.field_behavior"));
    let Some(behaviour) = behaviour else { return false };
    let options = field.options();
    let value = options.get_extension(&behaviour);
    let is = |value: &Reflected| matches!(value, Reflected::EnumNumber(number) if [OUTPUT_ONLY, IDENTIFIER].contains(number));
    value.as_list().is_some_and(|list| list.iter().any(is))
}

/// The fields that people write, by their JSON names.
pub(super) fn written(message: &MessageDescriptor) -> Vec<String> {
    let fields = message.fields().filter(|field| !is_observed(field));
    fields.map(|field| field.json_name().to_owned()).collect()
}

fn unknown(shown: &str, typed: &str, message: &MessageDescriptor) -> String {
    unknown_of(shown, typed, &written(message))
}

/// A value as JSON, whatever the contract says of it.
fn as_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Whole(value) => i64::try_from(*value).map_or(Json::Null, Json::from),
        Value::Real(value) => Json::from(*value),
        Value::Text(text) => Json::String(text.clone()),
        Value::List(items) => items.iter().map(|item| as_json(&item.value)).collect(),
        Value::Map(entries) => {
            let named = entries.iter().filter_map(|(key, node)| match &key.value {
                Value::Text(name) => Some((name.clone(), as_json(&node.value))),
                _ => None,
            });
            Json::Object(named.collect())
        }
    }
}

/// That a name is not known, with the one that was probably meant.
pub(super) fn unknown_of(shown: &str, typed: &str, known: &[String]) -> String {
    match nearest(typed, known) {
        Some(near) => format!("{shown} is not known; did you mean {near}?"),
        None => format!("{shown} is not known; there are {}", known.join(", ")),
    }
}

/// How nothing is written in a field.
fn nothing(field: &FieldDescriptor) -> &'static str {
    match field.kind() {
        _ if field.is_map() => "{}",
        _ if field.is_list() => "[]",
        Kind::Message(_) => "its fields",
        Kind::String | Kind::Bytes => "\"\"",
        Kind::Enum(_) => "its word",
        Kind::Bool => "false",
        _ => "0",
    }
}

/// A whole number of the kind's size, or what would be one.
fn whole(name: &str, kind: &Kind, value: &Value) -> Result<Json, String> {
    let (least, most) = match kind {
        Kind::Uint32 | Kind::Fixed32 => (0, i128::from(u32::MAX)),
        Kind::Uint64 | Kind::Fixed64 => (0, i128::from(u64::MAX)),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => (i128::from(i64::MIN), i128::from(i64::MAX)),
        _ => (i128::from(i32::MIN), i128::from(i32::MAX)),
    };
    let is_long = most > i128::from(u32::MAX);
    let number = match value {
        Value::Whole(number) => *number,
        // JSON writes long numbers as text, and so does `show`.
        Value::Text(text) if is_long => match text.parse() {
            Ok(number) => number,
            Err(_) if name.ends_with("Bytes") => parse_bytes(text)
                .map_err(|_| "an amount of bytes: 512Mi, 200Gi or 2Ti".to_owned())?
                .into(),
            Err(_) => return Err("a whole number".into()),
        },
        _ => return Err("a whole number".into()),
    };
    if !(least..=most).contains(&number) {
        return Err(format!("a whole number from {least} to {most}"));
    }
    if is_long {
        return Ok(Json::String(number.to_string()));
    }
    Ok(i64::try_from(number).map_or(Json::Null, Json::from))
}

/// The contract's name of an enum value, from it or from its short form.
fn enum_value(values: &EnumDescriptor, text: &str) -> Result<String, String> {
    let all: Vec<String> = values.values().map(|value| value.name().to_owned()).collect();
    if all.iter().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    // Every enum of the contract begins with it.
    let prefix = all.first().and_then(|first| first.strip_suffix("UNSPECIFIED")).unwrap_or("");
    let full = format!("{prefix}{}", text.to_ascii_uppercase().replace('-', "_"));
    if all.contains(&full) {
        return Ok(full);
    }
    let words: Vec<String> = all
        .iter()
        .skip(1)
        .map(|name| name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase())
        .map(|word| word.replace('_', "-"))
        .collect();
    let hint = match nearest(text, &words) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("there are {}", words.join(", ")),
    };
    Err(format!("is {:?}, which is not known; {hint}", short(text)))
}
