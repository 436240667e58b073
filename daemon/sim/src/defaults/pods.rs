//! What a pod is given that says nothing, and how well it is treated.

use serde_json::{Value, json};

use super::{objects, put};
use crate::schema::{Object, at, edit};

/// The mode of files that come from configuration.
const FILE_MODE: u32 = 0o644;

/// Fills in a pod's specification, or that of a template.
pub(super) fn specification(spec: &mut Object) {
    put(spec, "restartPolicy", json!("Always"));
    put(spec, "terminationGracePeriodSeconds", json!(30));
    put(spec, "dnsPolicy", json!("ClusterFirst"));
    put(spec, "securityContext", json!({}));
    put(spec, "schedulerName", json!("default-scheduler"));
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        put(spec, "serviceAccount", account);
    }
    let on_host = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for list in ["initContainers", "containers"] {
        for container in objects(spec, list) {
            fill(container, on_host);
        }
    }
    for volume in objects(spec, "volumes") {
        fill_volume(volume);
    }
}

fn fill(container: &mut Object, on_host: bool) {
    put(container, "terminationMessagePath", json!("/dev/termination-log"));
    put(container, "terminationMessagePolicy", json!("File"));
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    put(container, "imagePullPolicy", json!(pull_policy(image)));
    for port in objects(container, "ports") {
        put(port, "protocol", json!("TCP"));
        if on_host && let Some(number) = port.get("containerPort").cloned() {
            put(port, "hostPort", number);
        }
    }
    for variable in objects(container, "env") {
        if let Some(Value::Object(from)) = variable.get_mut("valueFrom")
            && let Some(Value::Object(field)) = from.get_mut("fieldRef")
        {
            put(field, "apiVersion", json!("v1"));
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(Value::Object(probe)) = container.get_mut(probe) {
            fill_probe(probe);
        }
    }
}

fn pull_policy(image: &str) -> &'static str {
    let name = image.rsplit('/').next().unwrap_or(image);
    let has_digest = image.contains('@');
    let tag = name.split_once(':').map(|(_, tag)| tag);
    if !has_digest && matches!(tag, None | Some("latest")) { "Always" } else { "IfNotPresent" }
}

fn fill_probe(probe: &mut Object) {
    put(probe, "timeoutSeconds", json!(1));
    put(probe, "periodSeconds", json!(10));
    put(probe, "successThreshold", json!(1));
    put(probe, "failureThreshold", json!(3));
    if let Some(Value::Object(http)) = probe.get_mut("httpGet") {
        put(http, "path", json!("/"));
        put(http, "scheme", json!("HTTP"));
    }
    if let Some(Value::Object(grpc)) = probe.get_mut("grpc") {
        put(grpc, "service", json!(""));
    }
}

fn fill_volume(volume: &mut Object) {
    if volume.len() == 1 {
        put(volume, "emptyDir", json!({}));
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(Value::Object(source)) = volume.get_mut(source) {
            put(source, "defaultMode", json!(FILE_MODE));
        }
    }
    if let Some(Value::Object(host)) = volume.get_mut("hostPath") {
        put(host, "type", json!(""));
    }
    if let Some(Value::Object(projected)) = volume.get_mut("projected") {
        for source in objects(projected, "sources") {
            if let Some(Value::Object(token)) = source.get_mut("serviceAccountToken") {
                put(token, "expirationSeconds", json!(3600));
            }
        }
    }
}

/// What a container limits and does not request, it requests.
pub(super) fn requests(spec: &mut Object) {
    for list in ["initContainers", "containers"] {
        for container in objects(spec, list) {
            let Some(Value::Object(resources)) = container.get_mut("resources") else {
                continue;
            };
            let Some(Value::Object(limits)) = resources.get("limits").cloned() else {
                continue;
            };
            edit(resources, "requests", |requests| {
                for (name, limit) in limits {
                    requests.entry(name).or_insert(limit);
                }
            });
        }
    }
}

/// The quality of service that a pod's requests and limits amount to.
pub(super) fn quality(pod: &Object) -> &'static str {
    let containers = ["initContainers", "containers"]
        .into_iter()
        .filter_map(|list| at(pod, &["spec", list]).and_then(Value::as_array))
        .flatten();
    let (mut any, mut guaranteed) = (false, true);
    for container in containers {
        let of = |field: &str, name: &str| {
            let value = container.get("resources").and_then(|it| it.get(field)?.get(name));
            value.filter(|value| **value != json!("0")).cloned()
        };
        for name in ["cpu", "memory"] {
            let (request, limit) = (of("requests", name), of("limits", name));
            any |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && request.is_none_or(|request| Some(request) == limit);
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
