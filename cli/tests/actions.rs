//! The built program against a region whose answers are decided here: what it asks
//! for, what it prints, and how it ends, word for word.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::format_push_string,
    reason = "a test that cannot go on must stop"
)]

mod machine;
mod play;
mod region;

use machine::{Machine, Run};
use play::{plays, with};
use region::{Answer, Region};
use serde_json::{Value, json};
use tonic::Code;

const END: &str = "2099-01-01T00:00:00Z";

fn tenant() -> Value {
    json!({
        "name": "tenants/acme", "plan": "plans/business", "planVersion": 1, "seats": 10,
        "state": "TENANT_STATE_ACTIVE", "etag": "e-1", "namespace": "tenant-acme",
        "quota": {
            "cpuMillicores": "100000", "memoryBytes": "214748364800",
            "storageBytes": "2199023255552", "pods": 200
        }
    })
}

fn consequence(message: &str) -> Value {
    json!([{ "code": "NOTHING_NEW_STARTS", "message": message }])
}

fn tenants(method: &str, request: &Value) -> Answer {
    let previews = request["validateOnly"] == json!(true);
    let is = |fields| Answer::Is(with(tenant(), fields));
    match method {
        "TenantService.GetTenant" => Answer::Is(tenant()),
        "TenantService.CordonTenant" => is(json!({
            "state": "TENANT_STATE_CORDONED", "cordonExpireTime": END,
            "cordonReason": request["reason"].as_str().unwrap_or_default(),
            "consequences": consequence("nothing new starts; 3 sessions go on")
        })),
        "TenantService.UncordonTenant" | "TenantService.ResumeTenant" => is(json!({})),
        "TenantService.SuspendTenant" => is(json!({
            "state": "TENANT_STATE_SUSPENDED",
            "consequences": consequence("3 sessions are hibernated")
        })),
        "TenantService.PauseTenant" => is(json!({
            "pause": { "expireTime": END, "reason": request["reason"], "actor": "ada" }
        })),
        "TenantService.ArchiveTenant" if !previews => Answer::No(
            Code::FailedPrecondition,
            "tenants/acme is protected: a second person must approve",
            "APPROVAL_REQUIRED",
            vec![("approval", "approvals/018f")],
        ),
        "TenantService.ArchiveTenant" => is(json!({
            "state": "TENANT_STATE_ARCHIVED", "retentionEndTime": END,
            "consequences": consequence("a second person must approve")
        })),
        "TenantService.RestoreTenant" => Answer::No(
            Code::FailedPrecondition,
            "tenants/acme is active, and only an archived tenant can be brought back",
            "TENANT_STATE",
            vec![],
        ),
        "TenantService.DeleteTenant" => Answer::Is(json!({
            "name": "operations/0190", "kind": "tenant.delete", "target": "tenants/acme"
        })),
        "TenantService.UpdateTenant" => Answer::No(
            Code::FailedPrecondition,
            "900 seats promise 7200Gi memory, 36.0 times the quota; the plan declares 4.0",
            "OVERCOMMIT",
            vec![],
        ),
        "TenantService.ListTenantObjects" => Answer::Is(json!({ "objects": [
            { "kind": "Namespace", "name": "tenant-acme", "state": "TENANT_OBJECT_STATE_IN_SYNC" },
            {
                "kind": "NetworkPolicy", "name": "streamspace-dns", "namespace": "tenant-acme",
                "state": "TENANT_OBJECT_STATE_DRIFTED", "message": "spec.egress[0] differs"
            }
        ]})),
        "TenantService.CheckTenant" => Answer::Is(json!({ "holds": false, "rules": [
            {
                "rule": "no-privileged-pods", "description": "no privileged pod can run",
                "status": "CONDITION_STATUS_TRUE", "message": "refused: violates PodSecurity"
            },
            {
                "rule": "default-deny", "description": "nothing reaches the tenant's pods",
                "status": "CONDITION_STATUS_FALSE", "message": "the policy is missing"
            },
            {
                "rule": "rows", "description": "no row of another tenant is seen",
                "status": "CONDITION_STATUS_UNKNOWN", "message": "the database did not answer"
            }
        ]})),
        other => panic!("not expected: {other}"),
    }
}

