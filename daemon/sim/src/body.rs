//! What a request carries: its body as an object, a configuration or a patch.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use crate::{
    apply::Writer,
    events,
    kinds::{Resource, View},
    objects::{self, Place},
    options::{Query, Unknown},
    scale,
    schema::{Misfit, Object, edit, metadata_text, misfits},
    status::Failure,
    user::User,
};

/// A request whose body has arrived.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) query: Query,
    pub(crate) content_type: String,
    pub(crate) user_agent: String,
    pub(crate) user: Arc<User>,
    pub(crate) body: Bytes,
}

impl Call {
    /// The named manager, else what the user agent is called, as the API server does.
    pub(crate) fn writer(&self, manager: &str, view: View) -> Writer {
        let manager =
            [manager, &self.user_agent, "unknown"].into_iter().find(|name| !name.is_empty());
        Writer { manager: manager.unwrap_or_default().to_owned(), time: objects::now(), view }
    }

    /// The name of the object in the body, empty where there is none.
    pub(crate) fn name_in_body(&self) -> String {
        let object: Option<Object> = serde_json::from_slice(&self.body).ok();
        object.map(|object| metadata_text(&object, "name").to_owned()).unwrap_or_default()
    }

    /// The body as a whole object, and warnings about fields that do not exist.
    pub(crate) fn object(
        &self,
        place: &Place,
        view: View,
    ) -> Result<(Object, Vec<String>), Failure> {
        let resource = &*place.resource;
        let mut object: Object = serde_json::from_slice(&self.body).map_err(|error| {
            let kind = &resource.kind;
            Failure::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error: {error}"
            ))
        })?;
        // What no built-in type can be found for has to say what it is.
        if let Some(missing) = [("kind", "Kind"), ("apiVersion", "apiVersion")]
            .iter()
            .find(|(field, _)| !resource.builtin && !object.contains_key(*field))
        {
            let body = String::from_utf8_lossy(&self.body);
            return Err(Failure::bad_request(format!(
                "the object provided is unrecognized (must be of type {}): Object '{}' is missing in '{body}' ({body})",
                resource.kind, missing.1
            )));
        }
        let wanted = &resource.kind;
        let cannot = |version: &str, kind: &str, why: &str| {
            Failure::bad_request(format!(
                "{kind} in version {version:?} cannot be handled as a {wanted}: {why}"
            ))
        };
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        if !(version.is_empty() || version == resource.api_version())
            || !(kind.is_empty() || kind == resource.kind)
        {
            // What no kind of the server is called is not looked at further.
            if !version.is_empty() && version != "v1" && version != resource.api_version() {
                let why = format!(
                    "no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:111\""
                );
                return Err(cannot(version, kind, &why));
            }
            let package = match resource.group.split('.').next() {
                Some("") | None => "core",
                Some(package) => package,
            };
            let why = format!(
                "converting ({version}.{kind}) to ({package}.{wanted}): unknown conversion"
            );
            return Err(cannot(version, kind, &why));
        }
        let mut warnings = check_decoded(&object, resource, view)
            .map_err(|why| cannot(&resource.version, wanted, &why))?;
        match self.query.field_validation()? {
            Unknown::Refuse if !warnings.is_empty() => {
                let why = format!("strict decoding error: {}", warnings.join(", "));
                return Err(cannot(&resource.version, wanted, &why));
            }
            Unknown::Ignore => warnings.clear(),
            _ => {}
        }
        check_namespace(&object, place)?;
        if resource.is_core_event() {
            events::from_core(&mut object);
        }
        Ok((object, warnings))
    }

    /// The body as a scale.
    pub(crate) fn scale(&self) -> Result<Object, Failure> {
        let object: Object = serde_json::from_slice(&self.body).map_err(|error| {
            Failure::bad_request(format!("couldn't get version/kind; json parse error: {error}"))
        })?;
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        if !(version.is_empty() || version == SCALE.0) || !(kind.is_empty() || kind == SCALE.1) {
            return Err(Failure::bad_request(format!(
                "{kind} in version {version:?} cannot be handled as a Scale: no kind {kind:?} is registered"
            )));
        }
        Ok(object)
    }

    /// The body as an applied configuration of the object of this name.
    pub(crate) fn configuration(
        &self,
        place: &Place,
        name: &str,
        view: View,
    ) -> Result<Object, Failure> {
        let resource = &*place.resource;
        let mut object: Object = serde_json::from_slice(&self.body).map_err(|error| {
            Failure::bad_request(format!(
                "error decoding YAML: error converting YAML to JSON: {error}"
            ))
        })?;
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        if view == View::Scale && (version, kind) == (SCALE.0, SCALE.1) {
            check_name(&object, name)?;
            let mut object = scale::configuration(resource, &object);
            edit(&mut object, "metadata", |metadata| metadata.remove("namespace"));
            return Ok(object);
        }
        if (version, kind) != (&resource.api_version(), &resource.kind) {
            let version = match version {
                "" => "/".to_owned(),
                version if version.contains('/') => version.to_owned(),
                version => format!("/{version}"),
            };
            return Err(Failure::bad_request(format!(
                "invalid object type: {version}, Kind={kind}"
            )));
        }
        check_name(&object, name)?;
        check_namespace(&object, place)?;
        if object.get("metadata").and_then(|metadata| metadata.get("managedFields")).is_some() {
            return Err(Failure::bad_request("metadata.managedFields must be nil"));
        }
        if let Some(misfit) = misfits(&object, resource.schema_of(view)).first() {
            let why = match misfit {
                Misfit::Undeclared(path) => format!(".{path}: field not declared in schema"),
                Misfit::Mistyped { path, wanted, found, .. } => {
                    format!(
                        ".{path}: expected {wanted}, got &value.valueUnstructured{{Value:{found}}}"
                    )
                }
                Misfit::NoQuantity(_) => return Err(Failure::bad_request(NO_QUANTITY)),
            };
            let (namespace, gvk) =
                (metadata_text(&object, "namespace"), group_version_kind(resource));
            return Err(Failure::internal(format!(
                "failed to create typed patch object ({namespace}/{name}; {gvk}): {why}"
            )));
        }
        drop_nulls(&mut object);
        edit(&mut object, "metadata", |metadata| metadata.remove("namespace"));
        Ok(object)
    }
}

