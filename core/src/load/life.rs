//! One session, from one step to the next.

use std::{collections::VecDeque, sync::Arc};

use super::{
    Change, Lasting, Load, LoadEvent, LoadKind, TemplateLoad, distribution, random::Random,
    rhythm::HOUR,
};
use crate::{
    quantity::{Bytes, Millicores},
    session::{DEFAULT_IDLE_TIMEOUT, DEFAULT_SESSION_DURATION, SessionPhase},
    usage::{Incarnation, PodUid, Second, Session, State},
};

/// From the wish to a pod that is ready.
const START: Lasting = Lasting { median: 14, sigma_milli: 600 };
/// From a failure to the cluster's next success.
const RECOVERY: Lasting = Lasting { median: 150, sigma_milli: 700 };
/// How long a session sleeps before its user clears it away.
const SLEEP: Lasting = Lasting { median: 30 * HOUR, sigma_milli: 700 };
/// How long a pod lives on the average.
const POD_LIFE: i64 = 150 * HOUR;
/// Who looks at a session that failed gives it up after so many seconds.
const PATIENCE: i64 = 600;
/// How often things go one way, in percent.
const FAILS: u64 = 1;
const RESIZES: u64 = 3;
const QUITS: u64 = 40;
const HIBERNATES: u64 = 15;
const RUNS: SessionPhase = SessionPhase::Running;

/// Where it happens, when, and where it is told.
pub(super) struct Stage<'a> {
    pub(super) load: &'a Load,
    pub(super) at: Second,
    pub(super) ready: &'a mut VecDeque<(Second, LoadEvent)>,
}

/// A session that is alive.
#[derive(Debug)]
pub(super) struct Live {
    subject: Arc<Session>,
    template: usize,
    pub(super) state: State,
    incarnation: Option<Incarnation>,
    /// Since when it is wished to run.
    awake_since: Second,
    /// When its user goes, once it runs.
    leaves: Option<Second>,
    pub(super) due: Second,
    step: Step,
}

/// What becomes of a session next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Start,
    Fail,
    Crash,
    Resize,
    Leave,
    Hibernate,
    Expire,
    Discard,
}

impl Live {
    /// A user makes it.
    pub(super) fn create(
        subject: Arc<Session>,
        place: usize,
        template: &TemplateLoad,
        random: &mut Random,
        stage: &mut Stage<'_>,
    ) -> Self {
        let mut live = Self {
            subject,
            template: place,
            state: State {
                phase: SessionPhase::Pending,
                cpu: template.cpu,
                memory: template.memory,
                home: Bytes(0),
            },
            incarnation: None,
            awake_since: stage.at,
            leaves: None,
            due: stage.at,
            step: Step::Start,
        };
        live.tell(Change::Created, stage);
        live.starts(random, stage.at);
        live
    }

    pub(super) fn is_awake(&self) -> bool {
        self.state.phase != SessionPhase::Hibernated
    }

    fn tell(&self, change: Change, stage: &mut Stage<'_>) {
        let event = LoadEvent {
            subject: Arc::clone(&self.subject),
            kind: LoadKind::Session,
            change,
            state: self.state,
            incarnation: self.incarnation,
        };
        stage.ready.push_back((stage.at, event));
    }

    fn is(&mut self, phase: SessionPhase, incarnation: Option<Incarnation>) {
        self.state.phase = phase;
        self.incarnation = incarnation;
    }

    fn then(&mut self, step: Step, at: Second, seconds: i64) {
        self.step = step;
        self.due = at.plus(seconds.max(1));
    }

    pub(super) fn wake(&mut self, random: &mut Random, stage: &mut Stage<'_>) {
        self.is(SessionPhase::Pending, None);
        self.awake_since = stage.at;
        self.tell(Change::Woken, stage);
        self.starts(random, stage.at);
    }

    /// A pod is on its way.
    fn starts(&mut self, random: &mut Random, at: Second) {
        self.leaves = None;
        let step = if random.chance(FAILS) { Step::Fail } else { Step::Start };
        self.then(step, at, START.draw(random));
    }

