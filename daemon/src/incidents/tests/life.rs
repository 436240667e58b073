//! From declaration to review.

use streamspace_proto::v1::{
    IncidentRole,
    IncidentSeverity::{P0, P1, P3},
    IncidentState::{self, Mitigated, Resolved, Reviewed, Triaged},
};

use super::*;

#[tokio::test]
async fn an_incident_goes_from_its_declaration_to_its_review() {
    let world = World::start().await;
    world.test.insert_tenant("acme").await;
    let incident = world.declare("API errors", P1).await;
    assert_eq!(incident.name, "incidents/INC-1");
    let name = incident.name.as_str();
    world.wait(60);
    let taken = world.acknowledge(name, "lee").await.unwrap();
    assert_eq!((taken.acknowledged_by.as_str(), taken.commander.as_str()), ("lee", "lee"));
    let request = v1::MoveIncidentRequest {
        name: name.into(),
        state: Triaged.into(),
        severity: P0.into(),
        note: "all of the API".into(),
        tenants: vec!["tenants/acme".into()],
        ..Default::default()
    };
    let triaged = world.incidents().move_to(&by("lee"), &request).await.unwrap();
    assert_eq!(triaged.severity(), P0);
    assert_eq!(triaged.tenants, ["tenants/acme"]);
    let role = v1::AssignRoleRequest {
        name: name.into(),
        role: IncidentRole::Scribe.into(),
        person: "max".into(),
        ..Default::default()
    };
    world.incidents().assign(&by("lee"), &role).await.unwrap();
    let note = v1::AddNoteRequest {
        name: name.into(),
        text: "rolled back | <b>\nlooks well".into(),
        ..Default::default()
    };
    world.incidents().note(&by("lee"), &note).await.unwrap();
    world.wait(600);
    world.step(name, Mitigated, "").await.unwrap();
    let action = v1::AddActionItemRequest {
        name: name.into(),
        text: "test the rollback".into(),
        owner: "max".into(),
        due: "2026-03-31".into(),
        ..Default::default()
    };
    world.incidents().add_action(&by("lee"), &action).await.unwrap();
    let done = v1::CompleteActionItemRequest { name: name.into(), number: 1, ..Default::default() };
    let with = world.incidents().complete_action(&by("max"), &done).await.unwrap();
    assert!(with.action_items[0].done);
    world.step(name, Resolved, "the cause is gone").await.unwrap();
    let reviewed = world.step(name, Reviewed, "").await.unwrap();
    assert_eq!(reviewed.state(), IncidentState::Reviewed);
    let kinds: Vec<String> = world.told(name).await.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(
        kinds,
        [
            "declared",
            "paged",
            "acknowledged",
            "triaged",
            "role",
            "note",
            "mitigated",
            "action",
            "action",
            "resolved",
            "reviewed"
        ]
    );
    let request = v1::ExportPostMortemRequest { name: name.into() };
    let page = world.incidents().export(&by("kim"), &request).await.unwrap().text;
    for part in [
        "# INC-1: API errors\n",
        "| Severity | P0 |",
        "| Acknowledged | 2026-03-01 03:01:00 UTC by lee, after 1 min 0 s |",
        "| Mitigated | 2026-03-01 03:11:00 UTC, after 11 min 0 s |",
        "| acme | free |",
        "rolled back \\| &lt;b&gt;\\\\nlooks well",
        "- [x] test the rollback, max, by 2026-03-31",
    ] {
        assert!(page.contains(part), "no {part:?} in\n{page}");
    }
    assert!(world.open().await.is_empty());
    assert_eq!(world.list(true).await.len(), 1);
}

#[tokio::test]
async fn a_step_that_does_not_follow_is_refused_and_changes_nothing() {
    let world = World::start().await;
    let name = &world.declare("slow", P3).await.name;
    let before = world.get(name).await;
    assert_eq!(reason(world.step(name, Reviewed, "").await), "INCIDENT_STATE");
    assert_eq!(reason(world.step(name, IncidentState::Declared, "").await), "state");
    assert_eq!(reason(world.step(name, IncidentState::Unspecified, "").await), "state");
    assert_eq!(reason(world.step(name, Triaged, "\u{202e}").await), "note");
    assert_eq!(world.get(name).await, before);
    world.step(name, Resolved, "").await.unwrap();
    assert_eq!(reason(world.acknowledge(name, "lee").await), "INCIDENT_CLOSED");
    assert_eq!(reason(world.step(name, Triaged, " ").await), "note");
    let again = world.step(name, Triaged, "it is back").await.unwrap();
    assert_eq!(again.state(), Triaged);
    assert_eq!(again.resolve_time, None);
    assert_eq!(again.acknowledged_by, "kim", "whoever opens it again has it");
}

#[tokio::test]
async fn of_two_who_take_one_at_once_the_first_has_it() {
    let world = World::start().await;
    let name = &world.declare("down", P1).await.name;
    let (one, two) = tokio::join!(world.acknowledge(name, "kim"), world.acknowledge(name, "lee"));
    let (has_it, late) = match (one, two) {
        (Ok(incident), Err(error)) | (Err(error), Ok(incident)) => {
            (incident.acknowledged_by, error)
        }
        both => panic!("{both:?}"),
    };
    assert!(late.to_string().starts_with(&format!("{has_it} has INC-1 in hand")), "{late}");
    let again = world.acknowledge(name, &has_it).await.unwrap();
    assert_eq!(again.acknowledged_by, has_it, "who has it may say so twice");
    assert_eq!(world.texts(name, "acknowledged").await.len(), 1);
}

