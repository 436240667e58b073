//! The platform's alerts against a real PostgreSQL.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use prometheus_client::registry::Registry;
use streamspace_core::notify::Action;
use tokio::sync::watch;

use super::{Parts, Watchdog};
use crate::{
    alerts,
    db::{Scope, testing::TestDatabase},
    notify::{self, Channels, Message, Notice},
    rpc::observe::CallObserver as _,
    slo::own::OwnCounters,
    telemetry::resources::DiskBoard,
};

/// A replica whose certificate ends when a test says.
struct Replica {
    clock: Arc<Mutex<Timestamp>>,
    own: Arc<OwnCounters>,
    expires: watch::Sender<Timestamp>,
    dog: Watchdog,
}

/// One for pages and one for tickets. Nobody listens there.
fn channels() -> Channels {
    let config = r#"
        [channels.oncall]
        kind = "webhook"
        for = ["page"]
        url = "http://127.0.0.1:9/page"
        [channels.board]
        kind = "webhook"
        for = ["ticket"]
        url = "http://127.0.0.1:9/ticket"
    "#;
    Channels::new(&toml::from_str(config).unwrap()).unwrap()
}

/// Puts a message into the outbox, as it is after a while.
async fn message(test: &TestDatabase, channel: &str, action: Action, state: &str, minutes: i32) {
    let notice = Notice {
        dedup_key: "a".into(),
        action,
        channels: vec![channel.to_owned()],
        message: Message::default(),
    };
    let mut tx = test.database().begin(&Scope::Region).await.unwrap();
    notify::enqueue(&mut tx, "", &notice).await.unwrap();
    tx.commit().await.unwrap();
    sqlx::query(
        "UPDATE notify_outbox SET state = $3, create_time = now() - make_interval(mins => $4), \
         settle_time = CASE WHEN $3 = 'waiting' THEN NULL \
             ELSE now() - make_interval(mins => $4) END WHERE channel = $1 AND action = $2",
    )
    .bind(channel)
    .bind(action.as_str())
    .bind(state)
    .bind(minutes)
    .execute(test.database().operator())
    .await
    .unwrap();
}

fn replica(test: &TestDatabase, name: &str) -> Replica {
    let now = Timestamp::now();
    let clock = Arc::new(Mutex::new(now));
    let (expires, server_expires) = watch::channel(now + SignedDuration::from_hours(24 * 40));
    let own = Arc::new(OwnCounters::new(&[], &mut Registry::default()));
    let told = Arc::clone(&clock);
    let dog = Watchdog::new(Parts {
        db: test.database().clone(),
        clock: Arc::new(move || *told.lock().unwrap()),
        replica: name.to_owned(),
        own: Arc::clone(&own),
        disk: DiskBoard::new("/nonexistent".into()),
        server_expires,
        authority_expires: now + SignedDuration::from_hours(24 * 400),
        channels: channels(),
    });
    Replica { clock, own, expires, dog }
}

impl Replica {
    fn wait(&self, minutes: i64) {
        *self.clock.lock().unwrap() += SignedDuration::from_mins(minutes);
    }

    fn ends_in(&self, days: i64) {
        let now = *self.clock.lock().unwrap();
        self.expires.send_replace(now + SignedDuration::from_hours(24 * days));
    }
}

/// What fires: subject, kind and rule.
async fn firing(test: &TestDatabase) -> Vec<(String, String, String)> {
    let mut tx = test.database().begin(&Scope::Region).await.unwrap();
    let all = alerts::firing(&mut tx, "replicas/").await.unwrap();
    let mut told: Vec<_> = all
        .into_iter()
        .flat_map(|((_, subject), all)| {
            all.into_iter().map(move |it| (subject.clone(), it.kind, it.rule))
        })
        .collect();
    told.sort();
    told
}

fn alert(subject: &str, kind: &str, rule: &str) -> (String, String, String) {
    (subject.to_owned(), kind.to_owned(), rule.to_owned())
}

#[tokio::test]
async fn a_certificate_that_ends_is_told_after_its_time_and_once_and_ends_when_renewed() {
    let test = TestDatabase::create().await;
    let mut one = replica(&test, "one");
    one.dog.round(false).await.unwrap();
    one.ends_in(1);
    one.dog.round(false).await.unwrap();
    assert_eq!(firing(&test).await, []);
    one.wait(5);
    one.dog.round(false).await.unwrap();
    one.dog.round(false).await.unwrap();
    let page = alert("replicas/one", "CertificateExpires", "server-page");
    assert_eq!(firing(&test).await, std::slice::from_ref(&page));
    one.wait(60);
    one.dog.round(false).await.unwrap();
    let ticket = alert("replicas/one", "CertificateExpires", "server-ticket");
    assert_eq!(firing(&test).await, [page, ticket]);
    one.ends_in(40);
    one.dog.round(false).await.unwrap();
    assert_eq!(firing(&test).await, []);
}

