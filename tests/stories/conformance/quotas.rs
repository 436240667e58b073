//! Quotas at admission: what is refused, in which words, and what frees them again.

use std::time::Duration;

use http::Method;
use kube::Client;
use serde_json::{Value, json};

use crate::support::{JSON, MERGE, apply, behaviours, get, send, unique, within};

behaviours![pods_are_counted_and_refused, objects_are_counted_and_refused];

const PAUSE: Duration = Duration::from_millis(20);

/// A namespace with this quota, once it has been counted.
async fn limited(client: &Client, hard: Value) -> String {
    let name = unique();
    apply(client, "one", &name, json!({})).await.unwrap();
    // The real cluster refuses pods until their account is there.
    let account = json!({ "metadata": { "name": "default" } }).to_string();
    let accounts = format!("/api/v1/namespaces/{name}/serviceaccounts");
    send(client, Method::POST, &accounts, JSON, &account).await;
    let quota = json!({ "metadata": { "name": "q" }, "spec": { "hard": hard } }).to_string();
    let path = format!("/api/v1/namespaces/{name}/resourcequotas");
    assert_eq!(send(client, Method::POST, &path, JSON, &quota).await.0, 201);
    until(client, &name, |status| status["hard"] == hard && status["used"].is_object()).await;
    name
}

/// Waits until the quota's status is so.
async fn until(client: &Client, namespace: &str, fits: impl Fn(&Value) -> bool) {
    let path = format!("/api/v1/namespaces/{namespace}/resourcequotas/q");
    within(async {
        while !fits(&get(client, &path).await.1["status"]) {
            tokio::time::sleep(PAUSE).await;
        }
    })
    .await;
}

async fn create(client: &Client, namespace: &str, plural: &str, object: Value) -> (u16, Value) {
    let path = format!("/api/v1/namespaces/{namespace}/{plural}");
    send(client, Method::POST, &path, JSON, &object.to_string()).await
}

fn pod(name: &str, requests: Value) -> Value {
    json!({
        "metadata": { "name": name },
        "spec": {
            "automountServiceAccountToken": false,
            "containers": [{ "name": "main", "image": "app:1", "resources": { "requests": requests } }],
        },
    })
}

fn refused((code, status): (u16, Value), message: &str) {
    assert_eq!((code, &status["reason"]), (403, &json!("Forbidden")), "{status}");
    assert_eq!(status["message"], json!(message));
}

async fn pods_are_counted_and_refused(client: Client) {
    let hard = json!({ "pods": "2", "requests.cpu": "1", "requests.memory": "1Gi" });
    let name = limited(&client, hard).await;
    let small = json!({ "cpu": "250m", "memory": "256Mi" });
    refused(
        create(&client, &name, "pods", pod("silent", json!({}))).await,
        "pods \"silent\" is forbidden: failed quota: q: must specify requests.cpu for: main; requests.memory for: main",
    );
    refused(
        create(&client, &name, "pods", pod("large", json!({ "cpu": "2", "memory": "2Gi" }))).await,
        "pods \"large\" is forbidden: exceeded quota: q, requested: requests.cpu=2,requests.memory=2Gi, used: requests.cpu=0,requests.memory=0, limited: requests.cpu=1,requests.memory=1Gi",
    );
    assert_eq!(create(&client, &name, "pods", pod("a", small.clone())).await.0, 201);
    assert_eq!(create(&client, &name, "pods", pod("b", small.clone())).await.0, 201);
    until(&client, &name, |status| {
        status["used"] == json!({ "pods": "2", "requests.cpu": "500m", "requests.memory": "512Mi" })
    })
    .await;
    refused(
        create(&client, &name, "pods", pod("c", small.clone())).await,
        "pods \"c\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2",
    );
    // A dry run is refused as well, and one that is not counts nothing.
    let dry = format!("/api/v1/namespaces/{name}/pods?dryRun=All");
    let body = pod("c", small.clone()).to_string();
    assert_eq!(send(&client, Method::POST, &dry, JSON, &body).await.0, 403);
    let path = format!("/api/v1/namespaces/{name}/pods/a");
    // What has ended uses nothing; what is gone neither.
    let ended = json!({ "status": { "phase": "Succeeded" } }).to_string();
    assert_eq!(send(&client, Method::PATCH, &format!("{path}/status"), MERGE, &ended).await.0, 200);
    until(&client, &name, |status| status["used"]["pods"] == "1").await;
    assert_eq!(send(&client, Method::DELETE, &path, "", "").await.0, 200);
    assert_eq!(create(&client, &name, "pods", pod("c", small)).await.0, 201);
    until(&client, &name, |status| status["used"]["pods"] == "2").await;
}

async fn objects_are_counted_and_refused(client: Client) {
    let hard = json!({
        "count/secrets": "1", "services.nodeports": "0", "services.loadbalancers": "0",
        "persistentvolumeclaims": "1", "requests.storage": "10Gi",
        "fast.storageclass.storage.k8s.io/requests.storage": "2Gi",
    });
    let name = limited(&client, hard).await;
    let secret = |name: &str| json!({ "metadata": { "name": name } });
    assert_eq!(create(&client, &name, "secrets", secret("a")).await.0, 201);
    until(&client, &name, |status| status["used"]["count/secrets"] == "1").await;
    refused(
        create(&client, &name, "secrets", secret("b")).await,
        "secrets \"b\" is forbidden: exceeded quota: q, requested: count/secrets=1, used: count/secrets=1, limited: count/secrets=1",
    );
    let service = |kind: &str| json!({ "metadata": { "name": "s" }, "spec": { "type": kind, "ports": [{ "port": 80 }] } });
    refused(
        create(&client, &name, "services", service("NodePort")).await,
        "services \"s\" is forbidden: exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=0, limited: services.nodeports=0",
    );
    refused(
        create(&client, &name, "services", service("LoadBalancer")).await,
        "services \"s\" is forbidden: exceeded quota: q, requested: services.loadbalancers=1,services.nodeports=1, used: services.loadbalancers=0,services.nodeports=0, limited: services.loadbalancers=0,services.nodeports=0",
    );
    assert_eq!(create(&client, &name, "services", service("ClusterIP")).await.0, 201);
    let claim = |class: &str, amount: &str| {
        json!({
            "metadata": { "name": "c" },
            "spec": {
                "accessModes": ["ReadWriteOnce"], "storageClassName": class,
                "resources": { "requests": { "storage": amount } },
            },
        })
    };
    refused(
        create(&client, &name, "persistentvolumeclaims", claim("slow", "20Gi")).await,
        "persistentvolumeclaims \"c\" is forbidden: exceeded quota: q, requested: requests.storage=20Gi, used: requests.storage=0, limited: requests.storage=10Gi",
    );
    refused(
        create(&client, &name, "persistentvolumeclaims", claim("fast", "5Gi")).await,
        "persistentvolumeclaims \"c\" is forbidden: exceeded quota: q, requested: fast.storageclass.storage.k8s.io/requests.storage=5Gi, used: fast.storageclass.storage.k8s.io/requests.storage=0, limited: fast.storageclass.storage.k8s.io/requests.storage=2Gi",
    );
}
