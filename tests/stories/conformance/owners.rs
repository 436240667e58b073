//! What belongs to another object: the three ways in which an owner goes.

use std::time::Duration;

use http::Method;
use kube::Client;
use serde_json::{Value, json};

use crate::support::{JSON, MERGE, apply, behaviours, get, send, unique, within};

behaviours![
    what_belongs_to_what_is_gone_goes,
    an_owner_that_goes_last_waits,
    what_is_orphaned_stays,
    one_owner_of_two_is_enough,
    what_nobody_owns_from_the_beginning_goes,
];

const PAUSE: Duration = Duration::from_millis(20);

fn maps(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps")
}

async fn made(client: &Client) -> String {
    let name = unique();
    apply(client, "one", &name, json!({})).await.unwrap();
    name
}

/// A map that belongs to these, and its uid.
async fn map(client: &Client, namespace: &str, name: &str, owners: &[(&str, &str)]) -> String {
    let owners: Vec<Value> = owners
        .iter()
        .map(|(name, uid)| {
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid,
                "blockOwnerDeletion": true,
            })
        })
        .collect();
    let body = json!({ "metadata": { "name": name, "ownerReferences": owners } });
    let (code, made) = send(client, Method::POST, &maps(namespace), JSON, &body.to_string()).await;
    assert_eq!(code, 201, "{made}");
    made["metadata"]["uid"].as_str().unwrap().to_owned()
}

async fn delete(client: &Client, namespace: &str, name: &str, policy: &str) -> (u16, Value) {
    let options = json!({ "propagationPolicy": policy }).to_string();
    let path = format!("{}/{name}", maps(namespace));
    send(client, Method::DELETE, &path, JSON, &options).await
}

async fn is_there(client: &Client, namespace: &str, name: &str) -> Option<Value> {
    let (code, found) = get(client, &format!("{}/{name}", maps(namespace))).await;
    (code == 200).then_some(found)
}

async fn gone(client: &Client, namespace: &str, name: &str) {
    within(async {
        while is_there(client, namespace, name).await.is_some() {
            tokio::time::sleep(PAUSE).await;
        }
    })
    .await;
}

async fn hold(client: &Client, namespace: &str, name: &str, finalizers: Value) {
    let body = json!({ "metadata": { "finalizers": finalizers } }).to_string();
    let path = format!("{}/{name}?fieldManager=holder", maps(namespace));
    assert_eq!(send(client, Method::PATCH, &path, MERGE, &body).await.0, 200);
}

/// Takes one finalizer away from an object that goes, of exactly the version that was read: the
/// garbage collector takes its own meanwhile, and what it took may not be given back.
async fn let_go(client: &Client, namespace: &str, name: &str, finalizer: &str) {
    let path = format!("{}/{name}?fieldManager=holder", maps(namespace));
    loop {
        let live = is_there(client, namespace, name).await.unwrap();
        let mut rest = live["metadata"]["finalizers"].as_array().unwrap().clone();
        rest.retain(|held| held != finalizer);
        let version = &live["metadata"]["resourceVersion"];
        let body = json!({ "metadata": { "resourceVersion": version, "finalizers": rest } });
        match send(client, Method::PATCH, &path, MERGE, &body.to_string()).await {
            (409, _) => {}
            (code, answer) => return assert_eq!(code, 200, "{answer}"),
        }
    }
}

async fn what_belongs_to_what_is_gone_goes(client: Client) {
    let namespace = made(&client).await;
    let owner = map(&client, &namespace, "owner", &[]).await;
    let child = map(&client, &namespace, "child", &[("owner", &owner)]).await;
    map(&client, &namespace, "grandchild", &[("child", &child)]).await;
    map(&client, &namespace, "stranger", &[]).await;
    let (code, status) = delete(&client, &namespace, "owner", "Background").await;
    assert_eq!((code, &status["status"]), (200, &json!("Success")), "gone at once");
    gone(&client, &namespace, "child").await;
    gone(&client, &namespace, "grandchild").await;
    assert!(is_there(&client, &namespace, "stranger").await.is_some());
}

async fn an_owner_that_goes_last_waits(client: Client) {
    let namespace = made(&client).await;
    let owner = map(&client, &namespace, "owner", &[]).await;
    map(&client, &namespace, "child", &[("owner", &owner)]).await;
    hold(&client, &namespace, "child", json!(["stream.space/hold"])).await;
    let (code, live) = delete(&client, &namespace, "owner", "Foreground").await;
    assert_eq!((code, &live["kind"]), (200, &json!("ConfigMap")));
    assert_eq!(live["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    assert!(live["metadata"]["deletionTimestamp"].is_string());
    // The dependent is asked to go, and held; so is its owner.
    within(async {
        loop {
            let child = is_there(&client, &namespace, "child").await.unwrap();
            if child["metadata"]["deletionTimestamp"].is_string() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
    .await;
    assert!(is_there(&client, &namespace, "owner").await.is_some());
    within(let_go(&client, &namespace, "child", "stream.space/hold")).await;
    gone(&client, &namespace, "child").await;
    gone(&client, &namespace, "owner").await;
}

async fn what_is_orphaned_stays(client: Client) {
    let namespace = made(&client).await;
    let owner = map(&client, &namespace, "owner", &[]).await;
    map(&client, &namespace, "child", &[("owner", &owner)]).await;
    let (_, live) = delete(&client, &namespace, "owner", "Orphan").await;
    assert_eq!(live["metadata"]["finalizers"], json!(["orphan"]));
    gone(&client, &namespace, "owner").await;
    let child = is_there(&client, &namespace, "child").await.unwrap();
    assert!(child["metadata"].get("ownerReferences").is_none(), "{child}");
}

async fn one_owner_of_two_is_enough(client: Client) {
    let namespace = made(&client).await;
    let first = map(&client, &namespace, "first", &[]).await;
    let second = map(&client, &namespace, "second", &[]).await;
    map(&client, &namespace, "child", &[("first", &first), ("second", &second)]).await;
    delete(&client, &namespace, "first", "Background").await;
    // The reference to what is gone is taken away.
    within(async {
        loop {
            let child = is_there(&client, &namespace, "child").await.unwrap();
            if child["metadata"]["ownerReferences"].as_array().unwrap().len() == 1 {
                assert_eq!(child["metadata"]["ownerReferences"][0]["uid"], json!(second));
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
    .await;
    delete(&client, &namespace, "second", "Background").await;
    gone(&client, &namespace, "child").await;
}

async fn what_nobody_owns_from_the_beginning_goes(client: Client) {
    let namespace = made(&client).await;
    map(&client, &namespace, "child", &[("nobody", "11111111-1111-1111-1111-111111111111")]).await;
    gone(&client, &namespace, "child").await;
}
