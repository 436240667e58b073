//! Numbers that look random and are the same on every machine.

use uuid::{Builder, Uuid};

/// `SplitMix64` (Steele, Lea and Flood 2014): small, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(pub(crate) u64);

impl Random {
    /// The numbers of one thing among many: of a seed and what tells the thing apart.
    /// Things that differ in one part get unrelated numbers.
    pub fn of(parts: impl IntoIterator<Item = u64>) -> Self {
        let mut mixed = Self(0);
        for part in parts {
            mixed = Self(mixed.next() ^ part);
        }
        Self(mixed.next())
    }

    /// The next 64 bits.
    #[allow(
        clippy::should_implement_trait,
        reason = "it never ends, and is no iterator of anything"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to and without the bound; 0 where that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// From 0 up to and without the bound.
    pub fn seconds(&mut self, bound: i64) -> i64 {
        i64::try_from(self.below(bound.unsigned_abs())).unwrap_or(0)
    }

    /// Whether that happens which happens so often.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// An identity of the form of version 4.
    pub fn uuid(&mut self) -> Uuid {
        let bits = u128::from(self.next()) << 64 | u128::from(self.next());
        Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}
