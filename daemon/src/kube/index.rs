//! What the cluster holds of the daemon's objects, in short: which, in what version,
//! and whether it was as wished when it was last seen. Never a whole object.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

use super::{Kind, Object, TENANT_UID_LABEL};

/// A short sum of a wish, for telling one from another within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(pub u64);

impl Digest {
    /// The sum of anything that can be hashed.
    pub fn of(value: &impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        Self(hasher.finish())
    }

    /// The sum of a wish.
    pub fn of_json(value: &Value) -> Self {
        Self::of(&value.to_string())
    }
}

/// How a live object was when it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As the wish with this sum.
    Matched(Digest),
    /// It differs, and how.
    Drifted(Box<str>),
    /// Nobody wishes it.
    Unwished,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Box<str>,
    /// Its uid.
    pub uid: Box<str>,
    /// Its resource version.
    pub version: Box<str>,
    /// The tenant that its label names, where that is a uid.
    pub tenant: Option<Uuid>,
    /// How it was.
    pub verdict: Verdict,
    /// Whether the daemon applied it.
    pub ours: bool,
    /// Whether the cluster is deleting it.
    pub terminating: bool,
    /// Of a quota: whether the cluster counts against every limit in it.
    pub counted: bool,
    epoch: u32,
}

/// The index. Clones share it.
#[derive(Clone)]
pub struct Index {
    state: Arc<Mutex<State>>,
    synced: Arc<watch::Sender<usize>>,
}

#[derive(Default)]
struct State {
    namespaces: HashMap<Box<str>, Vec<Entry>>,
    epochs: HashMap<Kind, u32>,
    synced: Vec<Kind>,
}

impl Default for Index {
    fn default() -> Self {
        Self { state: Arc::default(), synced: Arc::new(watch::Sender::new(0)) }
    }
}

impl Index {
    /// A list of all objects of a kind begins.
    pub fn begin(&self, kind: Kind) {
        *self.lock().epochs.entry(kind).or_default() += 1;
    }

    /// The list is complete: what was not in it is gone. Returns the namespaces that
    /// lost something.
    pub fn end(&self, kind: Kind) -> Vec<Box<str>> {
        let mut state = self.lock();
        let epoch = state.epochs.get(&kind).copied().unwrap_or_default();
        let mut poorer = Vec::new();
        state.namespaces.retain(|namespace, entries| {
            let before = entries.len();
            entries.retain(|entry| entry.kind != kind || entry.epoch == epoch);
            if entries.len() < before {
                poorer.push(namespace.clone());
            }
            !entries.is_empty()
        });
        if !state.synced.contains(&kind) {
            state.synced.push(kind);
        }
        let count = state.synced.len();
        drop(state);
        self.synced.send_replace(count);
        poorer
    }

    /// Whether the objects of a kind are known.
    pub fn is_synced(&self, kind: Kind) -> bool {
        self.lock().synced.contains(&kind)
    }

    /// Waits until the objects of every kind are known, but no longer than this.
    /// Returns whether they are.
    pub async fn wait_synced(&self, limit: Duration) -> bool {
        let mut synced = self.synced.subscribe();
        let all = synced.wait_for(|count| *count == Kind::ALL.len());
        matches!(tokio::time::timeout_at(Instant::now() + limit, all).await, Ok(Ok(_)))
    }

    /// Whether the object tells anything that the index does not know. If not, it is
    /// noted as still there.
    pub fn is_news(&self, kind: Kind, object: &Object) -> bool {
        let mut state = self.lock();
        let epoch = state.epochs.get(&kind).copied().unwrap_or_default();
        let Some(entry) = state.find(kind, object.namespace(kind), object.name()) else {
            return true;
        };
        entry.epoch = epoch;
        let version = object.metadata.resource_version.as_deref().unwrap_or_default();
        is_newer(&entry.version, version)
    }

