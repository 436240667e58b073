//! Rotas and escalation policies as the contract has them.

use jiff::{SignedDuration, Timestamp};
use streamspace_core::{
    ids::{EscalationPolicyId, PlanId, RotaId},
    incident::{
        escalation::{self, Level, Refusal},
        rota::{Override, Rota, RotaError},
    },
};
use streamspace_proto::v1;

use super::{
    minutes_of,
    store::{PolicyRecord, RotaRecord},
};
use crate::rpc::{
    errors::{RpcError, RpcResult},
    input::named,
    time::{instant, timestamp},
};

/// The most levels of a policy, and targets or channels of a level.
const LEVELS_MAXIMUM: usize = 10;
/// The longest minutes of a level: a day.
const MINUTES_MAXIMUM: u16 = 1_440;
/// The longest override.
const OVERRIDE_MAXIMUM: SignedDuration = SignedDuration::from_hours(90 * 24);

pub(super) fn rota_id(field: &str, name: &str) -> RpcResult<RotaId> {
    RotaId::from_name(name).map_err(|error| RpcError::field(field, error.to_string()))
}

pub(super) fn policy_id(field: &str, name: &str) -> RpcResult<EscalationPolicyId> {
    EscalationPolicyId::from_name(name).map_err(|error| RpcError::field(field, error.to_string()))
}

pub(super) fn rota(given: &v1::Rota) -> RpcResult<RotaRecord> {
    let id = rota_id("rota.name", &given.name)?;
    for (index, person) in given.people.iter().enumerate() {
        named(&format!("rota.people[{index}]"), person)?;
    }
    let rota = Rota::new(
        given.people.clone(),
        given.turn_days.into(),
        &given.handover,
        &given.time_zone,
        &given.start_date,
    )
    .map_err(|error| of_rota(&error))?;
    Ok(RotaRecord {
        id: id.as_str().to_owned(),
        people: given.people.clone(),
        turn_days: given.turn_days,
        handover: given.handover.clone(),
        time_zone: given.time_zone.clone(),
        start_date: given.start_date.clone(),
        rota,
    })
}

fn of_rota(error: &RotaError) -> RpcError {
    let text = error.to_string();
    // The message begins with its field.
    let (field, rule) = text.split_once(": ").unwrap_or(("", &text));
    RpcError::field(&format!("rota.{field}"), rule)
}

pub(super) fn rota_to_proto(
    record: &RotaRecord,
    overrides: &[Override],
    at: Timestamp,
) -> v1::Rota {
    let now = record.rota.at(at, overrides);
    let next = record.rota.at(now.until, overrides);
    let mut shown: Vec<&Override> = overrides.iter().collect();
    shown.sort_by_key(|it| it.from);
    v1::Rota {
        name: format!("rotas/{}", record.id),
        people: record.people.clone(),
        turn_days: record.turn_days,
        handover: record.handover.clone(),
        time_zone: record.time_zone.clone(),
        start_date: record.start_date.clone(),
        on_call: now.person.unwrap_or_default(),
        until: timestamp(now.until),
        next: next.person.unwrap_or_default(),
        overrides: shown
            .into_iter()
            .map(|it| v1::RotaOverride {
                person: it.person.clone(),
                start_time: timestamp(it.from),
                end_time: timestamp(it.to),
            })
            .collect(),
    }
}

pub(super) fn given_override(
    given: Option<&v1::RotaOverride>,
    now: Timestamp,
) -> RpcResult<Override> {
    let given = given.ok_or_else(|| RpcError::field("override", "is required"))?;
    named("override.person", &given.person)?;
    let read = |field: &str, time: Option<&prost_types::Timestamp>| {
        let time = time.ok_or_else(|| RpcError::field(field, "is required"))?;
        instant(time).ok_or_else(|| RpcError::field(field, "is no instant"))
    };
    let from = read("override.start_time", given.start_time.as_ref())?;
    let to = read("override.end_time", given.end_time.as_ref())?;
    if to <= from || to.duration_since(from) > OVERRIDE_MAXIMUM {
        return Err(RpcError::field(
            "override.end_time",
            "must be after the start, at most 90 days",
        ));
    }
    if to <= now {
        return Err(RpcError::field("override.end_time", "is over already: give a time to come"));
    }
    Ok(Override { person: given.person.clone(), from, to })
}

pub(super) fn policy(given: &v1::EscalationPolicy) -> RpcResult<PolicyRecord> {
    let id = policy_id("escalation_policy.name", &given.name)?;
    let plan = match given.plan.as_str() {
        "" => String::new(),
        name => PlanId::from_name(name)
            .map_err(|error| RpcError::field("escalation_policy.plan", error.to_string()))?
            .as_str()
            .to_owned(),
    };
    let rto = match (plan.is_empty(), u16::try_from(given.rto_minutes)) {
        (_, Ok(rto)) if rto > 0 => Some(rto),
        (true, Ok(0)) => None,
        (false, Ok(0)) => {
            return Err(RpcError::field(
                "escalation_policy.rto_minutes",
                "is required with a plan: the recovery time objective that it promises",
            ));
        }
        _ => {
            return Err(RpcError::field("escalation_policy.rto_minutes", "must be 1 to 65,535"));
        }
    };
    if given.levels.len() > LEVELS_MAXIMUM {
        return Err(RpcError::field("escalation_policy.levels", "must be 1 to 10"));
    }
    let levels = given
        .levels
        .iter()
        .enumerate()
        .map(|(index, level)| self::level(index, level, &plan))
        .collect::<RpcResult<Vec<_>>>()?;
    escalation::validate(&levels, rto).map_err(|error| of_levels(&error))?;
    let id = id.as_str().to_owned();
    Ok(PolicyRecord { id, levels, plan, rto_minutes: given.rto_minutes })
}

fn of_levels(error: &Refusal) -> RpcError {
    let text = error.to_string();
    let (field, rule) = text.split_once(": ").unwrap_or(("levels", &text));
    RpcError::field(&format!("escalation_policy.{field}"), rule)
}

fn level(index: usize, given: &v1::EscalationLevel, plan: &str) -> RpcResult<Level> {
    let field = |part: &str| format!("escalation_policy.levels[{index}].{part}");
    for (part, names) in [("targets", &given.targets), ("channels", &given.channels)] {
        if names.len() > LEVELS_MAXIMUM {
            return Err(RpcError::field(&field(part), "must be at most 10"));
        }
        for name in names {
            if name.starts_with("rotas/") && part == "targets" {
                rota_id(&field(part), name)?;
            } else {
                named(&field(part), name)?;
            }
        }
    }
    let minutes = match u16::try_from(given.minutes) {
        Ok(0) => minutes_of(plan),
        Ok(minutes) if minutes <= MINUTES_MAXIMUM => minutes,
        _ => return Err(RpcError::field(&field("minutes"), "must be 1 to 1,440, or 0 for 15")),
    };
    Ok(Level { targets: given.targets.clone(), minutes, channels: given.channels.clone() })
}

pub(super) fn policy_to_proto(record: &PolicyRecord) -> v1::EscalationPolicy {
    let level = |level: &Level| v1::EscalationLevel {
        targets: level.targets.clone(),
        minutes: level.minutes.into(),
        channels: level.channels.clone(),
    };
    v1::EscalationPolicy {
        name: format!("escalationPolicies/{}", record.id),
        levels: record.levels.iter().map(level).collect(),
        plan: if record.plan.is_empty() { String::new() } else { format!("plans/{}", record.plan) },
        rto_minutes: record.rto_minutes,
    }
}
