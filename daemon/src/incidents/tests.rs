//! Incidents against a real PostgreSQL, at a time of their own.

use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use streamspace_core::{access::Role, notify::Action, slo::Severity};
use streamspace_proto::v1::{self, IncidentState};
use uuid::Uuid;

use super::{engine::Engine, service::Incidents};
use crate::{
    alerts::{self, NewAlert, REGION},
    db::{Leadership, Scope, testing::TestDatabase},
    maintenance::service::Maintenances,
    notify::Channels,
    oncall::service::Oncall,
    rpc::{Caller, Clock, RpcError, RpcResult, caller::testing::caller},
};

mod alerting;
mod foreign;
mod life;
mod paging;
mod returning;
mod tickets;

/// A region that this replica leads.
struct World {
    test: TestDatabase,
    clock: Arc<Mutex<Timestamp>>,
    leadership: Leadership,
    channels: Channels,
}

/// A channel for pages and one for the public. Nobody listens there: the outbox is looked at.
fn channels() -> Channels {
    let config = r#"
        [channels.duty]
        kind = "webhook"
        for = ["page"]
        url = "http://127.0.0.1:9/page"
        [channels.status]
        kind = "webhook"
        for = ["public"]
        url = "http://127.0.0.1:9/status"
        [channels.board]
        kind = "webhook"
        for = ["ticket"]
        url = "http://127.0.0.1:9/ticket"
        [channels.manager]
        kind = "webhook"
        for = ["silence"]
        url = "http://127.0.0.1:9/silence"
    "#;
    Channels::new(&toml::from_str(config).unwrap()).unwrap()
}

impl World {
    async fn start() -> Self {
        let test = TestDatabase::create().await;
        sqlx::query("UPDATE leader SET leader_term = 1, replica = 'one'")
            .execute(test.database().operator())
            .await
            .unwrap();
        Self {
            test,
            clock: Arc::new(Mutex::new("2026-03-01T03:00:00Z".parse().unwrap())),
            leadership: Leadership { replica: "one".into(), leader_term: 1, leads: true },
            channels: channels(),
        }
    }

    fn now(&self) -> Timestamp {
        *self.clock.lock().unwrap()
    }

    fn wait(&self, seconds: i64) {
        *self.clock.lock().unwrap() += SignedDuration::from_secs(seconds);
    }

    fn clock(&self) -> Clock {
        let clock = Arc::clone(&self.clock);
        Arc::new(move || *clock.lock().unwrap())
    }

    fn incidents(&self) -> Incidents {
        let db = self.test.database().clone();
        Incidents::new(db, self.clock(), "us-west-2", self.channels.clone())
    }

    fn maintenances(&self) -> Maintenances {
        let db = self.test.database().clone();
        Maintenances::new(db, self.clock(), "us-west-2", self.channels.clone())
    }

    fn oncall(&self) -> Oncall {
        Oncall::new(self.test.database().clone(), self.clock(), self.channels.clone())
    }

    /// A round of whoever leads now: nothing is kept in memory between two.
    async fn round(&self) -> usize {
        let db = self.test.database().clone();
        let engine = Engine::new(db, self.clock(), "us-west-2", self.channels.clone());
        engine.round(&self.leadership).await.unwrap()
    }

    async fn declare(&self, title: &str, severity: v1::IncidentSeverity) -> v1::Incident {
        let request = v1::DeclareIncidentRequest {
            title: title.into(),
            severity: severity.into(),
            ..Default::default()
        };
        self.incidents().declare(&by("kim"), &request).await.unwrap()
    }

    async fn get(&self, name: &str) -> v1::Incident {
        let request = v1::GetIncidentRequest { name: name.into() };
        self.incidents().get(&by("kim"), &request).await.unwrap()
    }

    async fn step(&self, name: &str, state: IncidentState, note: &str) -> RpcResult<v1::Incident> {
        let request = v1::MoveIncidentRequest {
            name: name.into(),
            state: state.into(),
            note: note.into(),
            ..Default::default()
        };
        self.incidents().move_to(&by("kim"), &request).await
    }

    async fn acknowledge(&self, name: &str, who: &str) -> RpcResult<v1::Incident> {
        let request = v1::AcknowledgeIncidentRequest { name: name.into(), ..Default::default() };
        self.incidents().acknowledge(&by(who), &request).await
    }

    /// Kinds and texts of the timeline.
    async fn told(&self, name: &str) -> Vec<(String, String)> {
        let request = v1::ListTimelineRequest { name: name.into(), before: None };
        let timeline = self.incidents().timeline(&by("kim"), &request).await.unwrap();
        timeline.entries.into_iter().map(|entry| (entry.kind, entry.text)).collect()
    }

    /// Texts of one kind of the timeline.
    async fn texts(&self, name: &str, kind: &str) -> Vec<String> {
        let told = self.told(name).await.into_iter();
        told.filter(|(it, _)| it == kind).map(|(_, text)| text).collect()
    }

    /// What is in the outbox: channel, action, step.
    async fn outbox(&self) -> Vec<(String, String, String)> {
        sqlx::query_as("SELECT channel, action, step FROM notify_outbox ORDER BY position")
            .fetch_all(self.test.database().operator())
            .await
            .unwrap()
    }

    async fn sent(&self, action: Action) -> usize {
        self.outbox().await.iter().filter(|(_, it, _)| it == action.as_str()).count()
    }

    async fn alert(&self, tenant_uid: Uuid, subject: &str) -> Uuid {
        self.alert_of(tenant_uid, subject, Severity::Page).await
    }

    async fn alert_of(&self, tenant_uid: Uuid, subject: &str, severity: Severity) -> Uuid {
        let alert = NewAlert {
            tenant_uid,
            kind: "SloBurn",
            rule: "burn-1h".into(),
            subject: subject.into(),
            severity,
            summary: format!("{subject} burns\u{1b}[2J"),
            runbook_url: String::new(),
            start: self.now(),
        };
        let mut tx = self.test.database().begin(&Scope::Region).await.unwrap();
        let uid = alerts::begin(&mut tx, &alert).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        uid
    }

    async fn end_alert(&self, uid: Uuid) {
        let mut tx = self.test.database().begin(&Scope::Region).await.unwrap();
        alerts::end(&mut tx, uid, self.now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn open(&self) -> Vec<v1::Incident> {
        self.list(false).await
    }

    async fn list(&self, show_closed: bool) -> Vec<v1::Incident> {
        let request = v1::ListIncidentsRequest { show_closed, ..Default::default() };
        self.incidents().list(&by("kim"), &request).await.unwrap().incidents
    }
}

fn by(name: &str) -> Caller {
    caller(name, Role::Operator, Scope::Region)
}

/// The reason of a refusal.
fn reason<T: std::fmt::Debug>(result: RpcResult<T>) -> String {
    match result.unwrap_err() {
        RpcError::Refused { reason, .. } => reason.to_owned(),
        RpcError::Invalid(faults) => faults[0].field.clone(),
        other => other.to_string(),
    }
}
