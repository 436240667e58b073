//! The incidents of the story: one of the first region that is old, and one of the second that
//! begins when it gets slow; and what somebody does to them, or declares.

use streamspace_client::parse_duration;
use streamspace_core::incident::{
    IncidentId, Role, Severity,
    lifecycle::State,
    post_mortem::{self, Burned, PostMortem},
};
use streamspace_proto::v1::{
    ActionItem, BudgetImpact, Incident, IncidentImpact, IncidentSeverity, IncidentState,
    TenantImpact, TimelineEntry,
};

use super::{script::SLOW, time};
use crate::{
    actions::{Field, Given, Verb, Work, role},
    format::instant,
    rows::short,
    state::{IncidentDetail, RegionIndex},
    trouble::Trouble,
    work::{graveness, incident_name, incident_told},
};

/// So long after a region got slow an incident is declared, and so long after that somebody
/// has it.
const DECLARED: i64 = 10;
const TAKEN: i64 = 93;
/// Who looks.
const ME: &str = "ops-1";

/// What somebody did to an incident, and when.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    region: RegionIndex,
    name: String,
    verb: Verb,
    given: Given,
    second: i64,
}

impl Deed {
    fn of(work: &Work, second: i64) -> Self {
        Self {
            region: work.subject.region,
            name: work.subject.name.clone(),
            verb: work.verb,
            given: work.given.clone(),
            second,
        }
    }

    /// The name of the incident that it declares.
    fn declares(&self, place: usize) -> Option<String> {
        (self.verb == Verb::Declare).then(|| format!("incidents/INC-{}", 301 + place))
    }

    fn get(&self, field: Field) -> String {
        self.given.get(field).to_owned()
    }

    fn role(&self) -> Role {
        role(self.given.get(Field::Role)).unwrap_or(Role::Commander)
    }

    /// What the timeline keeps of it.
    fn entry(&self) -> TimelineEntry {
        let (kind, text) = match self.verb {
            Verb::Declare => ("declared", self.get(Field::Title)),
            Verb::AcknowledgeIncident => ("acknowledged", format!("{ME} commands")),
            Verb::Triage => {
                ("triaged", format!("{} {}", self.get(Field::Severity), self.get(Field::Note)))
            }
            Verb::Assign => {
                ("role", format!("{}: {}", self.role().as_str(), self.get(Field::Person)))
            }
            Verb::Escalate => ("paged", "the next level: ops-3".to_owned()),
            Verb::TellPublic => ("public", self.get(Field::Public)),
            Verb::Mitigate => ("mitigated", self.get(Field::Note)),
            Verb::Resolve => ("resolved", self.get(Field::Note)),
            Verb::Reopen => ("reopened", self.get(Field::Note)),
            Verb::Merge => ("merged", format!("goes on in {}", self.get(Field::Into))),
            Verb::AddTask => ("action", self.get(Field::Task)),
            Verb::FinishTask => ("action", format!("{} is done", self.get(Field::Number))),
            Verb::Review => ("reviewed", self.get(Field::Note)),
            _ => ("note", self.get(Field::Note)),
        };
        entry(self.second, ME, kind, text.trim())
    }
}

fn entry(second: i64, actor: &str, kind: &str, text: &str) -> TimelineEntry {
    TimelineEntry {
        time: time(second),
        actor: actor.into(),
        kind: kind.into(),
        text: text.into(),
        ..TimelineEntry::default()
    }
}

/// The incidents of a region, after what was done to them: the open ones first.
pub(super) fn incidents(region: RegionIndex, second: i64, deeds: &[Deed]) -> Vec<Incident> {
    let mut incidents = begun(region, second);
    for (place, deed) in deeds.iter().enumerate().filter(|(_, deed)| deed.region == region) {
        if let Some(name) = deed.declares(place) {
            incidents.push(Incident {
                name,
                title: deed.get(Field::Title),
                severity: graveness(deed.given.get(Field::Severity)).into(),
                state: IncidentState::Declared.into(),
                declared_by: ME.into(),
                declare_time: time(deed.second),
                ..Incident::default()
            });
        }
        if let Some(incident) = incidents.iter_mut().find(|it| it.name == deed.name) {
            happens(incident, deed);
        }
    }
    incidents.sort_by_key(|it| (it.state() >= IncidentState::Resolved, i32::from(it.severity())));
    incidents
}

