//! The same requests to both, whose answers must be the same to the letter, but
//! for uids, times and the numbers of versions.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use crate::{
    pair::Pair,
    support::{APPLY, JSON, MERGE, release, unique},
};

/// A method, a path below the collection, a content type and a body; `NAME`
/// stands for the run's own namespace.
type Line = (Method, &'static str, &'static str, &'static str);

const LINES: &[Line] = &[
    // What is refused before there is anything.
    (Method::GET, "/NAME", "", ""),
    (Method::DELETE, "/NAME", "", ""),
    (Method::PATCH, "/NAME?fieldManager=hand", MERGE, r#"{"metadata":{"labels":{"a":"1"}}}"#),
    (Method::PUT, "/NAME", JSON, r#"{"metadata":{"name":"NAME"}}"#),
    (Method::PUT, "", JSON, "{}"),
    (Method::DELETE, "", "", ""),
    (Method::POST, "/NAME", JSON, "{}"),
    (Method::GET, "/NAME/nothing", "", ""),
    (Method::GET, "?labelSelector=team+in+w", "", ""),
    (Method::GET, "?labelSelector=a%3D%3D%3Db", "", ""),
    (Method::GET, "?labelSelector=a%3Db,", "", ""),
    (Method::GET, "?labelSelector=%3Db", "", ""),
    (Method::GET, "?labelSelector=bad%20key", "", ""),
    (Method::GET, "?labelSelector=a%3E%3Db", "", ""),
    (Method::GET, "?labelSelector=a%3Ddoes/not", "", ""),
    (Method::GET, "?labelSelector=a+in+(does/not)", "", ""),
    (Method::GET, "?labelSelector=a%3Eb", "", ""),
    (Method::GET, "?fieldSelector=a", "", ""),
    (Method::GET, "?fieldSelector=spec.foo%3Db", "", ""),
    (Method::GET, "?resourceVersion=abc", "", ""),
    (Method::GET, "?limit=abc", "", ""),
    (Method::GET, "?resourceVersionMatch=Exact", "", ""),
    (Method::GET, "?watch=true&resourceVersion=abc&timeoutSeconds=1", "", ""),
    (Method::GET, "?watch=true&resourceVersion=0&sendInitialEvents=true", "", ""),
    (Method::GET, "?watch=true&resourceVersion=0&resourceVersionMatch=NotOlderThan", "", ""),
    // Creation.
    (Method::POST, "", JSON, r#"{"metadata":{}}"#),
    (Method::POST, "", JSON, r#"{"metadata":{"name":"Bad_Name"}}"#),
    (
        Method::POST,
        "",
        JSON,
        r#"{"metadata":{"name":"NAME-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}"#,
    ),
    (Method::POST, "", JSON, r#"{"metadata":{"name":"NAME","labels":{"bad key!":"y"}}}"#),
    (Method::POST, "", JSON, r#"{"metadata":{"name":"NAME","labels":{"ok":"no good value!"}}}"#),
    (Method::POST, "", JSON, r#"{"metadata":{"name":"NAME","labels":{"a/b/c":"y"}}}"#),
    (Method::POST, "", JSON, r#"{"metadata":{"name":"NAME","labels":{"/b":"y"}}}"#),
    (Method::POST, "", JSON, r#"{"metadata":{"name":"NAME","labels":{"a/":"y"}}}"#),
    (Method::POST, "", JSON, r#"{"metadata":{"name":"NAME","labels":{"Up_per/b":"y"}}}"#),
    (
        Method::POST,
        "",
        JSON,
        r#"{"metadata":{"name":"NAME","labels":{"b":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}}"#,
    ),
    (
        Method::POST,
        "",
        JSON,
        r#"{"metadata":{"name":"NAME","labels":{"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx":"b"}}}"#,
    ),
    (Method::POST, "", JSON, r#"{"metadata":{"name":"NAME","annotations":{"bad key!":"y"}}}"#),
    (Method::POST, "", JSON, r#"{"metadata":{"name":"NAME","finalizers":["bad key!"]}}"#),
    (Method::POST, "", JSON, r#"{"metadata":{"name":"NAME","labels":{"a":1}}}"#),
    (Method::POST, "", JSON, r#"{"metadata":{"name":"NAME","resourceVersion":"5"}}"#),
    (Method::POST, "", JSON, r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"NAME"}}"#),
    (Method::POST, "?dryRun=Some", JSON, r#"{"metadata":{"name":"NAME"}}"#),
    (
        Method::POST,
        "?fieldManager=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        JSON,
        r#"{"metadata":{"name":"NAME"}}"#,
    ),
    (Method::POST, "?dryRun=All", JSON, r#"{"metadata":{"name":"NAME"}}"#),
    (
        Method::POST,
        "",
        JSON,
        r#"{"metadata":{"name":"NAME","labels":{"a":"1"},"annotations":{"n":"m"}},"spec":{"finalizers":["stream.space/x"]},"bogus":1}"#,
    ),
    (Method::POST, "", JSON, r#"{"metadata":{"name":"NAME"}}"#),
    (
        Method::POST,
        "?dryRun=All",
        JSON,
        r#"{"metadata":{"name":"NAME","finalizers":["plain","orphan"]}}"#,
    ),
    (
        Method::POST,
        "?dryRun=All",
        JSON,
        r#"{"metadata":{"name":"NAME"},"spec":{"finalizers":["stream.space/x","kubernetes"]}}"#,
    ),
    // Apply.
    (
        Method::PATCH,
        "/NAME",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME"}}"#,
    ),
    (Method::PATCH, "/NAME?fieldManager=one", APPLY, r#"{"metadata":{"name":"NAME"}}"#),
    (
        Method::PATCH,
        "/NAME?fieldManager=one",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"NAME"}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=one",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"other"}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=one",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME","managedFields":[{"manager":"x"}]}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=one",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME","foo":1}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=one",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME","labels":{"a":1}}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=one",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME","labels":{"a b":"c"}}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=one",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME","uid":"11111111-1111-1111-1111-111111111111"}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=one",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME","resourceVersion":"1"}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=one&dryRun=Some",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME"}}"#,
    ),
    (Method::PATCH, "/NAME?fieldManager=one", "text/plain", "{}"),
    (
        Method::PATCH,
        "/Bad_Name?fieldManager=one",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"Bad_Name"}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=one",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME","labels":{"a":"2"}}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=one&force=true",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME","labels":{"a":"2","b":"1"},"annotations":{"n":"k","o":"p"}}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=two",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME","labels":{"a":"3"},"annotations":{"n":"m"}}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=two",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME","labels":{"b":"1","c":"1"},"annotations":{"o":"p"}}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=one",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME","labels":{"a":"2"}}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=one",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME","labels":{}}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=one",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME"}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=two",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME"}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=one",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME","labels":{"kubernetes.io/metadata.name":"else"}}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=one",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME","labels":{"d":"1"}},"spec":{"finalizers":["kubernetes"]}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=one",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME","finalizers":["stream.space/a","stream.space/b"]}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=two",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME","finalizers":["stream.space/b","stream.space/c"]}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=one",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME","labels":{"e":""},"annotations":{}}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=two",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME"},"status":{"phase":"Terminating"}}"#,
    ),
    // Merge patches and replacements.
    (
        Method::PATCH,
        "/NAME?fieldManager=hand",
        MERGE,
        r#"{"metadata":{"labels":{"e":"drift","f":"1"},"annotations":{"x":"y"}}}"#,
    ),
    (Method::PATCH, "/NAME?fieldManager=hand", MERGE, r#"{"metadata":{"labels":{"f":"1"}}}"#),
    (Method::PATCH, "/NAME?fieldManager=one", MERGE, r#"{"metadata":{"labels":{"f":"2"}}}"#),
    (
        Method::PATCH,
        "/NAME?fieldManager=one",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME","labels":{"e":"1","f":"1"}}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=one&force=true",
        APPLY,
        r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"NAME","labels":{"e":"1","f":"1"}}}"#,
    ),
    (Method::PATCH, "/NAME?fieldManager=hand", MERGE, r#"{"metadata":{"annotations":null}}"#),
    (Method::PATCH, "/NAME?fieldManager=hand", MERGE, r#"{"metadata":{"name":"else"}}"#),
    (Method::PATCH, "/NAME?fieldManager=hand", MERGE, r#"{"metadata":{"resourceVersion":"1"}}"#),
    (
        Method::PATCH,
        "/NAME?fieldManager=hand",
        MERGE,
        r#"{"metadata":{"uid":"11111111-1111-1111-1111-111111111111"}}"#,
    ),
    (Method::PATCH, "/NAME?fieldManager=hand", MERGE, r#"{"metadata":{"foo":7},"bar":1}"#),
    (Method::PATCH, "/NAME?fieldManager=hand", MERGE, "[]"),
    (
        Method::PATCH,
        "/NAME?fieldManager=hand&force=true",
        MERGE,
        r#"{"metadata":{"labels":{"f":"3"}}}"#,
    ),
    (
        Method::PATCH,
        "/NAME?fieldManager=hand&dryRun=All",
        MERGE,
        r#"{"metadata":{"labels":{"f":"3"}}}"#,
    ),
    (Method::PATCH, "/NAME", MERGE, r#"{"metadata":{"labels":{"g":"1"}}}"#),
    (Method::PUT, "/NAME?fieldManager=put", JSON, r#"{"metadata":{"name":"else"}}"#),
    (
        Method::PUT,
        "/NAME?fieldManager=put",
        JSON,
        r#"{"metadata":{"name":"NAME","resourceVersion":"1"}}"#,
    ),
    (
        Method::PUT,
        "/NAME?fieldManager=put",
        JSON,
        r#"{"metadata":{"name":"NAME","labels":{"h":"1"}}}"#,
    ),
    (Method::GET, "/NAME", "", ""),
    (Method::GET, "/NAME?resourceVersion=0", "", ""),
    // The end.
    // Held, so that neither is gone before the last line.
    (
        Method::PATCH,
        "/NAME?fieldManager=hold",
        MERGE,
        r#"{"metadata":{"finalizers":["stream.space/hold"]}}"#,
    ),
    (Method::DELETE, "/NAME", JSON, r#"{"preconditions":{"uid":"another"}}"#),
    (Method::DELETE, "/NAME", JSON, r#"{"preconditions":{"resourceVersion":"1"}}"#),
    (Method::DELETE, "/NAME", JSON, r#"{"dryRun":["Some"]}"#),
    (Method::DELETE, "/NAME?dryRun=All", "", ""),
    (Method::DELETE, "/NAME", JSON, r#"{"dryRun":["All"]}"#),
    (Method::DELETE, "/NAME", JSON, r#"{"propagationPolicy":"Background"}"#),
    (Method::POST, "", JSON, r#"{"metadata":{"name":"NAME"}}"#),
    (Method::DELETE, "/default", "", ""),
];

/// Sends every line to both and fails with all answers that differ.
pub(crate) async fn compare(pair: &mut Pair) {
    let name = unique();
    let (mut left, mut right) = (Mask::default(), Mask::default());
    let mut differences = Vec::new();
    for (method, path, content_type, body) in LINES {
        let path = format!("/api/v1/namespaces{path}").replace("NAME", &name);
        let body = body.replace("NAME", &name);
        let (simulated, wanted) = pair.ask(method, &path, content_type, &body).await;
        let (simulated, wanted) = (left.apply(simulated), right.apply(wanted));
        note(&mut differences, &format!("{method} {path} {body}"), &simulated, &wanted);
    }
    pair.both(async |client| release(client, &name).await).await;
    none_of(&differences);
}

/// Notes where two answers differ, field by field.
pub(crate) fn note(
    differences: &mut Vec<String>,
    request: &str,
    simulated: &Value,
    wanted: &Value,
) {
    let mut found = Vec::new();
    differ("", simulated, wanted, &mut found);
    if !found.is_empty() {
        differences.push(format!("{request}\n{}", found.join("\n")));
    }
}

pub(crate) fn none_of(differences: &[String]) {
    assert!(
        differences.is_empty(),
        "{} answers differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

fn differ(path: &str, simulated: &Value, wanted: &Value, found: &mut Vec<String>) {
    match (simulated, wanted) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
            for key in keys {
                let path = format!("{path}.{key}");
                match (left.get(key), right.get(key)) {
                    (Some(left), Some(right)) => differ(&path, left, right, found),
                    (Some(left), None) => found.push(format!("  {path}: simulator alone: {left}")),
                    (None, right) => {
                        found.push(format!("  {path}: real alone: {}", right.unwrap()));
                    }
                }
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                differ(&format!("{path}[{index}]"), left, right, found);
            }
        }
        (left, right) if left != right => {
            found.push(format!("  {path}\n    simulator: {left}\n    real:      {right}"));
        }
        _ => {}
    }
}

/// Replaces what cannot be the same by the order in which it was first seen.
#[derive(Default)]
pub(crate) struct Mask {
    seen: BTreeMap<String, String>,
    /// Where controllers write too: their status and the numbers of versions do
    /// not count.
    pub(crate) controlled: bool,
}

impl Mask {
    pub(crate) fn controlled() -> Self {
        Self { controlled: true, ..Self::default() }
    }

    pub(crate) fn apply(&mut self, (code, mut answer): (u16, Value)) -> Value {
        self.learn(&answer);
        self.cover(&mut answer);
        json!([code, answer])
    }

    fn learn(&mut self, value: &Value) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    if let (true, Some(text)) =
                        (matches!(key.as_str(), "uid" | "resourceVersion"), value.as_str())
                    {
                        let next = if self.controlled {
                            format!("<{key}>")
                        } else {
                            format!("<{key} {}>", self.seen.len())
                        };
                        self.seen.entry(text.to_owned()).or_insert(next);
                    } else {
                        self.learn(value);
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            _ => {}
        }
    }

    fn cover(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                // Some refusals end with a difference of Go's own structures.
                if let Some(end) = text.find("\n@@ ") {
                    text.truncate(end);
                }
                // Whole words alone: a version is a short number, and so is a part of an address.
                let is_word = |character: char| {
                    character.is_ascii_alphanumeric() || "-./".contains(character)
                };
                let mut covered = String::new();
                for part in text.split_inclusive(|character| !is_word(character)) {
                    let word = part.trim_end_matches(|character| !is_word(character));
                    covered.push_str(self.seen.get(word).map_or(word, String::as_str));
                    covered.push_str(&part[word.len()..]);
                }
                *text = covered;
            }
            Value::Object(map) => {
                for (key, value) in map.iter_mut() {
                    match (key.as_str(), &mut *value) {
                        (
                            "time" | "creationTimestamp" | "deletionTimestamp"
                            | "lastTransitionTime",
                            Value::String(time),
                        ) => {
                            "<time>".clone_into(time);
                        }
                        ("status", Value::Object(status)) if self.controlled => status.clear(),
                        // Their order follows their times.
                        ("managedFields", Value::Array(entries)) => {
                            entries.retain(|entry| {
                                !self.controlled || entry.get("subresource").is_none()
                            });
                            for entry in entries.iter_mut() {
                                self.cover(entry);
                            }
                            entries.sort_by_key(ToString::to_string);
                        }
                        // The API server validates some updates more than once,
                        // and names conflicting managers in any order.
                        ("causes", Value::Array(causes)) => {
                            for cause in causes.iter_mut() {
                                self.cover(cause);
                            }
                            causes.sort_by_key(ToString::to_string);
                            causes.dedup();
                        }
                        _ => self.cover(value),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.cover(item)),
            _ => {}
        }
    }
}
