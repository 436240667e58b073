//! What lives in namespaces: ends with them, is listed and watched across them,
//! is counted by quotas and defined by custom resource definitions.

use std::time::Duration;

use futures::StreamExt;
use http::Method;
use k8s_openapi::api::{
    core::v1::{ConfigMap, ResourceQuota, Secret},
    events::v1::Event,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
    runtime::watcher::{self, watcher},
};
use serde_json::{Value, json};

use crate::support::{
    apply, behaviours, get, gone, namespaces, next, refusal, send, unique, watch, within,
};

behaviours![
    what_is_in_a_namespace_ends_with_it,
    nothing_begins_in_a_namespace_that_ends,
    all_namespaces_are_listed_and_watched_at_once,
    pages_go_through_all_namespaces,
    the_runtime_watches_one_kind_in_all_namespaces,
    an_apply_without_news_writes_nothing,
    generations_count_what_is_asked_for,
    quotas_are_counted,
    definitions_are_established_and_served,
    events_have_two_shapes,
];

/// Long enough for controllers, short enough to look often.
const PAUSE: Duration = Duration::from_millis(50);

fn maps(client: &Client, namespace: &str) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), namespace)
}

async fn put(client: &Client, namespace: &str, name: &str, more: Value) -> ConfigMap {
    let mut map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "labels": { "group": namespace } } });
    map["data"] = more;
    let params = PatchParams::apply("one").force();
    maps(client, namespace).patch(name, &params, &Patch::Apply(map)).await.unwrap()
}

async fn made(client: &Client) -> String {
    let name = unique();
    apply(client, "one", &name, json!({})).await.unwrap();
    name
}

async fn what_is_in_a_namespace_ends_with_it(client: Client) {
    let name = made(&client).await;
    let map = put(&client, &name, "inside", json!({ "a": "1" })).await;
    let path = format!(
        "/api/v1/configmaps?watch=true&timeoutSeconds=120&labelSelector=group%3D{name}&resourceVersion={}",
        map.resource_version().unwrap()
    );
    let mut events = watch(&client, &path).await;
    namespaces(&client).delete(&name, &DeleteParams::default()).await.unwrap();
    let (kind, object) = next(&mut events).await;
    assert_eq!((kind.as_str(), &object["metadata"]["name"]), ("DELETED", &json!("inside")));
    assert_eq!(object["data"], json!({ "a": "1" }));
    gone(&client, &name).await;
    assert!(maps(&client, &name).get_opt("inside").await.unwrap().is_none());
    assert!(maps(&client, &name).list(&ListParams::default()).await.unwrap().items.is_empty());
}

