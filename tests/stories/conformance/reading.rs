//! Gets and lists.

use kube::{
    Client,
    api::{ListParams, VersionMatch},
};
use serde_json::json;

use crate::support::{
    apply, behaviours, get, label, labels, namespaces, path, refusal, unique, version,
};

behaviours![
    a_cluster_has_its_own_namespaces,
    a_missing_namespace_is_not_found,
    the_server_tells_its_health_and_version,
    kinds_are_discovered,
    unknown_paths_are_refused,
    labels_select,
    fields_select,
    pages_are_of_one_moment,
    a_list_can_be_of_a_past_moment,
    a_version_to_come_is_a_timeout,
];

async fn a_cluster_has_its_own_namespaces(client: Client) {
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        let first = namespaces(&client).get(name).await.unwrap();
        let second = namespaces(&client).get(name).await.unwrap();
        assert!(first.metadata.uid.is_some());
        assert_eq!(first.metadata.uid, second.metadata.uid);
        assert_eq!(labels(&first), json!({}));
        assert_eq!(first.status.unwrap().phase.as_deref(), Some("Active"));
        assert_eq!(first.spec.unwrap().finalizers.unwrap(), ["kubernetes"]);
    }
}

async fn a_missing_namespace_is_not_found(client: Client) {
    let name = unique();
    let status = refusal(namespaces(&client).get(&name).await);
    assert_eq!((status.code, status.reason.as_str()), (404, "NotFound"));
    assert_eq!(status.message, format!("namespaces {name:?} not found"));
    let details = status.details.unwrap();
    assert_eq!((details.name, details.kind), (name.clone(), "namespaces".to_owned()));
    assert!(namespaces(&client).get_opt(&name).await.unwrap().is_none());
}

async fn the_server_tells_its_health_and_version(client: Client) {
    assert_eq!(get(&client, "/readyz").await, (200, json!("ok")));
    assert_eq!(get(&client, "/livez").await, (200, json!("ok")));
    let version = client.apiserver_version().await.unwrap();
    assert_eq!((version.major.as_str(), version.minor.as_str()), ("1", "36"));
    assert_eq!(get(&client, "/api").await.1["versions"], json!(["v1"]));
    let (_, resources) = get(&client, "/api/v1").await;
    let resources = resources["resources"].as_array().unwrap();
    let namespaces = resources.iter().find(|resource| resource["name"] == "namespaces").unwrap();
    assert_eq!(namespaces["kind"], "Namespace");
    assert_eq!(namespaces["namespaced"], json!(false));
    assert_eq!(
        namespaces["verbs"],
        json!(["create", "delete", "get", "list", "patch", "update", "watch"])
    );
}

