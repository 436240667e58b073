//! What the behaviours share.

use std::time::Duration;

use futures::{AsyncBufReadExt, StreamExt, TryStreamExt, future::BoxFuture, stream::BoxStream};
use http::{Method, Request, header};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    core::Status,
};
use serde_json::{Value, json};

pub(crate) const APPLY: &str = "application/apply-patch+yaml";
pub(crate) const JSON: &str = "application/json";
pub(crate) const MERGE: &str = "application/merge-patch+json";
/// The most that any single step may take.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Makes the list of a module's behaviours from its functions.
macro_rules! behaviours {
    ($($name:ident),+ $(,)?) => {
        pub(crate) fn behaviours() -> Vec<crate::Behaviour> {
            vec![$((concat!(module_path!(), "::", stringify!($name)), |client| Box::pin($name(client)))),+]
        }
    };
}
pub(crate) use behaviours;

/// What the names of this run begin with.
fn prefix() -> String {
    format!("conformance-{}-", std::process::id())
}

/// Deletes what this run has left, in a cluster that outlives it.
pub(crate) async fn clean_up(client: &Client) {
    let list = namespaces(client).list(&ListParams::default()).await.unwrap();
    for name in list.items.into_iter().filter_map(|item| item.metadata.name) {
        if name.starts_with(&prefix()) {
            namespaces(client).delete(&name, &DeleteParams::default()).await.unwrap();
        }
    }
}

/// A name that no other behaviour uses.
pub(crate) fn unique() -> String {
    format!("{}{}", prefix(), uuid::Uuid::new_v4().simple())
}

pub(crate) fn namespaces(client: &Client) -> Api<Namespace> {
    Api::all(client.clone())
}

pub(crate) fn path(name: &str) -> String {
    format!("/api/v1/namespaces/{name}")
}

/// An answer's code and JSON, as it came.
pub(crate) async fn send(
    client: &Client,
    method: Method,
    path: &str,
    content_type: &str,
    body: &str,
) -> (u16, Value) {
    let mut request =
        Request::builder().method(method).uri(path).header(header::USER_AGENT, "conformance/1");
    if !content_type.is_empty() {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    let request = request.body(kube::client::Body::from(body.as_bytes().to_vec())).unwrap();
    let response = within(client.send(request)).await.unwrap();
    let code = response.status().as_u16();
    let bytes = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    let value =
        serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
    (code, value)
}

pub(crate) async fn get(client: &Client, path: &str) -> (u16, Value) {
    send(client, Method::GET, path, "", "").await
}

/// The configuration of a namespace with these labels.
pub(crate) fn configuration(name: &str, labels: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } })
}

pub(crate) async fn apply(
    client: &Client,
    manager: &str,
    name: &str,
    labels: Value,
) -> kube::Result<Namespace> {
    let patch = Patch::Apply(configuration(name, &labels));
    namespaces(client).patch(name, &PatchParams::apply(manager), &patch).await
}

pub(crate) async fn force(
    client: &Client,
    manager: &str,
    name: &str,
    labels: Value,
) -> kube::Result<Namespace> {
    let patch = Patch::Apply(configuration(name, &labels));
    namespaces(client).patch(name, &PatchParams::apply(manager).force(), &patch).await
}

/// Changes labels as a hand with kubectl does.
pub(crate) async fn label(
    client: &Client,
    manager: &str,
    name: &str,
    labels: Value,
) -> kube::Result<Namespace> {
    let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
    namespaces(client)
        .patch(name, &params, &Patch::Merge(json!({ "metadata": { "labels": labels } })))
        .await
}

/// The namespace's labels without the server's own.
pub(crate) fn labels(namespace: &Namespace) -> Value {
    let mut labels = namespace.metadata.labels.clone().unwrap_or_default();
    let name = labels.remove("kubernetes.io/metadata.name");
    assert_eq!(name, namespace.metadata.name, "the label that carries the name");
    json!(labels)
}

pub(crate) fn version(namespace: &Namespace) -> String {
    namespace.metadata.resource_version.clone().unwrap()
}

/// `[manager, operation, fieldsV1]` of every entry, sorted.
pub(crate) fn managers(namespace: &Namespace) -> Value {
    let mut entries: Vec<Value> = namespace
        .metadata
        .managed_fields
        .iter()
        .flatten()
        .map(|entry| json!([entry.manager, entry.operation, entry.fields_v1]))
        .collect();
    entries.sort_by_key(ToString::to_string);
    Value::Array(entries)
}

/// The API's own refusal.
pub(crate) fn refusal<T: std::fmt::Debug>(result: kube::Result<T>) -> Status {
    match result {
        Err(kube::Error::Api(status)) => *status,
        other => panic!("not refused by the API: {other:?}"),
    }
}

/// The events of a watch as JSON; the path has a query.
pub(crate) async fn watch(client: &Client, path: &str) -> BoxStream<'static, Value> {
    let request = Request::get(path).body(Vec::new()).unwrap();
    let lines = within(client.request_stream(request)).await.unwrap().lines();
    lines.into_stream().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).boxed()
}

/// The next event as its type and object.
pub(crate) async fn next(events: &mut BoxStream<'static, Value>) -> (String, Value) {
    let event = within(events.next()).await.unwrap();
    (event["type"].as_str().unwrap().to_owned(), event["object"].clone())
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap()
}

/// Keeps the namespace from going once it is deleted.
pub(crate) async fn hold(client: &Client, name: &str) -> Namespace {
    let held = Patch::Merge(json!({ "metadata": { "finalizers": ["stream.space/hold"] } }));
    let params = PatchParams { field_manager: Some("holder".to_owned()), ..PatchParams::default() };
    namespaces(client).patch(name, &params, &held).await.unwrap()
}

/// Takes the hold away.
pub(crate) async fn release(client: &Client, name: &str) {
    let free = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    namespaces(client).patch(name, &PatchParams::default(), &free).await.unwrap();
}

/// Waits until the namespace is gone.
pub(crate) async fn gone(client: &Client, name: &str) {
    within(async {
        while namespaces(client).get_opt(name).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

/// Asks that the future is still pending after a while.
pub(crate) async fn stays_silent<T: std::fmt::Debug>(future: BoxFuture<'_, T>) {
    let said = tokio::time::timeout(Duration::from_millis(500), future).await;
    assert!(said.is_err(), "said {said:?}");
}