    /// Notes how an object is. Returns whether it is worth a look at its tenant: it
    /// is not as wished, or something of it is otherwise than before.
    pub fn note(&self, kind: Kind, object: &Object, verdict: Verdict, counted: bool) -> bool {
        let text = |value: &Option<String>| value.as_deref().unwrap_or_default().into();
        let mut state = self.lock();
        let new = Entry {
            kind,
            name: object.name().into(),
            uid: text(&object.metadata.uid),
            version: text(&object.metadata.resource_version),
            tenant: object.label(TENANT_UID_LABEL).and_then(|label| Uuid::try_parse(label).ok()),
            verdict,
            ours: object.is_applied_by_us(),
            terminating: object.is_terminating(),
            counted,
            epoch: state.epochs.get(&kind).copied().unwrap_or_default(),
        };
        let namespace = object.namespace(kind);
        if let Some(entry) = state.find(kind, namespace, &new.name) {
            if !is_newer(&entry.version, &new.version) {
                return false;
            }
            let worth = !matches!(new.verdict, Verdict::Matched(_))
                || entry.verdict != new.verdict
                || entry.terminating != new.terminating
                || entry.tenant != new.tenant
                || entry.counted != new.counted;
            *entry = new;
            return worth;
        }
        let worth = !matches!(new.verdict, Verdict::Matched(_)) || new.terminating;
        state.namespaces.entry(namespace.into()).or_default().push(new);
        worth
    }

    /// Notes that an object is gone. Returns whether it was known.
    pub fn remove(&self, kind: Kind, object: &Object) -> bool {
        let version = object.metadata.resource_version.as_deref().unwrap_or_default();
        let (namespace, name) = (object.namespace(kind), object.name());
        let mut state = self.lock();
        let Some(entries) = state.namespaces.get_mut(namespace) else { return false };
        let before = entries.len();
        entries.retain(|entry| {
            // One that was made anew meanwhile stays.
            entry.kind != kind
                || *entry.name != *name
                || !(*entry.version == *version || is_newer(&entry.version, version))
        });
        let removed = entries.len() < before;
        if entries.is_empty() {
            state.namespaces.remove(namespace);
        }
        removed
    }

    /// Forgets an object that turned out not to be there.
    pub fn forget(&self, kind: Kind, namespace: &str, name: &str) {
        if let Some(entries) = self.lock().namespaces.get_mut(namespace) {
            entries.retain(|entry| entry.kind != kind || *entry.name != *name);
        }
    }

    /// What is known of a namespace.
    pub fn of(&self, namespace: &str) -> Vec<Entry> {
        self.lock().namespaces.get(namespace).cloned().unwrap_or_default()
    }

    /// Every managed namespace, with the tenant that its label names.
    pub fn namespaces(&self) -> Vec<(Box<str>, Option<Uuid>)> {
        let state = self.lock();
        let of = |entries: &[Entry]| {
            entries.iter().find(|entry| entry.kind == Kind::Namespace).map(|entry| entry.tenant)
        };
        let found = state.namespaces.iter();
        found.filter_map(|(name, entries)| Some((name.clone(), of(entries)?))).collect()
    }

