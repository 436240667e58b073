//! Who is paged when, and once.

use streamspace_proto::v1::IncidentSeverity::{P1, P3};

use super::*;

async fn rota(world: &World) {
    let rota = v1::Rota {
        name: "rotas/primary".into(),
        people: vec!["kim".into(), "lee".into()],
        turn_days: 7,
        handover: "09:00".into(),
        time_zone: "UTC".into(),
        start_date: "2026-02-23".into(),
        ..Default::default()
    };
    let request = v1::SetRotaRequest { rota: Some(rota), ..Default::default() };
    world.oncall().set_rota(&by("kim"), &request).await.unwrap();
}

async fn policy(world: &World) {
    let level = |target: &str, minutes| v1::EscalationLevel {
        targets: vec![target.into()],
        minutes,
        channels: vec![],
    };
    let policy = v1::EscalationPolicy {
        name: "escalationPolicies/default".into(),
        levels: vec![level("rotas/primary", 10), level("max", 20), level("ada", 0)],
        ..Default::default()
    };
    let request =
        v1::SetEscalationPolicyRequest { escalation_policy: Some(policy), ..Default::default() };
    world.oncall().set_policy(&by("kim"), &request).await.unwrap();
}

#[tokio::test]
async fn levels_are_paged_as_their_minutes_pass_and_each_once() {
    let world = World::start().await;
    rota(&world).await;
    policy(&world).await;
    let name = &world.declare("down", P1).await.name;
    let first = ["level 1: kim (rotas/primary), by duty"];
    assert_eq!(world.texts(name, "paged").await, first);
    let next = world.get(name).await.next_page_time.unwrap().seconds;
    assert_eq!(next, world.now().as_second() + 600);
    world.wait(599);
    assert_eq!(world.round().await, 0);
    world.wait(1);
    // A leader that dies after its round, and the next one, find what was done.
    assert_eq!((world.round().await, world.round().await), (1, 0));
    assert_eq!(world.texts(name, "paged").await.len(), 2);
    assert_eq!(world.texts(name, "paged").await[1], "level 2: max, by duty");
    world.wait(1_199);
    assert_eq!(world.round().await, 0);
    world.acknowledge(name, "max").await.unwrap();
    world.wait(7_200);
    assert_eq!(world.round().await, 0, "an acknowledgement stops what would come");
    let duty = |action: &str, step: &str| ("duty".to_owned(), action.to_owned(), step.to_owned());
    let outbox = world.outbox().await;
    assert_eq!(outbox[..2], [duty("trigger", "level-1"), duty("trigger", "level-2")]);
    assert_eq!(outbox[2].1, "acknowledge");
    assert_eq!(outbox.len(), 3);
}

#[tokio::test]
async fn levels_nobody_answers_are_paged_again_and_at_last_no_more() {
    let world = World::start().await;
    rota(&world).await;
    policy(&world).await;
    let name = &world.declare("down", P1).await.name;
    // 10, 20 and 15 minutes.
    for (seconds, paged) in [(600, 2), (1_200, 3), (899, 3), (1, 4), (600, 5), (1_200, 6)] {
        world.wait(seconds);
        world.round().await;
        assert_eq!(world.texts(name, "paged").await.len(), paged, "after {seconds} s more");
    }
    assert_eq!(world.texts(name, "paged").await[5], "level 3 again: ada, by duty");
    assert_eq!(world.sent(Action::Trigger).await, 6, "each under a key of its own step");
    for _ in 0..6 {
        world.wait(3_600);
        world.round().await;
    }
    assert_eq!(world.texts(name, "paged").await.len(), 9);
    assert!(world.get(name).await.next_page_time.is_none());
}

#[tokio::test]
async fn a_page_links_to_the_page_of_its_alert() {
    let mut world = World::start().await;
    let config = "runbooks = 'https://docs.example.com/runbooks'\n[channels.duty]\n\
                  kind = 'webhook'\nfor = ['page']\nurl = 'http://127.0.0.1:9/page'";
    world.channels = Channels::new(&toml::from_str(config).unwrap()).unwrap();
    world.alert(REGION, "slos/api").await;
    world.round().await;
    world.declare("by hand", P1).await;
    let links: Vec<String> =
        sqlx::query_scalar("SELECT message ->> 'link' FROM notify_outbox ORDER BY position")
            .fetch_all(world.test.database().operator())
            .await
            .unwrap();
    assert_eq!(links, ["https://docs.example.com/runbooks/slo-burn.md", ""]);
}

