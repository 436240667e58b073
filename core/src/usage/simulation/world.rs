//! The true history of a few sessions, and the oracle over it.

use uuid::Uuid;

pub(super) use super::Random;
use super::*;

pub(super) const BEGIN: i64 = 1_792_800_000;
pub(super) const DAY: i64 = 86_400;
pub(super) const END: i64 = BEGIN + 30 * DAY;

impl Random {
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap();
            items.swap(last, other);
        }
    }
}

/// A write of a session's object.
#[derive(Clone, Copy)]
pub(super) struct Event {
    pub(super) transition: Transition,
    /// Whether nothing that is metered changed with it.
    pub(super) touches: bool,
    /// Whether the object is gone with it, with nobody to wait for.
    pub(super) removes: bool,
}

/// What was true from a second on. Written for the oracle alone.
struct Truth {
    at: i64,
    rates: [i128; 4],
}

pub(super) struct World {
    pub(super) sessions: Vec<Session>,
    pub(super) events: Vec<Event>,
    truths: Vec<Vec<Truth>>,
}

/// One session while it is made up.
struct Life {
    at: i64,
    state: State,
    pod: u128,
    container_start: i64,
    knows_incarnation: bool,
    events: Vec<Event>,
    truths: Vec<Truth>,
}

impl World {
    pub(super) fn new(random: &mut Random) -> Self {
        let mut world = Self { sessions: Vec::new(), events: Vec::new(), truths: Vec::new() };
        let mut pods = 1;
        let mut end = BEGIN;
        for index in 0..2 + random.below(4) {
            let follows = index > 0 && end < END && random.chance(30);
            let at = if follows { end + random.seconds(2) } else { start(random) };
            let uid = SessionUid(Uuid::from_u128(1000 + u128::from(index)));
            let name = if follows { index - 1 } else { index };
            world.sessions.push(Session {
                uid,
                tenant: TenantUid(Uuid::from_u128(1 + u128::from(name % 2))),
                user: format!("user-{}", name % 3),
                template: "firefox".to_owned(),
                name: format!("session-{name}"),
            });
            let life = Life::new(random, uid, at, &mut pods);
            end = life.at;
            world.events.extend(life.events);
            world.truths.push(life.truths);
        }
        world.events.sort_by_key(|event| event.transition.at);
        let mut order = 100;
        for event in &mut world.events {
            order += 1 + random.below(3);
            event.transition.order = Order(order);
        }
        world
    }

    /// The oracle: what a session truly used from one second up to another, as the
    /// straight integral over its true history.
    pub(super) fn oracle(&self, session: usize, from: i64, to: i64) -> [i128; 4] {
        let mut sums = [0; 4];
        let truths = &self.truths[session];
        for (index, truth) in truths.iter().enumerate() {
            let until = truths.get(index + 1).map_or(i64::MAX, |next| next.at);
            let seconds = until.min(to) - truth.at.max(from);
            if seconds > 0 {
                for (sum, rate) in sums.iter_mut().zip(truth.rates) {
                    *sum += rate * i128::from(seconds);
                }
            }
        }
        sums
    }

    /// The events that the API server has by now.
    pub(super) fn until(&self, now: i64) -> &[Event] {
        let count = self.events.partition_point(|event| event.transition.at.0 <= now);
        &self.events[..count]
    }

    /// What is written at the end of a second may come after what was asked in it.
    pub(super) fn until_in_second(&self, now: i64, random: &mut Random) -> &[Event] {
        let (before, all) = (self.until(now - 1).len(), self.until(now).len());
        let seen = random.below((all - before) as u64 + 1);
        &self.events[..before + usize::try_from(seen).unwrap()]
    }

    /// What a list shows when the API server has these events.
    pub(super) fn list(events: &[Event]) -> Vec<Transition> {
        let mut latest = std::collections::BTreeMap::new();
        for event in events {
            latest.insert(event.transition.session, event);
        }
        latest.into_values().filter(|event| !event.removes).map(|event| event.transition).collect()
    }
}

