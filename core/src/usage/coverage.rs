//! What is known of a time, and how well: blind spans, and the proof across them.
//!
//! A watch shows every transition while it runs. When nobody watches (the daemon is down,
//! its watch was cut and the API server no longer has what was missed), a list says
//! afterwards what each session is now and since when, and nothing of what was between. A
//! session that slept and woke looks as if it had run all the time.
//!
//! The rule for a blind span, and its reason. Usage is billed, so where the truth is out
//! of sight only what cannot have been otherwise is counted:
//!
//! 1. *The same incarnation* (pod and container start) on both sides, running on both,
//!    with one request: the container ran throughout. All of it is counted, `measured`.
//! 2. *The state that the list showed* was in force from its own instant to the list:
//!    that instant is the last write of it, and the list shows no later one. If it is
//!    running, it is counted from there on, `estimated` with the reason why the span as a
//!    whole is not proved. If it is not running, it costs nothing, and that is exact.
//! 3. *The rest*, between two facts that do not prove each other, is `unbilled` with the
//!    reason. Not even the least of the two requests is certain there: the session may
//!    have slept from the first second of the span to the last.
//!
//! Of the home, a volume is known never to shrink and to go only with its session.
//! Between two facts it was at least the smaller of both sizes, and so much is counted.
//!
//! So a measured second equals the truth, and no other is ever above it. When a fact
//! comes late (a replica that watched on and was cut off from the database), the same
//! functions give more, and the difference is a correction.

use std::collections::BTreeMap;

use super::{Incarnation, Listing, Order, Second, Span, Transition};
use crate::session::SessionPhase;

/// A time that nobody watched, and the list that ended it. A row of the gap ledger; there
/// is one for each list that was stored, also where it has no second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gap {
    /// The first second of which not every transition is known.
    pub from: Second,
    /// The second of the list that ended it.
    pub to: Second,
    /// The state of the cluster that this list showed.
    pub list: Order,
}

impl Gap {
    /// Its seconds.
    pub fn span(self) -> Span {
        Span::new(self.from, self.to)
    }

    /// The list that ended it.
    pub fn listing(self) -> Listing {
        Listing { order: self.list, at: self.to }
    }
}

/// What is known about the completeness of the facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    gaps: Vec<Gap>,
    lists: Vec<Listing>,
    metered: Span,
}

impl Ledger {
    /// The ledger of these gaps in the time that is metered: from the beginning of the
    /// metering up to where the facts are complete
    /// ([`Watermark::metered`](super::Watermark::metered)). Nothing before it is counted,
    /// for nobody watched and no list ended it. Gaps that overlap are one that the later list ended: less may be proved by it, never more.
    pub fn new(gaps: impl IntoIterator<Item = Gap>, metered: Span) -> Self {
        let mut sorted: Vec<_> = gaps.into_iter().collect();
        let mut lists: Vec<_> = sorted.iter().map(|gap| gap.listing()).collect();
        lists.sort_unstable();
        sorted.sort_unstable();
        let mut gaps: Vec<Gap> = Vec::with_capacity(sorted.len());
        for gap in sorted.into_iter().filter(|gap| !gap.span().is_empty()) {
            match gaps.last_mut() {
                Some(last) if gap.from < last.to => {
                    last.to = last.to.max(gap.to);
                    last.list = last.list.max(gap.list);
                }
                _ => gaps.push(gap),
            }
        }
        Self { gaps, lists, metered }
    }

    /// The gaps, in order; none overlaps another.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Every transition before it is known, or a gap says that it may not be.
    pub fn complete_through(&self) -> Second {
        self.metered.to
    }

    /// Nothing before it is counted.
    pub fn begins(&self) -> Second {
        self.metered.from
    }

    /// The first list that was made when a state of the cluster had been reached.
    pub(super) fn first_list_of(&self, order: Order) -> Option<Listing> {
        let first = self.lists.partition_point(|listing| listing.order < order);
        self.lists.get(first).copied()
    }

    /// The gaps that have a second of the span, in order.
    pub(super) fn within(&self, span: Span) -> impl Iterator<Item = Gap> {
        let first = self.gaps.partition_point(|gap| gap.to <= span.from);
        let later = self.gaps.iter().skip(first).copied();
        later.take_while(move |gap| gap.from < span.to)
    }
}

/// Why a blind span is not measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Its pod or its container start is not known on one side.
    IncarnationUnknown,
    /// Another pod, or another start of its container, on the other side.
    AnotherIncarnation,
    /// The same incarnation with another request.
    RequestChanged,
    /// The same incarnation and request with another size of the home.
    HomeChanged,
    /// It did not run when the span began.
    NotRunningBefore,
    /// It did not run when the span ended.
    NotRunningAfter,
    /// Its life began in the span.
    BeganUnseen,
    /// The facts are not complete yet; a later look will say more.
    NotYetSeen,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::IncarnationUnknown,
        Self::AnotherIncarnation,
        Self::RequestChanged,
        Self::HomeChanged,
        Self::NotRunningBefore,
        Self::NotRunningAfter,
        Self::BeganUnseen,
        Self::NotYetSeen,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IncarnationUnknown => "incarnation_unknown",
            Self::AnotherIncarnation => "another_incarnation",
            Self::RequestChanged => "request_changed",
            Self::HomeChanged => "home_changed",
            Self::NotRunningBefore => "not_running_before",
            Self::NotRunningAfter => "not_running_after",
            Self::BeganUnseen => "began_unseen",
            Self::NotYetSeen => "not_yet_seen",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

/// Why a second of a session's life is not billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unbilled {
    /// It was pending.
    Pending,
    /// It was hibernated.
    Hibernated,
    /// It had failed.
    Failed,
    /// Whether it ran is not known.
    Unproved(Reason),
}

