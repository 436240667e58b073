//! When a quota will be used up, if use goes on as it did.
//!
//! The forecast is the straight line of least squares through the last hourly levels, and
//! nothing cleverer: a person can redraw it. With levels `y` at the hours `x` it is
//! (NIST/SEMATECH e-Handbook of Statistical Methods, 4.1.4.1, for one straight line)
//!
//! ```text
//!      n Σxy − Σx Σy            Σy − b Σx
//! b = ───────────────      a = ───────────      y = a + b x
//!      n Σx² − (Σx)²                n
//! ```
//!
//! and the limit `L` is reached where `a + b x = L`. Sums are whole numbers and the one
//! division comes last, so that the same hours give the same second.

use jiff::Timestamp;

/// The most hours that count.
pub const HOURS_MAXIMUM: usize = 24;
/// Fewer hours say nothing.
pub const HOURS_MINIMUM: usize = 6;
/// Further ahead a line through one day says nothing, in seconds: 90 days.
pub const HORIZON_SECONDS: i64 = 90 * 86_400;

const HOUR: i128 = 3_600;

/// What was used in one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourlySum {
    /// The hour's first second since 1970, a multiple of 3,600.
    pub start: i64,
    /// The level times seconds: of CPU millicore-seconds, of memory and storage
    /// byte-seconds. The hour's average level is a 3,600th of it.
    pub sum: i128,
}

/// When a limit will be reached if the level goes on along its line of least squares.
///
/// `None` where it will not (the level does not rise), where less than
/// [`HOURS_MINIMUM`] hours are known, or where it is further ahead than
/// [`HORIZON_SECONDS`]. The instant is never before `now`: a line that is over the limit
/// already says now. Of more than [`HOURS_MAXIMUM`] hours the last count; an hour that is
/// not known is left out.
pub fn exhaustion(hours: &[HourlySum], limit: i64, now: Timestamp) -> Option<Timestamp> {
    let mut hours = hours.to_vec();
    hours.sort_unstable_by_key(|hour| hour.start);
    let hours = hours.get(hours.len().saturating_sub(HOURS_MAXIMUM)..)?;
    if hours.len() < HOURS_MINIMUM {
        return None;
    }
    let first = hours.first()?.start;
    let count = i128::try_from(hours.len()).ok()?;
    // x in hours since the first, y in levels times 3,600: no fraction before the end.
    let (mut x, mut y, mut xx, mut xy) = (0_i128, 0_i128, 0_i128, 0_i128);
    for hour in hours {
        let at = i128::from(hour.start.checked_sub(first)?) / HOUR;
        x += at;
        xx += at.checked_mul(at)?;
        y = y.checked_add(hour.sum)?;
        xy = xy.checked_add(at.checked_mul(hour.sum)?)?;
    }
    let spread = count.checked_mul(xx)?.checked_sub(x.checked_mul(x)?)?;
    let rise = count.checked_mul(xy)?.checked_sub(x.checked_mul(y)?)?;
    if spread <= 0 || rise <= 0 {
        return None;
    }
    // x = x̄ + (L − ȳ) / b, with b = rise / spread, over one denominator.
    let left = i128::from(limit).checked_mul(HOUR)?.checked_mul(count)?.checked_sub(y)?;
    let above = x.checked_mul(rise)?.checked_add(left.checked_mul(spread)?)?;
    let below = count.checked_mul(rise)?;
    // An hour's average is its level in the middle of it.
    let middle = i128::from(first) + HOUR / 2;
    let ahead = above.checked_mul(HOUR)?.checked_div(below)?;
    let at = middle.checked_add(ahead)?.max(i128::from(now.as_second()));
    let horizon = i128::from(now.as_second()) + i128::from(HORIZON_SECONDS);
    let at = i64::try_from(at).ok().filter(|at| i128::from(*at) <= horizon)?;
    Timestamp::from_second(at).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The first hour of the 2nd of November 2026.
    const FIRST: i64 = 1_793_577_600;

    fn levels(levels: impl IntoIterator<Item = i64>) -> Vec<HourlySum> {
        let sum = |(hour, level): (i64, i64)| HourlySum {
            start: FIRST + hour * 3_600,
            sum: i128::from(level) * HOUR,
        };
        (0..).zip(levels).map(sum).collect()
    }

    fn after(hours: i64) -> Timestamp {
        Timestamp::from_second(FIRST + hours * 3_600).unwrap()
    }

    #[test]
    fn a_level_that_rises_by_one_core_an_hour_reaches_the_limit_on_its_line() {
        // 1,000 in the middle of the first hour, 24,000 in the middle of the last.
        let rising = levels((1..=24).map(|hour| hour * 1_000));
        let at = exhaustion(&rising, 40_000, after(24)).unwrap();
        assert_eq!(at, Timestamp::from_second(FIRST + 39 * 3_600 + 1_800).unwrap());
        // The order of the hours does not count, and neither do those before the last day.
        let mut shuffled = levels([900_000, 5].into_iter().chain((1..=24).map(|h| h * 1_000)));
        shuffled.reverse();
        assert_eq!(
            exhaustion(&shuffled, 40_000, after(26)),
            at.checked_add(jiff::SignedDuration::from_hours(2)).ok()
        );
        // An hour that is not known is no zero.
        let mut gapped = rising.clone();
        gapped.remove(7);
        assert_eq!(exhaustion(&gapped, 40_000, after(24)), Some(at));
    }

    #[test]
    fn what_does_not_rise_or_is_not_known_has_no_end() {
        let now = after(24);
        assert_eq!(exhaustion(&levels([5_000; 24]), 40_000, now), None);
        assert_eq!(exhaustion(&levels((0..24).map(|hour| 50_000 - hour)), 40_000, now), None);
        assert_eq!(exhaustion(&[], 40_000, now), None);
        assert_eq!(exhaustion(&levels((0..5).map(|hour| hour * 1_000)), 40_000, now), None);
        assert!(exhaustion(&levels((0..6).map(|hour| hour * 1_000)), 40_000, now).is_some());
        // One millicore a day for 40 cores.
        let slow = levels((0..24).map(|hour| i64::from(hour == 23)));
        assert_eq!(exhaustion(&slow, 40_000, now), None);
        // Over the limit already.
        assert_eq!(exhaustion(&levels(1..=24), 3, now), Some(now));
    }

    proptest! {
        #[test]
        fn no_numbers_are_too_large(
            sums in prop::collection::vec((any::<i64>(), any::<i128>()), 0..40),
            limit in any::<i64>(),
        ) {
            let hours: Vec<_> =
                sums.into_iter().map(|(start, sum)| HourlySum { start, sum }).collect();
            let now = after(24);
            if let Some(at) = exhaustion(&hours, limit, now) {
                prop_assert!(at >= now);
                prop_assert!(at.as_second() - now.as_second() <= HORIZON_SECONDS);
            }
        }
    }
}
