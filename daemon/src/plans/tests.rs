use prost_types::FieldMask;
use streamspace_core::{access::Role, plan::Plan};
use streamspace_proto::v1;

use super::{list, service::Plans};
use crate::{
    db::{Scope, testing::TestDatabase},
    rpc::{Caller, caller::testing::caller, errors::RpcError},
};

async fn start() -> (TestDatabase, Plans, Caller) {
    let test = TestDatabase::create().await;
    let plans = Plans::new(test.database().clone());
    (test, plans, caller("kim", Role::Admin, Scope::Region))
}

/// The rules in `core` and the rows that the migrations seed are one.
#[tokio::test]
async fn the_seeded_rows_are_the_seeded_plans() {
    let test = TestDatabase::create().await;
    let mut tx = test.database().begin(&Scope::Region).await.unwrap();
    let rows: Vec<Plan> = list(&mut tx).await.unwrap().into_iter().map(|r| r.plan).collect();
    assert_eq!(rows, streamspace_core::plan::seeded().unwrap());
}

fn update(name: &str, fields: &[&str], plan: v1::Plan) -> v1::UpdatePlanRequest {
    v1::UpdatePlanRequest {
        plan: Some(v1::Plan { name: name.into(), ..plan }),
        update_mask: Some(FieldMask { paths: fields.iter().map(ToString::to_string).collect() }),
        ..Default::default()
    }
}

fn field(error: &RpcError) -> &str {
    let RpcError::Invalid(faults) = error else { panic!("{error}") };
    &faults[0].field
}

#[tokio::test]
async fn a_change_makes_the_next_version_and_leaves_the_others() {
    let (_test, plans, kim) = start().await;
    let price = v1::Plan { seat_price_micros: Some(35_000_000), ..Default::default() };
    let request = update("plans/professional", &["seat_price_micros"], price);
    let preview = v1::UpdatePlanRequest { validate_only: true, ..request.clone() };
    assert_eq!(plans.update(&kim, &preview).await.unwrap().version, 2);
    assert_eq!(plans.get(&kim, "plans/professional").await.unwrap().version, 1);
    let second = plans.update(&kim, &request).await.unwrap();
    assert_eq!((second.version, second.seat_price_micros), (2, Some(35_000_000)));
    assert_eq!(second.user_sessions, Some(5), "what is not named stays");
    assert_eq!(plans.update(&kim, &request).await.unwrap().version, 2, "no change, no version");
    assert_eq!(plans.get(&kim, "plans/professional").await.unwrap(), second);
    let first = plans.get(&kim, "plans/professional@1").await.unwrap();
    assert_eq!((first.version, first.seat_price_micros), (1, Some(29_000_000)));
    let versions = plans.versions(&kim, "plans/professional").await.unwrap().plans;
    assert_eq!(versions, [second, first]);
    // A contract sets the price: named and absent.
    let contract = update("plans/professional", &["seat_price_micros"], v1::Plan::default());
    assert_eq!(plans.update(&kim, &contract).await.unwrap().seat_price_micros, None);
    let stale = v1::UpdatePlanRequest { if_version: 2, ..request };
    assert!(matches!(plans.update(&kim, &stale).await.unwrap_err(), RpcError::EtagMismatch(_)));
}

#[tokio::test]
async fn a_new_plan_begins_with_version_one() {
    let (_test, plans, kim) = start().await;
    let quota = v1::TenantQuota {
        cpu_millicores: 8000,
        memory_bytes: 16 << 30,
        storage_bytes: 1 << 40,
        pods: 40,
    };
    let request = v1::CreatePlanRequest {
        plan_id: "school".into(),
        plan: Some(v1::Plan {
            quota: Some(quota),
            availability_ppm: 990_000,
            ..Default::default()
        }),
        ..Default::default()
    };
    let made = plans.create(&kim, &request).await.unwrap();
    assert_eq!((made.name.as_str(), made.version, made.rank), ("plans/school", 1, 5));
    assert_eq!((made.display_name.as_str(), made.overcommit_permille), ("school", 4000));
    let again = plans.create(&kim, &request).await.unwrap_err();
    assert!(matches!(again, RpcError::AlreadyExists(_)), "{again}");
}

#[tokio::test]
async fn what_is_wrong_with_a_plan_names_its_field() {
    let (_test, plans, kim) = start().await;
    let wrong = [
        (update("plans/free", &["rank"], v1::Plan { rank: -1, ..Default::default() }), "plan.rank"),
        (update("plans/free", &["quota.pods"], v1::Plan::default()), "plan.quota.pods"),
        (update("plans/free", &["version"], v1::Plan::default()), "update_mask"),
        (update("plans/free", &[], v1::Plan::default()), "update_mask"),
        (update("plans/free@1", &["rank"], v1::Plan::default()), "plan.name"),
        (update("plans/Free", &["rank"], v1::Plan::default()), "plan.name"),
    ];
    for (request, wrong) in wrong {
        assert_eq!(field(&plans.update(&kim, &request).await.unwrap_err()), wrong);
    }
    for name in ["plans/free@", "plans/free@0", "plans/free@-1", "plans/free@+1", "plans/free@1@1"]
    {
        assert_eq!(field(&plans.get(&kim, name).await.unwrap_err()), "name", "{name}");
    }
    assert!(matches!(plans.get(&kim, "plans/free@9").await.unwrap_err(), RpcError::NotFound(_)));
    assert!(matches!(plans.versions(&kim, "plans/none").await.unwrap_err(), RpcError::NotFound(_)));
    assert_eq!(plans.get(&kim, "plans/free").await.unwrap().version, 1);
}
