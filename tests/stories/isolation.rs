//! What a tenant's administrator can do in the cluster and what not, on every plan, by
//! the answers of the real API server.

use k8s_openapi::{
    api::{
        authorization::v1::{
            ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
        },
        core::v1::{Pod, ResourceQuota, Secret, Service},
        networking::v1::NetworkPolicy,
        rbac::v1::{ClusterRoleBinding, Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use streamspace_tests::{
    region::Region,
    runtime::story,
    sessions::{session_resource, sessions},
    ssctl::Ssctl,
    wait::{holds, until},
};

const PLANS: [&str; 4] = ["free", "professional", "business", "enterprise"];

fn session(name: &str) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "stream.space/v1alpha1", "kind": "Session", "metadata": {"name": name},
        "spec": {"user": "ann", "template": "firefox", "state": "running"},
    }))
    .unwrap()
}

fn pod(name: &str, spec: &Value) -> Pod {
    let mut container = json!({"name": "main", "image": "example.invalid/none"});
    let mut whole = json!({"automountServiceAccountToken": false});
    for (key, value) in spec.as_object().unwrap() {
        match key.as_str() {
            "resources" | "securityContext" | "volumeMounts" | "ports" => {
                container[key] = value.clone();
            }
            _ => whole[key] = value.clone(),
        }
    }
    whole["containers"] = json!([container]);
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": whole,
    }))
    .unwrap()
}

/// The answer must be a refusal, in words that name the rule.
#[track_caller]
fn refused<T: std::fmt::Debug>(what: &str, answer: Result<T, kube::Error>, words: &str) {
    match answer {
        Err(kube::Error::Api(status)) => {
            assert!(matches!(status.code, 403 | 404 | 422), "{what}: {status:?}");
            assert!(status.message.contains(words), "{what}: {}", status.message);
        }
        other => panic!("{what} was not refused: {other:?}"),
    }
}

async fn make(region: &Region, id: &str, plan: &str) {
    let admin = format!("{id}-admin@example.com");
    let create =
        ["tenant", "create", id, "--plan", plan, "--seats", "1", "--admin", &admin, "--wait"];
    region.admin().ok(&create).await;
}

/// The quota of a new namespace counts once its controller has seen it.
async fn quota_counts(quotas: &Api<ResourceQuota>) -> ResourceQuota {
    until("the quota counts", async || {
        let quota = quotas.get("streamspace").await.map_err(|e| e.to_string())?;
        let known =
            |map: Option<_>| map.map_or(0, |map: std::collections::BTreeMap<_, _>| map.len());
        let wished = known(quota.spec.clone().and_then(|spec| spec.hard));
        let used = known(quota.status.clone().and_then(|status| status.used));
        holds(wished > 0 && wished == used, || format!("{used} of {wished}"))?;
        Ok::<_, String>(quota)
    })
    .await
}

#[test]
fn on_every_plan_an_administrator_stays_in_its_bounds() {
    story(async {
        let region = Region::start().await;
        make(&region, "neighbour", "free").await;
        for plan in PLANS {
            let id = format!("{plan}-co");
            make(&region, &id, plan).await;
            bounds_of(&region, &id).await;
        }
    });
}

