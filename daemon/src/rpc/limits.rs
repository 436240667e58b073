//! Limits that keep one peer from starving the rest.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How many connections, and how long a handshake may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// The most open connections, handshakes included.
    pub connections: usize,
    /// The most open connections of one peer address.
    pub connections_per_peer: usize,
    /// The most handshakes at a time.
    pub handshakes: usize,
    /// How long a handshake may take.
    pub handshake_time: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_peer: 256,
            handshakes: 128,
            handshake_time: Duration::from_secs(5),
        }
    }
}

/// The address that limits count by. A host of IPv6 chooses freely within its /64,
/// so that is one peer.
pub fn peer_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Counts what each peer holds at the moment.
#[derive(Debug)]
pub struct PeerSlots {
    limit: usize,
    total: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    by_peer: HashMap<IpAddr, usize>,
}

/// One held slot; it is free again when this is dropped.
#[derive(Debug)]
pub struct PeerSlot {
    slots: Arc<PeerSlots>,
    key: IpAddr,
}

impl PeerSlots {
    /// At most `limit` for a peer and `total` together.
    pub fn new(limit: usize, total: usize) -> Arc<Self> {
        Arc::new(Self { limit, total, held: Mutex::default() })
    }

    /// Takes a slot, unless the peer or all together have their fill.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Option<PeerSlot> {
        let key = peer_key(address);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.all >= self.total || held.by_peer.get(&key).is_some_and(|n| *n >= self.limit) {
            return None;
        }
        held.all += 1;
        *held.by_peer.entry(key).or_default() += 1;
        Some(PeerSlot { slots: Arc::clone(self), key })
    }
}

impl Drop for PeerSlot {
    fn drop(&mut self) {
        let mut held = self.slots.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.all = held.all.saturating_sub(1);
        if let Some(count) = held.by_peer.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.by_peer.remove(&self.key);
            }
        }
    }
}

/// So many events within a window, for each key. The memory is bounded: keys whose
/// window is over are forgotten.
#[derive(Debug)]
pub struct RateLimit<K> {
    limit: u32,
    window: Duration,
    windows: Mutex<HashMap<K, (Instant, u32)>>,
}

/// Beyond this many keys, those of past windows are swept out.
const KEYS: usize = 1024;

impl<K: Eq + Hash> RateLimit<K> {
    /// At most `limit` events of a key within `window`.
    pub fn new(limit: u32, window: Duration) -> Self {
        Self { limit, window, windows: Mutex::default() }
    }

    /// Whether the key has used up its window.
    pub fn is_exhausted(&self, key: &K, now: Instant) -> bool {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.get(key).is_some_and(|(start, count)| {
            now.saturating_duration_since(*start) < self.window && *count >= self.limit
        })
    }

    /// Counts one event; `true` while it is within the limit.
    pub fn count(&self, key: K, now: Instant) -> bool {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= KEYS {
            windows.retain(|_, (start, _)| now.saturating_duration_since(*start) < self.window);
        }
        let (start, count) = windows.entry(key).or_insert((now, 0));
        if now.saturating_duration_since(*start) >= self.window {
            (*start, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_has_its_fill_does_not_take_from_another() {
        let slots = PeerSlots::new(2, 3);
        let greedy: IpAddr = "192.0.2.1".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        let other: IpAddr = "192.0.2.2".parse().unwrap();
        let first = slots.take(greedy).unwrap();
        let _second = slots.take(mapped).unwrap();
        assert!(slots.take(greedy).is_none(), "the third of one peer");
        let _third = slots.take(other).unwrap();
        assert!(slots.take(other).is_none(), "the fourth of all");
        drop(first);
        assert!(slots.take(greedy).is_some(), "a freed slot");
    }

    #[test]
    fn a_host_with_many_addresses_is_one_peer() {
        let slots = PeerSlots::new(1, 9);
        let _one = slots.take("2001:db8:1:2::a".parse().unwrap()).unwrap();
        assert!(slots.take("2001:db8:1:2:ffff::b".parse().unwrap()).is_none());
        assert!(slots.take("2001:db8:1:3::a".parse().unwrap()).is_some());
    }

    #[test]
    fn a_window_that_is_over_begins_anew() {
        let limit = RateLimit::new(2, Duration::from_secs(1));
        let start = Instant::now();
        assert!(limit.count("a", start));
        assert!(limit.count("a", start));
        assert!(limit.is_exhausted(&"a", start));
        assert!(!limit.count("a", start));
        assert!(limit.count("b", start));
        let later = start + Duration::from_secs(1);
        assert!(!limit.is_exhausted(&"a", later));
        assert!(limit.count("a", later));
    }
}
