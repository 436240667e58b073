use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use streamspace_core::ids::TenantUid;

use super::*;
use crate::db::testing::TestDatabase;

const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";
const SESSION: &str = "01900000-0000-4000-8000-0000000000aa";

async fn asked(admission: &Admission, body: Vec<u8>) -> (StatusCode, Vec<u8>) {
    let request = Request::post("/admit").body(Full::new(Bytes::from(body))).expect("a request");
    let response = answer(admission, request).await;
    let status = response.status();
    (status, response.into_body().collect().await.unwrap().to_bytes().to_vec())
}

/// What a question is answered with: whether it may be, the code and the words.
async fn reviewed(admission: &Admission, question: Value) -> (bool, u64, String) {
    let body = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": question,
    });
    let (status, body) = asked(admission, body.to_string().into_bytes()).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (&body["apiVersion"], &body["kind"]),
        (&json!("admission.k8s.io/v1"), &json!("AdmissionReview"))
    );
    let response = &body["response"];
    assert_eq!(response["uid"], UID);
    let allowed = response["allowed"].as_bool().unwrap();
    assert_eq!(allowed, response.get("status").is_none(), "{response}");
    let status = &response["status"];
    let words = status["message"].as_str().unwrap_or_default().to_owned();
    (allowed, status["code"].as_u64().unwrap_or_default(), words)
}

fn session(spec: impl Into<Value>) -> Value {
    json!({
        "apiVersion": "stream.space/v1alpha1", "kind": "Session",
        "metadata": {
            "name": "ada-firefox", "namespace": "tenant-acme-corp", "uid": SESSION,
            "generation": 1,
        },
        "spec": spec.into(),
    })
}

fn running() -> Value {
    json!({
        "user": "ada", "template": "firefox", "state": "running",
        "resources": {"memory": "512Mi", "cpu": "500m"},
    })
}

fn create(object: impl Into<Value>) -> Value {
    json!({
        "uid": UID, "operation": "CREATE", "namespace": "tenant-acme-corp",
        "resource": {"group": "stream.space", "version": "v1alpha1", "resource": "sessions"},
        "name": "ada-firefox", "object": object.into(), "oldObject": null, "dryRun": false,
    })
}

fn update(before: Value, object: Value) -> Value {
    let mut question = create(object);
    question["operation"] = json!("UPDATE");
    question["oldObject"] = before;
    question
}

async fn region() -> (TestDatabase, Admission, TenantUid) {
    let test = TestDatabase::create().await;
    let tenant = test.insert_tenant("acme-corp").await;
    let admission = Admission::new(test.database().clone());
    (test, admission, tenant)
}

