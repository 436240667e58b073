//! What budgets, alerts and incidents need of a person.

use streamspace_proto::v1::{Alert, Budget, BudgetState, Incident, Slo, Tenant};

use super::{Finding, Found};
use crate::{
    commands::{
        alert,
        incident::severity_word,
        slo::{amounts::percent, state_word},
    },
    resource::{Noun as _, short},
    time::instant,
};

impl Found {
    /// Budgets that page, that are exhausted, and of which nothing is known.
    pub(in super::super) fn budgets(&mut self, budgets: &[Budget]) {
        for budget in budgets {
            let left = percent(budget.remaining_ppm);
            let what = match budget.state() {
                BudgetState::Page => format!("burns so that somebody is paged; {left} left"),
                BudgetState::Exhausted => format!("is exhausted: {left} left"),
                BudgetState::NoData => "has no data: nothing can be said of it".to_owned(),
                BudgetState::Ok | BudgetState::Ticket | BudgetState::Unspecified => continue,
            };
            let slo = short(Slo::PREFIX, &budget.slo);
            let (of, flag) = match short(Tenant::PREFIX, &budget.tenant) {
                "" => (String::new(), String::new()),
                tenant => (format!(" of {tenant}"), format!(" --tenant {tenant}")),
            };
            self.needs(Finding {
                kind: "budget",
                name: budget.slo.clone(),
                reason: state_word(budget.state()),
                message: format!("the budget{of} {what}"),
                since: instant(budget.exhaust_time.as_ref()),
                next: format!("ssctl slo show {slo}{flag}"),
                ..Finding::default()
            });
        }
    }

    /// What fires and nobody has.
    /// Those of an open incident are told with it.
    pub(in super::super) fn alerts(&mut self, alerts: &[Alert], incidents: &[Incident]) {
        let is_told = |one: &Alert| incidents.iter().any(|it| it.alerts.contains(&one.name));
        for one in alerts.iter().filter(|one| alert::is_open(one) && !is_told(one)) {
            let id = short(Alert::PREFIX, &one.name);
            self.needs(Finding {
                kind: "alert",
                name: one.name.clone(),
                reason: one.kind.clone(),
                message: format!("{}: {}", alert::kind(one), one.summary),
                since: instant(one.start_time.as_ref()),
                next: format!("ssctl alert ack {id}"),
                ..Finding::default()
            });
        }
    }

    pub(in super::super) fn incidents(&mut self, incidents: &[Incident]) {
        for one in incidents {
            let id = short(Incident::PREFIX, &one.name);
            let is_late =
                instant(one.next_update_time.as_ref()).is_some_and(|time| time < self.now);
            let severity = severity_word(one.severity());
            let who = &one.acknowledged_by;
            let (message, next) = match who.as_str() {
                "" => (
                    format!("{severity}, nobody has it: {}", one.title),
                    format!("ssctl incident ack {id}"),
                ),
                _ if is_late => (
                    format!("{severity}, customers wait for an update: {}", one.title),
                    format!("ssctl incident update {id} TEXT --public"),
                ),
                who => (
                    format!("{severity}, {who} has it: {}", one.title),
                    format!("ssctl incident show {id}"),
                ),
            };
            let finding = Finding {
                kind: "incident",
                name: one.name.clone(),
                reason: severity,
                message,
                since: instant(one.declare_time.as_ref()),
                next,
                ..Finding::default()
            };
            if who.is_empty() || is_late {
                self.needs(finding);
            } else {
                self.note(finding);
            }
        }
    }
}
