//! Budgets as the contract shows them, and as filters and orders see them.

use jiff::Timestamp;
use streamspace_core::{
    filter::{FieldValue, Record},
    slo::{Budget, Severity, Slo, Sums, credit, rate_milli, series},
};
use streamspace_proto::v1::{self, BudgetState};

use super::{
    budgets::{MONTH, Owned, PERIOD},
    convert::{self, minutes, nanos},
    step::{BURN, USED},
    store::SloRecord,
};
use crate::{alerts::Firing, rpc::time::timestamp};

/// What filters may name.
pub(super) const FILTER_FIELDS: [&str; 8] = [
    "slo",
    "service",
    "tenant",
    "objective",
    "state",
    "remaining_percent:integer",
    "burn_rate_1h:integer",
    "frozen:bool",
];
/// A budget of which nothing was measured for so many minutes has no data.
const LATE_MINUTES: i64 = 5;

/// A budget with its SLO and what fires of it.
pub(super) struct View<'a> {
    pub(super) record: &'a SloRecord,
    pub(super) owned: &'a Owned,
    pub(super) firing: Vec<&'a Firing>,
    /// Now.
    pub(super) now: Timestamp,
}

impl View<'_> {
    fn slo(&self) -> &Slo {
        &self.record.slo
    }

    fn sums(&self, span: i32) -> Sums {
        self.owned.row.sums.get(&span).copied().unwrap_or_default()
    }

    /// What is left.
    pub(super) fn budget(&self) -> Budget {
        let bounds = self.slo().window.at(self.owned.row.known);
        Budget::new(self.owned.row.objective, bounds, self.sums(PERIOD))
    }

    /// What was counted in the calendar month.
    pub(super) fn month(&self) -> Sums {
        self.sums(MONTH)
    }

    /// How it is.
    pub(super) fn state(&self) -> BudgetState {
        let of = |severity: Severity| {
            self.firing
                .iter()
                .any(|it| it.severity == severity.as_str() && (it.kind == BURN || it.kind == USED))
        };
        let late = self.sums(span_of(streamspace_core::slo::promql::NO_DATA_MINUTES));
        let behind = streamspace_core::slo::Minute::holding(self.now);
        let is_late = self.owned.row.known.until(behind) > LATE_MINUTES + 1;
        let is_blind = is_late || (late.measured == 0 && late.excluded == 0);
        if is_blind && self.owned.row.first.until(behind) <= LATE_MINUTES + 2 {
            // So young that nothing can have been measured of it.
            BudgetState::Unspecified
        } else if is_blind {
            BudgetState::NoData
        } else if of(Severity::Page) {
            BudgetState::Page
        } else if self.budget().is_exhausted() {
            BudgetState::Exhausted
        } else if of(Severity::Ticket) {
            BudgetState::Ticket
        } else {
            BudgetState::Ok
        }
    }

    fn burn(&self, span: i32) -> Option<i64> {
        let rate = rate_milli(self.owned.row.objective, &self.sums(span))?;
        Some(i64::try_from(rate).unwrap_or(i64::MAX))
    }

    /// For the wire.
    pub(super) fn to_proto(&self) -> v1::Budget {
        let row = &self.owned.row;
        let budget = self.budget();
        let bounds = self.slo().window.at(row.known);
        let period = self.sums(PERIOD);
        let begin = bounds.from.max(row.first);
        let passed = u32::try_from(begin.until(row.known)).unwrap_or_default();
        let gaps = passed.saturating_sub(period.measured).saturating_sub(period.excluded);
        let recent = self.sums(span_of(series::RECENT));
        let day = self.sums(span_of(series::DAY));
        v1::Budget {
            slo: self.slo().id.to_name(),
            tenant: self
                .owned
                .tenant
                .as_ref()
                .map(|id| format!("tenants/{id}"))
                .unwrap_or_default(),
            objective: row.objective.to_string(),
            state: self.state().into(),
            as_of: timestamp(row.known.start()),
            window_start: timestamp(bounds.from.start()),
            window_end: timestamp(bounds.to.start()),
            total: super::series::wide(period.counts.total),
            bad: super::series::wide(period.counts.bad),
            measured: minutes(period.measured),
            gaps: minutes(gaps),
            excluded: minutes(period.excluded),
            availability_ppm: budget.availability_ppm(),
            allowed: nanos(budget.allowed),
            used: nanos(budget.used),
            remaining: nanos(budget.remaining()),
            remaining_ppm: budget.remaining_ppm(),
            remaining_events: budget.remaining_events(),
            burn_rates: self.burn_rates(),
            exhausted_in: budget.exhausted_in(&recent).and_then(nanos),
            forecast_remaining_ppm: budget.forecast_ppm(&day),
            credit_percent: credit(&self.slo().credits, &self.month()).into(),
            frozen: row.frozen,
            firing: self.firing.iter().map(|it| firing(it)).collect(),
            exhaust_time: row.exhausted.and_then(|minute| timestamp(minute.start())),
        }
    }

    fn burn_rates(&self) -> Vec<v1::BurnRate> {
        let spans = self.owned.row.sums.iter().filter(|(span, _)| **span > 0);
        spans
            .map(|(span, sums)| v1::BurnRate {
                window: minutes(span.unsigned_abs()),
                burn_rate_milli: self.burn(*span),
                total: super::series::wide(sums.counts.total),
                bad: super::series::wide(sums.counts.bad),
                measured: minutes(sums.measured),
            })
            .collect()
    }
}

fn span_of(minutes: u32) -> i32 {
    super::series::narrow(minutes)
}

fn firing(firing: &Firing) -> v1::FiringRule {
    let severity = Severity::parse(&firing.severity).map(convert::severity);
    v1::FiringRule {
        severity: severity.unwrap_or(v1::AlertSeverity::Unspecified).into(),
        rule: firing.rule.clone(),
        start_time: timestamp(firing.start),
    }
}

/// The word of a state in filters.
pub(super) fn state_word(state: BudgetState) -> &'static str {
    match state {
        BudgetState::Unspecified => "new",
        BudgetState::Ok => "ok",
        BudgetState::Ticket => "ticket",
        BudgetState::Page => "page",
        BudgetState::Exhausted => "exhausted",
        BudgetState::NoData => "no-data",
    }
}

impl Record for View<'_> {
    fn field(&self, name: &str) -> Option<FieldValue> {
        Some(match name {
            "slo" => self.slo().id.as_str().into(),
            "service" => self.slo().service.as_str().into(),
            "tenant" => self.owned.tenant.as_deref()?.into(),
            "objective" => self.owned.row.objective.to_string().as_str().into(),
            "state" => state_word(self.state()).into(),
            "remaining_percent" => {
                FieldValue::Integer(self.budget().remaining_ppm().div_euclid(10_000))
            }
            "burn_rate_1h" => {
                FieldValue::Integer(self.burn(span_of(series::RECENT))?.div_euclid(1_000))
            }
            "frozen" => FieldValue::Bool(self.owned.row.frozen),
            _ => return None,
        })
    }
}
