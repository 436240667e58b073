//! Maintenances and silences against a real PostgreSQL.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use streamspace_core::{access::Role, slo::Minute};
use streamspace_proto::v1;

use super::{Window, ends::Ends, service::Maintenances, windows};
use crate::{
    audit::AuditLog,
    db::{Leadership, Scope, testing::TestDatabase},
    notify::Channels,
    rpc::{Caller, Clock, RpcError, RpcResult, caller::testing::caller, ends::EndLog},
};

fn kim() -> Caller {
    caller("kim", Role::Operator, Scope::Region)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

struct World {
    test: TestDatabase,
    clock: Arc<Mutex<Timestamp>>,
}

impl World {
    async fn start() -> Self {
        let test = TestDatabase::create().await;
        sqlx::query("UPDATE leader SET leader_term = 1, replica = 'one'")
            .execute(test.database().operator())
            .await
            .unwrap();
        Self { test, clock: Arc::new(Mutex::new(at("2026-03-01T03:00:30Z"))) }
    }

    fn clock(&self) -> Clock {
        let clock = Arc::clone(&self.clock);
        Arc::new(move || *clock.lock().unwrap())
    }

    fn wait(&self, seconds: i64) {
        *self.clock.lock().unwrap() += SignedDuration::from_secs(seconds);
    }

    fn service(&self) -> Maintenances {
        let db = self.test.database().clone();
        Maintenances::new(db, self.clock(), "us-west-2", Channels::default())
    }

    async fn windows(&self, from: &str, to: &str) -> Vec<Window> {
        let mut tx = self.test.database().begin(&Scope::Region).await.unwrap();
        windows(&mut tx, Minute::holding(at(from)), Minute::holding(at(to))).await.unwrap()
    }
}

fn minutes(minutes: i64) -> prost_types::Duration {
    prost_types::Duration { seconds: minutes * 60, nanos: 0 }
}

fn request() -> v1::StartMaintenanceRequest {
    v1::StartMaintenanceRequest {
        duration: Some(minutes(30)),
        reason: "moving disks".into(),
        ..Default::default()
    }
}

fn field<T: std::fmt::Debug>(result: RpcResult<T>) -> String {
    match result.unwrap_err() {
        RpcError::Invalid(faults) => faults[0].field.clone(),
        other => other.to_string(),
    }
}

#[tokio::test]
async fn a_minute_that_a_maintenance_touches_does_not_count() {
    let world = World::start().await;
    let made = world.service().start(&kim(), &request()).await.unwrap();
    assert_eq!((made.name.as_str(), made.title.as_str()), ("maintenances/1", "moving disks"));
    let found = world.windows("2026-03-01T03:00:00Z", "2026-03-01T03:01:00Z").await;
    let covers = |time: &str| found[0].covers("api", "", Minute::holding(at(time)));
    assert!(!covers("2026-03-01T02:59:00Z"));
    assert!(covers("2026-03-01T03:00:00Z"), "it began in this minute");
    assert!(covers("2026-03-01T03:30:00Z"), "it ends in this minute");
    assert!(!covers("2026-03-01T03:31:00Z"));
    // It was ended early: what comes after counts, what was in it does not.
    world.wait(600);
    let end = v1::EndMaintenanceRequest { name: made.name, ..Default::default() };
    let ended = world.service().end(&kim(), &end).await.unwrap();
    assert_eq!(ended.ended_by, "kim");
    let found = world.windows("2026-03-01T03:00:00Z", "2026-03-01T04:00:00Z").await;
    let covers = |time: &str| found[0].covers("api", "", Minute::holding(at(time)));
    assert!(covers("2026-03-01T03:10:00Z") && !covers("2026-03-01T03:11:00Z"));
    assert!(world.windows("2026-03-01T03:11:00Z", "2026-03-01T04:00:00Z").await.is_empty());
}

#[tokio::test]
async fn one_about_some_leaves_the_others_as_they_are() {
    let world = World::start().await;
    let some = v1::StartMaintenanceRequest {
        slos: vec!["slos/api".into()],
        tenants: vec!["tenants/acme".into()],
        ..request()
    };
    world.service().start(&kim(), &some).await.unwrap();
    let found = world.windows("2026-03-01T03:00:00Z", "2026-03-01T03:10:00Z").await;
    let minute = Minute::holding(at("2026-03-01T03:05:00Z"));
    let covers = |slo: &str, tenant: &str| found[0].covers(slo, tenant, minute);
    assert!(covers("api", "acme"));
    assert!(!covers("api", "other") && !covers("starts", "acme"));
    assert!(!covers("api", ""), "a budget of all tenants is not one tenant's");
}

#[tokio::test]
async fn it_ends_by_itself_once_and_the_audit_log_tells_it() {
    let world = World::start().await;
    let later =
        prost_types::Timestamp { seconds: at("2026-03-01T03:10:00Z").as_second(), nanos: 0 };
    let planned = v1::StartMaintenanceRequest { start_time: Some(later), ..request() };
    world.service().start(&kim(), &planned).await.unwrap();
    let ends = || {
        let db = world.test.database().clone();
        let log = EndLog::new(Arc::new(AuditLog::new(db.clone(), "a", "local")));
        Ends::new(db, log, world.clock(), "us-west-2", Channels::default())
    };
    let leads = Leadership { replica: "one".into(), leader_term: 1, leads: true };
    assert_eq!(ends().round(&leads).await.unwrap(), 0);
    world.wait(600);
    assert_eq!(ends().round(&leads).await.unwrap(), 0, "it has begun");
    world.wait(1_800);
    assert_eq!(ends().round(&leads).await.unwrap(), 1);
    assert_eq!(ends().round(&leads).await.unwrap(), 0, "once");
    let told: Vec<(String, String, String)> =
        sqlx::query_as("SELECT method, resource, phase FROM audit_entries ORDER BY time")
            .fetch_all(world.test.database().operator())
            .await
            .unwrap();
    let end = |phase: &str| {
        let texts = ["streamspaced/EndMaintenance", "maintenances/1", phase];
        texts.map(str::to_owned).into()
    };
    assert_eq!(told, [end("intent"), end("outcome")]);
    let list = v1::ListMaintenancesRequest { show_ended: true };
    let all = world.service().list(&kim(), &list).await.unwrap().maintenances;
    assert!(all[0].ended && all[0].ended_by.is_empty());
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_its_field() {
    let world = World::start().await;
    let service = world.service();
    let past = prost_types::Timestamp { seconds: at("2026-03-01T02:00:00Z").as_second(), nanos: 0 };
    for (wrong, name) in [
        (v1::StartMaintenanceRequest { duration: None, ..request() }, "duration"),
        (v1::StartMaintenanceRequest { duration: Some(minutes(0)), ..request() }, "duration"),
        (v1::StartMaintenanceRequest { duration: Some(minutes(10_081)), ..request() }, "duration"),
        (v1::StartMaintenanceRequest { start_time: Some(past), ..request() }, "start_time"),
        (v1::StartMaintenanceRequest { reason: String::new(), ..request() }, "reason"),
        (v1::StartMaintenanceRequest { title: "\u{202e}".into(), ..request() }, "title"),
        (v1::StartMaintenanceRequest { slos: vec!["api".into()], ..request() }, "slos[0]"),
    ] {
        assert_eq!(field(service.start(&kim(), &wrong).await), name);
    }
    let matcher = |label: &str, negative| v1::SilenceMatcher {
        label: label.into(),
        value: "x".into(),
        negative,
    };
    let silence = |matchers| v1::CreateSilenceRequest {
        matchers,
        duration: Some(minutes(5)),
        reason: "known".into(),
        ..Default::default()
    };
    let refused = async |request: v1::CreateSilenceRequest| {
        field(service.create_silence(&kim(), &request).await)
    };
    assert_eq!(refused(silence(vec![])).await, "matchers");
    assert_eq!(refused(silence(vec![matcher("a", true)])).await, "matchers", "nearly all alerts");
    assert_eq!(refused(silence(vec![matcher("", false)])).await, "matchers[0].label");
    let endless = v1::CreateSilenceRequest { duration: None, ..silence(vec![matcher("a", false)]) };
    assert_eq!(refused(endless).await, "duration");
    let end = v1::EndSilenceRequest { name: "silences/+1".into(), ..Default::default() };
    assert_eq!(field(service.end_silence(&kim(), &end).await), "name");
}
