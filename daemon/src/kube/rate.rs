//! How fast the daemon writes to its cluster.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A token bucket. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct RateLimit {
    /// None: no limit.
    bucket: Option<Arc<Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    /// How long one token takes to come.
    interval: Duration,
    /// How far ahead of its time a token may be taken: the bucket's size.
    ahead: Duration,
    /// When the next token would come if none had been saved.
    next: Mutex<Option<Instant>>,
}

impl RateLimit {
    /// No limit.
    pub const fn unlimited() -> Self {
        Self { bucket: None }
    }

    /// So many a second, and up to `burst` at once after a pause. Nothing a second
    /// counts as no limit.
    pub fn per_second(count: u32, burst: u32) -> Self {
        let Some(interval) = Duration::from_secs(1).checked_div(count) else {
            return Self::unlimited();
        };
        let ahead = interval.saturating_mul(burst.saturating_sub(1));
        Self { bucket: Some(Arc::new(Bucket { interval, ahead, next: Mutex::new(None) })) }
    }

    /// Waits for its turn.
    pub async fn take(&self) {
        if let Some(time) = self.reserve(Instant::now()) {
            tokio::time::sleep_until(time).await;
        }
    }

    /// Takes the next token and tells when it comes, unless it is there already.
    fn reserve(&self, now: Instant) -> Option<Instant> {
        let bucket = self.bucket.as_ref()?;
        let mut next = bucket.next.lock().unwrap_or_else(PoisonError::into_inner);
        // Tokens that nobody took are saved, up to the bucket's size.
        let full = now.checked_sub(bucket.ahead).unwrap_or(now);
        let time = next.map_or(full, |next| next.max(full));
        *next = Some(time + bucket.interval);
        (time > now).then_some(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let limit = RateLimit::per_second(10, 5);
        let later = limit.clone();
        // A paused clock stands at the start of the machine's time.
        tokio::time::advance(Duration::from_secs(10)).await;
        let start = Instant::now();
        for _ in 0..5 {
            limit.take().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..10 {
            later.take().await;
        }
        assert!(start.elapsed() >= Duration::from_millis(999), "{:?}", start.elapsed());
        assert!(start.elapsed() <= Duration::from_millis(1100), "{:?}", start.elapsed());
        tokio::time::advance(Duration::from_mins(1)).await;
        let rested = Instant::now();
        for _ in 0..6 {
            limit.take().await;
        }
        assert!(rested.elapsed() >= Duration::from_millis(99), "a burst and no more is saved");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nothing_waits() {
        let start = Instant::now();
        for limit in [RateLimit::unlimited(), RateLimit::per_second(0, 1)] {
            for _ in 0..1000 {
                limit.take().await;
            }
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
