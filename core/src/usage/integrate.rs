//! The integral of the piecewise-constant state of a session.

use std::collections::BTreeMap;

use super::{
    Bucket, ByteSeconds, Coverage, CoveredSeconds, Gap, History, Ledger, MillicoreSeconds, Order,
    Reason, Second, SessionCount, SessionSeconds, Span, Transition, Unbilled, Usage,
    coverage::{Proof, doubt, proof},
};
use crate::{
    quantity::{Bytes, Millicores},
    session::{SessionPhase, SessionUid},
};

/// A time in a session's life in which nothing changed: what was counted of it, how, and
/// the fact that says so. An interval is a sum of such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its seconds.
    pub span: Span,
    /// The CPU that is counted; 0 where it is not billed.
    pub cpu: Millicores,
    /// The memory that is counted; 0 where it is not billed.
    pub memory: Bytes,
    /// The size of the home that is counted.
    pub home: Bytes,
    /// How it is counted.
    pub coverage: Coverage,
    /// The state of the cluster that showed what was in force when it began.
    pub order: Order,
}

impl Piece {
    /// What it adds to the usage; the beginning of a life apart.
    pub fn usage(&self) -> Usage {
        let seconds = i128::from(self.span.seconds());
        // No request and no volume is less than nothing.
        let times = |amount: i64| i128::from(amount.max(0)) * seconds;
        Usage {
            cpu: MillicoreSeconds(times(self.cpu.0)),
            memory: ByteSeconds(times(self.memory.0)),
            storage: ByteSeconds(times(self.home.0)),
            sessions: SessionSeconds(if self.coverage.is_billed() { seconds } else { 0 }),
            started: SessionCount(0),
        }
    }
}

/// What one session used in one bucket, and how well it is known. The session and the
/// bucket are its key; a row of it is never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Of which session.
    pub session: SessionUid,
    /// In which bucket.
    pub bucket: Bucket,
    /// What it used.
    pub usage: Usage,
    /// The seconds of its life in the bucket, by how they are counted.
    pub covered: CoveredSeconds,
}

impl Interval {
    /// One of which nothing is counted.
    pub fn empty(session: SessionUid, bucket: Bucket) -> Self {
        let covered = CoveredSeconds::default();
        Self { session, bucket, usage: Usage::default(), covered }
    }

    /// Whether the session ran in it.
    pub fn is_active(&self) -> bool {
        self.usage.sessions.0 > 0
    }

    /// Whether its life began in it.
    pub fn is_started(&self) -> bool {
        self.usage.started.0 > 0
    }
}

/// What one session used in one closed bucket; `None` where it was not alive in it.
pub fn integrate(history: &History, ledger: &Ledger, bucket: Bucket) -> Option<Interval> {
    intervals(history, ledger, bucket.span()).pop()
}

/// What one session used in each bucket of a span in which it was alive, in their order.
/// The span is widened to whole buckets.
pub fn intervals(history: &History, ledger: &Ledger, span: Span) -> Vec<Interval> {
    let Some(session) = history.transitions().first().map(|first| first.session) else {
        return Vec::new();
    };
    if span.is_empty() {
        return Vec::new();
    }
    let ceiling = span.to.ceiling(super::BUCKET_SECONDS);
    let whole = Span::new(Bucket::holding(span.from).start(), ceiling);
    let mut found: BTreeMap<Bucket, Interval> = BTreeMap::new();
    for piece in pieces(history, ledger, whole) {
        for bucket in piece.span.buckets() {
            let part = Piece { span: piece.span.meet(bucket.span()), ..piece };
            let empty = || Interval::empty(session, bucket);
            let interval = found.entry(bucket).or_insert_with(empty);
            interval.usage += part.usage();
            interval.covered.add(part.coverage, part.span.seconds());
        }
    }
    // A life of no whole second began all the same.
    if let Some(began) = history.began().filter(|at| whole.contains(*at) && *at >= ledger.begins())
    {
        let bucket = Bucket::holding(began);
        let interval = found.entry(bucket).or_insert_with(|| Interval::empty(session, bucket));
        interval.usage.started = SessionCount(1);
    }
    found.into_values().collect()
}

