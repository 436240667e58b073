//! When people come: the hours of a day, the days of a week, and where the sun rises.

use super::{distribution, random::Random};
use crate::usage::Second;

pub(super) const HOUR: i64 = 3600;
pub(super) const DAY: i64 = 24 * HOUR;

/// When the users of a tenant come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// What the local clock shows when UTC shows midnight, in seconds.
    pub zone_seconds: i64,
    /// How many come in each local hour, as shares of the sum.
    pub hours: [u32; 24],
    /// How many come on a day of the weekend, in thousandths of a working day's.
    pub weekend_permille: u32,
    /// How often a user comes on a working day, in thousandths.
    pub visits_milli: u32,
}

impl Rhythm {
    /// People in offices: two hills, with a valley at noon, and few at night.
    pub const OFFICE: [u32; 24] = [
        2, 1, 1, 1, 1, 3, 10, 40, 110, 140, 120, 90, 50, 90, 110, 100, 80, 50, 25, 15, 12, 10, 6, 3,
    ];
    /// People who learn after school, and on weekends.
    pub const EVENINGS: [u32; 24] = [
        8, 4, 2, 1, 1, 1, 4, 8, 20, 25, 25, 25, 30, 35, 40, 60, 80, 100, 120, 140, 130, 90, 50, 20,
    ];

    /// Offices whose clock shows that at midnight of UTC.
    pub fn office(zone_seconds: i64) -> Self {
        Self { zone_seconds, hours: Self::OFFICE, weekend_permille: 120, visits_milli: 3000 }
    }

    /// The sum of the shares.
    fn shares(&self) -> u64 {
        self.hours.iter().map(|share| u64::from(*share)).sum()
    }

    /// How fast they come in the hour of a local second.
    fn speed(&self, local: i64) -> u128 {
        let hour = local.rem_euclid(DAY) / HOUR;
        let share = usize::try_from(hour).ok().and_then(|hour| self.hours.get(hour));
        // The first of January 1970 was a Thursday.
        let weekday = (local.div_euclid(DAY) + 3).rem_euclid(7);
        let of_day = if weekday < 5 { 1000 } else { u128::from(self.weekend_permille) };
        u128::from(share.copied().unwrap_or(0)) * of_day * u128::from(self.visits_milli)
    }

    /// When a user comes next, who has working hours `shift` seconds before the others';
    /// `None` where that is not before `end`.
    ///
    /// A Poisson process whose rate is constant within an hour: the waiting time of a
    /// rate of one is used up hour by hour.
    pub(super) fn next_visit(
        &self,
        after: Second,
        end: Second,
        shift: i64,
        random: &mut Random,
    ) -> Option<Second> {
        // What a rate of one uses up in the time that a visit takes on the average.
        let visit = u128::from(self.shares()) * 3_600_000_000;
        let mut left =
            (u128::from(distribution::exponential(random)) * visit) / u128::from(distribution::ONE);
        let mut at = after.plus(1);
        while at < end {
            let local = at.0.saturating_add(self.zone_seconds).saturating_add(shift);
            let speed = self.speed(local);
            let seconds = HOUR - local.rem_euclid(HOUR);
            let used = speed * u128::from(seconds.unsigned_abs());
            if used > left {
                let seconds = i64::try_from(left.checked_div(speed)?).unwrap_or(seconds);
                return Some(at.plus(seconds)).filter(|at| *at < end);
            }
            left -= used;
            at = at.plus(seconds);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday, the second of November 2026, midnight of UTC.
    const MONDAY: Second = Second(1_793_577_600);

    fn visits(rhythm: &Rhythm, days: i64) -> Vec<i64> {
        let mut random = Random(5);
        let end = MONDAY.plus(days * DAY);
        let mut at = MONDAY;
        let mut found = Vec::new();
        while let Some(next) = rhythm.next_visit(at, end, 0, &mut random) {
            at = next;
            found.push(at.0 - MONDAY.0);
        }
        found
    }

    #[test]
    fn they_come_as_often_as_they_should_and_by_the_local_clock() {
        let mut rhythm = Rhythm { visits_milli: 200_000, ..Rhythm::office(0) };
        let week = visits(&rhythm, 7);
        let of_day = |day: i64| week.iter().filter(|at| **at / DAY == day).count();
        for day in 0..5 {
            assert!((160..240).contains(&of_day(day)), "{day}: {}", of_day(day));
        }
        assert!((10..45).contains(&of_day(5)) && (10..45).contains(&of_day(6)));
        let between = |all: &[i64], from: i64, to: i64| {
            all.iter().filter(|at| (from..to).contains(&(**at % DAY / HOUR))).count()
        };
        let (morning, noon, night) =
            (between(&week, 9, 10), between(&week, 12, 13), between(&week, 0, 5));
        assert!(morning > 2 * noon && noon > 4 * night, "{morning} {noon} {night}");
        // Half past five hours to the east everything is so much earlier.
        rhythm.zone_seconds = 19_800;
        let east = visits(&rhythm, 5);
        assert!(between(&east, 3, 5) > 5 * between(&east, 9, 14).max(1) / 10);
        assert!(between(&east, 3, 4) > 3 * between(&east, 16, 18));
    }

    #[test]
    fn who_never_comes_is_not_waited_for() {
        for rhythm in [
            Rhythm { visits_milli: 0, ..Rhythm::office(0) },
            Rhythm { hours: [0; 24], ..Rhythm::office(0) },
        ] {
            assert!(visits(&rhythm, 30).is_empty());
        }
        let mut random = Random(1);
        let at = Rhythm::office(i64::MAX).next_visit(Second(0), Second(0), i64::MAX, &mut random);
        assert_eq!(at, None);
    }
}
