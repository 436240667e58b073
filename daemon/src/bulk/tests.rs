//! Operations over several against a real PostgreSQL: done once, stopped cleanly, and in the
//! name of who asked.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use futures::{FutureExt as _, future::BoxFuture};
use jiff::Timestamp;
use streamspace_core::access::Role;
use streamspace_proto::v1::{
    self, OperationItemState as State, bulk_service_server::BulkService as _,
    change_tenants_request::Change, operation_service_server::OperationService as _,
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::{
    change::Work,
    runner::{self, Parts},
    service::Bulk,
    session::SessionWork,
};
use crate::{
    db::{ChangeLog, Leadership, Scope},
    operations::{bulk, service::Operations},
    platform::{Features, Ready, Standing as PlatformStanding},
    quotas::service::Quotas,
    rpc::{
        BreakGlass, Caller,
        audit::{AuditRecord, AuditSink, AuditUnavailable, Ending, Outcome},
        caller::testing::caller,
        peer::{CertificateStatus, Standing},
        system_clock,
    },
    sessions::reservations::Admission,
    tenants::service::tests::World,
};

mod sessions;

/// Keeps what it is told, and is away so many times first.
#[derive(Default)]
struct Log {
    away: AtomicU32,
    ended: Mutex<Vec<(AuditRecord, Outcome)>>,
}

impl AuditSink for Log {
    fn intent<'a>(&'a self, _: &'a AuditRecord) -> BoxFuture<'a, Result<(), AuditUnavailable>> {
        let fewer = |left: u32| left.checked_sub(1);
        let away = self.away.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok();
        let answer = if away { Err(AuditUnavailable("away".into())) } else { Ok(()) };
        std::future::ready(answer).boxed()
    }

    fn outcome<'a>(
        &'a self,
        record: &'a AuditRecord,
        outcome: &'a Outcome,
    ) -> BoxFuture<'a, Result<(), AuditUnavailable>> {
        self.ended.lock().unwrap().push((record.clone(), outcome.clone()));
        std::future::ready(Ok(())).boxed()
    }

    fn denied(&self, _: AuditRecord, _: i32, _: String) {}

    fn left(&self, _: Uuid) {}
}

/// Who is locked.
struct Known(watch::Sender<bool>);

impl CertificateStatus for Known {
    fn standing(&self, _: &str, operator: &str, _: Timestamp) -> Standing {
        if operator == "kim" && *self.0.borrow() {
            return Standing::Locked { until: None, reason: "left the company".into() };
        }
        Standing::Good
    }

    fn break_glass(&self, _: &str, _: Timestamp) -> Option<BreakGlass> {
        None
    }

    fn changes(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }

    fn is_known(&self) -> bool {
        true
    }
}

struct Fixture {
    world: World,
    changes: ChangeLog,
    work: Work,
    bulk: Bulk,
    operations: Operations,
    log: Arc<Log>,
    known: Arc<Known>,
    standing: watch::Sender<PlatformStanding>,
    stop: CancellationToken,
}

impl Fixture {
    async fn start() -> Self {
        let world = World::start().await;
        let db = world.test.database().clone();
        world.sql("UPDATE leader SET leader_term = 1, replica = 'one'").await;
        let changes = ChangeLog::new(db.clone());
        let stop = CancellationToken::new();
        tokio::spawn(changes.clone().run(stop.clone()));
        let work = Work {
            tenants: world.tenants.clone(),
            quotas: Quotas::new(db.clone(), world.tenants.cluster.clone()),
        };
        let ready = Ready {
            acting: world.tenants.cluster.clone(),
            leader_term: 1,
            features: Features::default(),
        };
        Self {
            standing: watch::Sender::new(PlatformStanding::Ready(ready)),
            bulk: Bulk { db: db.clone(), work: work.clone() },
            operations: Operations::new(db, changes.clone()),
            work,
            changes,
            world,
            log: Arc::default(),
            known: Arc::new(Known(watch::Sender::new(false))),
            stop,
        }
    }

    /// Tenants of these names, active, of ten seats.
    async fn tenants(&self, names: &[&str]) {
        for name in names {
            self.world.tenant(name, "active", "").await;
        }
    }

