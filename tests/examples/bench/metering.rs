//! What the metering costs beside what PostgreSQL takes for the same rows: a tick over a
//! hundred thousand sessions against the bare insert, and thirty days added up against the
//! bare aggregate. On a private PostgreSQL as `streamspaced dev` starts it, which keeps what
//! it was told.

use std::time::{Duration, Instant};

use sqlx::{PgPool, Row as _};
use streamspaced::{
    db::{Database, Leadership, migrate},
    dev::postgres::{PostgresOptions, PrivatePostgres},
    usage::{Second, rollups, ticker},
};
use uuid::Uuid;

use crate::table::{Line, Table, middle, rate, seconds, verdict};

const TENANTS: i32 = 500;
const SESSIONS: i32 = 100_000;
/// Each run closes one bucket more.
const RUNS: i32 = 9;
/// The first fills caches.
const WARM_UP: usize = 1;
/// 2 November 2026, 00:00 UTC.
const DAY: i64 = 1_793_577_600;
const BUCKET: i64 = 300;
/// So many rows of one statement, as the ticker's.
const CHUNK: usize = 10_000;
/// What share of the bare rate is to be reached.
const TARGET: f64 = 0.8;

const ROLLED_TENANTS: i32 = 20;
const ROLLED_SESSIONS: i32 = 1_000;
const ROLLED_DAYS: i32 = 30;

/// A region's database with a leader, and nothing that runs.
pub(crate) struct Base {
    pub(crate) db: Database,
    pub(crate) superuser: PgPool,
    pub(crate) leadership: Leadership,
    _server: PrivatePostgres,
}

impl Base {
    pub(crate) async fn start(tenants: i32, sessions: i32) -> Self {
        // Open to every account, for PostgreSQL runs as none that may do all.
        let folder = std::env::temp_dir().join(format!("ss-bench-{}", Uuid::new_v4().simple()));
        let options = PostgresOptions { ephemeral: true, ..PostgresOptions::default() };
        let started =
            tokio::task::spawn_blocking(move || PrivatePostgres::start_with(&folder, options));
        let server = started.await.expect("it ends").expect("PostgreSQL");
        let config = migrate::setup(&server.superuser_url(), "bench").await.expect("a database");
        migrate::run(&config.owner).await.expect("a schema");
        let superuser = PgPool::connect(&server.url("postgres", "bench")).await.expect("a login");
        let leadership = Leadership { replica: "one".into(), leader_term: 1, leads: true };
        sqlx::raw_sql(
            "UPDATE leader SET leader_term = 1, replica = 'one'; \
             INSERT INTO usage_watermark VALUES (true, 1, 1793577600, 1793577600, 1793577600)",
        )
        .execute(&superuser)
        .await
        .expect("a leader");
        let db = Database::connect(&config).await.expect("pools");
        let stage = Self { db, superuser, leadership, _server: server };
        stage.populate(tenants, sessions).await;
        stage
    }

    /// Six of ten run, the others sleep; each hundredth wakes or sleeps every five minutes.
    async fn populate(&self, tenants: i32, sessions: i32) {
        for statement in [
            "INSERT INTO tenants (tenant_uid, tenant_id, namespace, display_name, plan_id, plan_version, seats, \
                                  home_region, allowed_regions, billing_account, admin_subjects, labels, protected, \
                                  state) \
             SELECT gen_random_uuid(), 'tenant-' || number, 'tenant-' || number, '', 'free', 1, 1, 'local', '{local}', \
                    '', '[]', '{}', false, 'active' FROM generate_series(1, $1) AS number WHERE $2 >= 0",
            "INSERT INTO usage_subjects (tenant_uid, subject_uid, kind, name, user_name, template, cluster, position, at, \
                                         phase, cpu_millicores, memory_bytes, home_bytes, pod_uid, container_start) \
             SELECT tenant_uid, gen_random_uuid(), 'session', 's' || number, 'user-' || number % (50 * $1), \
                    'template-' || number % 7, 'c', 1, 1793577000, \
                    CASE WHEN number % 10 < 6 THEN 'Running' ELSE 'Hibernated' END, \
                    1000 + number % 3000, (1 + number % 8)::bigint << 30, 10::bigint << 30, \
                    gen_random_uuid(), 1793577000 \
             FROM generate_series(0, $2 - 1) AS number \
             JOIN (SELECT tenant_uid, row_number() OVER () - 1 AS place FROM tenants) AS tenants \
                  ON tenants.place = number % $1",
            "INSERT INTO usage_transitions (tenant_uid, subject_uid, position, at, phase, cpu_millicores, memory_bytes, \
                                            home_bytes, pod_uid, container_start) \
             SELECT tenant_uid, subject_uid, 1, at, phase, cpu_millicores, memory_bytes, home_bytes, pod_uid, \
                    container_start FROM usage_subjects WHERE $1 + $2 > 0",
        ] {
            sqlx::query(statement)
                .bind(tenants)
                .bind(sessions)
                .execute(&self.superuser)
                .await
                .expect(statement);
        }
        self.run("VACUUM ANALYZE").await;
    }

