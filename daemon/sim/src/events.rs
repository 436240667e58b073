//! Events have two shapes: core/v1 and events.k8s.io/v1. They are kept in the latter.

use serde_json::Value;

use crate::schema::Object;

/// Names in events.k8s.io/v1 and in core/v1.
const NAMES: [(&str, &str); 7] = [
    ("note", "message"),
    ("regarding", "involvedObject"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// From core/v1 to the form that is kept.
pub(crate) fn from_core(object: &mut Object) {
    rename(object, |(kept, core)| (core, kept));
}

/// From the form that is kept to core/v1, where some fields are always there.
pub(crate) fn to_core(object: &mut Object) {
    rename(object, |(kept, core)| (kept, core));
    for (name, value) in [
        ("eventTime", Value::Null),
        ("firstTimestamp", Value::Null),
        ("lastTimestamp", Value::Null),
        ("reportingComponent", Value::from("")),
        ("reportingInstance", Value::from("")),
    ] {
        object.entry(name).or_insert(value);
    }
}

/// What is always there in events.k8s.io/v1.
pub(crate) fn complete(object: &mut Object) {
    for name in ["eventTime", "deprecatedFirstTimestamp", "deprecatedLastTimestamp"] {
        object.entry(name).or_insert(Value::Null);
    }
}

fn rename(
    object: &mut Object,
    direction: impl Fn((&'static str, &'static str)) -> (&'static str, &'static str),
) {
    for pair in NAMES {
        let (from, to) = direction(pair);
        if let Some(value) = object.remove(from) {
            object.insert(to.to_owned(), value);
        }
    }
}
