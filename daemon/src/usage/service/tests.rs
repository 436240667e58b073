//! The service over a real PostgreSQL: rows that the metering itself made, and rows by hand
//! where many are needed.

use streamspace_core::{
    access::Role,
    ids::TenantUid,
    quantity::{Bytes, Millicores},
    session::{SessionPhase, SessionUid},
    usage::{Incarnation, Listing, Order, PodUid, State, Transition},
};
use tonic::Code;

use super::*;
use crate::{
    db::{Leadership, testing::TestDatabase},
    rpc::caller::testing::caller,
    usage::{
        convert::Amounts,
        facts::{self, Fact, Subject, SubjectKind},
        rollups, ticker,
    },
};

mod actual;
mod explanations;
mod live;
mod sums;

const GIB: i64 = 1 << 30;

struct World {
    test: TestDatabase,
    usages: Usages,
    kim: Caller,
    leadership: Leadership,
}

/// The second of an instant such as `2026-11-02T10:00:00Z`.
fn at(text: &str) -> Second {
    Second::holding(text.parse().unwrap())
}

/// A time of the 2nd of November 2026.
fn on(time: &str) -> Second {
    at(&format!("2026-11-02T{time}Z"))
}

impl World {
    async fn start() -> Self {
        let test = TestDatabase::create().await;
        let usages = Usages::new(test.database().clone(), CancellationToken::new());
        let leadership = Leadership { replica: "one".into(), leader_term: 1, leads: true };
        let world =
            Self { test, usages, kim: caller("kim", Role::Viewer, Scope::Region), leadership };
        world.sql("UPDATE leader SET leader_term = 1, replica = 'one'").await;
        world
    }

    async fn sql(&self, sql: &str) {
        let superuser = self.test.superuser().await;
        sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).execute(&superuser).await.unwrap();
    }

    async fn tenant(&self, id: &str) -> TenantUid {
        self.test.insert_tenant(id).await
    }

    /// The metering begins, with partitions for its days.
    async fn begin(&self, begins: Second) {
        self.sql(
            "SELECT usage_intervals_make(day::date) \
             FROM generate_series(date '2026-10-31', date '2026-11-08', interval '1 day') AS day",
        )
        .await;
        let mut tx = self.test.database().begin(&Scope::Region).await.unwrap();
        facts::lead(&mut tx, 1, begins).await.unwrap().unwrap();
        tx.commit().await.unwrap();
    }

    async fn store(&self, facts: &[Fact]) {
        let mut tx = self.test.database().begin(&Scope::Region).await.unwrap();
        facts::store(&mut tx, facts).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn listed(&self, order: u64, at: Second, listed: &[u128]) {
        let listed: Vec<_> = listed.iter().map(|uid| SessionUid(Uuid::from_u128(*uid))).collect();
        let listing = Listing { order: Order(order), at };
        let mut tx = self.test.database().begin(&Scope::Region).await.unwrap();
        facts::listed(&mut tx, 1, listing, &listed).await.unwrap().unwrap();
        tx.commit().await.unwrap();
    }

    /// Everything up to an instant is known, closed and added up.
    async fn close(&self, through: Second) {
        let db = self.test.database();
        let mut tx = db.begin(&Scope::Region).await.unwrap();
        facts::confirmed(&mut tx, 1, through).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        let now = through.plus(3_600);
        while ticker::tick(db, &self.leadership, now).await.unwrap().is_some() {}
        while rollups::roll_some(db, &self.leadership).await.unwrap() > 0 {}
    }

    /// Sums of hours of a tenant by hand, with their days: 1,000 millicores for all seconds.
    async fn hours(&self, tenant: TenantUid, from: &str, to: &str, users: i64) {
        self.sql(&format!(
            "INSERT INTO usage_hours SELECT '{}', 1, hour, 'user-' || number, 'firefox', 3600000, \
                    3600 * 1024, 0, 3600, 0, 3600, 0, 0 \
             FROM generate_series(timestamptz '{from}', timestamptz '{to}' - interval '1 hour', '1 hour') \
                  AS hour, generate_series(1, {users}) AS number",
            tenant.0
        ))
        .await;
        self.sql("TRUNCATE usage_days").await;
        self.sql(
            "INSERT INTO usage_days \
             SELECT tenant_uid, 1, (hour_time AT TIME ZONE 'UTC')::date, user_name, template, \
                    sum(cpu_millicore_seconds), sum(memory_byte_seconds), sum(storage_byte_seconds), \
                    sum(session_seconds), sum(sessions_started), sum(measured_seconds), \
                    sum(estimated_seconds), sum(unbilled_seconds) \
             FROM usage_hours GROUP BY 1, 3, 4, 5",
        )
        .await;
    }

    async fn query(
        &self,
        caller: &Caller,
        request: v1::QueryUsageRequest,
    ) -> v1::QueryUsageResponse {
        self.usages.query(caller, &request).await.unwrap()
    }
}