    /// Does its next step, of which this much memory may be taken, and plans the one after
    /// it; what it was.
    pub(super) fn go_on(
        &mut self,
        random: &mut Random,
        memory: i64,
        stage: &mut Stage<'_>,
    ) -> Option<Change> {
        let at = stage.at;
        let change = match self.step {
            Step::Start => {
                let pod = PodUid(random.uuid());
                self.is(RUNS, Some(Incarnation { pod, container_start: at }));
                self.run(random, stage);
                Change::Started
            }
            Step::Fail => {
                self.is(SessionPhase::Failed, None);
                if random.chance(50) {
                    self.then(Step::Start, at, RECOVERY.draw(random));
                } else {
                    self.then(Step::Discard, at, PATIENCE);
                }
                Change::Failed
            }
            Step::Crash => self.crash(random, stage),
            Step::Resize => {
                let factor = if self.state.memory.0 <= memory / 2 { 2 } else { 1 };
                let memory = self.state.memory.0 * factor;
                // Half of it where there is no room for twice as much.
                let halves = if factor == 1 { 2 } else { 1 };
                self.state.memory = Bytes(memory / halves);
                self.state.cpu = Millicores((self.state.cpu.0 * factor / halves).max(100));
                self.is(SessionPhase::Pending, None);
                self.then(Step::Start, at, START.draw(random));
                Change::Resized
            }
            Step::Leave => return self.leave(random, stage),
            Step::Hibernate => self.sleep(random, true, stage),
            Step::Expire => return Some(self.end(Change::Terminated { expired: true }, stage)),
            Step::Discard => return Some(self.end(Change::Terminated { expired: false }, stage)),
        };
        self.tell(change, stage);
        Some(change)
    }

    /// It runs: what comes first?
    fn run(&mut self, random: &mut Random, stage: &Stage<'_>) {
        let at = stage.at;
        let template = stage.load.templates.get(self.template);
        let stays = template.map_or(Lasting { median: HOUR, sigma_milli: 0 }, |it| it.stay);
        // After a crash they go on with what they did, and after a failure they stay a little.
        let leaves = self.leaves.unwrap_or_else(|| at.plus(stays.draw(random))).max(at.plus(60));
        self.leaves = Some(leaves);
        let seconds = leaves.0 - at.0;
        let mut first = (seconds, Step::Leave);
        let crash = (distribution::wait(random, POD_LIFE), Step::Crash);
        let expiry = (self.expires_in(at), Step::Expire);
        let resize = random.chance(RESIZES).then(|| (random.seconds(seconds), Step::Resize));
        for other in [Some(crash), Some(expiry), resize].into_iter().flatten() {
            if other.0 < first.0 {
                first = other;
            }
        }
        self.then(first.1, at, first.0);
    }

    fn expires_in(&self, at: Second) -> i64 {
        self.awake_since.0 + DEFAULT_SESSION_DURATION.seconds() - at.0
    }

    /// The pod is lost, its container starts anew in it, or its node is away.
    fn crash(&mut self, random: &mut Random, stage: &Stage<'_>) -> Change {
        let at = stage.at;
        match (random.below(10), self.incarnation) {
            (0..3, Some(run)) => {
                self.is(RUNS, Some(Incarnation { container_start: at, ..run }));
                self.run(random, stage);
                Change::Crashed
            }
            (3..8, _) => {
                self.is(SessionPhase::Pending, None);
                self.then(Step::Start, at, START.draw(random));
                Change::Crashed
            }
            _ => {
                self.is(SessionPhase::Failed, None);
                self.then(Step::Start, at, RECOVERY.draw(random));
                Change::Failed
            }
        }
    }

    /// Its user goes: with a word, or without one. Then it is idle for a while, which
    /// changes nothing that is metered.
    fn leave(&mut self, random: &mut Random, stage: &mut Stage<'_>) -> Option<Change> {
        let dice = random.below(100);
        if dice < QUITS {
            return Some(self.end(Change::Terminated { expired: false }, stage));
        }
        if dice < QUITS + HIBERNATES {
            let change = self.sleep(random, false, stage);
            self.tell(change, stage);
            return Some(change);
        }
        let (idle, expiry) = (DEFAULT_IDLE_TIMEOUT.seconds(), self.expires_in(stage.at));
        if expiry < idle {
            self.then(Step::Expire, stage.at, expiry);
        } else {
            self.then(Step::Hibernate, stage.at, idle);
        }
        None
    }

    fn sleep(&mut self, random: &mut Random, idle: bool, stage: &Stage<'_>) -> Change {
        self.is(SessionPhase::Hibernated, None);
        self.then(Step::Discard, stage.at, SLEEP.draw(random));
        Change::Hibernated { idle }
    }

    pub(super) fn end(&mut self, change: Change, stage: &mut Stage<'_>) -> Change {
        self.state = GONE;
        self.incarnation = None;
        self.tell(change, stage);
        change
    }
}

pub(super) const GONE: State =
    State { phase: SessionPhase::Terminated, cpu: Millicores(0), memory: Bytes(0), home: Bytes(0) };
