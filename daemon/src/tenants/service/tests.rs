//! The whole life through the service, over a database and the simulator.

use std::collections::BTreeSet;

use prost_types::FieldMask;
use streamspace_core::access::Role;
use streamspace_proto::v1::approval_service_server::ApprovalService as _;
use streamspace_sim::Simulator;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::*;
use crate::{
    approvals::service::Approvals,
    db::{Scope, testing::TestDatabase},
    rpc::caller::testing::caller,
    tenants::{
        ManifestWishes,
        manifests::{NetworkConfig, Surroundings},
    },
};

mod frozen;

/// A service with a database and a cluster of its own.
pub(crate) struct World {
    pub(crate) test: TestDatabase,
    pub(crate) simulator: Simulator,
    pub(crate) tenants: Tenants,
    pub(crate) kim: Caller,
}

impl World {
    pub(crate) async fn start() -> Self {
        let test = TestDatabase::create().await;
        let simulator = Simulator::in_memory();
        let tenants = Tenants {
            db: test.database().clone(),
            region: RegionId::parse("local").unwrap(),
            namespace_prefix: "tenant-".into(),
            cluster: Cluster::from_client(simulator.client(), "simulator"),
            instance: "streamspace".into(),
            wishes: Arc::new(ManifestWishes::new(Surroundings {
                instance: "streamspace".into(),
                control_namespace: "streamspace-system".into(),
                network: NetworkConfig::default(),
                sessions_counted: false,
            })),
            leadership: watch::channel(Leadership::default()).1,
        };
        Self { test, simulator, tenants, kim: caller("kim", Role::Admin, Scope::Region) }
    }

    /// A tenant of ten business seats, in this state.
    pub(crate) async fn tenant(&self, id: &str, state: &str, change: &str) -> String {
        self.tenants.create(&self.kim, &create(id, "business", 10)).await.unwrap();
        self.sql(&format!(
            "UPDATE tenants SET state = '{state}' {change} WHERE tenant_id = '{id}'"
        ))
        .await;
        format!("tenants/{id}")
    }

    pub(crate) async fn sql(&self, sql: &str) {
        sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()))
            .execute(self.test.database().operator())
            .await
            .unwrap();
    }

    async fn count(&self, sql: &str) -> i64 {
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned()))
            .fetch_one(self.test.database().operator())
            .await
            .unwrap()
    }

    pub(crate) async fn get(&self, name: &str) -> v1::Tenant {
        self.tenants.get(&self.kim, name).await.unwrap()
    }

    /// Agrees as another person to what an error says that waits.
    async fn agree(&self, error: RpcError) {
        let RpcError::ApprovalRequired { approval } = error else { panic!("{error}") };
        let mut request = Request::new(v1::ApproveRequestRequest {
            name: approval.to_name(),
            ..Default::default()
        });
        request.extensions_mut().insert(caller("lee", Role::Admin, Scope::Region));
        Approvals::new(self.test.database().clone()).approve_request(request).await.unwrap();
    }
}

fn create(id: &str, plan: &str, seats: i32) -> v1::CreateTenantRequest {
    let tenant = v1::Tenant { plan: format!("plans/{plan}"), seats, ..v1::Tenant::default() };
    v1::CreateTenantRequest { tenant_id: id.into(), tenant: Some(tenant), ..Default::default() }
}

macro_rules! request {
    ($request:ident, $name:expr $(, $field:ident: $value:expr)*) => {
        &v1::$request {
            name: $name.into(), reason: "test".into(), $($field: $value,)* ..Default::default()
        }
    };
}

fn update(name: &str, fields: &[&str], tenant: v1::Tenant) -> v1::UpdateTenantRequest {
    v1::UpdateTenantRequest {
        tenant: Some(v1::Tenant { name: name.into(), ..tenant }),
        update_mask: Some(FieldMask { paths: fields.iter().map(ToString::to_string).collect() }),
        ..Default::default()
    }
}

pub(crate) fn codes(consequences: &[v1::Consequence]) -> BTreeSet<&str> {
    consequences.iter().map(|told| told.code.as_str()).collect()
}

pub(crate) fn reason<T: std::fmt::Debug>(result: RpcResult<T>) -> String {
    let status = Status::from(result.unwrap_err());
    status.get_error_details().error_info().unwrap().reason.clone()
}

