//! What the API server fills in where a client says nothing, kind by kind.

use serde_json::{Value, json};

use crate::{
    kinds::Resource,
    schema::{Object, edit},
};

mod pods;
mod services;

pub(crate) use services::{allocate, keep_allocated};

const RBAC: &str = "rbac.authorization.k8s.io";

/// Fills in the defaults of a built-in kind.
pub(crate) fn fill(resource: &Resource, object: &mut Object) {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "limitranges") => limit_range(object),
        ("", "pods") => {
            edit(object, "spec", |spec| {
                pods::specification(spec);
                put(spec, "enableServiceLinks", json!(true));
                pods::requests(spec);
            });
        }
        ("", "services") => services::fill(object),
        ("", "persistentvolumeclaims") => {
            edit(object, "spec", |spec| put(spec, "volumeMode", json!("Filesystem")));
        }
        ("apps", plural) => edit(object, "spec", |spec| workload(spec, plural == "deployments")),
        ("autoscaling", _) => edit(object, "spec", autoscaler),
        ("", "secrets") => put(object, "type", json!("Opaque")),
        ("networking.k8s.io", "networkpolicies") => edit(object, "spec", network_policy),
        (RBAC, "roles" | "clusterroles") => {
            object.entry("rules").or_insert(Value::Null);
        }
        (RBAC, _) => binding(object),
        ("admissionregistration.k8s.io", "validatingadmissionpolicies") => {
            edit(object, "spec", |spec| {
                put(spec, "failurePolicy", json!("Fail"));
                spec.entry("validations").or_insert(Value::Null);
                match_resources(spec, "matchConstraints");
            });
        }
        ("admissionregistration.k8s.io", _) => {
            edit(object, "spec", |spec| match_resources(spec, "matchResources"));
        }
        (crate::kinds::EXTENSIONS, _) => edit(object, "spec", definition),
        _ => {}
    }
}

/// What a new object's status is before any controller has seen it.
pub(crate) fn first_status(resource: &Resource, object: &Object) -> Option<Value> {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "namespaces") => Some(json!({ "phase": "Active" })),
        ("", "persistentvolumeclaims") => Some(json!({ "phase": "Pending" })),
        ("", "pods") => Some(json!({ "phase": "Pending", "qosClass": pods::quality(object) })),
        ("", "services") | ("networking.k8s.io", "ingresses") => {
            Some(json!({ "loadBalancer": {} }))
        }
        ("apps", "replicasets") => Some(json!({ "replicas": 0 })),
        ("autoscaling", _) => Some(json!({ "currentMetrics": null, "desiredReplicas": 0 })),
        ("apps", _)
        | ("", "resourcequotas")
        | ("admissionregistration.k8s.io", "validatingadmissionpolicies") => Some(json!({})),
        ("policy", _) => Some(json!({
            "currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0,
        })),
        (crate::kinds::EXTENSIONS, _) => Some(json!({
            "acceptedNames": { "kind": "", "plural": "" }, "conditions": [], "storedVersions": [],
        })),
        _ => None,
    }
}

fn put(object: &mut Object, name: &str, value: Value) {
    object.entry(name).or_insert(value);
}

fn objects<'a>(object: &'a mut Object, list: &str) -> impl Iterator<Item = &'a mut Object> {
    let list = object.get_mut(list).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn workload(spec: &mut Object, is_deployment: bool) {
    put(spec, "replicas", json!(1));
    if is_deployment {
        put(spec, "revisionHistoryLimit", json!(10));
        put(spec, "progressDeadlineSeconds", json!(600));
        edit(spec, "strategy", |strategy| {
            put(strategy, "type", json!("RollingUpdate"));
            if strategy.get("type").is_some_and(|kind| kind == "RollingUpdate") {
                edit(strategy, "rollingUpdate", |update| {
                    put(update, "maxUnavailable", json!("25%"));
                    put(update, "maxSurge", json!("25%"));
                });
            }
        });
    }
    edit(spec, "template", |template| edit(template, "spec", pods::specification));
}

fn autoscaler(spec: &mut Object) {
    put(spec, "minReplicas", json!(1));
    let has_metrics =
        spec.get("metrics").and_then(Value::as_array).is_some_and(|it| !it.is_empty());
    if !has_metrics {
        let target = json!({ "type": "Utilization", "averageUtilization": 80 });
        let metric = json!({ "type": "Resource", "resource": { "name": "cpu", "target": target } });
        spec.insert("metrics".to_owned(), json!([metric]));
    }
}

fn network_policy(spec: &mut Object) {
    for direction in ["ingress", "egress"] {
        for rule in objects(spec, direction) {
            for port in objects(rule, "ports") {
                put(port, "protocol", json!("TCP"));
            }
        }
    }
    if !spec.contains_key("policyTypes") {
        let both =
            spec.get("egress").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
        let types = if both { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
        spec.insert("policyTypes".to_owned(), types);
    }
}

fn binding(object: &mut Object) {
    edit(object, "roleRef", |reference| put(reference, "apiGroup", json!(RBAC)));
    for subject in objects(object, "subjects") {
        if matches!(subject.get("kind").and_then(Value::as_str), Some("User" | "Group")) {
            put(subject, "apiGroup", json!(RBAC));
        }
    }
}

/// A container's limit without a default is its default, that is its default
/// request, and so is a minimum.
fn limit_range(object: &mut Object) {
    edit(object, "spec", |spec| {
        spec.entry("limits").or_insert(Value::Null);
        for limits in objects(spec, "limits") {
            if limits.get("type").and_then(Value::as_str) != Some("Container") {
                continue;
            }
            for (from, to) in
                [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")]
            {
                let Some(Value::Object(source)) = limits.get(from).cloned() else {
                    continue;
                };
                edit(limits, to, |target| {
                    for (key, value) in source {
                        target.entry(key).or_insert(value);
                    }
                });
            }
        }
    });
}

fn match_resources(spec: &mut Object, field: &str) {
    let Some(Value::Object(matched)) = spec.get_mut(field) else {
        return;
    };
    put(matched, "matchPolicy", json!("Equivalent"));
    put(matched, "namespaceSelector", json!({}));
    put(matched, "objectSelector", json!({}));
    for list in ["resourceRules", "excludeResourceRules"] {
        for rule in objects(matched, list) {
            put(rule, "scope", json!("*"));
        }
    }
}

fn definition(spec: &mut Object) {
    put(spec, "conversion", json!({ "strategy": "None" }));
    edit(spec, "names", |names| {
        let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        put(names, "listKind", json!(format!("{kind}List")));
        put(names, "singular", json!(kind.to_lowercase()));
    });
}
