//! Values out of JSON that may be anything.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::core::ObjectMeta;
use serde_json::Value;

use super::{AMOUNT_KEPT, Amounts, NAME_KEPT};

/// How many resources are read of a list of limits or requests.
const AMOUNTS_KEPT: usize = 32;

/// The beginning of a text, in no more room than it needs. The null character goes: the
/// database keeps none.
pub fn clipped(text: &str, maximum: usize) -> String {
    let end = text.char_indices().nth(maximum).map_or(text.len(), |(end, _)| end);
    let kept = text.get(..end).unwrap_or(text);
    if kept.contains('\0') { kept.replace('\0', "\u{fffd}") } else { kept.to_owned() }
}

/// A text, or a number or a word as it is written: definitions differ in which it is.
pub(super) fn shown(value: &Value, maximum: usize) -> Option<String> {
    match value {
        Value::String(text) => Some(clipped(text, maximum)),
        Value::Number(number) => Some(clipped(&number.to_string(), maximum)),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The text of a field; `None` where there is none.
pub(super) fn optional_text(parent: &Value, field: &str, maximum: usize) -> Option<String> {
    parent.get(field).and_then(|value| shown(value, maximum))
}

/// The text of a field; empty where there is none.
pub(super) fn object_text(parent: &Value, field: &str, maximum: usize) -> String {
    optional_text(parent, field, maximum).unwrap_or_default()
}

/// A yes or no.
pub(super) fn flag(parent: &Value, field: &str) -> Option<bool> {
    parent.get(field).and_then(Value::as_bool)
}

/// A whole number; one beyond what can be is the nearest that can.
pub(super) fn number(parent: &Value, field: &str) -> Option<i32> {
    let value = parent.get(field)?;
    let number = value.as_i64().or_else(|| value.as_str()?.parse().ok())?;
    Some(i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX }))
}

/// An instant.
pub(super) fn instant(parent: &Value, field: &str) -> Option<Timestamp> {
    let text = parent.get(field)?.as_str()?;
    if text.len() > AMOUNT_KEPT {
        return None;
    }
    text.parse().ok()
}

/// The beginning of a list.
pub(super) fn entries<'a>(
    parent: &'a Value,
    field: &str,
    maximum: usize,
) -> impl Iterator<Item = &'a Value> + use<'a> {
    parent.get(field).and_then(Value::as_array).into_iter().flatten().take(maximum)
}

/// Limits or requests: names and quantities.
pub(super) fn quantity_map(parent: &Value, field: &str) -> Amounts {
    let map = parent.get(field).and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .take(AMOUNTS_KEPT)
        .map(|(name, value)| {
            (clipped(name, NAME_KEPT), shown(value, AMOUNT_KEPT).unwrap_or_default())
        })
        .collect()
}

/// When an object, or its status alone, was written last. Of a status, who owns the phase
/// tells since when it is: others report activity, and change nothing of what it costs.
pub(super) fn last_write(metadata: &ObjectMeta, of_status: bool) -> Option<Timestamp> {
    let entries = || {
        metadata
            .managed_fields
            .iter()
            .flatten()
            .filter(|entry| !of_status || entry.subresource.as_deref() == Some("status"))
    };
    let latest = |entries: &mut dyn Iterator<Item = &ManagedFieldsEntry>| {
        entries.filter_map(|entry| Some(entry.time.as_ref()?.0)).max()
    };
    let of_phase = of_status.then(|| latest(&mut entries().filter(|entry| owns_phase(entry))));
    of_phase.flatten().or_else(|| latest(&mut entries()))
}

fn owns_phase(entry: &ManagedFieldsEntry) -> bool {
    let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
    fields.and_then(|fields| fields.get("f:status")?.get("f:phase")).is_some()
}
