//! Two people, one request, on a real PostgreSQL.

use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;
use streamspace_core::{access::Audience, ids::ApprovalId};
use streamspace_proto::v1::{
    ApproveRequestRequest, DeleteTenantRequest, GetApprovalRequest, ListApprovalsRequest,
    RejectRequestRequest, approval_service_server::ApprovalService as _,
};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::{service::Approvals, *};
use crate::{
    db::{Scope, testing::TestDatabase},
    rpc::{CallNotes, RpcError},
};

struct World {
    test: TestDatabase,
    approvals: Approvals,
    acme: TenantUid,
    beta: TenantUid,
}

impl World {
    async fn new() -> Self {
        let test = TestDatabase::create().await;
        let (acme, beta) = (test.insert_tenant("acme").await, test.insert_tenant("beta").await);
        Self { approvals: Approvals::new(test.database().clone()), acme, beta, test }
    }

    /// Asks as a service does, and commits.
    async fn ask(&self, caller: &Caller, request: &DeleteTenantRequest) -> RpcResult<Outcome> {
        let mut tx = self.test.database().begin(&caller.scope).await?;
        let outcome = require(&mut tx, caller, &self.deletion(request)).await?;
        tx.commit().await.unwrap();
        Ok(outcome)
    }

    fn deletion<'a>(&self, request: &'a DeleteTenantRequest) -> Ask<'a, DeleteTenantRequest> {
        Ask {
            method: "TenantService.DeleteTenant",
            request,
            tenant: self.acme,
            target: "tenants/acme",
            summary: "delete tenants/acme and all that it has",
            least_role: Role::Admin,
            reason: "the contract ended",
        }
    }

    async fn pending(&self, caller: &Caller, request: &DeleteTenantRequest) -> ApprovalId {
        match self.ask(caller, request).await.unwrap() {
            Outcome::Pending(id) => id,
            Outcome::Granted => panic!("nobody agreed"),
        }
    }

    async fn approve(&self, caller: &Caller, id: ApprovalId) -> Result<v1::Approval, Status> {
        let request = ApproveRequestRequest {
            name: id.to_name(),
            reason: "seen the ticket".into(),
            ..Default::default()
        };
        self.approvals.approve_request(by(caller, request)).await.map(tonic::Response::into_inner)
    }

    async fn reject(&self, caller: &Caller, id: ApprovalId) -> Result<v1::Approval, Status> {
        let request = RejectRequestRequest { name: id.to_name(), ..Default::default() };
        self.approvals.reject_request(by(caller, request)).await.map(tonic::Response::into_inner)
    }

    async fn list(&self, caller: &Caller, filter: &str) -> Vec<String> {
        let request = ListApprovalsRequest { filter: filter.into(), ..Default::default() };
        let listed = self.approvals.list_approvals(by(caller, request)).await.unwrap();
        listed.into_inner().approvals.into_iter().map(|approval| approval.name).collect()
    }
}

fn caller(operator: &str, role: Role, scope: Scope) -> Caller {
    Caller {
        operator: operator.into(),
        role: Some(role),
        role_name: role.as_str().into(),
        serial: "7".into(),
        scope,
        expires: Timestamp::MAX,
        peer: "192.0.2.1:9".parse().unwrap(),
        call_id: Uuid::now_v7(),
        audience: Audience::Operator,
        break_glass: None,
        notes: CallNotes::default(),
        item: None,
    }
}

fn admin(operator: &str) -> Caller {
    caller(operator, Role::Admin, Scope::Region)
}

fn by<T>(caller: &Caller, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(caller.clone());
    request
}

fn delete() -> DeleteTenantRequest {
    DeleteTenantRequest {
        name: "tenants/acme".into(),
        etag: "7".into(),
        reason: "the contract ended".into(),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    }
}

fn why(status: &Status) -> String {
    status.get_error_details().error_info().unwrap().reason.clone()
}

#[tokio::test]
async fn one_person_with_two_names_is_no_second_person() {
    let world = World::new().await;
    let (ada, grace) = (admin("ada"), admin("grace"));
    let pool = world.test.superuser().await;
    // Ada made a token for "grace", and somebody was enrolled with it.
    let token = "INSERT INTO enrolment_tokens (secret_sha256, operator, role, tenant_uids, \
                 created_by, expire_time, use_time) \
                 VALUES ('\\x01', 'grace', 'admin', '{}', 'ada', now(), now())";
    sqlx::query(token).execute(&pool).await.unwrap();
    let id = world.pending(&ada, &delete()).await;
    assert_eq!(why(&world.approve(&grace, id).await.unwrap_err()), "APPROVER_NOT_INDEPENDENT");
    // A colleague of long standing is one, whoever let them in.
    let earlier = "UPDATE enrolment_tokens SET use_time = now() - interval '2 days'";
    sqlx::query(earlier).execute(&pool).await.unwrap();
    assert_eq!(world.approve(&grace, id).await.unwrap().state(), v1::ApprovalState::Approved);
}

