//! A user: when they come, what they make, and the home that they have.

use std::{collections::BTreeMap, sync::Arc};

use uuid::Uuid;

use super::{
    Change, Load, LoadEvent, LoadKind, TemplateLoad, TenantLoad,
    life::{GONE, Live, Stage},
    random::Random,
    rhythm::HOUR,
};
use crate::{
    quantity::Bytes,
    session::{SESSION_NAME_MAXIMUM, SessionPhase, SessionUid},
    usage::{Second, Session, State},
};

/// What a home grows by, and how large it becomes.
const HOME_STEP: i64 = 5 << 30;
const HOME_MAXIMUM: i64 = 100 << 30;

/// How often who comes goes on with a session that sleeps, in percent.
const WAKES: u64 = 65;
/// How often a home is too small when its user goes, in percent.
const GROWS: u64 = 5;

const NAMES: [&str; 24] = [
    "ada", "bela", "chen", "dora", "emil", "fatima", "goran", "hana", "ines", "jonas", "kofi",
    "lena", "marta", "nils", "olga", "pavel", "qiu", "rosa", "sven", "tara", "uwe", "vera", "wim",
    "yara",
];

/// What a user has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// To come.
    Visit,
    /// The next step of the session of this number.
    Step(u32),
}

#[derive(Debug)]
pub(super) struct User {
    /// The tenant's place.
    tenant: usize,
    name: String,
    random: Random,
    /// How much earlier than others they work, in seconds.
    shift: i64,
    home: Option<(Arc<Session>, Bytes)>,
    sessions: BTreeMap<u32, Live>,
    made: u32,
}

impl User {
    pub(super) fn new(load: &Load, place: usize, tenant: &TenantLoad, index: u32) -> Self {
        let (high, low) = tenant.uid.0.as_u64_pair();
        let begin = load.begin.0.cast_unsigned();
        let mut random = Random::of([load.seed, begin, high, low, u64::from(index)]);
        let count = u32::try_from(NAMES.len()).unwrap_or(u32::MAX);
        let given = usize::try_from(index % count).ok().and_then(|index| NAMES.get(index));
        let mut name = (*given.unwrap_or(&"user")).to_owned();
        if index >= count {
            name = format!("{name}-{}", index / count + 1);
        }
        let shift = HOUR - random.seconds(2 * HOUR);
        let sessions = BTreeMap::new();
        Self { tenant: place, name, random, shift, home: None, sessions, made: 0 }
    }

    pub(super) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn next_visit(&mut self, load: &Load, after: Second) -> Option<Second> {
        let tenant = load.tenants.get(self.tenant)?;
        tenant.rhythm.next_visit(after, load.end, self.shift, &mut self.random)
    }

    /// Does what is due; returns what is due afterwards.
    pub(super) fn act(&mut self, due: Due, stage: &mut Stage<'_>) -> Vec<(Second, Due)> {
        let number = match due {
            Due::Visit => self.visit(stage),
            // A session that was woken meanwhile has another step, at another time.
            Due::Step(number) => {
                self.sessions.get(&number).and_then(|live| (live.due == stage.at).then_some(number))
            }
        };
        if let (Due::Step(_), Some(number)) = (due, number) {
            self.step(number, stage);
        }
        let visit = (due == Due::Visit).then(|| self.next_visit(stage.load, stage.at)).flatten();
        let step = number.and_then(|number| Some((self.sessions.get(&number)?.due, number)));
        let visit = visit.map(|at| (at, Due::Visit));
        visit.into_iter().chain(step.map(|(at, number)| (at, Due::Step(number)))).collect()
    }

    /// Comes, and wakes a session or makes one; which it is.
    fn visit(&mut self, stage: &mut Stage<'_>) -> Option<u32> {
        let tenant = stage.load.tenants.get(self.tenant)?;
        let awake = self.sessions.values().filter(|live| live.is_awake());
        let count = u32::try_from(awake.clone().count()).unwrap_or(u32::MAX);
        let taken: i64 = awake.map(|live| live.state.memory.0).sum();
        if tenant.user_sessions.is_some_and(|most| count >= most) {
            return None;
        }
        let room = tenant.user_memory.map_or(i64::MAX, |most| most.0.saturating_sub(taken));
        let asleep = self.sessions.iter_mut().find(|(_, live)| {
            live.state.phase == SessionPhase::Hibernated && live.state.memory.0 <= room
        });
        if let Some((number, live)) = asleep
            && self.random.chance(WAKES)
        {
            live.wake(&mut self.random, stage);
            return Some(*number);
        }
        let (place, template) = choose(&stage.load.templates, room, &mut self.random)?;
        self.settle(tenant, stage);
        let uid = self.random.uuid();
        let subject = Arc::new(Session {
            uid: SessionUid(uid),
            tenant: tenant.uid,
            user: self.name.clone(),
            template: template.name.clone(),
            name: session_name(&self.name, &template.name, uid),
        });
        let live = Live::create(subject, place, template, &mut self.random, stage);
        self.made = self.made.saturating_add(1);
        self.sessions.insert(self.made, live);
        Some(self.made)
    }

