//! What the daemon counted, against the truth.

use std::collections::BTreeMap;

use prost_types::Timestamp;
use streamspace_proto::v1;

use super::oracle::{Amounts, Life};

/// Usage is committed for so many seconds at a time.
pub(super) const BUCKET: i64 = 300;

/// A part of a session's life in which nothing changed, as it was counted.
#[derive(Clone, Debug)]
struct Piece {
    from: i64,
    to: i64,
    coverage: String,
    reason: String,
    rates: Amounts,
}

impl Piece {
    fn of(piece: &v1::ExplainedPiece) -> Self {
        let billed = i128::from(piece.coverage != "unbilled");
        Self {
            from: second(piece.start_time),
            to: second(piece.end_time),
            coverage: piece.coverage.clone(),
            reason: piece.reason.clone(),
            rates: [piece.cpu_millicores.into(), piece.memory_bytes.into(), billed],
        }
    }

    /// Whether it says that what it counts is the truth. That a session is known not to run
    /// is one, and costs nothing.
    fn is_exact(&self) -> bool {
        let known = ["pending", "hibernated", "failed"].contains(&self.reason.as_str());
        self.coverage == "measured" || (self.coverage == "unbilled" && known)
    }

    fn seconds(&self, from: i64, to: i64) -> i128 {
        (self.to.min(to) - self.from.max(from)).max(0).into()
    }

    fn counted(&self, from: i64, to: i64) -> Amounts {
        self.rates.map(|rate| rate * self.seconds(from, to))
    }
}

/// What the status says of the metering.
#[derive(Clone, Debug)]
pub(super) struct Status {
    pub(super) begin: i64,
    pub(super) complete: i64,
    pub(super) closed: i64,
    gaps: Vec<(i64, i64)>,
}

impl Status {
    pub(super) fn of(status: &v1::UsageStatus) -> Self {
        let gap = |gap: &v1::UsageGap| (second(gap.start_time), second(gap.end_time));
        assert!(status.gaps.len() < 100, "not all gaps are told");
        Self {
            begin: second(status.begin_time),
            complete: second(status.complete_through_time),
            // Nothing is, at first.
            closed: second(status.closed_through_time.or(status.begin_time)),
            gaps: status.gaps.iter().map(gap).collect(),
        }
    }

    /// How many of these seconds nobody watched.
    fn blind(&self, from: i64, to: i64) -> i64 {
        let is_blind =
            |second: &i64| self.gaps.iter().any(|(from, to)| (*from..*to).contains(second));
        let seconds = (from..to).filter(is_blind).count();
        i64::try_from(seconds).expect("a short time")
    }
}

/// Sessions and their seconds, by how these were counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) lives: u64,
    /// In truth.
    pub(super) ran: i128,
    pub(super) measured: i128,
    /// Of those, in times that nobody watched.
    pub(super) proved: i128,
    pub(super) estimated: i128,
    pub(super) unproved: i128,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.lives += other.lives;
        self.ran += other.ran;
        self.measured += other.measured;
        self.proved += other.proved;
        self.estimated += other.estimated;
        self.unproved += other.unproved;
    }
}