    pub(crate) async fn run(&self, statement: &'static str) {
        sqlx::raw_sql(statement).execute(&self.superuser).await.expect(statement);
    }

    async fn partitions(&self, days: i32) {
        sqlx::query(
            "SELECT usage_intervals_make(date '2026-11-01' + number) FROM generate_series(0, $1) AS number",
        )
        .bind(days)
        .execute(&self.superuser)
        .await
        .expect("partitions");
    }
}

/// Both measurements.
pub(crate) async fn measure(table: &mut Table) {
    table.add(tick().await);
    table.add(roll().await);
}

/// A tick writes the rows of a bucket; the bare insert writes the same rows, a day later,
/// into a partition that is as full.
async fn tick() -> Line {
    let stage = Base::start(TENANTS, SESSIONS).await;
    stage.partitions(3).await;
    let (mut taken, mut bare) = (Vec::new(), Vec::new());
    for number in 0..RUNS {
        let begin = DAY + BUCKET * i64::from(number);
        change_some(&stage, begin, number).await;
        sqlx::query("UPDATE usage_watermark SET complete_through = $1")
            .bind(begin + BUCKET)
            .execute(&stage.superuser)
            .await
            .expect("the watermark");
        stage.run("CHECKPOINT").await;
        let start = Instant::now();
        let now = Second(begin + BUCKET + ticker::SETTLE_SECONDS);
        let ticked = ticker::tick(&stage.db, &stage.leadership, now).await.expect("a tick");
        taken.push(start.elapsed());
        assert_eq!(ticked.map(|ticked| ticked.rows), u64::try_from(SESSIONS).ok());

        let chunks = Rows::of(&stage, begin).await;
        stage.run("CHECKPOINT").await;
        let start = Instant::now();
        let mut tx = stage.db.operator().begin().await.expect("a transaction");
        for rows in &chunks {
            rows.insert(&mut tx).await;
        }
        tx.commit().await.expect("the bare insert");
        bare.push(start.elapsed());
    }
    let (taken, bare) = (middle(taken.split_off(WARM_UP)), middle(bare.split_off(WARM_UP)));
    let ratio = bare.as_secs_f64() / taken.as_secs_f64();
    let count = usize::try_from(SESSIONS).expect("not that many");
    Line {
        what: format!("a tick over {SESSIONS} sessions of {TENANTS} tenants (p50 of {RUNS})"),
        ours: rate(count, taken),
        against: "bare `UNNEST … ON CONFLICT` of the same rows into the same table".into(),
        bare: rate(count, bare),
        ratio: format!("{:.0} %", ratio * 100.0),
        remark: verdict(ratio >= TARGET, "≥ 80 %"),
    }
}

/// One in a hundred changes within the bucket.
async fn change_some(stage: &Base, begin: i64, number: i32) {
    sqlx::raw_sql("ANALYZE usage_transitions").execute(&stage.superuser).await.expect("statistics");
    sqlx::query(
        "WITH changed AS (UPDATE usage_subjects SET position = $2, at = $1 + 77, \
                              phase = CASE phase WHEN 'Running' THEN 'Hibernated' ELSE 'Running' END \
                          WHERE substr(name, 2)::integer % 100 = $3 \
                          RETURNING *) \
         INSERT INTO usage_transitions (tenant_uid, subject_uid, position, at, phase, cpu_millicores, \
                                        memory_bytes, home_bytes, pod_uid, container_start) \
         SELECT tenant_uid, subject_uid, position, at, phase, cpu_millicores, memory_bytes, home_bytes, \
                pod_uid, container_start FROM changed",
    )
    .bind(begin)
    .bind(i64::from(number) + 2)
    .bind(number % 100)
    .execute(&stage.superuser)
    .await
    .expect("changes");
}

