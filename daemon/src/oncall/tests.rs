//! Rotas and escalation policies against a real PostgreSQL.

use std::sync::Arc;

use jiff::Timestamp;
use streamspace_core::access::Role;
use streamspace_proto::v1;

use super::{people, policy_for, service::Oncall};
use crate::{
    db::{Scope, testing::TestDatabase},
    notify::Channels,
    rpc::{Caller, RpcError, RpcResult, caller::testing::caller},
};

fn kim() -> Caller {
    caller("kim", Role::Operator, Scope::Region)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn service(test: &TestDatabase) -> Oncall {
    let config = "[channels.phone]\nkind = 'webhook'\nfor = ['page']\nurl = 'http://127.0.0.1:9'";
    let channels = Channels::new(&toml::from_str(config).unwrap()).unwrap();
    Oncall::new(test.database().clone(), Arc::new(|| at("2026-03-24T12:00:00Z")), channels)
}

fn rota() -> v1::Rota {
    v1::Rota {
        name: "rotas/primary".into(),
        people: vec!["kim".into(), "lee".into()],
        turn_days: 7,
        handover: "09:00".into(),
        time_zone: "Europe/Berlin".into(),
        start_date: "2026-03-23".into(),
        ..Default::default()
    }
}

fn policy(name: &str, minutes: i32) -> v1::EscalationPolicy {
    v1::EscalationPolicy {
        name: format!("escalationPolicies/{name}"),
        levels: vec![v1::EscalationLevel {
            targets: vec!["rotas/primary".into()],
            minutes,
            channels: vec![],
        }],
        ..Default::default()
    }
}

async fn set_rota(service: &Oncall, rota: v1::Rota) -> RpcResult<v1::Rota> {
    service.set_rota(&kim(), &v1::SetRotaRequest { rota: Some(rota), ..Default::default() }).await
}

async fn set_policy(
    service: &Oncall,
    policy: v1::EscalationPolicy,
) -> RpcResult<v1::EscalationPolicy> {
    let request =
        v1::SetEscalationPolicyRequest { escalation_policy: Some(policy), ..Default::default() };
    service.set_policy(&kim(), &request).await
}

fn field<T: std::fmt::Debug>(result: RpcResult<T>) -> String {
    match result.unwrap_err() {
        RpcError::Invalid(faults) => faults[0].field.clone(),
        RpcError::Refused { reason, .. } => reason.to_owned(),
        other => other.to_string(),
    }
}

#[tokio::test]
async fn a_rota_tells_who_is_on_call_and_who_stands_in() {
    let test = TestDatabase::create().await;
    let service = service(&test);
    let made = set_rota(&service, rota()).await.unwrap();
    assert_eq!((made.on_call.as_str(), made.next.as_str()), ("kim", "lee"));
    let time = |text| prost_types::Timestamp { seconds: at(text).as_second(), nanos: 0 };
    let given = v1::RotaOverride {
        person: "max".into(),
        start_time: Some(time("2026-03-24T11:00:00Z")),
        end_time: Some(time("2026-03-25T11:00:00Z")),
    };
    let request = v1::AddOverrideRequest {
        name: "rotas/primary".into(),
        r#override: Some(given.clone()),
        ..Default::default()
    };
    let stood_in = service.add_override(&kim(), &request).await.unwrap();
    assert_eq!((stood_in.on_call.as_str(), stood_in.next.as_str()), ("max", "kim"));
    let list = v1::ListRotasRequest { at: Some(time("2026-03-30T07:00:00Z")) };
    let later = service.list_rotas(&kim(), &list).await.unwrap().rotas;
    assert_eq!(later[0].on_call, "lee", "09:00 of summer time");
    let mut tx = test.database().begin(&Scope::Region).await.unwrap();
    let targets = ["rotas/primary".to_owned(), "ada".to_owned(), "rotas/gone".to_owned()];
    let told = people(&mut tx, &targets, at("2026-03-24T12:00:00Z")).await.unwrap();
    assert_eq!(told, ["max (rotas/primary)", "ada", "nobody (rotas/gone)"]);
    let over = v1::RotaOverride { end_time: Some(time("2026-03-24T11:30:00Z")), ..given };
    let request = v1::AddOverrideRequest { r#override: Some(over), ..request };
    let refused = service.add_override(&kim(), &request).await;
    assert_eq!(field(refused), "override.end_time");
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_its_field_and_changes_nothing() {
    let test = TestDatabase::create().await;
    let service = service(&test);
    for (wrong, name) in [
        (v1::Rota { name: "rotas/A".into(), ..rota() }, "rota.name"),
        (v1::Rota { people: vec![], ..rota() }, "rota.people"),
        (v1::Rota { people: vec!["a\u{1b}".into()], ..rota() }, "rota.people[0]"),
        (v1::Rota { turn_days: 0, ..rota() }, "rota.turn_days"),
        (v1::Rota { handover: "9".into(), ..rota() }, "rota.handover"),
        (v1::Rota { time_zone: "../../etc/passwd".into(), ..rota() }, "rota.time_zone"),
        (v1::Rota { start_date: "soon".into(), ..rota() }, "rota.start_date"),
    ] {
        assert_eq!(field(set_rota(&service, wrong).await), name);
    }
    let missing = set_policy(&service, policy("default", 5)).await;
    assert_eq!(field(missing), "escalation_policy.levels[0].targets", "there is no such rota");
    set_rota(&service, rota()).await.unwrap();
    let by = |channel: &str| {
        let mut policy = policy("p", 5);
        policy.levels[0].channels = vec![channel.into()];
        policy
    };
    let unknown = set_policy(&service, by("fone")).await;
    assert_eq!(field(unknown), "escalation_policy.levels[0].channels");
    let with = |plan: &str, rto_minutes, minutes| v1::EscalationPolicy {
        plan: plan.into(),
        rto_minutes,
        ..policy("p", minutes)
    };
    for (wrong, name) in [
        (with("plans/enterprise", 0, 5), "escalation_policy.rto_minutes"),
        (with("plans/enterprise", 15, 15), "escalation_policy.levels[0].minutes"),
        (with("plans/enterprise", 5, 0), "escalation_policy.levels[0].minutes"),
        (with("", 0, -1), "escalation_policy.levels[0].minutes"),
        (with("enterprise", 15, 5), "escalation_policy.plan"),
        (with("plans/none", 15, 5), "plans/none does not exist in this region"),
    ] {
        assert_eq!(field(set_policy(&service, wrong).await), name);
    }
    let trial = v1::SetEscalationPolicyRequest {
        escalation_policy: Some(by("phone")),
        validate_only: true,
        ..Default::default()
    };
    service.set_policy(&kim(), &trial).await.unwrap();
    let request = v1::ListEscalationPoliciesRequest {};
    let none = service.list_policies(&kim(), &request).await.unwrap();
    assert_eq!(none.escalation_policies, []);
}

#[tokio::test]
async fn the_policy_is_that_of_the_plan_that_is_hit_then_the_default_then_the_built_in_one() {
    let test = TestDatabase::create().await;
    let service = service(&test);
    let plans = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let chosen = async |names: &[&str]| {
        let mut tx = test.database().begin(&Scope::Region).await.unwrap();
        let policy = policy_for(&mut tx, &plans(names)).await.unwrap();
        (policy.id, policy.levels[0].minutes)
    };
    assert_eq!(chosen(&[]).await, (String::new(), 15));
    assert_eq!(chosen(&["free", "enterprise"]).await, (String::new(), 5));
    set_rota(&service, rota()).await.unwrap();
    set_policy(&service, policy("default", 0)).await.unwrap();
    let fast = v1::EscalationPolicy {
        plan: "plans/enterprise".into(),
        rto_minutes: 15,
        ..policy("fast", 0)
    };
    set_policy(&service, fast).await.unwrap();
    assert_eq!(chosen(&["free"]).await, ("default".to_owned(), 15));
    assert_eq!(chosen(&["free", "enterprise"]).await, ("fast".to_owned(), 5));
    let delete = v1::DeleteRotaRequest { name: "rotas/primary".into(), ..Default::default() };
    assert_eq!(field(service.delete_rota(&kim(), &delete).await), "ROTA_IN_USE");
    for name in ["default", "fast"] {
        let request = v1::DeleteEscalationPolicyRequest {
            name: format!("escalationPolicies/{name}"),
            ..Default::default()
        };
        service.delete_policy(&kim(), &request).await.unwrap();
    }
    service.delete_rota(&kim(), &delete).await.unwrap();
}

#[tokio::test]
async fn a_rota_that_this_machine_cannot_read_holds_no_page_up() {
    let test = TestDatabase::create().await;
    set_rota(&service(&test), rota()).await.unwrap();
    // A machine without the database of zones knows none.
    sqlx::query("UPDATE rotas SET time_zone = 'Nowhere/Land'")
        .execute(test.database().operator())
        .await
        .unwrap();
    let mut tx = test.database().begin(&Scope::Region).await.unwrap();
    let targets = ["rotas/primary".to_owned(), "ada".to_owned()];
    let told = people(&mut tx, &targets, at("2026-03-24T12:00:00Z")).await.unwrap();
    assert_eq!(told, ["nobody (rotas/primary)", "ada"]);
}
