//! The metering against a real PostgreSQL.

use std::collections::BTreeMap;

use streamspace_core::{
    ids::TenantUid,
    quantity::{Bytes, Millicores},
    session::{SessionPhase, SessionUid},
    usage::*,
};
use uuid::Uuid;

use super::{
    corrections,
    facts::{self, Fact, Subject, SubjectKind},
    partitions, rollups, ticker, verify,
};
use crate::db::{Leadership, Scope, testing::TestDatabase};

mod crashes;
mod examples;
mod gaps;
mod late;
mod leaders;
mod partition;
mod proof;
mod simulation;

const GIB: i64 = 1 << 30;

/// A second of the 2nd of November 2026, from its time.
fn time(text: &str) -> Second {
    instant(&format!("2026-11-02T{text}Z"))
}

fn instant(text: &str) -> Second {
    Second::holding(text.parse().unwrap())
}

fn uid(number: u128) -> SessionUid {
    SessionUid(Uuid::from_u128(number))
}

fn pod(number: u128, container_start: Second) -> Incarnation {
    Incarnation { pod: PodUid(Uuid::from_u128(number)), container_start }
}

/// 1 vCPU, 2 GiB and a home of 10 GiB, of session 1.
fn transition(order: u64, at: Second, phase: SessionPhase) -> Transition {
    Transition {
        session: uid(1),
        order: Order(order),
        at,
        state: State {
            phase,
            cpu: Millicores(1000),
            memory: Bytes(2 * GIB),
            home: Bytes(if phase == SessionPhase::Terminated { 0 } else { 10 * GIB }),
        },
        incarnation: None,
    }
}

fn runs(order: u64, at: Second, run: impl Into<Option<Incarnation>>) -> Transition {
    Transition { incarnation: run.into(), ..transition(order, at, SessionPhase::Running) }
}

fn ends(order: u64, at: Second) -> Transition {
    transition(order, at, SessionPhase::Terminated)
}

/// A region with one tenant, whose first leader is this replica.
struct Metering {
    database: TestDatabase,
    tenant: TenantUid,
    leadership: Leadership,
}

impl Metering {
    /// Metering begins at an instant.
    async fn beginning(at: Second) -> Self {
        let database = TestDatabase::create().await;
        let tenant = database.insert_tenant("acme").await;
        let leadership = Leadership { replica: "one".into(), leader_term: 1, leads: true };
        let metering = Self { database, tenant, leadership };
        metering.elect(&metering.leadership).await;
        metering.partitions(at, at.plus(40 * 86_400)).await;
        metering.lead(1, at).await.unwrap();
        metering
    }

    /// The database says who leads.
    async fn elect(&self, leadership: &Leadership) {
        sqlx::query("UPDATE leader SET leader_term = $1, replica = $2")
            .bind(leadership.leader_term)
            .bind(&leadership.replica)
            .execute(self.database.database().operator())
            .await
            .unwrap();
    }

    /// By a superuser, for it is the same for all tests but those of partitions.
    async fn partitions(&self, from: Second, to: Second) {
        let superuser = self.database.superuser().await;
        sqlx::query(
            "SELECT usage_intervals_make(day::date) \
             FROM generate_series(to_timestamp($1) AT TIME ZONE 'UTC', to_timestamp($2) AT TIME ZONE 'UTC', \
                                  '1 day') AS day",
        )
        .bind(from.0)
        .bind(to.0)
        .execute(&superuser)
        .await
        .unwrap();
        superuser.close().await;
    }

