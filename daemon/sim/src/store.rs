//! The objects, their revisions, and a window of history for watches and
//! consistent pages. One revision counts all writes, as etcd's does.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

use tokio::sync::watch;

use serde_json::Value;

use crate::{
    collector,
    journal::{Journal, OpenError, Record, revision_of, revision_only},
    schema::{Object, edit, metadata, metadata_text},
    status::Failure,
    validation,
};

/// Events kept for watches; older ones are compacted away.
const HISTORY: usize = 50_000;

/// An object as it is kept: its JSON, which takes a fraction of the memory of a
/// tree, and what selections look at.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) revision: u64,
    pub(crate) name: Box<str>,
    pub(crate) namespace: Box<str>,
    labels: Box<[(Box<str>, Box<str>)]>,
    /// The uids of the objects that it belongs to.
    pub(crate) owners: Box<[Box<str>]>,
    pub(crate) uid: Box<str>,
    /// It is being deleted, and a controller's finalizer holds it.
    pub(crate) is_held: bool,
    /// Without `kind` and `apiVersion`, which the path tells.
    json: Box<str>,
}

impl Stored {
    fn new(mut object: Object) -> Self {
        object.remove("kind");
        object.remove("apiVersion");
        let labels = metadata(&object)
            .and_then(|metadata| metadata.get("labels"))
            .and_then(Value::as_object);
        let labels = labels
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.as_str().into(), value.as_str().unwrap_or_default().into()));
        let owners = metadata(&object)
            .and_then(|metadata| metadata.get("ownerReferences"))
            .and_then(Value::as_array);
        let owners = owners.into_iter().flatten();
        let owners = owners.filter_map(|owner| Some(owner.get("uid")?.as_str()?.into()));
        let is_ending = !metadata_text(&object, "deletionTimestamp").is_empty();
        Self {
            owners: owners.collect(),
            uid: metadata_text(&object, "uid").into(),
            is_held: is_ending && validation::finalizers(&object).any(collector::removes),
            revision: revision_of(&object),
            name: metadata_text(&object, "name").into(),
            namespace: metadata_text(&object, "namespace").into(),
            labels: labels.collect(),
            json: serde_json::to_string(&object).unwrap_or_default().into(),
        }
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(name, _)| **name == *key).map(|(_, value)| &**value)
    }

    /// The object as a tree.
    pub(crate) fn object(&self) -> Object {
        serde_json::from_str(&self.json).unwrap_or_default()
    }

    /// The object's JSON, without `kind` and `apiVersion`.
    pub(crate) fn json(&self) -> &str {
        &self.json
    }
}

/// One page of a list.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) objects: Vec<Arc<Stored>>,
    pub(crate) revision: u64,
    /// How many objects follow the page.
    pub(crate) remaining: usize,
    /// The key that the page ends with.
    pub(crate) last: String,
}

/// One committed write.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) revision: u64,
    pub(crate) key: String,
    pub(crate) previous: Option<Arc<Stored>>,
    pub(crate) current: Option<Arc<Stored>>,
}

/// What a write decides after it has seen the present object.
pub(crate) enum Decision {
    /// Answer with this and write nothing.
    Answer(Object),
    /// Store this under the next revision.
    Put(Object),
    /// Remove the object; answer with this.
    Remove(Object),
}

/// History before this revision is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compacted(pub(crate) u64);

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Arc<Stored>>,
    revision: u64,
    history: VecDeque<Arc<Event>>,
    /// Events up to here are gone.
    compacted: u64,
    /// The keys of what belongs to an object, by its uid.
    dependents: HashMap<Box<str>, BTreeSet<String>>,
    /// The keys of what is being deleted and held by a controller's finalizer.
    held: BTreeSet<String>,
}

impl State {
    fn put(&mut self, key: String, object: Arc<Stored>) {
        self.remove(&key);
        for owner in &object.owners {
            self.dependents.entry(owner.clone()).or_default().insert(key.clone());
        }
        if object.is_held {
            self.held.insert(key.clone());
        }
        self.objects.insert(key, object);
    }