#[test]
fn a_tenants_life() {
    plays(
        "tenant-actions.txt",
        tenants,
        &[
            ("tenant cordon acme --for 1h -o name", 0),
            ("tenant cordon acme --dry-run --reason migration", 3),
            ("tenant uncordon acme --dry-run", 0),
            ("tenant resume acme --if-match e-1 -o name", 0),
            ("tenant suspend acme --dry-run", 3),
            ("tenant suspend acme --confirm acme", 2),
            ("tenant suspend acme --reason unpaid", 2),
            ("tenant suspend acme --reason unpaid --confirm other", 2),
            ("tenant suspend acme --reason unpaid --confirm acme -o name", 0),
            ("tenant pause acme --for 30m --reason 'mend a policy'", 0),
            ("tenant archive acme --dry-run", 3),
            ("tenant archive acme --reason ended --confirm acme", 13),
            ("tenant restore acme", 12),
            ("tenant set acme --seats 900", 12),
            ("tenant delete acme --dry-run --before-retention", 3),
            ("tenant delete acme --reason ended --confirm acme -o name", 0),
            ("tenant show acme --objects", 0),
            ("tenant check acme", 11),
            ("tenant check acme -o name", 11),
        ],
    );
}

#[test]
fn marks_are_signs_only_where_the_locale_has_them() {
    let (machine, region) = (Machine::new(), Region::start(tenants));
    for (locale, marks) in [("C", ["ok ", "FAILS "]), ("C.UTF-8", ["✓ ", "✗ "])] {
        let mut command = region.command(&machine, &["tenant", "check", "acme"]);
        let run = Run::new(command.env("LC_ALL", locale).output().unwrap());
        assert_eq!(run.exit, 11, "{}", run.stderr);
        let has = |mark: &&str| run.stdout.lines().any(|line| line.starts_with(mark));
        assert!(marks.iter().all(has), "{locale}: {}", run.stdout);
    }
}

fn plans(method: &str, request: &Value) -> Answer {
    let plan = json!({
        "name": "plans/business", "version": 3, "displayName": "Business",
        "seatPriceMicros": "45000000", "userSessions": 5, "userMemoryBytes": "8589934592",
        "recordingRetentionDays": 90, "features": ["sso"], "availabilityPpm": 999_000,
        "quota": { "cpuMillicores": "100000", "memoryBytes": "214748364800" },
        "overcommitPermille": 4000, "rank": 3
    });
    match method {
        "PlanService.GetPlan" => Answer::Is(plan),
        "PlanService.ListPlanVersions" => {
            let first = with(plan.clone(), json!({ "version": 2, "seatPriceMicros": "40000000" }));
            Answer::Is(json!({ "plans": [plan, first] }))
        }
        "PlanService.CreatePlan" => {
            Answer::Is(with(request["plan"].clone(), json!({ "name": "plans/tiny", "version": 1 })))
        }
        "PlanService.UpdatePlan" => {
            let fields = json!({ "version": 4, "seatPriceMicros": "29000000" });
            Answer::Is(with(plan, fields))
        }
        other => panic!("not expected: {other}"),
    }
}

#[test]
fn plans_and_their_versions() {
    plays(
        "plan-actions.txt",
        plans,
        &[
            ("plan show business@3", 0),
            ("plan show business --versions", 0),
            (
                "plan create tiny --display-name Tiny --seat-price 9.50 --user-sessions 2 \
                 --user-memory 4Gi --retention-days 30 --features sso,audit --availability 99.5 \
                 --cpu 100 --memory 200Gi --storage 2Ti --pods 50 --overcommit 4.0 --rank 2 -o name",
                0,
            ),
            ("plan set business --seat-price 29 --dry-run", 3),
            ("plan set business --seat-price 29 --if-version 3 --reason cheaper -o name", 0),
            ("plan set business", 2),
            ("plan set business --memory 1.5Gi", 2),
            ("plan set business --memory 1e999", 2),
            ("plan set business --cpu=-1", 2),
        ],
    );
}

