//! What is shown of an SLO and of a budget.

use jiff::Timestamp;
use streamspace_proto::v1::{
    AlertSeverity, Budget, BudgetAction, BudgetState, BurnRule, OwnCounter, PerTenant, Slo, Tenant,
    sli::Sli, slo_window::Window,
};

use super::amounts::{exact_percent, minutes, percent, rate, rate_or_none, span, span_or_none};
use crate::{
    output::{Cell, Column, Tone},
    resource::{Noun, short, word},
    time::{age, local},
};

impl Noun for Budget {
    const PLURAL: &'static str = "budgets";
    const PREFIX: &'static str = "slos/";

    fn resource_name(&self) -> &str {
        &self.slo
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("SLO", |budget: &Self, _| short(Self::PREFIX, &budget.slo).into()),
            Column::new("TENANT", |budget, _| short(Tenant::PREFIX, &budget.tenant).into()),
            Column::new("OBJECTIVE", |budget, _| format!("{} %", budget.objective).into()),
            Column::new("LEFT", |budget, _| left(budget)),
            Column::new("MINUTES", |budget, _| left_minutes(budget).into()),
            Column::new("5M", |budget, _| rate_or_none(burn(budget, 300)).into()),
            Column::new("1H", |budget, _| rate_or_none(burn(budget, 3600)).into()),
            Column::new("GONE IN", |budget, _| gone_in(budget).into()),
            Column::new("STATE", |budget, _| state(budget)),
            Column::wide("GOOD", |budget, _| available(budget).into()),
            Column::wide("TOTAL", |budget, _| budget.total.into()),
            Column::wide("BAD", |budget, _| budget.bad.into()),
            Column::wide("FROZEN", |budget, _| if budget.frozen { "yes" } else { "no" }.into()),
            Column::wide("AS OF", |budget, _| local(budget.as_of.as_ref()).into()),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, Cell)> {
        let of = match self.remaining_events {
            0 => "no bad event more".to_owned(),
            events if events < 0 => format!("{} bad events too many", events.unsigned_abs()),
            events => format!("{events} bad events more"),
        };
        let forecast = self.forecast_remaining_ppm.map_or_else(
            || "no events in the last day".to_owned(),
            |ppm| format!("{} left, if it goes on as in the last day", percent(ppm)),
        );
        let rates: Vec<_> = (self.burn_rates.iter())
            .map(|one| {
                let window = span_or_none(one.window.as_ref());
                let rate = rate_or_none(one.burn_rate_milli);
                format!("{rate} over {window}: {} bad of {}", one.bad, one.total)
            })
            .collect();
        let firing: Vec<_> = (self.firing.iter())
            .map(|one| {
                let severity = severity_word(one.severity());
                format!("{severity}: {}, for {}", one.rule, age(one.start_time.as_ref(), now))
            })
            .collect();
        let firing = Cell::toned(firing.join("\n"), Tone::Bad);
        let mut pairs = vec![
            ("Tenant", short(Tenant::PREFIX, &self.tenant).into()),
            ("Applies", format!("{} %", self.objective).into()),
            ("State", state(self)),
            ("As of", local(self.as_of.as_ref()).into()),
            ("Since", local(self.window_start.as_ref()).into()),
            ("Good", available(self).into()),
            ("Left", Cell { text: format!("{}; {of}", left(self).text), ..left(self) }),
            (
                "Minutes left",
                format!("{} (used {})", left_minutes(self), minutes(self.used.as_ref())).into(),
            ),
            ("Burn rates", rates.join("\n").into()),
            ("Gone in", gone_in(self).into()),
            ("Forecast", forecast.into()),
            ("Fires", firing),
            ("Measured", span_or_none(self.measured.as_ref()).into()),
            ("Not measured", span_or_none(self.gaps.as_ref()).into()),
            ("Excluded", span_or_none(self.excluded.as_ref()).into()),
            ("Credit owed", format!("{} % of the month", self.credit_percent).into()),
        ];
        if self.frozen {
            pairs.push(("Frozen", "risky changes need an open incident".into()));
        }
        if self.exhaust_time.is_some() {
            pairs.push(("Exhausted", local(self.exhaust_time.as_ref()).into()));
        }
        pairs
    }
}

impl Noun for Slo {
    const PLURAL: &'static str = "SLOs";
    const PREFIX: &'static str = "slos/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |slo: &Self, _| short(Self::PREFIX, &slo.name).into()),
            Column::new("SERVICE", |slo, _| slo.service.clone().into()),
            Column::new("OBJECTIVE", |slo, _| objective(slo).into()),
            Column::new("WINDOW", |slo, _| window(slo).into()),
            Column::new("INDICATOR", |slo, _| indicator(slo).into()),
            Column::new("BUDGETS", |slo, _| slo.budgets.into()),
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, Cell)> {
        let policy: Vec<_> = (self.policy.iter())
            .map(|step| {
                let action = word("BUDGET_ACTION_", BudgetAction::as_str_name(&step.action()));
                format!("{action} at {} % used", step.used_percent)
            })
            .collect();
        let credits: Vec<_> = (self.credits.iter())
            .map(|step| format!("{} % below {} %", step.credit_percent, step.below))
            .collect();
        vec![
            ("Name", short(Self::PREFIX, &self.name).into()),
            ("Display name", self.display_name.clone().into()),
            ("Description", self.description.clone().into()),
            ("Service", self.service.clone().into()),
            ("Objective", objective(self).into()),
            ("Window", window(self).into()),
            ("Indicator", indicator(self).into()),
            ("Budgets", budgets(self).into()),
            ("Alerts", rules(&self.rules).into()),
            ("Least events", least(self).into()),
            ("Policy", policy.join("\n").into()),
            ("Credits", credits.join("\n").into()),
            ("Runbook", self.runbook_url.clone().into()),
            ("Measured until", local(self.measured_until.as_ref()).into()),
            ("Problem", Cell::toned(self.problem.clone(), Tone::Bad)),
            ("Etag", self.etag.clone().into()),
        ]
    }
}

