use std::collections::BTreeMap as Map;

use jiff::SignedDuration;
use streamspace_client::Refusal;
use streamspace_proto::v1::{
    Approval, BreakGlassGrant, Breaker, Certificate, Component, Condition, ConditionStatus, Cordon,
    Health, Leader, Operation, OperationError, OperatorLock, QuotaOverride, Region, TenantState,
};
use tonic::Code;

use super::*;
use crate::errors::Failure;

fn now() -> Timestamp {
    "2026-05-01T12:00:00Z".parse().unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "the fields of messages are options")]
fn after(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: now().as_second() + seconds, nanos: 0 })
}

fn refused(code: Code) -> Failure {
    let refusal = Refusal {
        code,
        message: "no".into(),
        reason: None,
        metadata: Map::new(),
        violations: Vec::new(),
        request_id: None,
    };
    streamspace_client::ClientError::Refused(Box::new(refusal)).into()
}

/// A region in which all is well.
fn well() -> Told {
    let component =
        Component { name: "database".into(), health: Health::Ok.into(), ..Component::default() };
    Told {
        region: Region {
            name: "regions/dev".into(),
            components: vec![component],
            leader: Some(Leader { replica: "laptop".into(), leader_term: 1 }),
            ..Region::default()
        },
        who: Ok(streamspace_proto::v1::WhoAmIResponse {
            operator: "ada".into(),
            role_name: "admin".into(),
            ..Default::default()
        }),
        own_end: now().checked_add(SignedDuration::from_hours(80 * 24)).ok(),
        tenants: Ok(vec![tenant("acme"), tenant("beta")]),
        approvals: Ok(Vec::new()),
        grants: Ok(Vec::new()),
        operations: Ok(Vec::new()),
        locks: Ok(Vec::new()),
        certificates: Ok(Vec::new()),
        metering: Ok(None),
        failed: Ok(Vec::new()),
        budgets: Ok(Vec::new()),
        alerts: Ok(Vec::new()),
        incidents: Ok(Vec::new()),
    }
}

fn tenant(id: &str) -> Tenant {
    let holds = Condition {
        r#type: "ObjectsApplied".into(),
        status: ConditionStatus::True.into(),
        ..Condition::default()
    };
    Tenant {
        name: format!("tenants/{id}"),
        state: TenantState::Active.into(),
        conditions: vec![holds],
        ..Tenant::default()
    }
}

fn needs(told: &Told) -> Vec<(&'static str, String, String)> {
    let found = report(told, now());
    found.needs.into_iter().map(|it| (it.kind, it.name, it.message)).collect()
}

#[test]
fn where_all_is_well_nothing_needs_anybody() {
    let found = report(&well(), now());
    assert_eq!((found.needs.len(), found.notes.len()), (0, 0), "{found:?}");
    assert_eq!(found.brief(), "2 active tenants; laptop leads; you are ada, admin");
}

#[test]
fn what_is_wrong_with_the_region_needs_somebody() {
    let mut told = well();
    told.region.components[0].health = Health::Unavailable.into();
    told.region.components[0].message = "connection refused".into();
    told.region.leader = None;
    told.region.breaker = Some(Breaker { tripped: true, ..Breaker::default() });
    told.region.orphans = vec![streamspace_proto::v1::Orphan {
        namespace: "tenant-gone".into(),
        ..Default::default()
    }];
    let kinds: Vec<_> = needs(&told).into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds, ["part", "leader", "breaker", "orphan"]);
}

#[test]
fn a_tenant_that_fails_needs_somebody_and_what_reverts_is_noted() {
    let mut told = well();
    let mut failing = tenant("acme");
    failing.conditions[0].status = ConditionStatus::False.into();
    failing.conditions[0].reason = "Refused".into();
    failing.conditions[0].message = "ResourceQuota limits: forbidden".into();
    let mut raised = tenant("beta");
    let set = |end: Option<prost_types::Timestamp>| QuotaOverride {
        resource: "cpu".into(),
        amount: 120_000,
        expire_time: end,
        actor: "kim".into(),
        ..QuotaOverride::default()
    };
    raised.quota_overrides = vec![set(after(3600)), set(after(40 * 3600)), set(None)];
    told.tenants = Ok(vec![failing, raised]);
    let found = report(&told, now());
    assert_eq!(found.needs.len(), 1, "{found:?}");
    assert_eq!(found.needs[0].name, "tenants/acme");
    assert_eq!(found.needs[0].message, "ObjectsApplied: Refused, ResourceQuota limits: forbidden");
    assert_eq!(found.notes.len(), 1, "only what ends within a day: {found:?}");
    assert!(found.notes[0].message.starts_with("cpu is 120 until "), "{found:?}");
}