/// The rows of one statement.
#[derive(Default)]
struct Rows {
    tenants: Vec<Uuid>,
    subjects: Vec<Uuid>,
    times: Vec<i64>,
    big: [Vec<i64>; 3],
    small: [Vec<i32>; 5],
    doubts: Vec<String>,
}

impl Rows {
    /// What a tick wrote, a day later.
    async fn of(stage: &Base, begin: i64) -> Vec<Self> {
        let rows = sqlx::query(
            "SELECT tenant_uid, subject_uid, extract(epoch FROM bucket_time)::bigint + 86400, \
                    cpu_millicore_seconds, memory_byte_seconds, storage_byte_seconds, session_seconds, \
                    sessions_started, measured_seconds, estimated_seconds, unbilled_seconds, doubts \
             FROM usage_intervals WHERE bucket_time = to_timestamp($1) ORDER BY tenant_uid, subject_uid",
        )
        .bind(begin)
        .fetch_all(&stage.superuser)
        .await
        .expect("the rows");
        let read = |chunk: &[sqlx::postgres::PgRow]| {
            let mut all = Self::default();
            for row in chunk {
                all.tenants.push(row.get(0));
                all.subjects.push(row.get(1));
                all.times.push(row.get(2));
                for (place, column) in all.big.iter_mut().zip(3..) {
                    place.push(row.get::<i64, usize>(column));
                }
                for (place, column) in all.small.iter_mut().zip(6..) {
                    place.push(row.get::<i32, usize>(column));
                }
                all.doubts.push(row.get(11));
            }
            all
        };
        rows.chunks(CHUNK).map(read).collect()
    }

    async fn insert(&self, tx: &mut sqlx::PgConnection) {
        let [cpu, memory, storage] = &self.big;
        let [sessions, started, measured, estimated, unbilled] = &self.small;
        sqlx::query(
            "INSERT INTO usage_intervals (tenant_uid, subject_uid, bucket_time, cpu_millicore_seconds, \
                 memory_byte_seconds, storage_byte_seconds, session_seconds, sessions_started, \
                 measured_seconds, estimated_seconds, unbilled_seconds, doubts) \
             SELECT tenant_uid, subject_uid, to_timestamp(time), cpu, memory, storage, sessions, started, \
                    measured, estimated, unbilled, doubts \
             FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], \
                         $7::integer[], $8::integer[], $9::integer[], $10::integer[], $11::integer[], \
                         $12::text[]) \
                  AS fresh (tenant_uid, subject_uid, time, cpu, memory, storage, sessions, started, \
                            measured, estimated, unbilled, doubts) \
             ON CONFLICT DO NOTHING",
        )
        .bind(&self.tenants)
        .bind(&self.subjects)
        .bind(&self.times)
        .bind(cpu)
        .bind(memory)
        .bind(storage)
        .bind(sessions)
        .bind(started)
        .bind(measured)
        .bind(estimated)
        .bind(unbilled)
        .bind(&self.doubts)
        .execute(tx)
        .await
        .expect("the bare insert");
    }
}

/// Hours and days of thirty days, against one statement for each of both tables that adds up
/// the same rows into it.
async fn roll() -> Line {
    let stage = Base::start(ROLLED_TENANTS, ROLLED_SESSIONS).await;
    stage.partitions(ROLLED_DAYS + 1).await;
    for day in 0..ROLLED_DAYS {
        sqlx::query(
            "INSERT INTO usage_intervals (tenant_uid, subject_uid, bucket_time, cpu_millicore_seconds, \
                 memory_byte_seconds, storage_byte_seconds, session_seconds, sessions_started, \
                 measured_seconds, estimated_seconds, unbilled_seconds, doubts) \
             SELECT tenant_uid, subject_uid, bucket, cpu_millicores * 300, memory_bytes * 300, home_bytes * 300, \
                    300, 0, 300, 0, 0, '' \
             FROM generate_series(to_timestamp($1), to_timestamp($1 + 86100), '5 minutes') AS bucket \
             CROSS JOIN usage_subjects",
        )
        .bind(DAY + i64::from(day) * 86_400)
        .execute(&stage.superuser)
        .await
        .expect("intervals");
    }
    stage.run("VACUUM ANALYZE").await;
    let (mut taken, mut bare, mut read) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        read.push(aggregate(&stage, READ).await);
        bare.push(aggregate(&stage, WRITE).await);
        stage.run("TRUNCATE usage_hours, usage_days").await;
        taken.push(roll_all(&stage).await);
        stage.run("TRUNCATE usage_hours, usage_days").await;
        stage.run("VACUUM ANALYZE usage_dirty").await;
    }
    let (taken, bare, read) = (middle(taken), middle(bare), middle(read));
    let ratio = bare.as_secs_f64() / taken.as_secs_f64();
    let rows = i64::from(ROLLED_DAYS) * 288 * i64::from(ROLLED_SESSIONS);
    Line {
        what: format!(
            "hours and days of {rows} intervals ({ROLLED_DAYS} days, {ROLLED_SESSIONS} sessions)"
        ),
        ours: seconds(taken),
        against: "two bare statements that add up the same rows into the same tables".into(),
        bare: seconds(bare),
        ratio: format!("{:.0} %", ratio * 100.0),
        remark: format!(
            "{}; the aggregate alone, with nothing written: {}",
            verdict(ratio >= TARGET, "≥ 80 % of its rate"),
            seconds(read)
        ),
    }
}