/// Every kind that the project uses, with what can be done to it and to its parts.
async fn kinds_are_discovered(client: Client) {
    let roots = [
        (
            "/api/v1",
            "",
            "namespaces configmaps events limitranges persistentvolumeclaims pods resourcequotas secrets serviceaccounts services",
        ),
        ("/apis/apps/v1", "apps", "deployments replicasets"),
        ("/apis/autoscaling/v2", "autoscaling", "horizontalpodautoscalers"),
        ("/apis/events.k8s.io/v1", "events.k8s.io", "events"),
        ("/apis/networking.k8s.io/v1", "networking.k8s.io", "networkpolicies"),
        ("/apis/policy/v1", "policy", "poddisruptionbudgets"),
        (
            "/apis/rbac.authorization.k8s.io/v1",
            "rbac.authorization.k8s.io",
            "roles rolebindings clusterroles clusterrolebindings",
        ),
        (
            "/apis/admissionregistration.k8s.io/v1",
            "admissionregistration.k8s.io",
            "validatingadmissionpolicies validatingadmissionpolicybindings",
        ),
        ("/apis/apiextensions.k8s.io/v1", "apiextensions.k8s.io", "customresourcedefinitions"),
        (
            "/apis/authorization.k8s.io/v1",
            "authorization.k8s.io",
            "subjectaccessreviews selfsubjectaccessreviews localsubjectaccessreviews",
        ),
    ];
    let (_, groups) = get(&client, "/apis").await;
    let groups = groups["groups"].as_array().unwrap();
    for (root, group, plurals) in roots {
        let (code, list) = get(&client, root).await;
        assert_eq!(code, 200, "{root}");
        assert_eq!(
            list["groupVersion"],
            json!(root.trim_start_matches("/apis/").trim_start_matches("/api/"))
        );
        assert!(group.is_empty() || groups.iter().any(|it| it["name"] == group), "{group}");
        for plural in plurals.split(' ') {
            let find = |name: &str| {
                let all = list["resources"].as_array().unwrap();
                all.iter().find(|it| it["name"] == name).cloned()
            };
            let found = find(plural).unwrap_or_else(|| panic!("{root}/{plural}"));
            let verbs = found["verbs"].as_array().unwrap();
            if group == "authorization.k8s.io" {
                assert_eq!(found["verbs"], json!(["create"]));
                continue;
            }
            for verb in ["create", "delete", "get", "list", "patch", "update", "watch"] {
                assert!(verbs.iter().any(|it| it == verb), "{plural}: {verb}");
            }
            let collections = verbs.iter().any(|it| it == "deletecollection");
            assert_eq!(collections, plural != "namespaces", "{plural}");
            assert!(found["shortNames"].is_array() || found.get("shortNames").is_none());
        }
    }
    let (_, apps) = get(&client, "/apis/apps/v1").await;
    let all = apps["resources"].as_array().unwrap();
    let scale = all.iter().find(|it| it["name"] == "deployments/scale").unwrap();
    assert_eq!((&scale["kind"], &scale["group"]), (&json!("Scale"), &json!("autoscaling")));
    assert_eq!(scale["verbs"], json!(["get", "patch", "update"]));
    let deployments = all.iter().find(|it| it["name"] == "deployments").unwrap();
    assert_eq!(deployments["shortNames"], json!(["deploy"]));
    assert_eq!(deployments["categories"], json!(["all"]));
}

async fn unknown_paths_are_refused(client: Client) {
    let (code, status) = get(&client, "/api/v1/nothing").await;
    assert_eq!((code, &status["reason"]), (404, &json!("NotFound")));
    assert_eq!(status["message"], "the server could not find the requested resource");
    assert_eq!(get(&client, "/nothing").await, (404, json!("404 page not found\n")));
}

async fn labels_select(client: Client) {
    let group = unique();
    let names = [unique(), unique(), unique()];
    for (index, name) in names.iter().enumerate() {
        let tier = ["free", "business", "free"][index];
        apply(
            &client,
            "test",
            name,
            json!({ "group": group, "tier": tier, "index": index.to_string() }),
        )
        .await
        .unwrap();
    }
    label(&client, "hand", &names[2], json!({ "special": "" })).await.unwrap();
    let cases: [(&str, &[usize]); 11] = [
        ("", &[0, 1, 2]),
        ("tier=free", &[0, 2]),
        ("tier==business", &[1]),
        ("tier!=free", &[1]),
        ("tier in (free, business)", &[0, 1, 2]),
        ("tier notin (business)", &[0, 2]),
        ("special", &[2]),
        ("!special", &[0, 1]),
        ("absent!=x", &[0, 1, 2]),
        ("tier=free,!special", &[0]),
        ("index>0", &[1, 2]),
    ];
    for (selector, wanted) in cases {
        let comma = if selector.is_empty() { "" } else { "," };
        let params = ListParams::default().labels(&format!("group={group}{comma}{selector}"));
        let list = namespaces(&client).list(&params).await.unwrap();
        let mut found: Vec<_> =
            list.items.into_iter().filter_map(|item| item.metadata.name).collect();
        let mut wanted: Vec<_> = wanted.iter().map(|index| names[*index].clone()).collect();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "{selector}");
    }
}