#[test]
fn logins_that_end_soon_need_somebody_each_once() {
    let mut told = well();
    let soon = now().checked_add(SignedDuration::from_hours(48)).unwrap();
    told.own_end = Some(soon);
    let certificate = |operator: &str, end: i64| Certificate {
        name: format!("certificates/{operator}"),
        operator: operator.into(),
        device_name: "laptop".into(),
        expire_time: after(end),
        ..Certificate::default()
    };
    told.certificates = Ok(vec![certificate("ada", 48 * 3600), certificate("kim", 3600)]);
    let found = needs(&told);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].2.starts_with("your login on this machine ends "), "{found:?}");
    assert!(found[1].2.starts_with("the login of kim on laptop ends "), "{found:?}");
}

#[test]
fn what_waits_for_people_is_told_by_whom() {
    let mut told = well();
    let approval = |requester: &str| Approval {
        name: "approvals/7".into(),
        target: "tenants/acme".into(),
        requester: requester.into(),
        summary: "DeleteTenant tenants/acme".into(),
        create_time: after(-60),
        expire_time: after(3000),
        ..Approval::default()
    };
    told.approvals = Ok(vec![approval("ada"), approval("kim")]);
    let grant = |end: Option<prost_types::Timestamp>, reviewer: &str| BreakGlassGrant {
        operator: "lee".into(),
        expire_time: end,
        reviewer: reviewer.into(),
        ..BreakGlassGrant::default()
    };
    told.grants = Ok(vec![grant(after(60), ""), grant(after(-60), ""), grant(after(-60), "ada")]);
    let found = needs(&told);
    let messages: Vec<_> = found.iter().map(|(.., message)| message.as_str()).collect();
    assert_eq!(messages.len(), 4, "{messages:?}");
    assert!(messages[0].starts_with("your request waits for somebody else"), "{messages:?}");
    assert!(messages[1].starts_with("kim waits for a second person"), "{messages:?}");
    assert!(messages[2].contains("is in force until"), "{messages:?}");
    assert!(messages[3].contains("nobody has reviewed it"), "{messages:?}");
}

#[test]
fn open_operations_are_noted_and_failures_of_a_day_need_somebody() {
    let mut told = well();
    let failed = |ago: i64| Operation {
        name: "operations/1".into(),
        done: true,
        error: Some(OperationError { message: "the cluster refused".into(), ..Default::default() }),
        end_time: after(-ago),
        ..Operation::default()
    };
    let open = Operation { kind: "tenant.delete".into(), ..Operation::default() };
    told.operations = Ok(vec![open, failed(60), failed(25 * 3600)]);
    told.region.cordon = Some(Cordon { actor: "kim".into(), ..Cordon::default() });
    told.locks = Ok(vec![OperatorLock { name: "operators/eve".into(), ..OperatorLock::default() }]);
    let found = report(&told, now());
    assert_eq!(found.needs.len(), 1, "{found:?}");
    let kinds: Vec<_> = found.notes.iter().map(|note| note.kind).collect();
    assert_eq!(kinds, ["cordon", "operation", "lock"]);
}

#[test]
fn a_part_that_is_not_for_the_role_is_no_error_and_one_that_is_away_is() {
    let mut told = well();
    told.certificates = Err(refused(Code::PermissionDenied));
    told.locks = Err(refused(Code::PermissionDenied));
    let found = report(&told, now());
    assert_eq!(found.not_for_the_role, ["certificates of others", "locks"]);
    assert_eq!(found.needs.len(), 0, "{found:?}");
    told.tenants = Err(refused(Code::Unavailable));
    let found = report(&told, now());
    assert_eq!(found.needs.len(), 1, "{found:?}");
    assert!(found.needs[0].message.starts_with("tenants cannot be read: "), "{found:?}");
    assert_eq!(found.tenants, None);
}

#[test]
fn metering_that_lags_needs_somebody_and_gaps_of_a_day_are_noted() {
    let mut told = well();
    let status = |complete: i64, closed: i64, gaps: &[(i64, i64)]| {
        let gap = |(from, to): &(i64, i64)| streamspace_proto::v1::UsageGap {
            start_time: after(*from),
            end_time: after(*to),
        };
        Ok(Some(streamspace_proto::v1::UsageStatus {
            begin_time: after(-86_400 * 9),
            complete_through_time: after(complete),
            closed_through_time: after(closed),
            gaps: gaps.iter().map(gap).collect(),
            ..Default::default()
        }))
    };
    told.metering = status(-5, -400, &[(-3600, -3000), (-90_000, -89_000)]);
    let found = report(&told, now());
    assert_eq!(found.needs.len(), 0, "{found:?}");
    assert_eq!(found.notes.len(), 1, "{found:?}");
    assert!(found.notes[0].message.contains("for 600 s from"), "{found:?}");
    // A moment without a watch is no news.
    told.metering = status(-5, -400, &[(-3600, -3590)]);
    assert_eq!(report(&told, now()).notes.len(), 0);
    told.metering = status(-5, -1000, &[]);
    assert_eq!(report(&told, now()).needs[0].reason, "NotClosed");
    // One is behind because of the other: one thing is wrong.
    told.metering = status(-1000, -1300, &[]);
    let found = report(&told, now());
    assert_eq!(found.needs.len(), 1, "{found:?}");
    assert_eq!(found.needs[0].reason, "Incomplete");
    told.metering = Ok(Some(streamspace_proto::v1::UsageStatus::default()));
    let found = report(&told, now());
    assert_eq!((found.needs.len(), found.notes.len()), (0, 1), "{found:?}");
    // An older daemon knows nothing of it, and that is all right.
    told.metering = Ok(None);
    assert_eq!(report(&told, now()).notes.len(), 0);
}

