//! New tenants in a burst.

use std::time::{Duration, Instant, SystemTime};

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use sqlx::{Connection as _, PgConnection, PgPool};
use streamspace_proto::v1::{CreateTenantRequest, Subject, SubjectKind, Tenant};
use streamspace_tests::{
    region::Region,
    wait::{holds, within},
};
use streamspaced::{config::Config, tenants};
use uuid::Uuid;

use crate::{
    audit_log::{AuditLog, Run, run},
    bare::Bare,
    process::processor_time,
    table::{Line, Table, per_second, rate, seconds, times, verdict},
};

const TENANTS: usize = 200;
/// How many calls are made at a time.
const CALLS: usize = 8;
const ROUNDS: usize = 3;
/// How many tenants a round has on each side.
const EACH: usize = 334;
/// A tenant of the free plan with administrators has so many objects.
const OBJECTS: usize = 10;
const TARGET: f64 = 0.85;
const PATIENCE: Duration = Duration::from_mins(10);

/// Wishes for so many tenants with this beginning of their names.
pub(crate) async fn wish(region: &Region, beginning: &str, count: usize, at_a_time: usize) {
    let connection = region.admin().connection();
    let administrators =
        vec![Subject { kind: SubjectKind::User.into(), name: "a@example.com".into() }];
    stream::iter(0..count)
        .for_each_concurrent(at_a_time, async |number| {
            let request = CreateTenantRequest {
                tenant_id: format!("{beginning}{number}"),
                tenant: Some(Tenant {
                    plan: "plans/free".into(),
                    seats: 1,
                    admin_subjects: administrators.clone(),
                    ..Tenant::default()
                }),
                request_id: Uuid::new_v4().to_string(),
                ..CreateTenantRequest::default()
            };
            connection.tenants().create_tenant(request).await.unwrap();
        })
        .await;
}

/// Waits until every tenant is active.
pub(crate) async fn active(pool: &PgPool, patience: Duration) {
    within(patience, "all are active", async || {
        let query = "SELECT count(*) FROM tenants WHERE state <> 'active'";
        let missing: i64 = sqlx::query_scalar(query).fetch_one(pool).await.unwrap();
        holds(missing == 0, || format!("{missing} are not"))
    })
    .await;
}

/// New tenants until all are active in the cluster, against applying as many namespaces.
pub(crate) async fn from_wish_to_active(region: &Region) -> Line {
    // The cluster's quota controller looks twice a minute for kinds that it does not know
    // yet, such as sessions.
    let first = ["tenant", "create", "first", "--plan", "free", "--seats", "1", "--wait"];
    region.admin().ok(&first).await;
    let namespaces = region.namespaces().await;
    let begin = Instant::now();
    stream::iter(0..TENANTS)
        .for_each_concurrent(CALLS, async |number| {
            let name = region.namespace(&format!("bare-{number}"));
            let wish = json!({
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": { "name": name, "labels": { "tier": "free" } },
            });
            let manager = PatchParams::apply("bench");
            let applied: Namespace =
                namespaces.patch(&name, &manager, &Patch::Apply(&wish)).await.unwrap();
            assert!(applied.metadata.uid.is_some());
        })
        .await;
    let bare = begin.elapsed();

    let begin = Instant::now();
    wish(region, "new-", TENANTS, CALLS).await;
    active(&region.pool(), PATIENCE).await;
    let ours = begin.elapsed();
    Line {
        what: format!("{TENANTS} new tenants, from the wish to active"),
        ours: rate(TENANTS, ours),
        against: format!("{TENANTS} namespaces applied"),
        bare: rate(TENANTS, bare),
        ratio: times(ours, bare),
        remark: format!("{OBJECTS} objects each, audit and observation included"),
    }
}