/// The word of a state, as in filters.
pub(crate) fn state_word(state: BudgetState) -> String {
    match state {
        // So young that nothing was measured of it; filters know it by the same word.
        BudgetState::Unspecified => "new".to_owned(),
        known => word("BUDGET_STATE_", known.as_str_name()),
    }
}

pub(crate) fn severity_word(severity: AlertSeverity) -> String {
    word("ALERT_SEVERITY_", severity.as_str_name())
}

pub(super) fn state(budget: &Budget) -> Cell {
    let tone = match budget.state() {
        BudgetState::Ok => Tone::Good,
        BudgetState::Ticket | BudgetState::NoData => Tone::Doubtful,
        BudgetState::Page | BudgetState::Exhausted => Tone::Bad,
        BudgetState::Unspecified => Tone::Plain,
    };
    Cell::toned(state_word(budget.state()), tone)
}

/// What share is left; nothing is said of a budget without an event.
pub(super) fn left(budget: &Budget) -> Cell {
    let tone = if budget.remaining_ppm <= 0 { Tone::Bad } else { Tone::Plain };
    Cell::toned(percent(budget.remaining_ppm), tone)
}

/// Minutes that are left and that there were: `30.24/43.20`.
fn left_minutes(budget: &Budget) -> String {
    format!("{}/{}", minutes(budget.remaining.as_ref()), minutes(budget.allowed.as_ref()))
}

/// The burn rate over a window of so many seconds, where it is told and had events.
pub(super) fn burn(budget: &Budget, seconds: i64) -> Option<i64> {
    let of = |window: Option<&prost_types::Duration>| window.map(|window| window.seconds);
    let found = budget.burn_rates.iter().find(|one| of(one.window.as_ref()) == Some(seconds))?;
    found.burn_rate_milli
}

fn gone_in(budget: &Budget) -> String {
    match &budget.exhausted_in {
        Some(left) if left.seconds <= 0 => "gone".into(),
        Some(left) => span(left),
        None => "-".into(),
    }
}

fn available(budget: &Budget) -> String {
    budget.availability_ppm.map_or_else(|| "no events".into(), exact_percent)
}

fn objective(slo: &Slo) -> String {
    if slo.objective.is_empty() { "by plan".into() } else { format!("{} %", slo.objective) }
}

fn window(slo: &Slo) -> String {
    match slo.window.as_ref().and_then(|window| window.window.as_ref()) {
        Some(Window::RollingDays(days)) => format!("{days}d"),
        Some(Window::CalendarMonthZone(zone)) => format!("calendar month, {zone}"),
        None => "30d".into(),
    }
}

fn budgets(slo: &Slo) -> String {
    match &slo.per_tenant {
        None => "1".into(),
        Some(PerTenant { label, label_is_namespace, .. }) => {
            let by = match (label.as_str(), label_is_namespace) {
                ("", _) => String::new(),
                (label, false) => format!(", by the label {label}"),
                (label, true) => format!(", by the namespace in the label {label}"),
            };
            format!("{}, one a tenant{by}", slo.budgets)
        }
    }
}

fn indicator(slo: &Slo) -> String {
    match slo.sli.as_ref().and_then(|sli| sli.sli.as_ref()) {
        Some(Sli::Ratio(ratio)) if ratio.bad.is_empty() => {
            format!("good {} of {}", ratio.good, ratio.total)
        }
        Some(Sli::Ratio(ratio)) => format!("bad {} of {}", ratio.bad, ratio.total),
        Some(Sli::Latency(latency)) => {
            format!("{} within {}", latency.histogram, latency.threshold)
        }
        Some(Sli::Probe(probe)) => format!("probe {}", probe.probe),
        Some(Sli::Own(own)) => word("OWN_COUNTER_", OwnCounter::as_str_name(&own.counter())),
        Some(Sli::Pushed(_)) => "pushed".into(),
        None => String::new(),
    }
}

fn rules(rules: &[BurnRule]) -> String {
    let line = |rule: &BurnRule| {
        format!(
            "{} at {} over {} and {}",
            severity_word(rule.severity()),
            rate(rule.burn_rate_milli),
            span_or_none(rule.long_window.as_ref()),
            span_or_none(rule.short_window.as_ref()),
        )
    };
    rules.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn least(slo: &Slo) -> String {
    match (slo.least_total, slo.least_bad) {
        (0, 0) => String::new(),
        (total, bad) => format!("{total} in all, {bad} bad"),
    }
}

/// A budget in a line: whose, what is left, how it is.
pub(super) fn line(budget: &Budget) -> String {
    let tenant = short(Tenant::PREFIX, &budget.tenant);
    format!("{tenant}: {}, {}", left(budget).text, state_word(budget.state()))
}
