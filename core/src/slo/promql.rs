//! What is asked of a Prometheus, and the rules that it can evaluate by itself.
//!
//! Both add up what counters grew by in each minute, and neither extrapolates: an
//! indicator's events of the minute that ends at `t` are
//!
//! ```promql
//! sum(((x - x offset 1m) >= 0) or (x and (x offset 1m)))
//! ```
//!
//! A counter that began anew counts from 0; one that was not there a minute ago is not
//! known to have grown. The rules record that each minute and look at sums over windows of
//! the recorded samples. A window is a second shorter than its name, so that it holds as
//! many minutes as its name says whether a Prometheus takes the sample at a window's left
//! edge (2.x) or not (3.x). Thresholds are compared as whole numbers
//! (`10000 * bad > 144 * total`), exact up to 2^53 events.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    Goal, Objective, OwnCounter, Selector, Severity, Sli, Slo,
    burn::{decimal, duration, threshold},
    selector::write_quoted,
};

/// The recorded events of a minute.
pub const TOTAL: &str = "streamspace:slo_events:increase1m";
/// The recorded bad events of a minute.
pub const BAD: &str = "streamspace:slo_bad_events:increase1m";
/// The metric of the daemon's own counters.
pub const OWN: &str = "streamspace_slo_own_events_total";
/// Without a sample in so many minutes an SLO is not measured.
pub const NO_DATA_MINUTES: u32 = 5;

/// The two expressions of an indicator: events of the last minute, all and bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expressions {
    /// All events.
    pub total: String,
    /// The good or bad ones; absent where there never was one.
    pub part: Part,
}

/// What the second expression counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Good events.
    Good(String),
    /// Bad events.
    Bad(String),
}

/// What an indicator asks of a Prometheus; `None` where it asks nothing.
pub fn expressions(slo: &Slo) -> Option<Expressions> {
    let by = slo.per_tenant.as_ref().map(|tenant| tenant.label.as_str());
    let grown = |selector: &Selector| sum(by, &grown(selector));
    Some(match &slo.sli {
        Sli::Good { good, total } => {
            Expressions { total: grown(total), part: Part::Good(grown(good)) }
        }
        Sli::Bad { bad, total } => Expressions { total: grown(total), part: Part::Bad(grown(bad)) },
        Sli::Latency { histogram, threshold } => Expressions {
            total: grown(&histogram.with_suffix("_count")),
            part: Part::Good(grown(&histogram.with_suffix("_bucket").with_label("le", threshold))),
        },
        Sli::Probe { probe } => Expressions {
            total: sum(by, &format!("count_over_time({probe}[59s999ms])")),
            part: Part::Good(sum(by, &format!("sum_over_time({probe}[59s999ms])"))),
        },
        Sli::Own(_) | Sli::Pushed => return None,
    })
}

/// What a rule file asks: the daemon's own counters are among its metrics.
fn exported(slo: &Slo) -> Option<Expressions> {
    let Sli::Own(counter) = &slo.sli else { return expressions(slo) };
    let by = slo.per_tenant.is_some().then_some("tenant");
    let of = |outcome: &[(&str, &str)]| {
        let mut selector = Selector::parse(OWN).ok()?.with_label("counter", counter.as_str());
        for (label, value) in outcome {
            selector = selector.with_label(label, value);
        }
        Some(sum(by, &grown(&selector)))
    };
    Some(Expressions { total: of(&[])?, part: Part::Bad(of(&[("outcome", "bad")])?) })
}

fn grown(selector: &Selector) -> String {
    format!("(({selector} - {selector} offset 1m) >= 0) or ({selector} and ({selector} offset 1m))")
}

fn sum(by: Option<&str>, expression: &str) -> String {
    match by {
        Some(label) => format!("sum by ({label}) ({expression})"),
        None => format!("sum({expression})"),
    }
}

/// A rule file of Prometheus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleFile {
    /// One group an SLO.
    pub groups: Vec<Group>,
}

/// Rules that are evaluated one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// How often it is evaluated.
    pub interval: String,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// A recording or an alerting rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Rule {
    /// Records an expression.
    Record {
        /// The metric.
        record: String,
        /// What is recorded.
        expr: String,
        /// Labels that are put on it.
        labels: Labels,
    },
    /// Alerts while an expression has a value.
    Alert {
        /// The name.
        alert: String,
        /// The expression.
        expr: String,
        /// Labels that are put on it.
        labels: Labels,
        /// What people read.
        annotations: Labels,
    },
}

/// Names and values, in the order of the names.
pub type Labels = std::collections::BTreeMap<String, String>;

/// Why an SLO cannot be evaluated by a Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotExported {
    /// It has no series.
    #[error("what is pushed to the daemon is in no Prometheus")]
    Pushed,
    /// Each tenant has another objective.
    #[error("its objectives are those of the tenants' plans, which no rule can know")]
    ByPlan,
    /// Counted from the database.
    #[error("the daemon counts `{0}` in its database and not by a metric")]
    NoMetric(&'static str),
}

