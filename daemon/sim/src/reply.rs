//! What an answer carries, and the few that are always the same.

use std::{convert::Infallible, io};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use serde_json::{Value, json};

use crate::schema::NAMESPACES;

pub(crate) type ResponseBody = UnsyncBoxBody<Bytes, io::Error>;

/// An answer that is one object.
pub(crate) struct Reply {
    pub(crate) code: StatusCode,
    pub(crate) object: Value,
    pub(crate) warnings: Vec<String>,
}

impl Reply {
    pub(crate) fn ok(object: Value) -> Self {
        Self { code: StatusCode::OK, object, warnings: Vec::new() }
    }

    pub(crate) fn into_response(self) -> Response<ResponseBody> {
        let mut response = json_response(self.code, whole(self.object.to_string()));
        for warning in self.warnings {
            if let Ok(value) = HeaderValue::from_str(&format!("299 - {warning:?}")) {
                response.headers_mut().append(header::WARNING, value);
            }
        }
        if self.code == StatusCode::GATEWAY_TIMEOUT {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

fn whole(text: impl Into<Bytes>) -> ResponseBody {
    Full::new(text.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

pub(crate) fn json_response(code: StatusCode, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
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

pub(crate) fn resources() -> Value {
    json!({
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [{
            "name": NAMESPACES.plural,
            "singularName": "namespace",
            "namespaced": false,
            "kind": NAMESPACES.kind,
            "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
            "shortNames": ["ns"],
        }],
    })
}