fn fact(
    tenant: TenantUid,
    uid: u128,
    user: &str,
    order: u64,
    at: Second,
    phase: SessionPhase,
) -> Fact {
    let subject = Subject {
        uid: SessionUid(Uuid::from_u128(uid)),
        tenant,
        kind: SubjectKind::Session,
        name: format!("{user}-work"),
        user: user.into(),
        template: if user == "ada" { "firefox" } else { "ubuntu" }.into(),
        cluster: "c".into(),
    };
    let home = if phase == SessionPhase::Terminated { 0 } else { 10 * GIB };
    let transition = Transition {
        session: subject.uid,
        order: Order(order),
        at,
        state: State { phase, cpu: Millicores(1_000), memory: Bytes(2 * GIB), home: Bytes(home) },
        incarnation: Some(Incarnation {
            pod: PodUid(Uuid::from_u128(uid + 1_000)),
            container_start: on("09:00:00"),
        }),
    };
    Fact { subject, transition, cause: format!("{phase:?}") }
}

/// Two tenants of the example: ada 10:02:30 to 10:08:10, bob all the time with a gap in which
/// his pod was another, and eve in another tenant.
async fn metered() -> (World, TenantUid, TenantUid) {
    use SessionPhase::{Hibernated, Running, Terminated};
    let world = World::start().await;
    let (acme, delta) = (world.tenant("acme").await, world.tenant("delta").await);
    world.begin(on("10:00:00")).await;
    let mut moved = fact(acme, 2, "bob", 20, on("11:05:00"), Running);
    moved.transition.incarnation =
        Some(Incarnation { pod: PodUid(Uuid::from_u128(7)), container_start: on("11:05:00") });
    world
        .store(&[
            fact(acme, 1, "ada", 10, on("10:02:30"), Running),
            fact(acme, 1, "ada", 11, on("10:08:10"), Hibernated),
            fact(acme, 1, "ada", 12, on("10:20:00"), Terminated),
            fact(acme, 2, "bob", 5, on("09:30:00"), Running),
            moved,
            fact(delta, 3, "eve", 6, on("10:30:00"), Running),
        ])
        .await;
    let mut tx = world.test.database().begin(&Scope::Region).await.unwrap();
    facts::confirmed(&mut tx, 1, on("11:00:00")).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    // Nobody watched from 11:00 to 11:10.
    world.listed(21, on("11:10:00"), &[2, 3]).await;
    world.close(on("13:00:00")).await;
    (world, acme, delta)
}

fn query(parent: &str, from: Second, to: Second, group: v1::UsageGroup) -> v1::QueryUsageRequest {
    v1::QueryUsageRequest {
        parent: parent.into(),
        start_time: convert::instant(from),
        end_time: convert::instant(to),
        group: group.into(),
        time_zone: String::new(),
    }
}

/// The sums of amounts, by the names of the contract.
fn plus(rows: impl IntoIterator<Item = Option<v1::UsageAmounts>>) -> v1::UsageAmounts {
    let mut sum = Amounts::default();
    for row in rows {
        let row = row.unwrap();
        let texts = [
            row.cpu_millicore_seconds,
            row.memory_byte_seconds,
            row.storage_byte_seconds,
            row.session_seconds,
            row.sessions_started,
            row.measured_seconds,
            row.estimated_seconds,
            row.unbilled_seconds,
        ];
        sum.add(&Amounts::read(&texts).unwrap()).unwrap();
    }
    sum.to_proto()
}

fn scoped(tenant: TenantUid) -> Caller {
    caller("lee", Role::Viewer, Scope::Tenants(vec![tenant]))
}

fn code<T: std::fmt::Debug>(result: RpcResult<T>) -> Code {
    Status::from(result.unwrap_err()).code()
}
