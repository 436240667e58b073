//! Values of custom resources against the schema of their definition.
//!
//! Checked are types, what is required, enumerations, bounds, lengths, patterns, the
//! formats of times and the keys of lists. `oneOf`, `anyOf`, `allOf`, `not` and
//! `multipleOf` are not.

use serde_json::{Number, Value};

use crate::{kinds::View, schema::Object, status::Fault};

mod rules;

pub(crate) use rules::Rules;

/// Everything in the object that the schema refuses. Of a status that is written alone the
/// API server speaks as of an object.
pub(crate) fn faults(object: &Object, shape: &Value, view: View) -> Vec<Fault> {
    let mut found = Vec::new();
    let properties = shape.get("properties").and_then(Value::as_object).into_iter().flatten();
    for (name, shape) in properties {
        // What the server writes itself is checked by its own rules.
        if matches!(name.as_str(), "metadata" | "apiVersion" | "kind")
            || (view == View::Status && name != "status")
        {
            continue;
        }
        if let Some(value) = object.get(name) {
            inspect(value, shape, name, &mut found);
        }
    }
    if view != View::Status {
        required(object, shape, "", &mut found);
    }
    found
}

/// What the rules of a definition refuse, where nothing else keeps them from being asked.
pub(crate) fn follow(rules: &Rules, object: &Object, found: &mut Vec<Fault>) {
    if found.iter().any(Fault::blocks_rules) {
        let why = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
        found.push(Fault::invalid_value("<nil>", "null", why));
    } else {
        rules.faults(&Value::Object(object.clone()), "", found);
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The place as sentences have it.
fn spoken(path: &str) -> &str {
    path.strip_prefix("status.").unwrap_or(path)
}

fn required(object: &Object, shape: &Value, path: &str, found: &mut Vec<Fault>) {
    let names = shape.get("required").and_then(Value::as_array).into_iter().flatten();
    for name in names.filter_map(Value::as_str).filter(|name| !object.contains_key(*name)) {
        found.push(Fault::missing(below(path, name)));
    }
}

fn inspect(value: &Value, shape: &Value, path: &str, found: &mut Vec<Fault>) {
    let flag = |name: &str| shape.get(name) == Some(&Value::Bool(true));
    if value.is_null() && flag("nullable") {
        return;
    }
    let wanted = shape.get("type").and_then(Value::as_str).unwrap_or_default();
    let fits = if flag("x-kubernetes-int-or-string") {
        value.is_i64() || value.is_u64() || value.is_string()
    } else {
        is_of(value, wanted)
    };
    if !fits {
        let wanted = if wanted.is_empty() { "integer,string" } else { wanted };
        let (has, place) = (kind(value), spoken(path));
        let why = format!("{place} in body must be of type {wanted}: {has:?}");
        found.push(Fault::mistyped(path, has, &why));
    }
    if let Some(allowed) = shape.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        found.push(Fault::not_one_of(path, value, allowed));
    }
    match value {
        _ if !fits => {}
        Value::String(text) => found.extend(of_text(text, shape, path)),
        Value::Number(number) => of_number(number, shape, path, found),
        Value::Array(items) => of_list(items, shape, path, found),
        Value::Object(map) => of_map(map, shape, path, found),
        _ => {}
    }
}

fn is_of(value: &Value, wanted: &str) -> bool {
    match wanted {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|it| it.fract() == 0.0)
        }
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn limit(shape: &Value, name: &str) -> Option<usize> {
    usize::try_from(shape.get(name)?.as_u64()?).ok()
}

/// The first thing that is wrong with a text.
fn of_text(text: &str, shape: &Value, path: &str) -> Option<Fault> {
    let (length, place) = (text.chars().count(), spoken(path));
    if let Some(most) = limit(shape, "maxLength").filter(|most| length > *most) {
        return Some(Fault::too_long(path, most));
    }
    if let Some(least) = limit(shape, "minLength").filter(|least| length < *least) {
        let why = format!("{place} in body should be at least {least} chars long");
        return Some(Fault::invalid(path, text, &why));
    }
    if let Some(pattern) = shape.get("pattern").and_then(Value::as_str)
        && regex::Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text))
    {
        let why = format!("{place} in body should match '{pattern}'");
        return Some(Fault::invalid(path, text, &why));
    }
    let is_time = shape.get("format").and_then(Value::as_str) == Some("date-time");
    (is_time && text.parse::<jiff::Timestamp>().is_err()).then(|| {
        let why = format!("{place} in body must be of type date-time: {text:?}");
        Fault::mistyped(path, text, &why)
    })
}