fn happens(incident: &mut Incident, deed: &Deed) {
    match deed.verb {
        Verb::AcknowledgeIncident => {
            incident.acknowledged_by = ME.into();
            incident.acknowledge_time = time(deed.second);
            incident.commander = ME.into();
            incident.next_page_time = None;
        }
        Verb::Triage => {
            incident.state = IncidentState::Triaged.into();
            incident.severity = graveness(deed.given.get(Field::Severity)).into();
            let tenants = deed.given.get(Field::Tenants).split_whitespace();
            for tenant in tenants.map(|id| format!("tenants/{id}")) {
                if !incident.tenants.contains(&tenant) {
                    incident.tenants.push(tenant);
                }
            }
        }
        Verb::Assign => {
            let person = match deed.role() {
                Role::Commander => &mut incident.commander,
                Role::Communications => &mut incident.communications,
                Role::Scribe => &mut incident.scribe,
            };
            *person = deed.get(Field::Person);
        }
        Verb::Escalate => incident.levels_paged += 1,
        Verb::TellPublic => {
            let next = parse_duration(deed.given.get(Field::Next)).ok();
            let next = next.and_then(|next| i64::try_from(next.as_secs()).ok());
            incident.next_update_time = next.and_then(|next| time(deed.second + next));
        }
        Verb::Mitigate => {
            incident.state = IncidentState::Mitigated.into();
            incident.mitigate_time = time(deed.second);
        }
        Verb::Resolve | Verb::Merge => {
            incident.state = IncidentState::Resolved.into();
            incident.resolve_time = time(deed.second);
            (incident.next_page_time, incident.next_update_time) = (None, None);
            if deed.verb == Verb::Merge {
                incident.merged_into = incident_name(deed.given.get(Field::Into));
            }
        }
        Verb::Reopen => {
            incident.state = IncidentState::Triaged.into();
            (incident.mitigate_time, incident.resolve_time) = (None, None);
        }
        Verb::AddTask => {
            let number = i32::try_from(incident.action_items.len() + 1).unwrap_or(i32::MAX);
            incident.action_items.push(ActionItem {
                number,
                text: deed.get(Field::Task),
                owner: deed.get(Field::Owner),
                due: deed.get(Field::Due),
                done: false,
            });
        }
        Verb::FinishTask => {
            let number: i32 = deed.given.get(Field::Number).parse().unwrap_or_default();
            let item = incident.action_items.iter_mut().find(|item| item.number == number);
            if let Some(item) = item {
                item.done = true;
            }
        }
        Verb::Review => {
            incident.state = IncidentState::Reviewed.into();
            incident.review_time = time(deed.second);
        }
        _ => {}
    }
}

/// Those of the story.
fn begun(region: RegionIndex, second: i64) -> Vec<Incident> {
    let names = |ids: &[&str]| ids.iter().map(|id| format!("tenants/{id}")).collect();
    let todo = |number: i32, text: &str, owner: &str, due: &str, done: bool| ActionItem {
        number,
        text: text.into(),
        owner: owner.into(),
        due: due.into(),
        done,
    };
    match region.0 {
        0 => vec![Incident {
            name: "incidents/INC-212".into(),
            title: "Nodes are full: new sessions wait for minutes".into(),
            severity: IncidentSeverity::P2.into(),
            state: IncidentState::Triaged.into(),
            commander: "ops-2".into(),
            scribe: "finn".into(),
            tenants: names(&["kestrel-bank", "umbra-labs"]),
            slos: vec!["slos/api-availability-business".into()],
            declared_by: "ops-2".into(),
            declare_time: time(-2_400),
            acknowledged_by: "ops-2".into(),
            acknowledge_time: time(-2_400),
            next_update_time: time(900),
            action_items: vec![
                todo(1, "Alert before the nodes are full", "ops-2", "2026-12-04", false),
                todo(2, "Order two more nodes", "finn", "", true),
            ],
            ..Incident::default()
        }],
        1 if (SLOW.start + DECLARED..SLOW.end + 200).contains(&second) => {
            let taken = second >= SLOW.start + DECLARED + TAKEN;
            let who = |who: &str| if taken { who.to_owned() } else { String::new() };
            vec![Incident {
                name: "incidents/INC-97".into(),
                title: "Sessions do not start: images cannot be pulled".into(),
                severity: IncidentSeverity::P1.into(),
                state: if taken { IncidentState::Triaged } else { IncidentState::Declared }.into(),
                commander: who("ops-2"),
                tenants: names(&["acme-corp", "kestrel-bank", "northwind", "fjord-media"]),
                slos: vec!["slos/session-start".into()],
                alerts: vec!["alerts/019ab2f0-5d17-7f4e-a6b0-90c1d2e3f405".into()],
                declared_by: "streamspaced".into(),
                declare_time: time(SLOW.start + DECLARED),
                acknowledged_by: who("ops-2"),
                acknowledge_time: time(SLOW.start + DECLARED + TAKEN).filter(|_| taken),
                levels_paged: 1,
                next_page_time: time(SLOW.start + DECLARED + 300).filter(|_| !taken),
                ..Incident::default()
            }]
        }
        _ => Vec::new(),
    }
}

