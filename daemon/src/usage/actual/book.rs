//! Adds samples up to hours. Pure: the same samples in any order of rounds, as often as
//! they come, give the same sums.

use std::collections::{BTreeMap, HashMap};

use streamspace_core::usage::{Reading, Second, Span, increase, spread};
use uuid::Uuid;

use super::source::{Metric, Sample, Value};

const HOUR: i64 = 3_600;
/// Between two readings of a gauge that are further apart nothing is assumed.
const GAP_SECONDS: i64 = 300;
/// How much later than the database's clock a sample may be.
const AHEAD_SECONDS: i64 = 60;
/// How much earlier.
const BEHIND_SECONDS: i64 = 600;
/// What a counter grew by is spread over so much time at most.
const AGE_SECONDS: i64 = 400 * 86_400;
/// Billionths of a core in a thousandth.
const NANOCORES: i128 = 1_000_000;

/// A series of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) tenant: Uuid,
    pub(super) metric: Metric,
    pub(super) series: String,
}

/// What a series said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) at: Second,
    /// When the counter was 0, and where it stood; absent of a gauge.
    pub(super) counter: Option<(Second, i128)>,
}

/// What was used in an hour, and how many seconds of series that is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) amount: i128,
    pub(super) covered: i64,
}

/// The sums of one tenant, hour and metric.
pub(super) type Hours = BTreeMap<(Uuid, Second, Metric), Amount>;

/// What one round found.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// What is added to the hours.
    pub(super) hours: Hours,
    /// What each series said.
    pub(super) series: BTreeMap<Key, Last>,
    /// How many samples have a time that cannot be.
    pub(super) off: usize,
}

/// What a round stands on.
#[derive(Debug)]
pub(super) struct Book<'a> {
    /// Whose the namespaces are.
    pub(super) tenants: &'a HashMap<String, Uuid>,
    /// What the series said before.
    pub(super) known: &'a BTreeMap<Key, Last>,
    /// The database's clock.
    pub(super) now: Second,
}

impl Book<'_> {
    /// Enters the samples of a metric that has been measured since an instant. Namespaces
    /// of nobody are left out.
    pub(super) fn enter(
        &self,
        page: &mut Page,
        metric: Metric,
        since: Second,
        samples: Vec<Sample>,
    ) {
        for sample in samples {
            let Some(tenant) = self.tenants.get(&sample.namespace) else { continue };
            let (first, last) = (self.now.plus(-BEHIND_SECONDS), self.now.plus(AHEAD_SECONDS));
            if sample.at < first || sample.at > last {
                page.off += 1;
                continue;
            }
            let key = Key { tenant: *tenant, metric, series: sample.series };
            let before = page.series.get(&key).or_else(|| self.known.get(&key)).copied();
            if before.is_some_and(|before| sample.at <= before.at) {
                continue;
            }
            let (span, amount, counter) = match sample.value {
                Value::Gauge { value, window } => {
                    let span = height_span(before, sample.at, window);
                    (span, height(metric, value, span.seconds()), None)
                }
                Value::Counter { start, value } => {
                    let next = Reading { container_start: start, at: sample.at, value };
                    let (span, amount) = growth(before, &next, since);
                    // In a year there are 8,760 hours, and since 1970 half a million.
                    let from = span.from.max(sample.at.plus(-AGE_SECONDS));
                    (Span::new(from, span.to), amount, Some((start, value)))
                }
            };
            for (hour, part, covered) in over_hours(span, amount) {
                let sum = page.hours.entry((*tenant, hour, metric)).or_default();
                sum.amount = sum.amount.saturating_add(part);
                sum.covered = sum.covered.saturating_add(covered);
            }
            page.series.insert(key, Last { at: sample.at, counter });
        }
    }
}

/// The time that a gauge's sample is for: since the one before, or the time that it is the
/// average of.
fn height_span(before: Option<Last>, at: Second, window: i64) -> Span {
    let from = match before {
        Some(before) if at.plus(-GAP_SECONDS) <= before.at => before.at,
        _ => at.plus(-window.clamp(0, GAP_SECONDS)),
    };
    Span::new(from, at)
}

/// A height over so many seconds, to the nearest unit.
fn height(metric: Metric, value: i128, seconds: i64) -> i128 {
    let area = value.saturating_mul(i128::from(seconds));
    if metric == Metric::Cpu { area.saturating_add(NANOCORES / 2) / NANOCORES } else { area }
}

/// What a counter grew by, and in which time that was.
///
/// Of one that is read for the first time all is counted, if it began after its metric was
/// first measured. An older one only sets the mark: what it counted before may have been
/// counted by another source, and was not measured by this.
fn growth(before: Option<Last>, next: &Reading, since: Second) -> (Span, i128) {
    let previous = match before {
        Some(Last { at, counter: Some((container_start, value)) }) => {
            Some(Reading { container_start, at, value })
        }
        None if next.container_start >= since => None,
        // Of a series that was a gauge, too.
        _ => return (Span::new(next.at, next.at), 0),
    };
    if let Some(increase) = increase(previous.as_ref(), next) {
        return (increase.span, increase.amount);
    }
    // It did not move, and that is measured as well.
    let from = match &previous {
        Some(previous) => previous.at.max(next.container_start),
        None => next.container_start,
    };
    (Span::new(from.min(next.at), next.at), 0)
}

/// Spreads an amount evenly over the hours of its time, to the unit, each with its seconds.
fn over_hours(span: Span, amount: i128) -> Vec<(Second, i128, i64)> {
    if span.is_empty() {
        return Vec::new();
    }
    let first = span.from.0.div_euclid(HOUR);
    let last = span.to.plus(-1).0.div_euclid(HOUR);
    let hours: Vec<Span> = (first..=last)
        .map(|hour| Span::new(Second(hour * HOUR), Second((hour + 1) * HOUR)))
        .collect();
    let seconds = |hour: &Span| hour.meet(span).seconds();
    let weights: Vec<u32> =
        hours.iter().map(|hour| u32::try_from(seconds(hour)).unwrap_or(0)).collect();
    let parts = spread(amount, &weights);
    hours.iter().zip(parts).map(|(hour, part)| (hour.from, part, seconds(hour))).collect()
}

#[cfg(test)]
mod tests;