#[tokio::test]
async fn what_somebody_agreed_to_ends_with_their_lock() {
    let world = World::new().await;
    let (ada, grace) = (admin("ada"), admin("grace"));
    let id = world.pending(&ada, &delete()).await;
    world.approve(&grace, id).await.unwrap();
    let mut tx = world.test.database().begin(&Scope::Region).await.unwrap();
    withdraw_of(&mut tx, "grace").await.unwrap();
    tx.commit().await.unwrap();
    assert_ne!(world.pending(&ada, &delete()).await, id, "it is asked for anew");
}

#[tokio::test]
async fn a_request_waits_for_another_person_and_is_then_good_once() {
    let world = World::new().await;
    let (ada, grace) = (admin("ada"), admin("grace"));
    let id = world.pending(&ada, &delete()).await;
    assert_eq!(world.pending(&ada, &delete()).await, id, "a retry waits for the same");

    let refusal = world.approve(&ada, id).await.unwrap_err();
    assert_eq!((refusal.code(), why(&refusal).as_str()), (Code::PermissionDenied, "OWN_REQUEST"));
    let operator = caller("eve", Role::Operator, Scope::Region);
    let refusal = world.approve(&operator, id).await.unwrap_err();
    assert_eq!((refusal.code(), why(&refusal).as_str()), (Code::PermissionDenied, "ROLE_TOO_LOW"));

    let approved = world.approve(&grace, id).await.unwrap();
    assert_eq!(approved.state(), v1::ApprovalState::Approved);
    assert_eq!((approved.requester.as_str(), approved.approver.as_str()), ("ada", "grace"));
    assert_eq!(approved.request_sha256.len(), 64);
    assert_eq!(why(&world.approve(&grace, id).await.unwrap_err()), "APPROVAL_NOT_PENDING");

    assert_eq!(world.ask(&ada, &delete()).await.unwrap(), Outcome::Granted);
    assert_eq!(ada.notes.approvals(), [id.to_name()], "the audit entry names it");
    let get = GetApprovalRequest { name: id.to_name() };
    let used = world.approvals.get_approval(by(&ada, get)).await.unwrap().into_inner();
    assert_eq!(used.state(), v1::ApprovalState::Used);
    assert!(used.use_time.is_some());
    assert_ne!(world.pending(&ada, &delete()).await, id, "the next time needs a new one");
    assert_eq!(why(&world.reject(&grace, id).await.unwrap_err()), "APPROVAL_NOT_PENDING");
}

#[tokio::test]
async fn it_is_good_for_that_very_request_of_that_very_person_alone() {
    let world = World::new().await;
    let (ada, grace) = (admin("ada"), admin("grace"));
    let id = world.pending(&ada, &delete()).await;
    world.approve(&grace, id).await.unwrap();
    for other in [
        DeleteTenantRequest { name: "tenants/beta".into(), ..delete() },
        DeleteTenantRequest { etag: "8".into(), ..delete() },
        DeleteTenantRequest { etag: String::new(), ..delete() },
        DeleteTenantRequest { reason: "another".into(), ..delete() },
    ] {
        assert_ne!(world.pending(&ada, &other).await, id, "{other:?}");
    }
    assert_ne!(world.pending(&grace, &delete()).await, id, "who agreed gains nothing");
    let request = delete();
    let ask = Ask { method: "TenantService.ArchiveTenant", ..world.deletion(&request) };
    let mut tx = world.test.database().begin(&Scope::Region).await.unwrap();
    assert!(matches!(require(&mut tx, &ada, &ask).await.unwrap(), Outcome::Pending(_)));
    let ask = Ask { tenant: world.beta, ..world.deletion(&request) };
    assert!(matches!(require(&mut tx, &ada, &ask).await.unwrap(), Outcome::Pending(_)));
    drop(tx);
    assert_eq!(world.ask(&ada, &request).await.unwrap(), Outcome::Granted);
}