/// How a second of a session's life is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Coverage {
    /// Billed, and exactly the truth.
    Measured,
    /// Billed, and not above the truth: only what is certain was counted.
    Estimated(Reason),
    /// Not billed. Of the home the exact size is counted, or where the second is
    /// [unproved](Unbilled::Unproved) its least.
    Unbilled(Unbilled),
}

impl Coverage {
    /// Whether compute is counted.
    pub fn is_billed(self) -> bool {
        !matches!(self, Self::Unbilled(_))
    }

    /// Whether what is counted, compute and home, is the truth and not only its least.
    pub fn is_exact(self) -> bool {
        !matches!(self, Self::Estimated(_) | Self::Unbilled(Unbilled::Unproved(_)))
    }

    /// How a phase that is known is counted; `None` for the one after a life.
    pub(super) fn of_phase(phase: SessionPhase) -> Option<Self> {
        match phase {
            SessionPhase::Pending => Some(Self::Unbilled(Unbilled::Pending)),
            SessionPhase::Running => Some(Self::Measured),
            SessionPhase::Hibernated => Some(Self::Unbilled(Unbilled::Hibernated)),
            SessionPhase::Failed => Some(Self::Unbilled(Unbilled::Failed)),
            SessionPhase::Terminated => None,
        }
    }
}

/// Seconds of a session's life by how they are counted. Each is in one of the three.
/// Negative only in a correction; a kind without seconds is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoveredSeconds {
    /// The measured ones.
    pub measured: i64,
    /// The estimated ones by their reason.
    pub estimated: BTreeMap<Reason, i64>,
    /// The unbilled ones by their reason.
    pub unbilled: BTreeMap<Unbilled, i64>,
}

impl CoveredSeconds {
    /// Adds seconds of one kind.
    pub fn add(&mut self, coverage: Coverage, seconds: i64) {
        match coverage {
            Coverage::Measured => self.measured += seconds,
            Coverage::Estimated(reason) => add_to(&mut self.estimated, reason, seconds),
            Coverage::Unbilled(why) => add_to(&mut self.unbilled, why, seconds),
        }
    }

    /// Adds others, times 1 or −1.
    fn add_all(&mut self, other: &Self, sign: i64) {
        self.measured += sign * other.measured;
        for (reason, seconds) in &other.estimated {
            add_to(&mut self.estimated, *reason, sign * seconds);
        }
        for (why, seconds) in &other.unbilled {
            add_to(&mut self.unbilled, *why, sign * seconds);
        }
    }

    /// With others added.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.add_all(other, 1);
        self
    }

    /// What must be added to others to have these.
    #[must_use]
    pub fn minus(mut self, other: &Self) -> Self {
        self.add_all(other, -1);
        self
    }

    /// The billed ones.
    pub fn billed(&self) -> i64 {
        self.measured + self.estimated.values().sum::<i64>()
    }

    /// All of them.
    pub fn total(&self) -> i64 {
        self.billed() + self.unbilled.values().sum::<i64>()
    }

    /// Each kind with its seconds.
    pub fn kinds(&self) -> impl Iterator<Item = (Coverage, i64)> {
        let measured = (self.measured != 0).then_some((Coverage::Measured, self.measured));
        let estimated =
            self.estimated.iter().map(|(r, seconds)| (Coverage::Estimated(*r), *seconds));
        let unbilled = self.unbilled.iter().map(|(w, seconds)| (Coverage::Unbilled(*w), *seconds));
        measured.into_iter().chain(estimated).chain(unbilled)
    }
}

fn add_to<K: Ord + Copy>(seconds: &mut BTreeMap<K, i64>, key: K, more: i64) {
    let sum = seconds.entry(key).or_default();
    *sum += more;
    if *sum == 0 {
        seconds.remove(&key);
    }
}

/// What two facts prove of the time between them, of which nothing else is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The first lasted up to the second.
    Whole,
    /// The compute did; the home grew at some time.
    Compute,
    /// Nothing of it.
    None(Reason),
}

/// What an earlier and a later fact of one session prove of the time between them.
pub(super) fn proof(earlier: &Transition, later: &Transition) -> Proof {
    let (before, after) = (&earlier.state, &later.state);
    if before.phase != SessionPhase::Running {
        return Proof::None(Reason::NotRunningBefore);
    }
    if after.phase != SessionPhase::Running {
        return Proof::None(Reason::NotRunningAfter);
    }
    match same(earlier.incarnation, later.incarnation) {
        None => Proof::None(Reason::IncarnationUnknown),
        Some(false) => Proof::None(Reason::AnotherIncarnation),
        Some(true) if (before.cpu, before.memory) != (after.cpu, after.memory) => {
            Proof::None(Reason::RequestChanged)
        }
        Some(true) if before.home != after.home => Proof::Compute,
        Some(true) => Proof::Whole,
    }
}

fn same(earlier: Option<Incarnation>, later: Option<Incarnation>) -> Option<bool> {
    Some(earlier? == later?)
}

/// Why the known facts do not prove all of a blind span, the first of them the last one
/// before it, the last of them what the list showed; `None` where they do.
pub(super) fn doubt(known: &[Transition]) -> Option<Reason> {
    let of_pair = |earlier, later| match proof(earlier, later) {
        Proof::Whole => None,
        Proof::Compute => Some(Reason::HomeChanged),
        Proof::None(reason) => Some(reason),
    };
    match known {
        // The list showed the very state of before. Nothing was written since, and still
        // only a known incarnation is evidence that it ran.
        [only] => of_pair(only, only),
        _ => known.iter().zip(known.iter().skip(1)).find_map(|(a, b)| of_pair(a, b)),
    }
}
