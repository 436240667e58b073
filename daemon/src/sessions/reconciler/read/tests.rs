#![allow(clippy::needless_pass_by_value, reason = "objects are written where they are used")]

use serde_json::json;

use super::*;

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

fn pod_of(status: Value) -> SeenPod {
    pod(&object(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {
            SESSION_UID_LABEL: "s", USER_LABEL: "ada"}},
        "spec": {"nodeName": "node-1"}, "status": status,
    })))
}

#[test]
fn a_pod_says_what_is_wrong_in_the_clusters_words() {
    let waiting = |reason: &str, last: Value| {
        pod_of(json!({"containerStatuses": [{
            "state": {"waiting": {"reason": reason, "message": "back-off"}}, "lastState": last}]}))
        .fault
    };
    assert_eq!(waiting("ContainerCreating", json!({})), None);
    let pull = waiting("ImagePullBackOff", json!({})).unwrap();
    assert_eq!((pull.reason.as_str(), pull.message.as_str()), ("ImagePullBackOff", "back-off"));
    let killed = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
    let crash = waiting("CrashLoopBackOff", killed).unwrap();
    assert_eq!(crash.message, "back-off; the container ended with OOMKilled (137)");
    let nowhere = pod_of(json!({"conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3"}]}));
    assert_eq!(nowhere.fault.unwrap().reason, "Unschedulable");
    let evicted =
        pod_of(json!({"phase": "Failed", "reason": "Evicted", "message": "the node was full"}));
    assert_eq!(evicted.fault.unwrap().reason, "Evicted");
    let ready = pod_of(json!({
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]}));
    assert!(ready.ready && ready.fault.is_none() && ready.start.is_some());
    assert_eq!((&*ready.node, &*ready.user, &*ready.session_uid), ("node-1", "ada", "s"));
    let long = waiting(&"r".repeat(500), json!({})).unwrap();
    assert_eq!(long.reason.len(), WORD_KEPT);
}

#[test]
fn a_deployment_says_that_it_could_make_no_pod() {
    let of = |conditions: Value| {
        let object = object(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
            "spec": {"replicas": 1}, "status": {"conditions": conditions}}));
        child(SessionKind::Deployment, &object)
    };
    let refused = of(json!([
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"},
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"},
    ]));
    assert_eq!(refused.fault.unwrap().message, "quota");
    let well = of(json!([{"type": "Progressing", "status": "True"}]));
    assert_eq!((well.fault, well.replicas), (None, Some(1)));
}

#[test]
fn what_controllers_note_is_no_change_of_a_child() {
    let of = |annotation: &str, image: &str| {
        let object = object(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "d", "annotations": {
                "deployment.kubernetes.io/revision": annotation}},
            "spec": {"image": image}, "status": {"replicas": annotation}}));
        child(SessionKind::Deployment, &object).substance
    };
    assert_eq!(of("1", "a"), of("2", "a"));
    assert_ne!(of("1", "a"), of("1", "b"));
}

fn session_with(annotations: Value, status: Value, managed: Value) -> Session {
    let object = object(json!({
        "apiVersion": "stream.space/v1alpha1", "kind": "Session",
        "metadata": {"name": "a", "namespace": "n", "annotations": annotations,
                     "managedFields": managed},
        "spec": {"user": "ada", "template": "firefox", "state": "running"}, "status": status,
    }));
    session(&object, &BTreeSet::from(["proxy".to_owned(), "kim".to_owned()]))
}

#[test]
fn only_the_daemons_own_reasons_are_believed() {
    let time = "2026-01-01T00:00:00Z".parse().unwrap();
    let change = StateChange {
        to: SessionState::Hibernated,
        reason: IDLE.into(),
        message: "nobody".into(),
        time,
    };
    let read = |text: &str| {
        session_with(json!({STATE_CHANGE_ANNOTATION: text}), json!({}), json!([])).last_change
    };
    assert_eq!(read(&written_change(&change)), Some(change.clone()));
    let forged = StateChange { reason: "PaidInFull".into(), ..change };
    assert_eq!(read(&written_change(&forged)), None);
    assert_eq!(read("{"), None);
}

#[test]
fn the_latest_word_of_a_configured_reporter_counts() {
    let entry = |manager: &str, time: &str| {
        json!({"manager": manager, "operation": "Update", "apiVersion": "stream.space/v1alpha1",
               "time": time, "fieldsType": "FieldsV1", "subresource": "status",
               "fieldsV1": {"f:status": {"f:lastActivity": {}}}})
    };
    let status = json!({"lastActivity": "2026-01-01T00:00:00Z",
        "activity": {"reporter": "kim", "reportTime": "2026-01-01T00:05:00Z"}});
    let of = |managed: Value| session_with(json!({}), status.clone(), managed).activity.unwrap();
    assert_eq!(of(json!([])).reporter, "kim");
    assert_eq!(of(json!([entry("proxy", "2026-01-01T00:04:00Z")])).reporter, "kim");
    assert_eq!(of(json!([entry("proxy", "2026-01-01T00:06:00Z")])).reporter, "proxy");
    assert_eq!(of(json!([entry("mallory", "2026-01-01T00:06:00Z")])).reporter, "kim");
    assert_eq!(of(json!([entry(FIELD_MANAGER, "2026-01-01T00:06:00Z")])).reporter, "kim");
    let none = session_with(json!({}), json!({}), json!([]));
    assert_eq!(none.activity, None);
}