    fn remove(&mut self, key: &str) {
        let Some(old) = self.objects.remove(key) else {
            return;
        };
        self.held.remove(key);
        for owner in &old.owners {
            if let Some(keys) = self.dependents.get_mut(owner) {
                keys.remove(key);
                if keys.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }
}

/// Shared by all requests. Writers queue behind one lock that they hold while
/// the disk is flushed; readers never wait for the disk.
#[derive(Debug)]
pub(crate) struct Store {
    writer: Mutex<Option<Journal>>,
    state: RwLock<State>,
    revisions: watch::Sender<u64>,
    persistent: bool,
}

impl Store {
    pub(crate) fn in_memory() -> Self {
        Self::new(None, State::default())
    }

    pub(crate) fn open(folder: &Path) -> Result<Self, OpenError> {
        let (journal, records) = Journal::open(folder)?;
        let mut state = State::default();
        for record in records {
            state.revision = state.revision.max(record.revision);
            match record.object {
                _ if record.key.is_empty() => {}
                Some(object) => state.put(record.key, Arc::new(Stored::new(object))),
                None => state.remove(&record.key),
            }
        }
        state.compacted = state.revision;
        Ok(Self::new(Some(journal), state))
    }

    fn new(journal: Option<Journal>, state: State) -> Self {
        let (revisions, _) = watch::channel(state.revision);
        Self {
            persistent: journal.is_some(),
            writer: Mutex::new(journal),
            state: RwLock::new(state),
            revisions,
        }
    }

    /// Whether a write waits for a disk.
    pub(crate) fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// Wakes at each committed write with its revision.
    pub(crate) fn revisions(&self) -> watch::Receiver<u64> {
        self.revisions.subscribe()
    }

    pub(crate) fn revision(&self) -> u64 {
        self.read().revision
    }

    pub(crate) fn get(&self, key: &str) -> Option<Arc<Stored>> {
        self.read().objects.get(key).cloned()
    }

    /// The keys of what belongs to the object with this uid.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<String> {
        self.read().dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    /// The keys of what is being deleted and held by a controller.
    pub(crate) fn held(&self) -> Vec<String> {
        self.read().held.iter().cloned().collect()
    }

    /// The keys of what belongs to others, or is being deleted and held by a controller.
    pub(crate) fn entangled(&self) -> Vec<String> {
        let state = self.read();
        let all = state.objects.iter();
        let those = all.filter(|(_, object)| object.is_held || !object.owners.is_empty());
        those.map(|(key, _)| key.clone()).collect()
    }

    /// All objects under `prefix` as they are now.
    pub(crate) fn all(&self, prefix: &str) -> Vec<Arc<Stored>> {
        let state = self.read();
        let range = state.objects.range(prefix.to_owned()..);
        range
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// Those objects under `prefix` that `fits` and that come after the key
    /// `after`, in the order of their keys, at most `limit`; and the revision that
    /// they stand at: the present one, or `at`.
    pub(crate) fn list(
        &self,
        prefix: &str,
        after: &str,
        at: Option<u64>,
        limit: usize,
        fits: impl Fn(&Stored) -> bool,
    ) -> Result<Page, Compacted> {
        let state = self.read();
        let at = at.unwrap_or(state.revision).min(state.revision);
        if at < state.compacted {
            return Err(Compacted(state.compacted));
        }
        // What has changed since, as it was then.
        let mut then: BTreeMap<&str, Option<&Arc<Stored>>> = BTreeMap::new();
        let later = state.history.iter().rev().take_while(|event| event.revision > at);
        for event in later.filter(|event| event.key.starts_with(prefix)) {
            then.insert(&event.key, event.previous.as_ref());
        }
        let start = if after.is_empty() { prefix } else { after };
        let now = state
            .objects
            .range(start.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, object)| (key.as_str(), object))
            .filter(|(key, _)| !then.contains_key(key));
        let mut page = Page { revision: at, ..Page::default() };
        let mut take = |key: &str, object: &Arc<Stored>| {
            if (after.is_empty() || key > after) && fits(object) {
                if page.objects.len() < limit {
                    page.objects.push(Arc::clone(object));
                    key.clone_into(&mut page.last);
                } else {
                    page.remaining += 1;
                }
            }
        };
        let mut old = then.iter().filter_map(|(key, object)| Some((*key, (*object)?))).peekable();
        for (key, object) in now {
            while let Some((key, object)) = old.next_if(|(old, _)| *old < key) {
                take(key, object);
            }
            take(key, object);
        }
        for (key, object) in old {
            take(key, object);
        }
        Ok(page)
    }

    /// The events after `revision` under `prefix`, and the revision that they reach.
    pub(crate) fn events_after(
        &self,
        prefix: &str,
        revision: u64,
    ) -> Result<(Vec<Arc<Event>>, u64), Compacted> {
        let state = self.read();
        if revision < state.compacted {
            return Err(Compacted(state.compacted));
        }
        let start = state.history.partition_point(|event| event.revision <= revision);
        let events = state.history.range(start..).filter(|event| event.key.starts_with(prefix));
        Ok((events.cloned().collect(), state.revision))
    }

    /// Forgets all history: watches and pages that reach back are told so.
    pub(crate) fn compact(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.history.clear();
        state.compacted = state.revision;
    }

    /// One write, alone among writes: `decide` sees the present object.
    pub(crate) fn commit(
        &self,
        key: &str,
        decide: impl FnOnce(Option<&Object>) -> Result<Decision, Failure>,
    ) -> Result<Object, Failure> {
        let mut journal = self.lock();
        let (previous, revision) = {
            let state = self.read();
            (state.objects.get(key).cloned(), state.revision + 1)
        };
        let present = previous.as_deref().map(Stored::object);
        let (is_kept, mut answer) = match decide(present.as_ref())? {
            Decision::Answer(object) => return Ok(object),
            Decision::Put(object) => (true, object),
            Decision::Remove(object) => (false, object),
        };
        stamp(&mut answer, revision);
        let current = is_kept.then(|| Arc::new(Stored::new(answer.clone())));
        if let Some(journal) = journal.as_mut() {
            let object = current.is_some().then(|| answer.clone());
            let record = Record { revision, key: key.to_owned(), object };
            journal.append(&record).map_err(|error| {
                Failure::internal(format!("the simulator cannot write its data: {error}"))
            })?;
        }
        self.publish(Event { revision, key: key.to_owned(), previous, current });
        if let Some(journal) = journal.as_mut() {
            self.rewrite_if_stale(journal);
        }
        Ok(answer)
    }

    fn publish(&self, event: Event) {
        let revision = event.revision;
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            match &event.current {
                Some(object) => state.put(event.key.clone(), Arc::clone(object)),
                None => state.remove(&event.key),
            }
            state.revision = revision;
            state.history.push_back(Arc::new(event));
            if state.history.len() > HISTORY
                && let Some(oldest) = state.history.pop_front()
            {
                state.compacted = oldest.revision;
            }
        }
        self.revisions.send_replace(revision);
    }

    fn rewrite_if_stale(&self, journal: &mut Journal) {
        let records = {
            let state = self.read();
            if !journal.wants_rewrite(state.objects.len()) {
                return;
            }
            let mut records: Vec<Record> = state
                .objects
                .iter()
                .map(|(key, object)| Record {
                    revision: object.revision,
                    key: key.clone(),
                    object: Some(object.object()),
                })
                .collect();
            records.push(revision_only(state.revision));
            records
        };
        if let Err(error) = journal.rewrite(&records) {
            tracing::warn!(%error, "cannot shorten the simulator's data; the longer file stays valid");
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Journal>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the revision into the object.
pub(crate) fn stamp(object: &mut Object, revision: u64) {
    edit(object, "metadata", |metadata| {
        metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
    });
}
