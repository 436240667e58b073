//! The kinds that custom resource definitions add.

use std::sync::Arc;

use serde_json::Value;

use super::{Generation, Names, Resource, Scale, qualified};
use crate::{
    schema::{Keys, Object, Schema, at},
    structure::Rules,
};

fn text(object: &Object, path: &[&str]) -> String {
    at(object, path).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn texts(object: &Object, path: &[&str]) -> Vec<String> {
    let list = at(object, path).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether the definition has the condition `Established`.
pub(crate) fn is_established(definition: &Object) -> bool {
    let conditions = at(definition, &["status", "conditions"]).and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        condition.get("type").is_some_and(|name| name == "Established")
            && condition.get("status").is_some_and(|status| status == "True")
    })
}

/// What a definition serves.
pub(super) fn defined(definition: &Object, metadata: &Schema) -> Vec<Arc<Resource>> {
    let versions = at(definition, &["spec", "versions"]).and_then(Value::as_array);
    let served = versions
        .into_iter()
        .flatten()
        .filter(|version| version.get("served") == Some(&Value::Bool(true)));
    served.map(|version| Arc::new(one(definition, version, metadata))).collect()
}

fn one(definition: &Object, version: &Value, metadata: &Schema) -> Resource {
    let (group, plural) =
        (text(definition, &["spec", "group"]), text(definition, &["spec", "names", "plural"]));
    let name = version.get("name").and_then(Value::as_str).unwrap_or_default();
    let shape = version.get("schema").and_then(|schema| schema.get("openAPIV3Schema"));
    let subresources = version.get("subresources");
    let has_status = subresources.and_then(|all| all.get("status")).is_some();
    let mut schema = shape.map_or_else(Schema::empty, openapi);
    let mut status_schema = schema.clone();
    if let Schema::Fields { fields, .. } = &mut schema {
        fields.insert("metadata".to_owned(), metadata.clone());
        fields.insert("apiVersion".to_owned(), Schema::Server);
        fields.insert("kind".to_owned(), Schema::Server);
        if has_status {
            fields.insert("status".to_owned(), Schema::Server);
        }
    }
    if let Schema::Fields { fields, .. } = &mut status_schema {
        for name in ["metadata", "apiVersion", "kind"] {
            fields.insert(name.to_owned(), Schema::Server);
        }
        for (name, schema) in fields.iter_mut() {
            if name != "status" {
                *schema = Schema::Server;
            }
        }
    }
    let scale = subresources.and_then(|all| all.get("scale")).map(|scale| {
        let path = |field: &str| {
            let path = scale.get(field).and_then(Value::as_str).unwrap_or_default();
            path.split('.').filter(|step| !step.is_empty()).map(str::to_owned).collect()
        };
        Scale {
            spec: path("specReplicasPath"),
            status: path("statusReplicasPath"),
            selector: path("labelSelectorPath"),
        }
    });
    Resource {
        version: name.to_owned(),
        singular: text(definition, &["spec", "names", "singular"]),
        kind: text(definition, &["spec", "names", "kind"]),
        list_kind: text(definition, &["spec", "names", "listKind"]),
        asked: false,
        short: texts(definition, &["spec", "names", "shortNames"]),
        categories: texts(definition, &["spec", "names", "categories"]),
        namespaced: text(definition, &["spec", "scope"]) == "Namespaced",
        names: Names::Subdomain,
        generation: Generation::Counted,
        complete: schema.clone(),
        schema,
        status_schema: has_status.then_some(status_schema),
        scale,
        structure: shape.cloned(),
        rules: shape.and_then(Rules::of),
        builtin: false,
        folder: qualified(&plural, &group),
        group,
        plural,
    }
}

/// A definition's schema as to merging: types, list types and map types.
fn openapi(shape: &Value) -> Schema {
    let word = |name: &str| shape.get(name).and_then(Value::as_str).unwrap_or_default();
    let flag = |name: &str| shape.get(name) == Some(&Value::Bool(true));
    let atomic = word("x-kubernetes-map-type") == "atomic";
    if flag("x-kubernetes-int-or-string") {
        return Schema::Any;
    }
    match word("type") {
        "object" => {
            if let Some(values @ Value::Object(_)) = shape.get("additionalProperties") {
                return Schema::Map { values: Box::new(openapi(values)), atomic };
            }
            let properties = shape.get("properties").and_then(Value::as_object);
            let fields = properties.into_iter().flatten();
            let fields = fields.map(|(name, shape)| (name.clone(), openapi(shape))).collect();
            let open = flag("x-kubernetes-preserve-unknown-fields");
            Schema::Fields { fields, atomic, always: false, open }
        }
        "array" => {
            let items = shape.get("items").map(openapi).unwrap_or_default();
            match word("x-kubernetes-list-type") {
                "set" => Schema::Set,
                "map" => {
                    let keys = shape.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
                    let default = |name: &str| {
                        shape.get("items")?.get("properties")?.get(name)?.get("default").cloned()
                    };
                    let by = keys.into_iter().flatten().filter_map(Value::as_str);
                    let fields = by.map(|name| (name.to_owned(), default(name))).collect();
                    Schema::Keyed {
                        by: Keys { fields, patch: None, always: false },
                        items: Box::new(items),
                    }
                }
                _ => Schema::List(Box::new(items)),
            }
        }
        "string" => Schema::Text,
        "integer" | "number" => Schema::Number,
        "boolean" => Schema::Flag,
        _ => Schema::Any,
    }
}

/// Sets what the schema has defaults for.
pub(crate) fn set_defaults(object: &mut Object, resource: &Resource) {
    if let Some(shape) = &resource.structure {
        default_fields(object, shape);
    }
}

fn default_fields(object: &mut Object, shape: &Value) {
    let properties = shape.get("properties").and_then(Value::as_object);
    for (name, shape) in properties.into_iter().flatten() {
        if let Some(default) = shape.get("default")
            && (!object.contains_key(name)
                || (object.get(name) == Some(&Value::Null)
                    && shape.get("nullable") != Some(&Value::Bool(true))))
        {
            object.insert(name.clone(), default.clone());
        }
        if let Some(value) = object.get_mut(name) {
            default_value(value, shape);
        }
    }
    if let Some(shape @ Value::Object(_)) = shape.get("additionalProperties") {
        for value in object.values_mut() {
            default_value(value, shape);
        }
    }
}

fn default_value(value: &mut Value, shape: &Value) {
    match value {
        Value::Object(inner) => default_fields(inner, shape),
        Value::Array(items) => {
            if let Some(shape) = shape.get("items") {
                for item in items {
                    default_value(item, shape);
                }
            }
        }
        _ => {}
    }
}