async fn nothing_begins_in_a_namespace_that_ends(client: Client) {
    let name = made(&client).await;
    put(&client, &name, "inside", json!({})).await;
    let held =
        |finalizers: Value| Patch::Merge(json!({ "metadata": { "finalizers": finalizers } }));
    let patch = PatchParams::default();
    maps(&client, &name)
        .patch("inside", &patch, &held(json!(["stream.space/hold"])))
        .await
        .unwrap();
    namespaces(&client).delete(&name, &DeleteParams::default()).await.unwrap();
    let map = ConfigMap {
        metadata: kube::api::ObjectMeta { name: Some("late".into()), ..Default::default() },
        ..ConfigMap::default()
    };
    let status = refusal(maps(&client, &name).create(&PostParams::default(), &map).await);
    assert_eq!((status.code, status.reason.as_str()), (403, "Forbidden"));
    assert_eq!(
        status.message,
        format!(
            "configmaps \"late\" is forbidden: unable to create new content in namespace {name} because it is being terminated"
        )
    );
    let causes = status.details.unwrap().causes;
    assert_eq!(causes[0].reason, "NamespaceTerminating");
    assert_eq!(causes[0].message, format!("namespace {name} is being terminated"));
    // What holds the namespace is told in its conditions.
    within(async {
        loop {
            let live = namespaces(&client).get(&name).await.unwrap();
            let conditions = live.status.unwrap().conditions.unwrap_or_default();
            let told = |kind: &str| {
                conditions
                    .iter()
                    .find(|condition| condition.type_ == kind && condition.status == "True")
                    .map(|condition| {
                        (condition.reason.clone().unwrap(), condition.message.clone().unwrap())
                    })
            };
            if let (Some(content), Some(finalizers)) =
                (told("NamespaceContentRemaining"), told("NamespaceFinalizersRemaining"))
            {
                assert_eq!(content.0, "SomeResourcesRemain");
                assert_eq!(
                    content.1,
                    "Some resources are remaining: configmaps. has 1 resource instances"
                );
                assert_eq!(finalizers.0, "SomeFinalizersRemain");
                assert_eq!(
                    finalizers.1,
                    "Some content in the namespace has finalizers remaining: stream.space/hold in 1 resource instances"
                );
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
    .await;
    maps(&client, &name).patch("inside", &patch, &held(json!(null))).await.unwrap();
    gone(&client, &name).await;
}

async fn all_namespaces_are_listed_and_watched_at_once(client: Client) {
    let (one, two) = (made(&client).await, made(&client).await);
    let first = put(&client, &one, "map", json!({ "a": "1" })).await;
    put(&client, &two, "map", json!({ "a": "1" })).await;
    let both = format!("group in ({one},{two})");
    let everywhere: Api<ConfigMap> = Api::all(client.clone());
    let list = everywhere.list(&ListParams::default().labels(&both)).await.unwrap();
    let mut found: Vec<_> = list.items.iter().filter_map(ResourceExt::namespace).collect();
    found.sort();
    let mut wanted = vec![one.clone(), two.clone()];
    wanted.sort();
    assert_eq!(found, wanted);
    let fields = format!("metadata.name=map,metadata.namespace={one}");
    let list = everywhere.list(&ListParams::default().labels(&both).fields(&fields)).await.unwrap();
    assert_eq!(list.items.len(), 1);
    let path = format!(
        "/api/v1/configmaps?watch=true&timeoutSeconds=120&labelSelector=group%20in%20({one},{two})&resourceVersion={}",
        first.resource_version().unwrap()
    );
    let mut events = watch(&client, &path).await;
    let (kind, object) = next(&mut events).await;
    assert_eq!((kind.as_str(), &object["metadata"]["namespace"]), ("ADDED", &json!(two)));
    let changed = put(&client, &one, "map", json!({ "a": "2" })).await;
    let (kind, object) = next(&mut events).await;
    assert_eq!((kind.as_str(), object), ("MODIFIED", serde_json::to_value(&changed).unwrap()));
    let deleted = maps(&client, &two).delete("map", &DeleteParams::default()).await.unwrap();
    let status = deleted.right().unwrap();
    assert_eq!(status.details.unwrap().kind, "configmaps");
    let (kind, object) = next(&mut events).await;
    assert_eq!((kind.as_str(), &object["metadata"]["namespace"]), ("DELETED", &json!(two)));
}

async fn pages_go_through_all_namespaces(client: Client) {
    let names = [made(&client).await, made(&client).await];
    let group = unique();
    for name in &names {
        for index in 0..3 {
            let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": format!("m{index}"), "labels": { "page": group } } });
            let params = PatchParams::apply("one");
            maps(&client, name)
                .patch(&format!("m{index}"), &params, &Patch::Apply(map))
                .await
                .unwrap();
        }
    }
    let everywhere: Api<ConfigMap> = Api::all(client.clone());
    let params = ListParams::default().labels(&format!("page={group}")).limit(2);
    let mut found = Vec::new();
    let mut page = everywhere.list(&params).await.unwrap();
    loop {
        assert!(page.items.len() <= 2);
        found.extend(page.items.iter().map(|map| (map.namespace().unwrap(), map.name_any())));
        let Some(token) = page.metadata.continue_.filter(|token| !token.is_empty()) else { break };
        page = everywhere.list(&params.clone().continue_token(&token)).await.unwrap();
    }
    let mut wanted: Vec<_> = names
        .iter()
        .flat_map(|name| (0..3).map(move |index| (name.clone(), format!("m{index}"))))
        .collect();
    wanted.sort();
    assert_eq!(found, wanted);
}

async fn the_runtime_watches_one_kind_in_all_namespaces(client: Client) {
    let name = made(&client).await;
    put(&client, &name, "before", json!({})).await;
    let everywhere: Api<ConfigMap> = Api::all(client.clone());
    let config = watcher::Config::default().labels(&format!("group={name}"));
    let mut events = watcher(everywhere, config).boxed();
    let mut event = async || within(events.next()).await.unwrap().unwrap();
    assert!(matches!(event().await, watcher::Event::Init));
    assert!(matches!(event().await, watcher::Event::InitApply(map) if map.name_any() == "before"));
    assert!(matches!(event().await, watcher::Event::InitDone));
    put(&client, &name, "after", json!({})).await;
    assert!(matches!(event().await, watcher::Event::Apply(map) if map.name_any() == "after"));
    maps(&client, &name).delete("before", &DeleteParams::default()).await.unwrap();
    assert!(matches!(event().await, watcher::Event::Delete(map) if map.name_any() == "before"));
}

async fn an_apply_without_news_writes_nothing(client: Client) {
    let name = made(&client).await;
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": { "name": "p" },
        "spec": { "podSelector": {}, "egress": [{ "ports": [{ "port": 53 }] }] },
    });
    let limits = json!({
        "apiVersion": "v1", "kind": "LimitRange", "metadata": { "name": "l" },
        "spec": { "limits": [{ "type": "Container", "default": { "memory": "1024Mi" } }] },
    });
    for (path, body) in [
        (format!("/apis/networking.k8s.io/v1/namespaces/{name}/networkpolicies/p"), policy),
        (format!("/api/v1/namespaces/{name}/limitranges/l"), limits),
    ] {
        let path = format!("{path}?fieldManager=one&force=true");
        let body = body.to_string();
        let apply =
            async || send(&client, Method::PATCH, &path, crate::support::APPLY, &body).await;
        let (code, first) = apply().await;
        assert_eq!(code, 201);
        // Neither at once nor once a second of the clock has passed.
        assert_eq!(apply().await, (200, first.clone()));
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert_eq!(apply().await, (200, first));
    }
}

async fn generations_count_what_is_asked_for(client: Client) {
    let name = made(&client).await;
    let path =
        format!("/apis/networking.k8s.io/v1/namespaces/{name}/networkpolicies/p?fieldManager=one");
    let apply = async |labels: Value, types: Value| {
        let body = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": { "name": "p", "labels": labels },
            "spec": { "podSelector": {}, "policyTypes": types },
        });
        let (_, answer) =
            send(&client, Method::PATCH, &path, crate::support::APPLY, &body.to_string()).await;
        answer["metadata"]["generation"].as_u64().unwrap()
    };
    assert_eq!(apply(json!({}), json!(["Ingress"])).await, 1);
    assert_eq!(apply(json!({ "a": "1" }), json!(["Ingress"])).await, 1);
    assert_eq!(apply(json!({ "a": "1" }), json!(["Ingress", "Egress"])).await, 2);
}