pub(crate) fn field<T: std::fmt::Debug>(result: RpcResult<T>) -> String {
    let status = Status::from(result.unwrap_err());
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    status.get_error_details().bad_request().unwrap().field_violations[0].field.clone()
}

#[expect(clippy::unnecessary_wraps, reason = "the field is optional")]
const fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

#[tokio::test]
async fn a_whole_life_there_and_back() {
    let world = World::start().await;
    let (tenants, kim) = (&world.tenants, &world.kim);
    let name = world.tenant("acme", "active", "").await;

    let ttl = seconds(3600);
    let cordoned =
        tenants.cordon(kim, request!(CordonTenantRequest, &name, ttl: ttl)).await.unwrap();
    assert_eq!(cordoned.state(), v1::TenantState::Cordoned);
    assert_eq!(cordoned.cordon_reason, "test");
    assert!(cordoned.cordon_expire_time.is_some());
    assert_eq!(codes(&cordoned.consequences), ["NOTHING_NEW_STARTS"].into());

    let suspended = tenants.suspend(kim, request!(SuspendTenantRequest, &name)).await.unwrap();
    assert_eq!(suspended.state(), v1::TenantState::Suspended);
    assert_eq!(
        reason(tenants.restore(kim, request!(RestoreTenantRequest, &name)).await),
        "TENANT_STATE"
    );

    let archived = tenants.archive(kim, request!(ArchiveTenantRequest, &name)).await.unwrap();
    assert_eq!(archived.state(), v1::TenantState::Archived);
    let (from, to) = (archived.archive_time.unwrap(), archived.retention_end_time.unwrap());
    assert_eq!(to.seconds - from.seconds, 90 * 86_400, "business keeps 90 days");
    assert_eq!(codes(&archived.consequences), ["DATA_LOSS", "NOTHING_NEW_STARTS"].into());

    let restored = tenants.restore(kim, request!(RestoreTenantRequest, &name)).await.unwrap();
    assert_eq!(restored.state(), v1::TenantState::Suspended);
    assert!(restored.archive_time.is_none() && restored.retention_end_time.is_none());
    let resumed = tenants.resume(kim, request!(ResumeTenantRequest, &name)).await.unwrap();
    assert_eq!(resumed.state(), v1::TenantState::Cordoned, "as it was before");
    assert!(resumed.cordon_expire_time.is_some());
    let open = tenants.uncordon(kim, request!(UncordonTenantRequest, &name)).await.unwrap();
    assert_eq!(open.state(), v1::TenantState::Active);
    assert!(open.cordon_expire_time.is_none() && open.cordon_reason.is_empty());

    assert_eq!(open.generation, 7, "every step is a change of the wish");
    assert_eq!(open, world.get(&name).await);
    let told = world.count("SELECT count(*) FROM changes WHERE type = 'updated'").await;
    assert_eq!(told, 6);
}

#[tokio::test]
async fn a_preview_changes_nothing_and_a_retry_has_no_second_effect() {
    let world = World::start().await;
    let (tenants, kim) = (&world.tenants, &world.kim);
    let name = world.tenant("acme", "active", "").await;
    let before = world.get(&name).await;
    let preview = request!(CordonTenantRequest, &name, validate_only: true);
    let previewed = tenants.cordon(kim, preview).await.unwrap();
    assert_eq!(previewed.state(), v1::TenantState::Cordoned);
    assert_eq!(world.get(&name).await, before);

    let id = uuid::Uuid::now_v7().to_string();
    let request =
        request!(CordonTenantRequest, &name, request_id: id.clone(), etag: before.etag.clone());
    let first = tenants.cordon(kim, request).await.unwrap();
    // The etag is old by now, and the retry still gets its first reply.
    assert_eq!(tenants.cordon(kim, request).await.unwrap(), first);
    assert_eq!(world.get(&name).await.generation, 2);
    let stale = request!(UncordonTenantRequest, &name, etag: before.etag.clone());
    assert_eq!(reason(tenants.uncordon(kim, stale).await), "ETAG_MISMATCH");
}

