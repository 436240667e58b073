//! What waits for the morning, as the channels for tickets hear of it.

use serde_json::Value;

use super::*;
use crate::incidents::{tell::Teller, tickets};

impl World {
    async fn ticket(&self, tenant_uid: Uuid, subject: &str) -> Uuid {
        self.alert_of(tenant_uid, subject, Severity::Ticket).await
    }

    /// What the channel for tickets hears: action, key and message.
    async fn board(&self) -> Vec<(String, String, Value)> {
        sqlx::query_as(
            "SELECT action, dedup_key, message FROM notify_outbox WHERE channel = 'board' \
             ORDER BY position",
        )
        .fetch_all(self.test.database().operator())
        .await
        .unwrap()
    }

    async fn actions(&self) -> Vec<String> {
        self.board().await.into_iter().map(|(action, ..)| action).collect()
    }

    /// Another replica leads from now on.
    async fn next_leader(&mut self) {
        self.leadership.leader_term += 1;
        sqlx::query("UPDATE leader SET leader_term = $1")
            .bind(self.leadership.leader_term)
            .execute(self.test.database().operator())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_ticket_is_told_once_and_its_end_once() {
    let world = World::start().await;
    let uid = world.ticket(REGION, "slos/api").await;
    assert_eq!((world.round().await, world.round().await), (1, 0));
    let told = world.board().await;
    assert_eq!(told.len(), 1);
    let (action, key, message) = &told[0];
    assert_eq!(action, "trigger");
    assert_eq!(key, "streamspace/us-west-2/tickets/SloBurn/burn-1h/slos/api");
    assert_eq!(message["severity"], "warning");
    assert_eq!(message["summary"], "slos/api burns\\u{1b}[2J", "it acts on no terminal");
    assert_eq!(message["details"]["alert"], format!("alerts/{uid}"));
    assert!(world.list(true).await.is_empty(), "it is no incident, and pages nobody");
    assert_eq!(world.outbox().await.len(), 1, "no other channel hears of it");
    world.wait(3_600);
    assert_eq!(world.round().await, 0, "it goes on");
    world.end_alert(uid).await;
    assert_eq!((world.round().await, world.round().await), (1, 0));
    assert_eq!(world.actions().await, ["trigger", "resolve"]);
    // The same again is the same thread.
    world.ticket(REGION, "slos/api").await;
    world.round().await;
    let told = world.board().await;
    assert_eq!((told[2].0.as_str(), &told[2].1), ("trigger", key));
}

#[tokio::test]
async fn what_pages_is_told_by_its_incident_alone() {
    let world = World::start().await;
    world.alert(REGION, "slos/api").await;
    world.round().await;
    assert!(world.board().await.is_empty());
    assert_eq!(world.sent(Action::Trigger).await, 1);
}

#[tokio::test]
async fn a_leader_that_is_killed_leaves_it_to_the_next_and_nothing_is_told_twice() {
    let mut world = World::start().await;
    let uid = world.ticket(REGION, "slos/api").await;
    let teller = Teller { region: "us-west-2".into(), channels: world.channels.clone() };
    // Killed before the commit: nothing of it is there.
    let mut tx = world.test.database().begin(&Scope::Region).await.unwrap();
    assert_eq!(tickets::tell(&mut tx, &teller, world.now()).await.unwrap(), 1);
    drop(tx);
    assert!(world.board().await.is_empty());
    let before = world.leadership.clone();
    world.next_leader().await;
    let engine = Engine::new(
        world.test.database().clone(),
        world.clock(),
        "us-west-2",
        world.channels.clone(),
    );
    assert_eq!(engine.round(&before).await.unwrap(), 0, "it leads no more");
    assert_eq!(world.round().await, 1);
    world.end_alert(uid).await;
    let mut tx = world.test.database().begin(&Scope::Region).await.unwrap();
    assert_eq!(tickets::tell(&mut tx, &teller, world.now()).await.unwrap(), 1);
    drop(tx);
    world.next_leader().await;
    assert_eq!((world.round().await, world.round().await), (1, 0));
    assert_eq!(world.actions().await, ["trigger", "resolve"]);
}

#[tokio::test]
async fn what_hits_many_tenants_is_one_ticket_that_grows_slowly() {
    let world = World::start().await;
    let acme = world.test.insert_tenant("acme").await;
    let beta = world.test.insert_tenant("beta").await;
    let cora = world.test.insert_tenant("cora").await;
    let first = world.ticket(acme.0, "slos/api").await;
    let second = world.ticket(beta.0, "slos/api").await;
    assert_eq!(world.round().await, 1);
    let message = world.board().await[0].2.clone();
    assert_eq!(message["details"]["tenants"], "acme, beta");
    assert!(message["summary"].as_str().unwrap().ends_with(", and 1 more of this kind"));
    world.wait(60);
    let third = world.ticket(cora.0, "slos/api").await;
    assert_eq!(world.round().await, 0, "it is gathered");
    world.wait(tickets::GATHER.as_secs());
    assert_eq!(world.round().await, 1);
    let told = world.board().await;
    assert_eq!(told[1].1, told[0].1, "the same thread");
    assert_eq!(told[1].2["details"]["tenants"], "acme, beta, cora");
    for uid in [first, second] {
        world.end_alert(uid).await;
        world.round().await;
    }
    assert_eq!(world.actions().await.len(), 2, "one of it goes on");
    world.end_alert(third).await;
    world.round().await;
    assert_eq!(world.actions().await, ["trigger", "trigger", "resolve"]);
}

#[tokio::test]
async fn what_comes_and_goes_floods_nobody() {
    let world = World::start().await;
    for _ in 0..20 {
        let uid = world.ticket(REGION, "slos/api").await;
        world.round().await;
        world.wait(30);
        world.end_alert(uid).await;
        world.round().await;
        world.wait(30);
    }
    let actions = world.actions().await;
    let count = |wanted: &str| actions.iter().filter(|it| *it == wanted).count();
    assert_eq!((count("trigger"), count("resolve")), (4, 4), "each five minutes of twenty");
}

#[tokio::test]
async fn a_silence_and_a_maintenance_keep_it_quiet_while_they_hold() {
    let world = World::start().await;
    let acme = world.test.insert_tenant("acme").await;
    let hour = || Some(prost_types::Duration { seconds: 3_600, nanos: 0 });
    let matcher =
        v1::SilenceMatcher { label: "severity".into(), value: "ticket".into(), negative: false };
    let silence = v1::CreateSilenceRequest {
        matchers: vec![matcher],
        duration: hour(),
        reason: "known".into(),
        ..Default::default()
    };
    let over = world.ticket(REGION, "slos/over").await;
    world.round().await;
    world.maintenances().create_silence(&by("kim"), &silence).await.unwrap();
    let brief = world.ticket(REGION, "slos/brief").await;
    world.ticket(REGION, "slos/api").await;
    assert_eq!(world.round().await, 0);
    // What was told is ended also under a silence; what was not told has no end.
    world.end_alert(over).await;
    world.end_alert(brief).await;
    world.round().await;
    assert_eq!(world.actions().await, ["trigger", "resolve"]);
    world.wait(3_601);
    world.round().await;
    assert_eq!(world.actions().await, ["trigger", "resolve", "trigger"], "what still fires");
    let work = v1::StartMaintenanceRequest {
        duration: hour(),
        tenants: vec!["tenants/acme".into()],
        reason: "moving disks".into(),
        ..Default::default()
    };
    world.maintenances().start(&by("kim"), &work).await.unwrap();
    world.ticket(acme.0, "slos/starts").await;
    assert_eq!(world.round().await, 0);
}

#[tokio::test]
async fn where_nobody_takes_tickets_they_wait_for_somebody() {
    let mut world = World::start().await;
    let channels = std::mem::take(&mut world.channels);
    world.ticket(REGION, "slos/api").await;
    assert_eq!(world.round().await, 0);
    world.channels = channels;
    assert_eq!(world.round().await, 1);
    assert_eq!(world.actions().await, ["trigger"]);
}
