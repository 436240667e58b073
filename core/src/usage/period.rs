//! Billing periods: a month in a tenant's zone, cut out of UTC.
//!
//! Usage is kept in UTC; a zone is applied only here. A month over a change of daylight
//! saving time has an hour more or less: in New York November has 721 and March 743.

use std::{fmt, str::FromStr};

use jiff::{ToSpan as _, civil::Date, tz::TimeZone};
use thiserror::Error;

use super::{BUCKET_SECONDS, Bucket, Grain, Second, Span};
use crate::text;

/// Why there is no such month.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{value}` is no month that can be billed: write year and month, for example `2026-11`")]
pub struct MonthError {
    /// What was read, escaped and shortened.
    pub value: String,
}

/// A month of a calendar, wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    first: Date,
}

impl Month {
    /// The month of a year; 1 is January. From 1970 to 9998, so that each has a next one
    /// in every zone.
    pub fn new(year: i16, month: i8) -> Result<Self, MonthError> {
        let error = || MonthError { value: format!("{year}-{month:02}") };
        if !(1970..=9998).contains(&year) {
            return Err(error());
        }
        Date::new(year, month, 1).map(|first| Self { first }).map_err(|_| error())
    }

    /// The month after it.
    pub fn next(self) -> Result<Self, MonthError> {
        let (year, month) = (self.first.year(), self.first.month());
        if month == 12 { Self::new(year.saturating_add(1), 1) } else { Self::new(year, month + 1) }
    }

    /// From the first instant of its first day in the zone to that of the next month's.
    /// Months of one zone leave no second out and share none.
    pub fn cut(self, zone: &TimeZone) -> Result<Span, MonthError> {
        let error = |_| MonthError { value: self.to_string() };
        let begin = |month: Self| {
            // Where a change of the clocks leaves no midnight, the day begins at the
            // first time that there is.
            let day = month.first.to_zoned(zone.clone()).and_then(|day| day.start_of_day());
            day.map(|begin| Second::holding(begin.timestamp()))
        };
        let from = begin(self).map_err(error)?;
        let to = begin(self.next()?).map_err(error)?;
        Ok(Span::new(from, to))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}

impl FromStr for Month {
    type Err = MonthError;

    /// Reads `2026-11`.
    fn from_str(value: &str) -> Result<Self, MonthError> {
        let read = || {
            let (year, month) = value.split_once('-')?;
            let is_form = year.len() == 4 && month.len() == 2;
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            if !is_form || !digits(year) || !digits(month) {
                return None;
            }
            Self::new(year.parse().ok()?, month.parse().ok()?).ok()
        };
        read().ok_or_else(|| MonthError { value: text::excerpt(value) })
    }
}

/// The first seconds of the days of a zone that have a second of a span, in their order.
/// The first one's is raised to the span's: with the span's end after them, they cut it
/// into days. Nothing where the calendar has no more days.
pub fn days(span: Span, zone: &TimeZone) -> Vec<Second> {
    if span.is_empty() {
        return Vec::new();
    }
    let mut starts = vec![span.from];
    let mut day = span.from.timestamp().to_zoned(zone.clone()).date();
    loop {
        let next = day.checked_add(1.day()).and_then(|next| {
            // Where a change of the clocks leaves no midnight, the day begins at the
            // first time that there is; a day that a zone left out begins with the next.
            Ok((next, next.to_zoned(zone.clone())?.start_of_day()?))
        });
        let Ok((next, begin)) = next else { return starts };
        day = next;
        let begin = Second::holding(begin.timestamp());
        if begin >= span.to {
            return starts;
        }
        if starts.last().is_none_or(|last| *last < begin) {
            starts.push(begin);
        }
    }
}

/// The rows that a span is the sum of. The hours of a zone that is off UTC by half an
/// hour or a quarter are no hours of UTC, so that buckets make up its edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The buckets before the first whole hour.
    pub before: Vec<Bucket>,
    /// The whole hours of UTC, from the first's start to the last's end.
    pub hours: Span,
    /// The buckets after the last whole hour.
    pub after: Vec<Bucket>,
}

impl Parts {
    /// How many whole hours there are.
    pub fn hour_count(&self) -> i64 {
        self.hours.seconds() / Grain::Hour.seconds()
    }
}

/// The buckets and hours that belong to a span.
///
/// A bucket belongs to the span that it begins in, so that spans which follow each other
/// share none. No zone of today cuts one: all are off UTC by multiples of five minutes.
pub fn parts(span: Span) -> Parts {
    let (from, to) = (span.from.ceiling(BUCKET_SECONDS), span.to.ceiling(BUCKET_SECONDS));
    let hour = Grain::Hour.seconds();
    let (first, last) = (from.ceiling(hour), to.floor(hour));
    if last < first {
        let before = Span::new(from, to).buckets().collect();
        return Parts { before, hours: Span::new(first, first), after: Vec::new() };
    }
    Parts {
        before: Span::new(from, first).buckets().collect(),
        hours: Span::new(first, last),
        after: Span::new(last, to).buckets().collect(),
    }
}
