//! Creates, replacements and merge patches.

use k8s_openapi::{api::core::v1::Namespace, jiff::Timestamp};
use kube::{
    Client, ResourceExt,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::support::{
    apply, behaviours, label, labels, managers, namespaces, refusal, unique, version,
};

behaviours![
    a_created_namespace_is_whole,
    a_name_is_taken_once,
    a_name_can_be_made_up,
    a_dry_run_creates_nothing,
    a_patch_moves_ownership,
    a_patch_without_effect_writes_nothing,
    a_patch_of_labels_leaves_the_servers_fields,
    a_dry_patch_changes_nothing,
    versions_rise_with_every_write,
    a_stale_replacement_is_refused,
];

fn named(name: &str) -> Namespace {
    Namespace {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        ..Namespace::default()
    }
}

fn post(manager: &str) -> PostParams {
    PostParams { field_manager: Some(manager.to_owned()), ..PostParams::default() }
}

async fn a_created_namespace_is_whole(client: Client) {
    let name = unique();
    let mut wanted = named(&name);
    wanted.metadata.labels = Some([("tier".to_owned(), "free".to_owned())].into());
    let made = namespaces(&client).create(&post("test"), &wanted).await.unwrap();
    assert_eq!(labels(&made), json!({ "tier": "free" }));
    assert!(made.metadata.generation.is_none());
    assert!(version(&made).parse::<u64>().unwrap() > 0);
    let age = Timestamp::now().duration_since(made.creation_timestamp().unwrap().0);
    assert!(age.as_secs().abs() < 30, "{age:?}");
    assert_eq!(made.creation_timestamp().unwrap().0.subsec_nanosecond(), 0, "whole seconds");
    let owned = json!({ "f:metadata": { "f:labels": { ".": {}, "f:kubernetes.io/metadata.name": {}, "f:tier": {} } } });
    assert_eq!(managers(&made), json!([["test", "Update", owned]]));
    assert_eq!(namespaces(&client).get(&name).await.unwrap(), made);
}

async fn a_name_is_taken_once(client: Client) {
    let name = unique();
    namespaces(&client).create(&post("test"), &named(&name)).await.unwrap();
    let status = refusal(namespaces(&client).create(&post("test"), &named(&name)).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "AlreadyExists"));
    assert_eq!(status.message, format!("namespaces {name:?} already exists"));
}

async fn a_name_can_be_made_up(client: Client) {
    let prefix = format!("{}-", unique());
    let mut wanted = named("");
    wanted.metadata = ObjectMeta { generate_name: Some(prefix.clone()), ..ObjectMeta::default() };
    let made = namespaces(&client).create(&post("test"), &wanted).await.unwrap();
    let suffix = made.name_any().strip_prefix(&prefix).unwrap().to_owned();
    assert_eq!(suffix.len(), 5);
    assert_eq!(labels(&made), json!({}));
    assert_eq!(
        managers(&made),
        json!([["test", "Update", { "f:metadata": { "f:generateName": {} } }]])
    );
}

async fn a_dry_run_creates_nothing(client: Client) {
    let name = unique();
    let params = PostParams { dry_run: true, ..post("test") };
    let made = namespaces(&client).create(&params, &named(&name)).await.unwrap();
    assert!(made.metadata.uid.is_some());
    assert!(made.metadata.resource_version.is_none());
    assert!(namespaces(&client).get_opt(&name).await.unwrap().is_none());
}

async fn a_patch_moves_ownership(client: Client) {
    let name = unique();
    apply(&client, "daemon", &name, json!({ "a": "1", "b": "2" })).await.unwrap();
    let patched = label(&client, "hand", &name, json!({ "a": "drift", "c": "3" })).await.unwrap();
    assert_eq!(labels(&patched), json!({ "a": "drift", "b": "2", "c": "3" }));
    let fields = |names: &[&str]| {
        let leaves: serde_json::Map<_, _> =
            names.iter().map(|name| (format!("f:{name}"), json!({}))).collect();
        json!({ "f:metadata": { "f:labels": leaves } })
    };
    let wanted =
        json!([["daemon", "Apply", fields(&["b"])], ["hand", "Update", fields(&["a", "c"])]]);
    assert_eq!(managers(&patched), wanted);
    let patched = label(&client, "hand", &name, json!({ "b": null })).await.unwrap();
    assert_eq!(labels(&patched), json!({ "a": "drift", "c": "3" }));
    assert_eq!(managers(&patched), json!([["hand", "Update", fields(&["a", "c"])]]));
}

async fn a_patch_without_effect_writes_nothing(client: Client) {
    let name = unique();
    apply(&client, "daemon", &name, json!({ "a": "1" })).await.unwrap();
    let first = label(&client, "hand", &name, json!({ "b": "2" })).await.unwrap();
    let second = label(&client, "hand", &name, json!({ "b": "2" })).await.unwrap();
    assert_eq!(first, second);
}

async fn a_patch_of_labels_leaves_the_servers_fields(client: Client) {
    let name = unique();
    let first = apply(&client, "daemon", &name, json!({ "a": "1" })).await.unwrap();
    let patch = json!({ "metadata": { "labels": null }, "spec": { "finalizers": null }, "status": { "phase": "Terminating" } });
    let patched = namespaces(&client)
        .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    assert_eq!(labels(&patched), json!({}));
    assert_eq!((patched.spec, patched.status), (first.spec, first.status));
    assert_eq!(patched.metadata.uid, first.metadata.uid);
    assert_eq!(patched.metadata.creation_timestamp, first.metadata.creation_timestamp);
}

async fn a_dry_patch_changes_nothing(client: Client) {
    let name = unique();
    let before = apply(&client, "daemon", &name, json!({ "a": "1" })).await.unwrap();
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    let patch = Patch::Merge(json!({ "metadata": { "labels": { "a": "2" } } }));
    let dry = namespaces(&client).patch(&name, &params, &patch).await.unwrap();
    assert_eq!(labels(&dry), json!({ "a": "2" }));
    assert_eq!(version(&dry), version(&before));
    assert_eq!(namespaces(&client).get(&name).await.unwrap(), before);
}

async fn versions_rise_with_every_write(client: Client) {
    let (one, two) = (unique(), unique());
    let mut versions = Vec::new();
    for index in 0..3 {
        for name in [&one, &two] {
            let written = apply(&client, "daemon", name, json!({ "index": index.to_string() }))
                .await
                .unwrap();
            versions.push(version(&written).parse::<u64>().unwrap());
        }
    }
    assert!(versions.is_sorted_by(|left, right| left < right), "{versions:?}");
}

async fn a_stale_replacement_is_refused(client: Client) {
    let name = unique();
    let first = namespaces(&client).create(&post("test"), &named(&name)).await.unwrap();
    label(&client, "hand", &name, json!({ "a": "1" })).await.unwrap();
    let status = refusal(namespaces(&client).replace(&name, &post("test"), &first).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        status.message,
        format!(
            "Operation cannot be fulfilled on namespaces {name:?}: the object has been modified; please apply your changes to the latest version and try again"
        )
    );
    let replaced = namespaces(&client).replace(&name, &post("test"), &named(&name)).await.unwrap();
    assert_eq!(labels(&replaced), json!({}));
    assert_eq!(replaced.metadata.uid, first.metadata.uid);
}