#[tokio::test]
async fn a_dry_run_and_a_retry_have_no_effect_of_their_own() {
    let world = World::start().await;
    let request = v1::DeclareIncidentRequest {
        title: "down".into(),
        severity: P1.into(),
        validate_only: true,
        ..Default::default()
    };
    let trial = world.incidents().declare(&by("kim"), &request).await.unwrap();
    assert_eq!(trial.name, "incidents/INC-1");
    assert!(world.list(true).await.is_empty());
    let request = v1::DeclareIncidentRequest {
        validate_only: false,
        request_id: Uuid::new_v4().to_string(),
        ..request
    };
    let first = world.incidents().declare(&by("kim"), &request).await.unwrap();
    let second = world.incidents().declare(&by("kim"), &request).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(world.list(true).await.len(), 1);
    assert_eq!(world.sent(Action::Trigger).await, 1);
    let note = v1::AddNoteRequest {
        name: first.name.clone(),
        text: "x".into(),
        validate_only: true,
        ..Default::default()
    };
    world.incidents().note(&by("kim"), &note).await.unwrap();
    assert!(world.texts(&first.name, "note").await.is_empty());
}

#[tokio::test]
async fn an_etag_that_is_not_the_last_is_refused() {
    let world = World::start().await;
    let incident = world.declare("down", P1).await;
    world.acknowledge(&incident.name, "lee").await.unwrap();
    let request = v1::MoveIncidentRequest {
        name: incident.name.clone(),
        state: Mitigated.into(),
        etag: incident.etag,
        ..Default::default()
    };
    let refused = world.incidents().move_to(&by("kim"), &request).await;
    assert!(matches!(refused, Err(RpcError::EtagMismatch(_))), "{refused:?}");
}

#[tokio::test]
async fn two_incidents_become_one_and_both_timelines_stay() {
    let world = World::start().await;
    world.test.insert_tenant("acme").await;
    let first = world.declare("API errors", P1).await.name;
    world.wait(60);
    let request = v1::DeclareIncidentRequest {
        title: "starts fail".into(),
        tenants: vec!["tenants/acme".into()],
        ..Default::default()
    };
    let second = world.incidents().declare(&by("kim"), &request).await.unwrap().name;
    let merge = |name: &str, into: &str| v1::MergeIncidentRequest {
        name: name.into(),
        into: into.into(),
        ..Default::default()
    };
    let incidents = world.incidents();
    assert_eq!(reason(incidents.merge(&by("kim"), &merge(&first, &first)).await), "into");
    let on = incidents.merge(&by("kim"), &merge(&second, &first)).await.unwrap();
    assert_eq!((on.name.as_str(), &on.tenants[..]), (first.as_str(), &["tenants/acme".into()][..]));
    let ended = world.get(&second).await;
    assert_eq!((ended.state(), ended.merged_into), (Resolved, first.clone()));
    assert_eq!(reason(world.step(&second, Triaged, "back").await), "INCIDENT_CLOSED");
    let again = incidents.merge(&by("kim"), &merge(&first, &second)).await;
    assert_eq!(reason(again), "INCIDENT_CLOSED");
    assert_eq!(world.texts(&second, "merged").await, ["joined to INC-1, which goes on"]);
    assert_eq!(world.texts(&first, "merged").await, ["INC-2 was joined to it: starts fail"]);
}

#[tokio::test]
async fn what_names_nothing_or_cannot_be_read_is_refused_by_its_field() {
    let world = World::start().await;
    let incidents = world.incidents();
    let declare = async |request: v1::DeclareIncidentRequest| {
        reason(incidents.declare(&by("kim"), &request).await)
    };
    let good = || v1::DeclareIncidentRequest { title: "down".into(), ..Default::default() };
    assert_eq!(declare(v1::DeclareIncidentRequest::default()).await, "title");
    let title = "x".repeat(201);
    assert_eq!(declare(v1::DeclareIncidentRequest { title, ..good() }).await, "title");
    assert_eq!(declare(v1::DeclareIncidentRequest { severity: 77, ..good() }).await, "severity");
    let slos = vec!["slos/none".into()];
    assert!(
        declare(v1::DeclareIncidentRequest { slos, ..good() }).await.starts_with("slos/none does")
    );
    let tenants = vec!["acme".into()];
    assert_eq!(declare(v1::DeclareIncidentRequest { tenants, ..good() }).await, "tenants[0]");
    let alert = "alerts/x".into();
    assert_eq!(declare(v1::DeclareIncidentRequest { alert, ..good() }).await, "alert");
    let policy = "escalationPolicies/none".into();
    let missing = declare(v1::DeclareIncidentRequest { escalation_policy: policy, ..good() }).await;
    assert!(missing.starts_with("escalationPolicies/none does"), "{missing}");
    assert!(world.acknowledge("incidents/INC-9", "kim").await.is_err());
    assert_eq!(reason(world.acknowledge("INC-x", "kim").await), "name");
    assert!(world.list(true).await.is_empty());
}
