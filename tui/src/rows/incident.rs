//! An incident: something that goes wrong, and who works on it.

use std::borrow::Cow;

use jiff::Timestamp;
use streamspace_client::text::escape;
use streamspace_core::filter::FieldValue;
use streamspace_proto::v1::{self, IncidentSeverity, IncidentState};

use super::{
    Column, Key, Look, Row, Scope, SortKey, Wellness, age_of, by_number, by_place, by_time,
    seconds, short,
};
use crate::{
    format::{count, instant, percent},
    state::{Question, RegionIndex},
};

/// So far apart are incidents of which one is graver, whenever they began.
const APART: i64 = 1 << 40;
/// After the open ones, however grave it was.
const CLOSED: i64 = 100;

/// One incident.
#[derive(Clone, Debug)]
pub(crate) struct Incident {
    key: Key,
    /// `INC-7`.
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) commander: String,
    pub(crate) since: Option<Timestamp>,
    /// How many tenants it hits.
    tenants: usize,
    /// How much of the budget that it hurt most it used, in millionths; none where that is
    /// not known.
    pub(crate) burned: Option<i64>,
    /// As the daemon has it: escape what is shown.
    pub(crate) whole: Box<v1::Incident>,
}

impl Incident {
    pub(crate) fn new(region: RegionIndex, incident: &v1::Incident) -> Self {
        let safe = |text: &str| escape(text).into_owned();
        Self {
            key: Key::new(region, "", &incident.name),
            id: safe(short(&incident.name)),
            title: safe(&incident.title),
            commander: safe(&incident.commander),
            since: instant(incident.declare_time.as_ref()),
            tenants: incident.tenants.len(),
            burned: None,
            whole: Box::new(incident.clone()),
        }
    }

    /// The same with what it cost so far.
    pub(crate) fn with_impact(mut self, impact: &v1::IncidentImpact) -> Self {
        self.burned = impact.budgets.iter().filter_map(|budget| budget.used_ppm).max();
        self.tenants = impact.tenants.len().max(self.tenants);
        self
    }

    /// The same, and what another one knew of what it costs.
    pub(crate) fn knowing(mut self, before: Option<&Self>) -> Self {
        if let Some(before) = before {
            self.burned = before.burned;
            self.tenants = self.tenants.max(before.tenants);
        }
        self
    }

    pub(crate) fn severity_word(&self) -> &'static str {
        match self.whole.severity() {
            IncidentSeverity::P0 => "P0",
            IncidentSeverity::P1 => "P1",
            IncidentSeverity::P2 => "P2",
            IncidentSeverity::P3 => "P3",
            IncidentSeverity::P4 => "P4",
            IncidentSeverity::Unspecified => "P?",
        }
    }

    pub(crate) fn state_word(&self) -> &'static str {
        Self::STATES.get(self.state()).copied().unwrap_or("unknown")
    }

    /// Whether it is open and gets people out of bed.
    pub(crate) fn pages(&self) -> bool {
        use IncidentSeverity::{P0, P1, P2};
        self.is_open() && matches!(self.whole.severity(), P0 | P1 | P2)
    }

    /// Whether somebody still works on it.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.whole.state(), IncidentState::Resolved | IncidentState::Reviewed)
    }

    /// Whether users are hurt by it.
    pub(crate) fn hurts(&self) -> bool {
        matches!(
            self.whole.state(),
            IncidentState::Unspecified | IncidentState::Declared | IncidentState::Triaged
        )
    }

    /// Who has it, in words.
    pub(crate) fn has_it(&self) -> String {
        match (&*self.commander, &*self.whole.acknowledged_by) {
            ("", "") => "nobody has it".into(),
            ("", who) => format!("{} has it", escape(who)),
            (who, _) => format!("{who} commands"),
        }
    }

    /// Whether anybody has it.
    pub(crate) fn is_taken(&self) -> bool {
        !(self.commander.is_empty() && self.whole.acknowledged_by.is_empty())
    }
}

