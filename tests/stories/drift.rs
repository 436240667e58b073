//! Drift on each kind of object, made by somebody of the break-glass group: repaired
//! within a second, and while the tenant is paused left alone and shown.

use std::time::{Duration, Instant};

use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};
use streamspace_tests::{
    region::Region,
    runtime::story,
    wait::{holds, until},
};

/// A second from the watch event to the repair, and what a busy machine adds.
const REPAIRED_WITHIN: Duration = Duration::from_secs(1);
/// One look in so many may meet a machine that does something else.
const TRIES: usize = 5;

/// A kind of object, one of its objects, and how a hand spoils it.
struct Case {
    api: &'static str,
    kind: &'static str,
    plural: &'static str,
    name: &'static str,
    spoil: fn() -> Value,
}

const CASES: [Case; 8] = [
    Case {
        api: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        plural: "networkpolicies",
        name: "streamspace-default-deny",
        spoil: || json!({"spec": {"policyTypes": ["Ingress"]}}),
    },
    Case {
        api: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        plural: "networkpolicies",
        name: "streamspace-internet",
        spoil: || json!({"spec": {"egress": [{}]}}),
    },
    Case {
        api: "v1",
        kind: "ResourceQuota",
        plural: "resourcequotas",
        name: "streamspace",
        spoil: || json!({"spec": {"hard": {"pods": "99999"}}}),
    },
    Case {
        api: "v1",
        kind: "LimitRange",
        plural: "limitranges",
        name: "streamspace",
        spoil: || json!({"spec": {"limits": []}}),
    },
    Case {
        api: "rbac.authorization.k8s.io/v1",
        kind: "Role",
        plural: "roles",
        name: "streamspace-administrators",
        spoil: || json!({"rules": []}),
    },
    Case {
        api: "rbac.authorization.k8s.io/v1",
        kind: "RoleBinding",
        plural: "rolebindings",
        name: "streamspace-administrators",
        spoil: || json!({"subjects": []}),
    },
    Case {
        api: "policy/v1",
        kind: "PodDisruptionBudget",
        plural: "poddisruptionbudgets",
        name: "streamspace-live-sessions",
        spoil: || json!({"spec": {"maxUnavailable": 3}}),
    },
    Case {
        api: "v1",
        kind: "Namespace",
        plural: "namespaces",
        name: "",
        spoil: || json!({"metadata": {"labels": {"tier": "gold"}}}),
    },
];

impl Case {
    fn api(&self, client: &Client, namespace: &str) -> Api<DynamicObject> {
        let (group, version) = self.api.split_once('/').unwrap_or(("", self.api));
        let resource = ApiResource {
            group: group.into(),
            version: version.into(),
            api_version: self.api.into(),
            kind: self.kind.into(),
            plural: self.plural.into(),
        };
        if self.kind == "Namespace" {
            Api::all_with(client.clone(), &resource)
        } else {
            Api::namespaced_with(client.clone(), namespace, &resource)
        }
    }

    fn name<'a>(&'a self, namespace: &'a str) -> &'a str {
        if self.name.is_empty() { namespace } else { self.name }
    }
}

/// What the daemon wishes of an object: all but what the API server and others add.
fn substance(object: &DynamicObject) -> Value {
    let mut data = object.data.clone();
    if let Some(map) = data.as_object_mut() {
        map.remove("status");
        // The namespace controller's.
        if object.types.as_ref().is_some_and(|types| types.kind == "Namespace") {
            map.remove("spec");
        }
    }
    json!({"labels": object.metadata.labels, "data": data})
}

async fn a_tenant(region: &Region, id: &str) -> String {
    let create = ["tenant", "create", id, "--plan", "business", "--seats", "1"];
    region.admin().ok(&[&create[..], &["--admin", "ann@example.com", "--wait"]].concat()).await;
    region.namespace(id)
}

#[test]
fn what_a_hand_changes_or_deletes_is_repaired_within_a_second() {
    story(async {
        let region = Region::start().await;
        let namespace = a_tenant(&region, "steady").await;
        let hand = region.break_glass().await;
        for case in &CASES {
            let api = case.api(&hand, &namespace);
            let name = case.name(&namespace);
            let before = substance(&api.get(name).await.unwrap());
            fast_enough(case, "changed", async || {
                let spoil = Patch::Merge((case.spoil)());
                let spoiled = api.patch(name, &PatchParams::default(), &spoil).await.unwrap();
                assert_ne!(substance(&spoiled), before, "{} {name} was not spoiled", case.kind);
                repaired(&api, name, &before).await
            })
            .await;
            if case.kind == "Namespace" {
                continue;
            }
            fast_enough(case, "deleted", async || {
                api.delete(name, &DeleteParams::default()).await.unwrap();
                repaired(&api, name, &before).await
            })
            .await;
        }
    });
}

/// How long until the object is again what it was.
async fn repaired(api: &Api<DynamicObject>, name: &str, before: &Value) -> Duration {
    let begin = Instant::now();
    until("the object is as it was", async || {
        let now = api.get_opt(name).await.map_err(|e| e.to_string())?;
        let now = now.map(|object| substance(&object));
        holds(now.as_ref() == Some(before), || format!("{now:?}"))
    })
    .await;
    begin.elapsed()
}

