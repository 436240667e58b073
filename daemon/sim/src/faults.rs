//! Faults that can be switched on: a server that does not answer, writes that
//! are refused or slow, watches that break off.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use tokio::sync::watch;

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
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// That often, then no more.
    Exactly(u32),
    /// Until it is cleared.
    Always,
}

/// The answer of a write that is made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 403: as an admission policy or a missing role has it.
    Forbidden,
    /// 409: as another writer at the same moment has it.
    Conflict,
    /// 422: as an object that somebody made immutable has it.
    Invalid,
    /// 429 with `Retry-After`: too many requests.
    TooManyRequests,
    /// 500: as a webhook that fails has it.
    InternalError,
    /// 503: an overloaded server.
    Unavailable,
    /// 504: as a webhook that hangs has it.
    Timeout,
}

impl Refusal {
    pub(crate) fn code(self) -> StatusCode {
        match self {
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// What befalls the writes of one object.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Strike {
    pub(crate) delay: Duration,
    pub(crate) refusal: Option<Refusal>,
}

#[derive(Debug, Default)]
struct Rules {
    refusals: HashMap<ObjectRef, (Refusal, Times)>,
    delays: HashMap<ObjectRef, Duration>,
}

/// The switches of one simulator; clones share them.
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

    /// Refuses the writes of this object, dry runs among them. A later call for the
    /// same object takes the place of an earlier one.
    pub fn refuse_writes(&self, object: ObjectRef, refusal: Refusal, times: Times) {
        self.rules().refusals.insert(object, (refusal, times));
    }

    /// Lets each write of this object wait that long before it is looked at.
    pub fn delay_writes(&self, object: ObjectRef, delay: Duration) {
        self.rules().delays.insert(object, delay);
    }

    /// Takes back what was asked for the writes of this object.
    pub fn clear(&self, object: &ObjectRef) {
        let mut rules = self.rules();
        rules.refusals.remove(object);
        rules.delays.remove(object);
    }

    /// Takes back everything that was asked for writes and watches to come.
    pub fn clear_all(&self) {
        *self.rules() = Rules::default();
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

    pub(crate) fn set_available(&self, available: bool) {
        self.available.send_replace(available);
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

    /// What befalls a write of this object, which is counted by that.
    pub(crate) fn strike(&self, plural: &str, namespace: &str, name: &str) -> Strike {
        let mut rules = self.rules();
        if rules.refusals.is_empty() && rules.delays.is_empty() {
            return Strike::default();
        }
        let object = ObjectRef::namespaced(plural, namespace, name);
        let delay = rules.delays.get(&object).copied().unwrap_or_default();
        let refusal = match rules.refusals.get_mut(&object) {
            Some((refusal, Times::Always)) => Some(*refusal),
            Some((refusal, Times::Exactly(times))) if *times > 0 => {
                *times -= 1;
                Some(*refusal)
            }
            _ => None,
        };
        Strike { delay, refusal }
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error that a client sees at connecting while the server is stopped.
    pub(crate) fn check(&self) -> io::Result<()> {
        if *self.available.borrow() {
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