impl Row for Incident {
    const NOUN: &'static str = "incident";
    const ASKED: Option<Question> = Some(Question::Incidents);
    const FIELDS: &'static [&'static str] = &[
        "name",
        "title",
        "severity",
        "state",
        "commander",
        "declared_by",
        "acknowledged_by",
        "age:integer",
    ];
    const ATTENTION: &'static str = "that hurt";
    const STATES: &'static [&'static str] =
        &["unknown", "declared", "triaged", "mitigated", "resolved", "reviewed"];
    const COLUMNS: &'static [Column<Self>] = &[
        Column::<Self>::left("INCIDENT", 9, 12, 0)
            .showing(|one, _| Cow::Borrowed(&one.id))
            .ordered(|one| SortKey::Text(&one.id)),
        Column::<Self>::left("SEVERITY", 8, 8, 2)
            .showing(|one, _| Cow::Borrowed(one.severity_word()))
            .ordered(|one| by_number(i32::from(one.whole.severity())))
            .looking(Look::Verdict),
        Column::<Self>::left("STATE", 9, 9, 2)
            .showing(|one, _| Cow::Borrowed(one.state_word()))
            .ordered(|one| by_place(one.state()))
            .looking(Look::Verdict),
        Column::<Self>::right("AGE", 6, 3)
            .showing(|one, now| age_of(one.since, now))
            .ordered(|one| by_time(one.since)),
        Column::<Self>::left("COMMANDER", 10, 20, 3)
            .showing(|one, _| {
                Cow::Borrowed(if one.commander.is_empty() { "nobody" } else { &one.commander })
            })
            .ordered(|one| SortKey::Text(&one.commander)),
        Column::<Self>::right("TENANTS", 7, 5)
            .showing(|one, _| Cow::Owned(count(one.tenants)))
            .ordered(|one| by_place(one.tenants)),
        Column::<Self>::right("BURNED", 9, 6)
            .showing(|one, _| one.burned.map_or(Cow::Borrowed(""), |ppm| Cow::Owned(percent(ppm))))
            .ordered(|one| SortKey::Number(one.burned)),
        Column::<Self>::left("TITLE", 20, u16::MAX, 4).showing(|one, _| Cow::Borrowed(&one.title)),
    ];

    fn key(&self) -> &Key {
        &self.key
    }

    fn wellness(&self) -> Wellness {
        match self.whole.severity() {
            _ if !self.is_open() => Wellness::Resting,
            _ if !self.hurts() => Wellness::Changing,
            IncidentSeverity::P0 | IncidentSeverity::P1 => Wellness::Failing,
            IncidentSeverity::P2 | IncidentSeverity::P3 => Wellness::Hindered,
            IncidentSeverity::P4 => Wellness::Well,
            IncidentSeverity::Unspecified => Wellness::Unknown,
        }
    }

    /// The open ones, of these the gravest, then what hurts, then what nobody has, then the newest.
    fn urgency(&self) -> i64 {
        let severity = match self.whole.severity() {
            IncidentSeverity::Unspecified => 0,
            known => i64::from(i32::from(known)),
        };
        let place = if self.is_open() {
            4 * severity + 2 * i64::from(!self.hurts()) + i64::from(self.is_taken())
        } else {
            CLOSED
        };
        let since = self.since.map_or(0, Timestamp::as_second);
        place * APART - since.clamp(0, APART - 1)
    }

    fn state(&self) -> usize {
        usize::try_from(i32::from(self.whole.state())).unwrap_or(0)
    }

    fn is_in(&self, scope: &Scope) -> bool {
        let is_it = |name: &String| short(name) == &*scope.tenant;
        self.key.region == scope.region && self.whole.tenants.iter().any(is_it)
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        [&*self.id, &self.title, &self.commander, self.severity_word(), self.state_word()]
            .into_iter()
    }

    fn field(&self, name: &str, now: Timestamp) -> Option<FieldValue> {
        let text = match name {
            "name" => short(&self.whole.name),
            "title" => &*self.whole.title,
            "severity" => self.severity_word(),
            "state" => self.state_word(),
            "commander" => &self.whole.commander,
            "declared_by" => &self.whole.declared_by,
            "acknowledged_by" => &self.whole.acknowledged_by,
            "age" => return seconds(self.since, now),
            _ => return None,
        };
        Some(FieldValue::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::time;

    #[test]
    fn the_gravest_is_first_and_of_these_what_hurts_and_nobody_has() {
        use IncidentSeverity::{P0, P1, P3};
        use IncidentState::{Declared, Mitigated, Resolved, Reviewed, Triaged};
        let urgency = |severity: IncidentSeverity, state: IncidentState, who: &str, at: i64| {
            let incident = v1::Incident {
                severity: severity.into(),
                state: state.into(),
                commander: who.into(),
                declare_time: time(at),
                ..v1::Incident::default()
            };
            Incident::new(RegionIndex(0), &incident).urgency()
        };
        let ordered = [
            urgency(P0, Mitigated, "ops-1", 1),
            urgency(P1, Declared, "", 200),
            urgency(P1, Declared, "", 100),
            urgency(P1, Triaged, "ops-2", 300),
            urgency(P1, Mitigated, "", 400),
            urgency(P3, Declared, "", i64::MAX),
            urgency(P3, Reviewed, "", 400),
            urgency(P0, Resolved, "", 300),
        ];
        assert!(ordered.is_sorted(), "{ordered:?}");
    }
}
