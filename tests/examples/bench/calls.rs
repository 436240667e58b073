//! Calls over mutual TLS, against a bare call over the same TLS and the same statements in
//! the same database.

use std::time::{Duration, Instant};

use prost::Message as _;
use prost_types::FieldMask;
use sqlx::{Connection as _, PgConnection};
use streamspace_proto::v1::{
    CreateTenantRequest, GetTenantRequest, Tenant, UpdateTenantRequest,
    tenant_service_client::TenantServiceClient,
};
use streamspace_tests::{
    authority::Wish,
    region::{REGION, Region},
    wait::{holds, until},
};
use streamspaced::{
    audit::AuditLog,
    config::Config,
    db::{ChangeType, Database, changes, requests},
    rpc::audit::{AuditRecord, AuditSink as _, Ending, Outcome},
    tenants::{self, TenantRecord},
};
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use uuid::Uuid;

use crate::{
    echo::Echo,
    table::{Line, Table, middle, milliseconds, times, verdict},
};

const CALLS: usize = 2000;
/// The first calls meet connections and statements that are not prepared yet.
const WARM_UP: usize = 200;
const MUTATIONS: usize = 500;
/// As many are changed in turn, so that none waits for the daemon to look at the last
/// change.
const TENANTS: usize = 20;

const REST: Duration = Duration::from_millis(25);

const READS_TARGET: f64 = 1.3;

/// Where calls go.
struct Parties {
    ours: TenantServiceClient<Channel>,
    health: HealthClient<Channel>,
    echo: TenantServiceClient<Channel>,
    database: PgConnection,
    config: Config,
    _echo: Echo,
}

/// Reads and mutations.
pub(crate) async fn measure(region: &Region, table: &mut Table) {
    let mut parties = Parties::prepare(region).await;
    table.add(parties.reads().await);
    parties.mutations(table).await;
}

impl Parties {
    async fn prepare(region: &Region) -> Self {
        // One identity and one kind of connection for both.
        let identity = region.authority().issue(&Wish::client("admin"));
        let channel = region.channel(Some(&identity)).await;
        let mut ours = TenantServiceClient::new(channel.clone());
        for number in 0..TENANTS {
            let request = CreateTenantRequest {
                tenant_id: format!("measured-{number}"),
                tenant: Some(Tenant { plan: "plans/free".into(), seats: 1, ..Tenant::default() }),
                request_id: Uuid::new_v4().to_string(),
                ..CreateTenantRequest::default()
            };
            ours.create_tenant(request).await.unwrap();
        }
        let pool = region.pool();
        until("all are active", async || {
            let query = "SELECT count(*) FROM tenants WHERE state <> 'active'";
            let missing: i64 = sqlx::query_scalar(query).fetch_one(&pool).await.unwrap();
            holds(missing == 0, || format!("{missing} are not"))
        })
        .await;
        let request = GetTenantRequest { name: "tenants/measured-0".into() };
        let reply = ours.get_tenant(request).await.unwrap().into_inner();
        let echo = Echo::start(&reply).await;
        let config = Config::read(&region.config()).unwrap();
        let url = config.database.operator.expose();
        Self {
            ours,
            health: HealthClient::new(channel),
            echo: TenantServiceClient::new(echo.channel(&identity).await),
            database: PgConnection::connect(url).await.unwrap(),
            config,
            _echo: echo,
        }
    }

    async fn reads(&mut self) -> Line {
        let mut times_of = [const { Vec::new() }; 4];
        for turn in 0..WARM_UP + CALLS {
            let request = || GetTenantRequest { name: "tenants/measured-0".into() };
            let took = [
                timed(async || self.ours.get_tenant(request()).await.unwrap()).await,
                timed(async || self.echo.get_tenant(request()).await.unwrap()).await,
                timed(async || self.select().await).await,
                timed(async || self.health.check(HealthCheckRequest::default()).await.unwrap())
                    .await,
            ];
            if turn >= WARM_UP {
                for (times, took) in times_of.iter_mut().zip(took) {
                    times.push(took);
                }
            }
        }
        let [ours, echo, statement, health] = times_of.map(middle);
        let bare = echo + statement;
        let ratio = ours.as_secs_f64() / bare.as_secs_f64();
        Line {
            what: format!("`GetTenant` over mutual TLS (p50 of {CALLS})"),
            ours: milliseconds(ours),
            against: format!(
                "an echo over the same TLS, {}, and its statement in a transaction, {}",
                milliseconds(echo),
                milliseconds(statement)
            ),
            bare: milliseconds(bare),
            ratio: times(ours, bare),
            remark: format!(
                "{}; a health check, through all layers and without the database: {}",
                verdict(ratio <= READS_TARGET, "≤ 1.3"),
                milliseconds(health)
            ),
        }
    }

