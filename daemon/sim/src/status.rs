//! Failures in the API server's own shape and words.

use http::StatusCode;
use serde_json::{Value, json};

use crate::{faults::Refusal, kinds::Resource};

/// A failure that travels as a Kubernetes `Status`.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: StatusCode,
    pub(crate) message: String,
    reason: Option<&'static str>,
    details: Option<Value>,
    /// What `Retry-After` says, in seconds.
    pub(crate) retry_after: Option<u32>,
}

impl Failure {
    fn new(code: StatusCode, reason: &'static str, message: String) -> Self {
        Self { code, message, reason: Some(reason), details: None, retry_after: None }
    }

    fn about(mut self, resource: &Resource, name: &str) -> Self {
        let mut details = json!({ "name": name, "kind": resource.plural });
        if let (Value::Object(map), false) = (&mut details, resource.group.is_empty()) {
            map.insert("group".to_owned(), resource.group.as_str().into());
        }
        self.details = Some(details);
        self
    }

    /// A failure that somebody has asked for.
    pub(crate) fn injected(refusal: Refusal, plural: &str, group: &str, name: &str) -> Self {
        let qualified =
            if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
        let what = match (plural, name) {
            ("", _) => String::new(),
            (_, "") => format!("{qualified}: "),
            _ => format!("{qualified} {name:?}: "),
        };
        let message = format!("{what}refused by an injected fault");
        let mut details = json!({ "kind": plural });
        if let Value::Object(map) = &mut details {
            for (key, value) in [("name", name), ("group", group)] {
                if !value.is_empty() {
                    map.insert(key.to_owned(), value.into());
                }
            }
        }
        Self { details: Some(details), ..Self::new(refusal.code(), refusal.reason(), message) }
    }

    /// Sets what `Retry-After` says, in the header and in the details.
    pub(crate) fn retry_after(&mut self, seconds: Option<u32>) {
        let usual =
            matches!(self.code, StatusCode::GATEWAY_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        self.retry_after = seconds.or(usual.then_some(1));
        if let (Some(Value::Object(details)), Some(seconds)) = (&mut self.details, self.retry_after)
        {
            details.insert("retryAfterSeconds".to_owned(), seconds.into());
        }
    }

    /// Nothing new is made in a namespace that ends.
    pub(crate) fn namespace_terminating(resource: &Resource, namespace: &str, name: &str) -> Self {
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let mut failure = Self::forbidden(resource, name, &why);
        if let Some(Value::Object(details)) = &mut failure.details {
            let cause = json!({
                "reason": "NamespaceTerminating",
                "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            });
            details.insert("causes".to_owned(), json!([cause]));
        }
        failure
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message.into())
    }

    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        let plural = resource.qualified_plural();
        Self::new(StatusCode::NOT_FOUND, "NotFound", format!("{plural} {name:?} not found"))
            .about(resource, name)
    }

    /// The namespace of something new is not there.
    pub(crate) fn no_namespace(name: &str) -> Self {
        let message = format!("namespaces {name:?} not found");
        let details = Some(json!({ "name": name, "kind": "namespaces" }));
        Self { details, ..Self::new(StatusCode::NOT_FOUND, "NotFound", message) }
    }

    pub(crate) fn unknown_path() -> Self {
        let message = "the server could not find the requested resource".to_owned();
        Self { details: Some(json!({})), ..Self::new(StatusCode::NOT_FOUND, "NotFound", message) }
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource".to_owned();
        Self {
            details: Some(json!({})),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
        }
    }

    pub(crate) fn unsupported_media_type(resource: &Resource) -> Self {
        let message = if resource.builtin {
            "415: Unsupported Media Type".to_owned()
        } else {
            "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml".to_owned()
        };
        let code = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        let details = resource.builtin.then(|| json!({}));
        Self { details, ..Self::new(code, "UnsupportedMediaType", message) }
    }

    /// A patch that does not fit what it patches.
    pub(crate) fn unprocessable() -> Self {
        let message = "the server rejected our request due to an error in our request".to_owned();
        let code = StatusCode::UNPROCESSABLE_ENTITY;
        Self { details: Some(json!({})), ..Self::new(code, "Invalid", message) }
    }

    pub(crate) fn already_exists(resource: &Resource, name: &str, terminating: bool) -> Self {
        let plural = resource.qualified_plural();
        let prefix = if terminating { "object is being deleted: " } else { "" };
        let message = format!("{prefix}{plural} {name:?} already exists");
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(resource, name)
    }

    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let plural = resource.qualified_plural();
        let message = format!("Operation cannot be fulfilled on {plural} {name:?}: {why}");
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(resource, name)
    }

