//! Answers that the layers give themselves, and the call's id in every answer.

use std::{collections::HashMap, fmt::Display};

use http::{HeaderName, HeaderValue, Response};
use streamspace_proto::ERROR_DOMAIN;
use tonic::{Code, Status, body::Body};
use tonic_types::{ErrorDetails, StatusExt};
use uuid::Uuid;

/// The header that tells a caller the id of its call.
pub const CALL_ID: HeaderName = HeaderName::from_static("streamspace-call-id");
/// The header that tells a caller the version of the daemon.
pub(super) const VERSION: HeaderName = HeaderName::from_static("streamspace-version");

/// A status with a word for programs and what belongs to it.
pub(crate) fn status(
    code: Code,
    reason: &str,
    message: impl Into<String>,
    metadata: &[(&str, &str)],
) -> Status {
    let metadata: HashMap<String, String> =
        metadata.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, ERROR_DOMAIN, metadata);
    Status::with_error_details(code, message, details)
}

/// The status as a trailers-only response.
pub(super) fn refuse(status: &Status) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let content = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(http::header::CONTENT_TYPE, content);
    if status.add_header(response.headers_mut()).is_err() {
        // A status that does not fit into headers still has its code.
        let code = HeaderValue::from(code_number(status.code()));
        response.headers_mut().insert(Status::GRPC_STATUS, code);
    }
    response
}

/// Puts the call's id into the answer: as a header, and where the answer is an
/// error, as the `RequestInfo` that people quote.
pub(super) fn with_call_id(mut response: Response<Body>, id: Uuid) -> Response<Body> {
    if let Some(status) = Status::from_header_map(response.headers())
        && status.code() != Code::Ok
        && let Some(named) = name_call(&status, &id)
    {
        let _ = named.add_header(response.headers_mut());
    }
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(CALL_ID, value);
    }
    let version = HeaderValue::from_static(env!("CARGO_PKG_VERSION"));
    response.headers_mut().insert(VERSION, version);
    response
}

fn name_call(status: &Status, id: &impl Display) -> Option<Status> {
    let mut details = status.check_error_details().ok()?;
    if details.request_info().is_some() {
        return None;
    }
    details.set_request_info(id.to_string(), "");
    Some(Status::with_error_details(status.code(), status.message(), details))
}

/// The number of a code on the wire.
pub(super) fn code_number(code: Code) -> i32 {
    i32::from(code)
}
