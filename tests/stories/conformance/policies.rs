//! The daemon's real admission policies, with writes of everybody whom they are about.
//! Nothing is kept: all but what must be refused are dry runs.

use std::time::{Duration, Instant};

use http::{Method, Request, header};
use kube::Client;
use serde_json::{Value, json};

use crate::{
    pair::Pair,
    support::{APPLY, JSON, MERGE, PATIENCE, send, unique, within},
    transcript::{Mask, none_of, note},
};

const PARAMETERS: &str = include_str!("../../../daemon/src/platform/snapshots/parameters.yaml");
const POLICIES: &str = include_str!("../../../daemon/src/platform/snapshots/policies.yaml");
const RIGHTS: &str = include_str!("../../../daemon/src/platform/snapshots/rights.yaml");

/// Somebody who writes, and the term that the write carries.
#[derive(Clone, Copy)]
struct Writer {
    name: &'static str,
    groups: &'static [&'static str],
    term: Option<&'static str>,
}

const EVE: Writer = Writer { name: "eve", groups: &["system:masters"], term: None };
const ADA: Writer = Writer { name: "ada", groups: &["streamspace:break-glass"], term: None };
const MALLORY: Writer = Writer { name: "mallory", groups: &[], term: None };
const LEADER: Writer = Writer { name: "streamspace:daemon", groups: &[], term: Some("7") };

/// Who, how, where, and what.
type Line = (Writer, Method, &'static str, &'static str, Value);

#[allow(clippy::too_many_lines, reason = "a table")]
fn lines() -> Vec<Line> {
    let managed = json!({ "app.kubernetes.io/managed-by": "streamspaced", "control.stream.space/instance": "streamspace" });
    let label = json!({ "metadata": { "labels": { "l": "1" } } });
    let stale = |term| Writer { term, ..LEADER };
    let namespace = "/api/v1/namespaces/NAME?dryRun=All";
    let maps = "/api/v1/namespaces/NAME/configmaps?dryRun=All";
    let elsewhere = "/api/v1/namespaces/default/configmaps?dryRun=All";
    let network = "/apis/networking.k8s.io/v1/namespaces/NAME/networkpolicies?dryRun=All";
    let leader = "/api/v1/namespaces/streamspace-system/configmaps/leader?dryRun=All";
    let pods = "/api/v1/namespaces/NAME/pods";
    let map = |labels: &Value| json!({ "metadata": { "name": "m", "labels": labels } });
    let policy = |egress: Value| json!({ "metadata": { "name": "p" }, "spec": { "podSelector": {}, "egress": egress } });
    let term = |term: Value| json!({ "data": { "term": term } });
    let pod = json!({ "metadata": { "name": "p" }, "spec": { "automountServiceAccountToken": false, "containers": [{ "name": "c", "image": "c:1" }] } });
    let scale = json!({ "spec": { "replicas": 1 } });
    vec![
        // Of the managed objects others keep their hands.
        (EVE, Method::PATCH, namespace, MERGE, label.clone()),
        (EVE, Method::DELETE, namespace, "", Value::Null),
        (
            EVE,
            Method::PATCH,
            namespace,
            MERGE,
            json!({ "metadata": { "labels": { "control.stream.space/instance": null } } }),
        ),
        (EVE, Method::POST, maps, JSON, map(&json!({}))),
        (EVE, Method::POST, maps, JSON, map(&managed)),
        (EVE, Method::POST, elsewhere, JSON, map(&managed)),
        (EVE, Method::POST, elsewhere, JSON, map(&json!({}))),
        (ADA, Method::PATCH, namespace, MERGE, label.clone()),
        // Nobody opens the network of a tenant, nor scales what it runs.
        (EVE, Method::POST, network, JSON, policy(json!([]))),
        (EVE, Method::POST, network, JSON, policy(json!([{}]))),
        (
            EVE,
            Method::PATCH,
            "/apis/apps/v1/namespaces/NAME/deployments/d/scale?dryRun=All",
            MERGE,
            scale,
        ),
        // The leader's term.
        (LEADER, Method::PATCH, namespace, MERGE, label.clone()),
        (stale(Some("8")), Method::PATCH, namespace, MERGE, label.clone()),
        (stale(Some("6")), Method::PATCH, namespace, MERGE, label.clone()),
        (stale(Some("x")), Method::PATCH, namespace, MERGE, label.clone()),
        (stale(None), Method::PATCH, namespace, MERGE, label),
        (LEADER, Method::POST, "/api/v1/namespaces/NAME/pods?dryRun=All", JSON, pod.clone()),
        (LEADER, Method::POST, pods, JSON, pod),
        // The parameters themselves.
        (EVE, Method::PATCH, leader, MERGE, term("8".into())),
        (EVE, Method::PATCH, leader, MERGE, term("6".into())),
        (EVE, Method::PATCH, leader, MERGE, term("seven".into())),
        (EVE, Method::PATCH, leader, MERGE, term(Value::Null)),
        (MALLORY, Method::PATCH, leader, MERGE, term("8".into())),
    ]
}

