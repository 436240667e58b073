//! Who holds a place in a tenant: sessions that run, as the watch shows them, and
//! requests that were admitted and are not seen yet.
//!
//! **What a reservation is keyed by.** A validating webhook sees the uid of an object
//! already when it is created: the API server gives it before it asks. But each attempt
//! of a client to create the same object gets another uid, and at most one of them is
//! stored, for a name is there once in a namespace. So places belong to *names*, and the
//! uid tells which object of that name is meant. All that may be of one name (what runs,
//! and each reservation with its uid) takes the largest of what they take, of each
//! resource, and never two places. A retried creation, or an update of a running session,
//! so takes no second one. The uid is absent only where a caller asks before there is an
//! object at all; such a reservation is met by any object of the name that was not there
//! when it was made.
//!
//! **What ends one.** Either the watch shows its object at its generation or a later one:
//! then it was stored, or lost to another write, and what is shown counts. Or the object
//! is shown to be deleted. Or its time is over: the request was refused after us, by a
//! quota for example. The time runs on the watch's own clock ([`Ledger::expire`]): where
//! the watch is behind, nothing that it has yet to show is given away. No request lasts
//! longer than the API server lets it, which is a minute.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Ask, Held, Holder, Limits, Place, Reason, Refusal, check};
use crate::{
    session::{SessionName, SessionUid, UserName},
    tenant::TenantState,
};

/// How long a reservation waits for its object: longer than the API server lets a request
/// last.
pub const RESERVATION_TIME: SignedDuration = SignedDuration::from_secs(75);

/// A request that needs a place: the creation of a session that is to run, or an update
/// of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The session.
    pub name: SessionName,
    /// Its uid; absent where there is no object yet.
    pub uid: Option<SessionUid>,
    /// The generation that the object would have; 1 where there is none yet.
    pub generation: i64,
    /// Its user.
    pub user: UserName,
    /// What it takes.
    pub place: Place,
}

/// A session as the watch shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The session.
    pub name: SessionName,
    /// Its uid.
    pub uid: SessionUid,
    /// Its generation.
    pub generation: i64,
    /// Its user.
    pub user: UserName,
    /// What it takes; absent where it is not to run, or is being deleted.
    pub place: Option<Place>,
}

/// How a request was admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// The session holds what it asks for, and nothing changes.
    Held,
    /// A place is reserved: a new row, or in the place of that of the same name, uid and
    /// user.
    Reserved(Reservation),
}

/// A request that was admitted and is not seen yet. Each replica of the daemon knows all,
/// so they are rows; name, uid and user are the key of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The session.
    pub name: SessionName,
    /// The uid of its object; absent where there is none yet.
    pub uid: Option<SessionUid>,
    /// The object of the name that was there when the reservation was made. Without a uid,
    /// any other meets it.
    pub beside: Option<SessionUid>,
    /// The generation that meets it.
    pub generation: i64,
    /// Its user.
    pub user: UserName,
    /// What it takes.
    pub place: Place,
    /// When it ends by itself.
    pub expire_time: Timestamp,
}

impl Reservation {
    /// Whether what the watch shows ends it: its object was stored, or lost to another
    /// write.
    pub fn is_met_by(&self, seen: &Observation) -> bool {
        let is_meant = match self.uid {
            Some(uid) => uid == seen.uid,
            None => self.beside != Some(seen.uid),
        };
        self.name == seen.name && is_meant && seen.generation >= self.generation
    }
}

/// What there is, or may be, of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Slot {
    /// The object, as it was seen last.
    seen: Option<Observation>,
    reservations: Vec<Reservation>,
}

impl Slot {
    fn is_empty(&self) -> bool {
        self.seen.is_none() && self.reservations.is_empty()
    }

    /// All that may be of the name: users and what they take.
    fn claims(&self) -> impl Iterator<Item = (&UserName, Place)> {
        let seen = self.seen.as_ref().and_then(|seen| Some((&seen.user, seen.place?)));
        let reserved = self.reservations.iter().map(|kept| (&kept.user, kept.place));
        seen.into_iter().chain(reserved)
    }