#[test]
fn sessions_that_failed_are_one_finding_a_tenant() {
    let mut told = well();
    let session = |name: &str, message: &str| streamspace_proto::v1::Session {
        name: name.into(),
        message: message.into(),
        ..Default::default()
    };
    told.failed = Ok(vec![
        session("tenants/acme/sessions/a", ""),
        session("tenants/beta/sessions/b", "no such image"),
        session("tenants/acme/sessions/c", "ErrImagePull"),
        session("tenants/acme/sessions/d", ""),
        session("tenants/acme/sessions/e", ""),
    ]);
    let found = needs(&told);
    let told: Vec<_> = found.iter().map(|(_, name, message)| (&**name, &**message)).collect();
    assert_eq!(
        told,
        [
            ("tenants/acme", "4 sessions cannot run (a, c, d, …): ErrImagePull"),
            ("tenants/beta", "1 session cannot run (b): no such image"),
        ]
    );
}

#[test]
fn a_hundred_of_a_kind_are_ten_and_how_many_more() {
    let mut told = well();
    let failing = |index: usize| {
        let mut tenant = tenant(&format!("t-{index}"));
        tenant.conditions[0].status = ConditionStatus::False.into();
        tenant
    };
    told.tenants = Ok((0..100).map(failing).collect());
    let found = report(&told, now());
    assert_eq!(found.needs.len(), 11);
    assert_eq!(found.needs[10].message, "and 90 more like these");
    assert!(found.needs[10].needs);
}

#[test]
fn budgets_that_are_not_well_and_alerts_that_nobody_has_need_somebody() {
    use streamspace_proto::v1::{Alert, Budget, BudgetState};
    let budget = |slo: &str, state: BudgetState| Budget {
        slo: format!("slos/{slo}"),
        state: state.into(),
        remaining_ppm: 123_456,
        ..Budget::default()
    };
    let mut told = well();
    told.budgets = Ok(vec![
        budget("paged", BudgetState::Page),
        budget("gone", BudgetState::Exhausted),
        budget("blind", BudgetState::NoData),
        budget("fine", BudgetState::Ticket),
    ]);
    let alert = |id: &str, firing: bool, who: &str| Alert {
        name: format!("alerts/{id}"),
        kind: "CertificateExpires".into(),
        firing,
        acknowledged_by: who.into(),
        ..Alert::default()
    };
    told.alerts = Ok(vec![alert("a", true, ""), alert("b", true, "kim"), alert("c", false, "")]);
    let found = needs(&told);
    let names: Vec<_> = found.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(names, ["slos/paged", "slos/gone", "slos/blind", "alerts/a"]);
    assert!(found[0].2.contains("12.34 %"), "{found:?}");
}

#[test]
fn an_incident_that_nobody_has_needs_somebody_and_its_alerts_are_told_with_it() {
    use streamspace_proto::v1::{Alert, Incident, IncidentSeverity};
    let incident = |number: u32, who: &str| Incident {
        name: format!("incidents/INC-{number}"),
        title: "API errors".into(),
        severity: IncidentSeverity::P1.into(),
        acknowledged_by: who.into(),
        alerts: vec!["alerts/a".into()],
        next_update_time: None,
        ..Incident::default()
    };
    let mut told = well();
    told.alerts = Ok(vec![Alert { name: "alerts/a".into(), firing: true, ..Alert::default() }]);
    let past = now().checked_sub(SignedDuration::from_mins(5)).ok();
    let late = Incident { next_update_time: super::wire(past), ..incident(9, "kim") };
    told.incidents = Ok(vec![incident(7, ""), incident(8, "kim"), late]);
    let found = report(&told, now());
    let names = |list: &[Finding]| list.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&found.needs), ["incidents/INC-7", "incidents/INC-9"]);
    assert_eq!(found.needs[0].next, "ssctl incident ack INC-7");
    assert!(found.needs[1].message.contains("wait for an update"), "{:?}", found.needs[1]);
    assert_eq!(names(&found.notes), ["incidents/INC-8"]);
}