#[tokio::test]
async fn bad_input_names_its_field_and_changes_nothing() {
    let world = World::start().await;
    let (tenants, kim) = (&world.tenants, &world.kim);
    let name = world.tenant("acme", "active", "").await;
    let before = world.get(&name).await;
    for ttl in [seconds(0), seconds(-60), seconds(90 * 86_400 + 1), seconds(i64::MAX)] {
        assert_eq!(
            field(tenants.cordon(kim, request!(CordonTenantRequest, &name, ttl: ttl)).await),
            "ttl"
        );
    }
    for ttl in [seconds(0), seconds(86_401)] {
        assert_eq!(
            field(tenants.pause(kim, request!(PauseTenantRequest, &name, ttl: ttl)).await),
            "ttl"
        );
    }
    for bad in ["a\u{1b}[2J".to_owned(), "x".repeat(65_536)] {
        let request = request!(PauseTenantRequest, &name);
        let request = &v1::PauseTenantRequest { reason: bad.clone(), ..request.clone() };
        assert_eq!(field(tenants.pause(kim, request).await), "reason");
        let request = request!(SuspendTenantRequest, &name);
        let request = &v1::SuspendTenantRequest { reason: bad.clone(), ..request.clone() };
        assert_eq!(field(tenants.suspend(kim, request).await), "reason");
        let request = request!(DeleteTenantRequest, &name);
        let request = &v1::DeleteTenantRequest { reason: bad.clone(), ..request.clone() };
        assert_eq!(field(tenants.delete(kim, request).await), "reason");
        let request = update(&name, &["seats"], v1::Tenant { seats: 11, ..Default::default() });
        let request = &v1::UpdateTenantRequest { reason: bad, ..request };
        assert_eq!(field(tenants.update(kim, request).await), "reason");
    }
    for bad in ["", "acme", "tenants/", "tenants/../x", "tenants/Ä"] {
        assert_eq!(field(tenants.cordon(kim, request!(CordonTenantRequest, bad)).await), "name");
    }
    assert_eq!(
        reason(tenants.cordon(kim, request!(CordonTenantRequest, "tenants/other")).await),
        "NOT_FOUND"
    );
    assert_eq!(world.get(&name).await, before);
}

#[tokio::test]
async fn a_pause_is_shown_and_is_no_change_of_the_wish() {
    let world = World::start().await;
    let (tenants, kim) = (&world.tenants, &world.kim);
    let name = world.tenant("acme", "active", "").await;
    assert_eq!(
        reason(tenants.unpause(kim, request!(UnpauseTenantRequest, &name)).await),
        "NOT_PAUSED"
    );
    let paused = tenants.pause(kim, request!(PauseTenantRequest, &name)).await.unwrap();
    let pause = paused.pause.unwrap();
    assert_eq!((pause.actor.as_str(), pause.reason.as_str()), ("kim", "test"));
    let hour = pause.expire_time.unwrap().seconds - paused.update_time.unwrap().seconds;
    assert!((3599..=3601).contains(&hour), "{hour}");
    assert_eq!(paused.generation, 1);
    let open = tenants.unpause(kim, request!(UnpauseTenantRequest, &name)).await.unwrap();
    assert!(open.pause.is_none());
}