fn start(random: &mut Random) -> i64 {
    let at = BEGIN + random.seconds(28 * DAY);
    match random.below(20) {
        0 => BEGIN - random.seconds(4000),
        1..4 => at - at % 300 + random.seconds(3) - 1,
        4..7 => at - at % DAY + DAY + random.seconds(3) - 1,
        _ => at,
    }
}

fn pause(random: &mut Random) -> i64 {
    match random.below(100) {
        0..8 => 0,
        8..30 => 1 + random.seconds(3),
        30..68 => random.seconds(400),
        68..98 => random.seconds(3000),
        _ => random.seconds(DAY / 2),
    }
}

impl Life {
    fn new(random: &mut Random, uid: SessionUid, at: i64, pods: &mut u128) -> Self {
        let mut life = Self {
            at,
            state: State {
                phase: SessionPhase::Pending,
                cpu: Millicores(1 + random.seconds(2000)),
                memory: Bytes(random.seconds(1 << 34)),
                home: Bytes(random.seconds(1 << 36)),
            },
            pod: 0,
            container_start: 0,
            knows_incarnation: random.chance(85),
            events: Vec::new(),
            truths: Vec::new(),
        };
        life.write(uid, false, false);
        for _ in 0..3 + random.below(10) {
            life.at += pause(random);
            let touches = life.change(random, pods);
            life.write(uid, touches, false);
        }
        life.at += pause(random);
        life.state = State {
            phase: SessionPhase::Terminated,
            cpu: Millicores(0),
            memory: Bytes(0),
            home: Bytes(0),
        };
        life.write(uid, false, random.chance(40));
        life
    }

    /// The next change; whether it changes nothing that is metered.
    fn change(&mut self, random: &mut Random, pods: &mut u128) -> bool {
        let dice = random.below(10);
        match (self.state.phase, dice) {
            (SessionPhase::Pending | SessionPhase::Hibernated, 0..6)
            | (SessionPhase::Failed, 0..3) => {
                self.state.phase = SessionPhase::Running;
                self.start_pod(pods);
            }
            (SessionPhase::Pending | SessionPhase::Hibernated, 6)
            | (SessionPhase::Running, 0..3) => return true,
            (SessionPhase::Pending, 7) => self.state.phase = SessionPhase::Hibernated,
            (SessionPhase::Pending, _) | (SessionPhase::Running, 9) => {
                self.state.phase = SessionPhase::Failed;
            }
            (SessionPhase::Running, 3) => self.container_start = self.at,
            (SessionPhase::Running, 4) => self.start_pod(pods),
            (SessionPhase::Running, 5) => {
                self.state.cpu = Millicores(1 + random.seconds(4000));
                self.state.memory = Bytes(random.seconds(1 << 34));
                self.start_pod(pods);
            }
            (SessionPhase::Running, 6) | (SessionPhase::Hibernated, 7) => {
                self.state.home.0 += random.seconds(1 << 33);
            }
            (SessionPhase::Running, _) => self.state.phase = SessionPhase::Hibernated,
            _ => self.state.phase = SessionPhase::Pending,
        }
        false
    }

    fn start_pod(&mut self, pods: &mut u128) {
        *pods += 1;
        self.pod = *pods;
        self.container_start = self.at;
    }

    fn write(&mut self, uid: SessionUid, touches: bool, removes: bool) {
        let state = self.state;
        let runs = state.phase == SessionPhase::Running;
        let incarnation = (runs && self.knows_incarnation).then_some(Incarnation {
            pod: PodUid(Uuid::from_u128(self.pod)),
            container_start: Second(self.container_start),
        });
        let (order, at) = (Order(0), Second(self.at));
        let transition = Transition { session: uid, order, at, state, incarnation };
        self.events.push(Event { transition, touches, removes });
        let running = i128::from(runs);
        let (cpu, memory) = (i128::from(state.cpu.0), i128::from(state.memory.0));
        let rates = [cpu * running, memory * running, i128::from(state.home.0), running];
        self.truths.push(Truth { at: self.at, rates });
    }
}
