//! Merge patches (RFC 7386).

use serde_json::{Map, Value};

use crate::{
    body::{Call, check_decoded, check_name, json_kind},
    events,
    kinds::Resource,
    objects::{self, Manner, Place},
    schema::Object,
    status::{Failure, Fault},
    store::Store,
};

/// A merge patch.
pub(crate) fn merge_body(call: &Call) -> Result<Object, Failure> {
    match serde_json::from_slice(&call.body) {
        Ok(Value::Object(patch)) => Ok(patch),
        Ok(other) => Err(Failure::bad_request(format!(
            "error decoding patch: json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            json_kind(&other)
        ))),
        Err(error) => Err(Failure::bad_request(format!("error decoding patch: {error}"))),
    }
}

/// Merges a patch into the object as its path serves it, and warns of unknown fields.
pub(crate) fn merge(
    store: &Store,
    place: &Place,
    resource: &Resource,
    name: &str,
    manner: &Manner,
    patch: &Object,
) -> Result<(Object, Vec<String>), Failure> {
    let mut warnings = Vec::new();
    let object = objects::update(store, place, name, manner, |live| {
        let mut object = match objects::served(resource, live.clone()) {
            Value::Object(object) => object,
            _ => Object::new(),
        };
        merge_patch(&mut object, patch);
        warnings = check_decoded(&object, resource).map_err(|why| {
            let text = Value::Object(object.clone()).to_string();
            Failure::invalid("", "", "", &[Fault::invalid("patch", &text, &why)])
        })?;
        check_name(&object, name)?;
        if resource.is_core_event() {
            events::from_core(&mut object);
        }
        Ok(object)
    })?;
    Ok((object, warnings))
}

fn merge_patch(object: &mut Object, patch: &Object) {
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
