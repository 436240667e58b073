//! What the leader knows of sessions and all that belongs to them, in short. Of an object
//! that the daemon makes it holds the content only until that was compared with a wish.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{
    kept::{KeptSession, Which},
    read::{Child, Home, SeenPod, Session, TemplateSeen},
};
use crate::sessions::manifests::SessionKind;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) namespace: Box<str>,
    pub(super) name: Box<str>,
}

impl Key {
    pub(super) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Watched {
    Sessions,
    Templates,
    Children(SessionKind),
    Pods,
    Homes,
}

impl Watched {
    pub(super) const ALL: [Self; 8] = [
        Self::Sessions,
        Self::Templates,
        Self::Children(SessionKind::Deployment),
        Self::Children(SessionKind::Service),
        Self::Children(SessionKind::Ingress),
        Self::Children(SessionKind::Autoscaler),
        Self::Pods,
        Self::Homes,
    ];

    /// What must be known before it is listed.
    pub(super) fn follows(self) -> &'static [Self] {
        match self {
            Self::Children(_) => &[Self::Sessions, Self::Templates],
            Self::Sessions | Self::Templates | Self::Pods | Self::Homes => &[],
        }
    }
}

/// Something, and the list that it was last seen in.
struct Noted<T> {
    value: T,
    version: Box<str>,
    epoch: u32,
}

#[derive(Default)]
struct State {
    sessions: BTreeMap<Key, Noted<Arc<KeptSession>>>,
    templates: BTreeMap<Key, Noted<Arc<TemplateSeen>>>,
    homes: BTreeMap<Key, Noted<Home>>,
    /// By session.
    children: BTreeMap<Key, Vec<Noted<Child>>>,
    pods: BTreeMap<Key, Vec<Noted<SeenPod>>>,
    epochs: HashMap<Watched, u32>,
    synced: Vec<Watched>,
}

/// The cache. Clones share it.
#[derive(Clone)]
pub(super) struct Cache {
    state: Arc<Mutex<State>>,
    synced: Arc<watch::Sender<usize>>,
}

impl Default for Cache {
    fn default() -> Self {
        Self { state: Arc::default(), synced: Arc::new(watch::Sender::new(0)) }
    }
}

impl Cache {
    /// A list of all that there is begins.
    pub(super) fn begin(&self, watched: Watched) {
        *self.lock().epochs.entry(watched).or_default() += 1;
    }

    /// The list is complete: what was not in it is gone. Returns whose that was.
    pub(super) fn end(&self, watched: Watched) -> Vec<Key> {
        let mut state = self.lock();
        let epoch = state.epoch(watched);
        let gone = match watched {
            Watched::Sessions => retain(&mut state.sessions, epoch),
            Watched::Templates => retain(&mut state.templates, epoch),
            Watched::Homes => retain(&mut state.homes, epoch),
            Watched::Pods => retain_lists(&mut state.pods, |noted| noted.epoch == epoch),
            Watched::Children(kind) => retain_lists(&mut state.children, |noted| {
                noted.value.kind != kind || noted.epoch == epoch
            }),
        };
        if !state.synced.contains(&watched) {
            state.synced.push(watched);
        }
        let count = state.synced.len();
        drop(state);
        self.synced.send_replace(count);
        gone
    }

    /// Waits until these are listed.
    pub(super) async fn wait_for(&self, wanted: &[Watched]) {
        let mut synced = self.synced.subscribe();
        let is_known = |_: &usize| {
            let known = &self.lock().synced;
            wanted.iter().all(|one| known.contains(one))
        };
        // An error: nobody lists any more.
        let _ended = synced.wait_for(is_known).await;
    }

    /// Waits until everything is listed, but no longer than this. Returns what is not.
    pub(super) async fn wait_synced(&self, limit: Duration) -> Vec<Watched> {
        let mut synced = self.synced.subscribe();
        let all = synced.wait_for(|count| *count == Watched::ALL.len());
        let _elapsed = tokio::time::timeout_at(Instant::now() + limit, all).await;
        let known = self.lock().synced.clone();
        Watched::ALL.into_iter().filter(|watched| !known.contains(watched)).collect()
    }

    /// Notes a session. Returns whether it tells anything new.
    pub(super) fn saw_session(&self, key: Key, version: &str, session: KeptSession) -> bool {
        let mut state = self.lock();
        let epoch = state.epoch(Watched::Sessions);
        put(&mut state.sessions, key, version, epoch, Arc::new(session))
    }

    pub(super) fn saw_template(&self, key: Key, version: &str, template: TemplateSeen) -> bool {
        let mut state = self.lock();
        let epoch = state.epoch(Watched::Templates);
        put(&mut state.templates, key, version, epoch, Arc::new(template))
    }

