use serde_json::json;
use streamspace_core::tenant::TenantState;

use super::*;
use crate::{
    kube::index::{Index, is_counted},
    tenants::store::testing::a_tenant,
};

fn wish(kind: &str, name: &str) -> Wish {
    let spec = json!({"hard": {"pods": "20"}});
    Wish::new(json!({"kind": kind, "metadata": {"name": name}, "spec": spec})).unwrap()
}

fn wishes() -> Vec<Wish> {
    vec![wish("Namespace", "tenant-acme-corp"), wish("ResourceQuota", "q"), wish("Role", "r")]
}

fn live(kind: Kind, name: &str, change: impl FnOnce(&mut Value)) -> Object {
    let namespaced = kind.is_namespaced();
    let mut value = json!({
        "metadata": {
            "name": name, "uid": "u", "resourceVersion": "5",
            "namespace": namespaced.then_some("tenant-acme-corp"),
            "labels": {TENANT_UID_LABEL: a_tenant().uid.0.to_string()},
            "managedFields": [{"manager": "streamspaced", "operation": "Apply", "fieldsV1": {}}],
        },
        "spec": {"hard": {"pods": "20"}},
        "status": {"hard": {"pods": "20"}, "used": {"pods": "0"}},
    });
    change(&mut value);
    serde_json::from_value(value).unwrap()
}

/// What an index holds after it saw these.
fn entries(seen: &[(Kind, Object, Verdict)]) -> Vec<Entry> {
    let index = Index::default();
    for (kind, object, verdict) in seen {
        index.note(*kind, object, verdict.clone(), is_counted(object));
    }
    index.of("tenant-acme-corp")
}

fn all_matched(wishes: &[Wish]) -> Vec<(Kind, Object, Verdict)> {
    wishes
        .iter()
        .map(|it| (it.kind, live(it.kind, &it.name, |_| {}), Verdict::Matched(it.digest)))
        .collect()
}

#[test]
fn what_is_as_wished_asks_for_nothing() {
    let wishes = wishes();
    let entries = entries(&all_matched(&wishes));
    assert!(todo(&a_tenant(), &wishes, &entries).is_nothing());
    assert_eq!(known_way(&a_tenant(), &entries), Some(Way::Clear));
}

#[test]
fn what_is_missing_drifted_or_wished_anew_is_written_and_says_why() {
    let wishes = wishes();
    let mut seen = all_matched(&wishes);
    seen[0].2 = Verdict::Matched(Digest(1));
    seen[1].2 = Verdict::Drifted("spec.hard.pods is \"999\", wished \"20\"".into());
    seen.pop();
    let entries = entries(&seen);
    let todo = todo(&a_tenant(), &wishes, &entries);
    let sentences: Vec<String> = todo.apply.iter().map(Deviation::sentence).collect();
    assert_eq!(
        sentences,
        [
            "Namespace tenant-acme-corp waits for the new wish",
            "ResourceQuota q: spec.hard.pods is \"999\", wished \"20\"",
            "Role r is missing",
        ]
    );
}

#[test]
fn a_quota_that_the_cluster_does_not_count_yet_is_waited_for() {
    let wishes = wishes();
    let mut seen = all_matched(&wishes);
    seen[1].1 = live(Kind::ResourceQuota, "q", |it| it["status"] = json!({}));
    let known = entries(&seen);
    let open = todo(&a_tenant(), &wishes, &known);
    assert!(!open.counted && open.apply.is_empty() && !open.is_nothing());
    assert!(todo(&a_tenant(), &[], &[]).counted, "without a quota there is nothing to count");
}

#[test]
fn only_what_we_applied_for_this_tenant_is_pruned() {
    let wishes = wishes();
    let mut seen = all_matched(&wishes);
    let mut add = |name: &str, change: fn(&mut Value)| {
        seen.push((Kind::Role, live(Kind::Role, name, change), Verdict::Unwished));
    };
    add("old", |_| {});
    add("by-a-hand", |it| it["metadata"]["managedFields"] = json!([]));
    add("of-another-tenant", |it| {
        it["metadata"]["labels"][TENANT_UID_LABEL] = json!(uuid::Uuid::nil().to_string());
    });
    add("dying", |it| it["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"));
    let known = entries(&seen);
    let open = todo(&a_tenant(), &wishes, &known);
    let names: Vec<&str> = open.prune.iter().map(|entry| &*entry.name).collect();
    assert_eq!(names, ["old"]);
    assert!(open.apply.is_empty());
}

fn namespace(change: impl FnOnce(&mut Value)) -> Object {
    live(Kind::Namespace, "tenant-acme-corp", change)
}

fn foreign() -> Object {
    namespace(|it| it["metadata"] = json!({"name": "tenant-acme-corp"}))
}

fn dying() -> Object {
    namespace(|it| {
        it["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        it["status"] = json!({"conditions": [
            {"type": "NamespaceContentRemaining", "status": "True", "message": "Some resources remain: pods."},
            {"type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "fine"},
        ]});
    })
}

#[test]
fn a_namespace_of_somebody_else_is_taken_over_only_when_told_so() {
    let tenant = a_tenant();
    assert_eq!(way(&tenant, None, None), Way::Clear);
    assert!(matches!(way(&tenant, None, Some(&foreign())), Way::Blocked(_)));
    assert_eq!(way(&tenant, Some("streamspace"), Some(&foreign())), Way::Clear);
    let orphan = namespace(|it| {
        it["metadata"]["labels"][TENANT_UID_LABEL] = json!(uuid::Uuid::nil().to_string());
        it["metadata"]["labels"][INSTANCE_LABEL] = json!("streamspace");
    });
    assert!(matches!(way(&tenant, None, Some(&orphan)), Way::Blocked(_)));
    let instance = orphan.label(INSTANCE_LABEL).unwrap();
    assert_eq!(way(&tenant, Some(instance), Some(&orphan)), Way::Clear);
    assert!(matches!(way(&tenant, Some("another"), Some(&orphan)), Way::Blocked(_)));
    // A hand took every label; what we wrote there tells.
    let bare = namespace(|it| it["metadata"]["labels"] = json!({}));
    assert_eq!(way(&tenant, None, Some(&bare)), Way::Clear);
}

#[test]
fn a_namespace_that_ends_is_waited_for_in_the_clusters_words() {
    let Way::Wait(obstacle) = way(&a_tenant(), None, Some(&dying())) else { panic!("no wait") };
    assert_eq!(obstacle.reason, "NamespaceTerminating");
    assert_eq!(obstacle.message, "Some resources remain: pods.");
    let known = entries(&[(Kind::Namespace, dying(), Verdict::Unwished)]);
    assert_eq!(known_way(&a_tenant(), &known), None, "the live one tells more");
}

#[test]
fn a_purge_deletes_waits_and_ends_and_touches_nothing_of_others() {
    let tenant = TenantRecord { state: TenantState::Purging, ..a_tenant() };
    assert_eq!(purge(&tenant, Some(&namespace(|_| {}))), Purge::Delete);
    assert!(matches!(purge(&tenant, Some(&dying())), Purge::Wait(_)));
    assert_eq!(purge(&tenant, None), Purge::Empty);
    assert_eq!(purge(&tenant, Some(&foreign())), Purge::Empty);
    let another = namespace(|it| {
        it["metadata"]["labels"][TENANT_UID_LABEL] = json!(uuid::Uuid::nil().to_string());
    });
    assert_eq!(purge(&tenant, Some(&another)), Purge::Empty);
}
