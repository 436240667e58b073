use serde_json::json;

use super::*;

fn live(owned: &Value, rest: Value) -> Object {
    let mut object = rest;
    object["metadata"]["managedFields"] = json!([
        {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:other": {}}}},
        {"manager": "streamspaced", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}},
        {"manager": "streamspaced", "operation": "Apply", "fieldsV1": owned},
    ]);
    serde_json::from_value(object).unwrap()
}

fn quota_wish() -> Value {
    json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "streamspace", "namespace": "tenant-a", "labels": {"a/b.c": "1"}},
        "spec": {"hard": {"pods": "20", "requests.cpu": "4000m"}},
    })
}

fn quota_owned() -> Value {
    json!({
        "f:metadata": {"f:labels": {"f:a/b.c": {}}},
        "f:spec": {"f:hard": {"f:pods": {}, "f:requests.cpu": {}}},
    })
}

fn quota(change: impl FnOnce(&mut Value, &mut Value)) -> String {
    let mut rest = json!({
        "metadata": {"name": "streamspace", "labels": {"a/b.c": "1", "other": "x"}},
        "spec": {"hard": {"pods": "20", "requests.cpu": "4", "theirs": "1"}},
        "status": {"hard": {}},
    });
    let mut owned = quota_owned();
    change(&mut rest, &mut owned);
    compare(Kind::ResourceQuota, &live(&owned, rest), &quota_wish()).to_string()
}

#[test]
fn as_wished_whatever_others_and_the_server_add() {
    assert_eq!(quota(|_, _| {}), "");
}

#[test]
fn a_changed_or_absent_value_is_named_with_both_sides() {
    assert_eq!(
        quota(|rest, _| rest["spec"]["hard"]["pods"] = json!("999")),
        "spec.hard.pods is \"999\", wished \"20\""
    );
    assert_eq!(
        quota(|rest, _| rest["metadata"]["labels"] = json!({})),
        "metadata.labels[a/b.c] is absent, wished \"1\""
    );
    assert_eq!(
        quota(|rest, _| rest["spec"] = json!(3)),
        "spec is 3, wished {\"hard\":{\"pods\":\"20\",\"requests.cpu\":\"4000m\"}}"
    );
    let all = quota(|rest, _| rest.as_object_mut().unwrap().retain(|key, _| key == "metadata"));
    assert!(all.contains("spec.hard.pods is absent"), "{all}");
}

#[test]
fn what_is_no_longer_wished_is_taken_back() {
    let old_key = quota(|rest, owned| {
        rest["spec"]["hard"]["old"] = json!("1");
        owned["f:spec"]["f:hard"]["f:old"] = json!({});
    });
    assert_eq!(old_key, "spec.hard.old is no longer wished");
    let old_annotation =
        quota(|_, owned| owned["f:metadata"]["f:annotations"] = json!({".": {}, "f:x": {}}));
    assert_eq!(old_annotation, "metadata.annotations.x is no longer wished");
    let old_field = quota(|_, owned| owned["f:data"] = json!({"f:x": {}}));
    assert_eq!(old_field, "data is no longer wished");
}

#[test]
fn a_value_that_another_took_over_is_taken_back_though_it_is_the_same() {
    let taken = quota(|_, owned| {
        owned["f:spec"]["f:hard"].as_object_mut().unwrap().remove("f:pods");
    });
    assert_eq!(taken, "spec.hard.pods is owned by another");
    let never = quota(|_, owned| *owned = json!(null));
    assert!(never.starts_with("it is not applied by the daemon; "), "{never}");
}

#[test]
fn many_differences_are_counted() {
    let wish = json!({"spec": {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}});
    let live = live(&json!({"f:spec": {}}), json!({"metadata": {}, "spec": {}}));
    let words = compare(Kind::Role, &live, &wish).to_string();
    assert!(words.ends_with("spec.c is absent, wished 3; and 2 more"), "{words}");
}

fn policy(owned: &Value, spec: &Value) -> String {
    let wish = json!({"spec": {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": {}}], "ports": [{"port": 53}]}],
    }});
    let live = live(owned, json!({"metadata": {}, "spec": spec}));
    compare(Kind::NetworkPolicy, &live, &wish).to_string()
}

#[test]
fn lists_are_whole_and_the_servers_defaults_in_them_are_no_drift() {
    let owned = json!({"f:spec": {"f:podSelector": {}, "f:policyTypes": {}, "f:egress": {}}});
    let spec = json!({
        "podSelector": {}, "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": {}}], "ports": [{"port": 53, "protocol": "TCP"}]}],
    });
    assert_eq!(policy(&owned, &spec), "");
    let mut longer = spec.clone();
    longer["egress"].as_array_mut().unwrap().push(json!({}));
    assert!(policy(&owned, &longer).starts_with("spec.egress is ["));
    // A hand that widens a rule takes the list from us.
    let taken = json!({"f:spec": {"f:podSelector": {}, "f:policyTypes": {}}});
    let mut widened = spec.clone();
    widened["egress"][0]["to"][0]["namespaceSelector"] = json!({});
    assert_eq!(policy(&taken, &widened), "spec.egress is owned by another");
    // And one that changes a selector takes that.
    let taken = json!({"f:spec": {"f:policyTypes": {}, "f:egress": {}}});
    let mut selected = spec;
    selected["podSelector"] = json!({"matchLabels": {"a": "b"}});
    assert_eq!(
        policy(&taken, &selected),
        "spec.podSelector is {\"matchLabels\":{\"a\":\"b\"}}, wished {}"
    );
}

#[test]
fn quantities_are_compared_only_where_there_are_any() {
    let wish = json!({"spec": {"size": "1000m"}});
    let owned = json!({"f:spec": {"f:size": {}}});
    let live = live(&owned, json!({"metadata": {}, "spec": {"size": "1"}}));
    assert!(compare(Kind::LimitRange, &live, &wish).is_none());
    assert!(!compare(Kind::Role, &live, &wish).is_none());
}
