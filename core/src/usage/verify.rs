//! The proof that nothing was counted twice, and that intervals, hours and days agree.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    BUCKET_SECONDS, Bucket, Cell, Correction, Grain, Interval, Rollup, Session, corrected, entries,
    rollup,
};
use crate::session::SessionUid;

/// Everything that is stored about a time of whole UTC days, to be checked against itself.
#[derive(Clone, Copy, Debug)]
pub struct Books<'a> {
    /// The sessions that the rows are of.
    pub sessions: &'a BTreeMap<SessionUid, Session>,
    /// The intervals.
    pub intervals: &'a [Interval],
    /// Their corrections.
    pub corrections: &'a [Correction],
    /// The stored hours.
    pub hours: &'a Rollup,
    /// The stored days.
    pub days: &'a Rollup,
}

/// Something that is wrong in the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A row is of a session that there is none of.
    UnknownSession(SessionUid),
    /// A session has two intervals in one bucket.
    CountedTwice(SessionUid, Bucket),
    /// A session has two corrections with one number in one bucket.
    CorrectedTwice(SessionUid, Bucket, u32),
    /// A session has more seconds in a bucket than the bucket, or fewer than none.
    Seconds(SessionUid, Bucket, i64),
    /// The billed seconds of a session in a bucket are not its measured and estimated ones.
    Billed {
        /// Of which session.
        session: SessionUid,
        /// In which bucket.
        bucket: Bucket,
        /// Those that are billed.
        billed: i128,
        /// Those that are measured and estimated.
        covered: i64,
    },
    /// Less than nothing was used by a session in a bucket.
    Negative(SessionUid, Bucket),
    /// A rollup is not the sum of its intervals and corrections.
    Rollup {
        /// Hour or day.
        grain: Grain,
        /// Which.
        cell: Cell,
        /// What it should hold; `None` where there should be no row.
        expected: Option<i128>,
        /// What it holds; `None` where there is no row.
        found: Option<i128>,
    },
    /// A day is not the sum of its hours.
    Day {
        /// Which.
        cell: Cell,
        /// The sum of its hours.
        hours: i128,
        /// What it holds.
        day: i128,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSession(session) => write!(f, "session {session}: rows and no session"),
            Self::CountedTwice(session, bucket) => {
                write!(f, "session {session}: two intervals at {}", time(*bucket))
            }
            Self::CorrectedTwice(session, bucket, number) => {
                write!(f, "session {session}: two corrections {number} at {}", time(*bucket))
            }
            Self::Seconds(session, bucket, seconds) => write!(
                f,
                "session {session}: {seconds} seconds in the {BUCKET_SECONDS} at {}",
                time(*bucket)
            ),
            Self::Billed { session, bucket, billed, covered } => write!(
                f,
                "session {session}: {billed} seconds billed at {}, and {covered} measured or \
                 estimated",
                time(*bucket)
            ),
            Self::Negative(session, bucket) => {
                write!(f, "session {session}: less than nothing used at {}", time(*bucket))
            }
            Self::Rollup { grain, cell, expected, found } => write!(
                f,
                "{} {}: holds {}, and its intervals come to {}",
                grain.as_str(),
                name(cell),
                number(*found),
                number(*expected)
            ),
            Self::Day { cell, hours, day } => {
                write!(f, "day {}: holds {day}, and its hours come to {hours}", name(cell))
            }
        }
    }
}

fn time(bucket: Bucket) -> jiff::Timestamp {
    bucket.start().timestamp()
}

fn name(cell: &Cell) -> String {
    let Cell { start, tenant, user, template, metric } = cell;
    format!("{} of tenant {tenant}, {}, {}: {metric}", start.timestamp(), user, template)
}

fn number(quantity: Option<i128>) -> String {
    quantity.map_or_else(|| "no row".to_owned(), |quantity| quantity.to_string())
}

