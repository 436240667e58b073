//! The ledger beside an API server, under arbitrary interleavings.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::{
    tests::{limits, name, place, uid},
    *,
};

/// The longest that the API server lets a request last, in seconds.
const REQUEST_TIME: i64 = 60;
const SESSIONS: i32 = 2;
const MEMORY: i64 = 6;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Somebody asks to create a session, or to update the one that is there.
    Ask { name: usize, user: usize, memory: i64 },
    /// The client repeats its last request.
    Repeat,
    /// An admitted request is stored, if nothing is in its way.
    Store(usize),
    /// An admitted request is refused after all.
    Refuse(usize),
    /// A session is hibernated, which asks nobody.
    Sleep(usize),
    /// A session is deleted, which asks nobody.
    Delete(usize),
    /// The watch shows the next event.
    Show,
    /// The watch breaks, and lists anew.
    Relist,
    /// So many seconds pass.
    Wait(i64),
    /// What is over is ended.
    Expire,
    /// Another replica answers, which reads the rows.
    Reload,
}

#[derive(Clone, Debug)]
enum News {
    Seen(Observation),
    Gone(SessionName, SessionUid),
}

#[derive(Default)]
struct World {
    now: i64,
    ledger: Ledger,
    stored: BTreeMap<SessionName, Observation>,
    /// What the watch has yet to show, with the instant at which it happened.
    news: VecDeque<(i64, News)>,
    admitted: Vec<(i64, Request)>,
    last: Option<Request>,
    uids: u128,
}

fn user(number: usize) -> UserName {
    UserName::parse(["ada", "grace"][number % 2]).unwrap()
}

impl World {
    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn session(number: usize) -> SessionName {
        name(["a", "b", "c", "d"][number % 4])
    }

    fn store(&mut self, seen: Observation) {
        self.news.push_back((self.now, News::Seen(seen.clone())));
        self.stored.insert(seen.name.clone(), seen);
    }

