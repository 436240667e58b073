use kube::core::ObjectMeta;
use proptest::prelude::*;
use serde_json::json;
use streamspace_core::{
    quantity::{Bytes, Millicores},
    session::Amounts as Said,
};

use super::*;

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

fn session(spec: &Value, status: &Value) -> SeenSession {
    read_session(&object(json!({
        "apiVersion": "stream.space/v1alpha1", "kind": "Session",
        "metadata": {
            "name": "desk", "namespace": "tenant-acme", "uid": "01900000-0000-4000-8000-0000000000aa",
            "resourceVersion": "42", "generation": 3, "creationTimestamp": "2026-11-01T10:00:00Z",
            "finalizers": ["control.stream.space/metering"],
            "managedFields": [
                {"manager": "kubectl", "operation": "Update", "time": "2026-11-01T10:00:00Z",
                 "fieldsV1": {"f:spec": {}}},
                {"manager": "streamspaced", "operation": "Apply", "subresource": "status",
                 "time": "2026-11-01T10:00:07Z", "fieldsV1": {"f:status": {"f:phase": {}}}},
                {"manager": "proxy", "operation": "Update", "subresource": "status",
                 "time": "2026-11-01T10:30:00Z", "fieldsV1": {"f:status": {"f:lastActivity": {}}}},
            ],
        },
        "spec": spec, "status": status,
    })))
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn both_shapes_of_resources_are_read() {
    let limits = Said { cpu: Some(Millicores(1500)), memory: Some(Bytes(2 << 30)) };
    let older = json!({"user": "ada", "template": "firefox", "state": "running",
                       "resources": {"cpu": "1500m", "memory": "2Gi"}});
    let wish = session(&older, &json!({})).wish.unwrap();
    assert_eq!((wish.resources.limits, wish.resources.requests), (limits, Said::default()));
    let newer = json!({"user": "ada", "template": "firefox", "state": "running",
                       "resources": {"limits": {"cpu": 1.5, "memory": "2Gi"}, "requests": {"cpu": 1}}});
    let wish = session(&newer, &json!({})).wish.unwrap();
    assert_eq!(wish.resources.limits, limits);
    assert_eq!(wish.resources.requests, Said { cpu: Some(Millicores(1000)), memory: None });
}

#[test]
fn what_the_object_tells_of_itself_is_read() {
    let seen =
        session(&json!({"user": "ada", "template": "firefox", "state": "hibernated"}), &json!({}));
    let metadata = &seen.metadata;
    assert_eq!((metadata.resource_version, metadata.generation), (42, 3));
    assert_eq!(metadata.create_time, instant("2026-11-01T10:00:00Z"));
    // Who wrote the phase, and not who reported activity after it.
    assert_eq!(metadata.status_time, Some(instant("2026-11-01T10:00:07Z")));
    assert_eq!(metadata.write_time, Some(instant("2026-11-01T10:30:00Z")));
    assert_eq!(metadata.finalizers, ["control.stream.space/metering"]);
    assert_eq!(seen.uid().to_string(), "01900000-0000-4000-8000-0000000000aa");
    assert!(!seen.is_deleting());
}

#[test]
fn a_status_is_read() {
    let seen = session(
        &json!({"user": "ada", "template": "firefox", "state": "running"}),
        &json!({
            "phase": "Running", "podName": "desk-1", "url": "https://desk.example.com",
            "lastActivity": "2026-11-01T10:30:00Z",
            "conditions": [
                {"type": "Ready", "status": "False", "reason": "Old"},
                {"type": "Ready", "status": "True", "reason": "PodReady", "message": "there",
                 "lastTransitionTime": "2026-11-01T10:00:07Z"},
                {"status": "True"}, 7,
            ],
            "allotted": {"cpu": "500m", "cpuLimit": "1", "memory": "1Gi", "memoryLimit": "1", "replicas": 0},
            "run": {"podUID": "01900000-0000-4000-8000-0000000000bb",
                    "containerStart": "2026-11-01T10:00:05Z", "node": "n1"},
            "activity": {"reporter": "proxy", "reportTime": "2026-11-01T10:30:00Z"},
        }),
    );
    let status = &seen.status;
    assert_eq!(status.phase, Some(SessionPhase::Running));
    assert_eq!(status.conditions.len(), 1);
    assert_eq!(seen.condition("Ready").unwrap().reason, "PodReady");
    let allotted = status.allotted.unwrap();
    assert_eq!(
        (allotted.each.cpu_request, allotted.each.cpu_limit),
        (Millicores(500), Millicores(1000))
    );
    // A limit below its request is the request; there is always one copy.
    assert_eq!((allotted.each.memory_limit, allotted.replicas), (Bytes(1 << 30), 1));
    assert_eq!(status.run.as_ref().unwrap().node, "n1");
    assert_eq!(status.activity.as_ref().unwrap().reporter, "proxy");
}

#[test]
fn a_bad_session_is_read_all_the_same() {
    let seen = session(
        &json!({"user": 7, "template": {}, "state": "asleep\u{0}", "tags": "x"}),
        &json!(3),
    );
    assert_eq!((seen.state, seen.written.state), (None, SessionState::Hibernated));
    assert_eq!(seen.written.user, "7");
    assert!(seen.wish.is_none());
    let fields: Vec<_> = seen.invalid.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["spec.state", "spec.template"]);
    let nothing = read_session(&object(json!({"metadata": {}})));
    assert!(nothing.wish.is_none() && nothing.uid().0.is_nil());
}

