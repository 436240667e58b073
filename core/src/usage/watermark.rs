//! How far the facts and the commits have come, and who may move them on.
//!
//! The state is one row. Whoever changes it does so where the row still is what they
//! read, in the transaction of what belongs to the change: a gap with the ends of the
//! sessions that the list lacks, intervals with the closing of their buckets. Transitions
//! are taken from anybody, in a transaction that holds the row against a change, for what
//! else they need depends on it ([`late`](super::late),
//! [`History::unlisted`](super::History::unlisted)).

use std::fmt;

use thiserror::Error;

use super::{BUCKET_SECONDS, Gap, Listing, Second, Span};

/// Which replica leads, counted up with each change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaderTerm(pub i64);

impl fmt::Display for LeaderTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// How far the facts and the commits have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// Who may move it.
    pub leader_term: LeaderTerm,
    /// Nothing before it is counted. It never changes.
    pub begins: Second,
    /// Every transition before this instant of the API server's clock is stored, or a gap
    /// is.
    pub complete_through: Second,
    /// Every bucket before this one's start is closed.
    pub closed_through: Second,
}

/// The closing of buckets: the intervals of [`Commit::span`] are inserted with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Who closes.
    pub leader_term: LeaderTerm,
    /// What was closed when the intervals were computed.
    pub closed_through: Second,
    /// What is closed afterwards.
    pub through: Second,
}

impl Commit {
    /// The time that it closes.
    pub fn span(&self) -> Span {
        Span::new(self.closed_through, self.through)
    }
}

/// Why the watermark does not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Another leads.
    #[error("leader term {leads} leads and not {mine}: stop, and drop what was computed")]
    OtherLeader {
        /// Who leads.
        leads: LeaderTerm,
        /// Who wanted to move it.
        mine: LeaderTerm,
    },
    /// The buckets were closed by somebody else.
    #[error("closed through {} and not {}: compute anew from there", found.0, expected.0)]
    Moved {
        /// What the commit was computed from.
        expected: Second,
        /// What is closed.
        found: Second,
    },
    /// The commit closes nothing, a part of a bucket, or more than is known.
    #[error("{} is no end of a bucket that can be closed: ask what is due", through.0)]
    NotDue {
        /// What would be closed.
        through: Second,
    },
}

impl Watermark {
    /// The watermark of a region whose metering begins now: with the next whole bucket.
    pub fn beginning(at: Second) -> Self {
        let begins = at.ceiling(BUCKET_SECONDS);
        let leader_term = LeaderTerm(0);
        Self { leader_term, begins, complete_through: at, closed_through: begins }
    }

    /// Through when buckets are closed; `None` before the first is.
    pub fn closed(&self) -> Option<Second> {
        (self.closed_through > self.begins).then_some(self.closed_through)
    }

    /// The time of which the facts are complete, gaps apart.
    pub fn metered(&self) -> Span {
        Span::new(self.begins, self.complete_through)
    }

    /// A leader takes it; a second time changes nothing.
    pub fn lead(self, mine: LeaderTerm) -> Result<Self, Refusal> {
        if mine < self.leader_term {
            return Err(Refusal::OtherLeader { leads: self.leader_term, mine });
        }
        Ok(Self { leader_term: mine, ..self })
    }

    /// A new list was stored. What was not complete before it is the gap, which is stored
    /// with the change, also where it is empty: with it goes that the list was made.
    pub fn listed(self, mine: LeaderTerm, listing: Listing) -> Result<(Self, Gap), Refusal> {
        let Listing { order: list, at: to } = listing;
        let after = self.confirmed(mine, to)?;
        Ok((after, Gap { from: self.complete_through.min(to), to, list }))
    }

    /// The watch has delivered, and the store holds, every transition before an instant.
    ///
    /// The instant is the API server's: that of an answer which named a resource version,
    /// once the watch (by an event or a bookmark) has come to that version; less what
    /// the clocks of several API servers may differ by. The daemon's own clock has no
    /// part in it.
    pub fn confirmed(self, mine: LeaderTerm, at: Second) -> Result<Self, Refusal> {
        self.check(mine)?;
        Ok(Self { complete_through: self.complete_through.max(at), ..self })
    }

    /// The next commit; `None` where no bucket is due.
    ///
    /// A bucket is due when `settle` seconds have passed since its end (a time for late
    /// facts, so that most need no correction) and the facts of all of it are complete.
    /// At most `buckets` are taken at a time. `now` may be wrong: early it closes
    /// nothing that is not complete, late it only waits.
    pub fn due(&self, now: Second, settle: i64, buckets: u32) -> Option<Commit> {
        let most = i64::from(buckets).saturating_mul(BUCKET_SECONDS);
        let known = now.plus(settle.saturating_neg()).min(self.complete_through);
        let through = known.floor(BUCKET_SECONDS).min(self.closed_through.plus(most));
        let Self { leader_term, closed_through, .. } = *self;
        (through > closed_through).then_some(Commit { leader_term, closed_through, through })
    }

    /// The watermark after a commit.
    pub fn advance(self, commit: &Commit) -> Result<Self, Refusal> {
        self.check(commit.leader_term)?;
        let (expected, found) = (commit.closed_through, self.closed_through);
        if expected != found {
            return Err(Refusal::Moved { expected, found });
        }
        let through = commit.through;
        let is_end = through.floor(BUCKET_SECONDS) == through;
        if !is_end || through <= found || through > self.complete_through {
            return Err(Refusal::NotDue { through });
        }
        Ok(Self { closed_through: through, ..self })
    }

    fn check(&self, mine: LeaderTerm) -> Result<(), Refusal> {
        // One that is newer than the row has not taken it yet, and so has not read it.
        if mine == self.leader_term {
            return Ok(());
        }
        Err(Refusal::OtherLeader { leads: self.leader_term, mine })
    }
}
