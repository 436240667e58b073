use streamspace_core::session::{Resources, SessionName, Span, TemplateName, UserName};
use tonic::Code;

use super::*;

fn target() -> Target<'static> {
    Target {
        name: "tenants/acme/sessions/desk-1",
        namespace: "tenant-acme",
        session: "desk-1",
        uid: None,
        operation: OperationId(uuid::Uuid::nil()),
    }
}

fn wish() -> Wish {
    let amounts = streamspace_core::session::Amounts {
        cpu: Some(streamspace_core::quantity::Millicores(500)),
        memory: Some(streamspace_core::quantity::Bytes(2 << 30)),
    };
    Wish {
        name: SessionName::parse("desk-1").unwrap(),
        user: UserName::parse("ada").unwrap(),
        template: TemplateName::parse("firefox").unwrap(),
        state: SessionState::Running,
        resources: amounts.into(),
        persistent_home: true,
        idle_timeout: Span::from_minutes(30),
        max_session_duration: Span::from_minutes(480),
        tags: vec![],
        max_replicas: None,
    }
}

#[test]
fn the_object_is_read_as_the_same_wish_in_either_shape() {
    for shape in [Shape::LimitsAndRequests, Shape::MemoryAndCpu] {
        let object = manifest(&target(), &wish(), shape);
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let seen = read_session(&object);
        let read = seen.wish.unwrap();
        assert_eq!(read.resources.limits, wish().resources.limits, "{shape:?}");
        assert_eq!((read.user, read.idle_timeout), (wish().user, wish().idle_timeout));
    }
    let shared = Wish { max_replicas: Some(3), tags: vec!["a".into()], ..wish() };
    let object = manifest(&target(), &shared, Shape::MemoryAndCpu);
    assert_eq!(object["spec"]["shared"], json!({ "maxReplicas": 3 }));
    assert_eq!(object["spec"]["resources"], json!({ "cpu": "500m", "memory": "2Gi" }));
    let plain = Wish { resources: Resources::default(), ..wish() };
    assert!(manifest(&target(), &plain, Shape::MemoryAndCpu)["spec"].get("resources").is_none());
}

#[test]
fn the_cluster_refuses_in_its_own_words_and_what_is_away_is_no_refusal() {
    let refused = |code, reason: &str, message: &str| ClusterError::Refused {
        reason: reason.into(),
        message: message.into(),
        code,
    };
    let code = |error| told(error, &target()).code();
    assert_eq!(code(refused(409, "AlreadyExists", "")), Code::AlreadyExists);
    assert_eq!(code(refused(409, "Conflict", "")), Code::Aborted);
    assert_eq!(code(refused(500, "InternalError", "failed calling webhook")), Code::Unavailable);
    assert_eq!(code(refused(403, "Forbidden", "stale leader term: 3")), Code::Unavailable);
    let status = told(refused(403, "Forbidden", "exceeded quota:\u{1b}[2J cpu"), &target());
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("exceeded quota:\\u{1b}[2J cpu"), "{status}");
    let long = told(refused(422, "Invalid", &"x".repeat(100_000)), &target());
    assert!(long.message().len() < 1200);
}
