//! The incidents of the story: one of the first region that is old, and one of the second that
//! begins when it gets slow; and what somebody does to them, or declares.

use streamspace_proto::v1::{
    ActionItem, BudgetImpact, Incident, IncidentImpact, IncidentSeverity, IncidentState,
    TenantImpact, TimelineEntry,
};

use super::{script::SLOW, time};
use crate::{
    actions::{Verb, Work, severity},
    rows::short,
    state::{IncidentDetail, RegionIndex},
    trouble::Trouble,
};

/// So long after a region got slow an incident is declared, and so long after that somebody
/// has it.
const DECLARED: i64 = 10;
const TAKEN: i64 = 93;
/// Who looks.
const ME: &str = "ops-1";

/// What somebody did to an incident: where, to which, what, with which words, when.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    region: RegionIndex,
    name: String,
    verb: Verb,
    words: String,
    severity: IncidentSeverity,
    second: i64,
}

impl Deed {
    pub(super) fn of(work: &Work, second: i64) -> Self {
        let words = if work.verb == Verb::Declare { &work.title } else { &work.note };
        let grave = severity(&work.severity).and_then(|place| i32::try_from(place + 1).ok());
        let grave = grave.and_then(|place| IncidentSeverity::try_from(place).ok());
        Self {
            region: work.subject.region,
            name: work.subject.name.clone(),
            verb: work.verb,
            words: words.clone(),
            severity: grave.unwrap_or_default(),
            second,
        }
    }

    /// The name of the incident that it declares.
    fn declares(&self, place: usize) -> Option<String> {
        (self.verb == Verb::Declare).then(|| format!("incidents/INC-{}", 301 + place))
    }

    fn entry(&self, kind: &str) -> TimelineEntry {
        entry(self.second, ME, kind, &self.words)
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

/// The open incidents of a region, after what was done to them.
pub(super) fn incidents(region: RegionIndex, second: i64, deeds: &[Deed]) -> Vec<Incident> {
    let mut incidents = begun(region, second);
    for (place, deed) in deeds.iter().enumerate().filter(|(_, deed)| deed.region == region) {
        if let Some(name) = deed.declares(place) {
            incidents.push(Incident {
                name,
                title: deed.words.clone(),
                severity: deed.severity.into(),
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
    incidents.retain(|it| it.state() != IncidentState::Resolved);
    incidents.sort_by_key(|it| i32::from(it.severity()));
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
        Verb::Mitigate => {
            incident.state = IncidentState::Mitigated.into();
            incident.mitigate_time = time(deed.second);
        }
        Verb::Resolve => incident.state = IncidentState::Resolved.into(),
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
        let kind = match deed.verb {
            Verb::Declare if deed.declares(place).as_deref() == Some(name) => "declared",
            _ if deed.name != name => continue,
            Verb::AcknowledgeIncident => "acknowledged",
            Verb::Mitigate => "mitigated",
            Verb::Resolve => "resolved",
            _ => "note",
        };
        entries.push(deed.entry(kind));
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
    let id = short(&work.subject.name);
    let words = match work.verb {
        Verb::Declare => format!("{} declared, nobody has it: {}", work.severity, work.title),
        Verb::AcknowledgeIncident => format!("{id}, {ME} commands"),
        Verb::Mitigate => format!("{id} mitigated"),
        Verb::Resolve => format!("{id} resolved"),
        _ => format!("noted in {id}: {}", work.note),
    };
    if work.rehearse {
        return Ok(vec![format!("it would be: {words}")]);
    }
    deeds.push(deed);
    Ok(vec![words])
}