#[tokio::test]
async fn only_an_archived_tenant_past_its_retention_is_deleted() {
    let world = World::start().await;
    let (tenants, kim) = (&world.tenants, &world.kim);
    let name = world.tenant("acme", "active", "").await;
    let delete = request!(DeleteTenantRequest, &name);
    assert_eq!(reason(tenants.delete(kim, delete).await), "TENANT_STATE");
    tenants.archive(kim, request!(ArchiveTenantRequest, &name)).await.unwrap();
    assert_eq!(reason(tenants.delete(kim, delete).await), "RETENTION_NOT_OVER");
    world.sql("UPDATE tenants SET purge_after = now() - interval '1 second'").await;
    let preview = request!(DeleteTenantRequest, &name, validate_only: true);
    let told = tenants.delete(kim, preview).await.unwrap().consequences;
    assert!(told.iter().any(|told| told.message.contains("lost for ever")), "{told:?}");
    let operation = tenants.delete(kim, delete).await.unwrap();
    assert_eq!(operation.target, name);
    assert_eq!(world.get(&name).await.state(), v1::TenantState::Purging);
    assert_eq!(reason(tenants.delete(kim, delete).await), "TENANT_PURGING");
    assert_eq!(
        reason(tenants.cordon(kim, request!(CordonTenantRequest, &name)).await),
        "TENANT_PURGING"
    );
    let seats = world
        .count("SELECT seats::bigint FROM tenant_subscription ORDER BY from_time DESC, subscription_id DESC LIMIT 1")
        .await;
    assert_eq!(seats, 0, "nothing is paid for any more");

    // One that never became active has nothing worth keeping.
    let name = world.tenant("new-one", "provisioning", "").await;
    tenants.delete(kim, request!(DeleteTenantRequest, &name)).await.unwrap();
    assert_eq!(world.get(&name).await.state(), v1::TenantState::Purging);
    // Unless it took over what somebody else made.
    let name = world.tenant("adopted", "provisioning", ", adopt = true").await;
    let deleted = tenants.delete(kim, request!(DeleteTenantRequest, &name)).await;
    assert_eq!(reason(deleted), "APPROVAL_REQUIRED");
    assert_eq!(world.get(&name).await.state(), v1::TenantState::Provisioning);
}

#[tokio::test]
async fn a_second_person_agrees_to_a_deletion_before_the_retention_is_over() {
    let world = World::start().await;
    let (tenants, kim) = (&world.tenants, &world.kim);
    let name = world.tenant("acme", "active", "").await;
    tenants.archive(kim, request!(ArchiveTenantRequest, &name)).await.unwrap();
    let delete = request!(DeleteTenantRequest, &name, before_retention: true);
    let preview = request!(DeleteTenantRequest, &name, before_retention: true, validate_only: true);
    let told = tenants.delete(kim, preview).await.unwrap().consequences;
    assert!(told.iter().any(|told| told.code == "NEEDS_APPROVAL"), "{told:?}");
    assert_eq!(world.count("SELECT count(*) FROM approvals").await, 0, "a preview asks nobody");

    let before = world.get(&name).await;
    let waits = tenants.delete(kim, delete).await.unwrap_err();
    assert_eq!(world.get(&name).await, before, "nothing but the approval is committed");
    // Asking again asks for the same one.
    assert_eq!(reason(tenants.delete(kim, delete).await), "APPROVAL_REQUIRED");
    assert_eq!(world.count("SELECT count(*) FROM approvals").await, 1);
    world.agree(waits).await;
    tenants.delete(kim, delete).await.unwrap();
    assert_eq!(world.get(&name).await.state(), v1::TenantState::Purging);
    assert_eq!(world.count("SELECT count(*) FROM approvals WHERE use_time IS NOT NULL").await, 1);
}

#[tokio::test]
async fn what_is_hard_on_a_protected_tenant_needs_two() {
    let world = World::start().await;
    let (tenants, kim) = (&world.tenants, &world.kim);
    let name = world.tenant("acme", "active", ", protected = true").await;
    let before = world.get(&name).await;
    let preview = request!(SuspendTenantRequest, &name, validate_only: true);
    let previewed = tenants.suspend(kim, preview).await.unwrap();
    assert_eq!(codes(&previewed.consequences), ["NEEDS_APPROVAL", "NOTHING_NEW_STARTS"].into());
    assert_eq!(
        reason(tenants.archive(kim, request!(ArchiveTenantRequest, &name)).await),
        "APPROVAL_REQUIRED"
    );
    let open = update(&name, &["protected"], v1::Tenant::default());
    assert_eq!(reason(tenants.update(kim, &open).await), "APPROVAL_REQUIRED");
    assert_eq!(
        reason(tenants.delete(kim, request!(DeleteTenantRequest, &name)).await),
        "TENANT_PROTECTED"
    );
    assert_eq!(world.get(&name).await, before);
    // Cordon touches nothing that runs, and needs nobody.
    tenants.cordon(kim, request!(CordonTenantRequest, &name)).await.unwrap();
    tenants.uncordon(kim, request!(UncordonTenantRequest, &name)).await.unwrap();

    let suspend = request!(SuspendTenantRequest, &name);
    let waits = tenants.suspend(kim, suspend).await.unwrap_err();
    world.agree(waits).await;
    let suspended = tenants.suspend(kim, suspend).await.unwrap();
    assert_eq!(suspended.state(), v1::TenantState::Suspended);
    // It was good for one time.
    tenants.resume(kim, request!(ResumeTenantRequest, &name)).await.unwrap();
    assert_eq!(reason(tenants.suspend(kim, suspend).await), "APPROVAL_REQUIRED");

    let waits = tenants.update(kim, &open).await.unwrap_err();
    world.agree(waits).await;
    assert!(!tenants.update(kim, &open).await.unwrap().protected);
    // Putting it on again is one person's word.
    let protect =
        update(&name, &["protected"], v1::Tenant { protected: true, ..Default::default() });
    assert!(tenants.update(kim, &protect).await.unwrap().protected);
}

