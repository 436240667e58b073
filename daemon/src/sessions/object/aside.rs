//! What the installed definition of sessions does not know of a status.
//!
//! Definitions of the platform's own versions have no room for what a session gets and which
//! run it is in. The API server refuses what a definition does not know, so there it stands
//! aside, in an annotation.

use kube::core::ObjectMeta;
use serde_json::{Map, Value, json};

/// The annotation with the fields of the status that the installed definition does not know.
pub const ASIDE_ANNOTATION: &str = "control.stream.space/status";

/// The fields that only our definition knows.
const FIELDS: [&str; 2] = ["allotted", "run"];
const GENERATION: &str = "observedGeneration";
/// More than we ever write.
const LENGTH_MAXIMUM: usize = 2048;

/// The status with what stands aside, where the status itself does not say it. Before a
/// controller has told a phase nothing stands aside: whoever creates a session can annotate it.
pub(super) fn whole(status: &Value, metadata: &ObjectMeta) -> Option<Value> {
    let text = metadata.annotations.as_ref()?.get(ASIDE_ANNOTATION)?;
    status.get("phase")?.as_str()?;
    if text.len() > LENGTH_MAXIMUM {
        return None;
    }
    let mut aside: Map<String, Value> = serde_json::from_str(text).ok()?;
    let mut whole = status.as_object()?.clone();
    for field in FIELDS {
        if let (false, Some(value)) = (whole.contains_key(field), aside.remove(field)) {
            whole.insert(field.to_owned(), value);
        }
    }
    if let Some(generation) = aside.get(GENERATION).filter(|it| it.is_i64()) {
        for condition in conditions(&mut whole) {
            condition.entry(GENERATION).or_insert_with(|| generation.clone());
        }
    }
    Some(Value::Object(whole))
}

/// A status without what only our definition knows, and the annotation with the rest.
pub fn split(status: &Value) -> (Value, String) {
    let mut short = status.as_object().cloned().unwrap_or_default();
    let mut aside = Map::new();
    for field in FIELDS {
        if let Some(value) = short.remove(field) {
            aside.insert(field.to_owned(), value);
        }
    }
    for condition in conditions(&mut short) {
        if let Some(generation) = condition.remove(GENERATION) {
            aside.insert(GENERATION.to_owned(), generation);
        }
    }
    (Value::Object(short), json!(aside).to_string())
}

fn conditions(status: &mut Map<String, Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    let conditions = status.get_mut("conditions").and_then(Value::as_array_mut);
    conditions.into_iter().flatten().filter_map(Value::as_object_mut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotated(text: &str) -> ObjectMeta {
        let annotations = [(ASIDE_ANNOTATION.to_owned(), text.to_owned())].into();
        ObjectMeta { annotations: Some(annotations), ..ObjectMeta::default() }
    }

    #[test]
    fn what_stands_aside_comes_back() {
        let status = json!({
            "phase": "Running", "podName": "desk",
            "conditions": [{"type": "Ready", "observedGeneration": 3}],
            "allotted": {"cpu": "1", "memory": "2Gi"}, "run": {"podUID": "x"},
        });
        let (short, text) = split(&status);
        assert_eq!(
            short,
            json!({"phase": "Running", "podName": "desk", "conditions": [{"type": "Ready"}]})
        );
        assert_eq!(whole(&short, &annotated(&text)), Some(status));
    }

    #[test]
    fn what_the_status_says_comes_first_and_what_nobody_told_never() {
        let status = json!({"phase": "Running", "allotted": {"cpu": "4", "memory": "8Gi"}});
        let forged = r#"{"allotted": {"cpu": "0", "memory": "0"}}"#;
        assert_eq!(whole(&status, &annotated(forged)), Some(status));
        assert_eq!(whole(&json!({}), &annotated(forged)), None);
        for bad in ["", "[]", "{", &format!("{{\"run\": \"{}\"}}", "x".repeat(LENGTH_MAXIMUM))] {
            assert_eq!(whole(&json!({"phase": "Running"}), &annotated(bad)), None, "{bad}");
        }
    }
}
