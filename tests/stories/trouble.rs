//! Trouble of one tenant and of the whole API server: the others do not notice, and who
//! is troubled says why.

use std::time::Duration;

use k8s_openapi::api::{
    admissionregistration::v1::ValidatingWebhookConfiguration,
    core::v1::ConfigMap,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use streamspace_tests::{
    proxy::{Fault, Proxy, watches, writes},
    region::Region,
    runtime::story,
    ssctl::Ssctl,
    wait::{holds, until},
};

async fn create(ssctl: &Ssctl, id: &str, more: &[&str]) {
    let create = ["tenant", "create", id, "--plan", "free", "--seats", "1"];
    ssctl.ok(&[&create[..], more].concat()).await;
}

/// Waits until some condition of the tenant says this.
async fn says(ssctl: &Ssctl, id: &str, words: &str) {
    until("the tenant says why", async || {
        let shown = ssctl.json(&["tenant", "show", id]).await;
        let said = shown["conditions"].as_array().is_some_and(|conditions| {
            conditions.iter().any(|condition| {
                condition["status"] != "CONDITION_STATUS_TRUE"
                    && condition["message"].as_str().unwrap_or_default().contains(words)
            }) || conditions.iter().any(|condition| {
                condition["type"] == "Drifted"
                    && condition["message"].as_str().unwrap_or_default().contains(words)
            })
        });
        holds(said, || format!("no {words:?} in {}", shown["conditions"]))
    })
    .await;
}

/// Others come to be, change and are repaired as if nothing were.
async fn others_are_well(region: &Region, id: &str) {
    let ssctl = region.admin();
    create(ssctl, id, &["--wait", "--timeout", "90s"]).await;
    ssctl.ok(&["tenant", "set", id, "--plan", "professional", "--wait", "--timeout", "90s"]).await;
}

#[test]
fn a_namespace_that_is_stuck_in_terminating_holds_up_nobody_else() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        create(ssctl, "stuck", &["--wait"]).await;
        let namespace = region.namespace("stuck");
        let maps = Api::<ConfigMap>::namespaced(region.client().await, &namespace);
        let held: ConfigMap = serde_json::from_value(json!({
            "metadata": {"name": "held", "finalizers": ["example.com/never"]},
        }))
        .unwrap();
        maps.create(&PostParams::default(), &held).await.unwrap();
        let hand = Api::<k8s_openapi::api::core::v1::Namespace>::all(region.break_glass().await);
        hand.delete(&namespace, &DeleteParams::default()).await.unwrap();

        says(ssctl, "stuck", "example.com/never").await;
        others_are_well(&region, "moving").await;

        // Once the finalizer is gone the namespace is made anew.
        let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        maps.patch("held", &PatchParams::default(), &free).await.unwrap();
        until("the tenant is whole again", async || {
            let answer = ssctl.json(&["tenant", "show", "stuck", "--objects"]).await;
            let wrong = answer.to_string();
            holds(
                wrong.contains("IN_SYNC")
                    && !wrong.contains("MISSING")
                    && !wrong.contains("DRIFTED"),
                || wrong.clone(),
            )
        })
        .await;
    });
}

#[test]
fn a_webhook_that_times_out_for_one_tenant_holds_up_nobody_else() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        // It listens and never answers.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let name = format!("{}-silent", region.instance());
        let webhooks = Api::<ValidatingWebhookConfiguration>::all(region.client().await);
        let silence: ValidatingWebhookConfiguration = serde_json::from_value(json!({
            "metadata": {"name": name},
            "webhooks": [{
                "name": "silent.example.com",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "timeoutSeconds": 2,
                "clientConfig": {"url": format!("https://{}/", silent.local_addr().unwrap())},
                "namespaceSelector": {"matchLabels": {
                    "kubernetes.io/metadata.name": region.namespace("hushed"),
                }},
                "rules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
                    "resources": ["resourcequotas", "limitranges"],
                }],
            }],
        }))
        .unwrap();
        webhooks.create(&PostParams::default(), &silence).await.unwrap();
        create(ssctl, "hushed", &[]).await;
        says(ssctl, "hushed", "silent.example.com").await;
        for id in ["loud-one", "loud-two", "loud-three"] {
            others_are_well(&region, id).await;
        }
        // What the webhook does not reach is there in spite of it.
        let policies = Api::<k8s_openapi::api::networking::v1::NetworkPolicy>::namespaced(
            region.client().await,
            &region.namespace("hushed"),
        );
        policies.get("streamspace-default-deny").await.unwrap();
        webhooks.delete(&name, &DeleteParams::default()).await.unwrap();
        until("the tenant is active", async || {
            let shown = ssctl.json(&["tenant", "show", "hushed"]).await;
            holds(shown["state"] == "TENANT_STATE_ACTIVE", || shown.to_string())
        })
        .await;
    });
}