/// How fast the daemon applies the objects of many new tenants, against a bare loop over
/// the same objects. Both in turn, so that both meet the same machine.
pub(crate) async fn apply_rate(region: &Region, table: &mut Table) {
    let bare = Bare::install(region).await;
    let config = Config::read(&region.config()).unwrap();
    let url = config.database.operator.expose();
    let mut database = PgConnection::connect(url).await.unwrap();
    let (mut of_ours, mut of_bare) = (Sum::default(), Sum::default());
    for round in 0..ROUNDS {
        let beginning = format!("round-{round}-");
        let pause = ["region", "pause", "--for", "1h", "--reason", "a burst is prepared"];
        region.admin().ok(&pause).await;
        wish(region, &beginning, EACH, CALLS).await;
        held(&region.pool(), EACH).await;
        let records = tenants::list(&mut database, false).await.unwrap();
        let of_round =
            |record: &&tenants::TenantRecord| record.spec.id.as_str().starts_with(&beginning);
        let records: Vec<_> = records.iter().filter(of_round).cloned().collect();
        assert_eq!(records.len(), EACH);
        if round % 2 == 0 {
            of_ours.add("the daemon", &ours(region, &beginning).await);
        }
        of_bare.add("the bare loop", &loop_over(region, &bare, &records, round).await);
        if round % 2 == 1 {
            of_ours.add("the daemon", &ours(region, &beginning).await);
        }
    }
    let (count, expected) = (of_ours.objects, ROUNDS * EACH * OBJECTS);
    let ratio = per_second(count, of_ours.took) / per_second(of_bare.objects, of_bare.took);
    table.add(Line {
        what: format!("{} new tenants, {count} objects applied", ROUNDS * EACH),
        ours: rate(count, of_ours.took),
        against: "a bare loop over the same objects".into(),
        bare: rate(of_bare.objects, of_bare.took),
        ratio: format!("{:.0} %", ratio * 100.0),
        remark: format!(
            "{}; {} applied twice; {} events beside; processor time of the daemon: {}",
            verdict(ratio >= TARGET, "≥ 85 %"),
            count.saturating_sub(expected),
            of_ours.events,
            seconds(of_ours.processor)
        ),
    });
    table.add(Line {
        what: "The same, until all are active".into(),
        ours: seconds(of_ours.settled),
        against: "until the cluster counts against every quota".into(),
        bare: seconds(of_bare.settled),
        ratio: times(of_ours.settled, of_bare.settled),
        remark: "most of it is the cluster's own quota controller".into(),
    });
}

/// One side of a round.
struct Round {
    run: Run,
    /// From the first object to when the cluster was done with the last.
    settled: Duration,
    processor: Duration,
}

#[derive(Default)]
struct Sum {
    objects: usize,
    events: usize,
    took: Duration,
    settled: Duration,
    processor: Duration,
}

impl Sum {
    fn add(&mut self, who: &str, round: &Round) {
        let Round { run, settled, processor } = round;
        eprintln!(
            "{who}: {} objects in {}, {}; {} refused, {} events, settled after {}",
            run.objects,
            seconds(run.took),
            rate(run.objects, run.took),
            run.refused,
            run.events,
            seconds(*settled)
        );
        self.objects += run.objects;
        self.events += run.events;
        self.took += run.took;
        self.settled += *settled;
        self.processor += *processor;
    }
}

/// Waits until so many new tenants say that the pause holds them back.
async fn held(pool: &PgPool, count: usize) {
    let count = i64::try_from(count).unwrap();
    within(PATIENCE, "all wait for the end of the pause", async || {
        let query = "SELECT count(*) FROM tenants \
                     WHERE state = 'provisioning' AND conditions::text LIKE '%Paused%'";
        let found: i64 = sqlx::query_scalar(query).fetch_one(pool).await.unwrap();
        holds(found == count, || format!("{found} of {count} do"))
    })
    .await;
}

async fn ours(region: &Region, beginning: &str) -> Round {
    let log = AuditLog::of(region.cluster());
    let (mark, process) = (log.mark(), region.process_id().await);
    let before = processor_time(process);
    region.admin().ok(&["region", "unpause", "--reason", "the burst"]).await;
    active(&region.pool(), PATIENCE).await;
    let end = now();
    let processor = processor_time(process).saturating_sub(before);
    let user = format!("{}:daemon", region.instance());
    let run = run(&log.since(mark), &user, &region.namespace(beginning));
    assert!(run.objects >= EACH * OBJECTS, "{run:?}");
    Round { run, settled: end.saturating_sub(run.first), processor }
}

async fn loop_over(
    region: &Region,
    bare: &Bare,
    records: &[tenants::TenantRecord],
    round: usize,
) -> Round {
    let log = AuditLog::of(region.cluster());
    let objects = bare.objects(records);
    let mark = log.mark();
    bare.apply(objects).await;
    bare.counted(EACH * (round + 1)).await;
    let end = now();
    let run = run(&log.since(mark), &bare.user(), &bare.prefix());
    assert_eq!(run.objects, EACH * OBJECTS);
    Round { run, settled: end.saturating_sub(run.first), processor: Duration::ZERO }
}

/// The time since 1970, as the API server tells it.
fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap()
}
