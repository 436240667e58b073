//! Short stories told to both in the same words, each in a namespace of its own: patches,
//! parts of objects with paths of their own, values of custom resources, admission, and
//! who may do what. The answers must be the same to the letter.

use http::Method;
use kube::Client;
use serde_json::{Value, json};

use crate::{
    pair::Pair,
    scripts_admission, scripts_objects,
    support::{apply, namespaces, send, unique},
    transcript::{Mask, none_of, note},
};

/// One request: method, path, content type, body. `NAME` is the story's own namespace.
pub(crate) type Line = (Method, String, &'static str, Value);

/// A story: what it is about, and its requests.
pub(crate) type Script = (&'static str, Vec<Line>);

pub(crate) fn line(method: Method, path: &str, content_type: &'static str, body: Value) -> Line {
    (method, path.to_owned(), content_type, body)
}

pub(crate) fn get(path: &str) -> Line {
    line(Method::GET, path, "", Value::Null)
}

pub(crate) fn post(path: &str, body: Value) -> Line {
    line(Method::POST, path, crate::support::JSON, body)
}

pub(crate) fn put(path: &str, body: Value) -> Line {
    line(Method::PUT, path, crate::support::JSON, body)
}

pub(crate) fn delete(path: &str, options: Value) -> Line {
    line(Method::DELETE, path, crate::support::JSON, options)
}

pub(crate) fn applied(path: &str, body: Value) -> Line {
    line(Method::PATCH, path, crate::support::APPLY, body)
}

pub(crate) fn merged(path: &str, body: Value) -> Line {
    line(Method::PATCH, path, crate::support::MERGE, body)
}

pub(crate) fn strategic(path: &str, body: Value) -> Line {
    line(Method::PATCH, path, "application/strategic-merge-patch+json", body)
}

pub(crate) fn operations(path: &str, body: Value) -> Line {
    line(Method::PATCH, path, "application/json-patch+json", body)
}

fn scripts() -> Vec<Script> {
    [scripts_objects::scripts(), scripts_admission::scripts()].concat()
}

/// The project's own definitions, and one that has what they have not.
const DEFINITIONS: [&str; 3] = [
    include_str!("../../../packaging/crds/sessions.stream.space.yaml"),
    include_str!("../../../packaging/crds/templates.stream.space.yaml"),
    include_str!("troupes.yaml"),
];

/// Has the cluster serve the project's own kinds.
async fn define(client: &Client) {
    for text in DEFINITIONS {
        let definition: Value = serde_saphyr::from_str(text).unwrap();
        let name = definition["metadata"]["name"].as_str().unwrap();
        let path = format!(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}?fieldManager=test&force=true"
        );
        let body = definition.to_string();
        let (code, answer) = send(client, Method::PATCH, &path, crate::support::APPLY, &body).await;
        assert!(code < 300, "{answer}");
        let plural = definition["spec"]["names"]["plural"].as_str().unwrap();
        crate::support::within(async {
            let group = definition["spec"]["group"].as_str().unwrap();
            let path = format!("/apis/{group}/v1alpha1/{plural}");
            while crate::support::get(client, &path).await.0 != 200 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}

/// Tells every story to both, and fails with all answers that differ.
pub(crate) async fn compare(pair: &mut Pair) {
    let mut differences = Vec::new();
    pair.both(async |client| define(client).await).await;
    for (about, lines) in scripts() {
        let name = unique();
        pair.both(async |client| {
            apply(client, "test", &name, json!({})).await.unwrap();
            settled(client, &name).await;
        })
        .await;
        let (mut left, mut right) = (Mask::controlled(), Mask::controlled());
        for (method, path, content_type, body) in lines {
            let path = path.replace("NAME", &name);
            let body = if body.is_null() { String::new() } else { body.to_string() };
            let body = body.replace("NAME", &name);
            let (simulated, wanted) = pair.ask(&method, &path, content_type, &body).await;
            let (simulated, wanted) = (left.apply(simulated), right.apply(wanted));
            let request = format!("{about}: {method} {path} {body}");
            note(&mut differences, &request, &simulated, &wanted);
        }
        pair.both(async |client| {
            namespaces(client).delete(&name, &kube::api::DeleteParams::default()).await.unwrap()
        })
        .await;
    }
    none_of(&differences);
}

/// Waits for the account that the real cluster makes in each namespace, without which it
/// refuses pods. The simulator has none, and refuses none.
async fn settled(client: &Client, namespace: &str) {
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/default");
    let is_simulated = client
        .apiserver_version()
        .await
        .is_ok_and(|version| version.git_version.contains("streamspace"));
    if is_simulated {
        return;
    }
    crate::support::within(async {
        while crate::support::get(client, &path).await.0 != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
}
