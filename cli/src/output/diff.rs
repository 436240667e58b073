//! A preview: what a change would do, field by field.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;
use streamspace_client::text::escape;

/// Fields that follow from others or from time; they would only hide the change.
const CONSEQUENCES: [&str; 18] = [
    "name",
    // Told apart from the fields.
    "consequences",
    // What was observed of a region and of a quota.
    "components",
    "health",
    "replica",
    "revision",
    "startTime",
    "observed",
    "message",
    "etag",
    "generation",
    "observedGeneration",
    "updateTime",
    "createTime",
    "uid",
    "conditions",
    "planVersion",
    "namespace",
];

/// One field that changes: before and after, as JSON; none where it is absent.
pub(super) type FieldChange = (String, Option<String>, Option<String>);

/// The fields that differ between two values of one resource.
pub(super) fn changes(before: &Value, after: &Value) -> Vec<FieldChange> {
    let state_follows = state_follows(before, after);
    let (mut before, mut after) = (flat(before), flat(after));
    if state_follows {
        before.remove("state");
        after.remove("state");
    }
    let mut paths: Vec<_> = before.keys().chain(after.keys()).collect();
    paths.sort();
    paths.dedup();
    paths
        .into_iter()
        .filter(|path| before.get(*path) != after.get(*path))
        .map(|path| (path.clone(), before.get(path).cloned(), after.get(path).cloned()))
        .collect()
}

/// The preview of one resource. Empty where nothing changes.
pub(crate) fn preview(name: &str, before: &Value, after: &Value, colour: bool) -> String {
    let changes = changes(before, after);
    let sign = match (before, after) {
        _ if changes.is_empty() => return String::new(),
        (Value::Null, _) => '+',
        (_, Value::Null) => '-',
        _ => '~',
    };
    let mut text = String::new();
    push(&mut text, sign, &escape(name), colour);
    for (path, old, new) in &changes {
        for (sign, value) in [('-', old), ('+', new)] {
            if let Some(value) = value {
                push(&mut text, sign, &format!("  {}: {}", escape(path), escape(value)), colour);
            }
        }
    }
    text
}

fn push(text: &mut String, sign: char, line: &str, colour: bool) {
    let code = match sign {
        '+' => "32",
        '-' => "31",
        _ => "33",
    };
    // Writing to a string does not fail.
    let _ = if colour {
        writeln!(text, "\u{1b}[{code}m{sign} {line}\u{1b}[0m")
    } else {
        writeln!(text, "{sign} {line}")
    };
}

/// Whether the state is what becomes of the change, and not the change itself: a
/// new tenant is always provisioned first, and one that changes often again.
fn state_follows(before: &Value, after: &Value) -> bool {
    let state = |value: &Value| value.get("state").and_then(Value::as_str).map(str::to_owned);
    match (state(before), state(after)) {
        (Some(before), Some(after)) => {
            before == "TENANT_STATE_ACTIVE" && after == "TENANT_STATE_PROVISIONING"
        }
        _ => true,
    }
}

fn flat(value: &Value) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    if let Value::Object(object) = value {
        for (key, value) in object.iter().filter(|(key, _)| !CONSEQUENCES.contains(&key.as_str())) {
            flatten(key.clone(), value, &mut fields);
        }
    }
    fields
}

fn flatten(path: String, value: &Value, fields: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                flatten(format!("{path}.{key}"), value, fields);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                flatten(format!("{path}[{at}]"), item, fields);
            }
        }
        scalar => {
            fields.insert(path, scalar.to_string());
        }
    }
}