#[test]
fn absurd_values_fall_back() {
    let status = json!({
        "phase": "Flying", "lastActivity": "yesterday",
        "allotted": {"cpu": "-1", "memory": "9999999999999Ti"}, "run": {"podUID": "x"},
    });
    let seen = session(
        &json!({"user": "a\u{0}b".repeat(1000), "template": "t", "state": "running",
        "shared": {"maxReplicas": 99_999_999_999_i64}}),
        &status,
    );
    assert_eq!(seen.status, SeenStatus::default());
    assert_eq!(seen.written.user.chars().count(), NAME_KEPT);
    assert!(!seen.written.user.contains('\0'));
    assert_eq!(seen.written.max_replicas, Some(i32::MAX));
}

fn template(spec: &Value) -> SeenTemplate {
    read_template(&object(
        json!({"metadata": {"name": "firefox", "namespace": "catalogue"}, "spec": spec}),
    ))
}

#[test]
fn both_spellings_of_a_screen_are_read() {
    for spelling in ["vnc", "kasmvnc"] {
        let seen = template(&json!({
            "displayName": "Firefox", "baseImage": "lscr.io/linuxserver/firefox:latest",
            "defaultResources": {"memory": "2Gi", "cpu": "1000m"},
            "ports": [{"name": "vnc", "containerPort": 3000, "protocol": "TCP"}],
            "env": [{"name": "PUID", "value": "1000"}, {"name": "EMPTY"}],
            "volumeMounts": [{"name": "user-home", "mountPath": "/config"}],
            spelling: {"enabled": true, "port": 3001},
            "capabilities": ["Network", "USB"], "tags": ["web browsers"],
        }));
        assert_eq!(seen.verdict, "");
        let template = seen.template.unwrap();
        assert_eq!((template.served_port, template.screen), (3001, true));
        assert_eq!(
            template.defaults,
            Some(Said { cpu: Some(Millicores(1000)), memory: Some(Bytes(2 << 30)) })
        );
        assert_eq!((template.env.len(), template.home_path()), (2, "/config"));
    }
}

#[test]
fn a_bad_template_says_why_in_one_line() {
    let seen = template(
        &json!({"ports": [{"containerPort": "x"}], "capabilities": ["Telepathy"], "tags": 9}),
    );
    assert!(seen.template.is_none() && !seen.verdict.contains('\n'), "{}", seen.verdict);
    assert!(seen.verdict.starts_with("spec.displayName: is empty"), "{}", seen.verdict);
    assert!(matches!(seen.found(), Found::Invalid(_)));
}

#[test]
fn a_home_is_as_large_as_its_volume() {
    let home = |status: Value| {
        read_home(&object(json!({
            "metadata": {"name": "home-ada", "labels": {HOME_LABEL: "ada"}},
            "spec": {"resources": {"requests": {"storage": "10Gi"}}}, "status": status,
        })))
    };
    assert_eq!(home(json!({"phase": "Pending"})).size, Bytes(10 << 30));
    let bound = home(json!({"capacity": {"storage": "20Gi"}}));
    assert_eq!((bound.size, bound.user.as_str()), (Bytes(20 << 30), "ada"));
    assert_eq!(home(json!({"capacity": {"storage": "-5"}})).size, Bytes(10 << 30));
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "spec",
        "status",
        "user",
        "resources",
        "limits",
        "cpu",
        "shared",
        "maxReplicas",
        "allotted",
        "conditions",
        "type",
        "run",
        "ports",
        "env",
        "name",
        "vnc",
        "port",
        "tags",
        "storage",
    ]);
    leaf.prop_recursive(4, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_object_is_read(data in anything()) {
        let object = DynamicObject { types: None, metadata: ObjectMeta::default(), data };
        let seen = read_session(&object);
        prop_assert!(seen.wish.is_some() || !seen.invalid.is_empty());
        prop_assert!(!seen.written.user.contains('\0'));
        let seen = read_template(&object);
        prop_assert!(seen.template.is_some() || !seen.verdict.is_empty());
        read_home(&object);
    }
}
