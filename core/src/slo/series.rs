//! What one budget measured, hour by hour, and what follows of it at a minute.

use std::collections::BTreeMap;

use super::{
    Bounds, Budget, BudgetAction, Cell, Hour, Minute, Objective, Point, Severity, Slo, Sums,
    Windows, promql::NO_DATA_MINUTES,
};

/// The window of the burn rate by which it is told how long a budget lasts.
pub const RECENT: u32 = 60;
/// The window by which it is told what will be left.
pub const DAY: u32 = 1_440;

/// What one budget measured. Of its hours only those are held that are looked at; they are
/// kept without a hole from the first on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// The first minute that it knows of.
    first: Option<Minute>,
    hours: BTreeMap<i64, Hour>,
}

impl Series {
    /// One that begins at a minute, with some of its hours.
    pub fn new(first: Minute, hours: impl IntoIterator<Item = (i64, Hour)>) -> Self {
        Self { first: Some(first), hours: hours.into_iter().collect() }
    }

    /// Everything before a minute. Its hour must be held, or lie before the first.
    pub fn before(&self, minute: Minute) -> Sums {
        if self.first.is_none_or(|first| minute <= first) {
            return Sums::default();
        }
        let point = Point::before(minute);
        self.hours.get(&point.hour).map_or_else(Sums::default, |hour| hour.up_to(point.minutes))
    }

    /// What was counted from one minute up to another.
    pub fn between(&self, from: Minute, to: Minute) -> Sums {
        self.before(to) - self.before(from)
    }

    /// A minute.
    pub fn cell(&self, minute: Minute) -> Cell {
        self.hours
            .get(&minute.hour())
            .map_or_else(Cell::default, |hour| hour.cell(minute.of_hour()))
    }

    /// Adds the minute that follows the last one. The hour before it must be held where it
    /// begins an hour.
    pub fn push(&mut self, minute: Minute, cell: Cell) {
        let first = *self.first.get_or_insert(minute);
        let before = self.before(minute.max(first));
        let start = minute.plus(-i64::try_from(minute.of_hour()).unwrap_or_default());
        let before = if minute == start { before } else { self.before(start) };
        let hour = self.hours.entry(minute.hour()).or_insert_with(|| Hour::after(before));
        hour.set(minute.of_hour(), cell);
    }

    /// An hour that is held.
    pub fn hour(&self, hour: i64) -> Option<&Hour> {
        self.hours.get(&hour)
    }

    /// What was counted in windows that end before a minute.
    pub fn at(&self, now: Minute) -> At<'_> {
        At { series: self, now }
    }
}

/// A series at the begin of a minute.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    series: &'a Series,
    now: Minute,
}

impl Windows for At<'_> {
    fn last(&self, minutes: u32) -> Sums {
        self.series.between(self.now.plus(-i64::from(minutes)), self.now)
    }
}

/// The lengths of all windows of an SLO that are looked at, in minutes, the shortest first.
pub fn spans(slo: &Slo) -> Vec<u32> {
    let mut spans: Vec<u32> = slo.rules().iter().flat_map(|rule| [rule.short, rule.long]).collect();
    spans.extend([NO_DATA_MINUTES, RECENT, DAY]);
    spans.sort_unstable();
    spans.dedup();
    spans
}

/// The hours that must be held to evaluate an SLO at minutes from one up to another, with
/// the hour that the first of them follows.
pub fn hours_needed(slo: &Slo, from: Minute, to: Minute) -> Vec<i64> {
    let mut hours = Vec::new();
    let mut reach = |first: Minute, last: Minute| {
        hours.extend(Point::before(first).hour..=Point::before(last).hour);
    };
    for span in spans(slo) {
        let back = -i64::from(span);
        reach(from.plus(back), to.plus(back));
    }
    let (begin, end) = (slo.window.at(from).from, slo.window.at(to).from);
    reach(begin.min(end), begin.max(end));
    for at in [from, to] {
        let month = month(at).from;
        reach(month, month);
    }
    reach(from, to);
    hours.sort_unstable();
    hours.dedup();
    hours
}

/// The calendar month in UTC, by which credits are owed.
pub fn month(now: Minute) -> Bounds {
    super::Window::CalendarMonth { zone: jiff::tz::TimeZone::UTC }.at(now)
}

/// A rule that holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Firing {
    /// What it is.
    pub rule: Rule,
    /// How it reaches people.
    pub severity: Severity,
}

/// What can hold of a budget.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// It burns too fast: the rule's name.
    Burn(String),
    /// So many percent of it are used.
    Used(u8),
}

impl Rule {
    /// The name of the rule.
    pub fn name(&self) -> String {
        match self {
            Self::Burn(name) => name.clone(),
            Self::Used(percent) => format!("budget-{percent}"),
        }
    }
}

/// A budget at the begin of a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What is left.
    pub budget: Budget,
    /// What was counted in its window.
    pub period: Sums,
    /// What holds, in the order of the rules.
    pub firing: Vec<Firing>,
    /// Whether its policy asks to hold risky changes back.
    pub frozen: bool,
    /// Whether anything was measured, or is excluded, of late.
    pub is_measured: bool,
}

/// Evaluates a budget at the begin of a minute.
pub fn evaluate(slo: &Slo, objective: Objective, series: &Series, now: Minute) -> Verdict {
    let at = series.at(now);
    let bounds = slo.window.at(now);
    let period = series.between(bounds.from, now);
    let budget = Budget::new(objective, bounds, period);
    let least = (slo.least_total, slo.least_bad);
    let mut firing = Vec::new();
    for rule in slo.rules() {
        if rule.holds(objective, least, &at) {
            let severity = rule.severity;
            firing.push(Firing { rule: Rule::Burn(rule.name()), severity });
        }
    }
    let used = budget.used_percent();
    // One failure of three calls is more than any budget, and says nothing.
    let is_enough = period.counts.total >= least.0 && period.counts.bad >= least.1;
    let reached = |percent: u8| is_enough && used >= i64::from(percent);
    for step in slo.policy.iter().filter(|step| reached(step.used_percent)) {
        let fired = Firing { rule: Rule::Used(step.used_percent), severity: Severity::Ticket };
        if !firing.contains(&fired) {
            firing.push(fired);
        }
    }
    let freezes = |step: &super::BudgetStep| {
        step.action == BudgetAction::Freeze && reached(step.used_percent)
    };
    let late = at.last(NO_DATA_MINUTES);
    Verdict {
        budget,
        period,
        firing,
        frozen: slo.policy.iter().any(freezes),
        is_measured: late.measured > 0 || late.excluded > 0,
    }
}