    /// What it takes, of all users together or of one.
    fn place(&self, user: Option<&UserName>) -> Option<Place> {
        self.claims()
            .filter(|(claimant, _)| user.is_none_or(|user| user == *claimant))
            .map(|(_, place)| place)
            .reduce(Place::or_larger)
    }
}

/// The places of one tenant. Sessions that do not run are in it as well, without a place:
/// their generations tell old news from new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    slots: BTreeMap<SessionName, Slot>,
}

impl Ledger {
    /// An empty one. It must be filled by [`Ledger::relist`] before it is asked.
    pub fn new() -> Self {
        Self::default()
    }

    /// The ledger of what was seen and what is reserved, as rows keep it.
    pub fn load(
        seen: impl IntoIterator<Item = Observation>,
        reservations: impl IntoIterator<Item = Reservation>,
    ) -> Self {
        let mut ledger = Self::new();
        for kept in reservations {
            ledger.slots.entry(kept.name.clone()).or_default().reservations.push(kept);
        }
        for seen in seen {
            let slot = ledger.slots.entry(seen.name.clone()).or_default();
            slot.seen = Some(seen);
        }
        ledger
    }

    /// Whether a request would be admitted. Nothing changes: this is for rehearsals.
    pub fn check(
        &self,
        request: &Request,
        limits: &Limits,
        tenant: TenantState,
    ) -> Result<(), Vec<Refusal>> {
        let ask = Ask { name: &request.name, user: &request.user, place: request.place };
        let refusals = check(&ask, &self.held_beside(request), limits, tenant);
        if refusals.is_empty() { Ok(()) } else { Err(refusals) }
    }

    /// Admits a request and reserves its place, or tells all that refuses it.
    pub fn admit(
        &mut self,
        request: &Request,
        limits: &Limits,
        tenant: TenantState,
        now: Timestamp,
    ) -> Result<Admitted, Vec<Refusal>> {
        if self.holds(request) {
            return Ok(Admitted::Held);
        }
        self.check(request, limits, tenant)?;
        let open = self.open();
        let expire_time = now.saturating_add(RESERVATION_TIME).unwrap_or(Timestamp::MAX);
        let slot = self.slots.entry(request.name.clone()).or_default();
        let same = |kept: &&mut Reservation| kept.uid == request.uid && kept.user == request.user;
        if let Some(kept) = slot.reservations.iter_mut().find(same) {
            // Two writes of one object may be under way, and either may be stored.
            kept.place = kept.place.or_larger(request.place);
            kept.generation = kept.generation.max(request.generation);
            kept.expire_time = kept.expire_time.max(expire_time);
            return Ok(Admitted::Reserved(kept.clone()));
        }
        if open >= limits.reservations {
            self.forget_if_empty(&request.name);
            return Err(vec![too_many(open)]);
        }
        let kept = Reservation {
            name: request.name.clone(),
            uid: request.uid,
            beside: slot.seen.as_ref().map(|seen| seen.uid),
            generation: request.generation,
            user: request.user.clone(),
            place: request.place,
            expire_time,
        };
        slot.reservations.push(kept.clone());
        Ok(Admitted::Reserved(kept))
    }

    /// Takes in what the watch shows of a session. Old news changes nothing.
    pub fn observe(&mut self, seen: Observation) {
        let slot = self.slots.entry(seen.name.clone()).or_default();
        slot.reservations.retain(|kept| !kept.is_met_by(&seen));
        let is_old = slot
            .seen
            .as_ref()
            .is_some_and(|known| known.uid == seen.uid && known.generation > seen.generation);
        if !is_old {
            slot.seen = Some(seen);
        }
    }

    /// Takes in that the watch shows a session to be deleted. Its uid never comes back.
    pub fn remove(&mut self, name: &SessionName, uid: SessionUid) {
        if let Some(slot) = self.slots.get_mut(name) {
            slot.seen.take_if(|seen| seen.uid == uid);
            slot.reservations.retain(|kept| kept.uid != Some(uid));
        }
        self.forget_if_empty(name);
    }