fn quotas(method: &str, request: &Value) -> Answer {
    let quota = |hard: &str, fields: Value| {
        let line = json!({
            "resource": "requests.cpu", "hard": hard, "plan": "100", "used": "90",
            "headroom": "10", "usedPermille": 900
        });
        with(json!({ "tenant": "tenants/acme", "lines": [line], "observed": true }), fields)
    };
    let raised = json!({
        "overrides": [{
            "resource": "cpu", "amount": "140000", "expireTime": END, "actor": "ada",
            "reason": "launch"
        }],
        "consequences": consequence("36.0 times the quota is promised to seats")
    });
    match method {
        "QuotaService.GetQuota" | "QuotaService.ResetQuota" => Answer::Is(quota("100", json!({}))),
        "QuotaService.SetQuota" if request["changes"][0]["amount"] == json!("1e999") => {
            Answer::No(Code::InvalidArgument, "`1e999` is no quantity", "INVALID_FIELD", vec![])
        }
        "QuotaService.SetQuota" => Answer::Is(quota("140", raised)),
        "QuotaService.CheckQuota" => Answer::Is(json!({
            "fits": false, "shortfalls": ["requests.cpu: 20 more are needed than the 10 left"]
        })),
        other => panic!("not expected: {other}"),
    }
}

#[test]
fn quotas_and_their_overrides() {
    plays(
        "quota-actions.txt",
        quotas,
        &[
            ("quota show acme", 0),
            ("quota set acme cpu=+40 memory=100Gi --for 8h --reason launch --dry-run", 3),
            ("quota set acme cpu=+40 --for 8h --reason launch --accept-overcommit", 0),
            ("quota set acme cpu=1e999", 2),
            ("quota set acme cpu", 2),
            ("quota reset acme cpu", 0),
            ("quota reset acme gpu", 2),
            ("quota check acme cpu=30", 11),
        ],
    );
}

const OPERATION: &str = "operations/0190a3b4-0000-7000-8000-000000000001";

/// A change of three tenants, of which one is refused.
fn several(method: &str, request: &Value) -> Answer {
    let refused = json!({
        "code": 9, "reason": "APPROVAL_REQUIRED",
        "message": "a second person must agree to this"
    });
    let item = |id: &str, state: &str| {
        let target = format!("tenants/{id}");
        json!({ "target": target, "state": format!("OPERATION_ITEM_STATE_{state}") })
    };
    let items = json!([
        item("acme", "CHANGED"),
        item("beta", "UNCHANGED"),
        with(item("\u{1b}[2Jcharlie", "FAILED"), json!({ "error": refused })),
    ]);
    let counts = json!({ "total": "3", "changed": "1", "unchanged": "1", "failed": "1" });
    let operation = json!({
        "name": OPERATION, "kind": "tenant.suspend", "target": "tenants/-", "actor": "ada",
        "reason": "leak", "counts": { "total": "3", "pending": "3" }, "progress": "0 of 3",
        "consequences": [{ "code": "TOUCHES", "message": "it touches 3 tenants with 37 seats" }]
    });
    let done = json!({
        "done": true, "counts": counts.clone(), "progress": "3 of 3, 1 failed", "consequences": []
    });
    match method {
        "BulkService.ChangeTenants" if request["validateOnly"] == true => {
            let operation = with(operation, json!({ "name": "", "counts": counts }));
            Answer::Is(json!({ "operation": operation, "items": items }))
        }
        "BulkService.ChangeTenants" => Answer::Is(json!({ "operation": operation })),
        "OperationService.ListOperationItems" if request["filter"] == "state = failed" => {
            Answer::Is(json!({ "items": [items[2]] }))
        }
        "OperationService.ListOperationItems" => Answer::Is(json!({ "items": items })),
        "OperationService.CancelOperation" => {
            let code = Code::FailedPrecondition;
            Answer::No(code, "it is done: there is nothing to cancel", "OPERATION_DONE", vec![])
        }
        "OperationService.ResumeOperation" => Answer::Is(operation),
        "OperationService.WaitOperation" | "OperationService.GetOperation" => {
            Answer::Is(with(operation, done))
        }
        "OperationService.ListOperations" => {
            Answer::Is(json!({ "operations": [with(operation, done)] }))
        }
        other => panic!("not expected: {other}"),
    }
}

