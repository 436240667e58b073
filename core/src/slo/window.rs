//! The time that an SLO looks at.

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use thiserror::Error;

use crate::text;

/// A minute, counted since 1970 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(pub i64);

impl Minute {
    /// The minute that an instant lies in.
    pub fn holding(instant: Timestamp) -> Self {
        let before = i64::from(instant.subsec_nanosecond() < 0);
        Self((instant.as_second() - before).div_euclid(60))
    }

    /// When it begins; the nearest instant that there is.
    pub fn start(self) -> Timestamp {
        let nearest = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        self.0
            .checked_mul(60)
            .and_then(|second| Timestamp::from_second(second).ok())
            .unwrap_or(nearest)
    }

    /// So many minutes later, or earlier where it is negative.
    #[must_use]
    pub fn plus(self, minutes: i64) -> Self {
        Self(self.0.saturating_add(minutes))
    }

    /// How many minutes it is until a later one; negative for an earlier one.
    pub fn until(self, later: Self) -> i64 {
        later.0.saturating_sub(self.0)
    }

    /// Its hour, counted since 1970 UTC.
    pub fn hour(self) -> i64 {
        self.0.div_euclid(60)
    }

    /// Its place in the hour, 0 to 59.
    pub fn of_hour(self) -> usize {
        usize::try_from(self.0.rem_euclid(60)).unwrap_or_default()
    }
}

/// The time that an SLO looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Window {
    /// So many days up to now.
    Rolling {
        /// How many, 1 to 90.
        days: u16,
    },
    /// The calendar month.
    CalendarMonth {
        /// Where it is.
        zone: TimeZone,
    },
}

/// Why there is no such window.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WindowError {
    /// Too short or too long.
    #[error("{0} days: a rolling window has 1 to 90 days")]
    Days(i64),
    /// There is no such zone.
    #[error("`{0}` is no IANA time zone: write one, for example Europe/Berlin or UTC")]
    Zone(String),
}

/// A window at an instant: `[from, to)`, of which `[from, now)` is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Its first minute.
    pub from: Minute,
    /// The minute that now begins: nothing from it on is known.
    pub now: Minute,
    /// The first minute after it: `now` of a rolling window, the next month of a month.
    pub to: Minute,
}

impl Bounds {
    /// How long the whole window is, in minutes.
    pub fn minutes(self) -> u32 {
        u32::try_from(self.from.until(self.to)).unwrap_or_default()
    }

    /// How much of it is over, in minutes.
    pub fn elapsed(self) -> u32 {
        u32::try_from(self.from.until(self.now)).unwrap_or_default()
    }

    /// How much of it is still to come, in minutes.
    pub fn left(self) -> u32 {
        u32::try_from(self.now.until(self.to)).unwrap_or_default()
    }
}

/// What the burn rates of a month are scaled by, whatever the month: so its thresholds do
/// not differ from one month to the next.
const NOMINAL_MONTH_DAYS: u16 = 30;

impl Window {
    /// So many days up to now.
    pub fn rolling(days: i64) -> Result<Self, WindowError> {
        match u16::try_from(days) {
            Ok(days @ 1..=90) => Ok(Self::Rolling { days }),
            _ => Err(WindowError::Days(days)),
        }
    }

    /// The calendar month in an IANA zone.
    pub fn calendar_month(zone: &str) -> Result<Self, WindowError> {
        let known = TimeZone::get(zone).ok().filter(|zone| zone.iana_name().is_some());
        known
            .map(|zone| Self::CalendarMonth { zone })
            .ok_or_else(|| WindowError::Zone(text::excerpt(zone)))
    }

    /// How many minutes burn rates are scaled by: 30 days for a calendar month.
    pub fn nominal_minutes(&self) -> u32 {
        let days = match self {
            Self::Rolling { days } => *days,
            Self::CalendarMonth { .. } => NOMINAL_MONTH_DAYS,
        };
        u32::from(days) * 1_440
    }

    /// The window at the begin of a minute.
    pub fn at(&self, now: Minute) -> Bounds {
        match self {
            Self::Rolling { days } => {
                Bounds { from: now.plus(-i64::from(*days) * 1_440), now, to: now }
            }
            Self::CalendarMonth { zone } => month(zone, now),
        }
    }
}

/// The month of the last minute before `now`. At the very begin of a month the month
/// before is over and looked at as a whole.
fn month(zone: &TimeZone, now: Minute) -> Bounds {
    let last = now.plus(-1).start().to_zoned(zone.clone());
    let first = last.date().first_of_month();
    let begin = |date: jiff::civil::Date| {
        let start = date.to_zoned(zone.clone()).map(|start| start.timestamp());
        start.map(Minute::holding)
    };
    let next = first.checked_add(1.month()).and_then(begin);
    match (begin(first), next) {
        (Ok(from), Ok(to)) => Bounds { from, now, to },
        // Only at the ends of what a calendar can say.
        _ => Bounds { from: now, now, to: now },
    }
}