    pub(super) fn saw_home(&self, key: Key, version: &str, home: Home) -> bool {
        let mut state = self.lock();
        let epoch = state.epoch(Watched::Homes);
        put(&mut state.homes, key, version, epoch, home)
    }

    /// Notes a pod of a session. Returns whether it is otherwise than before.
    pub(super) fn saw_pod(&self, session: Key, version: &str, pod: SeenPod) -> bool {
        let mut state = self.lock();
        let epoch = state.epoch(Watched::Pods);
        let pods = state.pods.entry(session).or_default();
        let Some(noted) = pods.iter_mut().find(|noted| noted.value.name == pod.name) else {
            // There is seldom another, and there are many sessions.
            pods.reserve_exact(1);
            pods.push(Noted { value: pod, version: version.into(), epoch });
            return true;
        };
        noted.epoch = epoch;
        if !is_newer(&noted.version, version) {
            return false;
        }
        noted.version = version.into();
        let differs = noted.value != pod;
        noted.value = pod;
        differs
    }

    /// Notes an object that was made of a session. What is known of its content stays
    /// known while that is the same. Returns whether it is otherwise than before.
    pub(super) fn saw_child(&self, session: Key, version: &str, mut child: Child) -> bool {
        let mut state = self.lock();
        let epoch = state.epoch(Watched::Children(child.kind));
        let children = state.children.entry(session).or_default();
        let same = |noted: &&mut Noted<Child>| {
            noted.value.kind == child.kind && noted.value.name == child.name
        };
        let Some(noted) = children.iter_mut().find(same) else {
            children.reserve_exact(1);
            children.push(Noted { value: child, version: version.into(), epoch });
            return true;
        };
        noted.epoch = epoch;
        if !is_newer(&noted.version, version) {
            return false;
        }
        noted.version = version.into();
        if noted.value.uid == child.uid
            && noted.value.substance == child.substance
            && child.matched.is_none()
        {
            child.matched = noted.value.matched.take();
            child.live = noted.value.live.take();
        }
        let differs = noted.value.is_otherwise_than(&child);
        noted.value = child;
        differs
    }

    /// Whether an object is known as it is.
    pub(super) fn knows(&self, session: &Key, child: &Child) -> bool {
        let state = self.lock();
        let mut children = state.children.get(session).into_iter().flatten();
        children.any(|noted| {
            noted.value.kind == child.kind
                && noted.value.uid == child.uid
                && noted.value.substance == child.substance
        })
    }

    /// Notes that a child's content, as it was seen, is that of a wish.
    pub(super) fn settle(&self, session: &Key, child: &Child, wish: u64) {
        let mut state = self.lock();
        let children = state.children.get_mut(session);
        let found = children.into_iter().flatten().find(|noted| {
            noted.value.kind == child.kind
                && noted.value.name == child.name
                && noted.value.uid == child.uid
                && noted.value.substance == child.substance
        });
        if let Some(noted) = found {
            noted.value.matched = Some(wish);
            noted.value.live = None;
        }
    }

    /// Notes that something is gone. A later one of its name stays.
    pub(super) fn lost(&self, watched: Watched, session: &Key, name: &str, version: &str) -> bool {
        let mut state = self.lock();
        match watched {
            Watched::Sessions => take(&mut state.sessions, session, version),
            Watched::Templates => take(&mut state.templates, session, version),
            Watched::Homes => take(&mut state.homes, session, version),
            Watched::Pods => take_from(&mut state.pods, session, |noted| {
                *noted.value.name == *name && !is_newer(version, &noted.version)
            }),
            Watched::Children(kind) => take_from(&mut state.children, session, |noted| {
                noted.value.kind == kind
                    && *noted.value.name == *name
                    && !is_newer(version, &noted.version)
            }),
        }
    }

    /// Forgets a child that turned out not to be there, or was just deleted.
    pub(super) fn forget_child(&self, session: &Key, child: &Child) {
        take_from(&mut self.lock().children, session, |noted| {
            noted.value.kind == child.kind && noted.value.uid == child.uid
        });
    }

    pub(super) fn session(&self, key: &Key) -> Option<Session> {
        let (session, version) = {
            let state = self.lock();
            let noted = state.sessions.get(key)?;
            (Arc::clone(&noted.value), noted.version.clone())
        };
        session.read(&version)
    }

    pub(super) fn template(&self, key: &Key) -> Option<Arc<TemplateSeen>> {
        self.lock().templates.get(key).map(|noted| Arc::clone(&noted.value))
    }

    pub(super) fn home(&self, key: &Key) -> Option<Home> {
        self.lock().homes.get(key).map(|noted| noted.value.clone())
    }