/// An answer to somebody.
async fn send_as(
    client: &Client,
    writer: Writer,
    method: Method,
    path: &str,
    content_type: &str,
    body: &str,
) -> (u16, Value) {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::USER_AGENT, "conformance/1")
        .header("Impersonate-User", writer.name);
    for group in writer.groups {
        request = request.header("Impersonate-Group", *group);
    }
    if let Some(term) = writer.term {
        request = request.header("Impersonate-Extra-stream.space%2fterm", term);
    }
    if !content_type.is_empty() {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    let request = request.body(kube::client::Body::from(body.as_bytes().to_vec())).unwrap();
    let response = within(client.send(request)).await.unwrap();
    let code = response.status().as_u16();
    let bytes = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    (code, serde_json::from_slice(&bytes).unwrap())
}

fn documents(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

fn path(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (version, kind, namespace) =
        (text("/apiVersion"), text("/kind"), text("/metadata/namespace"));
    let root =
        if version.contains('/') { format!("apis/{version}") } else { format!("api/{version}") };
    let plural = match kind {
        "ValidatingAdmissionPolicy" => "validatingadmissionpolicies".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    };
    let within =
        if namespace.is_empty() { String::new() } else { format!("namespaces/{namespace}/") };
    format!("/{root}/{within}{plural}/{}", text("/metadata/name"))
}

async fn applied(client: &Client, object: &Value) {
    let path = format!("{}?fieldManager=test&force=true", path(object));
    let (code, answer) = send(client, Method::PATCH, &path, APPLY, &object.to_string()).await;
    assert!(code < 300, "{path}: {answer}");
}

/// A tenant's namespace with a deployment, the parameters, the rights, and last the policies.
async fn prepare(client: &Client, name: &str) {
    for object in documents(PARAMETERS).iter().chain(&documents(RIGHTS)) {
        applied(client, object).await;
    }
    let managed = json!({ "app.kubernetes.io/managed-by": "streamspaced", "control.stream.space/instance": "streamspace" });
    applied(client, &json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": managed } })).await;
    let template = json!({ "metadata": { "labels": { "a": "b" } }, "spec": { "containers": [{ "name": "c", "image": "c:1" }] } });
    applied(client, &json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d", "namespace": name },
        "spec": { "replicas": 0, "paused": true, "selector": { "matchLabels": { "a": "b" } }, "template": template },
    }))
    .await;
    // May change the parameters' objects, and not the policies.
    let rules = json!([{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"] }]);
    let place = json!({ "name": "mallory", "namespace": "streamspace-system" });
    let rbac = "rbac.authorization.k8s.io";
    applied(client, &json!({ "apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": place, "rules": rules })).await;
    applied(
        client,
        &json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": place,
            "roleRef": { "apiGroup": rbac, "kind": "Role", "name": "mallory" },
            "subjects": [{ "apiGroup": rbac, "kind": "User", "name": "mallory" }],
        }),
    )
    .await;
    for object in documents(POLICIES) {
        applied(client, &object).await;
    }
}

/// Of two bindings that deny for the same reason the API server names either.
fn either(answer: &Value) -> Value {
    let text = answer.to_string();
    let text = text.replace("binding 'streamspace-term-rest'", "binding 'streamspace-term'");
    serde_json::from_str(&text).unwrap()
}

/// Both must answer the same to everybody. The real API server takes a while to follow its
/// own policies; it is asked until it answers so, or patience ends.
pub(crate) async fn compare(pair: &mut Pair) {
    let name = unique();
    pair.both(async |client| prepare(client, &name).await).await;
    let mut differences = Vec::new();
    let begin = Instant::now();
    for (writer, method, path, content_type, body) in lines() {
        let path = path.replace("NAME", &name);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let ask = async |client: &Client| {
            send_as(client, writer, method.clone(), &path, content_type, &body).await
        };
        loop {
            let (simulated, wanted) = pair.both(ask).await;
            let (simulated, wanted) =
                (Mask::controlled().apply(simulated), Mask::controlled().apply(wanted));
            let mut found = Vec::new();
            let request = format!("{} ({:?}): {method} {path} {body}", writer.name, writer.term);
            note(&mut found, &request, &either(&simulated), &either(&wanted));
            if found.is_empty() {
                break;
            }
            if begin.elapsed() > PATIENCE / 2 {
                differences.extend(found);
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    for object in documents(POLICIES).iter().rev() {
        let (code, answer) = send(&pair.real, Method::DELETE, &path(object), "", "").await;
        assert_eq!(code, 200, "{answer}");
    }
    // It follows them for a while after they are gone, too.
    within(async {
        let namespace = format!("/api/v1/namespaces/{name}");
        while send(&pair.real, Method::DELETE, &namespace, "", "").await.0 == 403 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    none_of(&differences);
}