/// The rules of an SLO.
pub fn rules(slo: &Slo) -> Result<Group, NotExported> {
    let Goal::Fixed(objective) = slo.goal else { return Err(NotExported::ByPlan) };
    if let Sli::Own(counter @ (OwnCounter::SessionStarts | OwnCounter::MeteringFresh)) = &slo.sli {
        return Err(NotExported::NoMetric(counter.as_str()));
    }
    let expressions = exported(slo).ok_or(NotExported::Pushed)?;
    let id = slo.id.as_str();
    let mut rules =
        vec![record(TOTAL, id, expressions.total.clone()), record(BAD, id, bad(&expressions))];
    let mut windows: Vec<u32> =
        slo.rules().iter().flat_map(|rule| [rule.short, rule.long]).collect();
    windows.sort_unstable();
    windows.dedup();
    for minutes in windows {
        let (bad, total) = (over(BAD, id, minutes), over(TOTAL, id, minutes));
        let name = format!("streamspace:slo_error:ratio_{}", duration(minutes));
        rules.push(record(&name, id, format!("{bad} / {total}")));
    }
    for rule in slo.rules() {
        rules.push(burn(slo, objective, &rule));
    }
    rules.push(no_data(slo));
    Ok(Group { name: format!("streamspace-slo-{id}"), interval: "1m".into(), rules })
}

/// Bad events, which are none where none was ever seen.
fn bad(expressions: &Expressions) -> String {
    let total = &expressions.total;
    match &expressions.part {
        Part::Bad(bad) => format!("({bad}) or (0 * {total})"),
        Part::Good(good) => format!("{total} - (({good}) or (0 * {total}))"),
    }
}

fn record(metric: &str, id: &str, expr: String) -> Rule {
    Rule::Record { record: metric.into(), expr, labels: labels([("slo", id)]) }
}

/// A sum over a window that holds as many recorded minutes as its name says.
fn over(metric: &str, id: &str, minutes: u32) -> String {
    let mut text = format!("sum_over_time({metric}{{slo=");
    // Writing into a string does not fail.
    let _written = write_quoted(&mut text, id);
    let _written = write!(text, "}}[{}])", a_second_less(minutes));
    text
}

fn a_second_less(minutes: u32) -> String {
    format!("{}m59s", minutes.saturating_sub(1))
}

fn burn(slo: &Slo, objective: Objective, rule: &super::BurnRule) -> Rule {
    let id = slo.id.as_str();
    let (below, above) = threshold(objective, rule.factor_milli);
    let exceeds = |minutes| {
        format!("{below} * {} > {above} * {}", over(BAD, id, minutes), over(TOTAL, id, minutes))
    };
    let mut expr = format!("({}) and ({})", exceeds(rule.long), exceeds(rule.short));
    for (least, metric) in [(slo.least_total, TOTAL), (slo.least_bad, BAD)] {
        if least > 0 {
            let _written = write!(expr, " and ({} >= {least})", over(metric, id, rule.long));
        }
    }
    let (long, short) = (duration(rule.long), duration(rule.short));
    let whose = match &slo.per_tenant {
        Some(tenant) if !tenant.label.is_empty() => {
            format!(" of {{{{ $labels.{} }}}}", tenant.label)
        }
        _ => String::new(),
    };
    let mut annotations = labels([(
        "summary",
        format!(
            "The error budget of {id}{whose} ({objective} %) burns more than {} times too fast over \
             {long} and {short}",
            decimal(rule.factor_milli)
        )
        .as_str(),
    )]);
    if !slo.runbook_url.is_empty() {
        annotations.insert("runbook_url".into(), slo.runbook_url.clone());
    }
    Rule::Alert {
        alert: "SloBurn".into(),
        expr,
        labels: labels([
            ("slo", id),
            ("service", slo.service.as_str()),
            ("severity", rule.severity.as_str()),
            ("rule", rule.name().as_str()),
        ]),
        annotations,
    }
}

fn no_data(slo: &Slo) -> Rule {
    let id = slo.id.as_str();
    let mut expr = format!("absent_over_time({TOTAL}{{slo=");
    let _written = write_quoted(&mut expr, id);
    let _written = write!(expr, "}}[{}])", a_second_less(NO_DATA_MINUTES));
    Rule::Alert {
        alert: "SloNoData".into(),
        expr,
        labels: labels([
            ("slo", id),
            ("service", slo.service.as_str()),
            ("severity", Severity::Ticket.as_str()),
            ("rule", "no-data"),
        ]),
        annotations: labels([(
            "summary",
            format!("Nothing was measured of {id} for {NO_DATA_MINUTES} minutes").as_str(),
        )]),
    }
}

fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Labels {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}
