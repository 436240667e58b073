//! What goes wrong: leaders that change, watches that break, objects that are bad or whose
//! nobody knows.

use streamspace_sim::{Effect, FaultRule, Verb};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_term_repeats_nothing_and_ends_what_is_gone() {
    let world = World::start().await;
    for name in ["goes", "stays"] {
        world.create(name).await;
        world.tell(name, running()).await;
        world.until_phase(name, SessionPhase::Running).await;
    }
    let before = (world.told("stays").await, world.facts("stays").await);
    world.rest().await;
    world.sessions().delete("goes", &DeleteParams::default()).await.unwrap();
    world.create("new").await;
    for term in [2, 3] {
        world.lead(term).await;
        let lists = u64::try_from(term).unwrap();
        world.until("a list", async || world.board.read().lists == lists).await;
        assert!(world.row("goes").await.is_none());
        assert_eq!((world.told("stays").await, world.facts("stays").await), before);
        assert_eq!(world.told("goes").await.last().unwrap(), "deleted");
        assert_eq!(world.facts("goes").await.last().unwrap().phase, "Terminated");
        assert_eq!(world.told("new").await, ["created"]);
        assert_eq!(world.facts("new").await.len(), 1);
        world.rest().await;
    }
    assert_eq!(world.number("SELECT leader_term FROM usage_watermark").await, 3);
}

/// What was known before would else be taken for what the list showed.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_counts_as_of_the_state_that_shows_its_sessions() {
    let world = World::start().await;
    world.create("desk").await;
    world.tell("desk", running()).await;
    world.until_phase("desk", SessionPhase::Running).await;
    world.rest().await;
    let slow = Effect::Delay { milliseconds: 500 };
    let kinds = vec!["sessions.stream.space".to_owned()];
    let rule = FaultRule { verbs: vec![Verb::List], kinds, ..FaultRule::new(slow) };
    let fault = world.simulator.faults().add(rule).unwrap();
    world.lead(2).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    // The list of sessions is under way, and one of homes could be over.
    world.tell("desk", json!({"phase": "Terminated"})).await;
    world.until("a list", async || world.board.read().lists == 2).await;
    world.simulator.faults().remove(fault);
    world.until_phase("desk", SessionPhase::Terminated).await;
    let shown = world.row("desk").await.unwrap().resource_version;
    let counted = world.number("SELECT max(list_position) FROM usage_gaps").await;
    assert!(counted >= shown, "the list counts as of {counted}, and shows {shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leads_no_more_stores_nothing() {
    let world = World::start().await;
    world.sql("UPDATE leader SET leader_term = 2, replica = 'b'").await;
    world.create("desk").await;
    world.until("a refusal", async || world.board.read().fault == "another replica leads").await;
    assert!(world.row("desk").await.is_none());
    assert_eq!(world.facts("desk").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_broke_goes_on_and_one_that_expired_lists_again() {
    let world = World::start().await;
    world.simulator.faults().cut_watches();
    world.create("cut").await;
    world.until_phase("cut", SessionPhase::Pending).await;
    assert_eq!(world.board.read().lists, 1);
    world.simulator.faults().expire_next_watches(3);
    world.simulator.faults().cut_watches();
    world.create("expired").await;
    world.until("a list", async || world.board.read().lists >= 2).await;
    world.until_phase("expired", SessionPhase::Pending).await;
    assert_eq!(world.told("cut").await, ["created"]);
    assert_eq!(world.facts("cut").await.len(), 1);
    assert_eq!(world.told("expired").await, ["created"]);
    let gaps = world.number("SELECT count(*) FROM usage_gaps").await;
    assert_eq!(u64::try_from(gaps).unwrap(), world.board.read().lists);
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_that_are_not_installed_are_waited_for() {
    let world = World::prepare().await;
    world.lead(1).await;
    world.until("the fault", async || !world.board.read().fault.is_empty()).await;
    world.install(|_| {}).await;
    world.create("desk").await;
    world.until_phase("desk", SessionPhase::Pending).await;
    world.until("no fault", async || world.board.read().fault.is_empty()).await;
}

/// The definitions of others check less.
fn unchecked(definition: &mut Value) {
    let version = &mut definition["spec"]["versions"][0];
    version["schema"]["openAPIV3Schema"] =
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_object_stops_no_other() {
    let world = World::prepare().await;
    world.install(unchecked).await;
    world.lead(1).await;
    world
        .create_in(NAMESPACE, "odd", json!({"user": "a\u{0}b", "state": "asleep", "tags": 7}))
        .await;
    world.create_in(NAMESPACE, "list", json!(["what", "is", "this"])).await;
    world.create("desk").await;
    world.until_phase("desk", SessionPhase::Pending).await;
    for name in ["odd", "list"] {
        world.until("the bad one", async || world.row(name).await.is_some()).await;
        let row = world.row(name).await.unwrap();
        assert_eq!(row.place, streamspace_core::admission::Place::default());
        assert!(row.resource.message.starts_with("spec.state: "), "{}", row.resource.message);
        assert_eq!(row.resource.state(), streamspace_proto::v1::SessionState::Unspecified);
    }
    assert_eq!(world.board.read().refused, 0);
    world.tell("odd", json!({"phase": 8, "conditions": {"a": "\u{0}"}, "run": []})).await;
    world.tell("desk", running()).await;
    world.until_phase("desk", SessionPhase::Running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_nobody_is_taken_up_when_its_namespace_becomes_a_tenants() {
    let world = World::start().await;
    // Lists count from the beginning of the metering on, which is the next bucket otherwise.
    world.sql("UPDATE usage_watermark SET begins = begins - 600, closed_through = closed_through - 600").await;
    world.namespace("tenant-later").await;
    let spec = json!({"user": "ada", "template": "firefox", "state": "running"});
    world.create_in("tenant-later", "lost", spec).await;
    world.until("nobody's", async || world.board.read().homeless == 1).await;
    // A list that is made before it is known whose it is seems to lack it. It shows a later
    // state of the cluster than the session's own.
    world.namespace("another").await;
    world.rest().await;
    world.lead(2).await;
    world.until("a list", async || world.board.read().lists == 2).await;
    assert_eq!(world.number("SELECT count(*) FROM sessions").await, 0);

    let tenant = world.test.insert_tenant("later").await;
    let mut tx = world.test.database().begin(&Scope::Region).await.unwrap();
    let change = NewChange {
        kind: crate::db::ChangeKind::Tenant,
        change: crate::db::ChangeType::Created,
        tenant_uid: tenant,
        name: "tenants/later".into(),
        actor: "kim".into(),
        resource: vec![],
    };
    changes::record(&mut tx, &change).await.unwrap();
    tx.commit().await.unwrap();
    world.until("a list", async || world.board.read().lists == 3).await;
    assert_eq!(world.number("SELECT count(*) FROM sessions").await, 1);
    // The cluster has not moved since the list that ended it. As soon as it does, it lives.
    world.namespace("yet-another").await;
    world.until("a list", async || world.board.read().lists == 4).await;
    let alive =
        "SELECT count(*) FROM usage_subjects WHERE end_second IS NULL AND phase = 'Pending'";
    assert_eq!(world.number(alive).await, 1);
    let facts = world.facts("lost").await;
    let phases: Vec<_> = facts.iter().map(|it| it.phase.as_str()).collect();
    assert_eq!(phases, ["Pending", "Terminated", "Pending"]);
}