#[tokio::test]
async fn an_overcommit_past_the_plans_is_accepted_or_refused() {
    let world = World::start().await;
    let (tenants, kim) = (&world.tenants, &world.kim);
    let told = tenants.create(kim, &create("ten-seats", "business", 10)).await.unwrap();
    assert_eq!(told.consequences[0].code, "OVERCOMMIT");
    assert!(told.consequences[0].message.starts_with("promised 640Gi, quota 200Gi"));
    assert!(
        world.get("tenants/ten-seats").await.consequences.is_empty(),
        "only in replies to a change"
    );
    let many = create("many-seats", "business", 100);
    assert_eq!(reason(tenants.create(kim, &many).await), "OVERCOMMIT");
    let accepted = v1::CreateTenantRequest { accept_overcommit: true, ..many };
    tenants.create(kim, &accepted).await.unwrap();
    let more =
        update("tenants/ten-seats", &["seats"], v1::Tenant { seats: 50, ..Default::default() });
    assert_eq!(reason(tenants.update(kim, &more).await), "OVERCOMMIT");
    let fewer =
        update("tenants/many-seats", &["seats"], v1::Tenant { seats: 90, ..Default::default() });
    tenants.update(kim, &fewer).await.unwrap();
}

#[tokio::test]
async fn naming_the_plan_takes_its_newest_version_and_tells_what_is_over_it() {
    let world = World::start().await;
    let (tenants, kim) = (&world.tenants, &world.kim);
    let name = world.tenant("acme", "active", "").await;
    world
        .sql(
            "INSERT INTO plans SELECT plan_id, 2, rank, display_name, seat_price_micros, user_sessions, \
             user_memory_bytes, recording_retention_days, features, availability_ppm, 50000, \
             quota_memory_bytes, quota_storage_bytes, quota_pods, now(), overcommit_permille \
             FROM plans WHERE plan_id = 'business'",
        )
        .await;
    let renamed = update(&name, &["display_name"], v1::Tenant::default());
    assert_eq!(tenants.update(kim, &renamed).await.unwrap().plan_version, 1);
    let plan = v1::Tenant { plan: "plans/business".into(), ..Default::default() };
    let taken = tenants.update(kim, &update(&name, &["plan"], plan)).await.unwrap();
    assert_eq!((taken.plan_version, taken.quota.unwrap().cpu_millicores), (2, 50_000));
    // Nobody counts there yet, so what is used is not known.
    assert_eq!(codes(&taken.consequences), ["OVER_QUOTA", "PLAN_VERSION"].into());
    assert_eq!(world.count("SELECT count(*) FROM tenant_subscription").await, 2);
    let missing = v1::Tenant { plan: "plans/none".into(), ..Default::default() };
    assert_eq!(field(tenants.update(kim, &update(&name, &["plan"], missing)).await), "tenant.plan");
}

#[tokio::test]
async fn nothing_begins_in_a_cordoned_region() {
    let world = World::start().await;
    let (tenants, kim) = (&world.tenants, &world.kim);
    let name = world.tenant("acme", "archived", "").await;
    world
        .sql("UPDATE region_controls SET cordon_time = now(), cordon_reason = 'full', cordon_actor = 'lee'")
        .await;
    assert_eq!(reason(tenants.create(kim, &create("other", "free", 1)).await), "REGION_CORDONED");
    assert_eq!(
        reason(tenants.restore(kim, request!(RestoreTenantRequest, &name)).await),
        "REGION_CORDONED"
    );
    world.sql("UPDATE region_controls SET cordon_until = now() - interval '1 second'").await;
    tenants.create(kim, &create("other", "free", 1)).await.unwrap();
    tenants.restore(kim, request!(RestoreTenantRequest, &name)).await.unwrap();
}