/// Whom an incident hits, and what it cost so far.
pub(super) fn impact(incident: &Incident, second: i64) -> IncidentImpact {
    let tenant = |(place, name): (i32, &String)| TenantImpact {
        tenant: name.clone(),
        plan: if place % 2 == 0 { "plans/business" } else { "plans/enterprise" }.into(),
        sessions: 31 - 7 * place,
    };
    let since = incident.declare_time.map_or(0, |time| time.seconds - super::BEGIN);
    let minutes = (second - since).max(0) / 60 + 1;
    let budget = |slo: &String| BudgetImpact {
        slo: slo.clone(),
        total: 43 * minutes,
        bad: 17 * minutes,
        used_ppm: Some(16_400 * minutes.min(40)),
        ..BudgetImpact::default()
    };
    IncidentImpact {
        name: incident.name.clone(),
        start_time: incident.declare_time,
        end_time: time(second),
        tenants: (0..).zip(&incident.tenants).map(tenant).collect(),
        budgets: incident.slos.iter().map(budget).collect(),
    }
}

/// All about one.
pub(super) fn detail(
    region: RegionIndex,
    name: &str,
    second: i64,
    deeds: &[Deed],
) -> IncidentDetail {
    let incident = incidents(region, second, deeds).into_iter().find(|it| it.name == name);
    let mut entries = told(name, second);
    for (place, deed) in deeds.iter().enumerate().filter(|(_, deed)| deed.region == region) {
        if deed.name == name || deed.declares(place).as_deref() == Some(name) {
            entries.push(deed.entry());
        }
    }
    let impact = incident.as_ref().map(|incident| impact(incident, second));
    IncidentDetail { incident, entries, truncated: false, impact }
}

/// What happened without whoever looks.
fn told(name: &str, second: i64) -> Vec<TimelineEntry> {
    let begin = SLOW.start;
    let mut entries = match short(name) {
        "INC-212" => vec![
            entry(-3_900, "deploy", "before", "ChangeTenants tenants/-: nightly apply of main"),
            entry(-2_400, "ops-2", "declared", "P2, new sessions wait for minutes"),
            entry(-2_380, "ops-2", "role", "scribe: finn"),
            entry(-2_100, "finn", "note", "12 of 12 nodes are full; two are ordered"),
            entry(-1_200, "ops-2", "public", "Some sessions start slowly. We add room."),
            entry(-12, "ops-2", "change", "ChangeSessions tenants/kestrel-bank: 64 hibernate"),
        ],
        "INC-97" => vec![
            entry(begin - 240, "deploy", "before", "UpdateTemplate templates/vscode: image 4.96"),
            entry(
                begin + 8,
                "streamspaced",
                "alert",
                "session-start (98 %) burned its error budget 21.3 times too fast over 1h",
            ),
            entry(begin + DECLARED, "streamspaced", "declared", "P1, for the alert"),
            entry(
                begin + DECLARED + 1,
                "streamspaced",
                "paged",
                "level 1: ops-2, then in 5m ops-3",
            ),
            entry(begin + DECLARED + TAKEN, "ops-2", "acknowledged", "ops-2 commands"),
            entry(begin + 70, "ops-1", "change", "CordonTenant tenants/acme-corp"),
        ],
        _ => Vec::new(),
    };
    let now = time(second).map(|time| time.seconds);
    entries.retain(|entry| entry.time.map(|time| time.seconds) <= now);
    entries.sort_by_key(|entry| entry.time.map(|time| time.seconds));
    entries
}

