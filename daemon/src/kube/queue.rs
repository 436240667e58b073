//! A work queue of keys: one worker at a time on a key, many keys at once, a key
//! that is added while it waits or is worked on is worked on once more, not twice.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// The queue. Cheap to clone; all clones are one queue.
pub struct WorkQueue<K> {
    shared: Arc<Shared<K>>,
}

impl<K> Clone for WorkQueue<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

struct Shared<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

struct State<K> {
    /// When each waiting key is due, and the same by time.
    due: HashMap<K, Instant>,
    by_time: BTreeSet<(Instant, K)>,
    working: HashSet<K>,
    failures: HashMap<K, u32>,
}

impl<K: Clone + Eq + Hash + Ord> Default for WorkQueue<K> {
    fn default() -> Self {
        let state = State {
            due: HashMap::new(),
            by_time: BTreeSet::new(),
            working: HashSet::new(),
            failures: HashMap::new(),
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() }) }
    }
}

impl<K: Clone + Eq + Hash + Ord> WorkQueue<K> {
    /// Adds a key that is due now.
    pub fn add(&self, key: K) {
        self.add_after(key, Duration::ZERO);
    }

    /// Adds a key that is due after a while. A key that waits already is due at the
    /// earlier of the two times.
    pub fn add_after(&self, key: K, delay: Duration) {
        self.lock().schedule(key, Instant::now() + delay);
        self.shared.changed.notify_one();
    }

    /// The next due key. It is the caller's until [`done`](Self::done),
    /// [`failed`](Self::failed) or [`again`](Self::again) is called with it.
    pub async fn next(&self) -> K {
        loop {
            let changed = self.shared.changed.notified();
            let next_due = {
                let mut state = self.lock();
                if let Some(key) = state.take_due(Instant::now()) {
                    // Another key may be due as well; wake the next worker for it.
                    self.shared.changed.notify_one();
                    return key;
                }
                state.next_time()
            };
            match next_due {
                Some(time) => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep_until(time) => {}
                    }
                }
                None => changed.await,
            }
        }
    }

    /// The work on the key succeeded.
    pub fn done(&self, key: &K) {
        let mut state = self.lock();
        state.failures.remove(key);
        state.working.remove(key);
        drop(state);
        self.shared.changed.notify_one();
    }

    /// The work on the key succeeded; look at it again after a while.
    pub fn again(&self, key: K, delay: Duration) {
        self.done(&key);
        self.add_after(key, delay);
    }

    /// The work on the key failed: it is due again after a backoff that doubles
    /// with each failure in a row, up to half a minute. `jitter` in 0..=1000
    /// stretches it by up to a half, so that keys that failed together do not come
    /// back together.
    pub fn failed(&self, key: K, jitter: u32) -> Duration {
        let mut state = self.lock();
        state.working.remove(&key);
        let count = state.failures.entry(key.clone()).or_insert(0);
        *count = count.saturating_add(1);
        let doubled = FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(count.saturating_sub(1)));
        let base = doubled.min(LONGEST_BACKOFF);
        let delay = base + base.saturating_mul(jitter.min(1000)) / 2000;
        state.schedule(key, Instant::now() + delay);
        drop(state);
        self.shared.changed.notify_one();
        delay
    }

    /// How many keys wait or are worked on.
    pub fn len(&self) -> usize {
        let state = self.lock();
        state.due.len() + state.working.len()
    }

    /// Whether nothing waits and nothing is worked on.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // Every critical section leaves the state whole, also when it unwinds.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash + Ord> State<K> {
    fn schedule(&mut self, key: K, time: Instant) {
        if let Some(&already) = self.due.get(&key) {
            if already <= time {
                return;
            }
            self.unschedule(&key, already);
        }
        self.due.insert(key.clone(), time);
        self.by_time.insert((time, key));
    }

    fn unschedule(&mut self, key: &K, time: Instant) {
        self.due.remove(key);
        self.by_time.remove(&(time, key.clone()));
    }

    /// A key that is being worked on waits until the work is over.
    fn take_due(&mut self, now: Instant) -> Option<K> {
        let mut due = self.by_time.iter().take_while(|(time, _)| *time <= now);
        let (time, key) = due.find(|(_, key)| !self.working.contains(key))?.clone();
        self.unschedule(&key, time);
        self.working.insert(key.clone());
        Some(key)
    }

    fn next_time(&self) -> Option<Instant> {
        let next = self.by_time.iter().find(|(_, key)| !self.working.contains(key));
        next.map(|(time, _)| *time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_added_while_worked_on_comes_once_more_and_not_meanwhile() {
        let queue = WorkQueue::default();
        queue.add("a");
        queue.add("a");
        assert_eq!(queue.next().await, "a");
        queue.add("a");
        queue.add("b");
        assert_eq!(queue.next().await, "b", "a is being worked on");
        let waiting = tokio::time::timeout(Duration::from_mins(1), queue.next()).await;
        assert!(waiting.is_err(), "nothing else is due while a is worked on");
        queue.done(&"a");
        assert_eq!(queue.next().await, "a");
        queue.done(&"a");
        queue.done(&"b");
        assert!(queue.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn backoff_doubles_is_capped_and_ends_with_success() {
        let queue = WorkQueue::default();
        let mut delays = Vec::new();
        for _ in 0..12 {
            queue.add(1);
            queue.next().await;
            delays.push(queue.failed(1, 0));
            queue.next().await;
            queue.lock().working.clear();
        }
        assert_eq!(delays[0], FIRST_BACKOFF);
        assert_eq!(delays[1], FIRST_BACKOFF * 2);
        assert_eq!(delays[11], LONGEST_BACKOFF);
        queue.done(&1);
        queue.add(1);
        queue.next().await;
        assert_eq!(queue.failed(1, 0), FIRST_BACKOFF);
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_time_wins() {
        let queue = WorkQueue::default();
        let start = Instant::now();
        queue.add_after("a", Duration::from_mins(1));
        queue.add_after("a", Duration::from_secs(5));
        queue.add_after("a", Duration::from_secs(90));
        assert_eq!(queue.next().await, "a");
        assert_eq!(start.elapsed().as_secs(), 5);
    }
}