    /// Takes in a list of all sessions that there are. What is not in it is gone;
    /// reservations stay until they are met or their time is over.
    pub fn relist(&mut self, all: impl IntoIterator<Item = Observation>) {
        let mut listed = BTreeMap::new();
        for seen in all {
            listed.insert(seen.name.clone(), seen);
        }
        for (name, slot) in &mut self.slots {
            if !listed.contains_key(name) {
                slot.seen = None;
            }
        }
        for seen in listed.into_values() {
            // A list is the truth of its instant, also where less was seen before.
            if let Some(slot) = self.slots.get_mut(&seen.name) {
                slot.seen = None;
            }
            self.observe(seen);
        }
        self.slots.retain(|_, slot| !slot.is_empty());
    }

    /// Ends the reservations whose time is over, and tells how many. `watched` is the
    /// instant up to which the watch has shown everything (its last list, bookmark or
    /// event), at most now. With the wall clock in its place, a watch that is behind would
    /// give away places that are taken.
    pub fn expire(&mut self, watched: Timestamp) -> usize {
        let before = self.open();
        for slot in self.slots.values_mut() {
            slot.reservations.retain(|kept| kept.expire_time > watched);
        }
        self.slots.retain(|_, slot| !slot.is_empty());
        before.saturating_sub(self.open())
    }

    /// The reservations that are open.
    pub fn reservations(&self) -> impl Iterator<Item = &Reservation> {
        self.slots.values().flat_map(|slot| &slot.reservations)
    }

    /// How many reservations are open.
    pub fn open(&self) -> usize {
        self.reservations().count()
    }

    /// When a reservation ends by itself next.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.reservations().map(|kept| kept.expire_time).min()
    }

    /// What all sessions take together.
    pub fn total(&self) -> Place {
        let places = self.slots.values().filter_map(|slot| slot.place(None));
        places.fold(Place::default(), Place::plus)
    }

    /// What each session of a user takes.
    pub fn of_user(&self, user: &UserName) -> Vec<Holder> {
        let holder = |(name, slot): (&SessionName, &Slot)| {
            Some(Holder { name: name.clone(), place: slot.place(Some(user))? })
        };
        self.slots.iter().filter_map(holder).collect()
    }

    /// What is held beside a request, and by its own session.
    fn held_beside(&self, request: &Request) -> Held {
        let own = self.slots.get(&request.name);
        let of_own = |user| own.and_then(|slot| slot.place(user)).unwrap_or_default();
        let others = self.slots.iter().filter(|(name, _)| **name != request.name);
        let mut by_user = self.of_user(&request.user);
        by_user.retain(|holder| holder.name != request.name);
        Held {
            by_user,
            by_tenant: others
                .filter_map(|(_, slot)| slot.place(None))
                .fold(Place::default(), Place::plus),
            own_by_user: of_own(Some(&request.user)),
            own: of_own(None),
        }
    }

    /// Whether the very object of a request was seen at its generation, with its place: a
    /// change of labels, for example.
    fn holds(&self, request: &Request) -> bool {
        let seen = self.slots.get(&request.name).and_then(|slot| slot.seen.as_ref());
        seen.is_some_and(|seen| {
            Some(seen.uid) == request.uid
                && seen.generation == request.generation
                && seen.user == request.user
                && seen.place == Some(request.place)
        })
    }

    fn forget_if_empty(&mut self, name: &SessionName) {
        if self.slots.get(name).is_some_and(Slot::is_empty) {
            self.slots.remove(name);
        }
    }
}

fn too_many(open: usize) -> Refusal {
    Refusal {
        reason: Reason::Reservations,
        message: format!("{open} sessions of the tenant were admitted and are not seen yet"),
        remedy: "try again in a minute; where it stays so, `ssctl status` tells how far the watch \
                 is behind"
            .to_owned(),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
