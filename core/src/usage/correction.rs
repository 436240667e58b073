//! Facts that come late. A closed bucket is never changed: what it should have held is
//! said by signed corrections beside it.

use super::{
    Bucket, CoveredSeconds, Interval, Ledger, Second, Span, Usage, integrate::judged_from,
};
use crate::session::SessionUid;

/// What is added to a closed bucket of a session. The session, the bucket and the number
/// are its key, so that two replicas that find the same difference write it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Of which session.
    pub session: SessionUid,
    /// In which bucket.
    pub bucket: Bucket,
    /// Which one it is of this session and bucket; the first is 1.
    pub number: u32,
    /// What is added to the usage.
    pub usage: Usage,
    /// What is added to the seconds.
    pub covered: CoveredSeconds,
}

/// What an interval and its corrections come to.
pub fn corrected<'a>(
    mut interval: Interval,
    corrections: impl IntoIterator<Item = &'a Correction>,
) -> Interval {
    for correction in corrections {
        interval.usage += correction.usage;
        interval.covered = interval.covered.plus(&correction.covered);
    }
    interval
}

/// The next correction of a closed bucket, from what was committed for it and what the
/// history that is known now gives; `None` where there is no difference.
///
/// `committed` and `recomputed` are `None` where the session has no interval in the
/// bucket; `earlier` are all its corrections.
pub fn correct(
    session: SessionUid,
    bucket: Bucket,
    committed: Option<&Interval>,
    earlier: &[Correction],
    recomputed: Option<&Interval>,
) -> Option<Correction> {
    let or_empty = |interval: Option<&Interval>| {
        interval.cloned().unwrap_or_else(|| Interval::empty(session, bucket))
    };
    let stands = corrected(or_empty(committed), earlier);
    let wished = or_empty(recomputed);
    if stands == wished {
        return None;
    }
    let last = earlier.iter().map(|correction| correction.number).max().unwrap_or(0);
    Some(Correction {
        session,
        bucket,
        number: last.saturating_add(1),
        usage: wished.usage - stands.usage,
        covered: wished.covered.minus(&stands.covered),
    })
}

/// What must be recomputed of a session when a fact is stored that is new to the store;
/// `None` where the fact is not late.
///
/// It is late when it bears on a time that the facts were said to be complete through *by
/// then*, in the transaction that stores it: it lies in that time, or it ends a blind span
/// of it. Whether its bucket is closed already does not matter: a leader may have read
/// the facts before and close it right after. For the same reason what was late stays to
/// be recomputed until [`closed_through`](super::Watermark::closed_through) has reached
/// the end of the span.
pub fn late(at: Second, ledger: &Ledger) -> Option<Span> {
    let span = Span::new(judged_from(at, ledger).max(ledger.begins()), ledger.complete_through());
    (!span.is_empty()).then_some(span)
}
