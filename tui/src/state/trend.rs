//! How many sessions ran, so that it is seen where that goes.

use std::collections::VecDeque;

use jiff::Timestamp;

/// How many seconds lie between two looks.
const PERIOD: i64 = 15;
/// How many are kept: an hour.
const KEPT: usize = 240;

/// The looks of the last hour, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trend {
    looks: VecDeque<Option<u64>>,
    /// When the last one was.
    last: Option<i64>,
}

impl Trend {
    /// Notes how many run now; none where that is not known.
    pub(crate) fn note(&mut self, now: Timestamp, running: Option<u64>) {
        let look = now.as_second().div_euclid(PERIOD);
        let missed = match self.last {
            Some(last) if look <= last => return,
            // A machine that slept, or a recording that was left out, is a gap.
            Some(last) => look.saturating_sub(last).saturating_sub(1),
            None => 0,
        };
        let missed = usize::try_from(missed).unwrap_or(KEPT).min(KEPT);
        self.looks.extend(std::iter::repeat_n(None, missed));
        self.looks.push_back(running);
        let over = self.looks.len().saturating_sub(KEPT);
        self.looks.drain(..over);
        self.last = Some(look);
    }

    /// How many ran, above the least that there were: where it goes, and not how many that is.
    pub(crate) fn shape(&self) -> Vec<Option<u64>> {
        let least = self.range().map_or(0, |(least, _)| least);
        self.looks.iter().map(|look| look.map(|running| running - least)).collect()
    }

    /// The least and the most that ran.
    pub(crate) fn range(&self) -> Option<(u64, u64)> {
        let known = || self.looks.iter().flatten().copied();
        Some((known().min()?, known().max()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_saw_is_a_gap_and_no_zero() {
        let mut trend = Trend::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        for second in [0, 5, 15, 60] {
            trend.note(at(second), Some(u64::try_from(second).unwrap()));
        }
        trend.note(at(75), None);
        assert_eq!(trend.shape(), [Some(0), Some(15), None, None, Some(60), None]);
        trend.note(at(90), Some(70));
        trend.note(at(1_000_000), Some(71));
        assert_eq!(trend.shape().len(), KEPT);
        assert_eq!((trend.shape().last(), trend.range()), (Some(&Some(0)), Some((71, 71))));
    }
}