    /// What was made of a session, with each one's resource version.
    pub(super) fn children(&self, session: &Key) -> Vec<(Child, Box<str>)> {
        let state = self.lock();
        let children = state.children.get(session).into_iter().flatten();
        children.map(|noted| (noted.value.clone(), noted.version.clone())).collect()
    }

    pub(super) fn pods(&self, session: &Key) -> Vec<SeenPod> {
        let state = self.lock();
        let pods = state.pods.get(session).into_iter().flatten();
        pods.map(|noted| noted.value.clone()).collect()
    }

    /// The pods of a user's sessions in a namespace that have the home mounted.
    pub(super) fn home_pods(&self, namespace: &str, user: &str) -> Vec<SeenPod> {
        let state = self.lock();
        within(&state.pods, namespace)
            .flat_map(|(_, pods)| pods)
            .map(|noted| &noted.value)
            .filter(|pod| pod.home_mounted && &*pod.user == user)
            .cloned()
            .collect()
    }

    /// These sessions of a namespace, or of all.
    pub(super) fn sessions(&self, namespace: Option<&str>, which: Which<'_>) -> Vec<Key> {
        let state = self.lock();
        let keys = |(key, noted): (&Key, &Noted<Arc<KeptSession>>)| {
            noted.value.is(which).then(|| key.clone())
        };
        match namespace {
            Some(namespace) => within(&state.sessions, namespace).filter_map(keys).collect(),
            None => state.sessions.iter().filter_map(keys).collect(),
        }
    }

    /// The names of the templates of a namespace, or of all.
    pub(super) fn templates_of(&self, namespace: Option<&str>) -> Vec<Key> {
        let state = self.lock();
        match namespace {
            Some(namespace) => {
                within(&state.templates, namespace).map(|(key, _)| key.clone()).collect()
            }
            None => state.templates.keys().cloned().collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every critical section leaves the state whole, also when it unwinds.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn epoch(&self, watched: Watched) -> u32 {
        self.epochs.get(&watched).copied().unwrap_or_default()
    }
}

fn within<'a, T>(
    map: &'a BTreeMap<Key, T>,
    namespace: &'a str,
) -> impl Iterator<Item = (&'a Key, &'a T)> {
    map.range(Key::new(namespace, "")..).take_while(move |(key, _)| &*key.namespace == namespace)
}

fn put<T: PartialEq>(
    map: &mut BTreeMap<Key, Noted<T>>,
    key: Key,
    version: &str,
    epoch: u32,
    value: T,
) -> bool {
    let Some(noted) = map.get_mut(&key) else {
        map.insert(key, Noted { value, version: version.into(), epoch });
        return true;
    };
    noted.epoch = epoch;
    if !is_newer(&noted.version, version) {
        return false;
    }
    noted.version = version.into();
    let differs = noted.value != value;
    noted.value = value;
    differs
}

fn take<T>(map: &mut BTreeMap<Key, Noted<T>>, key: &Key, version: &str) -> bool {
    let is_it = map.get(key).is_some_and(|noted| !is_newer(version, &noted.version));
    is_it && map.remove(key).is_some()
}

fn take_from<T>(
    map: &mut BTreeMap<Key, Vec<Noted<T>>>,
    key: &Key,
    is_it: impl Fn(&Noted<T>) -> bool,
) -> bool {
    let Some(list) = map.get_mut(key) else { return false };
    let before = list.len();
    list.retain(|noted| !is_it(noted));
    let taken = list.len() < before;
    if list.is_empty() {
        map.remove(key);
    }
    taken
}

fn retain<T>(map: &mut BTreeMap<Key, Noted<T>>, epoch: u32) -> Vec<Key> {
    let gone: Vec<Key> =
        map.iter().filter(|(_, noted)| noted.epoch != epoch).map(|(key, _)| key.clone()).collect();
    map.retain(|_, noted| noted.epoch == epoch);
    gone
}

fn retain_lists<T>(
    map: &mut BTreeMap<Key, Vec<Noted<T>>>,
    stays: impl Fn(&Noted<T>) -> bool,
) -> Vec<Key> {
    let mut poorer = Vec::new();
    map.retain(|key, list| {
        let before = list.len();
        list.retain(&stays);
        if list.len() < before {
            poorer.push(key.clone());
        }
        !list.is_empty()
    });
    poorer
}

/// Whether `new` comes after `old`. Resource versions are numbers that rise; where they
/// are not, another one is taken for a later one.
fn is_newer(old: &str, new: &str) -> bool {
    match (old.parse::<u64>(), new.parse::<u64>()) {
        (Ok(old), Ok(new)) => new > old,
        _ => old != new,
    }
}
