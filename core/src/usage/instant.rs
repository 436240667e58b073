//! Instants and the pieces of time that usage is counted in.

use std::iter;

use jiff::Timestamp;

/// How long a bucket is, in seconds.
pub const BUCKET_SECONDS: i64 = 300;

/// A whole second since 1970 UTC, as the API server writes its instants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Second(pub i64);

impl Second {
    /// The second that an instant lies in.
    pub fn holding(instant: Timestamp) -> Self {
        // The whole seconds of an instant before 1970 are cut towards 1970.
        let before = i64::from(instant.subsec_nanosecond() < 0);
        Self(instant.as_second() - before)
    }

    /// The instant at which it begins; the nearest one that there is.
    pub fn timestamp(self) -> Timestamp {
        let nearest = if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::from_second(self.0).unwrap_or(nearest)
    }

    /// So many seconds later, or earlier where it is negative.
    #[must_use]
    pub fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// The last multiple of `step` seconds that is not after it.
    pub(super) fn floor(self, step: i64) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(step)))
    }

    /// The first multiple of `step` seconds that is not before it.
    pub(super) fn ceiling(self, step: i64) -> Self {
        let floor = self.floor(step);
        if floor == self { self } else { floor.plus(step) }
    }
}

/// The time from one second up to another, which is no more in it: `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first second.
    pub from: Second,
    /// The second after the last.
    pub to: Second,
}

impl Span {
    /// The time from one second up to another.
    pub fn new(from: Second, to: Second) -> Self {
        Self { from, to }
    }

    /// How many seconds it has; 0 where it ends before it begins.
    pub fn seconds(self) -> i64 {
        self.to.0.saturating_sub(self.from.0).max(0)
    }

    /// Whether it has no second.
    pub fn is_empty(self) -> bool {
        self.to <= self.from
    }

    /// Whether a second is in it.
    pub fn contains(self, second: Second) -> bool {
        self.from <= second && second < self.to
    }

    /// What both have; empty where they share no second.
    #[must_use]
    pub fn meet(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), to: self.to.min(other.to) }
    }

    /// The buckets that have a second of it, in their order.
    pub fn buckets(self) -> impl Iterator<Item = Bucket> {
        let first = (!self.is_empty()).then(|| Bucket::holding(self.from));
        iter::successors(first, |bucket| Some(bucket.next()))
            .take_while(move |bucket| bucket.start() < self.to)
    }
}

/// Five minutes of UTC that begin at a multiple of five minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(Second);

impl Bucket {
    /// The bucket that a second lies in.
    pub fn holding(second: Second) -> Self {
        Self(second.floor(BUCKET_SECONDS))
    }

    /// The bucket that begins at a second; `None` where none does.
    pub fn starting_at(second: Second) -> Option<Self> {
        let bucket = Self::holding(second);
        (bucket.0 == second).then_some(bucket)
    }

    /// Its first second.
    pub fn start(self) -> Second {
        self.0
    }

    /// Its seconds.
    pub fn span(self) -> Span {
        Span::new(self.0, self.0.plus(BUCKET_SECONDS))
    }

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.plus(BUCKET_SECONDS))
    }
}
