//! Sessions in the cluster of a story: their objects, the templates that they are made of,
//! and nodes that are played.

#![allow(clippy::expect_used, reason = "a panic fails the story, as it should")]

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Error,
    api::{ApiResource, DynamicObject, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use streamspaced::simulator::kubelet;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{cluster::Cluster, region::Region, wait::until};

/// The kind of sessions.
pub fn session_resource() -> ApiResource {
    resource("Session", "sessions")
}

/// The sessions of a namespace.
pub fn sessions(client: Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client, namespace, &session_resource())
}

/// The templates of a namespace.
pub fn templates(client: Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client, namespace, &resource("Template", "templates"))
}

/// Reads an object that is written as JSON.
pub fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("it is an object of the kind")
}

/// Makes a namespace with a template of each of these names and images. That it is the
/// region's catalogue, its configuration says.
pub async fn catalogue(region: &Region, namespace: &str, content: &[(&str, &str)]) {
    let parameters = PostParams::default();
    let namespaces: Api<Namespace> = region.namespaces().await;
    let body = object(json!({"metadata": {"name": namespace}}));
    namespaces.create(&parameters, &body).await.expect("a namespace");
    let templates = templates(region.client().await, namespace);
    for (name, image) in content {
        let template = json!({
            "apiVersion": "stream.space/v1alpha1", "kind": "Template",
            "metadata": {"name": name},
            "spec": {"displayName": name, "baseImage": image, "vnc": {"port": 3000}},
        });
        templates.create(&parameters, &object(template)).await.expect("a template");
    }
}

/// Creates a session, as a user's program does. Where several are counted against one quota
/// at the same time, the API server asks some of them to try it again.
pub async fn create(sessions: &Api<DynamicObject>, session: &DynamicObject) -> DynamicObject {
    try_create(sessions, session).await.expect("a session that is allowed")
}

/// As [`create`], of a session that may be refused.
pub async fn try_create(
    sessions: &Api<DynamicObject>,
    session: &DynamicObject,
) -> kube::Result<DynamicObject> {
    until("the API server has counted it", async || {
        match sessions.create(&PostParams::default(), session).await {
            Err(Error::Api(status)) if status.reason == "Conflict" => Err(status.message),
            made => Ok(made),
        }
    })
    .await
}

/// A client as nodes have it.
pub async fn node_client(cluster: &Cluster) -> Client {
    let groups = ["system:nodes", "system:masters", "system:authenticated"];
    cluster.client_as("system:node:story", &groups).await.expect("a client")
}

/// Nodes on which pods become ready, until the guard goes.
pub fn nodes(client: Client) -> DropGuard {
    let stop = CancellationToken::new();
    tokio::spawn(kubelet::run(client, kubelet::Options::default(), stop.clone()));
    stop.drop_guard()
}

fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "stream.space".into(),
        version: "v1alpha1".into(),
        api_version: "stream.space/v1alpha1".into(),
        kind: kind.into(),
        plural: plural.into(),
    }
}
