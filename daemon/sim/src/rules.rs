//! What the API server demands of the specifications of built-in kinds, as far as the
//! project's own objects could break it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    kinds::Resource,
    schema::{Object, at},
    status::Fault,
    validation,
};

/// Everything in the specification that is refused.
pub(crate) fn faults(resource: &Resource, object: &Object, old: Option<&Object>) -> Vec<Fault> {
    let mut found = Vec::new();
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "pods") => {
            pod(at(object, &["spec"]), "spec", &mut found);
            unchanged(object, old, &mut found);
        }
        ("apps", _) => workload(object, old, &mut found),
        ("", "services") => service(object, &mut found),
        ("", "persistentvolumeclaims") => claim(object, &mut found),
        ("", "configmaps" | "secrets") => {
            keys(object, &mut found);
            constant(object, old, &mut found);
        }
        _ => {}
    }
    found
}

fn list<'a>(value: Option<&'a Value>, field: &str) -> &'a [Value] {
    let list = value.and_then(|value| value.get(field)).and_then(Value::as_array);
    list.map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn pod(spec: Option<&Value>, path: &str, found: &mut Vec<Fault>) {
    let mut names = BTreeSet::new();
    let all = list(spec, "containers");
    if all.is_empty() {
        found.push(Fault::missing(format!("{path}.containers")));
    }
    for field in ["initContainers", "containers"] {
        for (index, container) in list(spec, field).iter().enumerate() {
            let path = format!("{path}.{field}[{index}]");
            let name = text(container, "name");
            if name.is_empty() {
                found.push(Fault::missing(format!("{path}.name")));
            } else {
                found.extend(
                    validation::dns_label(name)
                        .iter()
                        .map(|why| Fault::invalid(format!("{path}.name"), name, why)),
                );
            }
            if !name.is_empty() && !names.insert(name) {
                let name = Value::from(name);
                found.push(Fault::duplicate(format!("{path}.name"), &name));
            }
            if text(container, "image").is_empty() {
                found.push(Fault::missing(format!("{path}.image")));
            }
        }
    }
    let volumes: BTreeSet<&str> =
        list(spec, "volumes").iter().map(|volume| text(volume, "name")).collect();
    for (index, container) in all.iter().enumerate() {
        for (mount, wanted) in list(Some(container), "volumeMounts").iter().enumerate() {
            let name = text(wanted, "name");
            if !volumes.contains(name) {
                let path = format!("{path}.containers[{index}].volumeMounts[{mount}].name");
                found.push(Fault::not_found(path, name));
            }
        }
    }
}

/// Of a pod's specification little may change.
fn unchanged(object: &Object, old: Option<&Object>, found: &mut Vec<Fault>) {
    let Some(old) = old else {
        return;
    };
    let substance = |object: &Object| {
        let mut spec = at(object, &["spec"]).cloned().unwrap_or_default();
        if let Value::Object(spec) = &mut spec {
            for field in [
                "activeDeadlineSeconds",
                "terminationGracePeriodSeconds",
                "tolerations",
                "nodeName",
            ] {
                spec.remove(field);
            }
            for containers in ["containers", "initContainers"] {
                let containers = spec.get_mut(containers).and_then(Value::as_array_mut);
                for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
                    container.remove("image");
                }
            }
        }
        spec
    };
    if substance(object) != substance(old) {
        let why = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        found.push(Fault::forbidden("spec", why));
    }
}