#[tokio::test]
async fn of_many_at_once_on_two_replicas_one_uses_it() {
    let world = World::new().await;
    let (ada, grace) = (admin("ada"), admin("grace"));
    let asked = join_all((0..4).map(|_| async { world.pending(&ada, &delete()).await })).await;
    assert!(asked.iter().all(|id| *id == asked[0]), "one waits: {asked:?}");
    world.approve(&grace, asked[0]).await.unwrap();

    let replicas = [world.test.database().clone(), world.test.another().await];
    let world = Arc::new(world);
    let tries = (0..8).map(|turn| {
        let (database, world, ada) = (replicas[turn % 2].clone(), world.clone(), ada.clone());
        async move {
            let request = delete();
            let mut tx = database.begin(&Scope::Region).await.unwrap();
            let outcome = require(&mut tx, &ada, &world.deletion(&request)).await.unwrap();
            tx.commit().await.unwrap();
            outcome
        }
    });
    let outcomes = join_all(tries).await;
    let granted = outcomes.iter().filter(|outcome| **outcome == Outcome::Granted).count();
    assert_eq!(granted, 1, "{outcomes:?}");
    let waiting = world.list(&ada, "state = pending").await;
    assert_eq!(waiting.len(), 1, "the others wait for one new approval together");
}

#[tokio::test]
async fn what_is_rolled_back_leaves_it_unused() {
    let world = World::new().await;
    let (ada, grace) = (admin("ada"), admin("grace"));
    let id = world.pending(&ada, &delete()).await;
    world.approve(&grace, id).await.unwrap();
    let request = delete();
    let mut tx = world.test.database().begin(&Scope::Region).await.unwrap();
    let outcome = require(&mut tx, &ada, &world.deletion(&request)).await.unwrap();
    assert_eq!(outcome, Outcome::Granted);
    drop(tx);
    assert_eq!(world.ask(&ada, &request).await.unwrap(), Outcome::Granted);
}

#[tokio::test]
async fn who_asked_withdraws_and_who_agreed_takes_back() {
    let world = World::new().await;
    let (ada, grace) = (admin("ada"), admin("grace"));
    let id = world.pending(&ada, &delete()).await;
    let withdrawn = world.reject(&ada, id).await.unwrap();
    assert_eq!(withdrawn.state(), v1::ApprovalState::Rejected);
    assert_eq!(withdrawn.approver, "ada");
    assert_eq!(why(&world.approve(&grace, id).await.unwrap_err()), "APPROVAL_NOT_PENDING");

    let next = world.pending(&ada, &delete()).await;
    assert_ne!(next, id);
    world.approve(&grace, next).await.unwrap();
    world.reject(&grace, next).await.unwrap();
    assert!(matches!(world.ask(&ada, &delete()).await.unwrap(), Outcome::Pending(_)));
}

#[tokio::test]
async fn its_time_ends() {
    let world = World::new().await;
    let (ada, grace) = (admin("ada"), admin("grace"));
    let sql = async |statement: &'static str| {
        sqlx::query(statement).execute(&world.test.superuser().await).await.unwrap();
    };
    let id = world.pending(&ada, &delete()).await;
    sql("UPDATE approvals SET expire_time = now()").await;
    assert_eq!(why(&world.approve(&grace, id).await.unwrap_err()), "APPROVAL_NOT_PENDING");
    assert_eq!(world.list(&ada, "state = expired").await, [id.to_name()]);

    let next = world.pending(&ada, &delete()).await;
    assert_ne!(next, id);
    world.approve(&grace, next).await.unwrap();
    sql("UPDATE approvals SET decide_time = now() - interval '1 hour' WHERE decision = 'approved'")
        .await;
    assert!(matches!(world.ask(&ada, &delete()).await.unwrap(), Outcome::Pending(_)));
}

