//! Watches, by hand and by kube-runtime's watcher.

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Client, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    runtime::watcher::{self, Event, watcher},
};
use serde_json::{Value, json};

use crate::support::{
    apply, behaviours, configuration, force, gone, label, labels, namespaces, next, stays_silent,
    unique, version, watch, within,
};

behaviours![
    a_watch_goes_on_from_a_version,
    a_watch_without_a_version_begins_with_everything,
    a_watch_sees_what_leaves_and_enters_its_selection,
    a_streaming_list_ends_with_a_bookmark,
    a_bookmark_comes_before_the_timeout,
    a_watch_from_a_version_to_come_is_silent,
    one_name_can_be_watched,
    no_event_is_lost_or_doubled,
    the_runtime_sees_apply_drift_and_delete,
    the_runtime_sees_the_same_by_streaming_lists,
];

fn selected(group: &str, more: &str) -> String {
    format!("/api/v1/namespaces?watch=true&timeoutSeconds=120&labelSelector=group%3D{group}{more}")
}

fn at(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

/// Waits until reads that may be stale see the namespace.
async fn cached(client: &Client, name: &str) {
    let any = ListParams::default().fields(&format!("metadata.name={name}")).match_any();
    within(async {
        while namespaces(client).list(&any).await.unwrap().items.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
}

async fn delete(client: &Client, name: &str) {
    namespaces(client).delete(name, &DeleteParams::default()).await.unwrap();
}

async fn a_watch_goes_on_from_a_version(client: Client) {
    let name = unique();
    let first = apply(&client, "one", &name, json!({ "group": name })).await.unwrap();
    let second = label(&client, "hand", &name, json!({ "a": "1" })).await.unwrap();
    let mut events =
        watch(&client, &selected(&name, &format!("&resourceVersion={}", version(&first)))).await;
    let (kind, object) = next(&mut events).await;
    assert_eq!((kind.as_str(), object), ("MODIFIED", serde_json::to_value(&second).unwrap()));
    delete(&client, &name).await;
    let (kind, mut last) = next(&mut events).await;
    assert_eq!(
        (kind.as_str(), last["status"]["phase"].as_str()),
        ("MODIFIED", Some("Terminating"))
    );
    // The controller may leave its findings in between.
    let deleted = loop {
        let (kind, object) = next(&mut events).await;
        if kind == "DELETED" {
            break object;
        }
        assert_eq!(kind, "MODIFIED");
        last = object;
    };
    assert!(at(&deleted) > at(&last), "an end has a version of its own");
    assert_eq!(deleted["metadata"]["uid"], last["metadata"]["uid"]);
    assert_eq!(deleted["spec"], json!({ "finalizers": ["kubernetes"] }));
    stays_silent(Box::pin(events.next())).await;
}

async fn a_watch_without_a_version_begins_with_everything(client: Client) {
    let group = unique();
    let names = [format!("{group}-a"), format!("{group}-b")];
    for name in &names {
        apply(&client, "one", name, json!({ "group": group })).await.unwrap();
    }
    cached(&client, &names[1]).await;
    for more in ["", "&resourceVersion=0"] {
        let mut events = watch(&client, &selected(&group, more)).await;
        for name in &names {
            let (kind, object) = next(&mut events).await;
            assert_eq!((kind.as_str(), &object["metadata"]["name"]), ("ADDED", &json!(name)));
        }
        stays_silent(Box::pin(events.next())).await;
    }
}

async fn a_watch_sees_what_leaves_and_enters_its_selection(client: Client) {
    let name = unique();
    let first = apply(&client, "one", &name, json!({ "group": name, "a": "1" })).await.unwrap();
    let mut events =
        watch(&client, &selected(&name, &format!("&resourceVersion={}", version(&first)))).await;
    let outside =
        label(&client, "hand", &name, json!({ "group": "other", "a": "2" })).await.unwrap();
    label(&client, "hand", &name, json!({ "a": "3" })).await.unwrap();
    let inside = label(&client, "hand", &name, json!({ "group": name })).await.unwrap();
    let (kind, object) = next(&mut events).await;
    assert_eq!(kind, "DELETED");
    assert_eq!(object["metadata"]["labels"]["a"], "1", "as it was when it was last selected");
    assert_eq!(at(&object).to_string(), version(&outside), "at the version that took it out");
    let (kind, object) = next(&mut events).await;
    assert_eq!((kind.as_str(), object), ("ADDED", serde_json::to_value(&inside).unwrap()));
}

async fn a_streaming_list_ends_with_a_bookmark(client: Client) {
    let name = unique();
    let made = apply(&client, "one", &name, json!({ "group": name })).await.unwrap();
    cached(&client, &name).await;
    let more = "&resourceVersion=0&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut events = watch(&client, &selected(&name, more)).await;
    let (kind, object) = next(&mut events).await;
    assert_eq!((kind.as_str(), object), ("ADDED", serde_json::to_value(&made).unwrap()));
    let (kind, object) = next(&mut events).await;
    assert_eq!(kind, "BOOKMARK");
    assert_eq!(object["metadata"]["annotations"], json!({ "k8s.io/initial-events-end": "true" }));
    assert_eq!((&object["kind"], &object["apiVersion"]), (&json!("Namespace"), &json!("v1")));
    assert!(at(&object) >= version(&made).parse().unwrap());
    label(&client, "hand", &name, json!({ "a": "1" })).await.unwrap();
    // More bookmarks may come at any time.
    let mut kind = next(&mut events).await.0;
    while kind == "BOOKMARK" {
        kind = next(&mut events).await.0;
    }
    assert_eq!(kind, "MODIFIED");
}

async fn a_bookmark_comes_before_the_timeout(client: Client) {
    let name = unique();
    let made = apply(&client, "one", &name, json!({ "group": name })).await.unwrap();
    let path =
        selected(&name, &format!("&resourceVersion={}&allowWatchBookmarks=true", version(&made)));
    let mut events = watch(&client, &path.replace("=120", "=3")).await;
    let mut last = None;
    while let Some(event) = within(events.next()).await {
        assert_eq!(event["type"], "BOOKMARK");
        last = Some(at(&event["object"]));
    }
    assert!(last.unwrap() >= version(&made).parse().unwrap());
}

async fn a_watch_from_a_version_to_come_is_silent(client: Client) {
    let name = unique();
    let path = selected(&name, "&resourceVersion=99999999");
    let watching = client.clone();
    // Not even the head of the answer need come.
    let silent = tokio::spawn(async move {
        stays_silent(Box::pin(async { watch(&watching, &path).await.next().await })).await;
    });
    apply(&client, "one", &name, json!({ "group": name })).await.unwrap();
    silent.await.unwrap();
}

async fn one_name_can_be_watched(client: Client) {
    let (name, other) = (unique(), unique());
    let before = apply(&client, "one", &name, json!({})).await.unwrap();
    let path = format!(
        "/api/v1/namespaces?watch=true&fieldSelector=metadata.name%3D{name}&resourceVersion={}",
        version(&before)
    );
    let mut events = watch(&client, &path).await;
    apply(&client, "one", &other, json!({})).await.unwrap();
    label(&client, "hand", &name, json!({ "a": "1" })).await.unwrap();
    let (kind, object) = next(&mut events).await;
    assert_eq!((kind.as_str(), &object["metadata"]["name"]), ("MODIFIED", &json!(name)));
}

async fn no_event_is_lost_or_doubled(client: Client) {
    let group = unique();
    let list = namespaces(&client).list(&ListParams::default()).await.unwrap();
    let from = list.metadata.resource_version.unwrap();
    let mut events = watch(&client, &selected(&group, &format!("&resourceVersion={from}"))).await;
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (client, group) = (client.clone(), group.clone());
            tokio::spawn(async move {
                let mut versions = Vec::new();
                for index in 0..10 {
                    let labels = json!({ "group": group, "index": index.to_string() });
                    let written =
                        apply(&client, "one", &format!("{group}-{writer}"), labels).await.unwrap();
                    versions.push(version(&written).parse::<u64>().unwrap());
                }
                versions
            })
        })
        .collect();
    let mut written = Vec::new();
    for writer in writers {
        written.extend(writer.await.unwrap());
    }
    written.sort_unstable();
    let mut seen = Vec::new();
    while seen.len() < written.len() {
        seen.push(at(&next(&mut events).await.1));
    }
    assert_eq!(seen, written, "every write once, in order");
}

async fn the_runtime_sees_apply_drift_and_delete(client: Client) {
    runtime_sees(client, watcher::Config::default()).await;
}

async fn the_runtime_sees_the_same_by_streaming_lists(client: Client) {
    runtime_sees(client, watcher::Config::default().streaming_lists()).await;
}

async fn runtime_sees(client: Client, config: watcher::Config) {
    let (group, manager) = (unique(), "streamspaced");
    let wanted = json!({ "group": group, "plan": "free" });
    let (old, new) = (format!("{group}-old"), format!("{group}-new"));
    apply(&client, manager, &old, wanted.clone()).await.unwrap();
    cached(&client, &old).await;
    let events = watcher(namespaces(&client), config.labels(&format!("group={group}")));
    let mut events: BoxStream<'static, _> = events.map_err(|error| panic!("{error}")).boxed();
    let mut event = async || -> Event<Namespace> {
        within(events.next()).await.unwrap().unwrap_or_else(|()| unreachable!())
    };
    assert!(matches!(event().await, Event::Init));
    assert!(matches!(event().await, Event::InitApply(found) if found.name_any() == old));
    assert!(matches!(event().await, Event::InitDone));
    apply(&client, manager, &new, wanted.clone()).await.unwrap();
    assert!(
        matches!(event().await, Event::Apply(found) if found.name_any() == new && labels(&found) == wanted)
    );
    label(&client, "hand", &new, json!({ "plan": "business" })).await.unwrap();
    assert!(matches!(event().await, Event::Apply(found) if labels(&found)["plan"] == "business"));
    force(&client, manager, &new, wanted.clone()).await.unwrap();
    assert!(matches!(event().await, Event::Apply(found) if labels(&found) == wanted));
    delete(&client, &new).await;
    loop {
        match event().await {
            Event::Apply(found) => assert!(found.metadata.deletion_timestamp.is_some()),
            Event::Delete(found) => break assert_eq!(found.name_any(), new),
            other => panic!("{other:?}"),
        }
    }
    gone(&client, &new).await;
}

/// A watch that reaches back before what the server remembers is told that its
/// version is gone, in the stream; kube-runtime's watcher lists again.
pub(crate) async fn forgotten_history(client: &Client, forget: impl AsyncFnOnce()) {
    let name = unique();
    let first = apply(client, "one", &name, json!({ "group": name })).await.unwrap();
    label(client, "hand", &name, json!({ "a": "1" })).await.unwrap();
    label(client, "hand", &name, json!({ "a": "2" })).await.unwrap();
    forget().await;
    let mut events =
        watch(client, &selected(&name, &format!("&resourceVersion={}", version(&first)))).await;
    let (kind, status) = next(&mut events).await;
    assert_eq!((kind.as_str(), &status["kind"]), ("ERROR", &json!("Status")));
    assert_eq!((&status["code"], &status["reason"]), (&json!(410), &json!("Expired")));
    let message = status["message"].as_str().unwrap();
    assert!(
        message.starts_with(&format!("too old resource version: {} (", version(&first))),
        "{message}"
    );
    assert!(within(events.next()).await.is_none(), "nothing follows");
    let patch = Patch::Apply(configuration(&name, &json!({ "group": name, "b": "1" })));
    let after = namespaces(client).patch(&name, &PatchParams::apply("one"), &patch).await.unwrap();
    assert_eq!(labels(&after)["a"], "2", "the objects themselves are kept");
}