    /// A conflict in which the API server names the kind.
    pub(crate) fn conflict_of_kind(resource: &Resource, name: &str, why: &str) -> Self {
        let kind = resource.qualified_kind();
        let message = format!("Operation cannot be fulfilled on {kind} {name:?}: {why}");
        let mut failure =
            Self::new(StatusCode::CONFLICT, "Conflict", message).about(resource, name);
        if let Some(Value::Object(details)) = &mut failure.details {
            details.insert("kind".to_owned(), resource.kind.as_str().into());
        }
        failure
    }

    pub(crate) fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let plural = resource.qualified_plural();
        Self::new(
            StatusCode::FORBIDDEN,
            "Forbidden",
            format!("{plural} {name:?} is forbidden: {why}"),
        )
        .about(resource, name)
    }

    /// What a policy denies for this reason, empty for the usual one.
    pub(crate) fn denied_by_policy(mut self, reason: &str, message: &str) -> Self {
        let (code, reason) = match reason {
            "Forbidden" => (StatusCode::FORBIDDEN, "Forbidden"),
            "Unauthorized" => (StatusCode::UNAUTHORIZED, "Unauthorized"),
            "RequestEntityTooLarge" => (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge"),
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "Invalid"),
        };
        (self.code, self.reason) = (code, Some(reason));
        if let Some(Value::Object(details)) = &mut self.details {
            details.insert("causes".to_owned(), json!([{ "message": message }]));
        }
        self
    }

    /// Fields that managers other than the applying one own with other values;
    /// each is the manager in the API server's words and the field's path.
    pub(crate) fn apply_conflict(conflicts: &[(String, String)]) -> Self {
        let causes: Vec<Value> = conflicts
            .iter()
            .map(|(manager, field)| {
                json!({ "reason": "FieldManagerConflict", "message": format!("conflict with {manager}"), "field": field })
            })
            .collect();
        let message = if let [(manager, field)] = conflicts {
            format!("Apply failed with 1 conflict: conflict with {manager}: {field}")
        } else {
            let mut lines = Vec::new();
            let mut last = None;
            for (manager, field) in conflicts {
                if last != Some(manager) {
                    lines.push(format!("conflicts with {manager}:"));
                    last = Some(manager);
                }
                lines.push(format!("- {field}"));
            }
            format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
        };
        let details = Some(json!({ "causes": causes }));
        Self { details, ..Self::new(StatusCode::CONFLICT, "Conflict", message) }
    }

    /// An object or an options object that breaks rules; `faults` is not empty.
    pub(crate) fn invalid(group: &str, kind: &str, name: &str, faults: &[Fault]) -> Self {
        let mut lines: Vec<String> = Vec::new();
        for line in faults.iter().map(|fault| format!("{}: {}", fault.field, fault.message)) {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let text =
            if lines.len() == 1 { lines.concat() } else { format!("[{}]", lines.join(", ")) };
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let causes: Vec<Value> = faults
            .iter()
            .map(|fault| json!({ "reason": fault.reason, "message": fault.message, "field": fault.field }))
            .collect();
        let mut details = json!({ "causes": causes });
        if let Value::Object(map) = &mut details {
            for (key, value) in [("kind", kind), ("name", name), ("group", group)] {
                if !value.is_empty() {
                    map.insert(key.to_owned(), value.into());
                }
            }
        }
        let message = format!("{qualified} {name:?} is invalid: {text}");
        Self {
            details: Some(details),
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
        }
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message.into())
    }

    pub(crate) fn version_too_large(wanted: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
        let details = json!({
            "causes": [{ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" }],
            "retryAfterSeconds": 1,
        });
        Self {
            details: Some(details),
            retry_after: Some(1),
            ..Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message)
        }
    }

    /// A failure for which the API server names no reason.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self {
            code: StatusCode::INTERNAL_SERVER_ERROR,
            message: message.into(),
            reason: None,
            details: None,
            retry_after: None,
        }
    }

    /// The `Status` object on the wire.
    pub(crate) fn to_json(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code.as_u16(),
        });
        if let Value::Object(map) = &mut status {
            if let Some(reason) = self.reason {
                map.insert("reason".to_owned(), reason.into());
            }
            if let Some(details) = &self.details {
                map.insert("details".to_owned(), details.clone());
            }
        }
        status
    }
}

