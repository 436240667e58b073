//! What was counted.

use std::ops::{Add, Sub};

/// Events, and the bad ones among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counts {
    /// All events.
    pub total: u64,
    /// The bad ones.
    pub bad: u64,
}

impl Counts {
    /// More events in a minute than anything has: what is beyond is cut to it, so that a
    /// window of 90 days cannot leave 64 bits.
    pub const MAXIMUM: u64 = 1_000_000_000_000;

    /// So many events with so many bad ones among them, each cut to what there can be.
    pub fn new(total: u64, bad: u64) -> Self {
        let total = total.min(Self::MAXIMUM);
        Self { total, bad: bad.min(total) }
    }

    /// The good ones.
    pub fn good(self) -> u64 {
        self.total.saturating_sub(self.bad)
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            total: self.total.saturating_add(other.total),
            bad: self.bad.saturating_add(other.bad),
        }
    }
}

/// What was counted over some minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sums {
    /// The events of minutes that count.
    pub counts: Counts,
    /// How many minutes were measured and count.
    pub measured: u32,
    /// How many are excluded.
    pub excluded: u32,
}

impl Add for Sums {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            counts: self.counts + other.counts,
            measured: self.measured.saturating_add(other.measured),
            excluded: self.excluded.saturating_add(other.excluded),
        }
    }
}

impl Sub for Sums {
    type Output = Self;

    /// What came after an earlier point.
    fn sub(self, earlier: Self) -> Self {
        Self {
            counts: Counts {
                total: self.counts.total.saturating_sub(earlier.counts.total),
                bad: self.counts.bad.saturating_sub(earlier.counts.bad),
            },
            measured: self.measured.saturating_sub(earlier.measured),
            excluded: self.excluded.saturating_sub(earlier.excluded),
        }
    }
}
