//! Sums of intervals and corrections over hours and days of UTC.
//!
//! A rollup is a pure recomputation: from all entries of the hour or day, never from what
//! it was before. So it can be made anew at any time, and must come out the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{Bucket, Second, Session, Span, Usage};
use crate::{ids::TenantUid, session::SessionUid};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Requested CPU, in millicore-seconds.
    Cpu,
    /// Requested memory, in byte-seconds.
    Memory,
    /// Homes, in byte-seconds.
    Storage,
    /// Billable time, in session-seconds.
    SessionTime,
    /// Sessions whose life began.
    SessionsStarted,
    /// Distinct sessions that ran. It is no sum: a session that runs for two hours is one
    /// in each and one in the day.
    SessionsActive,
    /// Recordings, in byte-seconds.
    Recordings,
    /// What left the cluster, in bytes.
    Egress,
    /// CPU that was really used, in millicore-seconds. Shown, never billed.
    CpuUsed,
    /// Memory that was really used, in byte-seconds. Shown, never billed.
    MemoryUsed,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 10] = [
        Self::Cpu,
        Self::Memory,
        Self::Storage,
        Self::SessionTime,
        Self::SessionsStarted,
        Self::SessionsActive,
        Self::Recordings,
        Self::Egress,
        Self::CpuUsed,
        Self::MemoryUsed,
    ];

    /// The word for it, with its unit.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu_millicore_seconds",
            Self::Memory => "memory_byte_seconds",
            Self::Storage => "storage_byte_seconds",
            Self::SessionTime => "session_seconds",
            Self::SessionsStarted => "sessions_started",
            Self::SessionsActive => "sessions_active",
            Self::Recordings => "recording_byte_seconds",
            Self::Egress => "egress_bytes",
            Self::CpuUsed => "cpu_used_millicore_seconds",
            Self::MemoryUsed => "memory_used_byte_seconds",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == word)
    }

    /// Whether a day is the sum of its hours.
    pub fn is_sum(self) -> bool {
        self != Self::SessionsActive
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How long a rollup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grain {
    /// An hour of UTC.
    Hour,
    /// A day of UTC.
    Day,
}

impl Grain {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// How many seconds it has: UTC has no other days.
    pub fn seconds(self) -> i64 {
        match self {
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// The hour or day that a second lies in.
    pub fn holding(self, second: Second) -> Span {
        let from = second.floor(self.seconds());
        Span::new(from, from.plus(self.seconds()))
    }
}

/// A part of what a session used in a bucket: of an interval, a correction, or a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Which session.
    pub session: &'a Session,
    /// In which bucket.
    pub bucket: Bucket,
    /// What is counted.
    pub metric: Metric,
    /// How much, in the metric's unit.
    pub quantity: i128,
}

/// The entries of an interval's or a correction's usage.
pub fn entries<'a>(
    session: &'a Session,
    bucket: Bucket,
    usage: &Usage,
) -> impl Iterator<Item = Entry<'a>> + use<'a> {
    let amounts = usage.amounts().into_iter();
    amounts.map(move |(metric, quantity)| Entry { session, bucket, metric, quantity })
}

/// What a rollup is by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// The first second of the hour or day.
    pub start: Second,
    /// Whose.
    pub tenant: TenantUid,
    /// Which user's.
    pub user: String,
    /// Of which template.
    pub template: String,
    /// What is counted.
    pub metric: Metric,
}

/// Quantities by hour or day; a cell without any is absent.
pub type Rollup = BTreeMap<Cell, i128>;

/// The rollup of entries. Those of an hour or day must all be there, or none.
pub fn rollup<'a>(grain: Grain, entries: impl IntoIterator<Item = Entry<'a>>) -> Rollup {
    type Group<'a> = (Second, TenantUid, &'a str, &'a str);
    let mut sums: BTreeMap<(Group<'a>, Metric), i128> = BTreeMap::new();
    let mut ran: BTreeMap<(Group<'a>, SessionUid), i128> = BTreeMap::new();
    for Entry { session, bucket, metric, quantity } in entries {
        let start = grain.holding(bucket.start()).from;
        let group = (start, session.tenant, session.user.as_str(), session.template.as_str());
        *sums.entry((group, metric)).or_default() += quantity;
        if metric == Metric::SessionTime {
            *ran.entry((group, session.uid)).or_default() += quantity;
        }
    }
    // Corrections are among them, so that only the sum says whether it ran.
    for ((group, _), _) in ran.into_iter().filter(|(_, seconds)| *seconds > 0) {
        *sums.entry((group, Metric::SessionsActive)).or_default() += 1;
    }
    let cell = |((group, metric), quantity): ((Group<'a>, Metric), i128)| {
        let (start, tenant, user, template) = group;
        let (user, template) = (user.to_owned(), template.to_owned());
        (Cell { start, tenant, user, template, metric }, quantity)
    };
    sums.into_iter().filter(|(_, quantity)| *quantity != 0).map(cell).collect()
}

/// The hours or days that must be recomputed for buckets that have changed.
pub fn dirty(grain: Grain, buckets: impl IntoIterator<Item = Bucket>) -> BTreeSet<Span> {
    buckets.into_iter().map(|bucket| grain.holding(bucket.start())).collect()
}
