use std::path::{Path, PathBuf};

use serde_json::json;

use super::*;
use crate::{kube::NodePoolConfig, platform::install};

fn manifests() -> Manifests {
    let pools: NodePoolConfig = serde_json::from_value(json!({
        "class_group": "karpenter.k8s.aws", "class_kind": "EC2NodeClass", "class_name": "default",
    }))
    .unwrap();
    Manifests::new(&ClusterConfig {
        node_pools: Some(pools),
        trusted_users: vec!["system:serviceaccount:velero:velero".into()],
        ..ClusterConfig::default()
    })
}

fn parameters(manifests: &Manifests) -> Vec<Wish> {
    vec![
        manifests.control_namespace().unwrap(),
        manifests.fence().unwrap(),
        manifests.leader(7).unwrap(),
        manifests.instance(uuid::uuid!("01900000-0000-7000-8000-00000000000a")).unwrap(),
    ]
}

/// `UPDATE_SNAPSHOTS=1` writes the file anew; the change then shows in review.
fn is_as_committed(path: &Path, wishes: &[Wish]) {
    let documents: Vec<_> = wishes
        .iter()
        .map(|wish| install::yaml(&wish.body).unwrap().trim_end().to_owned())
        .collect();
    let now = format!("---\n{}\n", documents.join("\n---\n"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(committed, now, "{}: UPDATE_SNAPSHOTS=1 writes it anew", path.display());
}

/// By each of the two ways to reach it.
fn webhooks() -> Vec<Wish> {
    let url = WebhookAddress::Url("https://10.0.0.5:7444/admit".into());
    let service = WebhookAddress::Service {
        namespace: "streamspace-system".into(),
        name: "streamspaced".into(),
        port: 7444,
        path: "/admit".into(),
    };
    let of = |address| {
        let authorities = "-----BEGIN CERTIFICATE-----\n".to_owned();
        manifests().with_webhook(Some(WebhookClient { address, authorities }))
    };
    [url, service].map(|address| of(address).sessions().unwrap().unwrap()).into()
}

#[test]
fn the_objects_are_as_committed() {
    let manifests = manifests();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/platform/snapshots");
    for (name, wishes) in [
        ("parameters", parameters(&manifests)),
        ("rights", manifests.rights().unwrap()),
        ("policies", manifests.policies().unwrap()),
        ("node-pools", manifests.node_pools()),
        ("webhook", webhooks()),
    ] {
        is_as_committed(&folder.join(format!("{name}.yaml")), &wishes);
    }
}

#[test]
fn the_packaged_definitions_come_of_the_types() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../packaging/crds");
    for wish in manifests().definitions().unwrap() {
        is_as_committed(&folder.join(format!("{}.yaml", wish.name)), &[wish]);
    }
}

#[test]
fn all_but_the_shared_definitions_say_whose_they_are() {
    let manifests = manifests();
    let mut all = parameters(&manifests);
    all.extend(manifests.rights().unwrap());
    all.extend(manifests.policies().unwrap());
    all.extend(manifests.node_pools());
    all.extend(webhooks());
    for wish in all {
        let labels = &wish.body["metadata"]["labels"];
        assert_eq!(labels[INSTANCE_LABEL], "streamspace", "{}", wish.title());
        assert_eq!(labels[MANAGED_BY_LABEL], MANAGED_BY, "{}", wish.title());
    }
}

#[test]
fn no_right_is_a_wildcard_and_none_raises_itself() {
    for wish in manifests().rights().unwrap() {
        for rule in wish.body["rules"].as_array().into_iter().flatten() {
            let words = |key: &str| -> Vec<String> {
                serde_json::from_value(rule.get(key).cloned().unwrap_or_else(|| json!([]))).unwrap()
            };
            for key in ["apiGroups", "resources", "verbs"] {
                assert!(!words(key).contains(&"*".to_owned()), "{}: {rule}", wish.title());
            }
            for verb in ["escalate", "bind"] {
                assert!(!words("verbs").contains(&verb.to_owned()), "{}: {rule}", wish.title());
            }
            if words("verbs").contains(&"impersonate".to_owned()) {
                assert_eq!(wish.name, "streamspace-base", "{rule}");
            }
        }
    }
}

#[test]
fn no_webhook_is_wished_where_none_is_configured() {
    let manifests = manifests();
    assert!(manifests.sessions().is_none());
    assert_eq!(manifests.any_sessions().title(), webhooks()[0].title());
}

#[test]
fn who_may_change_what_is_managed_stands_one_to_a_line() {
    let fence = manifests().fence().unwrap();
    let lines = |key: &str| -> Vec<String> {
        fence.body["data"][key].as_str().unwrap().lines().map(str::to_owned).collect()
    };
    let users = lines("users");
    for user in [
        "streamspace:daemon",
        "system:kube-controller-manager",
        "system:serviceaccount:karpenter:karpenter",
        "system:serviceaccount:velero:velero",
    ] {
        assert!(users.contains(&user.to_owned()), "{users:?}");
    }
    let groups = lines("groups");
    assert_eq!(
        groups,
        ["streamspace:break-glass", "system:serviceaccounts:kube-system", "system:nodes"]
    );
}
