//! Whether an object of a session is as it is wished. Pure.

use serde_json::{Value, json};
use streamspace_core::quantity::same_amount;

use super::{
    WISH_ANNOTATION,
    read::{Child, mark},
};
use crate::sessions::manifests::{self, SHAPE_ANNOTATION, SessionKind, SessionObject, is_headless};

/// A wish as it is applied: with its sum, by which a later leader knows what it was.
pub(super) struct Sealed {
    pub(super) body: Value,
    /// Its mark.
    pub(super) mark: u64,
}

pub(super) fn sealed(object: &SessionObject) -> Sealed {
    let mut body = object.body.clone();
    let sum = manifests::sum(body.to_string().as_bytes());
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut)
        && let Some(annotations) =
            metadata.entry("annotations").or_insert_with(|| json!({})).as_object_mut()
    {
        annotations.insert(WISH_ANNOTATION.to_owned(), sum.as_str().into());
    }
    Sealed { body, mark: mark(&sum) }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is known to be as wished.
    Matched,
    /// It was compared, or is of an earlier leader's, and is as the wish of this mark.
    Matches { mark: u64 },
    /// It is not as wished, and runs: it is left so.
    Stays,
    /// It must be written.
    Differs,
}

/// Whether a live object is as wished. A Deployment whose pod runs `stays` as it is while
/// the session itself says nothing else of its pods, whatever became of its template.
pub(super) fn verdict(
    child: &Child,
    object: &SessionObject,
    wish: &Sealed,
    stays: bool,
) -> Verdict {
    if child.matched == Some(wish.mark) {
        return Verdict::Matched;
    }
    if matches(child, wish) {
        return Verdict::Matches { mark: wish.mark };
    }
    let is_of_this_wish = child.wish == wish.mark;
    let shape =
        object.body.pointer("/metadata/annotations").and_then(|it| it.get(SHAPE_ANNOTATION));
    let says_the_same = shape.and_then(Value::as_str).map(mark) == Some(child.shape);
    if stays
        && object.kind == SessionKind::Deployment
        && says_the_same
        && !is_of_this_wish
        && child.replicas != Some(0)
        && !child.terminating
    {
        return match child.matched {
            Some(_) => Verdict::Stays,
            // Of an earlier leader's: what it was wished to be is not known any more.
            None => Verdict::Matches { mark: child.wish },
        };
    }
    Verdict::Differs
}

/// Whether a live object must go before what is wished can be: a Service keeps for its life
/// whether it has an address of its own.
pub(super) fn is_in_the_way(child: &Child, object: &SessionObject) -> bool {
    child.headless.is_some_and(|headless| headless != is_headless(&object.body))
}

/// Whether an object was applied for this wish, and holds all of it.
pub(super) fn matches(child: &Child, wish: &Sealed) -> bool {
    child.wish == wish.mark && child.live.as_ref().is_some_and(|live| covers(&wish.body, live))
}

/// Whether everything wished stands in the live object. What is empty need not stand there,
/// as the API server drops some of that.
pub(super) fn covers(wish: &Value, live: &Value) -> bool {
    match (wish, live) {
        (Value::Object(wish), Value::Object(live)) => {
            wish.iter().all(|(key, value)| match live.get(key) {
                Some(present) => covers(value, present),
                None => is_empty(value) || matches!(key.as_str(), "apiVersion" | "kind"),
            })
        }
        (Value::Array(wish), Value::Array(live)) => {
            wish.len() == live.len() && wish.iter().zip(live).all(|(wish, live)| covers(wish, live))
        }
        (Value::String(wish), Value::String(live)) => wish == live || same_amount(live, wish),
        (wish, live) => wish == live,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::reconciler::read;

    #[test]
    fn what_the_server_adds_or_drops_is_no_difference() {
        let wish = json!({
            "apiVersion": "apps/v1", "metadata": {"labels": {"a": "b"}, "name": "n"},
            "spec": {"list": [{"x": "1000m", "none": ""}], "volume": {"emptyDir": {}}},
        });
        let live = json!({
            "metadata": {"labels": {"a": "b", "c": "d"}, "name": "n"},
            "spec": {"list": [{"x": "1", "y": 2}], "volume": {}},
        });
        assert!(covers(&wish, &live));
        for (pointer, value) in [
            ("/metadata/labels/a", json!("c")),
            ("/spec/list", json!([{"x": "1"}, {"x": "1"}])),
            ("/spec/list/0/x", json!("2")),
        ] {
            let mut other = live.clone();
            *other.pointer_mut(pointer).unwrap() = value;
            assert!(!covers(&wish, &other), "{pointer}");
        }
    }

    fn object(image: &str) -> SessionObject {
        SessionObject {
            kind: SessionKind::Deployment,
            name: "a".into(),
            body: json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "a", "annotations": {SHAPE_ANNOTATION: "s"}},
                "spec": {"replicas": 1, "image": image},
            }),
        }
    }

    fn live(wish: &Sealed) -> Child {
        let object = serde_json::from_value(wish.body.clone()).unwrap();
        let mut child = read::child(SessionKind::Deployment, &object);
        child.live = Some(Box::new(wish.body.clone()));
        child
    }

    #[test]
    fn a_changed_template_waits_for_the_next_start() {
        let (old, new) = (sealed(&object("1")), sealed(&object("2")));
        let mut child = live(&old);
        let first = Verdict::Matches { mark: old.mark };
        assert_eq!(verdict(&child, &object("1"), &old, true), first);
        assert_eq!(verdict(&child, &object("2"), &new, true), first, "of an earlier leader's");
        child.matched = Some(old.mark);
        child.live = None;
        assert_eq!(verdict(&child, &object("1"), &old, true), Verdict::Matched);
        assert_eq!(verdict(&child, &object("2"), &new, true), Verdict::Stays);
        assert_eq!(verdict(&child, &object("2"), &new, false), Verdict::Differs, "it starts");
        child.shape = mark("other");
        assert_eq!(verdict(&child, &object("2"), &new, true), Verdict::Differs);
    }

    #[test]
    fn a_hand_in_what_runs_is_seen() {
        let wish = sealed(&object("1"));
        let mut child = live(&wish);
        *child.live.as_mut().unwrap().pointer_mut("/spec/image").unwrap() = json!("9");
        assert_eq!(verdict(&child, &object("1"), &wish, true), Verdict::Differs);
    }
}
