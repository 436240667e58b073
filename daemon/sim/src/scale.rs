//! The number of replicas as an object of its own: `autoscaling/v1` `Scale`.

use serde_json::{Value, json};

use crate::{
    kinds::{Resource, Scale},
    schema::{Object, edit, metadata, metadata_text},
    status::{Failure, Fault},
};

fn at<'a>(object: &'a Object, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(object.get(first)?, |value, step| value.get(step))
}

/// The object's scale.
pub(crate) fn of(resource: &Resource, object: &Object) -> Object {
    let Some(scale) = &resource.scale else {
        return Object::new();
    };
    let number = |path: &[String]| at(object, path).and_then(Value::as_i64).unwrap_or_default();
    let mut own = Object::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = metadata(object).and_then(|metadata| metadata.get(field)) {
            own.insert(field.to_owned(), value.clone());
        }
    }
    let mut spec = Object::new();
    if number(&scale.spec) != 0 {
        spec.insert("replicas".to_owned(), number(&scale.spec).into());
    }
    let mut status = json!({ "replicas": number(&scale.status) });
    if let (Value::Object(status), Some(selector)) = (&mut status, selector(scale, object)) {
        status.insert("selector".to_owned(), selector.into());
    }
    let whole = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": own,
        "spec": spec, "status": status,
    });
    match whole {
        Value::Object(whole) => whole,
        _ => Object::new(),
    }
}

/// The labels of what is counted, as text.
fn selector(scale: &Scale, object: &Object) -> Option<String> {
    let selector = match at(object, &scale.selector)? {
        Value::String(text) => return Some(text.clone()),
        other => other,
    };
    let mut parts: Vec<String> = Vec::new();
    for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten()
    {
        parts.push(format!("{key}={}", value.as_str().unwrap_or_default()));
    }
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    for expression in expressions.into_iter().flatten() {
        let text = |field: &str| expression.get(field).and_then(Value::as_str).unwrap_or_default();
        let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
        let values: Vec<&str> = values.filter_map(Value::as_str).collect();
        let key = text("key");
        parts.push(match text("operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.sort();
    Some(parts.join(","))
}

/// The object with the number of replicas that its scale now says.
pub(crate) fn written(
    resource: &Resource,
    live: &Object,
    wanted: &Object,
    name: &str,
) -> Result<Object, Failure> {
    let Some(scale) = &resource.scale else {
        return Ok(live.clone());
    };
    let replicas = wanted.get("spec").and_then(|spec| spec.get("replicas"));
    let replicas = replicas.and_then(Value::as_i64).unwrap_or_default();
    if replicas < 0 {
        let why = "must be greater than or equal to 0";
        let fault = Fault::invalid_value("spec.replicas", &replicas.to_string(), why);
        return Err(Failure::invalid("autoscaling", "Scale", name, &[fault]));
    }
    let mut object = live.clone();
    put(&mut object, &scale.spec, replicas.into());
    for field in ["uid", "resourceVersion"] {
        let given = metadata_text(wanted, field);
        if !given.is_empty() {
            edit(&mut object, "metadata", |metadata| {
                metadata.insert(field.to_owned(), given.into())
            });
        }
    }
    Ok(object)
}

/// What an applied scale says, as a configuration of the object.
pub(crate) fn configuration(resource: &Resource, wanted: &Object) -> Object {
    let mut object = Object::new();
    if let Some(metadata) = wanted.get("metadata") {
        object.insert("metadata".to_owned(), metadata.clone());
    }
    let replicas = wanted.get("spec").and_then(|spec| spec.get("replicas"));
    if let (Some(scale), Some(replicas)) = (&resource.scale, replicas) {
        put(&mut object, &scale.spec, replicas.clone());
    }
    object
}

fn put(object: &mut Object, path: &[String], value: Value) {
    match path {
        [] => {}
        [last] => {
            object.insert(last.clone(), value);
        }
        [first, rest @ ..] => edit(object, first, |inner| put(inner, rest, value)),
    }
}
