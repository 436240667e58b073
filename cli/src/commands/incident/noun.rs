//! What is shown of an incident.

use jiff::Timestamp;
use streamspace_proto::v1::{
    Alert, EscalationPolicy, Incident, IncidentSeverity, IncidentState, Slo, Tenant,
};

use crate::{
    output::{Cell, Column, Tone},
    resource::{Noun, short, word},
    time::{age, local, remaining},
};

/// `INC-7`.
pub(crate) fn id(name: &str) -> &str {
    short(Incident::PREFIX, name)
}

/// The full name of what was typed: `INC-7`, `inc-7` or `7`.
pub(super) fn full(typed: &str) -> String {
    let typed = short(Incident::PREFIX, typed);
    let is_number = !typed.is_empty() && typed.bytes().all(|byte| byte.is_ascii_digit());
    match typed.get(..4) {
        _ if is_number => format!("{}INC-{typed}", Incident::PREFIX),
        Some(word) if word.eq_ignore_ascii_case("INC-") => {
            format!("{}{}", Incident::PREFIX, typed.to_ascii_uppercase())
        }
        _ => format!("{}{typed}", Incident::PREFIX),
    }
}

/// What became of an incident, in a line.
pub(super) fn line(incident: &Incident) -> String {
    let is_over = incident.resolve_time.is_some();
    let who = match incident.acknowledged_by.as_str() {
        _ if is_over => String::new(),
        "" => ", nobody has it".to_owned(),
        who => format!(", {who} has it"),
    };
    let state = state_word(incident.state());
    format!("{} is {state}{who}: {}", id(&incident.name), incident.title)
}

/// `P1`.
pub(crate) fn severity_word(severity: IncidentSeverity) -> String {
    word("INCIDENT_SEVERITY_", severity.as_str_name()).to_ascii_uppercase()
}

/// `mitigated`.
fn state_word(state: IncidentState) -> String {
    word("INCIDENT_STATE_", state.as_str_name())
}

impl Noun for Incident {
    const PLURAL: &'static str = "incidents";
    const PREFIX: &'static str = "incidents/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |incident: &Self, _| id(&incident.name).into()),
            Column::new("SEVERITY", |incident, _| severity(incident)),
            Column::new("STATE", |incident, _| state(incident)),
            Column::new("HAS IT", |incident, _| who(incident)),
            Column::new("AGE", |incident, now| age(incident.declare_time.as_ref(), now).into()),
            Column::new("TENANTS", |incident, _| incident.tenants.len().to_string().into()),
            Column::new("TITLE", |incident, _| incident.title.clone().into()),
            Column::wide("NEXT PAGE", |incident, now| {
                remaining(incident.next_page_time.as_ref(), now).into()
            }),
            Column::wide("NEXT UPDATE", |incident, now| {
                remaining(incident.next_update_time.as_ref(), now).into()
            }),
            Column::wide("DECLARED BY", |incident, _| incident.declared_by.clone().into()),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, Cell)> {
        let names = |prefix: &str, names: &[String]| -> Cell {
            names.iter().map(|name| short(prefix, name)).collect::<Vec<_>>().join(", ").into()
        };
        let at = |time: &Option<prost_types::Timestamp>| -> Cell { local(time.as_ref()).into() };
        let declared = format!("{} by {}", local(self.declare_time.as_ref()), self.declared_by);
        let next_page = match self.next_page_time {
            Some(_) => format!("in {}", remaining(self.next_page_time.as_ref(), now)),
            None => String::new(),
        };
        let mut pairs = vec![
            ("Name", id(&self.name).into()),
            ("Title", self.title.clone().into()),
            ("Severity", severity(self)),
            ("State", state(self)),
            ("Has it", who(self)),
            ("Commander", self.commander.clone().into()),
            ("Communications", self.communications.clone().into()),
            ("Scribe", self.scribe.clone().into()),
            ("Tenants", names(Tenant::PREFIX, &self.tenants)),
            ("SLOs", names(Slo::PREFIX, &self.slos)),
            ("Alerts", names(Alert::PREFIX, &self.alerts)),
            ("Declared", declared.into()),
            ("Acknowledged", at(&self.acknowledge_time)),
            ("Mitigated", at(&self.mitigate_time)),
            ("Resolved", at(&self.resolve_time)),
            ("Reviewed", at(&self.review_time)),
            ("Joined to", id(&self.merged_into).into()),
            ("Policy", short(EscalationPolicy::PREFIX, &self.escalation_policy).into()),
            ("Levels paged", self.levels_paged.into()),
            ("Next page", next_page.into()),
            ("Next update", remaining(self.next_update_time.as_ref(), now).into()),
            ("To do", actions(self).into()),
        ];
        pairs.retain(|(_, cell): &(_, Cell)| !cell.text.is_empty());
        pairs
    }
}

fn actions(incident: &Incident) -> String {
    let line = |item: &streamspace_proto::v1::ActionItem| {
        let mut line = format!("{} {}", item.number, item.text);
        for (before, text) in [(", ", &item.owner), (", by ", &item.due)] {
            if !text.is_empty() {
                line = line + before + text;
            }
        }
        if item.done { format!("{line} (done)") } else { line }
    };
    incident.action_items.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn severity(incident: &Incident) -> Cell {
    let tone = match incident.severity() {
        IncidentSeverity::P0 | IncidentSeverity::P1 => Tone::Bad,
        IncidentSeverity::P2 => Tone::Doubtful,
        _ => Tone::Plain,
    };
    Cell::toned(severity_word(incident.severity()), tone)
}

fn state(incident: &Incident) -> Cell {
    let tone = match incident.state() {
        IncidentState::Declared | IncidentState::Triaged => Tone::Bad,
        IncidentState::Mitigated => Tone::Doubtful,
        _ => Tone::Plain,
    };
    Cell::toned(state_word(incident.state()), tone)
}

fn who(incident: &Incident) -> Cell {
    match incident.acknowledged_by.as_str() {
        "" if incident.resolve_time.is_none() => Cell::toned("nobody", Tone::Bad),
        who => who.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_is_typed_in_several_ways() {
        for typed in ["7", "inc-7", "INC-7", "incidents/INC-7", "incidents/7"] {
            assert_eq!(full(typed), "incidents/INC-7", "{typed}");
        }
        assert_eq!(full(""), "incidents/");
    }
}