#[tokio::test]
async fn the_leader_tells_of_channels_that_are_behind() {
    let test = TestDatabase::create().await;
    let mut one = replica(&test, "one");
    message(&test, "oncall", Action::Trigger, "waiting", 4).await;
    message(&test, "board", Action::Trigger, "waiting", 6).await;
    one.dog.round(false).await.unwrap();
    one.dog.round(true).await.unwrap();
    one.wait(1);
    one.dog.round(true).await.unwrap();
    let board = alert("replicas/one", "NotificationsBehind", "board");
    assert_eq!(firing(&test).await, std::slice::from_ref(&board));
    message(&test, "oncall", Action::Trigger, "waiting", 6).await;
    one.dog.round(true).await.unwrap();
    one.wait(1);
    one.dog.round(true).await.unwrap();
    let oncall = alert("replicas/one", "NotificationsBehind", "oncall");
    assert_eq!(firing(&test).await, [board, oncall]);
    let severities: Vec<(String, String)> =
        sqlx::query_as("SELECT rule, severity FROM alerts ORDER BY rule")
            .fetch_all(test.database().operator())
            .await
            .unwrap();
    let pair = |rule: &str, severity: &str| (rule.to_owned(), severity.to_owned());
    assert_eq!(severities, [pair("board", "ticket"), pair("oncall", "page")]);
    for channel in ["board", "oncall"] {
        message(&test, channel, Action::Trigger, "sent", 6).await;
    }
    one.dog.round(true).await.unwrap();
    assert_eq!(firing(&test).await, []);
}

#[tokio::test]
async fn what_was_refused_is_told_for_a_day_or_until_it_is_over() {
    let test = TestDatabase::create().await;
    let mut one = replica(&test, "one");
    // A test that is refused told whoever made it.
    message(&test, "board", Action::Test, "refused", 1).await;
    one.dog.round(true).await.unwrap();
    assert_eq!(firing(&test).await, []);
    message(&test, "oncall", Action::Trigger, "refused", 1).await;
    one.dog.round(true).await.unwrap();
    let refused = |channel: &str| alert("replicas/one", "NotificationsRefused", channel);
    assert_eq!(firing(&test).await, [refused("oncall")]);
    message(&test, "oncall", Action::Resolve, "sent", 0).await;
    one.dog.round(true).await.unwrap();
    assert_eq!(firing(&test).await, [], "it is over");
    message(&test, "gone", Action::Trigger, "refused", 1).await;
    one.dog.round(true).await.unwrap();
    assert_eq!(firing(&test).await, [refused("gone")], "also where none is so called");
    message(&test, "gone", Action::Trigger, "refused", 24 * 60 + 1).await;
    one.dog.round(true).await.unwrap();
    assert_eq!(firing(&test).await, []);
}

#[tokio::test]
async fn calls_that_fail_by_our_fault_are_told() {
    let test = TestDatabase::create().await;
    let mut one = replica(&test, "one");
    for index in 0..200 {
        // 13 is INTERNAL, 5 is NOT_FOUND: an answer.
        let code = if index < 4 { 13 } else { 5 };
        one.own.finished("streamspace.v1.X/Y", code, std::time::Duration::from_millis(1));
    }
    one.dog.round(false).await.unwrap();
    // The clock of calls is the machine's: what held for five minutes is asked of now.
    assert_eq!(firing(&test).await, []);
    let now = *one.clock.lock().unwrap();
    let (calls, in_time) = one.own.recent(now);
    assert_eq!((calls.total, calls.bad, in_time.bad), (200, 4, 0));
    let (later, _) = one.own.recent(now + SignedDuration::from_mins(7));
    assert_eq!(later.total, 0, "they are over");
}

#[tokio::test]
async fn what_a_replica_that_is_gone_had_is_ended_by_the_leader() {
    let test = TestDatabase::create().await;
    let (mut one, mut two) = (replica(&test, "one"), replica(&test, "two"));
    one.ends_in(1);
    one.dog.round(false).await.unwrap();
    one.wait(5);
    one.dog.round(false).await.unwrap();
    assert_eq!(firing(&test).await.len(), 1);
    two.dog.round(false).await.unwrap();
    assert_eq!(firing(&test).await.len(), 1, "it is not the leader");
    two.dog.round(true).await.unwrap();
    assert_eq!(firing(&test).await, [], "no replica of that name renews its row");
}