    async fn begin(&self) -> sqlx::Transaction<'static, sqlx::Postgres> {
        self.database.database().begin(&Scope::Region).await.unwrap()
    }

    async fn lead(&self, term: i64, now: Second) -> Result<Watermark, Refusal> {
        let mut tx = self.begin().await;
        let done = facts::lead(&mut tx, term, now).await.unwrap();
        if done.is_ok() {
            tx.commit().await.unwrap();
        }
        done
    }

    fn fact(&self, transition: Transition) -> Fact {
        let subject = Subject {
            uid: transition.session,
            tenant: self.tenant,
            kind: SubjectKind::Session,
            name: "work".into(),
            user: "ada".into(),
            template: "firefox".into(),
            cluster: "c1".into(),
        };
        Fact { subject, transition, cause: String::new() }
    }

    async fn store(&self, transitions: impl IntoIterator<Item = Transition>) {
        let facts: Vec<Fact> = transitions.into_iter().map(|fact| self.fact(fact)).collect();
        self.store_facts(&facts).await;
    }

    async fn store_facts(&self, facts: &[Fact]) {
        let mut tx = self.begin().await;
        facts::store(&mut tx, facts).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn listed(&self, listing: Listing, listed: &[SessionUid]) -> Result<u64, Refusal> {
        let mut tx = self.begin().await;
        let term = self.leadership.leader_term;
        let done = facts::listed(&mut tx, term, listing, listed).await.unwrap();
        if done.is_ok() {
            tx.commit().await.unwrap();
        }
        done
    }

    async fn confirm(&self, at: Second) {
        let mut tx = self.begin().await;
        facts::confirmed(&mut tx, self.leadership.leader_term, at).await.unwrap().unwrap();
        tx.commit().await.unwrap();
    }

    /// The facts are complete through an instant, and all is done that can be.
    async fn settle(&self, at: Second) {
        self.confirm(at).await;
        self.work(at).await;
    }

    async fn work(&self, now: Second) {
        let db = self.database.database();
        let now = now.plus(ticker::SETTLE_SECONDS);
        while ticker::tick(db, &self.leadership, now).await.unwrap().is_some() {}
        while corrections::correct_some(db, &self.leadership).await.unwrap().spans > 0 {}
        while rollups::roll_some(db, &self.leadership).await.unwrap() > 0 {}
    }

    /// Session 1's intervals, without their corrections.
    async fn committed(&self) -> Vec<Interval> {
        self.rows(
            "SELECT subject_uid, extract(epoch FROM bucket_time)::bigint AS bucket, \
                          cpu_millicore_seconds, memory_byte_seconds, storage_byte_seconds, \
                          session_seconds, sessions_started, measured_seconds, doubts \
                   FROM usage_intervals ORDER BY subject_uid, bucket_time",
        )
        .await
    }

    async fn corrections(&self) -> Vec<Interval> {
        self.rows(
            "SELECT subject_uid, extract(epoch FROM bucket_time)::bigint AS bucket, \
                          cpu_millicore_seconds, memory_byte_seconds, storage_byte_seconds, \
                          session_seconds, sessions_started, measured_seconds, doubts \
                   FROM usage_corrections ORDER BY subject_uid, bucket_time, number",
        )
        .await
    }

    async fn rows(&self, query: &'static str) -> Vec<Interval> {
        let rows = sqlx::query(query).fetch_all(self.database.database().operator()).await.unwrap();
        rows.iter().map(|found| super::row::interval(found).unwrap()).collect()
    }

    /// What stands: intervals with their corrections.
    async fn stands(&self) -> BTreeMap<(SessionUid, Bucket), Interval> {
        let mut stands = BTreeMap::new();
        for row in self.committed().await.into_iter().chain(self.corrections().await) {
            let key = (row.session, row.bucket);
            let sum = stands.remove(&key).unwrap_or_else(|| Interval::empty(key.0, key.1));
            let covered = row.covered.clone();
            let usage = row.usage;
            let more = Correction { session: key.0, bucket: key.1, number: 1, usage, covered };
            stands.insert(key, corrected(sum, [&more]));
        }
        stands
    }

    /// The sums of all days: CPU, memory, storage, session-seconds, started; measured,
    /// estimated, unbilled.
    async fn days(&self) -> [i128; 8] {
        let sums: Vec<String> = sqlx::query_scalar(
            "SELECT ARRAY[sum(cpu_millicore_seconds), sum(memory_byte_seconds), \
                          sum(storage_byte_seconds), sum(session_seconds), sum(sessions_started), \
                          sum(measured_seconds), sum(estimated_seconds), sum(unbilled_seconds)]::text[] \
             FROM usage_days",
        )
        .fetch_one(self.database.database().operator())
        .await
        .unwrap();
        let mut found = [0; 8];
        for (place, sum) in found.iter_mut().zip(sums) {
            *place = sum.parse().unwrap();
        }
        found
    }

    /// Everything agrees, and something was checked.
    async fn prove(&self) {
        let time = Span::new(Second(0), Second(i64::from(u32::MAX)));
        let proof = verify::prove(self.database.database(), None, time).await.unwrap();
        assert!(proof.holds(), "{proof:#?}");
        assert!(proof.checks.iter().all(|check| check.checked > 0), "{proof:#?}");
    }
}

fn total(rows: &[Interval]) -> Usage {
    rows.iter().map(|row| row.usage).sum()
}

fn covered(rows: &[Interval]) -> CoveredSeconds {
    rows.iter().fold(CoveredSeconds::default(), |sum, row| sum.plus(&row.covered))
}