/// A caller that sees some tenants goes the same way over the tenant login.
#[tokio::test]
async fn a_caller_of_one_tenant_takes_its_steps_and_no_others() {
    let world = World::start().await;
    let name = world.tenant("acme", "active", ", protected = true").await;
    world.tenant("other", "active", "").await;
    let uid: uuid::Uuid =
        sqlx::query_scalar("SELECT tenant_uid FROM tenants WHERE tenant_id = 'acme'")
            .fetch_one(world.test.database().operator())
            .await
            .unwrap();
    let scope = Scope::Tenants(vec![streamspace_core::ids::TenantUid(uid)]);
    let pat = caller("pat", Role::Admin, scope);
    let tenants = &world.tenants;
    tenants.cordon(&pat, request!(CordonTenantRequest, &name)).await.unwrap();
    tenants.pause(&pat, request!(PauseTenantRequest, &name)).await.unwrap();
    assert_eq!(
        reason(tenants.archive(&pat, request!(ArchiveTenantRequest, &name)).await),
        "APPROVAL_REQUIRED"
    );
    let plan = v1::Tenant { plan: "plans/enterprise".into(), ..Default::default() };
    tenants.update(&pat, &update(&name, &["plan"], plan)).await.unwrap();
    let theirs = request!(CordonTenantRequest, "tenants/other");
    assert_eq!(reason(tenants.cordon(&pat, theirs).await), "NOT_FOUND");
}

#[tokio::test]
async fn objects_and_proof_are_read_from_the_cluster() {
    let world = World::start().await;
    let (tenants, kim) = (&world.tenants, &world.kim);
    let name = world.tenant("acme", "active", "").await;
    let listed = tenants.objects(kim, &name).await.unwrap().objects;
    assert_eq!(listed.len(), 8);
    assert!(
        listed.iter().all(|object| object.state() == v1::TenantObjectState::Missing),
        "{listed:?}"
    );
    let proof = tenants.prove(kim, &name).await.unwrap();
    assert!(!proof.holds);
    let of = |rule: &str| proof.rules.iter().find(|it| it.rule == rule).unwrap().status();
    assert_eq!(of("objects-as-wished"), v1::ConditionStatus::False);
    assert_eq!(of("database-shows-one-tenant"), v1::ConditionStatus::True);
    assert_eq!(of("no-privileged-pods"), v1::ConditionStatus::Unknown);
    assert_eq!(reason(tenants.prove(kim, "tenants/other").await), "NOT_FOUND");
}

#[tokio::test]
async fn a_table_is_told_what_is_wrong_and_not_what_holds() {
    let world = World::start().await;
    let condition = |kind: &str, status: &str| {
        format!(
            r#"{{"type": "{kind}", "status": "{status}", "reason": "Told", "message": "{kind}",
                "observedGeneration": 1, "lastTransitionTime": "2026-11-24T00:00:00Z"}}"#
        )
    };
    let conditions = [("Ready", "True"), ("Applied", "False"), ("Counted", "Unknown")];
    let conditions = conditions.map(|(kind, status)| condition(kind, status)).join(",");
    world.tenant("acme", "active", &format!(", conditions = '[{conditions}]'")).await;
    let list = async |view: v1::TenantView| {
        let request = v1::ListTenantsRequest { view: view.into(), ..Default::default() };
        world.tenants.list(&world.kim, &request).await.unwrap().tenants.remove(0)
    };
    let kinds = |tenant: &v1::Tenant| -> Vec<String> {
        tenant.conditions.iter().map(|condition| condition.r#type.clone()).collect()
    };
    let full = list(v1::TenantView::Full).await;
    assert_eq!(kinds(&full), ["Ready", "Applied", "Counted"]);
    assert_eq!(list(v1::TenantView::Unspecified).await, full);
    let basic = list(v1::TenantView::Basic).await;
    assert_eq!(kinds(&basic), ["Applied", "Counted"]);
    assert_eq!(basic, v1::Tenant { conditions: basic.conditions.clone(), ..full });
}
