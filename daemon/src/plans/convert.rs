//! Between a plan as the daemon holds it and as the contract shows it, and what a
//! request wishes of one.

use streamspace_core::{
    ids::PlanId,
    plan::{Bytes, MicroUsd, Millicores, Plan, Quota, validate},
    violation::Violation,
};
use streamspace_proto::v1;

use super::PlanRecord;
use crate::rpc::{
    errors::{RpcError, RpcResult},
    time::timestamp,
};

/// The declared overcommit where a request says nothing.
const OVERCOMMIT_UNLESS_SAID: i32 = 4000;

/// The fields that a new version may differ in.
const MUTABLE_FIELDS: [&str; 14] = [
    "display_name",
    "seat_price_micros",
    "user_sessions",
    "user_memory_bytes",
    "recording_retention_days",
    "features",
    "availability_ppm",
    "quota",
    "quota.cpu_millicores",
    "quota.memory_bytes",
    "quota.storage_bytes",
    "quota.pods",
    "overcommit_permille",
    "rank",
];

/// A quota as the contract shows it.
pub fn quota_to_proto(quota: &Quota) -> v1::TenantQuota {
    v1::TenantQuota {
        cpu_millicores: quota.cpu.0,
        memory_bytes: quota.memory.0,
        storage_bytes: quota.storage.0,
        pods: quota.pods,
    }
}

pub(super) fn to_proto(record: &PlanRecord) -> v1::Plan {
    let plan = &record.plan;
    v1::Plan {
        name: plan.id.to_name(),
        version: plan.version,
        display_name: plan.display_name.clone(),
        seat_price_micros: plan.seat_price.map(|price| price.0),
        user_sessions: plan.user_sessions,
        user_memory_bytes: plan.user_memory.map(|memory| memory.0),
        recording_retention_days: plan.recording_retention_days,
        features: plan.features.clone(),
        availability_ppm: plan.availability_ppm,
        quota: Some(quota_to_proto(&plan.quota)),
        create_time: timestamp(record.create_time),
        overcommit_permille: plan.overcommit_permille,
        rank: plan.rank,
    }
}

/// `plans/{plan}`, with the version where one is named as `plans/{plan}@{version}`.
pub(super) fn name(field: &str, name: &str) -> RpcResult<(PlanId, Option<i32>)> {
    let (plan, version) = match name.split_once('@') {
        None => (name, None),
        Some((plan, version)) => (plan, Some(version)),
    };
    let id = PlanId::from_name(plan).map_err(|error| RpcError::field(field, error.to_string()))?;
    let Some(version) = version else { return Ok((id, None)) };
    let digits = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
    match version.parse().ok().filter(|version| digits && *version > 0) {
        Some(version) => Ok((id, Some(version))),
        None => Err(RpcError::field(
            field,
            format!(
                "the version after `@` must be a number from 1, for example `{}@1`",
                id.to_name()
            ),
        )),
    }
}

/// Version 1 of a new plan. `next_rank` is taken where none is given.
pub(super) fn of_create(request: &v1::CreatePlanRequest, next_rank: i32) -> RpcResult<Plan> {
    let id = PlanId::parse(&request.plan_id)
        .map_err(|error| RpcError::field("plan_id", error.to_string()))?;
    let given = request.plan.as_ref().ok_or_else(|| RpcError::field("plan", "is required"))?;
    let quota = given.quota.ok_or_else(|| {
        RpcError::field("plan.quota", "is required: give CPU, memory, storage and pods")
    })?;
    let or = |value: i32, default: i32| if value == 0 { default } else { value };
    checked(Plan {
        display_name: match given.display_name.as_str() {
            "" => id.as_str().to_owned(),
            given => given.to_owned(),
        },
        id,
        version: 1,
        rank: or(given.rank, next_rank),
        seat_price: given.seat_price_micros.map(MicroUsd),
        user_sessions: given.user_sessions,
        user_memory: given.user_memory_bytes.map(Bytes),
        recording_retention_days: given.recording_retention_days,
        features: given.features.clone(),
        availability_ppm: given.availability_ppm,
        quota: quota_of(&quota),
        overcommit_permille: or(given.overcommit_permille, OVERCOMMIT_UNLESS_SAID),
    })
}

/// The current version with the named fields replaced. It has the current version's
/// number still.
pub(super) fn of_update(current: &Plan, given: &v1::Plan, fields: &[String]) -> RpcResult<Plan> {
    let mut plan = current.clone();
    let quota = given.quota.unwrap_or_default();
    if fields.is_empty() {
        return Err(RpcError::field("update_mask", "name at least one field"));
    }
    let mut faults = Vec::new();
    for field in fields {
        match field.as_str() {
            "display_name" => plan.display_name.clone_from(&given.display_name),
            "seat_price_micros" => plan.seat_price = given.seat_price_micros.map(MicroUsd),
            "user_sessions" => plan.user_sessions = given.user_sessions,
            "user_memory_bytes" => plan.user_memory = given.user_memory_bytes.map(Bytes),
            "recording_retention_days" => {
                plan.recording_retention_days = given.recording_retention_days;
            }
            "features" => plan.features.clone_from(&given.features),
            "availability_ppm" => plan.availability_ppm = given.availability_ppm,
            "quota" => plan.quota = quota_of(&quota),
            "quota.cpu_millicores" => plan.quota.cpu = Millicores(quota.cpu_millicores),
            "quota.memory_bytes" => plan.quota.memory = Bytes(quota.memory_bytes),
            "quota.storage_bytes" => plan.quota.storage = Bytes(quota.storage_bytes),
            "quota.pods" => plan.quota.pods = quota.pods,
            "overcommit_permille" if given.overcommit_permille == 0 => {
                plan.overcommit_permille = OVERCOMMIT_UNLESS_SAID;
            }
            "overcommit_permille" => plan.overcommit_permille = given.overcommit_permille,
            "rank" => plan.rank = given.rank,
            other => faults.push(Violation {
                field: "update_mask".into(),
                description: format!(
                    "{:?} cannot be changed; what can: {}",
                    other.chars().take(64).collect::<String>(),
                    MUTABLE_FIELDS.join(", ")
                ),
            }),
        }
    }
    if faults.is_empty() { checked(plan) } else { Err(RpcError::Invalid(faults)) }
}

fn checked(plan: Plan) -> RpcResult<Plan> {
    let faults: Vec<Violation> = validate(&plan)
        .into_iter()
        .map(|fault| Violation {
            field: format!("plan.{}", fault.field),
            description: fault.description,
        })
        .collect();
    if faults.is_empty() { Ok(plan) } else { Err(RpcError::Invalid(faults)) }
}

fn quota_of(quota: &v1::TenantQuota) -> Quota {
    Quota {
        cpu: Millicores(quota.cpu_millicores),
        memory: Bytes(quota.memory_bytes),
        storage: Bytes(quota.storage_bytes),
        pods: quota.pods,
    }
}
