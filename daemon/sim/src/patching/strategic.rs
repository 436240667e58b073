//! Strategic merge patches: merge patches that know which lists are merged by a key.

use serde_json::Value;

use crate::{
    schema::{Object, Schema},
    status::Failure,
};

const DIRECTIVE: &str = "$patch";
const RETAINED: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const REMOVED: &str = "$deleteFromPrimitiveList/";

/// Merges the patch into the object.
pub(super) fn merge(object: &mut Object, patch: &Object, schema: &Schema) -> Result<(), Failure> {
    match patch.get(DIRECTIVE).and_then(Value::as_str) {
        Some("replace") => {
            object.clear();
            object.extend(patch.iter().filter(|(key, _)| *key != DIRECTIVE).map(pair));
            return Ok(());
        }
        Some("delete") => {
            object.clear();
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => return Err(unknown(other)),
    }
    if let Some(Value::Array(kept)) = patch.get(RETAINED) {
        object.retain(|key, _| kept.iter().any(|name| name == key));
    }
    for (key, value) in patch {
        if key == DIRECTIVE || key == RETAINED || key.starts_with(ORDER) {
            continue;
        }
        if let Some(list) = key.strip_prefix(REMOVED) {
            if let (Some(Value::Array(present)), Value::Array(gone)) = (object.get_mut(list), value)
            {
                present.retain(|item| !gone.contains(item));
            }
            continue;
        }
        let below = schema.child(key).map_or(&Schema::Any, |(schema, _)| schema);
        field(object, key, value, below)?;
    }
    for (key, order) in patch {
        let list =
            key.strip_prefix(ORDER).and_then(|name| object.get_mut(name).map(|it| (name, it)));
        if let (Some((name, Value::Array(items))), Value::Array(order)) = (list, order) {
            let schema = schema.child(name).map(|(schema, _)| schema);
            sort(items, order, schema.and_then(Schema::patch_key));
        }
    }
    Ok(())
}

fn pair((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

fn unknown(directive: &str) -> Failure {
    Failure::bad_request(format!("Unknown patch type found: {directive}"))
}

fn field(object: &mut Object, key: &str, value: &Value, schema: &Schema) -> Result<(), Failure> {
    match value {
        Value::Null => {
            object.remove(key);
        }
        Value::Object(inner) => {
            let mut section = match object.remove(key) {
                Some(Value::Object(section)) => section,
                _ => Object::new(),
            };
            let is_gone = inner.get(DIRECTIVE).and_then(Value::as_str) == Some("delete");
            merge(&mut section, inner, schema)?;
            if !is_gone {
                object.insert(key.to_owned(), Value::Object(section));
            }
        }
        Value::Array(items) => {
            let present = match object.remove(key) {
                Some(Value::Array(present)) => present,
                _ => Vec::new(),
            };
            let merged = match schema {
                Schema::Set => union(&present, items),
                Schema::Keyed { items: inner, .. } => match schema.patch_key() {
                    Some(name) => keyed(present, items, name, inner)?,
                    None => items.clone(),
                },
                _ => items.clone(),
            };
            object.insert(key.to_owned(), Value::Array(merged));
        }
        other => {
            object.insert(key.to_owned(), other.clone());
        }
    }
    Ok(())
}

/// All values of both, each once.
fn union(present: &[Value], items: &[Value]) -> Vec<Value> {
    let mut all = items.to_vec();
    all.dedup();
    let rest: Vec<Value> = present.iter().filter(|item| !items.contains(item)).cloned().collect();
    interleaved(all, rest, present, |left, right| left == right)
}

/// What the patch names keeps the patch's order, the rest its own; between the two the
/// order that was there decides, and else the patch comes first.
fn interleaved(
    named: Vec<Value>,
    rest: Vec<Value>,
    before: &[Value],
    same: impl Fn(&Value, &Value) -> bool,
) -> Vec<Value> {
    let place = |item: &Value| before.iter().position(|old| same(old, item));
    let mut merged = Vec::new();
    let mut rest = rest.into_iter().peekable();
    for item in named {
        while let Some(other) = rest.peek() {
            match (place(&item), place(other)) {
                (Some(own), Some(other)) if other < own => merged.extend(rest.next()),
                _ => break,
            }
        }
        merged.push(item);
    }
    merged.extend(rest);
    merged
}

/// Merges a list whose items are told apart by one field.
fn keyed(
    mut present: Vec<Value>,
    items: &[Value],
    name: &str,
    schema: &Schema,
) -> Result<Vec<Value>, Failure> {
    let before = present.clone();
    let directive = |item: &Value| item.get(DIRECTIVE).and_then(Value::as_str).map(str::to_owned);
    // An item that is nothing but this has the whole list replaced.
    let replaces =
        |item: &Value| directive(item).as_deref() == Some("replace") && item.get(name).is_none();
    if items.iter().any(replaces) {
        return Ok(items.iter().filter(|item| directive(item).is_none()).cloned().collect());
    }
    for item in items {
        let Some(key) = item.get(name) else {
            let why = format!("map: {item} does not contain declared merge key: {name}");
            return Err(Failure::internal(why));
        };
        let found = present.iter().position(|old| old.get(name) == Some(key));
        match (directive(item).as_deref(), found) {
            (Some("delete"), _) => present.retain(|old| old.get(name) != Some(key)),
            (_, Some(index)) => {
                if let (Some(Value::Object(old)), Value::Object(new)) =
                    (present.get_mut(index), item)
                {
                    merge(old, new, schema)?;
                }
            }
            (_, None) => {
                let mut new = Object::new();
                if let Value::Object(item) = item {
                    merge(&mut new, item, schema)?;
                }
                present.push(Value::Object(new));
            }
        }
    }
    let same = |left: &Value, right: &Value| left.get(name) == right.get(name);
    let (mut named, mut rest) = (Vec::new(), present);
    for item in items {
        if let Some(index) = rest.iter().position(|it| same(it, item)) {
            named.push(rest.remove(index));
        }
    }
    Ok(interleaved(named, rest, &before, same))
}

/// Brings items into this order; those that it does not name stay behind the ones before
/// which they were.
fn sort(items: &mut [Value], order: &[Value], key: Option<&str>) {
    let place = |item: &Value| {
        let is_it = |wanted: &Value| match key {
            Some(key) => item.get(key).is_some() && wanted.get(key) == item.get(key),
            None => wanted == item,
        };
        order.iter().position(is_it).unwrap_or(usize::MAX)
    };
    items.sort_by_key(place);
}
