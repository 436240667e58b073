//! What it takes to say whether a session may start, with fifty thousand known.

use std::time::{Duration, Instant};

use streamspace_core::{
    admission::{Place, Request},
    ids::TenantUid,
    quantity::{Bytes, Millicores},
    session::{SessionName, SessionUid, UserName},
};
use streamspaced::sessions::reservations::Admission;
use uuid::Uuid;

use crate::{
    metering::Base,
    table::{Line, Table, milliseconds, permille, times, verdict},
};

const TENANTS: i32 = 100;
const SESSIONS: i32 = 50_000;
const ASKS: usize = 2_000;
const TARGET: Duration = Duration::from_millis(10);

/// Asks one by one, each for another user, against a transaction that does no more than
/// insert and commit a row of the same kind.
pub(crate) async fn measure(table: &mut Table) {
    let base = Base::start(TENANTS, 0).await;
    sqlx::query(
        "INSERT INTO sessions (tenant_uid, name, session_uid, resource_version, generation, \
           user_name, template, state, phase, deleting, pods, cpu, cpu_limit, memory, \
           memory_limit, create_time, resource) \
         SELECT tenant_uid, 's' || n, gen_random_uuid(), n, 1, 'u' || n % 50, 't', \
           CASE WHEN n % 5 = 0 THEN 'running' ELSE 'hibernated' END, 'Running', false, 1, \
           100, 100, 1048576, 1048576, now(), decode(repeat('00', 1000), 'hex') \
         FROM tenants CROSS JOIN generate_series(1, $1) AS n",
    )
    .bind(SESSIONS / TENANTS)
    .execute(&base.superuser)
    .await
    .expect("sessions");
    base.run("UPDATE tenants SET plan_id = 'business'").await;
    base.run("VACUUM ANALYZE").await;
    let tenants: Vec<Uuid> = sqlx::query_scalar("SELECT tenant_uid FROM tenants")
        .fetch_all(&base.superuser)
        .await
        .expect("tenants");

    let admission = Admission::new(base.db.clone());
    let (mut taken, mut inserts) = (Vec::new(), Vec::new());
    for (number, tenant) in (0..ASKS).zip(tenants.iter().cycle()) {
        let request = request(number);
        let start = Instant::now();
        let admitted = admission.admit(TenantUid(*tenant), &request, false).await;
        taken.push(start.elapsed());
        admitted.expect("an answer").expect("a place");
        let start = Instant::now();
        insert(&base, *tenant, number).await;
        inserts.push(start.elapsed());
    }
    let (p99, limit) = (permille(&mut taken, 990), permille(&mut inserts, 990));
    table.add(Line {
        what: format!("Admission with {SESSIONS} sessions known (p99 of {ASKS})"),
        ours: milliseconds(p99),
        against: "a transaction that inserts one such row".into(),
        bare: milliseconds(limit),
        ratio: times(p99, limit),
        remark: verdict(p99 < TARGET, "< 10 ms"),
    });
}

fn request(number: usize) -> Request {
    Request {
        name: SessionName::parse(&format!("new-{number}")).expect("a name"),
        uid: Some(SessionUid(Uuid::new_v4())),
        generation: 1,
        user: UserName::parse(&format!("new-user-{number}")).expect("a name"),
        place: Place {
            sessions: 1,
            pods: 1,
            cpu: Millicores(100),
            cpu_limit: Millicores(100),
            memory: Bytes(1 << 20),
            memory_limit: Bytes(1 << 20),
        },
    }
}

async fn insert(base: &Base, tenant: Uuid, number: usize) {
    let mut tx = base.superuser.begin().await.expect("a transaction");
    sqlx::query(
        "INSERT INTO session_reservations (tenant_uid, name, session_uid, user_name, generation, \
           pods, cpu, cpu_limit, memory, memory_limit, expire_time) \
         VALUES ($1, $2, gen_random_uuid(), $2, 1, 1, 100, 100, 1048576, 1048576, 'epoch')",
    )
    .bind(tenant)
    .bind(format!("bare-{number}"))
    .execute(&mut *tx)
    .await
    .expect("a row");
    tx.commit().await.expect("the commit");
}
