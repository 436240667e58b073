//! SLOs against a real PostgreSQL, and a real Prometheus where one is asked.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use sqlx::Row as _;
use streamspace_core::{access::Role, ids::TenantUid, slo::Minute};
use streamspace_proto::v1;
use uuid::Uuid;

use super::{Evaluator, EvaluatorParts, config::SloConfig, engine::Progress, service::Slos};
use crate::{
    alerts::REGION,
    db::{Leadership, Scope, testing::TestDatabase},
    rpc::{Caller, caller::testing::caller, errors::RpcError},
};

mod beside;
mod definitions;
mod minutes;

/// A region that this replica leads, at a time of its own.
struct World {
    test: TestDatabase,
    acme: TenantUid,
    leadership: Leadership,
    clock: Arc<Mutex<Timestamp>>,
    config: SloConfig,
}

/// The minute at which each world begins.
const BEGIN: Minute = Minute(29_700_000);

/// An alert: whose, which rule, from which minute until which, counted from [`BEGIN`].
type Told = (String, i64, Option<i64>);

impl World {
    async fn start() -> Self {
        let test = TestDatabase::create().await;
        let acme = test.insert_tenant("acme").await;
        sqlx::query("UPDATE leader SET leader_term = 1, replica = 'one'")
            .execute(test.database().operator())
            .await
            .unwrap();
        let world = Self {
            test,
            acme,
            leadership: Leadership { replica: "one".into(), leader_term: 1, leads: true },
            clock: Arc::new(Mutex::new(BEGIN.start())),
            config: SloConfig { settle_seconds: 1, seeded: false, ..SloConfig::default() },
        };
        world.at(0);
        world
    }

    /// Sets the clock to a few seconds after a minute begins.
    fn at(&self, minute: i64) {
        let now = BEGIN.plus(minute).start() + jiff::SignedDuration::from_secs(5);
        *self.clock.lock().unwrap() = now;
    }

    fn clock(&self) -> crate::rpc::Clock {
        let clock = Arc::clone(&self.clock);
        Arc::new(move || *clock.lock().unwrap())
    }

    fn service(&self) -> Slos {
        Slos::new(self.test.database().clone(), self.clock())
    }

    fn evaluator(&self) -> Evaluator {
        Evaluator::new(EvaluatorParts {
            db: self.test.database().clone(),
            config: self.config.clone(),
            clock: self.clock(),
        })
    }

    /// Evaluates until all is known.
    async fn evaluate(&self) {
        let mut evaluator = self.evaluator();
        while evaluator.round(&self.leadership).await.unwrap() == Progress::Behind {}
    }

    async fn make(&self, id: &str, slo: v1::Slo) -> v1::Slo {
        let request =
            v1::CreateSloRequest { slo_id: id.into(), slo: Some(slo), ..Default::default() };
        self.service().create(&kim(), &request).await.unwrap()
    }

    /// What replicas counted in a minute.
    async fn count(&self, counter: &str, tenant: Uuid, minute: i64, total: i64, bad: i64) {
        sqlx::query(
            "INSERT INTO slo_counts (tenant_uid, source_uid, counter, minute, total, bad) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(tenant)
        .bind(Uuid::new_v4())
        .bind(counter)
        .bind(BEGIN.plus(minute).0)
        .bind(total)
        .bind(bad)
        .execute(self.test.database().operator())
        .await
        .unwrap();
    }

    /// What was told of an SLO, in the order of its begin.
    async fn told(&self, id: &str) -> Vec<Told> {
        let rows = sqlx::query(
            "SELECT rule, start_time, end_time FROM alerts WHERE subject = $1 \
             ORDER BY start_time, rule",
        )
        .bind(format!("slos/{id}"))
        .fetch_all(self.test.database().operator())
        .await
        .unwrap();
        let minute = |time: Timestamp| BEGIN.until(Minute::holding(time));
        rows.iter()
            .map(|row| {
                let start: jiff_sqlx::Timestamp = row.get(1);
                let end: Option<jiff_sqlx::Timestamp> = row.get(2);
                (row.get(0), minute(start.to_jiff()), end.map(|end| minute(end.to_jiff())))
            })
            .collect()
    }

    async fn budget(&self, slo: &str, tenant: &str) -> v1::Budget {
        self.service().budget(&kim(), slo, tenant).await.unwrap()
    }
}

fn kim() -> Caller {
    caller("kim", Role::Admin, Scope::Region)
}

fn own(counter: v1::OwnCounter) -> v1::Slo {
    let own = v1::OwnSli { counter: counter.into() };
    v1::Slo {
        service: "api".into(),
        objective: "99.9".into(),
        sli: Some(v1::Sli { sli: Some(v1::sli::Sli::Own(own)) }),
        ..Default::default()
    }
}

fn pushed() -> v1::Slo {
    v1::Slo {
        sli: Some(v1::Sli { sli: Some(v1::sli::Sli::Pushed(v1::PushedSli {})) }),
        ..own(v1::OwnCounter::Calls)
    }
}

fn seconds(span: Option<prost_types::Duration>) -> i64 {
    span.unwrap().seconds
}

fn faults(error: &RpcError) -> String {
    let RpcError::Invalid(faults) = error else { panic!("{error}") };
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