    /// A replica that believes that it leads.
    fn runner(&self) -> JoinHandle<()> {
        let parts = Parts {
            db: self.world.test.database().clone(),
            changes: self.changes.clone(),
            work: self.work.clone(),
            sessions: SessionWork::new(
                Admission::new(self.world.test.database().clone()),
                self.standing.subscribe(),
            ),
            status: Arc::clone(&self.known) as _,
            sink: Arc::clone(&self.log) as _,
            clock: system_clock(),
        };
        let leads = Leadership { replica: "one".into(), leader_term: 1, leads: true };
        let (sender, leadership) = watch::channel(leads);
        let stop = self.stop.clone();
        tokio::spawn(async move {
            runner::run(parts, leadership, stop).await;
            drop(sender);
        })
    }

    async fn change_as(
        &self,
        who: &Caller,
        request: v1::ChangeTenantsRequest,
    ) -> Result<v1::ChangeTenantsResponse, Status> {
        let request = by(who, request);
        Ok(self.bulk.change_tenants(request).await?.into_inner())
    }

    async fn begin(&self, change: Change) -> v1::Operation {
        let reply = self.change_as(&self.world.kim, all(change)).await.unwrap();
        reply.operation.unwrap()
    }

    /// Waits for the end of an operation.
    async fn ended(&self, name: &str) -> v1::Operation {
        for _ in 0..4 {
            let request = v1::WaitOperationRequest { name: name.into(), timeout: None };
            let request = by(&self.world.kim, request);
            let operation = self.operations.wait_operation(request).await.unwrap().into_inner();
            if operation.done {
                return operation;
            }
        }
        panic!("the operation does not end");
    }

