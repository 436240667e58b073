//! What a service is given: its type, its families and its addresses.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{objects, put};
use crate::schema::{Object, at, edit};

/// Where the ports of nodes begin, and how many there are.
const NODE_PORTS: (u16, u16) = (30_000, 2_768);

pub(super) fn fill(object: &mut Object) {
    edit(object, "spec", |spec| {
        put(spec, "sessionAffinity", json!("None"));
        put(spec, "type", json!("ClusterIP"));
        if spec.get("sessionAffinity").is_some_and(|it| it == "ClientIP") {
            put(spec, "sessionAffinityConfig", json!({ "clientIP": { "timeoutSeconds": 10_800 } }));
        }
        let kind = kind(spec);
        for port in objects(spec, "ports") {
            put(port, "protocol", json!("TCP"));
            let own = port.get("port").cloned().unwrap_or_default();
            put(port, "targetPort", own);
        }
        if kind == "NodePort" || kind == "LoadBalancer" {
            put(spec, "externalTrafficPolicy", json!("Cluster"));
        }
        if kind == "LoadBalancer" {
            put(spec, "allocateLoadBalancerNodePorts", json!(true));
        }
        if kind != "ExternalName" {
            put(spec, "internalTrafficPolicy", json!("Cluster"));
        }
    });
}

fn kind(spec: &Object) -> String {
    spec.get("type").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Gives a new service its addresses and ports. They are drawn, and drawn twice they
/// would be given twice.
pub(crate) fn allocate(object: &mut Object) {
    let headless = at(object, &["spec", "clusterIP"]) == Some(&json!("None"));
    edit(object, "spec", |spec| {
        let kind = kind(spec);
        if kind == "ExternalName" {
            return;
        }
        // What selects nothing and has no address may be anywhere.
        if headless && !spec.contains_key("selector") {
            put(spec, "ipFamilies", json!(["IPv4", "IPv6"]));
            put(spec, "ipFamilyPolicy", json!("RequireDualStack"));
        }
        put(spec, "ipFamilies", json!(["IPv4"]));
        put(spec, "ipFamilyPolicy", json!("SingleStack"));
        let random = *Uuid::new_v4().as_bytes();
        let [first, second, third, fourth, ..] = random;
        if !headless && !spec.contains_key("clusterIP") {
            let address = format!("10.96.{first}.{}", second.clamp(1, 254));
            spec.insert("clusterIP".to_owned(), address.into());
        }
        let address = spec.get("clusterIP").cloned().unwrap_or_default();
        put(spec, "clusterIPs", json!([address]));
        let has_ports = spec.get("allocateLoadBalancerNodePorts") != Some(&Value::Bool(false));
        if kind == "NodePort" || (kind == "LoadBalancer" && has_ports) {
            let (begin, count) = NODE_PORTS;
            let mut drawn = u16::from_be_bytes([third, fourth]) % count;
            for port in objects(spec, "ports") {
                put(port, "nodePort", json!(begin + drawn));
                drawn = (drawn + 1) % count;
            }
        }
    });
}

/// What was given to a service stays with it when a client does not say it again.
pub(crate) fn keep_allocated(live: &Object, object: &mut Object) {
    let Some(Value::Object(old)) = live.get("spec") else {
        return;
    };
    edit(object, "spec", |spec| {
        if kind(spec) == "ExternalName" {
            return;
        }
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if let Some(value) = old.get(field) {
                put(spec, field, value.clone());
            }
        }
        if !matches!(&*kind(spec), "NodePort" | "LoadBalancer") {
            return;
        }
        let before = old.get("ports").and_then(Value::as_array).cloned().unwrap_or_default();
        for port in objects(spec, "ports") {
            let is_it = |old: &&Value| {
                old.get("port") == port.get("port")
                    && old.get("protocol") == port.get("protocol").or(Some(&json!("TCP")))
            };
            if let Some(given) = before.iter().find(is_it).and_then(|old| old.get("nodePort")) {
                put(port, "nodePort", given.clone());
            }
        }
    });
}