async fn fields_select(client: Client) {
    let name = unique();
    apply(&client, "test", &name, json!({})).await.unwrap();
    for selector in
        [format!("metadata.name={name}"), format!("metadata.name=={name},status.phase=Active")]
    {
        let list =
            namespaces(&client).list(&ListParams::default().fields(&selector)).await.unwrap();
        assert_eq!(list.items.len(), 1, "{selector}");
        assert_eq!(list.items[0].metadata.name.as_ref(), Some(&name));
    }
    let other = format!("metadata.name={name},status.phase!=Active");
    assert!(
        namespaces(&client)
            .list(&ListParams::default().fields(&other))
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

async fn pages_are_of_one_moment(client: Client) {
    let group = unique();
    let mut names: Vec<_> = (0..5).map(|index| format!("{group}-{index}")).collect();
    for name in &names {
        apply(&client, "test", name, json!({ "group": group })).await.unwrap();
    }
    let params = ListParams::default().labels(&format!("group={group}")).limit(2);
    let mut page = namespaces(&client).list(&params).await.unwrap();
    let moment = page.metadata.resource_version.clone().unwrap();
    // What changes after the first page is not in the others.
    apply(&client, "test", &format!("{group}-9"), json!({ "group": group })).await.unwrap();
    label(&client, "hand", &names[4], json!({ "group": null })).await.unwrap();
    let mut found = Vec::new();
    let mut sizes = Vec::new();
    loop {
        sizes.push(page.items.len());
        assert_eq!(page.metadata.resource_version.as_ref(), Some(&moment));
        assert_eq!(page.metadata.remaining_item_count, None, "unknown with a selector");
        found.extend(page.items.into_iter().filter_map(|item| item.metadata.name));
        let Some(token) = page.metadata.continue_.filter(|token| !token.is_empty()) else { break };
        page = namespaces(&client).list(&params.clone().continue_token(&token)).await.unwrap();
    }
    names.sort();
    assert_eq!(found, names);
    assert_eq!(sizes, [2, 2, 1]);
    let first = namespaces(&client).list(&ListParams::default().limit(1)).await.unwrap();
    assert!(first.metadata.remaining_item_count.unwrap() >= 5);
}

async fn a_list_can_be_of_a_past_moment(client: Client) {
    let name = unique();
    let group = json!({ "group": name });
    let first = apply(&client, "test", &name, group).await.unwrap();
    let second = label(&client, "hand", &name, json!({ "later": "yes" })).await.unwrap();
    let params = ListParams::default().labels(&format!("group={name}"));
    let past = params.clone().at(&version(&first)).matching(VersionMatch::Exact);
    let list = namespaces(&client).list(&past).await.unwrap();
    assert_eq!(list.metadata.resource_version, Some(version(&first)));
    assert_eq!(labels(&list.items[0]), json!({ "group": name }));
    let recent = params.at(&version(&second)).matching(VersionMatch::NotOlderThan);
    let list = namespaces(&client).list(&recent).await.unwrap();
    assert_eq!(labels(&list.items[0]), json!({ "group": name, "later": "yes" }));
}

async fn a_version_to_come_is_a_timeout(client: Client) {
    for path in [
        "/api/v1/namespaces?resourceVersion=99999999".to_owned(),
        format!("{}?resourceVersion=99999999", path("default")),
    ] {
        let (code, status) = get(&client, &path).await;
        assert_eq!((code, &status["reason"]), (504, &json!("Timeout")));
        assert!(
            status["message"]
                .as_str()
                .unwrap()
                .starts_with("Timeout: Too large resource version: 99999999, current: ")
        );
        assert_eq!(status["details"]["retryAfterSeconds"], 1);
        assert_eq!(status["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    }
}

/// While the server is stopped a request fails without any answer from the API.
pub(crate) async fn refuses_connections(client: &Client) {
    let error = namespaces(client).get("default").await.unwrap_err();
    assert!(!matches!(error, kube::Error::Api(_)), "{error:?}");
}
