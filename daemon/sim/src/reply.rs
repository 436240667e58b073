//! What an answer carries, and the few that are always the same.

use std::{convert::Infallible, io};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use serde_json::{Value, json};

use crate::{
    kinds::{Kinds, Resource},
    status::Failure,
};

pub(crate) type ResponseBody = UnsyncBoxBody<Bytes, io::Error>;

/// An answer that is one object.
pub(crate) struct Reply {
    pub(crate) code: StatusCode,
    pub(crate) object: Value,
    pub(crate) warnings: Vec<String>,
    pub(crate) retry_after: Option<u32>,
}

impl Reply {
    pub(crate) fn ok(object: Value) -> Self {
        Self { code: StatusCode::OK, object, warnings: Vec::new(), retry_after: None }
    }

    pub(crate) fn failed(failure: &Failure) -> Self {
        let retry_after = failure.retry_after;
        Self { code: failure.code, object: failure.to_json(), warnings: Vec::new(), retry_after }
    }

    pub(crate) fn into_response(self) -> Response<ResponseBody> {
        let mut response = json_response(self.code, whole(self.object.to_string()));
        for warning in self.warnings {
            if let Ok(value) = HeaderValue::from_str(&format!("299 - {warning:?}")) {
                response.headers_mut().append(header::WARNING, value);
            }
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

pub(crate) fn whole(text: impl Into<Bytes>) -> ResponseBody {
    Full::new(text.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

pub(crate) fn json_response(code: StatusCode, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // The clock that clients of a cluster go by.
    let now = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(now) = HeaderValue::from_str(&now) {
        headers.insert(header::DATE, now);
    }
    response
}

pub(crate) fn plain(code: StatusCode, text: &'static str) -> Response<ResponseBody> {
    let mut response = json_response(code, whole(text));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

pub(crate) fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "gitVersion": "v1.36.3+streamspace-sim",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

/// The groups that are served, but the core.
pub(crate) fn groups(kinds: &Kinds) -> Value {
    let mut groups: Vec<Value> = Vec::new();
    for kind in kinds.all().iter().filter(|kind| !kind.group.is_empty()) {
        let version = json!({ "groupVersion": kind.api_version(), "version": kind.version });
        let group = json!({
            "name": kind.group, "versions": [version], "preferredVersion": version,
        });
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

/// The kinds of one group and version; `None` where there are none.
pub(crate) fn resources(kinds: &Kinds, group: &str, version: &str) -> Option<Value> {
    let all = kinds.all();
    let found: Vec<Value> = all
        .iter()
        .filter(|kind| kind.group == group && kind.version == version)
        .flat_map(|kind| described(kind))
        .collect();
    let first = all.iter().find(|kind| kind.group == group && kind.version == version)?;
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": first.api_version(),
        "resources": found,
    }))
}

/// A kind, and the parts of its objects that have paths of their own.
fn described(kind: &Resource) -> Vec<Value> {
    let mut whole = json!({
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
    });
    if let Value::Object(map) = &mut whole {
        if kind.deletes_collections() {
            let verbs =
                ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
            map.insert("verbs".to_owned(), json!(verbs));
        }
        for (field, names) in [("shortNames", &kind.short), ("categories", &kind.categories)] {
            if !names.is_empty() {
                map.insert(field.to_owned(), json!(names));
            }
        }
    }
    if let (Value::Object(map), true) = (&mut whole, kind.asked) {
        map.insert("verbs".to_owned(), json!(["create"]));
    }
    let mut all = vec![whole];
    for part in ["finalize", "scale", "status"].into_iter().filter(|it| kind.has_subresource(it)) {
        let mut described = json!({
            "name": format!("{}/{part}", kind.plural),
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": if part == "scale" { "Scale" } else { &*kind.kind },
            "verbs": if part == "finalize" { vec!["update"] } else { vec!["get", "patch", "update"] },
        });
        if let (Value::Object(map), "scale") = (&mut described, part) {
            map.insert("group".to_owned(), "autoscaling".into());
            map.insert("version".to_owned(), "v1".into());
        }
        all.push(described);
    }
    all
}
