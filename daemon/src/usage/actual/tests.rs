//! Actual use against a real PostgreSQL.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::BoxFuture;
use streamspace_core::{ids::TenantUid, usage::Second};
use streamspace_sim::Simulator;

use super::{
    ActualConfig, ActualUse, Metric, Selector,
    engine::RoundError,
    source::{Measured, Missing, Pods, Sample, Source, Value},
    store::{self, SourceRow},
};
use crate::{
    db::{Leadership, Scope, testing::TestDatabase},
    kube::Cluster,
};

mod kept;
mod metrics_api;
mod prometheus;

/// A region with the tenant `acme`, which this replica leads.
struct World {
    test: TestDatabase,
    acme: TenantUid,
    leadership: Leadership,
}

/// The sums of all hours of a tenant: CPU, memory, egress, recordings, each with the
/// seconds that are covered.
type Sums = [i128; 8];

impl World {
    async fn start() -> Self {
        let test = TestDatabase::create().await;
        let acme = test.insert_tenant("acme").await;
        let leadership = Leadership { replica: "one".into(), leader_term: 1, leads: true };
        let world = Self { test, acme, leadership };
        world.elect(1).await;
        world
    }

    async fn elect(&self, term: i64) {
        sqlx::query("UPDATE leader SET leader_term = $1, replica = 'one'")
            .bind(term)
            .execute(self.test.database().operator())
            .await
            .unwrap();
    }

    async fn now(&self) -> Second {
        let now = sqlx::query_scalar("SELECT floor(extract(epoch FROM clock_timestamp()))::bigint");
        Second(now.fetch_one(self.test.database().operator()).await.unwrap())
    }

    fn measuring(&self, cluster: Cluster, sources: Vec<Arc<dyn Source>>) -> ActualUse {
        let db = self.test.database().clone();
        ActualUse::with_sources(db, cluster, Selector::All, Duration::from_mins(1), sources)
    }

    async fn sums(&self, tenant: TenantUid) -> Sums {
        let sums: Vec<String> = sqlx::query_scalar(
            "SELECT ARRAY[sum(cpu_millicore_seconds), sum(cpu_covered_seconds), sum(memory_byte_seconds), \
                          sum(memory_covered_seconds), sum(egress_bytes), sum(egress_covered_seconds), \
                          sum(recording_byte_seconds), sum(recording_covered_seconds)]::text[] \
             FROM (SELECT 0 AS cpu_millicore_seconds, 0 AS cpu_covered_seconds, 0 AS memory_byte_seconds, \
                          0 AS memory_covered_seconds, 0 AS egress_bytes, 0 AS egress_covered_seconds, \
                          0 AS recording_byte_seconds, 0 AS recording_covered_seconds \
                   UNION ALL \
                   SELECT cpu_millicore_seconds, cpu_covered_seconds, memory_byte_seconds, \
                          memory_covered_seconds, egress_bytes, egress_covered_seconds, \
                          recording_byte_seconds, recording_covered_seconds \
                   FROM usage_actual WHERE tenant_uid = $1) AS hours",
        )
        .bind(tenant.0)
        .fetch_one(self.test.database().operator())
        .await
        .unwrap();
        let mut found = Sums::default();
        for (place, sum) in found.iter_mut().zip(sums) {
            *place = sum.parse().unwrap();
        }
        found
    }

    async fn sources(&self) -> BTreeMap<Metric, SourceRow> {
        let mut tx = self.test.database().begin(&Scope::Region).await.unwrap();
        store::sources(&mut tx).await.unwrap()
    }

    async fn series(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM usage_actual_series")
            .fetch_one(self.test.database().operator())
            .await
            .unwrap()
    }
}

fn simulated() -> Cluster {
    Cluster::from_client(Simulator::in_memory().client(), "simulator")
}

/// Says what it is told to say.
#[derive(Default)]
struct Told {
    metrics: Vec<Metric>,
    samples: Mutex<BTreeMap<Metric, Result<Vec<Sample>, Missing>>>,
}

impl Told {
    fn of(metrics: &[Metric]) -> Arc<Self> {
        Arc::new(Self { metrics: metrics.to_vec(), ..Self::default() })
    }

    fn say(&self, metric: Metric, samples: Result<Vec<Sample>, Missing>) {
        self.samples.lock().unwrap().insert(metric, samples);
    }
}

impl Source for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    fn metrics(&self) -> Vec<Metric> {
        self.metrics.clone()
    }

    fn needs_pods(&self) -> bool {
        false
    }

    fn read<'a>(&'a self, _: &'a Result<Pods, Missing>) -> BoxFuture<'a, Vec<Measured>> {
        Box::pin(async {
            let said = self.samples.lock().unwrap().clone();
            let of = |(metric, samples)| Measured { metric, samples };
            said.into_iter().map(of).collect()
        })
    }
}

fn sample(namespace: &str, at: Second, value: Value) -> Sample {
    Sample { namespace: namespace.into(), series: "desk-1".into(), at, value }
}
