//! All about one error budget: how much is left and since when, how fast it burns, what fires.

use jiff::Timestamp;
use streamspace_client::text::escape;
use streamspace_proto::v1::{
    self, AlertSeverity, BudgetState, BurnChart, BurnRule, FiringRule, slo_window::Window,
};

use super::{
    View,
    table::region_name,
    text::{self, Line},
};
use crate::{
    chart::{Bars, Dots, Resample},
    format::{
        age, count, date_and_time, instant, minutes, percent, rate, seconds_since, span,
        time_of_day,
    },
    pen::Pen,
    rows::{Budget, Key, Row as _, shell_word, tone},
    state::{Answer, Question, SloDetail, State},
    theme::Tone,
};

/// The widest chart, and how high both are.
const WIDEST: usize = 110;
const CHART: usize = 8;
const HOUR: usize = 4;
/// How wide the gauge of what is left is.
const GAUGE: usize = 20;
/// A whole budget, in millionths.
const WHOLE: i64 = 1_000_000;

pub(super) struct SloPage<'a>(pub(super) &'a Key);

impl View for SloPage<'_> {
    fn crumbs(&self, state: &State) -> Vec<String> {
        let mut crumbs = vec!["SLOs".into()];
        match state.budgets.get(self.0) {
            Some(budget) => {
                crumbs.push(budget.slo.clone());
                crumbs.extend(Some(budget.tenant.clone()).filter(|tenant| !tenant.is_empty()));
            }
            None => crumbs.push("gone".into()),
        }
        crumbs
    }

    fn command(&self, state: &State) -> Option<String> {
        let budget = state.budgets.get(self.0)?;
        let tenant = match &*budget.tenant {
            "" => String::new(),
            tenant => format!(" --tenant {}", shell_word(tenant)),
        };
        Some(format!("ssctl slo show {}{tenant}", shell_word(&budget.slo)))
    }

    fn lines(&self, state: &State, width: u16) -> Vec<Line> {
        let width = usize::from(width).saturating_sub(2);
        let mut lines = Vec::new();
        let Some(row) = state.budgets.get(self.0) else {
            let detail = state.details.get(self.0.region, &Question::Budgets);
            if detail.is_some_and(|detail| detail.answer.is_some()) {
                lines.push(text::gone("budget", state));
            } else {
                text::asking(detail, self.0.region, state, width, &mut lines);
            }
            return lines;
        };
        let detail = state.details.get(self.0.region, &Question::Slo(row.name()));
        let answered = detail.and_then(|detail| Some((detail, detail.answer.as_ref()?)));
        if let Some((detail, (_, Answer::Slo(answer)))) = answered {
            let budget = answer.budget.as_ref().unwrap_or(&row.whole);
            let row = Budget::new(self.0.region, budget, answer.slo.as_ref());
            head(&row, state, width, &mut lines);
            text::grown_old(detail, state, width, &mut lines);
            charts(answer, state, width, &mut lines);
            rules(answer, budget, state, &mut lines);
            text::heading("BUDGET", &mut lines);
            let region = region_name(state, self.0.region);
            text::fields(of_budget(budget, region), width, &mut lines);
            if let Some(slo) = &answer.slo {
                text::heading("SLO", &mut lines);
                text::fields(of_slo(slo, state.now), width, &mut lines);
            }
        } else {
            head(row, state, width, &mut lines);
            lines.push(Vec::new());
            text::asking(detail, self.0.region, state, width, &mut lines);
        }
        lines
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let lines = self.lines(state, pen.width());
        text::draw(&lines, state.scroll, state.is_live(self.0.region), pen);
    }
}

/// How it is, how much is left, and how long that lasts.
fn head(row: &Budget, state: &State, width: usize, lines: &mut Vec<Line>) {
    let verdict = tone(row.wellness());
    let sign = state.theme.glyph(row.wellness()).trim();
    let mut first = vec![(format!("{}  ", row.slo), Tone::Strong)];
    if state.several() {
        first.push((format!("in {}  ", region_name(state, row.key().region)), Tone::Plain));
    }
    if !row.tenant.is_empty() {
        first.push((format!("of {}  ", row.tenant), Tone::Plain));
    }
    first.push((format!("{sign} {}", row.state_word()).trim_start().to_owned(), verdict));
    first.push((format!("  {} % promised", row.objective), Tone::Dim));
    lines.push(first);
    text::words(row.words(), Tone::Warn, width, lines);
    if !row.is_measured() {
        return;
    }
    let gauge = state.theme.glyphs.gauge(row.permille(), GAUGE.min(width / 3));
    let lasts = match &*row.lasts() {
        "" => "does not burn".to_owned(),
        "gone" => "nothing is left".to_owned(),
        lasts => format!("gone in {lasts}, as it burned in the last hour"),
    };
    lines.push(vec![
        (format!("{gauge} {} left", percent(row.whole.remaining_ppm)), verdict),
        (format!("  {} min", row.minutes()), Tone::Plain),
    ]);
    let tone = if row.wellness().needs_attention() { verdict } else { Tone::Dim };
    lines.push(vec![(lasts, tone)]);
}