#[tokio::test]
async fn a_leader_that_was_away_pages_all_that_is_due() {
    let world = World::start().await;
    rota(&world).await;
    policy(&world).await;
    let name = &world.declare("down", P1).await.name;
    world.wait(3_600);
    world.round().await;
    // Each level once more, though one of them was due twice meanwhile.
    assert_eq!(world.texts(name, "paged").await.len(), 4);
    assert_eq!(world.sent(Action::Trigger).await, 4);
}

#[tokio::test]
async fn one_that_leads_no_more_pages_nobody() {
    let mut world = World::start().await;
    world.declare("down", P1).await;
    world.wait(3_600);
    world.leadership.leader_term = 0;
    assert_eq!(world.round().await, 0);
    assert_eq!(world.sent(Action::Trigger).await, 1);
}

#[tokio::test]
async fn what_can_wait_pages_nobody_until_it_cannot() {
    let world = World::start().await;
    let name = &world.declare("slow", P3).await.name;
    world.wait(7_200);
    assert_eq!(world.round().await, 0);
    let worse = v1::MoveIncidentRequest {
        name: name.clone(),
        state: IncidentState::Triaged.into(),
        severity: P1.into(),
        ..Default::default()
    };
    world.incidents().move_to(&by("kim"), &worse).await.unwrap();
    assert_eq!(world.round().await, 1);
    assert_eq!(world.texts(name, "paged").await, ["level 1: on call, by duty"]);
}

#[tokio::test]
async fn whoever_has_it_can_call_the_next_level() {
    let world = World::start().await;
    rota(&world).await;
    policy(&world).await;
    let request = v1::DeclareIncidentRequest {
        title: "down".into(),
        acknowledged: true,
        ..Default::default()
    };
    let name = world.incidents().declare(&by("lee"), &request).await.unwrap().name;
    assert!(world.outbox().await.is_empty(), "who declares it and has it needs no page");
    let escalate = v1::EscalateIncidentRequest { name: name.clone(), ..Default::default() };
    // Each of the three levels three times.
    for step in 1..=9 {
        let after = world.incidents().escalate(&by("lee"), &escalate).await.unwrap();
        assert_eq!(after.levels_paged, step);
    }
    assert_eq!(world.texts(&name, "paged").await[3], "level 1 again: kim (rotas/primary), by duty");
    let none_left = world.incidents().escalate(&by("lee"), &escalate).await;
    assert_eq!(reason(none_left), "NO_LEVEL_LEFT");
    assert_eq!(world.sent(Action::Trigger).await, 9);
}

#[tokio::test]
async fn the_public_is_told_what_it_is_told_and_the_end() {
    let world = World::start().await;
    let name = &world.declare("API errors", P1).await.name;
    let update = v1::AddNoteRequest {
        name: name.clone(),
        text: "We look into it.".into(),
        public: true,
        next_update: Some(prost_types::Duration { seconds: 1_800, nanos: 0 }),
        ..Default::default()
    };
    let after = world.incidents().note(&by("kim"), &update).await.unwrap();
    assert_eq!(after.next_update_time.unwrap().seconds, world.now().as_second() + 1_800);
    assert_eq!(world.sent(Action::Publish).await, 1);
    world.wait(60);
    world.step(name, IncidentState::Resolved, "").await.unwrap();
    assert_eq!(world.sent(Action::Publish).await, 2, "what was public ends in public");
    let other = &world.declare("not public", P1).await.name;
    world.step(other, IncidentState::Resolved, "").await.unwrap();
    assert_eq!(world.sent(Action::Publish).await, 2);
    assert_eq!(world.sent(Action::Resolve).await, 2);
    let private = v1::AddNoteRequest { public: false, ..update };
    assert_eq!(reason(world.incidents().note(&by("kim"), &private).await), "next_update");
}
