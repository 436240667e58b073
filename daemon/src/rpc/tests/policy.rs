//! Every method for every role, through the layer with a handler behind it.

use std::convert::Infallible;

use prost_reflect::{DynamicMessage, Value};
use streamspace_core::access::Audience;
use streamspace_proto::{
    policy::{Method, methods},
    v1::{self, DeleteTenantRequest, EnrolRequest},
};
use tonic::Code;
use tonic_types::StatusExt as _;
use tower::{Layer as _, ServiceExt as _, service_fn};
use uuid::Uuid;

use super::*;
use crate::{
    db::Scope,
    rpc::{CALL_ID, Call, Caller, Clock, audit::Admission, peer::PeerJudge, policy::PolicyLayer},
};

/// Who may call what, written out by hand.
const TABLE: &[(&str, &str)] = &[
    ("grpc.health.v1.Health/Check", "anyone"),
    ("grpc.health.v1.Health/List", "anyone"),
    ("grpc.health.v1.Health/Watch", "anyone"),
    ("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "viewer operator admin auditor"),
    (
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "viewer operator admin auditor",
    ),
    ("streamspace.admin.v1.AccessService/BreakGlass", "operator admin"),
    ("streamspace.admin.v1.AccessService/CreateEnrolmentToken", "admin"),
    ("streamspace.admin.v1.AccessService/EndBreakGlass", "operator admin"),
    ("streamspace.admin.v1.AccessService/Enrol", "anyone"),
    ("streamspace.admin.v1.AccessService/ExplainAccess", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.AccessService/ListBreakGlassGrants", "viewer operator admin auditor"),
    ("streamspace.admin.v1.AccessService/ListCertificates", "admin auditor"),
    ("streamspace.admin.v1.AccessService/ListEnrolmentTokens", "admin auditor"),
    ("streamspace.admin.v1.AccessService/ListOperatorLocks", "admin auditor"),
    ("streamspace.admin.v1.AccessService/LockOperator", "admin"),
    ("streamspace.admin.v1.AccessService/RenewCredential", "device"),
    ("streamspace.admin.v1.AccessService/ReviewBreakGlass", "admin"),
    ("streamspace.admin.v1.AccessService/RevokeCertificate", "admin"),
    ("streamspace.admin.v1.AccessService/RevokeEnrolmentToken", "admin"),
    ("streamspace.admin.v1.AccessService/UnlockOperator", "admin"),
    ("streamspace.admin.v1.AccessService/WhoAmI", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.AlertService/AcknowledgeAlert", "operator admin"),
    ("streamspace.admin.v1.AlertService/ListAlerts", "viewer operator admin auditor"),
    ("streamspace.admin.v1.ApprovalService/ApproveRequest", "operator admin"),
    ("streamspace.admin.v1.ApprovalService/GetApproval", "viewer operator admin auditor"),
    ("streamspace.admin.v1.ApprovalService/ListApprovals", "viewer operator admin auditor"),
    ("streamspace.admin.v1.ApprovalService/RejectRequest", "operator admin"),
    ("streamspace.admin.v1.AuditService/ListAuditEntries", "operator admin auditor"),
    ("streamspace.admin.v1.BulkService/ChangeTenants", "operator admin"),
    ("streamspace.admin.v1.IncidentService/AcknowledgeIncident", "operator admin"),
    ("streamspace.admin.v1.IncidentService/AddActionItem", "operator admin"),
    ("streamspace.admin.v1.IncidentService/AddNote", "operator admin"),
    ("streamspace.admin.v1.IncidentService/AssignRole", "operator admin"),
    ("streamspace.admin.v1.IncidentService/CompleteActionItem", "operator admin"),
    ("streamspace.admin.v1.IncidentService/DeclareIncident", "operator admin"),
    ("streamspace.admin.v1.IncidentService/EscalateIncident", "operator admin"),
    ("streamspace.admin.v1.IncidentService/ExportPostMortem", "viewer operator admin auditor"),
    ("streamspace.admin.v1.IncidentService/GetImpact", "viewer operator admin auditor"),
    ("streamspace.admin.v1.IncidentService/GetIncident", "viewer operator admin auditor"),
    ("streamspace.admin.v1.IncidentService/ListIncidents", "viewer operator admin auditor"),
    ("streamspace.admin.v1.IncidentService/ListTimeline", "viewer operator admin auditor"),
    ("streamspace.admin.v1.IncidentService/MergeIncident", "operator admin"),
    ("streamspace.admin.v1.IncidentService/MoveIncident", "operator admin"),
    ("streamspace.admin.v1.MaintenanceService/CreateSilence", "operator admin"),
    ("streamspace.admin.v1.MaintenanceService/EndMaintenance", "operator admin"),
    ("streamspace.admin.v1.MaintenanceService/EndSilence", "operator admin"),
    ("streamspace.admin.v1.MaintenanceService/ListMaintenances", "viewer operator admin auditor"),
    ("streamspace.admin.v1.MaintenanceService/ListSilences", "viewer operator admin auditor"),
    ("streamspace.admin.v1.MaintenanceService/StartMaintenance", "operator admin"),
    ("streamspace.admin.v1.NotifyService/ListChannels", "viewer operator admin auditor"),
    ("streamspace.admin.v1.NotifyService/ListNotices", "viewer operator admin auditor"),
    ("streamspace.admin.v1.NotifyService/RetryNotice", "operator admin"),
    ("streamspace.admin.v1.NotifyService/TestChannel", "operator admin"),
    ("streamspace.admin.v1.OncallService/AddOverride", "operator admin"),
    ("streamspace.admin.v1.OncallService/DeleteEscalationPolicy", "operator admin"),
    ("streamspace.admin.v1.OncallService/DeleteRota", "operator admin"),
    ("streamspace.admin.v1.OncallService/ListEscalationPolicies", "viewer operator admin auditor"),
    ("streamspace.admin.v1.OncallService/ListRotas", "viewer operator admin auditor"),
    ("streamspace.admin.v1.OncallService/SetEscalationPolicy", "operator admin"),
    ("streamspace.admin.v1.OncallService/SetRota", "operator admin"),
    ("streamspace.admin.v1.OperationService/CancelOperation", "operator admin"),
    ("streamspace.admin.v1.OperationService/GetOperation", "viewer operator admin auditor"),
    ("streamspace.admin.v1.OperationService/ListOperationItems", "viewer operator admin auditor"),
    ("streamspace.admin.v1.OperationService/ListOperations", "viewer operator admin auditor"),
    ("streamspace.admin.v1.OperationService/ResumeOperation", "operator admin"),
    ("streamspace.admin.v1.OperationService/WaitOperation", "viewer operator admin auditor"),
    ("streamspace.admin.v1.PlanService/CreatePlan", "admin billing"),
    ("streamspace.admin.v1.PlanService/GetPlan", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.PlanService/ListPlanVersions", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.PlanService/ListPlans", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.PlanService/UpdatePlan", "admin billing"),
    ("streamspace.admin.v1.QuotaService/CheckQuota", "viewer operator admin auditor"),
    ("streamspace.admin.v1.QuotaService/GetQuota", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.QuotaService/ResetQuota", "operator admin"),
    ("streamspace.admin.v1.QuotaService/SetQuota", "operator admin"),
    ("streamspace.admin.v1.RegionService/CordonRegion", "admin"),
    ("streamspace.admin.v1.RegionService/GetRegion", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.RegionService/ListRegions", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.RegionService/PauseRegion", "admin"),
    ("streamspace.admin.v1.RegionService/ReleaseBreaker", "admin"),
    ("streamspace.admin.v1.RegionService/StepDown", "admin"),
    ("streamspace.admin.v1.RegionService/UncordonRegion", "admin"),
    ("streamspace.admin.v1.RegionService/UnpauseRegion", "admin"),
    ("streamspace.admin.v1.SessionService/ChangeSessions", "operator admin"),
    ("streamspace.admin.v1.SessionService/CreateSession", "operator admin"),
    ("streamspace.admin.v1.SessionService/DescribeSession", "viewer operator admin auditor"),
    ("streamspace.admin.v1.SessionService/GetSession", "viewer operator admin auditor"),
    ("streamspace.admin.v1.SessionService/ListSessions", "viewer operator admin auditor"),
    ("streamspace.admin.v1.SessionService/ListTemplates", "viewer operator admin auditor"),
    ("streamspace.admin.v1.SimulatorService/CreateFault", "admin"),
    ("streamspace.admin.v1.SimulatorService/DeleteFault", "admin"),
    ("streamspace.admin.v1.SimulatorService/ListFaults", "viewer operator admin auditor"),
    ("streamspace.admin.v1.SloService/CreateSlo", "operator admin"),
    ("streamspace.admin.v1.SloService/DeleteSlo", "admin"),
    ("streamspace.admin.v1.SloService/ExcludeTime", "admin"),
    ("streamspace.admin.v1.SloService/ExportSlos", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.SloService/GetBudget", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.SloService/GetBurnChart", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.SloService/GetSlo", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.SloService/ImportSlos", "operator admin"),
    ("streamspace.admin.v1.SloService/ListBudgets", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.SloService/ListSlos", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.SloService/PreviewOutage", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.SloService/PushSamples", "operator admin"),
    ("streamspace.admin.v1.SloService/UpdateSlo", "operator admin"),
    ("streamspace.admin.v1.TenantService/ArchiveTenant", "admin"),
    ("streamspace.admin.v1.TenantService/CheckTenant", "viewer operator admin auditor"),
    ("streamspace.admin.v1.TenantService/CordonTenant", "operator admin"),
    ("streamspace.admin.v1.TenantService/CreateTenant", "operator admin"),
    ("streamspace.admin.v1.TenantService/DeleteTenant", "admin"),
    ("streamspace.admin.v1.TenantService/GetTenant", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.TenantService/ListTenantObjects", "viewer operator admin auditor"),
    ("streamspace.admin.v1.TenantService/ListTenants", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.TenantService/PauseTenant", "operator admin"),
    ("streamspace.admin.v1.TenantService/RestoreTenant", "admin"),
    ("streamspace.admin.v1.TenantService/ResumeTenant", "operator admin"),
    ("streamspace.admin.v1.TenantService/SuspendTenant", "operator admin"),
    ("streamspace.admin.v1.TenantService/UncordonTenant", "operator admin"),
    ("streamspace.admin.v1.TenantService/UnpauseTenant", "operator admin"),
    ("streamspace.admin.v1.TenantService/UpdateTenant", "operator admin"),
    ("streamspace.admin.v1.UsageService/ExplainUsage", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.UsageService/ExportUsage", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.UsageService/GetUsageStatus", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.UsageService/ListLiveUsage", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.UsageService/ListNeighbours", "viewer operator admin auditor"),
    ("streamspace.admin.v1.UsageService/QueryUsage", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.UsageService/VerifyUsage", "viewer operator admin billing auditor"),
    ("streamspace.admin.v1.WatchService/Watch", "viewer operator admin auditor"),
];

const DELETE: &str = "streamspace.admin.v1.TenantService/DeleteTenant";

pub(super) struct World {
    pub(super) region: Region,
    pub(super) status: Arc<KnownStatus>,
    pub(super) sink: Arc<MemorySink>,
    pub(super) layer: PolicyLayer,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with_clock(Arc::new(now))
    }

    pub(super) fn with_clock(clock: Clock) -> Self {
        Self::with(methods(), clock)
    }

    pub(super) fn with(methods: Vec<Method>, clock: Clock) -> Self {
        let region = Region::new();
        let status = Arc::<KnownStatus>::default();
        let sink = Arc::<MemorySink>::default();
        let judge = PeerJudge::new(region.authority.trust_bundle().unwrap(), status.clone());
        let layer = PolicyLayer::new(methods, Arc::new(judge), sink.clone(), clock);
        Self { region, status, sink, layer }
    }

    /// A peer by the role of its certificate; `none` has no certificate.
    pub(super) fn peer(&self, role: &str) -> PeerInfo {
        connection(match role {
            "none" => Vec::new(),
            "device" => vec![self.region.device().0.certificate],
            role => vec![self.region.client(role, &[]).0.certificate],
        })
    }

    /// Calls through the layer. Returns the answer, and the request that the handler
    /// got.
    async fn call(&self, request: Request<Body>) -> (Response<Body>, Option<http::request::Parts>) {
        self.call_with(request, well).await
    }

    async fn call_with(
        &self,
        request: Request<Body>,
        answer: fn() -> Response<Body>,
    ) -> (Response<Body>, Option<http::request::Parts>) {
        let seen = Arc::new(Mutex::new(None));
        let handler = {
            let seen = seen.clone();
            service_fn(move |request: Request<Body>| {
                *seen.lock().unwrap() = Some(request.into_parts().0);
                async move { Ok::<_, Infallible>(answer()) }
            })
        };
        let response = self.layer.layer(handler).oneshot(request).await.unwrap();
        let seen = seen.lock().unwrap().take();
        (response, seen)
    }
}

/// A request that passes every check but the caller's.
fn body_of(path: &str) -> Body {
    let served = methods();
    let method = served.iter().find(|method| method.path == path).unwrap();
    let Some(input) = method.input.as_ref().filter(|_| method.policy.needs_reason) else {
        return framed(&());
    };
    let mut message = DynamicMessage::new(input.clone());
    message.set_field_by_name("reason", Value::String("the contract ended".into()));
    framed(&message)
}

#[tokio::test]
async fn before_it_is_known_who_was_revoked_only_what_is_in_memory_is_told() {
    let world = World::new();
    world.status.is_unread.store(true, Ordering::SeqCst);
    let peers = [("admin", world.peer("admin")), ("device", world.peer("device"))];
    for (path, allowed) in TABLE {
        for (role, peer) in &peers {
            let anyone = *allowed == "anyone";
            if !anyone && !allowed.split(' ').any(|a| a == *role) {
                continue;
            }
            let policy = &methods().into_iter().find(|m| m.path == *path).unwrap().policy;
            let in_memory = policy.scope() == v1::Scope::Self_ && !policy.mutates;
            let (response, seen) = world.call(request(path, peer, body_of(path))).await;
            assert_eq!(seen.is_some(), anyone || in_memory, "{path} by {role}");
            if seen.is_none() {
                let (status, _) = read(response).await;
                let reason = status.get_error_details().error_info().unwrap().reason.clone();
                assert_eq!(
                    (status.code(), reason.as_str()),
                    (Code::Unavailable, "DATABASE_UNAVAILABLE")
                );
            }
        }
    }
}

#[tokio::test]
async fn every_method_and_every_role() {
    let world = World::new();
    let mut paths: Vec<&str> = TABLE.iter().map(|(path, _)| *path).collect();
    let served = methods();
    let mut known: Vec<&str> = served.iter().map(|m| m.path.as_str()).collect();
    paths.sort_unstable();
    known.sort_unstable();
    assert_eq!(paths, known, "the table must name every method");

    let roles =
        ["none", "device", "archivist", "viewer", "operator", "admin", "billing", "auditor"];
    let peers: Vec<_> = roles.iter().map(|role| (*role, world.peer(role))).collect();
    let mut denials = 0;
    for (path, allowed) in TABLE {
        for (role, peer) in &peers {
            let expected = *allowed == "anyone" || allowed.split(' ').any(|a| a == *role);
            let (response, seen) = world.call(request(path, peer, body_of(path))).await;
            let header = response.headers()[&CALL_ID].to_str().unwrap().to_owned();
            let (status, _) = read(response).await;
            assert_eq!(seen.is_some(), expected, "{path} by {role}: {status}");
            if expected {
                assert_eq!(status.code(), Code::Ok, "{path} by {role}");
                let seen = seen.unwrap();
                let call = *seen.extensions.get::<Call>().unwrap();
                assert_eq!(call.id.to_string(), header);
                let caller = seen.extensions.get::<Caller>();
                assert_eq!(caller.is_some(), *role != "none", "{path} by {role}");
                assert_eq!(caller.map(|c| c.call_id), caller.map(|_| call.id));
                continue;
            }
            denials += 1;
            let details = status.get_error_details();
            let info = details.error_info().unwrap();
            let expected = match *role {
                "none" => (Code::Unauthenticated, "NO_CERTIFICATE"),
                "device" => (Code::PermissionDenied, "WRONG_CREDENTIAL"),
                _ if *allowed == "device" => (Code::PermissionDenied, "WRONG_CREDENTIAL"),
                "archivist" => (Code::PermissionDenied, "ROLE_UNKNOWN"),
                _ => (Code::PermissionDenied, "ROLE_TOO_LOW"),
            };
            assert_eq!((status.code(), info.reason.as_str()), expected, "{path} by {role}");
            assert!(info.metadata.contains_key("rule"), "{path} by {role}");
            assert_eq!(details.request_info().unwrap().request_id, header);
        }
    }
    assert!(denials > 150, "{denials}");
    let events = world.sink.events();
    assert_eq!(events.len(), denials, "each denial is in the log, and nothing else");
    assert!(events.iter().all(|e| matches!(e, Event::Denied(..))));
}

#[tokio::test]
async fn a_denial_says_what_is_missing() {
    let world = World::new();
    let peer = world.peer("viewer");
    let (response, _) = world.call(request(DELETE, &peer, body_of(DELETE))).await;
    let (status, _) = read(response).await;
    let metadata = status.get_error_details().error_info().unwrap().metadata.clone();
    let get = |key: &str| metadata.get(key).map(String::as_str);
    assert_eq!(get("rule"), Some("least-role"));
    assert_eq!(get("needed_role"), Some("admin"));
    assert_eq!(get("role"), Some("viewer"));
    assert_eq!(get("method"), Some(DELETE));
    assert!(status.message().contains("role admin"), "{status}");

    let events = world.sink.events();
    let [Event::Denied(record, code, message)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((record.actor.as_str(), record.role.as_str()), ("ada", "viewer"));
    assert_eq!((record.rule.as_str(), *code), ("least-role", 7));
    assert_eq!(record.peer, "192.0.2.7:4711");
    assert_eq!(message, status.message());
}

#[tokio::test]
async fn a_certificate_for_tenants_does_not_reach_the_region() {
    let world = World::new();
    let tenant = TenantUid(Uuid::now_v7());
    let peer = connection(vec![world.region.client("admin", &[tenant]).0.certificate]);
    let create = "streamspace.admin.v1.TenantService/CreateTenant";
    let (response, seen) = world.call(request(create, &peer, body_of(create))).await;
    assert!(seen.is_none());
    let (status, _) = read(response).await;
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "SCOPE_TOO_NARROW");

    let (_, seen) = world.call(request(DELETE, &peer, body_of(DELETE))).await;
    let caller = seen.unwrap().extensions.get::<Caller>().unwrap().clone();
    assert_eq!(caller.scope, Scope::Tenants(vec![tenant]));
    assert_eq!(caller.audience, Audience::Operator);
    assert_eq!(caller.role, Some(Role::Admin));
}

#[tokio::test]
async fn a_path_without_a_rule_is_not_served() {
    let world = World::new();
    let peer = world.peer("admin");
    for path in
        ["", "streamspace.admin.v1.TenantService/Steal", "streamspace.admin.v1.TenantService"]
    {
        let (response, seen) = world.call(request(path, &peer, framed(&()))).await;
        assert!(seen.is_none(), "{path}");
        let (status, _) = read(response).await;
        assert_eq!(status.code(), Code::Unimplemented, "{path}");
    }
}

#[tokio::test]
async fn a_connection_without_a_peer_is_refused() {
    let world = World::new();
    let bare =
        Request::post("http://daemon/grpc.health.v1.Health/Check").body(framed(&())).unwrap();
    let (response, seen) = world.call(bare).await;
    assert!(seen.is_none());
    assert_eq!(read(response).await.0.code(), Code::Internal);
}

#[tokio::test]
async fn a_reason_is_asked_for_and_blanks_are_none() {
    let world = World::new();
    let peer = world.peer("admin");
    let delete = |reason: &str, validate_only| {
        framed(&DeleteTenantRequest {
            name: "tenants/acme".into(),
            reason: reason.into(),
            validate_only,
            ..Default::default()
        })
    };
    let (response, seen) = world.call(request(DELETE, &peer, delete(" \t", false))).await;
    assert!(seen.is_none());
    let (status, _) = read(response).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "REASON_REQUIRED");
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "reason");
    let events = world.sink.events();
    let [Event::Denied(record, ..)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((record.rule.as_str(), record.resource.as_str()), ("needs-reason", "tenants/acme"));

    let (_, seen) = world.call(request(DELETE, &peer, delete("contract ended", false))).await;
    let admission = seen.unwrap().extensions.get::<Admission>().cloned();
    let Some(Admission::Mutation(record)) = admission else { panic!("{admission:?}") };
    assert_eq!(record.reason, "contract ended");
    assert_eq!(record.resource, "tenants/acme");
    assert_eq!(record.request_sha256.len(), 32);

    let (_, seen) = world.call(request(DELETE, &peer, delete("", true))).await;
    let admission = seen.unwrap().extensions.get::<Admission>().cloned();
    assert!(matches!(admission, Some(Admission::Read)), "a preview changes nothing: {admission:?}");
}

#[tokio::test]
async fn a_peer_with_a_bad_certificate_may_still_enrol() {
    let world = World::new();
    let elsewhere = Region::new();
    let peer = connection(vec![elsewhere.client("admin", &[]).0.certificate]);
    let enrol = "streamspace.admin.v1.AccessService/Enrol";
    let (_, seen) = world.call(request(enrol, &peer, framed(&EnrolRequest::default()))).await;
    let seen = seen.unwrap();
    assert!(seen.extensions.get::<Caller>().is_none(), "but it is nobody");
    let Some(Admission::Mutation(record)) = seen.extensions.get::<Admission>() else { panic!() };
    assert_eq!(record.actor, "");
}

#[tokio::test]
async fn whoever_proves_nothing_cannot_fill_the_log_or_the_memory() {
    let world = World::new();
    let peer = world.peer("none");
    let enrol = "streamspace.admin.v1.AccessService/Enrol";
    let large = framed(&EnrolRequest { secret: vec![7; 65 << 10], ..Default::default() });
    let (response, seen) = world.call(request(enrol, &peer, large)).await;
    assert!(seen.is_none());
    assert_eq!(read(response).await.0.code(), Code::ResourceExhausted);

    let mut reached = 1;
    let refusal = loop {
        let (response, seen) = world.call(request(enrol, &peer, framed(&()))).await;
        match seen {
            Some(_) => reached += 1,
            None => break read(response).await.0,
        }
    };
    assert_eq!(reached, 60);
    let details = refusal.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "TOO_MANY_CALLS");
    let events = world.sink.events();
    let [Event::Denied(record, ..)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(record.rule, "anonymous-rate");

    let other = PeerInfo::new("192.0.2.8:1".parse().unwrap(), Vec::new());
    let (_, seen) = world.call(request(enrol, &other, framed(&()))).await;
    assert!(seen.is_some(), "another address is not held up");
}

#[tokio::test]
async fn an_error_of_a_handler_names_the_call() {
    let world = World::new();
    let peer = world.peer("viewer");
    let plan = "streamspace.admin.v1.PlanService/GetPlan";
    let fails = || {
        let details = tonic_types::ErrorDetails::with_bad_request_violation("name", "no such plan");
        let status = Status::with_error_details(Code::NotFound, "no such plan", details);
        crate::rpc::status::refuse(&status)
    };
    let (response, _) = world.call_with(request(plan, &peer, framed(&())), fails).await;
    let header = response.headers()[&CALL_ID].to_str().unwrap().to_owned();
    let (status, _) = read(response).await;
    assert_eq!((status.code(), status.message()), (Code::NotFound, "no such plan"));
    let details = status.get_error_details();
    assert_eq!(details.request_info().unwrap().request_id, header);
    assert_eq!(details.bad_request().unwrap().field_violations.len(), 1);
}

#[tokio::test]
async fn a_locked_person_is_refused_by_name_whatever_certificate_they_hold() {
    let world = World::new();
    world.status.lock("ada");
    for (role, path) in [
        ("admin", DELETE),
        ("viewer", "streamspace.admin.v1.AccessService/WhoAmI"),
        ("device", "streamspace.admin.v1.AccessService/RenewCredential"),
    ] {
        let (response, seen) = world.call(request(path, &world.peer(role), body_of(path))).await;
        assert!(seen.is_none(), "{path}");
        let (status, _) = read(response).await;
        assert_eq!(status.code(), Code::PermissionDenied, "{path}");
        let info = status.get_error_details().error_info().unwrap().clone();
        assert_eq!(info.reason, "OPERATOR_LOCKED");
        assert!(status.message().contains("on leave"), "{status}");
    }
    for event in world.sink.events() {
        let Event::Denied(record, ..) = event else { panic!("{event:?}") };
        assert_eq!((record.actor.as_str(), record.rule.as_str()), ("ada", "operator-lock"));
    }
}

#[tokio::test]
async fn a_grant_makes_an_operator_an_admin_for_its_time_and_the_log_says_so() {
    let time = Arc::new(Mutex::new(now()));
    let clock: Clock = {
        let time = time.clone();
        Arc::new(move || *time.lock().unwrap())
    };
    let world = World::with_clock(clock);
    world.status.grant("ada", now() + hours(1));
    let operator = world.peer("operator");
    let (_, seen) = world.call(request(DELETE, &operator, body_of(DELETE))).await;
    let seen = seen.unwrap();
    let caller = seen.extensions.get::<Caller>().unwrap();
    assert_eq!((caller.role, caller.role_name.as_str()), (Some(Role::Admin), "operator"));
    assert_eq!(caller.break_glass.unwrap().until, now() + hours(1));
    let Some(Admission::Mutation(record)) = seen.extensions.get::<Admission>() else { panic!() };
    assert_eq!(
        (record.role.as_str(), record.rule.as_str()),
        ("operator (break-glass)", "break-glass")
    );
    let create = "streamspace.admin.v1.TenantService/CreateTenant";
    let (_, seen) = world.call(request(create, &operator, body_of(create))).await;
    let seen = seen.unwrap();
    let Some(Admission::Mutation(record)) = seen.extensions.get::<Admission>() else { panic!() };
    // The own role does; that a grant was in force is told all the same.
    assert_eq!(
        (record.role.as_str(), record.rule.as_str()),
        ("operator (break-glass)", "least-role")
    );

    for role in ["viewer", "billing", "auditor", "archivist", "device"] {
        let (_, seen) = world.call(request(DELETE, &world.peer(role), body_of(DELETE))).await;
        assert!(seen.is_none(), "{role}");
    }
    *time.lock().unwrap() = now() + hours(1);
    let (_, seen) = world.call(request(DELETE, &operator, body_of(DELETE))).await;
    assert!(seen.is_none(), "its time is over");
}
