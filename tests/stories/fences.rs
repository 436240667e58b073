//! The cluster's own fences, on a real API server: who may change what is managed, and
//! until which leader term.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
        core::v1::{ConfigMap, Namespace},
        networking::v1::{NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicySpec},
        rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef, Subject},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Config, Error,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;
use streamspace_tests::{
    region::Region,
    runtime::story,
    wait::{holds, until},
};

const DENY: &str = "streamspace-default-deny";

async fn tenant(region: &Region, id: &str) -> String {
    let arguments = [
        "tenant",
        "create",
        id,
        "--plan",
        "free",
        "--seats",
        "1",
        "--admin",
        "a@b.example",
        "--wait",
    ];
    region.admin().ok(&arguments).await;
    region.namespace(id)
}

/// The acting identity with this term, or with none.
async fn acting(region: &Region, term: Option<i64>) -> Client {
    let kubeconfig = Kubeconfig::read_from(region.kubeconfig()).unwrap();
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    config.auth_info.impersonate = Some(format!("{}:daemon", region.instance()));
    if let Some(term) = term {
        let name = "impersonate-extra-stream.space%2fterm".parse().unwrap();
        config.headers.push((name, term.to_string().parse().unwrap()));
    }
    Client::try_from(config).unwrap()
}

/// Somebody who may do all with network policies, namespaces and `ConfigMaps`, and whom no
/// parameter names.
async fn somebody(region: &Region) -> Client {
    let name = format!("{}-somebody", region.instance());
    let client = region.client().await;
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let role = ClusterRole {
        metadata: ObjectMeta { name: Some(name.clone()), ..Default::default() },
        rules: Some(vec![PolicyRule {
            api_groups: Some(owned(&["", "networking.k8s.io"])),
            resources: Some(owned(&["networkpolicies", "namespaces", "configmaps"])),
            verbs: owned(&["*"]),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let binding = ClusterRoleBinding {
        metadata: ObjectMeta { name: Some(name.clone()), ..Default::default() },
        role_ref: RoleRef {
            api_group: Some("rbac.authorization.k8s.io".into()),
            kind: "ClusterRole".into(),
            name: name.clone(),
        },
        subjects: Some(vec![Subject {
            api_group: Some("rbac.authorization.k8s.io".into()),
            kind: "User".into(),
            name: name.clone(),
            ..Default::default()
        }]),
    };
    let parameters = PostParams::default();
    Api::all(client.clone()).create(&parameters, &role).await.unwrap();
    Api::all(client).create(&parameters, &binding).await.unwrap();
    let client = region.cluster().client_as(&name, &["system:authenticated"]).await.unwrap();
    let policies = Api::<NetworkPolicy>::namespaced(client.clone(), "default");
    until("the rights are there", async || {
        policies.list(&<_>::default()).await.map(drop).map_err(|error| error.to_string())
    })
    .await;
    client
}

fn policies(client: &Client, namespace: &str) -> Api<NetworkPolicy> {
    Api::namespaced(client.clone(), namespace)
}

fn own_policy(egress: Option<Vec<NetworkPolicyEgressRule>>) -> NetworkPolicy {
    NetworkPolicy {
        metadata: ObjectMeta { name: Some("own".into()), ..Default::default() },
        spec: Some(NetworkPolicySpec {
            policy_types: Some(vec!["Egress".into()]),
            egress,
            ..Default::default()
        }),
    }
}

fn labels(region: &Region) -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/managed-by".to_owned(), "streamspaced".to_owned()),
        ("control.stream.space/instance".to_owned(), region.instance().to_owned()),
    ]
    .into()
}

/// What it was refused with.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, words: &str) {
    match result {
        Err(Error::Api(status)) => {
            assert!(status.message.contains(words), "{words}: {}", status.message);
        }
        other => panic!("not refused with {words:?}: {other:?}"),
    }
}

fn labelled(value: &str) -> Patch<serde_json::Value> {
    Patch::Merge(json!({"metadata": {"labels": {"by-hand": value}}}))
}

#[test]
fn what_is_managed_is_changed_by_those_who_may_and_nobody_else() {
    story(async {
        let region = Region::start().await;
        let namespace = tenant(&region, "guarded").await;
        let (mallory, patch) = (somebody(&region).await, PatchParams::default());
        let theirs = policies(&mallory, &namespace);

        refused(theirs.patch(DENY, &patch, &labelled("x")).await, "may not update this object");
        refused(theirs.delete(DENY, &<_>::default()).await, "may not delete this object");
        let all = theirs.delete_collection(&<_>::default(), &<_>::default()).await;
        refused(all.map(|_| ()), "may not delete this object");
        let names = Api::<Namespace>::all(mallory.clone());
        refused(names.delete(&namespace, &<_>::default()).await.map(|_| ()), "may not delete");
        let unmark = Patch::Merge(json!({"metadata": {"labels": {
            "control.stream.space/instance": null, "app.kubernetes.io/managed-by": null,
        }}}));
        refused(names.patch(&namespace, &patch, &unmark).await, "may not update this object");
        // An administrator of the cluster is nobody whom the parameter names, either.
        let root = policies(&region.client().await, &namespace);
        refused(root.patch(DENY, &patch, &labelled("x")).await, "break-glass");

        let mut marked = own_policy(None);
        marked.metadata.labels = Some(labels(&region));
        let parameters = PostParams::default();
        refused(theirs.create(&parameters, &marked).await, "may not create this object");
        theirs.create(&parameters, &own_policy(None)).await.unwrap();
        let mark = Patch::Merge(json!({"metadata": {"labels": labels(&region)}}));
        refused(theirs.patch("own", &patch, &mark).await, "may not update this object");
        let wide = Patch::Merge(json!({"spec": {"egress": [{}]}}));
        refused(theirs.patch("own", &patch, &wide).await, "may not allow egress");
        theirs.delete("own", &<_>::default()).await.unwrap();
        let wide = own_policy(Some(vec![NetworkPolicyEgressRule::default()]));
        refused(theirs.create(&parameters, &wide).await, "may not allow egress");
        // Elsewhere that is nobody's business.
        let elsewhere = policies(&mallory, "default");
        let mut wide = wide.clone();
        wide.metadata.name = Some(format!("{}-own", region.instance()));
        elsewhere.create(&parameters, &wide).await.unwrap();
        elsewhere.delete(wide.metadata.name.as_deref().unwrap(), &<_>::default()).await.unwrap();

        // In an emergency, a hand may; the daemon puts it right again.
        let hand = policies(&region.break_glass().await, &namespace);
        hand.delete(DENY, &DeleteParams::default()).await.unwrap();
        until("the policy is there again", async || {
            let live = hand.get_opt(DENY).await.map_err(|error| error.to_string())?;
            holds(live.is_some(), || "it is not".into())
        })
        .await;

        // Another installation in the same cluster has fences of its own.
        let other = Region::start().await;
        let hand = policies(&other.break_glass().await, &namespace);
        refused(hand.patch(DENY, &patch, &labelled("x")).await, "may not update this object");
        let term = highest_term(&region).await;
        let daemon = policies(&acting(&other, Some(term + 100)).await, &namespace);
        refused(daemon.patch(DENY, &patch, &labelled("x")).await, "may not update this object");
    });
}

#[test]
fn a_namespace_is_emptied_by_the_controllers_and_goes() {
    story(async {
        let region = Region::start().await;
        let namespace = tenant(&region, "leaving").await;
        region.stop().await;
        let names = Api::<Namespace>::all(region.break_glass().await);
        names.delete(&namespace, &<_>::default()).await.unwrap();
        until("the namespace is gone", async || {
            let live = names.get_opt(&namespace).await.map_err(|error| error.to_string())?;
            holds(live.is_none(), || format!("{:?}", live.and_then(|live| live.status)))
        })
        .await;
    });
}

async fn highest_term(region: &Region) -> i64 {
    let maps = control(region, region.client().await);
    let leader = maps.get("leader").await.unwrap();
    leader.data.unwrap()["term"].parse().unwrap()
}

fn control(region: &Region, client: Client) -> Api<ConfigMap> {
    Api::namespaced(client, &format!("{}-system", region.instance()))
}

#[test]
fn a_leader_whose_term_has_passed_changes_nothing() {
    story(async {
        let region = Region::start().await;
        let namespace = tenant(&region, "fenced").await;
        let term = highest_term(&region).await;
        assert!(term > 0, "the leader raised it");
        let dry = PatchParams { dry_run: true, ..Default::default() };
        let with = async |term| policies(&acting(&region, term).await, &namespace);

        with(Some(term)).await.patch(DENY, &dry, &labelled("x")).await.unwrap();
        for stale in [Some(term - 1), Some(0), Some(-1), None] {
            let daemon = with(stale).await;
            refused(daemon.patch(DENY, &dry, &labelled("x")).await, "stale leader term");
            refused(daemon.delete(DENY, &DeleteParams::default()).await, "stale leader term");
            let root = Api::<Namespace>::all(acting(&region, stale).await);
            let mut made = Namespace::default();
            made.metadata.name = Some(format!("{namespace}-late"));
            // Also what carries no label of ours.
            refused(root.create(&PostParams::default(), &made).await, "stale leader term");
        }

        // A daemon that starts anew leads with a later term, and closes the one before.
        region.stop().await;
        region.launch().await;
        region.is_well().await;
        until("the term is raised", async || {
            let now = highest_term(&region).await;
            holds(now > term, || format!("{now}"))
        })
        .await;
        let daemon = with(Some(term)).await;
        until("the term before is refused", async || {
            match daemon.patch(DENY, &dry, &labelled("x")).await {
                Err(Error::Api(status)) if status.message.contains("stale leader term") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    });
}

#[test]
fn what_the_fences_read_is_changed_by_those_who_may_change_the_fences() {
    story(async {
        let region = Region::start().await;
        let patch = PatchParams::default();
        let mallory = control(&region, somebody(&region).await);
        // The mark of the database is made when the first term begins.
        let root = control(&region, region.client().await);
        until("the cluster is pinned", async || {
            let live = root.get_opt("instance").await.map_err(|error| error.to_string())?;
            holds(live.is_some(), || "it is not".to_owned())
        })
        .await;
        until("a term has begun", async || {
            let term = highest_term(&region).await;
            holds(term > 0, || format!("the term is {term}"))
        })
        .await;
        let term = highest_term(&region).await;
        // The API server takes a policy up a moment after it was made.
        let dry = PatchParams { dry_run: true, ..PatchParams::default() };
        until("the API server knows the policy", async || {
            let nothing = Patch::Merge(json!({"data": {"users": ""}}));
            match mallory.patch("fence", &dry, &nothing).await {
                Err(Error::Api(status)) if status.message.contains("who may update") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        for name in ["fence", "leader", "instance"] {
            let emptied = Patch::Merge(json!({"data": {"users": "", "term": "0", "uid": ""}}));
            refused(mallory.patch(name, &patch, &emptied).await, "who may update the policy");
            let gone = mallory.delete(name, &<_>::default()).await;
            refused(gone.map(|_| ()), "who may update the policy");
        }
        let set = |term: String| Patch::Merge(json!({"data": {"term": term}}));
        refused(root.patch("leader", &patch, &set((term - 1).to_string())).await, "never lowered");
        for not_a_term in ["", "-1", "1e9", "007", "99999999999999999999"] {
            let result = root.patch("leader", &patch, &set(not_a_term.into())).await;
            refused(result, "must be a leader term");
        }
    });
}

#[test]
fn a_fence_that_was_opened_is_closed_again() {
    story(async {
        let region = Region::start().await;
        let client = region.client().await;
        let guard = format!("{}-guard", region.instance());
        let rules = Api::<ValidatingAdmissionPolicy>::all(client.clone());
        let bindings = Api::<ValidatingAdmissionPolicyBinding>::all(client.clone());
        let wished = rules.get(&guard).await.unwrap().spec;
        let patch = PatchParams::default();

        // By an addition that no apply would take back.
        let opened = Patch::Merge(json!({"spec": {"matchConstraints": {"excludeResourceRules": [{
            "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"],
        }]}}}));
        rules.patch(&guard, &patch, &opened).await.unwrap();
        let is_whole = async || {
            let live = rules.get_opt(&guard).await.map_err(|error| error.to_string())?;
            holds(live.and_then(|live| live.spec) == wished, || "it is not as wished".into())
        };
        until("the policy is whole", is_whole).await;
        rules.delete(&guard, &<_>::default()).await.unwrap();
        bindings.delete(&guard, &<_>::default()).await.unwrap();
        until("the policy is there again", is_whole).await;
        until("its binding is there again", async || {
            let live = bindings.get_opt(&guard).await.map_err(|error| error.to_string())?;
            holds(live.is_some(), || "it is not".into())
        })
        .await;

        let maps = control(&region, client);
        let before = maps.get("fence").await.unwrap().data;
        let more = Patch::Merge(json!({"data": {"users": "mallory"}}));
        maps.patch("fence", &patch, &more).await.unwrap();
        until("the parameter is as wished", async || {
            let live = maps.get("fence").await.map_err(|error| error.to_string())?.data;
            holds(live == before, || format!("{live:?}"))
        })
        .await;
        for name in ["fence", "leader", "instance"] {
            maps.delete(name, &<_>::default()).await.unwrap();
        }
        until("the parameters are there again", async || {
            for name in ["fence", "leader", "instance"] {
                let live = maps.get_opt(name).await.map_err(|error| error.to_string())?;
                holds(live.is_some(), || name.to_owned())?;
            }
            Ok::<(), String>(())
        })
        .await;
        // And tenants can be made again.
        tenant(&region, "after").await;
    });
}

#[test]
fn an_installation_can_be_repeated_and_shown() {
    story(async {
        let region = Region::start().await;
        let config = region.config().display().to_string();
        let administrator = region.cluster().kubeconfig().display().to_string();
        let install = ["cluster", "install", "--config", &config, "--kubeconfig", &administrator];
        let again = region.host(&install).await;
        assert!(again.lines().all(|line| line.ends_with(" unchanged")), "{again}");
        let preview = region.host(&[&install[..], &["--dry-run", "--crds"]].concat()).await;
        assert!(!preview.contains("would be created"), "{preview}");
        let printed =
            region.host(&["cluster", "install", "--crds", "--print", "--config", &config]).await;
        for kind in ["CustomResourceDefinition", "ValidatingAdmissionPolicy", "ClusterRole"] {
            assert!(printed.contains(&format!("kind: {kind}\n")), "{kind}: {printed}");
        }
    });
}
