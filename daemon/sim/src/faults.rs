//! Faults that can be switched on: a server that does not answer, requests that are
//! refused, slow or lost, watches that break off.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use crate::counts::Verb;

mod rule;

pub(crate) use rule::Target;
pub use rule::{ActiveFault, Effect, FaultConfig, FaultError, FaultRule, Refusal};

/// One object that a fault hits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectRef {
    plural: String,
    namespace: String,
    name: String,
}

impl ObjectRef {
    /// An object of the cluster, such as `namespaces` and a name.
    pub fn cluster(plural: impl Into<String>, name: impl Into<String>) -> Self {
        Self::namespaced(plural, "", name)
    }

    /// An object in a namespace: the kind's plural as it stands in paths, such as
    /// `networkpolicies`, then the namespace and the name.
    pub fn namespaced(
        plural: impl Into<String>,
        namespace: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self { plural: plural.into(), namespace: namespace.into(), name: name.into() }
    }

    /// A rule for the writes of this object.
    fn writes(self, effect: Effect) -> FaultRule {
        FaultRule {
            verbs: vec![Verb::Create, Verb::Update, Verb::Patch, Verb::Delete],
            kinds: vec![self.plural],
            namespaces: Some(self.namespace).filter(|it| !it.is_empty()).into_iter().collect(),
            names: vec![self.name],
            ..FaultRule::new(effect)
        }
    }
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// That often, then no more.
    Exactly(u32),
    /// Until it is cleared.
    Always,
}

/// What befalls one request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Strike {
    pub(crate) delay: Duration,
    /// The first of the rules that say how it ends.
    pub(crate) end: Option<Effect>,
}

#[derive(Debug, Default)]
struct Rules {
    seed: u64,
    last_id: u64,
    active: Vec<ActiveFault>,
}

/// The switches of one simulator; clones share them.
///
/// They are no part of the cluster's data: another start begins without faults.
#[derive(Clone, Debug)]
pub struct Faults {
    available: watch::Sender<bool>,
    cuts: watch::Sender<u64>,
    expiries: Arc<AtomicU32>,
    rules: Arc<Mutex<Rules>>,
}

impl Faults {
    pub(crate) fn none() -> Self {
        Self {
            available: watch::channel(true).0,
            cuts: watch::channel(0).0,
            expiries: Arc::default(),
            rules: Arc::default(),
        }
    }

    /// Adds a fault behind the others and tells its id. A rule that is spent stays
    /// listed until it is removed.
    pub fn add(&self, rule: FaultRule) -> Result<u64, FaultError> {
        rule.check()?;
        Ok(self.rules().push(rule))
    }

    /// Takes these in place of all that are there; nothing changes if one is refused.
    pub fn configure(&self, config: &FaultConfig) -> Result<Vec<u64>, FaultError> {
        config.rules.iter().try_for_each(FaultRule::check)?;
        let mut rules = self.rules();
        rules.seed = config.seed;
        rules.active.clear();
        Ok(config.rules.iter().map(|rule| rules.push(rule.clone())).collect())
    }

    /// The faults in force, and how often each has struck.
    pub fn list(&self) -> Vec<ActiveFault> {
        self.rules().active.clone()
    }

    /// What chance is drawn from.
    pub fn seed(&self) -> u64 {
        self.rules().seed
    }

    /// Draws chance from another seed, from its beginning: the counts of all rules go back
    /// to nothing.
    pub fn set_seed(&self, seed: u64) {
        let mut rules = self.rules();
        rules.seed = seed;
        for fault in &mut rules.active {
            (fault.matched, fault.struck) = (0, 0);
        }
    }

    /// Removes the fault with this id; whether there was one.
    pub fn remove(&self, id: u64) -> bool {
        let mut rules = self.rules();
        let before = rules.active.len();
        rules.active.retain(|fault| fault.id != id);
        rules.active.len() < before
    }

    /// Refuses the writes of this object, dry runs among them. A later call for the
    /// same object takes the place of an earlier one.
    pub fn refuse_writes(&self, object: ObjectRef, refusal: Refusal, times: Times) {
        let rule = object.writes(Effect::Refuse { refusal, retry_after_seconds: None });
        let mut rules = self.rules();
        rules.forget(&rule, |effect| matches!(effect, Effect::Refuse { .. }));
        match times {
            Times::Always => rules.push(rule),
            Times::Exactly(0) => return,
            Times::Exactly(count) => rules.push(FaultRule { count: Some(count.into()), ..rule }),
        };
    }

    /// Lets each write of this object wait that long before it is looked at.
    pub fn delay_writes(&self, object: ObjectRef, delay: Duration) {
        let milliseconds = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        let rule = object.writes(Effect::Delay { milliseconds });
        let mut rules = self.rules();
        rules.forget(&rule, |effect| matches!(effect, Effect::Delay { .. }));
        rules.push(rule);
    }