async fn reserved(test: &TestDatabase) -> Vec<(uuid::Uuid, i64)> {
    sqlx::query_as("SELECT session_uid, generation FROM session_reservations ORDER BY name")
        .fetch_all(test.database().operator())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_session_is_admitted_under_its_uid_until_the_limit() {
    let (test, admission, _) = region().await;
    let mut rehearsal = create(session(running()));
    rehearsal["dryRun"] = json!(true);
    assert!(reviewed(&admission, rehearsal).await.0);
    assert_eq!(reserved(&test).await, []);
    for _ in 0..2 {
        assert!(reviewed(&admission, create(session(running()))).await.0);
        assert_eq!(reserved(&test).await, [(SESSION.parse().unwrap(), 1)]);
    }
    // The free plan has one session for each user.
    let mut second = session(running());
    second["metadata"]["name"] = json!("ada-second");
    second["metadata"]["uid"] = json!("01900000-0000-4000-8000-0000000000ab");
    let (allowed, code, words) = reviewed(&admission, create(second)).await;
    assert!(!allowed);
    assert_eq!(code, 403);
    assert_eq!(
        words,
        "session `ada-second` of tenant acme-corp may not start: user `ada` may run 1 session at \
         once by plan free, and 1 run or start (`ada-firefox`): hibernate or terminate another \
         session, for example `ada-firefox`, or move the tenant to a larger plan"
    );
}

#[tokio::test]
async fn what_starts_nothing_passes() {
    let (test, admission, _) = region().await;
    let broken = json!({"user": "NOT A USER", "template": "firefox", "state": "running"});
    let with = |key: &str, value: Value| {
        let mut spec = running();
        spec[key] = value;
        session(spec)
    };
    let mut labelled = session(broken.clone());
    labelled["metadata"]["finalizers"] = json!(["control.stream.space/metering"]);
    let mut dying = session(broken.clone());
    dying["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let mut elsewhere = create(session(running()));
    elsewhere["namespace"] = json!("default");
    let mut status = create(session(running()));
    status["subResource"] = json!("status");
    let mut pod = create(session(running()));
    pod["resource"] = json!({"group": "", "version": "v1", "resource": "pods"});
    let mut deletion = create(session(running()));
    deletion["operation"] = json!("DELETE");
    for question in [
        create(with("state", json!("hibernated"))),
        create(with("state", json!("no state"))),
        update(session(running()), with("state", json!("hibernated"))),
        update(session(running()), with("state", json!("terminated"))),
        update(session(broken.clone()), labelled),
        update(session(running()), dying),
        elsewhere,
        status,
        pod,
        deletion,
    ] {
        let shown = question.to_string();
        let (allowed, _, words) = reviewed(&admission, question).await;
        assert!(allowed, "{words}: {shown}");
    }
    assert_eq!(reserved(&test).await, [], "and nothing is reserved for it");
}

#[tokio::test]
async fn what_is_not_valid_is_told_field_by_field() {
    let (_test, admission, _) = region().await;
    let broken = json!({
        "user": "Ada Lovelace", "template": "firefox", "state": "running", "idleTimeout": "soon",
        "resources": {"memory": "-1"}, "shared": {"maxReplicas": 99},
    });
    for question in
        [create(session(broken.clone())), update(session(running()), session(broken.clone()))]
    {
        let (allowed, code, words) = reviewed(&admission, question).await;
        assert!(!allowed);
        assert_eq!(code, 422);
        for part in [
            "spec.user",
            "`ada-lovelace` would be",
            "spec.idleTimeout",
            "spec.resources.memory",
            "spec.shared.maxReplicas",
        ] {
            assert!(words.contains(part), "{part}: {words}");
        }
    }
}

#[tokio::test]
async fn an_update_asks_for_what_is_more() {
    let (test, admission, _) = region().await;
    let small = || {
        let mut spec = running();
        spec["resources"] = json!({"memory": "1Gi", "cpu": "500m"});
        session(spec)
    };
    assert!(reviewed(&admission, create(small())).await.0);
    let mut large = small();
    large["metadata"]["generation"] = json!(2);
    large["spec"]["resources"]["memory"] = json!("100Gi");
    let (allowed, code, words) = reviewed(&admission, update(small(), large)).await;
    assert_eq!((allowed, code), (false, 403));
    assert!(words.contains("user `ada` may have"), "{words}");
    let mut longer = small();
    longer["metadata"]["generation"] = json!(2);
    longer["spec"]["maxSessionDuration"] = json!("9h");
    assert!(reviewed(&admission, update(small(), longer)).await.0);
    assert_eq!(reserved(&test).await, [(SESSION.parse().unwrap(), 2)], "one place still");
}

#[tokio::test]
async fn while_the_database_is_away_nothing_starts_and_all_else_passes() {
    let mut test = TestDatabase::with_own_server().await;
    let admission = Admission::new(test.database().clone());
    test.server().stop().unwrap();
    let (allowed, code, words) = reviewed(&admission, create(session(running()))).await;
    assert_eq!((allowed, code), (false, 503));
    assert!(words.contains("its database is away. Try again"), "{words}");
    let mut sleeps = session(running());
    sleeps["spec"]["state"] = json!("hibernated");
    assert!(reviewed(&admission, update(session(running()), sleeps)).await.0);
}

#[tokio::test]
async fn what_is_no_question_is_refused_as_a_whole() {
    let (_test, admission, _) = region().await;
    for body in [
        "",
        "{",
        "[]",
        "{}",
        "null",
        r#"{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": null}"#,
        r#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}"#,
        r#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {}}"#,
        r#"{"apiVersion": "admission.k8s.io/v1", "kind": "Pod", "request": {"uid": 7}}"#,
        "\u{0}\u{1b}[2J",
    ] {
        let (status, _) = asked(&admission, body.as_bytes().to_vec()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    }
    let deep = "[".repeat(200_000);
    assert_eq!(asked(&admission, deep.into_bytes()).await.0, StatusCode::BAD_REQUEST);
    let large = vec![b' '; SIZE + 1];
    assert_eq!(asked(&admission, large).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let request = Request::get("/admit").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(answer(&admission, request).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    let request = Request::post("/").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(answer(&admission, request).await.status(), StatusCode::NOT_FOUND);

    // Objects of any shape.
    for object in [
        json!(null),
        json!("text"),
        json!([1]),
        json!({"apiVersion": 1, "kind": 2}),
        json!({"apiVersion": "stream.space/v1alpha1", "kind": "Session", "metadata": 7}),
        json!({"apiVersion": "a", "kind": "b", "metadata": {"uid": "no"}, "spec": {"state": "running"}}),
        session(json!({"state": {"a": 1}, "user": ["x"], "template": 1})),
        session(json!({"state": "running", "user": "\u{1b}[2J", "template": "x".repeat(500_000)})),
        session(json!("running")),
    ] {
        let (_, _, words) = reviewed(&admission, create(object)).await;
        assert!(!words.contains('\u{1b}') && words.len() < 8192, "{words}");
    }
}
