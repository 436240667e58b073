//! How a session is reached: its Service, and where sessions have a host name, the route to
//! it from outside.

use std::net::IpAddr;

use k8s_openapi::{
    api::{
        core::v1::{Service, ServicePort, ServiceSpec},
        networking::v1::{
            HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule,
            IngressServiceBackend, IngressSpec, IngressTLS, ServiceBackendPort,
        },
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use serde_json::Value;
use streamspace_core::text;
use thiserror::Error;

use super::{Made, SessionPlace};

/// What the port of a session's Service is called.
const PORT_NAME: &str = "http";
/// What stands in a Service in place of an address where it has none of its own.
const HEADLESS: &str = "None";
/// The longest host name, and the longest part of one between dots, in characters.
const HOST_MAXIMUM: usize = 253;
const PART_MAXIMUM: usize = 63;
/// What stands for what in a pattern of host names.
const PLACEHOLDERS: [&str; 3] = ["{session}", "{tenant}", "{user}"];

/// Why a session has no host name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the host name `{host}` {fault}: {remedy}")]
pub struct HostError {
    /// The name, escaped and shortened.
    pub host: String,
    /// What is wrong with it.
    pub fault: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// The host name of a session by `sessions.host_pattern`.
pub fn host(pattern: &str, session: &str, tenant: &str, user: &str) -> Result<String, HostError> {
    let [of_session, of_tenant, of_user] = PLACEHOLDERS;
    let host =
        pattern.replace(of_session, session).replace(of_tenant, tenant).replace(of_user, user);
    let refuse = |fault, remedy| HostError { host: text::excerpt(&host), fault, remedy };
    if host.len() > HOST_MAXIMUM || host.split('.').any(|part| part.len() > PART_MAXIMUM) {
        return Err(refuse(
            "is longer than a name may be",
            "choose a shorter name for the session, or ask an operator for a pattern whose parts \
             stand between dots",
        ));
    }
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(is_inner)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    if !host.split('.').all(is_part) || host.parse::<IpAddr>().is_ok() {
        return Err(refuse(
            "is no DNS name in lower case",
            "an operator must correct `sessions.host_pattern`",
        ));
    }
    Ok(host)
}

/// Checks `sessions.host_pattern`: two sessions must not have one host name, whatever
/// tenants they belong to.
pub fn check_host_pattern(pattern: &str) -> Result<(), String> {
    let [session, tenant, _] = PLACEHOLDERS;
    for placeholder in [session, tenant] {
        if !pattern.contains(placeholder) {
            return Err(format!(
                "has no `{placeholder}`, so that two sessions could have one host name: write \
                 `{{session}}.{{tenant}}.example.com`, for example"
            ));
        }
    }
    // A name with a digit first shows what no longer one would.
    host(pattern, "s", "t", "u").map(|_| ()).map_err(|error| error.to_string())
}

/// The name of a session's Service: the session's own, but that a Service's begins with a
/// letter.
pub fn service_name(session: &str, uid: &str) -> String {
    if session.starts_with(|first: char| first.is_ascii_lowercase()) {
        return session.to_owned();
    }
    // With the uid no other session has it. 63 characters are allowed.
    let name = format!("s-{session}");
    let room = PART_MAXIMUM.saturating_sub(name.len() + 1);
    let suffix: String = uid.chars().filter(char::is_ascii_alphanumeric).take(room).collect();
    if suffix.is_empty() { name } else { format!("{name}-{suffix}") }
}

/// Where the session is reached within the cluster. A session of one pod has that pod's
/// address, as its name resolves to: an address of its own for each of tens of thousands would
/// use up what a cluster has for Services, and stand in the tables of every node.
pub(super) fn service(place: &SessionPlace<'_>, made: &Made<'_>) -> Service {
    let port = i32::from(made.template.served_port);
    let shared = made.wish.max_replicas.is_some_and(|most| most > 1);
    Service {
        metadata: ObjectMeta {
            name: Some(service_name(place.name, place.uid)),
            ..place.metadata()
        },
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            cluster_ip: (!shared).then(|| HEADLESS.to_owned()),
            selector: Some(place.selector()),
            ports: Some(vec![ServicePort {
                name: Some(PORT_NAME.to_owned()),
                port,
                target_port: Some(IntOrString::Int(port)),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            // A browser stays with the copy that it began with.
            session_affinity: Some(if shared { "ClientIP" } else { "None" }.to_owned()),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// Whether a Service, live or wished, has no address of its own.
pub fn is_headless(service: &Value) -> bool {
    let address = service.pointer("/spec/clusterIP");
    address.and_then(Value::as_str) == Some(HEADLESS)
}

/// The route from outside, over TLS with the certificate of the ingress controller.
pub(super) fn ingress(place: &SessionPlace<'_>, host: &str) -> Ingress {
    let backend = IngressBackend {
        service: Some(IngressServiceBackend {
            name: service_name(place.name, place.uid),
            port: Some(ServiceBackendPort { name: Some(PORT_NAME.to_owned()), number: None }),
        }),
        resource: None,
    };
    Ingress {
        metadata: place.metadata(),
        spec: Some(IngressSpec {
            ingress_class_name: place.config.ingress_class.clone(),
            rules: Some(vec![IngressRule {
                host: Some(host.to_owned()),
                http: Some(HTTPIngressRuleValue {
                    paths: vec![HTTPIngressPath {
                        path: Some("/".to_owned()),
                        path_type: "Prefix".to_owned(),
                        backend,
                    }],
                }),
            }]),
            tls: Some(vec![IngressTLS { hosts: Some(vec![host.to_owned()]), secret_name: None }]),
            ..IngressSpec::default()
        }),
        ..Ingress::default()
    }
}