async fn quotas_are_counted(client: Client) {
    let name = made(&client).await;
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), &name);
    let quota = |secrets: &str| {
        json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "q" },
            "spec": { "hard": {
                "secrets": secrets, "pods": "20", "requests.cpu": "1000m", "limits.memory": "1024Mi",
                "requests.storage": "1Ti", "services.nodeports": "0", "count/secrets": "2000",
            } },
        })
    };
    let params = PatchParams::apply("one");
    quotas.patch("q", &params, &Patch::Apply(quota("5"))).await.unwrap();
    let until = async |hard: &str, used: &str| {
        within(async {
            loop {
                let status = quotas.get("q").await.unwrap().status.unwrap_or_default();
                let status = serde_json::to_value(status).unwrap();
                if status["hard"]["secrets"] == hard && status["used"]["secrets"] == used {
                    break status;
                }
                tokio::time::sleep(PAUSE).await;
            }
        })
        .await
    };
    let status = until("5", "0").await;
    assert_eq!(
        status,
        json!({
            "hard": {
                "secrets": "5", "pods": "20", "requests.cpu": "1", "limits.memory": "1Gi",
                "requests.storage": "1Ti", "services.nodeports": "0", "count/secrets": "2k",
            },
            "used": {
                "secrets": "0", "pods": "0", "requests.cpu": "0", "limits.memory": "0",
                "requests.storage": "0", "services.nodeports": "0", "count/secrets": "0",
            },
        })
    );
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &name);
    for index in 0..2 {
        let secret = Secret {
            metadata: kube::api::ObjectMeta {
                name: Some(format!("s{index}")),
                ..Default::default()
            },
            ..Secret::default()
        };
        secrets.create(&PostParams::default(), &secret).await.unwrap();
    }
    assert_eq!(until("5", "2").await["used"]["count/secrets"], "2");
    quotas.patch("q", &params, &Patch::Apply(quota("9"))).await.unwrap();
    until("9", "2").await;
    // What controllers count makes no apply anew.
    let before = quotas.get("q").await.unwrap();
    let again = quotas.patch("q", &params, &Patch::Apply(quota("9"))).await.unwrap();
    assert_eq!(before.resource_version(), again.resource_version());
    secrets.delete("s0", &DeleteParams::default()).await.unwrap();
    until("9", "1").await;
}