/// The pieces of a session's life in a span, in their order. Each second of the life is
/// in exactly one.
pub fn pieces(history: &History, ledger: &Ledger, span: Span) -> Vec<Piece> {
    let known = history.transitions();
    let span = Span::new(span.from.max(ledger.begins()), span.to);
    let first = known.partition_point(|transition| transition.at <= span.from).saturating_sub(1);
    let mut pieces = Vec::new();
    for (index, current) in known.iter().enumerate().skip(first) {
        if current.at >= span.to {
            break;
        }
        let next = known.get(index + 1).map_or(span.to, |next| next.at);
        let lasted = Span::new(current.at, next).meet(span);
        if lasted.is_empty() {
            continue;
        }
        let Some(coverage) = Coverage::of_phase(current.state.phase) else {
            continue;
        };
        let in_force = InForce { history, index, current, coverage };
        in_force.cut(ledger, lasted, &mut pieces);
    }
    pieces
}

/// A transition while it is the latest known.
struct InForce<'a> {
    history: &'a History,
    index: usize,
    current: &'a Transition,
    coverage: Coverage,
}

impl InForce<'_> {
    /// Cuts the time into what was watched and what was not.
    fn cut(&self, ledger: &Ledger, lasted: Span, pieces: &mut Vec<Piece>) {
        let complete = Span::new(lasted.from, ledger.complete_through()).meet(lasted);
        let mut cursor = lasted.from;
        let mut push = |piece: Piece| {
            if !piece.span.is_empty() {
                pieces.push(piece);
            }
        };
        for gap in ledger.within(complete) {
            let blind = gap.span().meet(complete);
            push(self.known(Span::new(cursor, blind.from), self.coverage));
            push(self.blind(blind, gap));
            cursor = blind.to;
        }
        push(self.known(Span::new(cursor, complete.to), self.coverage));
        let open = Span::new(lasted.from.max(ledger.complete_through()), lasted.to);
        push(self.unproved(open, Reason::NotYetSeen, Bytes(0)));
    }

    /// A part in which it was in force.
    fn known(&self, span: Span, coverage: Coverage) -> Piece {
        let state = &self.current.state;
        let running = state.phase == SessionPhase::Running;
        Piece {
            span,
            cpu: if running { state.cpu } else { Millicores(0) },
            memory: if running { state.memory } else { Bytes(0) },
            home: state.home,
            coverage,
            order: self.current.order,
        }
    }

    /// A part in which something else may have been in force.
    fn unproved(&self, span: Span, reason: Reason, home: Bytes) -> Piece {
        Piece {
            cpu: Millicores(0),
            memory: Bytes(0),
            home,
            ..self.known(span, Coverage::Unbilled(Unbilled::Unproved(reason)))
        }
    }

    /// A part that is in a gap.
    fn blind(&self, span: Span, gap: Gap) -> Piece {
        let latest = self.history.latest_in(gap.list);
        match latest {
            Some(latest) if self.index < latest => self.up_to_next(span),
            Some(latest) if self.index == latest => match self.doubt(latest, gap) {
                Some(reason) if self.coverage.is_billed() => {
                    self.known(span, Coverage::Estimated(reason))
                }
                _ => self.known(span, self.coverage),
            },
            // It is younger than the list: the watch that followed showed it.
            _ => self.known(span, self.coverage),
        }
    }

    /// A blind part before the next known fact.
    fn up_to_next(&self, span: Span) -> Piece {
        let Some(next) = self.history.transitions().get(self.index + 1) else {
            return self.known(span, self.coverage);
        };
        let home = self.current.state.home.min(next.state.home);
        match proof(self.current, next) {
            Proof::Whole => self.known(span, self.coverage),
            Proof::Compute => {
                Piece { home, ..self.known(span, Coverage::Estimated(Reason::HomeChanged)) }
            }
            Proof::None(reason) => self.unproved(span, reason, home),
        }
    }

    /// Why a gap is not proved whole, where a list showed this state at its end.
    fn doubt(&self, latest: usize, gap: Gap) -> Option<Reason> {
        let known = self.history.transitions();
        let before = known.partition_point(|transition| transition.at < gap.from).checked_sub(1);
        match before {
            None => Some(Reason::BeganUnseen),
            Some(before) => known.get(before.min(latest)..=latest).and_then(doubt),
        }
    }
}

/// The first second from which what is known of a session may be other than before, when
/// a fact of an instant came to light: the blind span that it lies in, or ends, is judged
/// anew.
pub(super) fn judged_from(at: Second, ledger: &Ledger) -> Second {
    let second = Span::new(at.plus(-1), at.plus(1));
    ledger.within(second).map(|gap| gap.from).min().map_or(at, |from| from.min(at))
}