fn workload(object: &Object, old: Option<&Object>, found: &mut Vec<Fault>) {
    let selector = at(object, &["spec", "selector"]);
    let labels = at(object, &["spec", "template", "metadata", "labels"]);
    let wanted = selector.and_then(|it| it.get("matchLabels")).and_then(Value::as_object);
    let expressions = list(selector, "matchExpressions");
    if selector.is_none() {
        found.push(Fault::missing("spec.selector"));
    } else if wanted.is_none_or(Object::is_empty) && expressions.is_empty() {
        let why = "empty selector is invalid for deployment";
        found.push(Fault::invalid_value("spec.selector", "{}", why));
    }
    let fits = wanted
        .into_iter()
        .flatten()
        .all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value));
    if selector.is_some() && !fits {
        let spelled = labels.cloned().unwrap_or_else(|| Value::Object(Object::new()));
        let why = "`selector` does not match template `labels`";
        found.push(Fault::invalid_value(
            "spec.template.metadata.labels",
            &spelled.to_string(),
            why,
        ));
    }
    let replicas = at(object, &["spec", "replicas"]).and_then(Value::as_i64);
    if let Some(replicas) = replicas.filter(|replicas| *replicas < 0) {
        let why = "must be greater than or equal to 0";
        found.push(Fault::invalid_value("spec.replicas", &replicas.to_string(), why));
    }
    let strategy = at(object, &["spec", "strategy"]);
    let recreates = strategy.is_some_and(|it| text(it, "type") == "Recreate");
    if recreates && strategy.and_then(|it| it.get("rollingUpdate")).is_some() {
        let why = "may not be specified when strategy `type` is 'Recreate'";
        found.push(Fault::forbidden("spec.strategy.rollingUpdate", why));
    }
    pod(at(object, &["spec", "template", "spec"]), "spec.template.spec", found);
    let before = old.and_then(|old| at(old, &["spec", "selector"]));
    if let (Some(before), Some(now)) = (before, selector)
        && before != now
    {
        found.push(Fault::invalid_value("spec.selector", &now.to_string(), "field is immutable"));
    }
}

fn service(object: &Object, found: &mut Vec<Fault>) {
    let spec = at(object, &["spec"]);
    let kind = spec.map(|spec| text(spec, "type")).unwrap_or_default();
    let headless = spec.is_some_and(|spec| text(spec, "clusterIP") == "None");
    let ports = list(spec, "ports");
    if ports.is_empty() && kind != "ExternalName" && !headless {
        found.push(Fault::missing("spec.ports"));
    }
    for (index, port) in ports.iter().enumerate() {
        let number = port.get("port").and_then(Value::as_i64).unwrap_or_default();
        if !(1..=65535).contains(&number) {
            let path = format!("spec.ports[{index}].port");
            let why = "must be between 1 and 65535, inclusive";
            found.push(Fault::invalid_value(path, &number.to_string(), why));
        }
        if ports.len() > 1 && text(port, "name").is_empty() {
            found.push(Fault::missing(format!("spec.ports[{index}].name")));
        }
    }
}

fn claim(object: &Object, found: &mut Vec<Fault>) {
    let spec = at(object, &["spec"]);
    if list(spec, "accessModes").is_empty() {
        found.push(Fault::required("spec.accessModes", "at least 1 access mode is required"));
    }
    if at(object, &["spec", "resources", "requests", "storage"]).is_none() {
        found.push(Fault::missing("spec.resources[storage]"));
    }
}

/// The keys of a map are names of files.
fn keys(object: &Object, found: &mut Vec<Fault>) {
    const WORDS: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    for field in ["data", "binaryData"] {
        let map = object.get(field).and_then(Value::as_object).into_iter().flatten();
        for (key, _) in map {
            let is_named = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if key.is_empty() || !key.bytes().all(is_named) {
                found.push(Fault::invalid(format!("{field}[{key}]"), key, WORDS));
            }
        }
    }
}

/// What was made immutable stays as it is.
fn constant(object: &Object, old: Option<&Object>, found: &mut Vec<Fault>) {
    let Some(old) = old.filter(|old| old.get("immutable") == Some(&Value::Bool(true))) else {
        return;
    };
    if object.get("immutable") != Some(&Value::Bool(true)) {
        found.push(Fault::forbidden("immutable", "field is immutable when `immutable` is set"));
    }
    for field in ["data", "binaryData"] {
        if object.get(field) != old.get(field) {
            found.push(Fault::forbidden(field, "field is immutable when `immutable` is set"));
        }
    }
}