async fn definitions_are_established_and_served(client: Client) {
    let group = format!("g{}.example", uuid::Uuid::new_v4().simple());
    let name = format!("shows.{group}");
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": name },
        "spec": {
            "group": group, "scope": "Namespaced", "names": { "plural": "shows", "kind": "Show" },
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": { "type": "object", "properties": {
                    "spec": { "type": "object", "properties": {
                        "user": { "type": "string" },
                        "state": { "type": "string", "default": "running" },
                        "tags": { "type": "array", "items": { "type": "string" } },
                    } },
                    "status": { "type": "object", "properties": { "phase": { "type": "string" } } },
                } } },
            }],
        },
    });
    let namespace = made(&client).await;
    let shows = format!("/apis/{group}/v1alpha1/namespaces/{namespace}/shows");
    assert_eq!(get(&client, &shows).await.0, 404);
    let crds: Api<DynamicObject> = Api::all_with(
        client.clone(),
        &ApiResource::from_gvk(&GroupVersionKind::gvk(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
        )),
    );
    let params = PatchParams::apply("one");
    let made = crds.patch(&name, &params, &Patch::Apply(definition.clone())).await.unwrap();
    assert_eq!(made.data["spec"]["names"]["listKind"], "ShowList");
    assert_eq!(made.data["spec"]["names"]["singular"], "show");
    assert_eq!(made.data["spec"]["conversion"], json!({ "strategy": "None" }));
    within(async {
        loop {
            let live = crds.get(&name).await.unwrap();
            let conditions = live.data["status"]["conditions"].as_array().cloned();
            let is_served = conditions.into_iter().flatten().any(|condition| {
                condition["type"] == "Established" && condition["status"] == "True"
            });
            if is_served && get(&client, &shows).await.0 == 200 {
                assert_eq!(live.data["status"]["storedVersions"], json!(["v1alpha1"]));
                assert_eq!(live.data["status"]["acceptedNames"], live.data["spec"]["names"]);
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
    .await;
    let kind = ApiResource {
        group: group.clone(),
        version: "v1alpha1".to_owned(),
        api_version: format!("{group}/v1alpha1"),
        kind: "Show".to_owned(),
        plural: "shows".to_owned(),
    };
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &kind);
    let show = json!({
        "apiVersion": kind.api_version, "kind": "Show", "metadata": { "name": "s" },
        "spec": { "user": "ada", "tags": ["a", "b"] }, "status": { "phase": "Ours" },
    });
    let first = api.patch("s", &params, &Patch::Apply(show.clone())).await.unwrap();
    assert_eq!(
        first.data["spec"],
        json!({ "user": "ada", "tags": ["a", "b"], "state": "running" })
    );
    assert!(first.data.get("status").is_none(), "another path's");
    assert_eq!(first.metadata.generation, Some(1));
    let owned = json!({ "f:spec": { "f:tags": {}, "f:user": {} } });
    let entries = first.metadata.managed_fields.clone().unwrap();
    assert_eq!(json!(entries[0].fields_v1), owned);
    let again = api.patch("s", &params, &Patch::Apply(show)).await.unwrap();
    assert_eq!(first, again);
    let list = api.list(&ListParams::default()).await.unwrap();
    assert_eq!(list.items.len(), 1);
    let patch = Patch::Merge(json!({ "spec": { "state": "hibernated" } }));
    let patched = api.patch("s", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.metadata.generation, Some(2));
    crds.delete(&name, &DeleteParams::default()).await.unwrap();
    within(async {
        while crds.get_opt(&name).await.unwrap().is_some() || get(&client, &shows).await.0 != 404 {
            tokio::time::sleep(PAUSE).await;
        }
    })
    .await;
}

async fn events_have_two_shapes(client: Client) {
    let namespace = made(&client).await;
    let events: Api<Event> = Api::namespaced(client.clone(), &namespace);
    let event: Event = serde_json::from_value(json!({
        "metadata": { "name": "e.1", "namespace": namespace },
        "action": "Reconcile", "reason": "Applied", "note": "applied the quota", "type": "Normal",
        "eventTime": "2026-01-02T03:04:05.678901Z",
        "reportingController": "control.stream.space/streamspaced", "reportingInstance": "replica-1",
        "regarding": { "kind": "Namespace", "name": namespace, "namespace": namespace, "apiVersion": "v1" },
    }))
    .unwrap();
    let made = events.create(&PostParams::default(), &event).await.unwrap();
    assert_eq!(made.note.as_deref(), Some("applied the quota"));
    let path = format!("/api/v1/namespaces/{namespace}/events");
    let (code, legacy) = get(&client, &format!("{path}/e.1")).await;
    assert_eq!(code, 200);
    assert_eq!(legacy["message"], "applied the quota");
    assert_eq!(legacy["involvedObject"]["name"], namespace);
    assert_eq!(legacy["reportingComponent"], "control.stream.space/streamspaced");
    assert_eq!(legacy["eventTime"], "2026-01-02T03:04:05.678901Z");
    assert!(legacy.get("note").is_none());
    let query = format!(
        "involvedObject.kind%3DNamespace,involvedObject.name%3D{namespace},reason%3DApplied"
    );
    let (_, list) = get(&client, &format!("{path}?fieldSelector={query}")).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    let series = Patch::Merge(
        json!({ "series": { "count": 2, "lastObservedTime": "2026-01-02T03:05:05.000000Z" } }),
    );
    let patched = events.patch("e.1", &PatchParams::default(), &series).await.unwrap();
    assert_eq!(patched.series.unwrap().count, 2);
    // The older shape, as some programs still write it.
    let old = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": { "name": "e.2", "namespace": namespace },
        "involvedObject": { "kind": "Namespace", "name": namespace, "namespace": namespace },
        "reason": "Old", "message": "an old one", "type": "Warning", "count": 3,
        "source": { "component": "test" },
        "firstTimestamp": "2026-01-02T03:04:05Z", "lastTimestamp": "2026-01-02T03:04:06Z",
    });
    let (code, _) =
        send(&client, Method::POST, &path, crate::support::JSON, &old.to_string()).await;
    assert_eq!(code, 201);
    let new = events.get("e.2").await.unwrap();
    assert_eq!((new.note.as_deref(), new.deprecated_count), (Some("an old one"), Some(3)));
    assert_eq!(events.list(&ListParams::default()).await.unwrap().items.len(), 2);
}
