//! The end of a namespace.

use http::Method;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Client,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::json;

use crate::support::{
    JSON, apply, behaviours, configuration, gone, hold, labels, namespaces, refusal, release, send,
    unique, version, within,
};

behaviours![
    a_missing_namespace_cannot_be_deleted,
    preconditions_guard,
    a_dry_delete_deletes_nothing,
    a_namespace_terminates_and_goes,
    a_name_is_free_again_after_the_end,
    a_terminating_namespace_takes_labels_but_no_finalizers,
    a_finalizer_holds_until_it_is_taken_away,
    some_namespaces_cannot_be_deleted,
    a_namespace_can_be_let_go_by_hand,
];

async fn delete(client: &Client, name: &str, params: &DeleteParams) -> kube::Result<Namespace> {
    let deleted = namespaces(client).delete(name, params).await?;
    Ok(deleted.left().unwrap())
}

fn only(uid: Option<&str>, version: Option<&str>) -> DeleteParams {
    DeleteParams::default().preconditions(Preconditions {
        uid: uid.map(str::to_owned),
        resource_version: version.map(str::to_owned),
    })
}

fn phase(namespace: &Namespace) -> &str {
    namespace.status.as_ref().unwrap().phase.as_deref().unwrap()
}

async fn a_missing_namespace_cannot_be_deleted(client: Client) {
    let name = unique();
    let status = refusal(delete(&client, &name, &DeleteParams::default()).await);
    assert_eq!((status.code, status.message), (404, format!("namespaces {name:?} not found")));
}