#[test]
fn an_object_that_somebody_made_immutable_is_told() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        create(ssctl, "fixed", &["--admin", "ann@example.com", "--wait"]).await;
        let namespace = region.namespace("fixed");
        ssctl.ok(&["tenant", "pause", "fixed", "--for", "1h", "--reason", "story"]).await;
        // The role that a binding refers to can never be changed.
        let bindings = Api::<RoleBinding>::namespaced(region.break_glass().await, &namespace);
        let name = "streamspace-administrators";
        let mut binding = bindings.get(name).await.unwrap();
        bindings.delete(name, &DeleteParams::default()).await.unwrap();
        binding.metadata.resource_version = None;
        binding.metadata.uid = None;
        binding.metadata.managed_fields = None;
        binding.role_ref.name = "another".into();
        // A role that gives nothing, so that the hand may bind it.
        let roles = Api::<Role>::namespaced(region.client().await, &namespace);
        let another = serde_json::from_value(json!({"metadata": {"name": "another"}})).unwrap();
        roles.create(&PostParams::default(), &another).await.unwrap();
        bindings.create(&PostParams::default(), &binding).await.unwrap();
        ssctl.ok(&["tenant", "unpause", "fixed"]).await;
        says(ssctl, "fixed", "cannot change roleRef").await;
        others_are_well(&region, "flexible").await;
    });
}

/// A region whose daemon reaches the cluster through a door.
async fn behind_a_door() -> (Region, Proxy) {
    let region = Region::start().await;
    let door = Proxy::before(region.cluster()).await;
    region.stop().await;
    region.set("cluster", "kubeconfig", door.kubeconfig().display().to_string());
    region.launch().await;
    region.is_well().await;
    (region, door)
}

#[test]
fn one_tenant_that_meets_429_and_500_holds_up_nobody_else() {
    story(async {
        let (region, door) = behind_a_door().await;
        let ssctl = region.admin();
        for (id, code) in [("throttled", 429), ("broken", 500)] {
            let path = format!("/namespaces/{}", region.namespace(id));
            door.fail(Fault::Status(code), move |parts| {
                writes(parts) && parts.uri.path().contains(&path)
            });
            create(ssctl, id, &[]).await;
            says(ssctl, id, &format!("the door answers {code}")).await;
        }
        others_are_well(&region, "calm").await;
        door.mend();
        until("both come to be", async || {
            let listed = ssctl.json(&["tenant", "list"]).await;
            let active = listed.as_array().map_or(0, |tenants| {
                tenants.iter().filter(|t| t["state"] == "TENANT_STATE_ACTIVE").count()
            });
            holds(active == 3, || listed.to_string())
        })
        .await;
    });
}

#[test]
fn a_storm_of_429_passes_and_loses_nothing() {
    story(async {
        let (region, door) = behind_a_door().await;
        let ssctl = region.admin();
        create(ssctl, "before-it", &["--wait"]).await;
        let all = std::sync::atomic::AtomicU32::new(0);
        door.fail(Fault::Status(429), move |_| {
            // Three of four requests.
            !all.fetch_add(1, std::sync::atomic::Ordering::Relaxed).is_multiple_of(4)
        });
        for number in 0..10 {
            create(ssctl, &format!("storm-{number}"), &[]).await;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        door.mend();
        until("all come to be", async || {
            let listed = ssctl.json(&["tenant", "list"]).await;
            let active = listed.as_array().map_or(0, |tenants| {
                tenants.iter().filter(|t| t["state"] == "TENANT_STATE_ACTIVE").count()
            });
            holds(active == 11, || format!("{active} are"))
        })
        .await;
    });
}

#[test]
fn cut_watches_and_410_lose_no_drift() {
    story(async {
        let (region, door) = behind_a_door().await;
        let ssctl = region.admin();
        create(ssctl, "watched", &["--wait"]).await;
        let namespace = region.namespace("watched");
        let hand = Api::<k8s_openapi::api::core::v1::ResourceQuota>::namespaced(
            region.break_glass().await,
            &namespace,
        );
        let wished = hand.get("streamspace").await.unwrap().spec;
        let spoil = Patch::Merge(json!({"spec": {"hard": {"pods": "12345"}}}));
        for code in [410, 503] {
            // No watch is to be had, and meanwhile a hand changes something.
            door.fail(Fault::Status(code), watches);
            door.cut();
            hand.patch("streamspace", &PatchParams::default(), &spoil).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            door.mend();
            until("the drift is repaired", async || {
                let now = hand.get("streamspace").await.map_err(|e| e.to_string())?.spec;
                holds(now == wished, || format!("{now:?}"))
            })
            .await;
        }
        let shown = ssctl.json(&["tenant", "show", "watched"]).await;
        assert_eq!(shown["state"], "TENANT_STATE_ACTIVE", "{shown}");
    });
}