    /// What the daemon asks the database for it.
    async fn select(&mut self) {
        let mut transaction = self.database.begin().await.unwrap();
        let row = sqlx::query(tenants::SELECT_BY_ID)
            .bind("measured-0")
            .fetch_optional(&mut *transaction)
            .await
            .unwrap();
        transaction.rollback().await.unwrap();
        assert!(row.is_some());
    }

    async fn mutations(&mut self, table: &mut Table) {
        let records = tenants::list(&mut self.database, false).await.unwrap();
        assert_eq!(records.len(), TENANTS);
        let audit = Database::connect(&self.config.database).await.unwrap();
        let audit = AuditLog::new(audit, "bench", REGION);
        let mut times_of = [const { Vec::new() }; 5];
        for turn in 0..WARM_UP + MUTATIONS {
            let record = records.get(turn % TENANTS).unwrap();
            let request = UpdateTenantRequest {
                tenant: Some(Tenant {
                    name: record.spec.id.to_name(),
                    display_name: format!("Turn {turn}"),
                    ..Tenant::default()
                }),
                update_mask: Some(FieldMask { paths: vec!["display_name".into()] }),
                request_id: Uuid::new_v4().to_string(),
                ..UpdateTenantRequest::default()
            };
            let entry = entry(record);
            let done = Outcome {
                ending: Ending::Succeeded,
                code: 0,
                message: String::new(),
                summary: String::new(),
            };
            let other = records.get((turn + TENANTS / 2) % TENANTS).unwrap();
            let took = [
                rested(async || self.ours.update_tenant(request.clone()).await.unwrap()).await,
                timed(async || self.echo.update_tenant(request.clone()).await.unwrap()).await,
                rested(async || self.change(other, turn).await).await,
                timed(async || audit.intent(&entry).await.unwrap()).await,
                timed(async || audit.outcome(&entry, &done).await.unwrap()).await,
            ];
            if turn >= WARM_UP {
                for (times, took) in times_of.iter_mut().zip(took) {
                    times.push(took);
                }
            }
        }
        let [ours, echo, change, intent, outcome] = times_of.map(middle);
        let bare = echo + change + intent;
        table.add(Line {
            what: format!("`UpdateTenant` over mutual TLS (p50 of {MUTATIONS})"),
            ours: milliseconds(ours),
            against: format!(
                "an echo, {}, its statements in a transaction, {}, and one insert, {}",
                milliseconds(echo),
                milliseconds(change),
                milliseconds(intent)
            ),
            bare: milliseconds(bare),
            ratio: times(ours, bare),
            remark: format!(
                "the outcome, written before the answer, is another insert of {}; with it: {}",
                milliseconds(outcome),
                times(ours, bare + outcome)
            ),
        });
    }

    /// What the daemon asks the database for a change of the display name.
    async fn change(&mut self, record: &TenantRecord, turn: usize) {
        let (actor, method, id, digest) = ("bench", "UpdateTenant", Uuid::new_v4(), [7; 32]);
        let mut tx = self.database.begin().await.unwrap();
        let before = requests::lookup(&mut tx, actor, id, method, &digest).await.unwrap();
        assert!(before.is_none());
        let mut tenant = tenants::lock_by_id(&mut tx, &record.spec.id).await.unwrap().unwrap();
        tenant.spec.display_name = format!("Bare turn {turn}");
        tenant.generation += 1;
        tenant.update_time = tenants::now(&mut tx).await.unwrap();
        tenants::update(&mut tx, &tenant).await.unwrap();
        let change = tenants::change(&tenant, ChangeType::Updated, actor);
        changes::record(&mut tx, &change).await.unwrap();
        let reply = tenants::to_proto(&tenant).encode_to_vec();
        requests::remember(&mut tx, actor, id, method, &digest, &reply).await.unwrap();
        tx.commit().await.unwrap();
    }
}

fn entry(record: &TenantRecord) -> AuditRecord {
    AuditRecord {
        call_id: Uuid::now_v7(),
        actor: "bench".into(),
        certificate_serial: "01".into(),
        role: "admin".into(),
        method: "streamspace.admin.v1.TenantService/UpdateTenant".into(),
        resource: record.spec.id.to_name(),
        request_sha256: vec![7; 32],
        reason: String::new(),
        incident: String::new(),
        rule: "role".into(),
        peer: "127.0.0.1:1".into(),
    }
}

async fn timed<T>(work: impl AsyncFnOnce() -> T) -> Duration {
    let begin = Instant::now();
    work().await;
    begin.elapsed()
}

/// The same, once what the last change has set going in the daemon is over.
async fn rested<T>(work: impl AsyncFnOnce() -> T) -> Duration {
    tokio::time::sleep(REST).await;
    timed(work).await
}
