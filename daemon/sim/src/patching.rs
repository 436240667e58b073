//! Patches of what is there: merge (RFC 7386), JSON (RFC 6902) and strategic merge.

use serde_json::{Map, Value};

use crate::{
    body::{Call, json_kind},
    kinds::Resource,
    schema::{Object, Schema},
    status::Failure,
};

mod strategic;

/// More operations than this are refused.
const OPERATIONS: usize = 10_000;

/// A patch, read.
#[derive(Debug)]
pub(crate) enum Patch {
    Merge(Object),
    Json(json_patch::Patch),
    Strategic(Object),
}

impl Patch {
    /// Reads the body as the content type says; `None` for a type that is no patch of
    /// this kind.
    pub(crate) fn read(call: &Call, resource: &Resource) -> Option<Result<Self, Failure>> {
        match call.content_type.as_str() {
            "application/merge-patch+json" => Some(map(call).map(Self::Merge)),
            "application/strategic-merge-patch+json" if resource.builtin => {
                Some(map(call).map(Self::Strategic))
            }
            "application/json-patch+json" => Some(operations(call)),
            _ => None,
        }
    }

    /// The object as the patch makes it.
    pub(crate) fn apply(&self, object: Object, schema: &Schema) -> Result<Object, Failure> {
        match self {
            Self::Merge(patch) => {
                let mut object = object;
                merge(&mut object, patch);
                Ok(object)
            }
            Self::Strategic(patch) => {
                let mut object = object;
                strategic::merge(&mut object, patch, schema)?;
                Ok(object)
            }
            Self::Json(patch) => {
                let mut value = Value::Object(object);
                json_patch::patch(&mut value, patch).map_err(|_| Failure::unprocessable())?;
                match value {
                    Value::Object(object) => Ok(object),
                    _ => Err(Failure::unprocessable()),
                }
            }
        }
    }
}

fn map(call: &Call) -> Result<Object, Failure> {
    match serde_json::from_slice(&call.body) {
        Ok(Value::Object(patch)) => Ok(patch),
        Ok(other) => Err(Failure::bad_request(format!(
            "error decoding patch: json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            json_kind(&other)
        ))),
        Err(error) => Err(Failure::bad_request(format!("error decoding patch: {error}"))),
    }
}

fn operations(call: &Call) -> Result<Patch, Failure> {
    let patch: json_patch::Patch = serde_json::from_slice(&call.body)
        .map_err(|error| Failure::bad_request(format!("error decoding patch: {error}")))?;
    if patch.0.len() > OPERATIONS {
        return Err(Failure::bad_request(format!(
            "The allowed maximum operations in a JSON patch is {OPERATIONS}, got {}",
            patch.0.len()
        )));
    }
    Ok(Patch::Json(patch))
}

fn merge(object: &mut Object, patch: &Object) {
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
                merge(&mut section, inner);
                *slot = Value::Object(section);
            }
            other => {
                object.insert(key.clone(), other.clone());
            }
        }
    }
}