fn charts(answer: &SloDetail, state: &State, width: usize, lines: &mut Vec<Line>) {
    let width = width.min(WIDEST);
    if let Some(chart) = answer.window.as_ref().filter(|chart| !chart.steps.is_empty()) {
        let known = |step: &v1::BurnStep| step.measured.is_some_and(|it| it.seconds > 0);
        let left = |step: &v1::BurnStep| known(step).then_some(step.remaining_ppm);
        let values: Vec<_> = chart.steps.iter().map(left).collect();
        text::heading("LEFT over the window", lines);
        let day = |at: Timestamp| date_and_time(at).get(5..10).unwrap_or_default().to_owned();
        let dots = Dots {
            values: &values,
            whole: WHOLE,
            width,
            height: CHART,
            words: |ppm| format!("{} %", ppm / 10_000),
            times: &times(chart, day),
        };
        lines.extend(dots.lines(state.theme.glyphs));
    }
    if let Some(chart) = answer.hour.as_ref().filter(|chart| !chart.steps.is_empty()) {
        let burn = |step: &v1::BurnStep| {
            step.burn_rate_milli.map(|milli| u64::try_from(milli).unwrap_or(0))
        };
        let values: Vec<_> = chart.steps.iter().map(burn).collect();
        text::heading("BURN RATE by minute, the last hour; 1 uses up just the budget", lines);
        let minute = |at: Timestamp| time_of_day(at).get(..5).unwrap_or_default().to_owned();
        let bars = Bars {
            values: &values,
            by: Resample::Maximum,
            width,
            height: HOUR,
            tone: Tone::Plain,
            words: |milli| rate(i64::try_from(milli).unwrap_or(i64::MAX)),
            times: &times(chart, minute),
        };
        lines.extend(bars.lines(state.theme.glyphs));
    }
}

/// Five times from the begin of a chart to its end.
fn times(chart: &BurnChart, words: impl Fn(Timestamp) -> String) -> Vec<String> {
    let begins = |step: Option<&v1::BurnStep>| instant(step?.start_time.as_ref());
    let length = chart.step.map_or(0, |step| step.seconds);
    let (Some(first), Some(last)) = (begins(chart.steps.first()), begins(chart.steps.last()))
    else {
        return Vec::new();
    };
    let (begin, end) = (first.as_second(), last.as_second().saturating_add(length));
    let at = |part: i64| begin.saturating_add(end.saturating_sub(begin) / 4 * part);
    let told = |part| Timestamp::from_second(at(part)).map(&words).unwrap_or_default();
    (0..=4).map(told).collect()
}

/// Each rule with what it compares, and whether it fires; then what fires by no rule.
fn rules(answer: &SloDetail, budget: &v1::Budget, state: &State, lines: &mut Vec<Line>) {
    text::heading("ALERTS, where both windows burn faster", lines);
    let fires = |name: &str| budget.firing.iter().find(|one| one.rule == name);
    let rules = answer.slo.iter().flat_map(|slo| &slo.rules);
    let mut names = Vec::new();
    for rule in rules {
        let name = format!("burn-{}", span_of(rule.long_window.as_ref()));
        lines.push(of_rule(rule, &name, fires(&name), budget, state));
        names.push(name);
    }
    let others = budget.firing.iter().filter(|one| !names.contains(&one.rule));
    for other in others {
        let tone = severity_tone(other.severity());
        let mut line = vec![
            (format!("{} {:11}", state.theme.glyphs.alarm, escape(&other.rule)), tone),
            (format!("{:7}", severity_word(other.severity())), tone),
        ];
        line.push(since(other, state));
        lines.push(line);
    }
}

