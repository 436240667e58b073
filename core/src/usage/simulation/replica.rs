//! A replica of the daemon. Each step is what happens between two points at which it may
//! be killed; what it knows but did not store is then lost.

use std::collections::BTreeSet;

use super::{
    drive::Counts,
    store::Store,
    world::{Event, Random, World},
    *,
};

#[derive(Default)]
pub(super) struct Replica {
    /// Whether it runs at all.
    pub(super) is_up: bool,
    /// How far its clock is off.
    pub(super) clock: i64,
    term: Option<LeaderTerm>,
    /// Whether it watches; otherwise it must list first.
    is_watching: bool,
    /// A list that is not stored yet, and how far storing it has come.
    list: Option<(Listing, Vec<Transition>)>,
    is_list_stored: bool,
    /// What the watch has delivered.
    position: u64,
    /// What of it is not stored yet.
    buffer: Vec<Transition>,
    /// An instant, and what must have been delivered for it to be complete.
    bookmark: Option<(Second, u64)>,
    plan: Option<(Commit, Vec<Interval>)>,
}

pub(super) struct Now<'a> {
    pub(super) world: &'a World,
    pub(super) at: i64,
}

fn latest(events: &[Event]) -> u64 {
    events.last().map_or(0, |event| event.transition.order.0)
}

impl Replica {
    pub(super) fn crash(&mut self) {
        *self = Self { clock: self.clock, ..Self::default() };
    }

    pub(super) fn leads(&self) -> bool {
        self.term.is_some()
    }

    /// One step.
    pub(super) fn step(
        &mut self,
        now: &Now<'_>,
        store: &mut Store,
        random: &mut Random,
        counts: &mut Counts,
    ) {
        let Some(term) = self.term else {
            // It stores what it saw before it lost the lead.
            store.append(std::mem::take(&mut self.buffer));
            self.term = Some(store.lead());
            self.is_watching = false;
            (self.list, self.is_list_stored, self.bookmark) = (None, false, None);
            return;
        };
        let done = if self.is_watching {
            match random.below(7) {
                0 => self.confirm(term, now, store, random),
                1 => self.commit(store, counts),
                2 => store.correct(term).map(|count| counts.corrections += count),
                safe => {
                    match safe {
                        3 | 4 => self.receive(now, random),
                        5 => self.persist(store, random),
                        _ => self.plan(now, store, random),
                    }
                    Ok(())
                }
            }
        } else {
            self.relist(term, now, store, random, counts)
        };
        if let Err(refusal) = done {
            self.plan = None;
            match refusal {
                Refusal::OtherLeader { .. } => {
                    counts.deposed += 1;
                    self.term = None;
                }
                Refusal::Moved { .. } => counts.moved += 1,
                Refusal::NotDue { .. } => panic!("{refusal}"),
            }
        }
    }

    fn relist(
        &mut self,
        term: LeaderTerm,
        now: &Now<'_>,
        store: &mut Store,
        random: &mut Random,
        counts: &mut Counts,
    ) -> Result<(), Refusal> {
        let Some((listing, list)) = &self.list else {
            let events = now.world.until_in_second(now.at, random);
            let listing = Listing { at: Second(now.at), order: Order(latest(events)) };
            self.list = Some((listing, World::list(events)));
            self.is_list_stored = false;
            return Ok(());
        };
        if !self.is_list_stored {
            store.append(list.iter().copied());
            self.is_list_stored = true;
            return Ok(());
        }
        let listed: BTreeSet<_> = list.iter().map(|transition| transition.session).collect();
        counts.vanished += store.listed(term, *listing, &listed)?;
        self.position = listing.order.0;
        self.is_watching = true;
        (self.list, self.bookmark) = (None, None);
        Ok(())
    }

    fn receive(&mut self, now: &Now<'_>, random: &mut Random) {
        let events = now.world.until_in_second(now.at, random);
        match random.below(60) {
            // The connection is cut; the watch goes on a little before, and repeats.
            0..3 => self.position = self.position.saturating_sub(random.below(20)),
            // `410 Gone`. Of what was delivered before, some is lost.
            3 => {
                self.is_watching = false;
                let kept = random.below(self.buffer.len() as u64 + 1);
                self.buffer.truncate(usize::try_from(kept).unwrap());
                return;
            }
            _ => {}
        }
        let count = usize::try_from(random.below(8)).unwrap();
        let position = self.position;
        for event in events.iter().filter(|event| event.transition.order.0 > position).take(count) {
            self.position = event.transition.order.0;
            // Not every write that changes nothing is kept.
            if !event.touches || random.chance(50) {
                self.buffer.push(event.transition);
            }
        }
    }

    fn persist(&mut self, store: &mut Store, random: &mut Random) {
        random.shuffle(&mut self.buffer);
        if random.chance(20) {
            store.append(self.buffer.iter().copied());
        }
        let kept = if random.chance(20) { self.buffer.len() / 2 } else { 0 };
        store.append(self.buffer.drain(kept..));
    }

    fn confirm(
        &mut self,
        term: LeaderTerm,
        now: &Now<'_>,
        store: &mut Store,
        random: &mut Random,
    ) -> Result<(), Refusal> {
        let Some((at, order)) = self.bookmark else {
            let events = now.world.until_in_second(now.at, random);
            self.bookmark = Some((Second(now.at), latest(events)));
            return Ok(());
        };
        if self.position >= order && self.buffer.is_empty() {
            store.confirmed(term, at)?;
            self.bookmark = None;
        }
        Ok(())
    }

    fn plan(&mut self, now: &Now<'_>, store: &Store, random: &mut Random) {
        let clock = Second(now.at + self.clock);
        let buckets = if random.chance(50) { 10_000 } else { 1 + random.below(20) };
        let due = store.watermark.due(clock, 60, u32::try_from(buckets).unwrap());
        self.plan = due.map(|commit| {
            let of_session = |history| intervals(&history, &store.ledger, commit.span());
            (commit, store.histories().into_iter().flat_map(of_session).collect())
        });
    }

    fn commit(&mut self, store: &mut Store, counts: &mut Counts) -> Result<(), Refusal> {
        // A plan of an earlier term is still in its hands.
        let Some((commit, rows)) = self.plan.take() else {
            return Ok(());
        };
        store.commit(&commit, &rows)?;
        counts.commits += 1;
        Ok(())
    }

    /// Goes through every step until nothing is left to do.
    pub(super) fn finish(&mut self, now: &Now<'_>, store: &mut Store, counts: &mut Counts) {
        // Every step comes up in time; the seed is not that of the run.
        let mut random = Random(7);
        self.clock = 0;
        self.term = Some(store.lead());
        self.is_watching = false;
        self.list = None;
        for minute in 0..10_000 {
            if store.is_settled(Second(now.at)) {
                return;
            }
            let now = Now { at: now.at + 60 * minute, ..*now };
            self.step(&now, store, &mut random, counts);
        }
        panic!("does not come to an end");
    }
}
