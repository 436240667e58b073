//! A change of an incident, or a new one.

use streamspace_client::Connection;
use streamspace_core::incident::{Role, Severity};
use streamspace_proto::v1::{
    self, AcknowledgeIncidentRequest, AddActionItemRequest, AddNoteRequest, AssignRoleRequest,
    CompleteActionItemRequest, DeclareIncidentRequest, EscalateIncidentRequest, IncidentRole,
    IncidentSeverity, IncidentState, MergeIncidentRequest, MoveIncidentRequest,
};
use tonic::Status;

use super::{becomes, duration, request};
use crate::{
    actions::{Field, Kind, Verb, Work, role},
    rows::{Incident, short},
    state::RegionIndex,
};

/// Asks for it, and tells what it is then, or would be.
pub(super) async fn ask(
    connection: &Connection,
    work: &Work,
    request_id: String,
) -> Result<Vec<String>, Status> {
    let (name, reason) = (work.subject.name.clone(), work.reason.clone());
    let (validate_only, mut incidents) = (work.rehearse, connection.incidents());
    let text = |field| work.get(field).to_owned();
    // What every change carries, and the fields of this one; `..` where there are more.
    macro_rules! send {
        ($method:ident, $request:ident { $($field:ident: $value:expr),* $(, ..$rest:expr)? }) => {{
            let message =
                $request { $($field: $value,)* validate_only, request_id, reason, $(..$rest)? };
            incidents.$method(request(work, message)).await?.into_inner()
        }};
    }
    let is = match work.verb {
        Verb::Declare => send!(
            declare_incident,
            DeclareIncidentRequest {
                title: text(Field::Title),
                severity: graveness(work.get(Field::Severity)).into(),
                alert: if work.subject.kind == Kind::Alert { name } else { String::new() },
                ..DeclareIncidentRequest::default()
            }
        ),
        Verb::Triage | Verb::Mitigate | Verb::Resolve | Verb::Review | Verb::Reopen => send!(
            move_incident,
            MoveIncidentRequest {
                name: name,
                state: becoming(work.verb).into(),
                severity: graveness(work.get(Field::Severity)).into(),
                tenants: tenants(work),
                note: text(Field::Note),
                ..MoveIncidentRequest::default()
            }
        ),
        Verb::Assign => send!(
            assign_role,
            AssignRoleRequest {
                name: name,
                role: of_contract(role(work.get(Field::Role)).unwrap_or(Role::Commander)).into(),
                person: text(Field::Person)
            }
        ),
        Verb::Escalate => send!(escalate_incident, EscalateIncidentRequest { name: name }),
        Verb::Note => send!(
            add_note,
            AddNoteRequest { name: name, text: text(Field::Note), ..AddNoteRequest::default() }
        ),
        Verb::TellPublic => send!(
            add_note,
            AddNoteRequest {
                name: name,
                text: text(Field::Public),
                public: true,
                next_update: duration(work.get(Field::Next))
            }
        ),
        Verb::Merge => send!(
            merge_incident,
            MergeIncidentRequest { name: name, into: incident_name(work.get(Field::Into)) }
        ),
        Verb::AddTask => send!(
            add_action_item,
            AddActionItemRequest {
                name: name,
                text: text(Field::Task),
                owner: text(Field::Owner),
                due: text(Field::Due)
            }
        ),
        Verb::FinishTask => send!(
            complete_action_item,
            CompleteActionItemRequest {
                name: name,
                number: work.get(Field::Number).parse().unwrap_or_default()
            }
        ),
        _ => send!(acknowledge_incident, AcknowledgeIncidentRequest { name: name }),
    };
    Ok(vec![told(work, &is)])
}

/// Where a step of its life leads.
fn becoming(verb: Verb) -> IncidentState {
    match verb {
        Verb::Mitigate => IncidentState::Mitigated,
        Verb::Resolve => IncidentState::Resolved,
        Verb::Review => IncidentState::Reviewed,
        _ => IncidentState::Triaged,
    }
}

/// More tenants that it hits.
fn tenants(work: &Work) -> Vec<String> {
    let ids = work.get(Field::Tenants).split_whitespace();
    ids.map(|id| format!("tenants/{}", short(id))).collect()
}

/// What an incident is by a change, or would be.
pub(crate) fn told(work: &Work, incident: &v1::Incident) -> String {
    let id = short(&incident.name);
    let words = match work.verb {
        Verb::Assign => {
            let role = role(work.get(Field::Role)).map_or("", Role::as_str);
            let who = Some(work.get(Field::Person)).filter(|who| !who.is_empty());
            format!("{role} of {id}: {}", who.unwrap_or("nobody"))
        }
        Verb::Note => format!("noted in {id}: {}", work.get(Field::Note)),
        Verb::TellPublic => format!("customers read of {id}: {}", work.get(Field::Public)),
        Verb::Merge => format!("{} goes on in {id}", work.subject.id),
        Verb::AddTask | Verb::FinishTask => left_to_do(incident),
        _ => state_of(incident, work.rehearse),
    };
    becomes(words, work.rehearse)
}

fn state_of(incident: &v1::Incident, rehearsed: bool) -> String {
    let row = Incident::new(RegionIndex::default(), incident);
    // A rehearsal has no number.
    let id = if rehearsed || row.id.is_empty() { String::new() } else { format!("{} ", row.id) };
    let (severity, state) = (row.severity_word(), row.state_word());
    format!("{id}{severity} {state}, {}: {}", row.has_it(), row.title)
}

/// How many action items are open, of how many.
fn left_to_do(incident: &v1::Incident) -> String {
    let items = &incident.action_items;
    let open = items.iter().filter(|item| !item.done).count();
    format!("{}: {open} of {} action items open", short(&incident.name), items.len())
}

/// The name of an incident, which people write as `INC-7` or `7`.
pub(crate) fn incident_name(word: &str) -> String {
    let id = short(word).to_ascii_uppercase();
    let is_number = id.bytes().all(|byte| byte.is_ascii_digit());
    format!("incidents/{}{id}", if is_number { "INC-" } else { "" })
}

/// A severity of the contract.
pub(crate) fn graveness(word: &str) -> IncidentSeverity {
    match Severity::parse(word) {
        Some(Severity::P0) => IncidentSeverity::P0,
        Some(Severity::P1) => IncidentSeverity::P1,
        Some(Severity::P2) => IncidentSeverity::P2,
        Some(Severity::P3) => IncidentSeverity::P3,
        Some(Severity::P4) => IncidentSeverity::P4,
        None => IncidentSeverity::Unspecified,
    }
}

/// A role of the contract.
fn of_contract(role: Role) -> IncidentRole {
    match role {
        Role::Commander => IncidentRole::Commander,
        Role::Communications => IncidentRole::Communications,
        Role::Scribe => IncidentRole::Scribe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_is_named_as_people_write_it() {
        for word in ["7", "inc-7", "INC-7", "incidents/INC-7"] {
            assert_eq!(incident_name(word), "incidents/INC-7");
        }
    }
}