    async fn items(&self, name: &str, filter: &str) -> Vec<v1::OperationItem> {
        let mut all = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListOperationItemsRequest {
                name: name.into(),
                page_size: 2,
                page_token,
                filter: filter.into(),
            };
            let request = by(&self.world.kim, request);
            let page = self.operations.list_operation_items(request).await.unwrap().into_inner();
            all.extend(page.items);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return all;
            }
        }
    }

    async fn cancel(&self, name: &str) -> Result<v1::Operation, Status> {
        let request = v1::CancelOperationRequest { name: name.into(), ..Default::default() };
        let request = by(&self.world.kim, request);
        Ok(self.operations.cancel_operation(request).await?.into_inner())
    }

    async fn resume_as(&self, who: &Caller, name: &str) -> Result<v1::Operation, Status> {
        let request = v1::ResumeOperationRequest { name: name.into(), ..Default::default() };
        Ok(self.operations.resume_operation(by(who, request)).await?.into_inner())
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn by<M>(who: &Caller, message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(who.clone());
    request
}

fn all(change: Change) -> v1::ChangeTenantsRequest {
    v1::ChangeTenantsRequest {
        filter: "name = \"*\"".into(),
        change: Some(change),
        reason: "maintenance".into(),
        ..Default::default()
    }
}

fn suspend() -> Change {
    Change::Suspend(v1::SuspendTenantRequest::default())
}

fn states(items: &[v1::OperationItem]) -> BTreeMap<String, State> {
    items.iter().map(|item| (item.target.clone(), item.state())).collect()
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

#[tokio::test]
async fn each_tenant_is_changed_in_the_name_of_who_asked_and_what_is_refused_says_why() {
    let f = Fixture::start().await;
    f.tenants(&["delta", "acme", "gone-soon"]).await;
    f.world.tenant("beta", "active", ", protected = true").await;
    f.world.tenant("charlie", "suspended", ", resume_state = 'active'").await;
    f.world.tenant("echo", "archived", "").await;
    // Away at first: nothing fails for that.
    f.log.away.store(5, Ordering::SeqCst);

    let begun = f.begin(suspend()).await;
    assert_eq!((begun.kind.as_str(), begun.target.as_str()), ("tenant.suspend", "tenants/-"));
    assert_eq!(begun.counts.unwrap().pending, 6);
    assert_eq!(begun.consequences[0].message, "it touches 6 tenants with 60 seats");
    // Gone, and another tenant has the name: that one was not chosen.
    f.world.sql("UPDATE tenants SET state = 'gone' WHERE tenant_id = 'gone-soon'").await;
    f.world.test.insert_tenant("gone-soon").await;
    f.runner();
    let ended = f.ended(&begun.name).await;

    assert_eq!(ended.error, None);
    let counts = ended.counts.unwrap();
    assert_eq!(
        (counts.total, counts.changed, counts.unchanged, counts.failed, counts.pending),
        (6, 2, 1, 3, 0)
    );
    assert_eq!(ended.progress, "6 of 6, 1 as wished already, 3 failed");
    let items = f.items(&begun.name, "").await;
    let order: Vec<&str> = items.iter().map(|item| item.target.as_str()).collect();
    let names = ["acme", "beta", "charlie", "delta", "echo", "gone-soon"];
    assert_eq!(order, names.map(|name| format!("tenants/{name}")));
    let error = |index: usize| items[index].error.clone().unwrap();
    assert_eq!(error(1).reason, "APPROVAL_REQUIRED");
    assert!(error(1).message.contains("by itself"), "{:?}", error(1));
    assert_eq!(error(4).reason, "TENANT_STATE");
    assert_eq!(error(5).reason, "NOT_FOUND");
    let failed = f.items(&begun.name, "state = failed AND target != \"*/echo\"").await;
    assert_eq!(failed.len(), 2);
    assert_eq!(f.world.get("tenants/acme").await.state(), v1::TenantState::Suspended);
    assert_eq!(f.world.get("tenants/gone-soon").await.state(), v1::TenantState::Active);

    // No second person was asked, and every item is in the log by itself.
    let asked: i64 = sqlx::query_scalar("SELECT count(*) FROM approvals")
        .fetch_one(f.world.test.database().operator())
        .await
        .unwrap();
    assert_eq!(asked, 0);
    let log = f.log.ended.lock().unwrap();
    assert_eq!(log.len(), 6);
    for (record, outcome) in log.iter() {
        assert_eq!(record.actor, "kim");
        assert!(record.method.ends_with("TenantService/SuspendTenant"), "{}", record.method);
        assert_eq!(record.reason, "maintenance");
        assert!(record.rule.contains(&begun.name), "{}", record.rule);
        let is_refused = ["tenants/beta", "tenants/echo", "tenants/gone-soon"];
        let ending = if is_refused.contains(&record.resource.as_str()) {
            Ending::Failed
        } else {
            Ending::Succeeded
        };
        assert_eq!(outcome.ending, ending, "{}", record.resource);
    }
}

#[tokio::test]
async fn two_replicas_that_both_think_they_lead_do_each_item_once() {
    let f = Fixture::start().await;
    let names: Vec<String> = (0..24).map(|number| format!("tenant-{number:02}")).collect();
    f.tenants(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let change = v1::QuotaChange { resource: "pods".into(), amount: "+7".into() };
    let request = v1::SetQuotaRequest { changes: vec![change], ..Default::default() };
    let begun = f.begin(Change::SetQuota(request)).await;
    let before = f.world.get("tenants/tenant-00").await.quota.unwrap().pods;
    f.runner();
    f.runner();
    let ended = f.ended(&begun.name).await;
    assert_eq!(ended.counts.unwrap().changed, 24, "{ended:?}");
    for name in names {
        let tenant = f.world.get(&format!("tenants/{name}")).await;
        assert_eq!((tenant.generation, tenant.quota.unwrap().pods), (2, before + 7), "{name}");
    }
    let log = f.log.ended.lock().unwrap();
    let succeeded = log.iter().filter(|(_, outcome)| outcome.ending == Ending::Succeeded);
    assert_eq!(succeeded.count(), 24);
}

#[tokio::test]
async fn what_was_cancelled_is_left_and_goes_on_when_it_is_resumed() {
    let f = Fixture::start().await;
    f.tenants(&["acme", "beta", "charlie"]).await;
    let begun = f.begin(suspend()).await;
    assert_eq!(
        reason(&f.resume_as(&f.world.kim, &begun.name).await.unwrap_err()),
        "OPERATION_RUNNING"
    );

    // An item is in somebody's hands while it is cancelled.
    let db = f.world.test.database();
    let id = streamspace_core::ids::OperationId::from_name(&begun.name).unwrap();
    let mut tx = db.begin(&Scope::Region).await.unwrap();
    let first = bulk::pending(&mut tx, id, 1, &[]).await.unwrap().remove(0);
    assert_eq!(bulk::hold(&mut tx, id, &first.key).await.unwrap(), bulk::Held::Pending);
    let cancelled = f.cancel(&begun.name).await.unwrap();
    assert!(cancelled.cancelled && !cancelled.done, "{cancelled:?}");
    f.runner();
    bulk::settle(&mut tx, id, &first.key, &bulk::Settled::Changed).await.unwrap();
    tx.commit().await.unwrap();
    let ended = f.ended(&begun.name).await;
    let counts = ended.counts.unwrap();
    assert_eq!((counts.changed, counts.cancelled, counts.total), (1, 2, 3));
    assert!(ended.cancelled && ended.error.is_none());
    assert_eq!(f.world.get("tenants/beta").await.state(), v1::TenantState::Active);
    // Asked for again it is the same.
    assert_eq!(f.cancel(&begun.name).await.unwrap(), ended);
    let mut tx = db.begin(&Scope::Region).await.unwrap();
    let left = f.items(&begun.name, "state = cancelled").await;
    assert_eq!(left.len(), 2);
    assert_eq!(bulk::hold(&mut tx, id, &first.key).await.unwrap(), bulk::Held::Over);
    drop(tx);

    // Another person goes on with it, if they may do it.
    let lee = caller("lee", Role::Viewer, Scope::Region);
    let denied = f.resume_as(&lee, &begun.name).await.unwrap_err();
    assert_eq!(reason(&denied), "ROLE_TOO_LOW");
    let lee = caller("lee", Role::Operator, Scope::Region);
    let resumed = f.resume_as(&lee, &begun.name).await.unwrap();
    assert!(!resumed.done && !resumed.cancelled, "{resumed:?}");
    let ended = f.ended(&begun.name).await;
    assert_eq!((ended.counts.unwrap().changed, ended.actor.as_str()), (3, "lee"));
    assert_eq!(reason(&f.cancel(&begun.name).await.unwrap_err()), "OPERATION_DONE");
    assert_eq!(reason(&f.resume_as(&lee, &begun.name).await.unwrap_err()), "OPERATION_DONE");
    let own = f.world.get("tenants/acme").await;
    assert_eq!(own.state(), v1::TenantState::Active, "this one only the test settled");
}

#[tokio::test]
async fn whoever_was_locked_does_nothing_more_through_an_operation_either() {
    let f = Fixture::start().await;
    f.tenants(&["acme", "beta"]).await;
    let begun = f.begin(suspend()).await;
    f.known.0.send_replace(true);
    f.runner();
    let ended = f.ended(&begun.name).await;
    let error = ended.error.unwrap();
    assert_eq!(
        (error.code, error.reason.as_str()),
        (i32::from(Code::PermissionDenied), "REQUESTER_BARRED")
    );
    assert!(
        error.message.contains("kim was locked") && error.message.contains("resume"),
        "{error:?}"
    );
    assert_eq!(ended.counts.unwrap().cancelled, 2);
    assert_eq!(f.world.get("tenants/acme").await.state(), v1::TenantState::Active);
    // Somebody else takes it over.
    let lee = caller("lee", Role::Operator, Scope::Region);
    f.resume_as(&lee, &begun.name).await.unwrap();
    let ended = f.ended(&begun.name).await;
    assert_eq!((ended.counts.unwrap().changed, ended.error), (2, None));
}

#[tokio::test]
async fn a_rehearsal_tells_what_would_become_of_each_and_changes_nothing() {
    let f = Fixture::start().await;
    f.tenants(&["acme", "delta"]).await;
    f.world.tenant("beta", "active", ", protected = true").await;
    f.world.tenant("charlie", "suspended", ", resume_state = 'active'").await;
    let request = v1::ChangeTenantsRequest { validate_only: true, ..all(suspend()) };
    let reply = f.change_as(&f.world.kim, request).await.unwrap();
    let operation = reply.operation.unwrap();
    assert_eq!(operation.name, "");
    let expected = BTreeMap::from([
        ("tenants/acme".to_owned(), State::Changed),
        ("tenants/beta".to_owned(), State::Failed),
        ("tenants/charlie".to_owned(), State::Unchanged),
        ("tenants/delta".to_owned(), State::Changed),
    ]);
    assert_eq!(states(&reply.items), expected);
    let told: Vec<&str> = operation.consequences.iter().map(|told| told.message.as_str()).collect();
    assert_eq!(
        told,
        [
            "it touches 4 tenants with 40 seats",
            "3 tenants: nothing starts until the tenant is resumed, and what runs is cut off"
        ]
    );
    assert_eq!(f.world.get("tenants/acme").await.state(), v1::TenantState::Active);
    let request = by(&f.world.kim, v1::ListOperationsRequest::default());
    let listed = f.operations.list_operations(request).await.unwrap().into_inner();
    assert!(listed.operations.is_empty());
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_refused_and_one_that_is_repeated_has_one_effect() {
    let f = Fixture::start().await;
    f.tenants(&["acme", "beta"]).await;
    let kim = &f.world.kim;
    let fields = async |request: v1::ChangeTenantsRequest| {
        let status = f.change_as(kim, request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        let details = status.get_error_details();
        details.bad_request().unwrap().field_violations[0].field.clone()
    };
    let filter =
        |filter: &str| v1::ChangeTenantsRequest { filter: filter.into(), ..all(suspend()) };
    assert_eq!(fields(filter("")).await, "filter");
    assert_eq!(fields(filter("name = \"nobody-*\"")).await, "filter");
    assert_eq!(fields(filter("name = 'x' OR (((")).await, "filter");
    assert_eq!(fields(filter("'; DROP TABLE tenants; --")).await, "filter");
    let both = v1::ChangeTenantsRequest { names: vec!["tenants/acme".into()], ..all(suspend()) };
    assert_eq!(fields(both).await, "names");
    let names = |names: Vec<String>| v1::ChangeTenantsRequest { names, ..filter("") };
    assert_eq!(fields(names(vec!["tenants/acme".into(), "acme".into()])).await, "names[1]");
    let many = (0..10_001).map(|number| format!("tenants/t-{number}")).collect();
    assert_eq!(fields(names(many)).await, "names");
    let missing = names(vec!["tenants/acme".into(), "tenants/nobody".into()]);
    let missing = f.change_as(kim, missing).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    assert!(missing.message().starts_with("tenants/nobody "), "{missing}");
    let nothing = v1::ChangeTenantsRequest { change: None, ..all(suspend()) };
    assert_eq!(fields(nothing).await, "change");
    // Wrong whichever tenant it is about.
    let ttl = Some(prost_types::Duration { seconds: 0, nanos: 0 });
    let cordon = Change::Cordon(v1::CordonTenantRequest { ttl, ..Default::default() });
    assert_eq!(fields(all(cordon)).await, "ttl");

    let olga = caller("olga", Role::Operator, Scope::Region);
    let archive = Change::Archive(v1::ArchiveTenantRequest::default());
    let denied = f.change_as(&olga, all(archive)).await.unwrap_err();
    assert_eq!((denied.code(), reason(&denied).as_str()), (Code::PermissionDenied, "ROLE_TOO_LOW"));

    let request = v1::ChangeTenantsRequest {
        request_id: Uuid::new_v4().to_string(),
        names: vec!["tenants/beta".into(), "tenants/acme".into(), "tenants/beta".into()],
        ..filter("")
    };
    let first = f.change_as(kim, request.clone()).await.unwrap();
    assert_eq!(f.change_as(kim, request.clone()).await.unwrap(), first);
    let other = v1::ChangeTenantsRequest { reason: "another".into(), ..request };
    assert_eq!(reason(&f.change_as(kim, other).await.unwrap_err()), "REQUEST_ID_REUSED");
    let name = first.operation.unwrap().name;
    assert_eq!(f.items(&name, "").await.len(), 2);

    // Whoever sees a tenant alone does not see it.
    let acme: Uuid = sqlx::query_scalar("SELECT tenant_uid FROM tenants WHERE tenant_id = 'acme'")
        .fetch_one(f.world.test.database().operator())
        .await
        .unwrap();
    let scope = Scope::Tenants(vec![streamspace_core::ids::TenantUid(acme)]);
    let nora = caller("nora", Role::Admin, scope);
    let request = by(&nora, v1::GetOperationRequest { name });
    let hidden = f.operations.get_operation(request).await.unwrap_err();
    assert_eq!(hidden.code(), Code::NotFound);
    let request = by(&nora, v1::ListOperationsRequest::default());
    let listed = f.operations.list_operations(request).await.unwrap().into_inner();
    assert!(listed.operations.is_empty());
}

#[tokio::test]
async fn one_label_of_each_is_set_or_taken_away_and_the_others_stay() {
    let f = Fixture::start().await;
    f.world.tenant("acme", "active", ", labels = '{\"keep\": \"1\", \"drop\": \"2\"}'").await;
    f.world.tenant("beta", "active", ", labels = '{\"tier\": \"gold\"}'").await;
    let tenant = v1::Tenant {
        labels: [("tier".to_owned(), "gold".to_owned())].into(),
        ..v1::Tenant::default()
    };
    let mask = ["labels.tier", "labels.drop"].map(str::to_owned).to_vec();
    let update = v1::UpdateTenantRequest {
        tenant: Some(tenant),
        update_mask: Some(prost_types::FieldMask { paths: mask }),
        ..Default::default()
    };
    let begun = f.begin(Change::Update(update)).await;
    f.runner();
    let ended = f.ended(&begun.name).await;
    let counts = ended.counts.unwrap();
    assert_eq!((counts.changed, counts.unchanged), (1, 1));
    let labels = f.world.get("tenants/acme").await.labels;
    let labels: BTreeMap<_, _> = labels.into_iter().collect();
    let expected = [("keep", "1"), ("tier", "gold")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(labels, expected.into());
}