/// Everything that is wrong in the books; nothing where they agree to the unit.
pub fn verify(books: &Books<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    check_rows(books, &mut faults);
    for (grain, found) in [(Grain::Hour, books.hours), (Grain::Day, books.days)] {
        check_rollup(books, grain, found, &mut faults);
    }
    check_days(books, &mut faults);
    faults
}

fn check_rows(books: &Books<'_>, faults: &mut Vec<Fault>) {
    let mut rows: BTreeMap<(SessionUid, Bucket), Interval> = BTreeMap::new();
    for interval in books.intervals {
        let key = (interval.session, interval.bucket);
        if rows.insert(key, interval.clone()).is_some() {
            faults.push(Fault::CountedTwice(key.0, key.1));
        }
    }
    let mut numbers = BTreeSet::new();
    for correction in books.corrections {
        let Correction { session, bucket, number, .. } = *correction;
        if !numbers.insert((session, bucket, number)) {
            faults.push(Fault::CorrectedTwice(session, bucket, number));
        }
        let row = rows.remove(&(session, bucket));
        let row = row.unwrap_or_else(|| Interval::empty(session, bucket));
        rows.insert((session, bucket), corrected(row, [correction]));
    }
    let mut unknown = BTreeSet::new();
    for ((session, bucket), row) in rows {
        if !books.sessions.contains_key(&session) && unknown.insert(session) {
            faults.push(Fault::UnknownSession(session));
        }
        let seconds = row.covered.total();
        if !(0..=BUCKET_SECONDS).contains(&seconds) {
            faults.push(Fault::Seconds(session, bucket, seconds));
        }
        let (billed, covered) = (row.usage.sessions.0, row.covered.billed());
        if billed != i128::from(covered) {
            faults.push(Fault::Billed { session, bucket, billed, covered });
        }
        let is_negative = row.usage.amounts().iter().any(|(_, quantity)| *quantity < 0)
            || row.covered.kinds().any(|(_, seconds)| seconds < 0);
        if is_negative {
            faults.push(Fault::Negative(session, bucket));
        }
    }
}

fn check_rollup(books: &Books<'_>, grain: Grain, found: &Rollup, faults: &mut Vec<Fault>) {
    let intervals = books.intervals.iter().map(|row| (row.session, row.bucket, &row.usage));
    let corrections = books.corrections.iter().map(|row| (row.session, row.bucket, &row.usage));
    let of_known = intervals.chain(corrections).filter_map(|(session, bucket, usage)| {
        books.sessions.get(&session).map(|session| entries(session, bucket, usage))
    });
    let expected = rollup(grain, of_known.flatten());
    // Recordings, egress and actual use come from counters and not from intervals.
    let metrics: BTreeSet<_> = super::Usage::default().amounts().map(|(metric, _)| metric).into();
    let is_of_intervals = |cell: &&Cell| metrics.contains(&cell.metric) || !cell.metric.is_sum();
    let cells: BTreeSet<_> = expected.keys().chain(found.keys().filter(is_of_intervals)).collect();
    for cell in cells {
        let (expected, found) = (expected.get(cell).copied(), found.get(cell).copied());
        if expected != found {
            faults.push(Fault::Rollup { grain, cell: cell.clone(), expected, found });
        }
    }
}

fn check_days(books: &Books<'_>, faults: &mut Vec<Fault>) {
    let mut sums: Rollup = books.days.keys().map(|cell| (cell.clone(), 0)).collect();
    for (cell, quantity) in books.hours {
        let start = Grain::Day.holding(cell.start).from;
        *sums.entry(Cell { start, ..cell.clone() }).or_default() += quantity;
    }
    for (cell, hours) in sums.into_iter().filter(|(cell, _)| cell.metric.is_sum()) {
        let day = books.days.get(&cell).copied().unwrap_or(0);
        if day != hours {
            faults.push(Fault::Day { cell, hours, day });
        }
    }
}