fn of_rule(
    rule: &BurnRule,
    name: &str,
    fires: Option<&FiringRule>,
    budget: &v1::Budget,
    state: &State,
) -> Line {
    let burn = |window: Option<&prost_types::Duration>| {
        let is_it = |one: &&v1::BurnRate| one.window.as_ref() == window;
        let found = budget.burn_rates.iter().find(is_it);
        found.and_then(|one| one.burn_rate_milli).map_or_else(|| "-".to_owned(), rate)
    };
    let tone = if fires.is_some() { severity_tone(rule.severity()) } else { Tone::Plain };
    let sign = if fires.is_some() { state.theme.glyphs.alarm } else { " " };
    let (long, short) = (rule.long_window.as_ref(), rule.short_window.as_ref());
    let mut line = vec![
        (format!("{sign} {name:11}"), tone),
        (format!("{:7}", severity_word(rule.severity())), tone),
        (format!("{:>7}", rate(rule.burn_rate_milli)), Tone::Plain),
        (format!("   {:>3} ", span_of(long)), Tone::Dim),
        (format!("{:>8}", burn(long)), tone),
        (format!("   {:>3} ", span_of(short)), Tone::Dim),
        (format!("{:>8}  ", burn(short)), tone),
    ];
    line.extend(fires.map(|fires| since(fires, state)));
    line
}

fn since(firing: &FiringRule, state: &State) -> (String, Tone) {
    let since = instant(firing.start_time.as_ref());
    let since = since.map(|since| age(seconds_since(since, state.now)));
    (format!("fires for {}", since.as_deref().unwrap_or("?")), severity_tone(firing.severity()))
}

fn severity_word(severity: AlertSeverity) -> &'static str {
    match severity {
        AlertSeverity::Page => "page",
        AlertSeverity::Ticket => "ticket",
        AlertSeverity::Unspecified => "",
    }
}

fn severity_tone(severity: AlertSeverity) -> Tone {
    if severity == AlertSeverity::Page { Tone::Hurt } else { Tone::Warn }
}

fn span_of(window: Option<&prost_types::Duration>) -> String {
    window.map_or_else(String::new, |window| span(window.seconds))
}

fn of_budget(budget: &v1::Budget, region: &str) -> Vec<(&'static str, String)> {
    let number = |number: i64| {
        let sign = if number < 0 { "-" } else { "" };
        format!("{sign}{}", count(usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX)))
    };
    let minutes_of = |span: Option<&prost_types::Duration>| format!("{} min", minutes(span));
    let forecast = budget.forecast_remaining_ppm.map_or_else(
        || "no events in the last day".to_owned(),
        |ppm| format!("{} left at the end, as it went in the last day", percent(ppm)),
    );
    let events = match budget.remaining_events {
        events if events < 0 => format!("{} too many", number(events.saturating_neg())),
        events => format!("{} more may be bad", number(events)),
    };
    let when = |time: Option<&prost_types::Timestamp>| {
        instant(time).map_or(String::new(), |time| format!("{} UTC", date_and_time(time)))
    };
    let credit = match budget.credit_percent {
        0 => String::new(),
        owed => format!("{owed} % of this month"),
    };
    let fields = vec![
        ("region", region.to_owned()),
        ("allowed", minutes_of(budget.allowed.as_ref())),
        ("used", minutes_of(budget.used.as_ref())),
        ("left", minutes_of(budget.remaining.as_ref())),
        ("forecast", forecast),
        ("events", format!("{} bad of {}; {events}", number(budget.bad), number(budget.total))),
        ("since", when(budget.window_start.as_ref())),
        ("measured to", when(budget.as_of.as_ref())),
        ("not measured", span_of(budget.gaps.as_ref())),
        ("excluded", span_of(budget.excluded.as_ref())),
        ("used up", when(budget.exhaust_time.as_ref())),
        ("credit owed", credit),
    ];
    let mut fields = fields;
    if budget.state() == BudgetState::Unspecified || budget.as_of.is_none() {
        fields.truncate(1);
    }
    fields
}

fn of_slo(slo: &v1::Slo, now: Timestamp) -> Vec<(&'static str, String)> {
    let window = match slo.window.as_ref().and_then(|window| window.window.as_ref()) {
        Some(Window::RollingDays(days)) => format!("{days} days up to now"),
        Some(Window::CalendarMonthZone(zone)) => format!("the calendar month, {zone}"),
        None => "30 days up to now".into(),
    };
    let until = instant(slo.measured_until.as_ref());
    let until = until.map(|until| format!("{} ago", age(seconds_since(until, now))));
    let fields = [
        ("name", slo.display_name.clone()),
        ("promise", slo.description.clone()),
        ("service", slo.service.clone()),
        ("window", window),
        ("runbook", slo.runbook_url.clone()),
        ("measured", until.unwrap_or_default()),
        ("problem", slo.problem.clone()),
    ];
    fields.map(|(name, value)| (name, escape(&value).into_owned())).into()
}
