//! Incidents as the contract has them.

use streamspace_core::incident::{IncidentId, Role, Severity, escalation, lifecycle::State};
use streamspace_proto::v1::{self, IncidentRole, IncidentSeverity, IncidentState};

use super::store::{Action, Joined, Record};
use crate::rpc::{
    errors::{RpcError, RpcResult},
    time::timestamp,
};

pub(super) fn id(field: &str, name: &str) -> RpcResult<IncidentId> {
    IncidentId::from_name(name).map_err(|error| RpcError::field(field, error.to_string()))
}

pub(super) fn etag(record: &Record) -> String {
    format!("{}-{}", record.id.number(), record.version)
}

pub(super) fn to_proto(record: &Record, alerts: &[Joined], actions: &[Action]) -> v1::Incident {
    v1::Incident {
        name: record.id.to_name(),
        title: record.title.clone(),
        severity: shown_severity(record.severity).into(),
        state: shown_state(record.state).into(),
        commander: record.commander.clone(),
        communications: record.communications.clone(),
        scribe: record.scribe.clone(),
        tenants: record.tenants.iter().map(|id| format!("tenants/{id}")).collect(),
        slos: record.slos.iter().map(|id| format!("slos/{id}")).collect(),
        alerts: alerts.iter().map(|it| it.alert.clone()).collect(),
        declared_by: record.declared_by.clone(),
        declare_time: timestamp(record.declared),
        acknowledged_by: record.acknowledged_by.clone(),
        acknowledge_time: record.acknowledged.and_then(timestamp),
        mitigate_time: record.mitigated.and_then(timestamp),
        resolve_time: record.resolved.and_then(timestamp),
        review_time: record.reviewed.and_then(timestamp),
        merged_into: record.merged_into.map(IncidentId::to_name).unwrap_or_default(),
        escalation_policy: match record.policy.as_str() {
            "" => String::new(),
            id => format!("escalationPolicies/{id}"),
        },
        levels_paged: i32::try_from(record.levels_paged).unwrap_or(i32::MAX),
        next_page_time: next_page(record).and_then(timestamp),
        next_update_time: record.next_update.and_then(timestamp),
        action_items: actions.iter().map(action).collect(),
        etag: etag(record),
    }
}

fn next_page(record: &Record) -> Option<jiff::Timestamp> {
    let waits = record.acknowledged.is_none() && record.state.is_open();
    let since = record.paging_since.filter(|_| waits)?;
    escalation::due_at(&record.levels, since, record.levels_paged)
}

fn action(action: &Action) -> v1::ActionItem {
    v1::ActionItem {
        number: action.number,
        text: action.text.clone(),
        owner: action.owner.clone(),
        due: action.due.clone(),
        done: action.done,
    }
}

fn shown_severity(severity: Severity) -> IncidentSeverity {
    match severity {
        Severity::P0 => IncidentSeverity::P0,
        Severity::P1 => IncidentSeverity::P1,
        Severity::P2 => IncidentSeverity::P2,
        Severity::P3 => IncidentSeverity::P3,
        Severity::P4 => IncidentSeverity::P4,
    }
}

/// `None` where it is not given.
pub(super) fn severity(given: i32) -> RpcResult<Option<Severity>> {
    match IncidentSeverity::try_from(given) {
        Ok(IncidentSeverity::Unspecified) => Ok(None),
        Ok(IncidentSeverity::P0) => Ok(Some(Severity::P0)),
        Ok(IncidentSeverity::P1) => Ok(Some(Severity::P1)),
        Ok(IncidentSeverity::P2) => Ok(Some(Severity::P2)),
        Ok(IncidentSeverity::P3) => Ok(Some(Severity::P3)),
        Ok(IncidentSeverity::P4) => Ok(Some(Severity::P4)),
        Err(_) => Err(RpcError::field("severity", "must be P0 to P4")),
    }
}

fn shown_state(state: State) -> IncidentState {
    match state {
        State::Declared => IncidentState::Declared,
        State::Triaged => IncidentState::Triaged,
        State::Mitigated => IncidentState::Mitigated,
        State::Resolved => IncidentState::Resolved,
        State::Reviewed => IncidentState::Reviewed,
    }
}

pub(super) fn state(given: i32) -> RpcResult<State> {
    match IncidentState::try_from(given) {
        Ok(IncidentState::Triaged) => Ok(State::Triaged),
        Ok(IncidentState::Mitigated) => Ok(State::Mitigated),
        Ok(IncidentState::Resolved) => Ok(State::Resolved),
        Ok(IncidentState::Reviewed) => Ok(State::Reviewed),
        Ok(IncidentState::Declared | IncidentState::Unspecified) | Err(_) => {
            Err(RpcError::field("state", "must be triaged, mitigated, resolved or reviewed"))
        }
    }
}

pub(super) fn role(given: i32) -> RpcResult<Role> {
    match IncidentRole::try_from(given) {
        Ok(IncidentRole::Commander) => Ok(Role::Commander),
        Ok(IncidentRole::Communications) => Ok(Role::Communications),
        Ok(IncidentRole::Scribe) => Ok(Role::Scribe),
        Ok(IncidentRole::Unspecified) | Err(_) => {
            Err(RpcError::field("role", "must be commander, communications or scribe"))
        }
    }
}
