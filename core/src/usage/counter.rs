//! Actual use from counters that only grow, beside what was requested.

use super::{Bucket, Second, Span};

/// A counter of a container as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reading {
    /// When the container started that counts; each start counts from 0.
    pub container_start: Second,
    /// When it was read.
    pub at: Second,
    /// What it said, in the metric's unit.
    pub value: i128,
}

/// What a counter grew by, and in which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Increase {
    /// When.
    pub span: Span,
    /// How much.
    pub amount: i128,
}

/// What was used between two readings of a counter; `None` where the later one is no
/// later, or nothing was used.
///
/// Of another container, and of a counter that fell, the new value was used: from the
/// container's start on, or from the reading before where that is later. What the old
/// container used after its last reading is lost, and so is never billed twice.
pub fn increase(previous: Option<&Reading>, next: &Reading) -> Option<Increase> {
    let begin = match previous {
        Some(previous) if next.at <= previous.at => return None,
        Some(previous) => previous.at.max(next.container_start),
        None => next.container_start,
    };
    // A start that the node's clock puts after the reading.
    let span = Span::new(begin.min(next.at.plus(-1)), next.at);
    let amount = match previous {
        Some(previous)
            if previous.container_start == next.container_start && previous.value <= next.value =>
        {
            next.value - previous.value
        }
        _ => next.value,
    };
    (amount > 0).then_some(Increase { span, amount })
}

/// Divides a total in the proportion of weights, in whole units, so that the parts are
/// the total to the unit.
///
/// The largest-remainder method (Hamilton's): each gets the whole part of its share, and
/// the units that are left go to the largest fractions, of equal ones to the first. A
/// total of less than nothing is divided as its opposite. Without any weight, all of it
/// goes to the first part; without parts there is nothing to give it to.
pub fn spread(total: i128, weights: &[u32]) -> Vec<i128> {
    let sum: i128 = weights.iter().copied().map(i128::from).sum();
    if sum == 0 {
        let all = |(index, _)| if index == 0 { total } else { 0 };
        return weights.iter().enumerate().map(all).collect();
    }
    let sign = total.signum();
    // Whole turns first, so that no product is larger than the total's own bits.
    let (turns, rest) = (total / sum, (total % sum) * sign);
    let mut parts = Vec::with_capacity(weights.len());
    let mut fractions = Vec::with_capacity(weights.len());
    let mut left = rest;
    for (index, weight) in weights.iter().copied().map(i128::from).enumerate() {
        let share = rest * weight;
        left -= share / sum;
        parts.push(turns * weight + sign * (share / sum));
        fractions.push((share % sum, index));
    }
    fractions.sort_unstable_by_key(|(fraction, index)| (-fraction, *index));
    for (_, index) in fractions {
        if left == 0 {
            break;
        }
        if let Some(part) = parts.get_mut(index) {
            *part += sign;
            left -= 1;
        }
    }
    parts
}

/// Spreads an increase evenly over the buckets of its time, to the unit.
pub fn over_buckets(increase: &Increase) -> Vec<(Bucket, i128)> {
    let buckets: Vec<_> = increase.span.buckets().collect();
    let seconds = |bucket: &Bucket| bucket.span().meet(increase.span).seconds();
    let weights: Vec<_> =
        buckets.iter().map(|bucket| u32::try_from(seconds(bucket)).unwrap_or(0)).collect();
    buckets.into_iter().zip(spread(increase.amount, &weights)).collect()
}

/// What is shown as the use of a time: what was requested, or what was used where that is
/// more. It is never billed.
pub fn showback(requested: i128, used: i128) -> i128 {
    requested.max(used)
}