#[test]
fn a_change_of_several_tenants() {
    plays(
        "bulk-actions.txt",
        several,
        &[
            ("tenant suspend --filter 'seats > 1' --dry-run", 3),
            ("tenant suspend acme beta charlie --dry-run -o csv", 3),
            ("tenant suspend -l tier=gold", 2),
            ("tenant suspend -l tier=gold --reason leak", 2),
            ("tenant suspend -l tier=gold --reason leak --confirm 4", 2),
            ("tenant suspend -l tier=gold --reason leak --confirm 3 -o name", 0),
            ("tenant suspend acme beta charlie --reason leak --confirm 3 --wait", 14),
            ("tenant set --all --label tier=gold --plan free --reason sale --confirm 3 -o name", 0),
            ("quota set acme beta cpu=+40 --for 8h --reason launch --confirm 3 -o name", 0),
            ("quota reset --all --reason over --confirm 3 -o name", 0),
            ("tenant cordon", 2),
            ("tenant cordon --filter '' --reason x --yes", 2),
            ("tenant cordon acme --all", 2),
            ("tenant cordon --all --filter x", 2),
            ("tenant cordon --all --if-match 1 --reason x", 2),
            ("operation list -o wide", 0),
            ("operation show 0190a3b4-0000-7000-8000-000000000001", 0),
            ("operation items 0190a3b4-0000-7000-8000-000000000001", 0),
            (
                "operation items 0190a3b4-0000-7000-8000-000000000001 --filter 'state = failed' -o name",
                0,
            ),
            ("operation wait 0190a3b4-0000-7000-8000-000000000001 -o name", 14),
            ("operation cancel 0190a3b4-0000-7000-8000-000000000001", 12),
            ("operation resume 0190a3b4-0000-7000-8000-000000000001 --dry-run", 3),
            ("operation resume 0190a3b4-0000-7000-8000-000000000001 --wait -o name", 14),
        ],
    );
}

fn regions(method: &str, request: &Value) -> Answer {
    let region = json!({
        "name": "regions/dev", "health": "HEALTH_OK", "replica": "one", "pausedTenants": 2,
        "leader": { "replica": "one", "leaderTerm": "3" },
        "breaker": {
            "tripped": true, "message": "12 deletions in a minute that nobody asked for",
            "deletions": 12, "limit": 10, "tripTime": END
        },
        "orphans": [{ "namespace": "tenant-old", "tenantId": "old", "firstSeenTime": END }]
    });
    let stop = json!({ "expireTime": END, "reason": request["reason"], "actor": "ada" });
    match method {
        "RegionService.GetRegion"
        | "RegionService.StepDown"
        | "RegionService.UnpauseRegion"
        | "RegionService.UncordonRegion" => Answer::Is(region),
        "RegionService.CordonRegion" => Answer::Is(with(region, json!({ "cordon": stop }))),
        "RegionService.PauseRegion" => Answer::Is(with(region, json!({ "pause": stop }))),
        "RegionService.ReleaseBreaker" => {
            Answer::Is(with(region, json!({ "breaker": { "limit": 10 } })))
        }
        other => panic!("not expected: {other}"),
    }
}