#[tokio::test]
async fn a_preview_tells_and_writes_nothing() {
    let world = World::new().await;
    let (ada, grace) = (admin("ada"), admin("grace"));
    let request = DeleteTenantRequest { validate_only: true, ..delete() };
    let told = async || {
        let mut tx = world.test.database().begin(&Scope::Region).await.unwrap();
        let told = consequence(&mut tx, &ada, &world.deletion(&request)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(told.code, "NEEDS_APPROVAL");
        told.message
    };
    assert_eq!(told().await, "a second person of role admin must agree first");
    assert!(world.list(&ada, "").await.is_empty());
    let id = world.pending(&ada, &delete()).await;
    assert!(told().await.contains(&id.to_name()));
    world.approve(&grace, id).await.unwrap();
    assert!(told().await.contains("grace did"));
    assert_eq!(world.ask(&ada, &delete()).await.unwrap(), Outcome::Granted, "still unused");

    let next = world.pending(&ada, &delete()).await;
    let preview =
        ApproveRequestRequest { name: next.to_name(), validate_only: true, ..Default::default() };
    let reply = world.approvals.approve_request(by(&grace, preview)).await.unwrap();
    assert_eq!(reply.get_ref().state(), v1::ApprovalState::Approved);
    assert_eq!(world.list(&ada, "state = approved").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_certificate_for_tenants_sees_and_decides_just_theirs() {
    let world = World::new().await;
    let (ada, grace) = (admin("ada"), admin("grace"));
    let near = caller("nina", Role::Admin, Scope::Tenants(vec![world.acme]));
    let far = caller("fred", Role::Admin, Scope::Tenants(vec![world.beta]));
    let id = world.pending(&ada, &delete()).await;
    assert_eq!(world.list(&near, "").await, [id.to_name()]);
    assert!(world.list(&far, "").await.is_empty());
    let get = GetApprovalRequest { name: id.to_name() };
    let refusal = world.approvals.get_approval(by(&far, get)).await.unwrap_err();
    assert_eq!(refusal.code(), Code::NotFound);
    assert_eq!(world.approve(&far, id).await.unwrap_err().code(), Code::NotFound);
    world.approve(&near, id).await.unwrap();
    assert_eq!(world.ask(&ada, &delete()).await.unwrap(), Outcome::Granted);

    // And as who asks, on the login of tenants.
    let id = world.pending(&near, &delete()).await;
    world.approve(&grace, id).await.unwrap();
    assert_eq!(world.ask(&near, &delete()).await.unwrap(), Outcome::Granted);
}

#[tokio::test]
async fn a_retried_decision_gets_the_first_reply() {
    let world = World::new().await;
    let (ada, grace) = (admin("ada"), admin("grace"));
    let id = world.pending(&ada, &delete()).await;
    let request = ApproveRequestRequest {
        name: id.to_name(),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let first = world.approvals.approve_request(by(&grace, request.clone())).await.unwrap();
    let again = world.approvals.approve_request(by(&grace, request)).await.unwrap();
    assert_eq!(first.into_inner(), again.into_inner());
}

#[tokio::test]
async fn filters_and_pages() {
    let world = World::new().await;
    let (ada, grace) = (admin("ada"), admin("grace"));
    let mut ids = Vec::new();
    for etag in ["1", "2", "3"] {
        ids.push(world.pending(&ada, &DeleteTenantRequest { etag: etag.into(), ..delete() }).await);
    }
    world.approve(&grace, ids[1]).await.unwrap();
    assert_eq!(world.list(&ada, "approver = grace").await, [ids[1].to_name()]);
    assert_eq!(world.list(&ada, "requester = grace").await, Vec::<String>::new());
    let all = "method = \"TenantService.DeleteTenant\" AND target = \"tenants/acme\"";
    assert_eq!(world.list(&ada, all).await.len(), 3);
    let request = ListApprovalsRequest { page_size: 2, ..Default::default() };
    let page = world.approvals.list_approvals(by(&ada, request.clone())).await.unwrap();
    let page = page.into_inner();
    assert_eq!(page.approvals[0].name, ids[2].to_name(), "newest first");
    let request = ListApprovalsRequest { page_token: page.next_page_token, ..request };
    let rest = world.approvals.list_approvals(by(&ada, request)).await.unwrap().into_inner();
    assert_eq!((rest.approvals.len(), rest.next_page_token.as_str()), (1, ""));
    let bad = ListApprovalsRequest { filter: "colour = red".into(), ..Default::default() };
    let refusal = world.approvals.list_approvals(by(&ada, bad)).await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument);
    for name in ["", "approvals/x", "tenants/acme", "approvals/../x"] {
        let get = GetApprovalRequest { name: name.into() };
        let refusal = world.approvals.get_approval(by(&ada, get)).await.unwrap_err();
        assert_eq!(refusal.code(), Code::InvalidArgument, "{name}");
    }
}

#[test]
fn the_answer_says_what_to_do_next() {
    let approval = ApprovalId(Uuid::now_v7());
    let status = Status::from(RpcError::ApprovalRequired { approval });
    assert_eq!(status.code(), Code::FailedPrecondition);
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(info.reason, "APPROVAL_REQUIRED");
    assert_eq!(info.metadata["approval"], approval.to_name());
    let command = format!("ssctl approval approve {approval}");
    assert!(status.message().contains(&command), "{}", status.message());
}