/// One broken rule of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    field: String,
    reason: &'static str,
    message: String,
}

impl Fault {
    pub(crate) fn invalid(field: impl Into<String>, value: &str, why: &str) -> Self {
        Self {
            field: field.into(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {value:?}: {why}"),
        }
    }

    /// A value that is no text, spelled as JSON.
    pub(crate) fn invalid_value(field: impl Into<String>, value: &str, why: &str) -> Self {
        Self {
            field: field.into(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {value}: {why}"),
        }
    }

    pub(crate) fn required(field: impl Into<String>, why: &str) -> Self {
        Self {
            field: field.into(),
            reason: "FieldValueRequired",
            message: format!("Required value: {why}"),
        }
    }

    /// A value of another type.
    pub(crate) fn mistyped(field: impl Into<String>, found: &str, why: &str) -> Self {
        Self { reason: "FieldValueTypeInvalid", ..Self::invalid(field, found, why) }
    }

    /// What a rule of a definition refuses.
    pub(crate) fn broken_rule(field: impl Into<String>, why: &str) -> Self {
        Self {
            field: field.into(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {why}"),
        }
    }

    /// Whether rules are not asked because of it.
    pub(crate) fn blocks_rules(&self) -> bool {
        matches!(
            self.reason,
            "FieldValueRequired"
                | "FieldValueNotSupported"
                | "FieldValueTooLong"
                | "FieldValueTooMany"
                | "FieldValueTypeInvalid"
        )
    }

    /// Something that is not there, without more words.
    pub(crate) fn missing(field: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: "FieldValueRequired",
            message: "Required value".to_owned(),
        }
    }

    /// Something that another item of the list is already.
    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self {
            field: field.into(),
            reason: "FieldValueDuplicate",
            message: format!("Duplicate value: {value}"),
        }
    }

    /// A reference to nothing.
    pub(crate) fn not_found(field: impl Into<String>, name: &str) -> Self {
        Self {
            field: field.into(),
            reason: "FieldValueNotFound",
            message: format!("Not found: {name:?}"),
        }
    }

    pub(crate) fn too_many(field: impl Into<String>, count: usize, limit: usize) -> Self {
        Self {
            field: field.into(),
            reason: "FieldValueTooMany",
            message: format!("Too many: {count}: must have at most {limit} items"),
        }
    }

    /// A value that is none of an enumeration.
    pub(crate) fn not_one_of(field: impl Into<String>, value: &Value, allowed: &[Value]) -> Self {
        let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        Self {
            field: field.into(),
            reason: "FieldValueNotSupported",
            message: format!(
                "Unsupported value: {value}: supported values: {}",
                allowed.join(", ")
            ),
        }
    }

    pub(crate) fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self {
            field: field.into(),
            reason: "FieldValueForbidden",
            message: format!("Forbidden: {why}"),
        }
    }

    pub(crate) fn too_long(field: impl Into<String>, limit: usize) -> Self {
        let message = format!("Too long: may not be more than {limit} bytes");
        Self { field: field.into(), reason: "FieldValueTooLong", message }
    }

    pub(crate) fn unsupported(field: impl Into<String>, value: &str, supported: &str) -> Self {
        let message = format!("Unsupported value: [{value:?}]: supported values: {supported:?}");
        Self { field: field.into(), reason: "FieldValueNotSupported", message }
    }
}