#[test]
fn a_region_and_what_stops_it() {
    plays(
        "region-actions.txt",
        regions,
        &[
            ("region show", 0),
            ("region cordon --for 1h --reason 'power work' --dry-run", 3),
            ("region cordon --for 1h --reason 'power work' -o name", 0),
            ("region cordon", 2),
            ("region uncordon dev -o name", 0),
            ("region pause --reason 'mend etcd' -o name", 0),
            ("region unpause -o name", 0),
            ("region step-down --dry-run", 3),
            ("region step-down --reason upgrade -o name", 0),
            ("region breaker show", 0),
            ("region breaker release --dry-run", 3),
            ("region breaker release --reason 'it was me' -o name", 0),
        ],
    );
}

fn simulator(method: &str, request: &Value) -> Answer {
    let made = json!({ "name": "faults/2", "percent": 100 });
    let spent = json!({
        "name": "faults/1", "kind": "FAULT_KIND_TOO_MANY_REQUESTS", "percent": 30,
        "verbs": ["patch", "create"], "resource": "roles", "namespace": "tenant-\u{1b}[2J",
        "retryAfter": "90s", "limit": "5", "hits": "5"
    });
    let late = with(made.clone(), json!({ "kind": "FAULT_KIND_LATENCY", "latency": "1.500s" }));
    match method {
        "SimulatorService.CreateFault" if request["fault"]["resource"] == "real" => {
            let message = "this region manages a real cluster, https://10.0.0.1: practise on a \
                           development region, which `streamspaced dev` starts with a simulated one";
            Answer::No(Code::FailedPrecondition, message, "NO_SIMULATOR", vec![])
        }
        "SimulatorService.CreateFault" => Answer::Is(with(request["fault"].clone(), made)),
        "SimulatorService.ListFaults" => Answer::Is(json!({ "faults": [late, spent] })),
        "SimulatorService.DeleteFault" if request["name"] == "faults/-" => {
            Answer::Is(json!({ "faults": [late, spent] }))
        }
        "SimulatorService.DeleteFault" => Answer::Is(json!({ "faults": [spent] })),
        other => panic!("not expected: {other}"),
    }
}

#[test]
fn a_simulated_cluster_and_its_faults() {
    plays(
        "simulator-actions.txt",
        simulator,
        &[
            ("simulator fault list", 0),
            ("simulator fault list -o csv", 0),
            (
                "simulator fault create --kind latency --latency 1500ms --verb get --verb list \
                 --resource namespaces --namespace a --object b --percent 20 --limit 9 --seed 7 \
                 --for 10m --reason practice",
                0,
            ),
            ("simulator fault create --kind gone --dry-run", 3),
            ("simulator fault create --kind too-many-requests --retry-after 5s -o name", 0),
            ("simulator fault create", 2),
            ("simulator fault create --kind latency", 2),
            ("simulator fault create --kind gone --percent 101", 2),
            ("simulator fault create --kind gone --verb read", 2),
            ("simulator fault create --kind gone --resource real", 12),
            ("simulator fault delete 1", 0),
            ("simulator fault delete faults/1 --dry-run", 3),
            ("simulator fault delete --all -o name", 0),
            ("simulator fault delete --all --dry-run", 3),
            ("simulator fault delete", 2),
            ("simulator fault delete 1 --all", 2),
        ],
    );
}

