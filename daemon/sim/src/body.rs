//! What a request carries: its body as an object, a configuration or a patch.

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value};

use crate::{
    apply::Writer,
    namespaces,
    options::Query,
    schema::{Misfit, NAMESPACES, Object, metadata_text, misfits},
    status::Failure,
};

/// A request whose body has arrived.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) query: Query,
    pub(crate) content_type: String,
    pub(crate) user_agent: String,
    pub(crate) body: Bytes,
}

impl Call {
    /// The named manager, else what the user agent is called, as the API server does.
    pub(crate) fn writer(&self, manager: &str) -> Writer {
        let manager =
            [manager, &self.user_agent, "unknown"].into_iter().find(|name| !name.is_empty());
        Writer { manager: manager.unwrap_or_default().to_owned(), time: namespaces::now() }
    }

    /// The body as a whole object, and warnings about fields that do not exist.
    pub(crate) fn object(&self) -> Result<(Object, Vec<String>), Failure> {
        let object: Object = serde_json::from_slice(&self.body).map_err(|error| {
            let kind = NAMESPACES.kind;
            Failure::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error: {error}"
            ))
        })?;
        let cannot = |version: &str, kind: &str, why: &str| {
            Failure::bad_request(format!(
                "{kind} in version {version:?} cannot be handled as a Namespace: {why}"
            ))
        };
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        if !matches!((version, kind), ("" | "v1", "" | "Namespace")) {
            let why =
                format!("converting ({version}.{kind}) to (core.Namespace): unknown conversion");
            return Err(cannot(version, kind, &why));
        }
        let warnings = check_decoded(&object).map_err(|why| cannot("v1", "Namespace", &why))?;
        Ok((object, warnings))
    }

    /// The body as an applied configuration of the object of this name.
    pub(crate) fn configuration(&self, name: &str) -> Result<Object, Failure> {
        let mut object: Object = serde_json::from_slice(&self.body).map_err(|error| {
            Failure::bad_request(format!(
                "error decoding YAML: error converting YAML to JSON: {error}"
            ))
        })?;
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        if (version, kind) != (NAMESPACES.api_version, NAMESPACES.kind) {
            let version = if version.is_empty() { "/" } else { &format!("/{version}") };
            return Err(Failure::bad_request(format!(
                "invalid object type: {version}, Kind={kind}"
            )));
        }
        check_name(&object, name)?;
        if object.get("metadata").and_then(|metadata| metadata.get("managedFields")).is_some() {
            return Err(Failure::bad_request("metadata.managedFields must be nil"));
        }
        if let Some(misfit) = misfits(&object, &NAMESPACES.schema).first() {
            let why = match misfit {
                Misfit::Undeclared(path) => format!(".{path}: field not declared in schema"),
                Misfit::Mistyped { path, wanted, found, .. } => {
                    format!(
                        ".{path}: expected {wanted}, got &value.valueUnstructured{{Value:{found}}}"
                    )
                }
            };
            return Err(Failure::internal(format!(
                "failed to create typed patch object (/{name}; /v1, Kind=Namespace): {why}"
            )));
        }
        drop_nulls(&mut object);
        Ok(object)
    }
}

/// Warnings about fields that do not exist; the error is a value of a wrong type.
pub(crate) fn check_decoded(object: &Object) -> Result<Vec<String>, String> {
    let mut warnings = Vec::new();
    for misfit in misfits(object, &NAMESPACES.schema) {
        match misfit {
            Misfit::Undeclared(path) => warnings.push(format!("unknown field \"{path}\"")),
            Misfit::Mistyped { field, wanted, found, .. } => {
                let found = json_kind(&found);
                let holder =
                    if field.starts_with("metadata.") { "ObjectMeta" } else { "Namespace" };
                return Err(format!(
                    "json: cannot unmarshal {found} into Go struct field {holder}.{field} of type {wanted}"
                ));
            }
        }
    }
    Ok(warnings)
}

/// What Go's decoder calls the value's kind.
pub(crate) fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) | Value::Null => "object",
    }
}

pub(crate) fn check_name(object: &Object, name: &str) -> Result<(), Failure> {
    match metadata_text(object, "name") {
        given if given == name => Ok(()),
        given => Err(Failure::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        ))),
    }
}

/// RFC 7386.
pub(crate) fn merge_patch(object: &mut Object, patch: &Object) {
    for (key, value) in patch {
        match value {
            Value::Null => {
                object.remove(key);
            }
            Value::Object(inner) => {
                let slot = object.entry(key.as_str()).or_insert(Value::Null);
                let mut section = match slot.take() {
                    Value::Object(section) => section,
                    _ => Map::new(),
                };
                merge_patch(&mut section, inner);
                *slot = Value::Object(section);
            }
            other => {
                object.insert(key.clone(), other.clone());
            }
        }
    }
}

fn drop_nulls(object: &mut Object) {
    object.retain(|_, value| !value.is_null());
    for value in object.values_mut() {
        if let Value::Object(inner) = value {
            drop_nulls(inner);
        }
    }
}
