//! Waiting for a condition, never for a time.

#![allow(clippy::panic, reason = "a panic fails the story, as it should")]

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a condition may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(25);

/// Waits until `check` gives a value. Its error says why not yet; the last one is told
/// where the patience ends.
pub async fn until<T, E: std::fmt::Display>(
    what: &str,
    check: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    within(PATIENCE, what, check).await
}

/// As [`until`], with another patience.
pub async fn within<T, E: std::fmt::Display>(
    patience: Duration,
    what: &str,
    mut check: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let end = Instant::now() + patience;
    let mut why = "the first look did not end".to_owned();
    loop {
        // A look that is cut off tells nothing; the one before it does.
        match tokio::time::timeout_at(end, check()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(found)) => why = found.to_string(),
            Err(_elapsed) => {}
        }
        assert!(Instant::now() < end, "waited {} s until {what}: {why}", patience.as_secs());
        sleep(POLL).await;
    }
}

/// `Ok` where it holds; else what was found, for [`until`].
pub fn holds(condition: bool, found: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(found()) }
}