    /// Has a home from the first session on.
    fn settle(&mut self, tenant: &TenantLoad, stage: &mut Stage<'_>) {
        if self.home.is_none() {
            let subject = Arc::new(Session {
                uid: SessionUid(self.random.uuid()),
                tenant: tenant.uid,
                user: self.name.clone(),
                template: String::new(),
                name: format!("home-{}", self.name),
            });
            self.home = Some((subject, tenant.home));
            self.tell_home(Change::HomeCreated, stage);
        }
    }

    fn grow_home(&mut self, stage: &mut Stage<'_>) {
        if let Some((_, size)) = &mut self.home
            && size.0 < HOME_MAXIMUM
        {
            size.0 += HOME_STEP;
            self.tell_home(Change::HomeGrown, stage);
        }
    }

    fn tell_home(&self, change: Change, stage: &mut Stage<'_>) {
        if let Some((subject, size)) = &self.home {
            let allotted = match change {
                Change::HomeDeleted => GONE,
                _ => State { phase: SessionPhase::Hibernated, home: *size, ..GONE },
            };
            let (subject, kind) = (Arc::clone(subject), LoadKind::Home);
            let event = LoadEvent { subject, kind, change, state: allotted, incarnation: None };
            stage.ready.push_back((stage.at, event));
        }
    }

    /// The session's next step.
    fn step(&mut self, number: u32, stage: &mut Stage<'_>) {
        let tenant = stage.load.tenants.get(self.tenant);
        let memory = tenant.and_then(|tenant| tenant.user_memory).map_or(i64::MAX, |most| most.0);
        let others: i64 = self
            .sessions
            .iter()
            .filter(|(other, live)| **other != number && live.is_awake())
            .map(|(_, live)| live.state.memory.0)
            .sum();
        let Some(live) = self.sessions.get_mut(&number) else { return };
        let change = live.go_on(&mut self.random, memory.saturating_sub(others), stage);
        match change {
            Some(Change::Terminated { .. }) => {
                self.sessions.remove(&number);
            }
            Some(Change::Hibernated { .. }) => {}
            _ => return,
        }
        if self.random.chance(GROWS) {
            self.grow_home(stage);
        }
    }

    /// Everything ends.
    pub(super) fn close(&mut self, stage: &mut Stage<'_>) {
        for (_, mut live) in std::mem::take(&mut self.sessions) {
            live.end(Change::Terminated { expired: false }, stage);
        }
        self.tell_home(Change::HomeDeleted, stage);
        self.home = None;
    }
}

/// One of the templates that there is room for, by their weights, with its place.
fn choose<'a>(
    templates: &'a [TemplateLoad],
    room: i64,
    random: &mut Random,
) -> Option<(usize, &'a TemplateLoad)> {
    let fitting = || templates.iter().enumerate().filter(|(_, it)| it.memory.0 <= room);
    let weights: u64 = fitting().map(|(_, it)| u64::from(it.weight)).sum();
    let mut left = random.below(weights);
    fitting().find(|(_, it)| {
        let weight = u64::from(it.weight);
        let is_it = left < weight;
        left = left.saturating_sub(weight);
        is_it
    })
}

/// A name that no other live session of the tenant has: the user, the template and a part
/// of the uid, cut to what a name may be.
fn session_name(user: &str, template: &str, uid: Uuid) -> String {
    let (uid, _) = uid.as_u64_pair();
    let tail = format!("{:05x}", uid >> 44);
    let room = SESSION_NAME_MAXIMUM.saturating_sub(user.len() + tail.len() + 2);
    let template: String = template.chars().take(room).collect();
    let template = template.replace('.', "-");
    format!("{user}-{}-{tail}", template.trim_end_matches('-'))
}