fn of_number(number: &Number, shape: &Value, path: &str, found: &mut Vec<Fault>) {
    let Some(value) = number.as_f64() else {
        return;
    };
    let bound = |name: &str| shape.get(name).and_then(Value::as_f64);
    let excluded = |name: &str| shape.get(name) == Some(&Value::Bool(true));
    let mut refuse = |bound: &Value, words: &str| {
        let why = format!("{} in body should be {words} {bound}", spoken(path));
        found.push(Fault::invalid_value(path, &number.to_string(), &why));
    };
    if let (Some(least), Some(spelled)) = (bound("minimum"), shape.get("minimum")) {
        let exclusive = excluded("exclusiveMinimum");
        if value < least || (exclusive && value <= least) {
            refuse(spelled, if exclusive { "greater than" } else { "greater than or equal to" });
        }
    }
    if let (Some(most), Some(spelled)) = (bound("maximum"), shape.get("maximum")) {
        let exclusive = excluded("exclusiveMaximum");
        if value > most || (exclusive && value >= most) {
            refuse(spelled, if exclusive { "less than" } else { "less than or equal to" });
        }
    }
}

fn of_list(items: &[Value], shape: &Value, path: &str, found: &mut Vec<Fault>) {
    if let Some(most) = limit(shape, "maxItems").filter(|most| items.len() > *most) {
        found.push(Fault::too_many(path, items.len(), most));
    }
    if let Some(least) = limit(shape, "minItems").filter(|least| items.len() < *least) {
        let why = format!("{} in body should have at least {least} items", spoken(path));
        found.push(Fault::invalid_value(path, &items.len().to_string(), &why));
    }
    if let Some(shape) = shape.get("items") {
        for (index, item) in items.iter().enumerate() {
            inspect(item, shape, &format!("{path}[{index}]"), found);
        }
    }
    let keys = shape.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
    let is_set = shape.get("x-kubernetes-list-type").is_some_and(|it| it == "set");
    let identity = |item: &Value| -> Option<Value> {
        match keys {
            Some(keys) => {
                let keys = keys.iter().filter_map(Value::as_str);
                Some(Value::Object(
                    keys.filter_map(|key| Some((key.to_owned(), item.get(key)?.clone()))).collect(),
                ))
            }
            None => is_set.then(|| item.clone()),
        }
    };
    let mut seen = Vec::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(identity) = identity(item) {
            if seen.contains(&identity) {
                found.push(Fault::duplicate(format!("{path}[{index}]"), &identity));
            }
            seen.push(identity);
        }
    }
}

fn of_map(map: &Object, shape: &Value, path: &str, found: &mut Vec<Fault>) {
    let properties = shape.get("properties").and_then(Value::as_object);
    for (name, shape) in properties.into_iter().flatten() {
        if let Some(value) = map.get(name) {
            inspect(value, shape, &below(path, name), found);
        }
    }
    if let Some(shape @ Value::Object(_)) = shape.get("additionalProperties") {
        for (name, value) in map {
            inspect(value, shape, &below(path, name), found);
        }
    }
    if let Some(most) = limit(shape, "maxProperties").filter(|most| map.len() > *most) {
        found.push(Fault::too_many(path, map.len(), most));
    }
    required(map, shape, path, found);
}
