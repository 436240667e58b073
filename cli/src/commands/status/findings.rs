//! What a region's answers mean: what needs a person, and what is worth knowing. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use streamspace_proto::v1::Tenant;

use super::Told;
use crate::resource::word;
use found::Found;

mod found;

/// So many of a kind are told one by one.
const EACH: usize = 10;

/// One thing that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Finding {
    /// Of what kind it is, in one word.
    pub(super) kind: &'static str,
    /// Whether somebody must do something.
    pub(super) needs: bool,
    /// The full name of what it is about; empty where it has none.
    pub(super) name: String,
    /// One word for programs; empty where there is none.
    pub(super) reason: String,
    /// A sentence for people.
    pub(super) message: String,
    /// Since when.
    pub(super) since: Option<Timestamp>,
    /// A command that looks closer, or does something about it.
    pub(super) next: String,
}

/// How a region is.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) region: String,
    /// What needs a person.
    pub(super) needs: Vec<Finding>,
    /// What is worth knowing.
    pub(super) notes: Vec<Finding>,
    /// How many tenants are in which state; none where they were not read.
    pub(super) tenants: Option<BTreeMap<String, usize>>,
    pub(super) leader: String,
    pub(super) operator: String,
    pub(super) role: String,
    /// Parts that the role may not read.
    pub(super) not_for_the_role: Vec<&'static str>,
}

impl Report {
    /// The region in one line.
    pub(super) fn brief(&self) -> String {
        let mut parts = Vec::new();
        if let Some(states) = &self.tenants {
            let total: usize = states.values().sum();
            let each: Vec<_> =
                states.iter().map(|(state, count)| format!("{count} {state}")).collect();
            parts.push(match (total, each.as_slice()) {
                (0, _) => "no tenants".to_owned(),
                (1, [one]) => format!("1 tenant, {}", one.trim_start_matches("1 ")),
                (_, [_]) => format!("{} tenants", each.join(", ")),
                _ => format!("{total} tenants ({})", each.join(", ")),
            });
        }
        if !self.leader.is_empty() {
            parts.push(format!("{} leads", self.leader));
        }
        if !self.operator.is_empty() {
            parts.push(format!("you are {}, {}", self.operator, self.role));
        }
        parts.join("; ")
    }

    /// Everything, what needs a person first.
    pub(super) fn all(self) -> Vec<Finding> {
        self.needs.into_iter().chain(self.notes).collect()
    }
}

/// A time as the contract has it.
pub(super) fn wire(time: Option<Timestamp>) -> Option<prost_types::Timestamp> {
    time.map(|time| prost_types::Timestamp {
        seconds: time.as_second(),
        nanos: time.subsec_nanosecond(),
    })
}

/// What a region's answers mean.
pub(super) fn report(told: &Told, now: Timestamp) -> Report {
    let mut found = Found::new(now);
    found.region(&told.region);
    let who = found.part("who you are", &told.who);
    let operator = who.map(|who| who.operator.clone()).unwrap_or_default();
    let tenants = found.part("tenants", &told.tenants);
    if let Some(tenants) = tenants {
        found.tenants(tenants);
    }
    found.credential(told.own_end);
    if let Some(certificates) = found.part("certificates of others", &told.certificates) {
        found.certificates(certificates, told.own_end);
    }
    if let Some(approvals) = found.part("approvals", &told.approvals) {
        found.approvals(approvals, &operator);
    }
    if let Some(grants) = found.part("break-glass grants", &told.grants) {
        found.grants(grants);
    }
    if let Some(operations) = found.part("operations", &told.operations) {
        found.operations(operations);
    }
    if let Some(locks) = found.part("locks", &told.locks) {
        found.locks(locks);
    }
    if let Some(Some(metering)) = found.part("metering", &told.metering) {
        found.metering(metering);
    }
    if let Some(failed) = found.part("sessions", &told.failed) {
        found.sessions(failed);
    }
    if let Some(budgets) = found.part("budgets", &told.budgets) {
        found.budgets(budgets);
    }
    let incidents = found.part("incidents", &told.incidents).map_or(&[][..], Vec::as_slice);
    found.incidents(incidents);
    if let Some(alerts) = found.part("alerts", &told.alerts) {
        found.alerts(alerts, incidents);
    }
    let Found { findings, not_for_the_role, .. } = found;
    let (needs, notes): (Vec<_>, Vec<_>) = findings.into_iter().partition(|it| it.needs);
    let leader = told.region.leader.as_ref();
    Report {
        region: told.region.name.clone(),
        needs: bounded(&needs),
        notes: bounded(&notes),
        tenants: tenants.map(|tenants| states(tenants)),
        leader: leader.map(|leader| leader.replica.clone()).unwrap_or_default(),
        role: who.map(|who| who.role_name.clone()).unwrap_or_default(),
        operator,
        not_for_the_role,
    }
}

/// A screen has no room for a hundred of a kind: the first ones, and how many more.
fn bounded(findings: &[Finding]) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::new();
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for finding in findings {
        let count = counts.entry(finding.kind).or_default();
        *count += 1;
        if *count <= EACH {
            kept.push(finding.clone());
        }
    }
    for (kind, count) in counts.into_iter().filter(|(_, count)| *count > EACH) {
        let at = kept.iter().rposition(|finding| finding.kind == kind).map_or(0, |at| at + 1);
        let needs = kept.iter().any(|finding| finding.kind == kind && finding.needs);
        let more = Finding {
            kind,
            needs,
            message: format!("and {} more like these", count - EACH),
            ..Finding::default()
        };
        kept.insert(at, more);
    }
    kept
}

fn states(tenants: &[Tenant]) -> BTreeMap<String, usize> {
    let mut states = BTreeMap::new();
    for tenant in tenants {
        *states.entry(word("TENANT_STATE_", tenant.state().as_str_name())).or_default() += 1;
    }
    states
}

#[cfg(test)]
mod tests;