fn access(method: &str, request: &Value) -> Answer {
    let approval = json!({
        "name": "approvals/018f", "method": "TenantService.ArchiveTenant",
        "target": "tenants/acme", "summary": "archive tenants/acme", "reason": "ended",
        "requester": "ada", "state": "APPROVAL_STATE_PENDING", "expireTime": END
    });
    let certificate = json!({
        "name": "certificates/0a1b", "kind": "CERTIFICATE_KIND_DEVICE", "operator": "bob",
        "roleName": "admin", "state": "CERTIFICATE_STATE_VALID", "expireTime": END
    });
    let lock =
        json!({ "name": "operators/bob", "reason": "left", "actor": "ada", "expireTime": END });
    let grant = json!({
        "name": "breakGlassGrants/018e", "operator": "ada", "roleName": "operator",
        "reason": "night", "expireTime": END
    });
    let token = json!({
        "name": "tokens/018d", "operator": "bob", "role": "ROLE_VIEWER",
        "state": "ENROLMENT_TOKEN_STATE_USABLE", "expireTime": END, "creator": "ada"
    });
    let none = request["filter"].as_str().is_some_and(|filter| filter.contains("ffff"));
    Answer::Is(match method {
        "ApprovalService.ListApprovals" => json!({ "approvals": [approval] }),
        "ApprovalService.GetApproval" => approval,
        "ApprovalService.ApproveRequest" => {
            with(approval, json!({ "state": "APPROVAL_STATE_APPROVED", "approver": "bob" }))
        }
        "ApprovalService.RejectRequest" => {
            with(approval, json!({ "state": "APPROVAL_STATE_REJECTED", "approver": "bob" }))
        }
        "AccessService.ListCertificates" if none => json!({}),
        "AccessService.ListCertificates" => json!({ "certificates": [certificate] }),
        "AccessService.RevokeCertificate" => {
            let whole = consequence("all certificates of this enrolment end");
            let fields = json!({ "state": "CERTIFICATE_STATE_REVOKED", "consequences": whole });
            with(certificate, fields)
        }
        "AccessService.LockOperator" | "AccessService.UnlockOperator" => lock,
        "AccessService.ListOperatorLocks" => json!({ "locks": [lock] }),
        "AccessService.BreakGlass" => grant,
        "AccessService.EndBreakGlass" => with(grant, json!({ "endTime": "2026-01-01T00:00:00Z" })),
        "AccessService.ListBreakGlassGrants" => json!({ "grants": [grant] }),
        "AccessService.ReviewBreakGlass" => {
            with(grant, json!({ "reviewer": "bob", "review": request["review"] }))
        }
        "AccessService.ListEnrolmentTokens" => json!({ "tokens": [token] }),
        "AccessService.RevokeEnrolmentToken" => {
            with(token, json!({ "state": "ENROLMENT_TOKEN_STATE_REVOKED" }))
        }
        "AccessService.WhoAmI" => json!({
            "operator": "ada", "role": "ROLE_OPERATOR", "roleName": "operator",
            "expireTime": END, "breakGlassExpireTime": END, "region": "regions/dev"
        }),
        other => panic!("not expected: {other}"),
    })
}

#[test]
fn second_persons_locks_certificates_and_tokens() {
    plays(
        "access-actions.txt",
        access,
        &[
            ("approval list --pending", 0),
            ("approval show 018f", 0),
            ("approval approve 018f --dry-run", 3),
            ("approval approve 018f -o name", 0),
            ("approval reject 018f --reason 'not today' -o name", 0),
            ("cert list --expiring 30d", 0),
            ("cert show 0A:1B", 0),
            ("cert show ffff", 6),
            ("cert show nonsense", 2),
            ("cert revoke 0a1b --reason stolen --dry-run", 3),
            ("cert revoke 0a1b --reason stolen --confirm 0a1b --family -o name", 0),
            ("operator lock bob --for 7d --reason left --confirm bob -o name", 0),
            ("operator lock bob --reason left", 2),
            ("operator list", 0),
            ("operator unlock bob", 0),
            ("break-glass --reason night", 0),
            ("break-glass --for 1h", 2),
            ("break-glass list --unreviewed", 0),
            ("break-glass end -o name", 0),
            ("break-glass review 018e --review 'all was needed' -o name", 0),
            ("token list", 0),
            ("token revoke 018d --confirm 018d -o name", 0),
            ("whoami", 0),
        ],
    );
}