    /// How many objects are known.
    pub fn len(&self) -> usize {
        self.lock().namespaces.values().map(Vec::len).sum()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every critical section leaves the state whole, also when it unwinds.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(&mut self, kind: Kind, namespace: &str, name: &str) -> Option<&mut Entry> {
        let entries = self.namespaces.get_mut(namespace)?;
        entries.iter_mut().find(|entry| entry.kind == kind && *entry.name == *name)
    }
}

/// Whether `new` comes after `old`. Resource versions of one kind are numbers that
/// rise; where they are not, another one is taken for a later one.
fn is_newer(old: &str, new: &str) -> bool {
    match (old.parse::<u64>(), new.parse::<u64>()) {
        (Ok(old), Ok(new)) => new > old,
        _ => old != new,
    }
}

/// Whether the cluster counts against every limit of a quota, as it is now.
pub fn is_counted(quota: &Object) -> bool {
    let part = |first: &str, second: &str| quota.content.get(first).and_then(|it| it.get(second));
    let Some(hard) = part("spec", "hard").and_then(Value::as_object) else { return true };
    let Some(used) = part("status", "used").and_then(Value::as_object) else { return false };
    part("status", "hard").and_then(Value::as_object) == Some(hard)
        && hard.keys().all(|key| used.contains_key(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KIND: Kind = Kind::ResourceQuota;

    fn object(namespace: &str, name: &str, version: u64) -> Object {
        let metadata = json!({
            "namespace": namespace, "name": name, "uid": "u", "resourceVersion": version.to_string(),
            "labels": {TENANT_UID_LABEL: "01900000-0000-7000-8000-000000000001"},
        });
        serde_json::from_value(json!({"metadata": metadata})).unwrap()
    }

    fn matched() -> Verdict {
        Verdict::Matched(Digest(1))
    }

    #[test]
    fn an_echo_and_what_is_older_tell_nothing() {
        let index = Index::default();
        assert!(index.is_news(KIND, &object("a", "q", 5)));
        assert!(!index.note(KIND, &object("a", "q", 5), matched(), false), "new and as wished");
        assert!(!index.is_news(KIND, &object("a", "q", 5)));
        assert!(!index.is_news(KIND, &object("a", "q", 4)));
        assert!(index.is_news(KIND, &object("a", "q", 6)));
        assert!(!index.note(KIND, &object("a", "q", 4), Verdict::Unwished, false));
        assert_eq!(index.of("a")[0].verdict, matched());
    }

    #[test]
    fn what_is_otherwise_than_before_is_worth_a_look() {
        let index = Index::default();
        let drifted = || Verdict::Drifted("spec is 1".into());
        assert!(index.note(KIND, &object("a", "q", 1), drifted(), false));
        assert!(index.note(KIND, &object("a", "q", 2), drifted(), false), "still not as wished");
        assert!(index.note(KIND, &object("a", "q", 3), matched(), false));
        assert!(!index.note(KIND, &object("a", "q", 4), matched(), false));
        assert!(index.note(KIND, &object("a", "q", 5), matched(), true), "counted");
        let mut dying = object("a", "q", 6);
        dying.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
        assert!(index.note(KIND, &dying, matched(), true));
    }

    #[test]
    fn a_deletion_that_comes_late_does_not_take_the_new_object() {
        let index = Index::default();
        index.note(KIND, &object("a", "q", 9), matched(), false);
        assert!(!index.remove(KIND, &object("a", "q", 8)));
        assert!(!index.remove(KIND, &object("a", "other", 10)));
        assert!(index.remove(KIND, &object("a", "q", 10)));
        assert!(index.is_empty() && !index.remove(KIND, &object("a", "q", 10)));
    }

    #[test]
    fn a_new_list_removes_what_is_gone_and_nothing_of_another_kind() {
        let index = Index::default();
        for (namespace, name) in [("a", "q"), ("b", "q"), ("c", "q")] {
            index.note(KIND, &object(namespace, name, 1), matched(), false);
            index.note(Kind::Role, &object(namespace, name, 1), matched(), false);
        }
        index.begin(KIND);
        assert!(!index.is_news(KIND, &object("a", "q", 1)));
        index.note(KIND, &object("b", "q", 2), matched(), false);
        // Written by the daemon while the list was under way, so not in it.
        index.note(KIND, &object("d", "q", 3), matched(), false);
        assert_eq!(index.end(KIND), ["c".into()]);
        assert_eq!(index.len(), 6);
        assert!(index.is_synced(KIND) && !index.is_synced(Kind::Role));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_known_when_it_knows_every_kind() {
        let index = Index::default();
        assert!(!index.wait_synced(Duration::from_secs(1)).await);
        for kind in Kind::ALL {
            index.begin(kind);
            index.end(kind);
        }
        assert!(index.wait_synced(Duration::from_secs(1)).await);
    }

    #[test]
    fn a_quota_counts_once_its_status_has_every_key() {
        let quota = |status: Value| -> bool {
            let spec = json!({"hard": {"pods": "20", "count/x": "1"}});
            is_counted(
                &serde_json::from_value(json!({"metadata": {}, "spec": spec, "status": status}))
                    .unwrap(),
            )
        };
        let hard = json!({"pods": "20", "count/x": "1"});
        assert!(quota(json!({"hard": hard, "used": {"pods": "0", "count/x": "0"}})));
        assert!(!quota(json!({"hard": hard, "used": {"pods": "0"}})));
        assert!(!quota(json!({"hard": {"pods": "9"}, "used": {"pods": "0", "count/x": "0"}})));
        assert!(!quota(json!(null)));
    }
}