const READ: &[&str] = &[
    "SELECT tenant_uid, date_bin('1 hour', bucket_time, '2000-01-01Z'), user_name, template, \
        sum(cpu_millicore_seconds)::text, sum(memory_byte_seconds)::text, sum(storage_byte_seconds)::text, \
        sum(session_seconds), sum(sessions_started), sum(measured_seconds), \
        sum(estimated_seconds), sum(unbilled_seconds) \
     FROM usage_intervals JOIN usage_subjects USING (tenant_uid, subject_uid) \
     GROUP BY 1, 2, 3, 4",
];

const WRITE: &[&str] = &[
    "INSERT INTO usage_hours (tenant_uid, hour_time, user_name, template, cpu_millicore_seconds, \
         memory_byte_seconds, storage_byte_seconds, session_seconds, sessions_started, \
         measured_seconds, estimated_seconds, unbilled_seconds) \
     SELECT tenant_uid, date_bin('1 hour', bucket_time, '2000-01-01Z'), user_name, template, \
        sum(cpu_millicore_seconds), sum(memory_byte_seconds), sum(storage_byte_seconds), \
        sum(session_seconds), sum(sessions_started), sum(measured_seconds), \
        sum(estimated_seconds), sum(unbilled_seconds) \
     FROM usage_intervals JOIN usage_subjects USING (tenant_uid, subject_uid) \
     GROUP BY 1, 2, 3, 4",
    "INSERT INTO usage_days (tenant_uid, day, user_name, template, cpu_millicore_seconds, \
         memory_byte_seconds, storage_byte_seconds, session_seconds, sessions_started, \
         measured_seconds, estimated_seconds, unbilled_seconds) \
     SELECT tenant_uid, (hour_time AT TIME ZONE 'UTC')::date, user_name, template, \
        sum(cpu_millicore_seconds), sum(memory_byte_seconds), sum(storage_byte_seconds), \
        sum(session_seconds), sum(sessions_started), sum(measured_seconds), \
        sum(estimated_seconds), sum(unbilled_seconds) \
     FROM usage_hours GROUP BY 1, 2, 3, 4",
];

/// The bare statements in one transaction, on the same login.
async fn aggregate(stage: &Base, statements: &[&'static str]) -> Duration {
    stage.run("CHECKPOINT").await;
    let mut tx = stage.db.operator().begin().await.expect("a transaction");
    sqlx::raw_sql("SET LOCAL statement_timeout TO 0; SET LOCAL work_mem TO '64MB'")
        .execute(&mut *tx)
        .await
        .expect("time and room");
    let start = Instant::now();
    for statement in statements {
        sqlx::query(*statement).fetch_all(&mut *tx).await.expect(statement);
    }
    tx.commit().await.expect("the bare aggregate");
    start.elapsed()
}

async fn roll_all(stage: &Base) -> Duration {
    stage
        .run(
            "INSERT INTO usage_dirty (tenant_uid, hour_time) \
         SELECT DISTINCT tenant_uid, date_trunc('hour', bucket_time, 'UTC') FROM usage_intervals; \
         ANALYZE usage_dirty; CHECKPOINT",
        )
        .await;
    let start = Instant::now();
    while rollups::roll_some(&stage.db, &stage.leadership).await.expect("a rollup") > 0 {}
    start.elapsed()
}