/// The version and kind of what says how many replicas there are.
const SCALE: (&str, &str) = ("autoscaling/v1", "Scale");

const NO_QUANTITY: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// `/v1, Kind=Namespace`.
fn group_version_kind(resource: &Resource) -> String {
    format!("{}/{}, Kind={}", resource.group, resource.version, resource.kind)
}

/// Warnings about fields that do not exist; the error is a value of a wrong type.
pub(crate) fn check_decoded(
    object: &Object,
    resource: &Resource,
    view: View,
) -> Result<Vec<String>, String> {
    let mut warnings = Vec::new();
    for misfit in misfits(object, resource.schema_of(view)) {
        match misfit {
            Misfit::Undeclared(path) => warnings.push(format!("unknown field \"{path}\"")),
            // A custom resource is checked by its definition's schema, when it is complete.
            Misfit::Mistyped { .. } if !resource.builtin => {}
            Misfit::Mistyped { field, wanted, found, .. } => {
                let found = json_kind(&found);
                let holder =
                    if field.starts_with("metadata.") { "ObjectMeta" } else { &resource.kind };
                return Err(format!(
                    "json: cannot unmarshal {found} into Go struct field {holder}.{field} of type {wanted}"
                ));
            }
            Misfit::NoQuantity(_) => return Err(NO_QUANTITY.to_owned()),
        }
    }
    Ok(warnings)
}

fn check_namespace(object: &Object, place: &Place) -> Result<(), Failure> {
    match metadata_text(object, "namespace") {
        "" => Ok(()),
        given if given == place.namespace || !place.resource.namespaced => Ok(()),
        _ => Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
    }
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

fn drop_nulls(object: &mut Object) {
    object.retain(|_, value| !value.is_null());
    for value in object.values_mut() {
        if let Value::Object(inner) = value {
            drop_nulls(inner);
        }
    }
}