async fn bounds_of(region: &Region, id: &str) {
    let namespace = region.namespace(id);
    let admin = format!("{id}-admin@example.com");
    let cluster = region.cluster();
    let theirs = cluster.client_as(&admin, &["system:authenticated"]).await.unwrap();
    let ours = region.client().await;
    let new = PostParams::default();

    // Sessions are theirs.
    let own = sessions(theirs.clone(), &namespace);
    until("the API server knows the rights", async || {
        own.list(&<_>::default()).await.map(drop).map_err(|error| error.to_string())
    })
    .await;
    own.create(&new, &session("desk")).await.unwrap();
    assert_eq!(own.list(&<_>::default()).await.unwrap().items.len(), 1);
    let hibernate = Patch::Merge(json!({"spec": {"state": "hibernated"}}));
    own.patch("desk", &PatchParams::default(), &hibernate).await.unwrap();
    own.delete("desk", &DeleteParams::default()).await.unwrap();
    Api::<Pod>::namespaced(theirs.clone(), &namespace).list(&<_>::default()).await.unwrap();
    Api::<Service>::namespaced(theirs.clone(), &namespace).list(&<_>::default()).await.unwrap();

    // Nothing elsewhere, and no name is learnt from the refusal.
    let neighbour = region.namespace("neighbour");
    for other in [neighbour.as_str(), "kube-system", "default"] {
        let there = sessions(theirs.clone(), other);
        refused("a session elsewhere", there.create(&new, &session("desk")).await, "forbidden");
        refused("sessions elsewhere", there.list(&<_>::default()).await, "forbidden");
        let pods = Api::<Pod>::namespaced(theirs.clone(), other);
        refused("pods elsewhere", pods.list(&<_>::default()).await, "forbidden");
    }
    let absent = region.namespace("never-was");
    let of = async |namespace: &str| {
        let answer = sessions(theirs.clone(), namespace).get("desk").await;
        let Err(kube::Error::Api(status)) = answer else { panic!("it was read: {answer:?}") };
        (status.code, status.message.replace(namespace, "NAMESPACE"))
    };
    assert_eq!(of(&neighbour).await, of(&absent).await, "a tenant's name can be learnt");
    refused("all namespaces", region_namespaces(&theirs).list(&<_>::default()).await, "forbidden");
    refused("its own namespace", region_namespaces(&theirs).get(&namespace).await, "forbidden");
    refused(
        "sessions of all",
        Api::<DynamicObject>::all_with(theirs.clone(), &session_resource())
            .list(&<_>::default())
            .await,
        "forbidden",
    );

    // The quota, our policies and our roles are not theirs to touch.
    let quotas = Api::<ResourceQuota>::namespaced(theirs.clone(), &namespace);
    let wide = Patch::Merge(json!({"spec": {"hard": {"pods": "100000"}}}));
    let merge = PatchParams::default();
    refused("the quota", quotas.patch("streamspace", &merge, &wide).await, "forbidden");
    refused("the quota", quotas.delete("streamspace", &<_>::default()).await, "forbidden");
    let policies = Api::<NetworkPolicy>::namespaced(theirs.clone(), &namespace);
    let relabel =
        Patch::Merge(json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}}));
    let deny = "streamspace-default-deny";
    refused("relabelling", policies.patch(deny, &merge, &relabel).await, "forbidden");
    refused("deleting", policies.delete(deny, &<_>::default()).await, "forbidden");
    let open: NetworkPolicy = serde_json::from_value(json!({
        "metadata": {"name": "open"},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
    }))
    .unwrap();
    refused("widening", policies.create(&new, &open).await, "forbidden");
    let bindings = Api::<RoleBinding>::namespaced(theirs.clone(), &namespace);
    let bind: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "mine"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": admin}],
    }))
    .unwrap();
    refused("binding", bindings.create(&new, &bind).await, "forbidden");
    let roles = Api::<Role>::namespaced(theirs.clone(), &namespace);
    let escalate =
        Patch::Merge(json!({"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}));
    refused(
        "escalating",
        roles.patch("streamspace-administrators", &merge, &escalate).await,
        "forbidden",
    );
    let everywhere = Api::<ClusterRoleBinding>::all(theirs.clone());
    refused("cluster roles", everywhere.list(&<_>::default()).await, "forbidden");
    no_cluster_scoped_resource(&theirs).await;
    let secrets = Api::<Secret>::namespaced(theirs.clone(), &namespace);
    refused("secrets", secrets.list(&<_>::default()).await, "forbidden");

    // No pods of their own; and what anybody makes there meets the rules of the namespace.
    let pods = Api::<Pod>::namespaced(theirs.clone(), &namespace);
    refused("a pod", pods.create(&new, &pod("mine", &json!({}))).await, "forbidden");
    let quota = quota_counts(&Api::namespaced(ours.clone(), &namespace)).await;
    region.takes_pods_of(id).await;
    let pods = Api::<Pod>::namespaced(ours.clone(), &namespace);
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    for (what, spec) in [
        ("privileged", json!({"securityContext": {"privileged": true}})),
        ("hostPath", json!({"volumes": [{"name": "host", "hostPath": {"path": "/"}}]})),
        ("host namespaces", json!({"hostNetwork": true})),
        ("hostPort", json!({"ports": [{"containerPort": 80, "hostPort": 80}]})),
    ] {
        refused(what, pods.create(&dry, &pod("bad", &spec)).await, "violates PodSecurity");
    }
    let services = Api::<Service>::namespaced(ours.clone(), &namespace);
    for kind in ["NodePort", "LoadBalancer"] {
        let service: Service = serde_json::from_value(json!({
            "metadata": {"name": "out"}, "spec": {"type": kind, "ports": [{"port": 80}]},
        }))
        .unwrap();
        refused(kind, services.create(&new, &service).await, "exceeded quota");
    }
    over_quota(&pods, &quota).await;
}

/// One pod that asks for all of the memory fits; any further one does not.
async fn over_quota(pods: &Api<Pod>, quota: &ResourceQuota) {
    let hard = quota.spec.as_ref().and_then(|spec| spec.hard.as_ref()).unwrap();
    let memory = hard["requests.memory"].0.clone();
    let all = json!({"resources": {
        "requests": {"memory": memory, "cpu": "1m"}, "limits": {"memory": memory, "cpu": "1m"},
    }});
    pods.create(&PostParams::default(), &pod("all", &all)).await.unwrap();
    let little = json!({"resources": {
        "requests": {"memory": "1Mi", "cpu": "1m"}, "limits": {"memory": "1Mi", "cpu": "1m"},
    }});
    let answer = pods.create(&PostParams::default(), &pod("more", &little)).await;
    refused("a pod over quota", answer, "exceeded quota: streamspace");
    pods.delete("all", &DeleteParams::default().grace_period(0)).await.unwrap();
}

fn region_namespaces(client: &Client) -> Api<k8s_openapi::api::core::v1::Namespace> {
    Api::all(client.clone())
}

/// Asked about everything that the API server serves outside namespaces.
async fn no_cluster_scoped_resource(client: &Client) {
    let groups = client.list_api_groups().await.unwrap();
    let mut versions = vec!["/api/v1".to_owned()];
    for group in groups.groups {
        let preferred = group.preferred_version.unwrap_or_else(|| group.versions[0].clone());
        versions.push(format!("/apis/{}", preferred.group_version));
    }
    let mut asked = 0;
    for version in versions {
        let (group, number) = match version.strip_prefix("/apis/") {
            Some(rest) => rest.split_once('/').unwrap(),
            None => ("", "v1"),
        };
        let resources = if group.is_empty() {
            client.list_core_api_resources(number).await.unwrap()
        } else {
            client.list_api_group_resources(&format!("{group}/{number}")).await.unwrap()
        };
        for resource in resources.resources {
            // Reviews of one's own rights are everybody's.
            if resource.namespaced
                || resource.name.contains('/')
                || resource.name.starts_with("selfsubject")
            {
                continue;
            }
            for verb in ["get", "list", "create", "update", "delete"] {
                let review = SelfSubjectAccessReview {
                    metadata: ObjectMeta::default(),
                    spec: SelfSubjectAccessReviewSpec {
                        resource_attributes: Some(ResourceAttributes {
                            group: Some(group.to_owned()),
                            resource: Some(resource.name.clone()),
                            verb: Some(verb.to_owned()),
                            ..ResourceAttributes::default()
                        }),
                        ..SelfSubjectAccessReviewSpec::default()
                    },
                    status: None,
                };
                let reviews = Api::<SelfSubjectAccessReview>::all(client.clone());
                let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
                let allowed = answer.status.is_some_and(|status| status.allowed);
                assert!(!allowed, "may {verb} {}.{group}", resource.name);
                asked += 1;
            }
        }
    }
    assert!(asked > 50, "only {asked} rights were asked about");
}

#[test]
fn the_check_proves_isolation_and_finds_what_breaks_it() {
    story(async {
        let region = Region::start().await;
        make(&region, "proven", "business").await;
        let ssctl = region.admin();
        let answer = ssctl.json(&["tenant", "check", "proven"]).await;
        let rules = answer["rules"].as_array().unwrap();
        assert!(rules.len() >= 10, "{answer}");
        for rule in rules {
            assert_eq!(rule["status"], "CONDITION_STATUS_TRUE", "{rule}");
        }
        ssctl.ok(&["tenant", "check", "proven"]).await.prints("✓");

        // Somebody of the cluster gives the tenant more than it should have. While the
        // daemon is paused the hole stays, and the check names it.
        ssctl.ok(&["tenant", "pause", "proven", "--for", "10m", "--reason", "story"]).await;
        let namespace = region.namespace("proven");
        let breaker = region.break_glass().await;
        let labels = Patch::Merge(json!({"metadata": {"labels": {
            "pod-security.kubernetes.io/enforce": "privileged",
        }}}));
        region_namespaces(&breaker)
            .patch(&namespace, &PatchParams::default(), &labels)
            .await
            .unwrap();
        let bind: RoleBinding = serde_json::from_value(json!({
            "metadata": {"name": "hole"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User",
                "name": "proven-admin@example.com"}],
        }))
        .unwrap();
        let ours = region.client().await;
        let bindings = Api::<RoleBinding>::namespaced(ours, &namespace);
        bindings.create(&PostParams::default(), &bind).await.unwrap();
        until("the check finds both holes", async || {
            let ran = ssctl.run(&["tenant", "check", "proven"]).await;
            let found = ran.code == 11
                && ran.stdout.contains("✗")
                && ran.stdout.to_lowercase().contains("privileged");
            holds(found, || format!("{}: {}", ran.code, ran.stdout))
        })
        .await;
        broken(ssctl).await;
    });
}

async fn broken(ssctl: &Ssctl) {
    let ran = ssctl.run(&["tenant", "check", "proven", "-o", "json"]).await.exits(11);
    let answer = ran.json();
    let failed: Vec<_> = answer["rules"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| rule["status"] == "CONDITION_STATUS_FALSE")
        .collect();
    assert!(failed.len() >= 2, "{answer}");
    assert!(failed.iter().all(|rule| !rule["message"].as_str().unwrap().is_empty()), "{answer}");
}