    /// Takes back what was asked for the writes of this object.
    pub fn clear(&self, object: &ObjectRef) {
        self.rules().forget(&object.clone().writes(Effect::Drop), |_| true);
    }

    /// Takes back everything that was asked for requests to come. A stopped server stays
    /// stopped.
    pub fn clear_all(&self) {
        self.rules().active.clear();
        self.expiries.store(0, Ordering::SeqCst);
    }

    /// Breaks off every watch that is open, as a lost connection does.
    pub fn cut_watches(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Answers the next `count` watches that are opened with 410 Gone.
    pub fn expire_next_watches(&self, count: u32) {
        self.expiries.store(count, Ordering::SeqCst);
    }

    /// Stops or starts the API server: while it is stopped every request fails to
    /// connect, watches break off, and nothing ends.
    pub fn set_available(&self, available: bool) {
        self.available.send_replace(available);
    }

    /// Whether requests are answered.
    pub fn is_available(&self) -> bool {
        *self.available.borrow()
    }

    /// Whether requests are answered; wakes when that changes.
    pub(crate) fn availability(&self) -> watch::Receiver<bool> {
        self.available.subscribe()
    }

    /// How often watches were cut; wakes at each.
    pub(crate) fn cuts(&self) -> watch::Receiver<u64> {
        self.cuts.subscribe()
    }

    /// Whether a watch that is being opened is one of those to expire.
    pub(crate) fn expires(&self) -> bool {
        let less = |count: u32| count.checked_sub(1);
        self.expiries.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
    }

    /// Whether no rule is there.
    pub(crate) fn is_idle(&self) -> bool {
        self.rules().active.is_empty()
    }

    /// What befalls this request, which is counted by that.
    pub(crate) fn strike(&self, target: &Target<'_>) -> Strike {
        let mut strike = Strike::default();
        let mut rules = self.rules();
        let seed = rules.seed;
        for fault in rules.active.iter_mut().filter(|fault| fault.rule.matches(target)) {
            if fault.rule.count.is_some_and(|count| fault.struck >= count) {
                continue;
            }
            fault.matched += 1;
            // Rules of the same seed choose the same requests, so no id is mixed in.
            let (seed, id) = fault.rule.seed.map_or((seed, fault.id), |own| (own, 0));
            if chance(seed, id, fault.matched) >= fault.rule.probability {
                continue;
            }
            fault.struck += 1;
            match fault.rule.effect {
                Effect::Delay { milliseconds } => {
                    strike.delay += Duration::from_millis(milliseconds);
                }
                end => {
                    strike.end = Some(end);
                    break;
                }
            }
        }
        strike
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error that a client sees at connecting while the server is stopped.
    pub(crate) fn check(&self) -> io::Result<()> {
        if self.is_available() {
            Ok(())
        } else {
            Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                "the simulated API server is stopped",
            ))
        }
    }

    /// Waits `delay`, and then until the server answers, as a controller beside it does.
    pub(crate) async fn settle(&self, delay: Duration) {
        tokio::time::sleep(delay).await;
        // The sender lives in self, so the wait cannot fail.
        let _ = self.availability().wait_for(|available| *available).await;
    }
}

impl Rules {
    fn push(&mut self, rule: FaultRule) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.active.push(ActiveFault { id, rule, matched: 0, struck: 0 });
        id
    }

    /// Drops the rules for the same requests whose effect is of this sort.
    fn forget(&mut self, like: &FaultRule, sort: impl Fn(&Effect) -> bool) {
        self.active.retain(|fault| {
            let rule = &fault.rule;
            let same = (&rule.verbs, &rule.kinds, &rule.namespaces, &rule.names)
                == (&like.verbs, &like.kinds, &like.namespaces, &like.names);
            !(same && sort(&rule.effect))
        });
    }
}

/// A number from 0 to 1, drawn for the nth request of a rule. Each rule draws for itself, so
/// what other rules meet changes nothing.
fn chance(seed: u64, rule: u64, request: u64) -> f64 {
    let mixed = mix(mix(mix(seed) ^ rule) ^ request);
    f64::from(u32::try_from(mixed >> 32).unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
}

/// The finalizer of `SplitMix64`: neighbouring inputs give unrelated outputs.
fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::{chance, mix};

    #[test]
    fn chance_is_even_and_the_same_for_the_same_seed() {
        let draws = |seed| (1..=10_000).map(move |request| chance(seed, 7, request));
        let hits = draws(1).filter(|drawn| *drawn < 0.1).count();
        assert!((900..1100).contains(&hits), "{hits}");
        assert!(draws(1).eq(draws(1)));
        assert!(!draws(1).eq(draws(2)));
        assert!(draws(3).all(|drawn| (0.0..1.0).contains(&drawn)));
        assert_ne!(mix(0), mix(1));
    }
}
