//! The days of a seed: what happens to whom, and when.

use super::{
    Second,
    replica::{Now, Replica},
    store::Store,
    world::{BEGIN, DAY, END, Random, World},
};

/// What happened, to see that the runs are about something.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) crashes: u64,
    pub(super) gaps: u64,
    pub(super) measured_blind: u64,
    pub(super) estimated: u64,
    pub(super) unproved: u64,
    pub(super) corrections: u64,
    pub(super) commits: u64,
    pub(super) deposed: u64,
    pub(super) moved: u64,
    pub(super) vanished: u64,
    pub(super) exact_sessions: u64,
}

impl Counts {
    pub(super) fn all(&self) -> [u64; 11] {
        [
            self.crashes,
            self.gaps,
            self.measured_blind,
            self.estimated,
            self.unproved,
            self.corrections,
            self.commits,
            self.deposed,
            self.moved,
            self.vanished,
            self.exact_sessions,
        ]
    }
}

/// Goes through all of a seed's days, to the end of what is left to do.
pub(super) fn drive(seed: u64) -> (World, Store, Counts) {
    let mut random = Random(seed);
    let world = World::new(&mut random);
    let mut store = Store::new(Second(BEGIN));
    let mut replicas = [Replica::default(), Replica::default()];
    let mut counts = Counts::default();
    // Quiet runs too: without a fault everything must be measured.
    let crash_percent = random.below(4);
    let mut at = BEGIN;
    let mut asleep = [0_u64; 2];
    while at < END {
        at = later(at, &world, &mut random);
        for _ in 0..=random.below(12) {
            let one = usize::from(random.chance(30));
            let (replica, asleep) = (&mut replicas[one], &mut asleep[one]);
            if *asleep > 0 {
                *asleep -= 1;
                continue;
            }
            if random.chance(crash_percent) {
                counts.crashes += 1;
                replica.crash();
            } else if random.chance(crash_percent / 2) {
                *asleep = random.below(100);
            } else if random.chance(2) {
                replica.clock = random.seconds(1201) - 600;
            }
            replica.is_up |= random.chance(50);
            // The second takes over now and then, also while the first goes on.
            let may = one == 0 || replica.leads() || random.chance(1);
            if replica.is_up && may {
                replica.step(&Now { world: &world, at }, &mut store, &mut random, &mut counts);
            }
        }
    }
    // The last session may have gone on.
    let last = world.events.last().map_or(END, |event| event.transition.at.0);
    let now = Now { world: &world, at: END.max(last) + DAY };
    replicas[0].finish(&now, &mut store, &mut counts);
    (world, store, counts)
}

/// Some time later: mostly a little, and often right where something happens.
fn later(at: i64, world: &World, random: &mut Random) -> i64 {
    let next = || world.events.iter().map(|event| event.transition.at.0).find(|next| *next > at);
    at + match random.below(100) {
        0..30 => random.seconds(4),
        30..45 => random.seconds(400),
        45..85 => next().map_or(DAY, |next| (next - at - 1).min(DAY)) + random.seconds(3),
        85..95 => random.seconds(7200),
        _ => random.seconds(2 * DAY),
    }
}
