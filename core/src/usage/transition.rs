//! The facts that usage comes from: what a session is allotted, and from when on.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use uuid::Uuid;

use super::{Ledger, Second};
use crate::{
    ids::TenantUid,
    quantity::{Bytes, Millicores},
    session::{SessionPhase, SessionUid},
};

/// The identity of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodUid(pub Uuid);

/// A session and what its usage is grouped by, as its object writes it. None of it changes
/// in its life. The texts are whatever somebody wrote: what ran is counted under any name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session {
    /// Its identity.
    pub uid: SessionUid,
    /// Whose it is.
    pub tenant: TenantUid,
    /// Who uses it.
    pub user: String,
    /// What it was made from.
    pub template: String,
    /// What people call it. Another session may have had the name before.
    pub name: String,
}

/// What a session is allotted, and so costs, at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    /// Where it is in its life.
    pub phase: SessionPhase,
    /// The requested CPU of all its copies: the session's, else the template's, else the
    /// `LimitRange`'s.
    pub cpu: Millicores,
    /// The requested memory, found in the same way.
    pub memory: Bytes,
    /// The size of a home that lives and ends with it; else 0. A home that several
    /// sessions share, or that outlives them, is a history of its own under the UID of
    /// its volume: hibernated while the volume exists, and then terminated.
    pub home: Bytes,
}

/// Which run of a session it is. The same one at two instants proves that the container
/// ran all the time between, with one request: another request makes another pod.
///
/// Of a session with several copies it is not known. Where a cluster changes the request of a running container in place, the instant of
/// the last such change stands for the start, so that the proof holds there too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation {
    /// The pod.
    pub pod: PodUid,
    /// When its session container started.
    pub container_start: Second,
}

/// The order that the cluster gave to its states: the resource version as a number.
/// Where it falls (a cluster restored from an older copy), the adapter adds to it what
/// keeps it rising.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Order(pub u64);

/// One fact: what a session is allotted from an instant on. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Transition {
    /// Of which session.
    pub session: SessionUid,
    /// Which state of the cluster showed it. With the session it is the key.
    pub order: Order,
    /// From when on, by the API server's clock: the last write of what is allotted.
    pub at: Second,
    /// What is allotted from then on.
    pub state: State,
    /// Which run it is, as far as it is known.
    pub incarnation: Option<Incarnation>,
}

impl Transition {
    /// The canonical order; of two that show one state, the one to keep comes first.
    /// Which of them that is must not depend on the order of arrival: the one that knows
    /// more, then the earlier.
    fn canonical(&self, other: &Self) -> Ordering {
        self.order
            .cmp(&other.order)
            .then_with(|| self.incarnation.is_none().cmp(&other.incarnation.is_none()))
            .then_with(|| self.at.cmp(&other.at))
            .then_with(|| self.cmp(other))
    }
}

/// A complete list of the sessions that exist, as the API server answered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listing {
    /// The state of the cluster that the list shows.
    pub order: Order,
    /// The second in which it answered, by its clock, and none before an instant that
    /// the list shows.
    pub at: Second,
}

/// The known transitions of one session in their canonical form: one for each state of
/// the cluster, in the cluster's order, at instants that do not go back. It is the same
/// however often and in whatever order they came.
///
/// The cluster's order decides, and not the instants: two API servers whose clocks differ
/// by a little can write a later state with an earlier second, and by the instants the
/// older state would then last for ever. Such an instant is raised to its predecessor's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    transitions: Vec<Transition>,
}

impl History {
    /// The history of the session that these are of.
    pub fn new(transitions: impl IntoIterator<Item = Transition>) -> Self {
        let mut transitions: Vec<_> = transitions.into_iter().collect();
        transitions.sort_unstable_by(Transition::canonical);
        transitions.dedup_by_key(|transition| transition.order);
        let mut newest = Second(i64::MIN);
        for transition in &mut transitions {
            newest = newest.max(transition.at);
            transition.at = newest;
        }
        Self { transitions }
    }

    /// The histories of all sessions that these are of.
    pub fn by_session(
        transitions: impl IntoIterator<Item = Transition>,
    ) -> BTreeMap<SessionUid, Self> {
        let mut groups: BTreeMap<SessionUid, Vec<Transition>> = BTreeMap::new();
        for transition in transitions {
            groups.entry(transition.session).or_default().push(transition);
        }
        groups.into_iter().map(|(uid, group)| (uid, Self::new(group))).collect()
    }

    /// The transitions, in order.
    pub fn transitions(&self) -> &[Transition] {
        &self.transitions
    }

    /// When the session's life began, as far as it is known.
    pub fn began(&self) -> Option<Second> {
        let alive = |transition: &&Transition| transition.state.phase != SessionPhase::Terminated;
        self.transitions.iter().find(alive).map(|transition| transition.at)
    }

    /// The latest transition that a state of the cluster can show.
    pub(super) fn latest_in(&self, order: Order) -> Option<usize> {
        self.transitions.partition_point(|transition| transition.order <= order).checked_sub(1)
    }

    /// The end of a session that a list lacks; `None` where it was over already, or where
    /// it is younger than the list. It ended at the list's instant at the latest.
    pub fn vanished(&self, listing: Listing) -> Option<Transition> {
        let last = self.latest_in(listing.order).and_then(|index| self.transitions.get(index))?;
        (last.state.phase != SessionPhase::Terminated).then_some(end(last.session, listing))
    }

    /// The end to store with a fact that is new to the store, where this is what the
    /// store had of its session.
    ///
    /// A fact can come after a list that was made later, from a replica that was cut off.
    /// If the store knew nothing of the session up to that list, the list lacked it, and
    /// nobody ended it then.
    pub fn unlisted(&self, fact: &Transition, ledger: &Ledger) -> Option<Transition> {
        let listing = ledger.first_list_of(fact.order)?;
        self.latest_in(listing.order).is_none().then_some(end(fact.session, listing))
    }
}

fn end(session: SessionUid, listing: Listing) -> Transition {
    let state = State {
        phase: SessionPhase::Terminated,
        cpu: Millicores(0),
        memory: Bytes(0),
        home: Bytes(0),
    };
    Transition { session, order: listing.order, at: listing.at, state, incarnation: None }
}

/// The ends of all sessions that a list lacks ([`History::vanished`]). They are taken
/// from what is stored, and stored, in the transaction that stores the list's gap: a fact
/// that comes between would not be ended by either.
pub fn vanished<'a>(
    histories: impl IntoIterator<Item = &'a History>,
    listed: &BTreeSet<SessionUid>,
    listing: Listing,
) -> Vec<Transition> {
    let ends = histories.into_iter().filter_map(|history| history.vanished(listing));
    ends.filter(|end| !listed.contains(&end.session)).collect()
}