async fn preconditions_guard(client: Client) {
    let name = unique();
    let first = apply(&client, "one", &name, json!({ "a": "1" })).await.unwrap();
    let second = apply(&client, "one", &name, json!({ "a": "2" })).await.unwrap();
    let uid = second.metadata.uid.clone().unwrap();
    let status = refusal(delete(&client, &name, &only(Some("another"), None)).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    let said = "Precondition failed: UID in precondition: another, UID in object meta";
    assert_eq!(
        status.message,
        format!("Operation cannot be fulfilled on namespaces {name:?}: {said}: {uid}")
    );
    let status = refusal(delete(&client, &name, &only(Some(&uid), Some(&version(&first)))).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    let said = format!(
        "Precondition failed: ResourceVersion in precondition: {}, ResourceVersion in object meta: {}",
        version(&first),
        version(&second)
    );
    assert_eq!(
        status.message,
        format!("Operation cannot be fulfilled on namespaces {name:?}: {said}")
    );
    assert_eq!(namespaces(&client).get(&name).await.unwrap(), second);
    let deleted = delete(&client, &name, &only(Some(&uid), Some(&version(&second)))).await.unwrap();
    assert_eq!(phase(&deleted), "Terminating");
}

async fn a_dry_delete_deletes_nothing(client: Client) {
    let name = unique();
    let before = apply(&client, "one", &name, json!({})).await.unwrap();
    let dry = delete(&client, &name, &DeleteParams::default().dry_run()).await.unwrap();
    assert_eq!(phase(&dry), "Terminating");
    assert_eq!(version(&dry), version(&before));
    assert_eq!(namespaces(&client).get(&name).await.unwrap(), before);
}

async fn a_namespace_terminates_and_goes(client: Client) {
    let name = unique();
    apply(&client, "one", &name, json!({ "a": "1" })).await.unwrap();
    // Held, so that it is not gone before all is asked.
    let before = hold(&client, &name).await;
    let deleted = delete(&client, &name, &DeleteParams::background()).await.unwrap();
    assert_eq!(phase(&deleted), "Terminating");
    assert!(deleted.metadata.deletion_timestamp.is_some());
    assert_eq!(deleted.metadata.uid, before.metadata.uid);
    assert_ne!(version(&deleted), version(&before));
    assert_eq!(deleted.spec, before.spec);
    assert_eq!(deleted.metadata.managed_fields, before.metadata.managed_fields);
    let post = Namespace { metadata: before.metadata.clone(), ..Namespace::default() };
    let post = Namespace {
        metadata: kube::api::ObjectMeta { name: post.metadata.name, ..Default::default() },
        ..post
    };
    let status = refusal(namespaces(&client).create(&PostParams::default(), &post).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "AlreadyExists"));
    assert_eq!(
        status.message,
        format!("object is being deleted: namespaces {name:?} already exists")
    );
    let again = delete(&client, &name, &DeleteParams::default()).await.unwrap();
    assert_eq!(again.metadata.deletion_timestamp, deleted.metadata.deletion_timestamp);
    release(&client, &name).await;
    gone(&client, &name).await;
}

async fn a_name_is_free_again_after_the_end(client: Client) {
    let name = unique();
    let first = apply(&client, "one", &name, json!({ "a": "1" })).await.unwrap();
    delete(&client, &name, &DeleteParams::default()).await.unwrap();
    gone(&client, &name).await;
    let second = apply(&client, "one", &name, json!({ "b": "1" })).await.unwrap();
    assert_ne!(first.metadata.uid, second.metadata.uid);
    assert_eq!(labels(&second), json!({ "b": "1" }));
    assert_eq!(phase(&second), "Active");
}

async fn a_terminating_namespace_takes_labels_but_no_finalizers(client: Client) {
    let name = unique();
    apply(&client, "one", &name, json!({})).await.unwrap();
    hold(&client, &name).await;
    delete(&client, &name, &DeleteParams::default()).await.unwrap();
    let labelled = apply(&client, "one", &name, json!({ "late": "yes" })).await.unwrap();
    assert_eq!(labels(&labelled), json!({ "late": "yes" }));
    assert_eq!(phase(&labelled), "Terminating");
    let mut more = configuration(&name, &json!({}));
    more["metadata"]["finalizers"] = json!(["stream.space/more"]);
    let status = refusal(
        namespaces(&client).patch(&name, &PatchParams::apply("two"), &Patch::Apply(more)).await,
    );
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
    assert_eq!(
        status.message,
        format!(
            "Namespace {name:?} is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{\"stream.space/more\"}}"
        )
    );
    release(&client, &name).await;
    gone(&client, &name).await;
}

async fn a_finalizer_holds_until_it_is_taken_away(client: Client) {
    let name = unique();
    apply(&client, "one", &name, json!({})).await.unwrap();
    hold(&client, &name).await;
    delete(&client, &name, &DeleteParams::default()).await.unwrap();
    // The content's own finalizer goes, the other one stays.
    within(async {
        loop {
            let namespace = namespaces(&client).get(&name).await.unwrap();
            if namespace.spec.unwrap_or_default().finalizers.unwrap_or_default().is_empty() {
                assert_eq!(
                    namespace.metadata.finalizers.as_deref(),
                    Some(&["stream.space/hold".to_owned()][..])
                );
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
    release(&client, &name).await;
    assert!(namespaces(&client).get_opt(&name).await.unwrap().is_none(), "gone at once");
}

async fn some_namespaces_cannot_be_deleted(client: Client) {
    for name in ["default", "kube-system", "kube-public"] {
        let status = refusal(delete(&client, name, &DeleteParams::default()).await);
        assert_eq!((status.code, status.reason.as_str()), (403, "Forbidden"));
        assert_eq!(
            status.message,
            format!("namespaces {name:?} is forbidden: this namespace may not be deleted")
        );
    }
}

/// Who takes a namespace's own finalizer away lets it go, whatever is still in it.
async fn a_namespace_can_be_let_go_by_hand(client: Client) {
    let name = unique();
    apply(&client, "one", &name, json!({})).await.unwrap();
    let map = json!({ "metadata": { "name": "held", "finalizers": ["stream.space/hold"] } });
    let maps = format!("/api/v1/namespaces/{name}/configmaps");
    let made = send(&client, Method::POST, &maps, JSON, &map.to_string()).await;
    assert_eq!(made.0, 201, "{made:?}");
    delete(&client, &name, &DeleteParams::default()).await.unwrap();
    let free = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name },
        "spec": { "finalizers": [] },
    });
    let path = format!("/api/v1/namespaces/{name}/finalize");
    let (code, answer) = send(&client, Method::PUT, &path, JSON, &free.to_string()).await;
    assert_eq!(code, 200, "{answer}");
    gone(&client, &name).await;
}