/// Compares what was counted of a tenant's sessions with what is true, and says what is
/// wrong: each piece that claims to be exact equals the truth, no other is above it, what is
/// not exact lies in a time that nobody watched, and of the rest nothing is missing.
pub(super) fn compare(
    lives: &BTreeMap<String, Life>,
    explained: &v1::ExplainUsageResponse,
    status: &Status,
) -> (Tally, Vec<String>) {
    let (mut tally, mut faults) = (Tally::default(), Vec::new());
    for subject in sessions(explained).filter(|subject| !lives.contains_key(&subject.uid)) {
        faults.push(format!("{} {} never was", subject.name, subject.uid));
    }
    if explained.truncated {
        faults.push("the explanation leaves something out".to_owned());
    }
    for (uid, life) in lives {
        let before = faults.len();
        let pieces = pieces(explained, uid);
        let mut fault = |words: String| faults.push(format!("{} {uid}: {words}", life.name));
        let mut end = i64::MIN;
        for piece in &pieces {
            let Piece { from, to, .. } = *piece;
            if from < end || to <= from {
                fault(format!("{piece:?} overlaps another, or is empty"));
            }
            end = to;
            let (counted, truth) = (piece.counted(from, to), life.integral(from, to));
            if piece.is_exact() {
                if counted != truth {
                    fault(format!("{piece:?}: {counted:?} is not the truth, {truth:?}"));
                }
            } else {
                if counted.iter().zip(truth).any(|(counted, truth)| *counted > truth) {
                    fault(format!("{piece:?}: {counted:?} is above the truth, {truth:?}"));
                }
                if status.blind(from, to) != to - from {
                    fault(format!("{piece:?} is not exact, and was watched: {status:?}"));
                }
            }
            let seconds = i128::from(to - from);
            match piece.coverage.as_str() {
                "measured" => {
                    tally.measured += seconds;
                    tally.proved += i128::from(status.blind(from, to));
                }
                "estimated" => tally.estimated += seconds,
                _ if !piece.is_exact() => tally.unproved += seconds,
                _ => {}
            }
        }
        tally.lives += 1;
        tally.ran += life.integral(status.begin, status.complete)[2];
        for second in status.begin..status.complete {
            let counted = sum(&pieces, second, second + 1);
            let truth = life.integral(second, second + 1);
            if counted != truth && status.blind(second, second + 1) == 0 {
                fault(format!("second {second} was watched: {counted:?} instead of {truth:?}"));
                break;
            }
        }
        if faults.len() > before {
            let subject = sessions(explained).find(|subject| subject.uid == *uid);
            let events = subject.map(|subject| &subject.events);
            faults.push(format!("in truth {life:?}; counted by {events:?}"));
        }
    }
    (tally, faults)
}

/// What was committed, with its corrections, is what is known now; and nothing that was
/// committed was ever above the truth. Says what is wrong.
pub(super) fn committed(
    lives: &BTreeMap<String, Life>,
    explained: &v1::ExplainUsageResponse,
    status: &Status,
) -> Vec<String> {
    let mut faults = Vec::new();
    for subject in sessions(explained) {
        let Some(life) = lives.get(&subject.uid) else { continue };
        let pieces = pieces(explained, &subject.uid);
        let mut rows: BTreeMap<i64, Amounts> = BTreeMap::new();
        for interval in &subject.intervals {
            let from = second(interval.start_time);
            let counted = amounts(interval.amounts.as_ref());
            let truth = life.integral(from, from + BUCKET);
            let is_above = counted.iter().zip(truth).any(|(counted, truth)| *counted > truth);
            if interval.correction == 0 && is_above {
                faults.push(format!(
                    "{} {}: five minutes from {from}: {counted:?} is above the truth, {truth:?}",
                    subject.name, subject.uid
                ));
            }
            let row = rows.entry(from).or_default();
            for (sum, counted) in row.iter_mut().zip(counted) {
                *sum += counted;
            }
        }
        let mut from = status.begin;
        while from + BUCKET <= status.closed {
            let row = rows.get(&from).copied().unwrap_or_default();
            let known = sum(&pieces, from, from + BUCKET);
            if row != known {
                faults.push(format!(
                    "{} {}: five minutes from {from}: {row:?} stands and {known:?} is known",
                    subject.name, subject.uid
                ));
            }
            from += BUCKET;
        }
    }
    faults
}

fn sessions(explained: &v1::ExplainUsageResponse) -> impl Iterator<Item = &v1::ExplainedSubject> {
    explained.subjects.iter().filter(|subject| subject.kind == "session")
}

fn pieces(explained: &v1::ExplainUsageResponse, uid: &str) -> Vec<Piece> {
    let subject = sessions(explained).find(|subject| subject.uid == uid);
    subject.into_iter().flat_map(|subject| &subject.pieces).map(Piece::of).collect()
}

fn sum(pieces: &[Piece], from: i64, to: i64) -> Amounts {
    let mut sums = [0; 3];
    for piece in pieces {
        for (sum, counted) in sums.iter_mut().zip(piece.counted(from, to)) {
            *sum += counted;
        }
    }
    sums
}

fn amounts(amounts: Option<&v1::UsageAmounts>) -> Amounts {
    let amounts = amounts.expect("each interval has amounts");
    [&amounts.cpu_millicore_seconds, &amounts.memory_byte_seconds, &amounts.session_seconds]
        .map(|text| text.parse().expect("a whole number"))
}

fn second(time: Option<Timestamp>) -> i64 {
    let time = time.expect("an instant");
    assert_eq!(time.nanos, 0, "instants are whole seconds");
    time.seconds
}