/// Does what is asked for, where it is no rehearsal, and tells what that is.
pub(super) fn work(
    work: &Work,
    second: i64,
    deeds: &mut Vec<Deed>,
) -> Result<Vec<String>, Trouble> {
    let region = work.subject.region;
    let deed = Deed::of(work, second);
    if work.verb == Verb::AcknowledgeIncident {
        let known = incidents(region, second, deeds);
        let who = known.into_iter().find(|it| it.name == deed.name).map(|it| it.acknowledged_by);
        if let Some(who) = who.filter(|who| !["", ME].contains(&who.as_str())) {
            let words = format!("{who} has it in hand already: speak to them");
            return Err(Trouble { refused: true, ..Trouble::new(&words) });
        }
    }
    let mut tried = deeds.clone();
    tried.push(deed);
    let place = tried.len() - 1;
    let name = match work.verb {
        Verb::Declare => tried.last().and_then(|deed| deed.declares(place)).unwrap_or_default(),
        Verb::Merge => incident_name(work.get(Field::Into)),
        _ => work.subject.name.clone(),
    };
    let known = incidents(region, second, &tried);
    let Some(incident) = known.iter().find(|it| it.name == name) else {
        return Err(Trouble::new(&format!("there is no incident {}", short(&name))));
    };
    if !work.rehearse {
        *deeds = tried;
    }
    Ok(vec![incident_told(work, incident)])
}

/// The post-mortem of an incident, as a daemon writes it.
pub(super) fn post_mortem(region: RegionIndex, name: &str, second: i64, deeds: &[Deed]) -> String {
    let IncidentDetail { incident: Some(incident), entries, impact, .. } =
        detail(region, name, second, deeds)
    else {
        return String::new();
    };
    let at = |time: Option<&prost_types::Timestamp>| instant(time);
    let declared = at(incident.declare_time.as_ref()).unwrap_or_default();
    let impact = impact.unwrap_or_default();
    let whole = |number: i64| u64::try_from(number).unwrap_or(0);
    let roles = [&incident.commander, &incident.communications, &incident.scribe];
    let page = PostMortem {
        id: match IncidentId::from_name(name) {
            Ok(id) => id,
            Err(_) => return String::new(),
        },
        title: incident.title.clone(),
        severity: Severity::ALL
            .into_iter()
            .find(|it| graveness(it.as_str()) == incident.severity())
            .unwrap_or(Severity::P2),
        state: match incident.state() {
            IncidentState::Mitigated => State::Mitigated,
            IncidentState::Resolved => State::Resolved,
            IncidentState::Reviewed => State::Reviewed,
            IncidentState::Triaged => State::Triaged,
            _ => State::Declared,
        },
        start: declared,
        declared,
        declared_by: incident.declared_by.clone(),
        acknowledged: at(incident.acknowledge_time.as_ref())
            .map(|time| (time, incident.acknowledged_by.clone())),
        mitigated: at(incident.mitigate_time.as_ref()),
        resolved: at(incident.resolve_time.as_ref()),
        roles: Role::ALL
            .into_iter()
            .zip(roles)
            .filter(|(_, person)| !person.is_empty())
            .map(|(role, person)| (role.as_str(), person.clone()))
            .collect(),
        tenants: impact
            .tenants
            .iter()
            .map(|it| (short(&it.tenant).to_owned(), short(&it.plan).to_owned()))
            .collect(),
        budgets: impact
            .budgets
            .iter()
            .map(|it| Burned {
                name: short(&it.slo).to_owned(),
                total: whole(it.total),
                bad: whole(it.bad),
                used_ppm: it.used_ppm,
            })
            .collect(),
        timeline: entries
            .into_iter()
            .filter_map(|it| {
                let text = format!("{} {}", it.kind, it.text);
                Some((at(it.time.as_ref())?, it.actor, text))
            })
            .collect(),
        actions: incident
            .action_items
            .iter()
            .map(|item| post_mortem::Action {
                text: item.text.clone(),
                owner: item.owner.clone(),
                due: item.due.clone(),
                is_done: item.done,
            })
            .collect(),
    };
    page.to_markdown()
}
