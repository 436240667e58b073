//! Alerts that come and go, and what nobody has taken.

use streamspace_proto::v1::IncidentState::{Declared, Resolved};

use super::*;
use crate::incidents::change::RETURNS_MAXIMUM;

impl World {
    /// An alert of an SLO that fires for some seconds, with a leader that looks at it.
    async fn fires_for(&self, subject: &str, seconds: i64) {
        let uid = self.alert(REGION, subject).await;
        self.round().await;
        self.wait(seconds);
        self.round().await;
        self.end_alert(uid).await;
        self.round().await;
    }

    async fn steps(&self) -> Vec<String> {
        let outbox = self.outbox().await.into_iter();
        outbox.filter(|(channel, ..)| channel == "duty").map(|(_, _, step)| step).collect()
    }
}

#[tokio::test]
async fn one_that_ended_by_itself_is_opened_again_when_its_alert_is_back() {
    let world = World::start().await;
    let acme = world.test.insert_tenant("acme").await;
    world.fires_for("slos/api", 60).await;
    assert_eq!(world.list(true).await[0].state(), Resolved);
    world.wait(30 * 60);
    world.alert(acme.0, "slos/api").await;
    assert_eq!((world.round().await, world.round().await), (1, 0));
    let all = world.list(true).await;
    assert_eq!((all.len(), all[0].state()), (1, Declared));
    assert_eq!((all[0].tenants.len(), all[0].alerts.len()), (1, 2));
    assert!(all[0].resolve_time.is_none() && all[0].mitigate_time.is_none());
    let name = &all[0].name;
    let back = "back after 30 min, once by now: slos/api burns\\u{1b}[2J";
    assert_eq!(world.texts(name, "reopened").await, [back]);
    assert_eq!(
        world.texts(name, "paged").await,
        ["level 1: on call, by duty", "again: on call, by duty"]
    );
    // The same key, and a step of its own: no receiver takes it for the first page.
    assert_eq!(world.sent(Action::Trigger).await, 2);
    assert_eq!(world.steps().await.last().unwrap(), "back-1");
}

#[tokio::test]
async fn what_was_quiet_for_longer_is_another_incident_that_names_the_former() {
    let world = World::start().await;
    world.fires_for("slos/api", 60).await;
    world.wait(30 * 60 + 1);
    world.alert(REGION, "slos/api").await;
    world.round().await;
    let open = world.open().await;
    assert_eq!(open[0].name, "incidents/INC-2");
    assert_eq!(
        world.texts("incidents/INC-2", "note").await,
        ["INC-1 was about the same, and ended with its alert at 2026-03-01T03:01:00Z"]
    );
}

#[tokio::test]
async fn what_a_person_resolved_is_not_opened_again_by_itself() {
    let world = World::start().await;
    let uid = world.alert(REGION, "slos/api").await;
    world.round().await;
    world.step("incidents/INC-1", Resolved, "it was a test").await.unwrap();
    world.end_alert(uid).await;
    world.round().await;
    world.wait(60);
    world.alert(REGION, "slos/api").await;
    world.round().await;
    assert_eq!(world.get("incidents/INC-1").await.state(), Resolved);
    assert_eq!(
        world.texts("incidents/INC-2", "note").await,
        ["INC-1 was about the same, and was resolved at 2026-03-01T03:00:00Z"]
    );
}

#[tokio::test]
async fn what_comes_and_goes_stays_open_after_some_times_and_reaches_the_next_level() {
    let world = World::start().await;
    for _ in 0..12 {
        world.fires_for("slos/api", 120).await;
        world.wait(120);
    }
    let all = world.list(true).await;
    assert_eq!((all.len(), all[0].state()), (1, Declared), "it waits for a person");
    let times = usize::try_from(RETURNS_MAXIMUM).unwrap();
    let name = &all[0].name;
    let back = world.texts(name, "reopened").await;
    assert_eq!(back.len(), times);
    assert!(back[times - 1].contains("; it does not end by itself any more"), "{back:?}");
    let paged = world.texts(name, "paged").await;
    let levels: Vec<_> = paged.iter().filter(|text| text.starts_with("level ")).collect();
    assert_eq!(
        levels,
        [
            "level 1: on call, by duty",
            "level 2: on call, by duty",
            "level 1 again: on call, by duty",
        ]
    );
    assert_eq!(world.sent(Action::Trigger).await, 3 + times);
    assert_eq!(world.sent(Action::Resolve).await, times);
    world.acknowledge(name, "lee").await.unwrap();
    world.step(name, Resolved, "").await.unwrap();
}

#[tokio::test]
async fn the_minutes_of_the_levels_go_on_where_they_stopped() {
    let world = World::start().await;
    world.fires_for("slos/api", 600).await;
    world.wait(1_200);
    world.alert(REGION, "slos/api").await;
    world.round().await;
    world.wait(299);
    assert_eq!(world.round().await, 0, "10 of 15 minutes, and 299 seconds");
    world.wait(1);
    assert_eq!(world.round().await, 1);
    let paged = world.texts("incidents/INC-1", "paged").await;
    assert_eq!(paged.last().unwrap(), "level 2: on call, by duty");
}

#[tokio::test]
async fn an_alert_about_the_same_joins_the_incident_that_goes_on() {
    let world = World::start().await;
    let first = world.alert(REGION, "slos/api").await;
    world.round().await;
    world.declare("all is slow", v1::IncidentSeverity::P1).await;
    let merge = v1::MergeIncidentRequest {
        name: "incidents/INC-1".into(),
        into: "incidents/INC-2".into(),
        ..Default::default()
    };
    world.incidents().merge(&by("kim"), &merge).await.unwrap();
    world.end_alert(first).await;
    world.round().await;
    // Nobody has taken it; but a person declared it, and not its alert.
    assert_eq!(world.get("incidents/INC-2").await.state(), Declared);
    world.wait(60);
    let pages = world.sent(Action::Trigger).await;
    world.alert(REGION, "slos/api").await;
    world.round().await;
    let open = world.open().await;
    assert_eq!((open.len(), open[0].name.as_str()), (1, "incidents/INC-2"));
    assert_eq!(open[0].alerts.len(), 2);
    assert_eq!(world.list(true).await.len(), 2, "and no third one");
    assert_eq!(world.sent(Action::Trigger).await, pages, "they were paged");
}

#[tokio::test]
async fn the_public_that_was_told_of_its_end_hears_that_it_is_back() {
    let world = World::start().await;
    let uid = world.alert(REGION, "slos/api").await;
    world.round().await;
    let update = v1::AddNoteRequest {
        name: "incidents/INC-1".into(),
        text: "We look into it.".into(),
        public: true,
        ..Default::default()
    };
    world.incidents().note(&by("kim"), &update).await.unwrap();
    world.wait(60);
    world.end_alert(uid).await;
    world.round().await;
    assert_eq!(world.sent(Action::Publish).await, 2);
    world.wait(60);
    world.alert(REGION, "slos/api").await;
    world.round().await;
    assert_eq!(world.sent(Action::Publish).await, 3);
}
