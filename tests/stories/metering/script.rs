//! What happens for a seed: to its sessions, and to the daemon meanwhile. All of it follows
//! from the seed, so that a seed that failed can be had again.

use std::time::Duration;

use streamspace_tests::random::Random;

/// So long something is done to the sessions of a seed.
const LASTS: Duration = Duration::from_secs(14);
const SESSIONS: usize = 3;
/// The session that runs once all is well again runs so long.
const CALM: Duration = Duration::from_secs(5);
/// The longest pauses between steps, in milliseconds. One of calm sessions runs through the
/// time in which nobody watches; one of busy ones changes in it.
const PACES: [u64; 3] = [1_500, 4_000, 10_000];
/// A leader that sleeps so long has lost its lease when it wakes.
const STALL: Duration = Duration::from_millis(9_500);

/// What a session requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) millicores: u64,
    pub(super) mebibytes: u64,
}

/// What is done to a session.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// It is wished to run; where there is none it is created.
    Run,
    /// It is wished to sleep.
    Sleep,
    /// It requests something else.
    Resize(Request),
    /// Its pod goes, as when a node crashes.
    Crash,
    /// It is deleted, and another of its name is created once it is gone.
    Renew,
}

/// What is done to the daemon, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// The leader is killed, and the other replica takes over.
    KillLeader(Duration),
    /// Nobody lives.
    KillBoth(Duration),
    /// The leader sleeps past its lease, and wakes beside the one that replaced it.
    Stall(Duration),
}

/// Something to do after a pause.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timed<T> {
    pub(super) pause: Duration,
    pub(super) what: T,
}

/// One session from its creation on.
#[derive(Clone, Debug)]
pub(super) struct Course {
    pub(super) name: String,
    pub(super) request: Request,
    pub(super) steps: Vec<Timed<Step>>,
    /// Whether it is deleted in the end; else it sleeps.
    pub(super) goes: bool,
}

/// All of a seed.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) courses: Vec<Course>,
    pub(super) faults: Vec<Timed<Fault>>,
}

impl Script {
    pub(super) fn of(seed: u64) -> Self {
        // Seeds that follow each other would begin alike.
        let mut random = Random::new(seed).fork();
        let courses = (0..SESSIONS).map(|number| Course::new(&mut random, number)).collect();
        let faults = (0..=random.below(2)).map(|_| fault(&mut random)).collect();
        Self { courses, faults }
    }
}

impl Course {
    /// What is to be played while somebody counts, so that a slow machine, where the faults
    /// take all the time of a seed, has something to be exact about too.
    pub(super) fn calm() -> Self {
        let first = Timed { pause: Duration::ZERO, what: Step::Run };
        let last = Timed { pause: CALM, what: Step::Sleep };
        Self {
            name: "calm".to_owned(),
            request: Request { millicores: 110, mebibytes: 130 },
            steps: vec![first, last],
            goes: false,
        }
    }

    fn new(random: &mut Random, number: usize) -> Self {
        let first = Timed { pause: between(random, 0, 800), what: Step::Run };
        let pace = PACES[usize::try_from(random.below(3)).unwrap()];
        let (mut steps, mut planned) = (vec![first], first.pause);
        loop {
            let next = Timed { pause: between(random, 300, pace), what: step(random) };
            planned += next.pause;
            if planned > LASTS {
                break;
            }
            steps.push(next);
        }
        Self {
            name: format!("desk-{number}"),
            request: request(random),
            steps,
            goes: random.below(2) == 0,
        }
    }
}

fn step(random: &mut Random) -> Step {
    match random.below(10) {
        0..4 => Step::Run,
        4..6 => Step::Sleep,
        6..8 => Step::Resize(request(random)),
        8 => Step::Crash,
        _ => Step::Renew,
    }
}

fn fault(random: &mut Random) -> Timed<Fault> {
    let pause = between(random, 2_000, 9_000);
    let lasts = between(random, 0, 4_000);
    let what = match random.below(10) {
        0..5 => Fault::KillLeader(lasts),
        5..8 => Fault::KillBoth(lasts),
        _ => Fault::Stall(STALL),
    };
    Timed { pause, what }
}

fn request(random: &mut Random) -> Request {
    Request { millicores: 50 + 10 * random.below(30), mebibytes: 64 + random.below(300) }
}

fn between(random: &mut Random, from: u64, to: u64) -> Duration {
    Duration::from_millis(from + random.below(to - from))
}