/// The best of a few tries counts: the others measure the machine.
async fn fast_enough(case: &Case, what: &str, attempt: impl AsyncFn() -> Duration) {
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        best = best.min(attempt().await);
        if best < REPAIRED_WITHIN {
            return;
        }
    }
    panic!("{} {} that was {what} was repaired after {best:?}", case.kind, case.name);
}

#[test]
fn while_a_tenant_is_paused_drift_is_left_alone_and_shown() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let namespace = a_tenant(&region, "resting").await;
        let hand = region.break_glass().await;
        ssctl.run(&["tenant", "pause", "resting", "--for", "1h"]).await.exits(2).says("reason");
        let pause = ["tenant", "pause", "resting", "--for", "1h", "--reason", "mending by hand"];
        ssctl.ok(&pause).await;
        until("the pause is told", async || {
            let shown = ssctl.json(&["tenant", "show", "resting"]).await;
            holds(shown["pause"]["reason"] == "mending by hand", || shown.to_string())
        })
        .await;
        until("the region tells of it", async || {
            let shown = ssctl.json(&["region", "show"]).await;
            holds(shown["pausedTenants"] == 1, || shown.to_string())
        })
        .await;
        ssctl.ok(&["region", "show"]).await.prints("aused");

        for case in &CASES {
            let api = case.api(&hand, &namespace);
            let spoil = Patch::Merge((case.spoil)());
            api.patch(case.name(&namespace), &PatchParams::default(), &spoil).await.unwrap();
        }
        let deleted = CASES[0].api(&hand, &namespace);
        deleted.delete(CASES[0].name, &DeleteParams::default()).await.unwrap();

        // Every spoiled object is shown as such.
        until("the drift is shown", async || {
            let answer = ssctl.json(&["tenant", "show", "resting", "--objects"]).await;
            let objects = answer["objects"].as_array().or(answer.as_array()).cloned();
            let objects = objects.unwrap_or_default();
            let states: Vec<_> = objects
                .iter()
                .filter(|object| object["state"] != "TENANT_OBJECT_STATE_IN_SYNC")
                .map(|object| format!("{} {}: {}", object["kind"], object["name"], object["state"]))
                .collect();
            holds(states.len() == CASES.len(), || format!("{states:?}"))
        })
        .await;
        until("a condition tells of it", async || {
            let shown = ssctl.json(&["tenant", "show", "resting"]).await;
            let told = shown["conditions"].as_array().is_some_and(|conditions| {
                conditions.iter().any(|condition| {
                    condition["type"] == "Drifted" && condition["status"] == "CONDITION_STATUS_TRUE"
                })
            });
            holds(told, || shown.to_string())
        })
        .await;
        // It was left alone: the object that was deleted is still away.
        assert!(deleted.get_opt(CASES[0].name).await.unwrap().is_none());

        // At the end of the pause all is repaired.
        ssctl.ok(&["tenant", "unpause", "resting"]).await;
        until("all is repaired", async || {
            let answer = ssctl.json(&["tenant", "show", "resting", "--objects"]).await;
            let objects = answer["objects"].as_array().or(answer.as_array()).cloned();
            let wrong: Vec<_> = objects
                .unwrap_or_default()
                .into_iter()
                .filter(|object| object["state"] != "TENANT_OBJECT_STATE_IN_SYNC")
                .collect();
            holds(wrong.is_empty(), || format!("{wrong:?}"))
        })
        .await;
    });
}

#[test]
fn a_pause_of_the_region_ends_by_itself() {
    story(async {
        let region = Region::start().await;
        let ssctl = region.admin();
        let namespace = a_tenant(&region, "waiting").await;
        let pause = ["region", "pause", "--for", "1m", "--reason", "an upgrade of the cluster"];
        ssctl.ok(&pause).await;
        until("the daemon holds still", async || {
            let shown = ssctl.json(&["region", "show"]).await;
            holds(shown["pause"]["reason"] == "an upgrade of the cluster", || shown.to_string())
        })
        .await;
        let hand = region.break_glass().await;
        let case = &CASES[2];
        let api = case.api(&hand, &namespace);
        let before = substance(&api.get(case.name).await.unwrap());
        let spoil = Patch::Merge((case.spoil)());
        api.patch(case.name, &PatchParams::default(), &spoil).await.unwrap();
        let shown = ssctl.json(&["tenant", "show", "waiting", "--objects"]).await;
        assert!(shown.to_string().contains("DRIFTED"), "{shown}");
        assert_ne!(substance(&api.get(case.name).await.unwrap()), before, "it was left alone");
        // The clock is the database's: bringing the end near is as good as waiting for it.
        sqlx::query("UPDATE region_controls SET pause_until = now() + interval '2 seconds'")
            .execute(&region.pool())
            .await
            .unwrap();
        let _repaired = repaired(&api, case.name, &before).await;
        let shown = ssctl.json(&["region", "show"]).await;
        assert!(shown.get("pause").is_none_or(Value::is_null), "{shown}");
    });
}
