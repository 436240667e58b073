//! The objects, their revisions, and a window of history for watches and
//! consistent pages. One revision counts all writes, as etcd's does.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

use tokio::sync::watch;

use crate::{
    journal::{Journal, OpenError, Record, revision_of, revision_only},
    schema::{Object, edit},
    status::Failure,
};

/// Events kept for watches; older ones are compacted away.
const HISTORY: usize = 10_000;

/// One committed write.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) revision: u64,
    pub(crate) key: String,
    pub(crate) previous: Option<Arc<Object>>,
    pub(crate) current: Option<Arc<Object>>,
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
    objects: BTreeMap<String, Arc<Object>>,
    revision: u64,
    history: VecDeque<Arc<Event>>,
    /// Events up to here are gone.
    compacted: u64,
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
                Some(object) => {
                    state.objects.insert(record.key, Arc::new(object));
                }
                None => {
                    state.objects.remove(&record.key);
                }
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

    pub(crate) fn get(&self, key: &str) -> Option<Arc<Object>> {
        self.read().objects.get(key).cloned()
    }

    /// All objects under `prefix` in the order of their keys, and the revision
    /// that they stand at: the present one, or `at`.
    pub(crate) fn list(
        &self,
        prefix: &str,
        at: Option<u64>,
    ) -> Result<(Vec<Arc<Object>>, u64), Compacted> {
        let state = self.read();
        let mut found: BTreeMap<&str, &Arc<Object>> = state
            .objects
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, object)| (key.as_str(), object))
            .collect();
        let at = at.unwrap_or(state.revision).min(state.revision);
        if at < state.compacted {
            return Err(Compacted(state.compacted));
        }
        let later = state.history.iter().rev().take_while(|event| event.revision > at);
        for event in later.filter(|event| event.key.starts_with(prefix)) {
            match &event.previous {
                Some(previous) => found.insert(&event.key, previous),
                None => found.remove(event.key.as_str()),
            };
        }
        Ok((found.into_values().cloned().collect(), at))
    }

    /// The events after `revision`, and the revision that they reach.
    pub(crate) fn events_after(&self, revision: u64) -> Result<(Vec<Arc<Event>>, u64), Compacted> {
        let state = self.read();
        if revision < state.compacted {
            return Err(Compacted(state.compacted));
        }
        let start = state.history.partition_point(|event| event.revision <= revision);
        Ok((state.history.range(start..).cloned().collect(), state.revision))
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
        let (current, mut answer) = match decide(previous.as_deref())? {
            Decision::Answer(object) => return Ok(object),
            Decision::Put(mut object) => {
                stamp(&mut object, revision);
                (Some(Arc::new(object.clone())), object)
            }
            Decision::Remove(object) => (None, object),
        };
        if let Some(journal) = journal.as_mut() {
            let record =
                Record { revision, key: key.to_owned(), object: current.as_deref().cloned() };
            journal.append(&record).map_err(|error| {
                Failure::internal(format!("the simulator cannot write its data: {error}"))
            })?;
        }
        stamp(&mut answer, revision);
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
                Some(object) => state.objects.insert(event.key.clone(), Arc::clone(object)),
                None => state.objects.remove(&event.key),
            };
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
                    revision: revision_of(object),
                    key: key.clone(),
                    object: Some(Object::clone(object)),
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