    fn ask(&mut self, request: Request) {
        let limits = limits(SESSIONS, MEMORY);
        let now = Self::at(self.now);
        let before = self.ledger.total();
        if self.ledger.admit(&request, &limits, TenantState::Active, now).is_ok() {
            // One that was admitted already takes no second place.
            let once = self.ledger.total();
            let again = self.ledger.admit(&request, &limits, TenantState::Active, now);
            assert!(again.is_ok(), "{again:?}");
            assert_eq!(self.ledger.total(), once);
            assert!(once.sessions - before.sessions <= 1);
            self.admitted.push((self.now, request.clone()));
        } else {
            assert_eq!(self.ledger.total(), before);
        }
        self.last = Some(request);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Ask { name, user: owner, memory } => {
                let name = Self::session(name);
                let known = self.stored.get(&name).map(|seen| (seen.uid, seen.generation + 1));
                let (uid, generation) = known.unwrap_or_else(|| {
                    self.uids += 1;
                    (uid(self.uids), 1)
                });
                let user = user(owner);
                self.ask(Request { name, uid: Some(uid), generation, user, place: place(memory) });
            }
            Step::Repeat => {
                if let Some(mut request) = self.last.clone() {
                    if request.generation == 1 {
                        self.uids += 1;
                        request.uid = Some(uid(self.uids));
                    }
                    self.ask(request);
                }
            }
            Step::Store(index) if !self.admitted.is_empty() => {
                let (_, request) = self.admitted.remove(index % self.admitted.len());
                let known = self.stored.get(&request.name);
                let is_next = match known {
                    None => request.generation == 1,
                    Some(seen) => {
                        Some(seen.uid) == request.uid && seen.generation + 1 == request.generation
                    }
                };
                if is_next {
                    self.store(Observation {
                        name: request.name,
                        uid: request.uid.unwrap(),
                        generation: request.generation,
                        user: request.user,
                        place: Some(request.place),
                    });
                }
            }
            Step::Refuse(index) if !self.admitted.is_empty() => {
                self.admitted.remove(index % self.admitted.len());
            }
            Step::Store(_) | Step::Refuse(_) => {}
            Step::Sleep(number) => {
                if let Some(mut seen) = self.stored.get(&Self::session(number)).cloned() {
                    seen.generation += 1;
                    seen.place = None;
                    self.store(seen);
                }
            }
            Step::Delete(number) => {
                if let Some(seen) = self.stored.remove(&Self::session(number)) {
                    self.news.push_back((self.now, News::Gone(seen.name, seen.uid)));
                }
            }
            Step::Show => match self.news.pop_front() {
                Some((_, News::Seen(seen))) => self.ledger.observe(seen),
                Some((_, News::Gone(name, uid))) => self.ledger.remove(&name, uid),
                None => {}
            },
            Step::Relist => {
                self.news.clear();
                self.ledger.relist(self.stored.values().cloned());
            }
            Step::Wait(seconds) => {
                self.now += seconds;
                self.admitted.retain(|(asked, _)| self.now - asked <= REQUEST_TIME);
            }
            Step::Reload => {
                let seen = self.ledger.slots.values().filter_map(|slot| slot.seen.clone());
                let kept = self.ledger.reservations().cloned();
                let other = Ledger::load(seen, kept);
                assert_eq!(other, self.ledger);
                self.ledger = other;
            }
            Step::Expire => {
                // What happened before the first event that is not shown was shown.
                let watched = self.news.front().map_or(self.now, |(happened, _)| *happened - 1);
                self.ledger.expire(Self::at(watched));
            }
        }
    }

    fn taken(&self, of: Option<&UserName>) -> Place {
        let running = self.stored.values().filter(|seen| of.is_none_or(|user| *user == seen.user));
        running.filter_map(|seen| seen.place).fold(Place::default(), Place::plus)
    }

    fn check(&self) {
        for user in [user(0), user(1)] {
            let taken = self.taken(Some(&user));
            assert!(taken.sessions <= i64::from(SESSIONS), "{user}: {taken:?}");
            assert!(taken.memory.0 <= MEMORY, "{user}: {taken:?}");
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..4_usize, 0..2_usize, 1..5_i64)
            .prop_map(|(name, user, memory)| Step::Ask { name, user, memory }),
        1 => Just(Step::Repeat),
        5 => (0..4_usize).prop_map(Step::Store),
        1 => (0..4_usize).prop_map(Step::Refuse),
        2 => (0..4_usize).prop_map(Step::Sleep),
        1 => (0..4_usize).prop_map(Step::Delete),
        5 => Just(Step::Show),
        1 => Just(Step::Relist),
        2 => (1..70_i64).prop_map(Step::Wait),
        2 => Just(Step::Expire),
        1 => Just(Step::Reload),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2048)))]

    /// What runs at the API server is never more than there are places, however far the
    /// watch is behind; and when all is quiet, nothing is held but what runs.
    #[test]
    fn never_more_than_places_and_nothing_leaks(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::default();
        for step in steps {
            world.step(step);
            world.check();
        }
        while !world.news.is_empty() {
            world.step(Step::Show);
        }
        world.step(Step::Wait(RESERVATION_TIME.as_secs()));
        world.step(Step::Expire);
        prop_assert_eq!(world.ledger.open(), 0);
        prop_assert_eq!(world.ledger.total(), world.taken(None));
        prop_assert_eq!(world.ledger.slots.len(), world.stored.len());
    }

    /// The cap holds whatever is asked, and a refusal leaves nothing behind.
    #[test]
    fn reservations_stay_below_their_cap(
        asks in prop::collection::vec((0..4_usize, 0..2_usize, 1..5_i64, 1..30_u128), 1..60),
        cap in 0..6_usize,
    ) {
        let limits = Limits { reservations: cap, ..limits(100, 1000) };
        let mut ledger = Ledger::new();
        for (number, owner, memory, object) in asks {
            let request = Request {
                name: World::session(number),
                uid: Some(uid(object)),
                generation: 1,
                user: user(owner),
                place: place(memory),
            };
            let before = ledger.clone();
            let now = World::at(0);
            if ledger.admit(&request, &limits, TenantState::Active, now).is_err() {
                prop_assert_eq!(&ledger, &before);
            }
            prop_assert!(ledger.open() <= cap);
        }
        ledger.expire(World::at(RESERVATION_TIME.as_secs()));
        prop_assert_eq!(ledger, Ledger::new());
    }
}
