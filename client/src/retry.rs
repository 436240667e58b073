//! Patience with a daemon that is away for a moment.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tonic::{Response, Status};

use crate::{ClientError, ConnectFault};

const ATTEMPTS: u32 = 4;

/// Delays between attempts: doubled each time, capped, and jittered over their
/// upper half so that many clients do not come back as one.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    next: Duration,
    cap: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, cap: Duration) -> Self {
        Self { next: first.min(cap), cap }
    }

    /// The next delay.
    pub(crate) fn delay(&mut self) -> Duration {
        let whole = self.next;
        self.next = self.next.saturating_mul(2).min(self.cap);
        let half = whole / 2;
        half + half.mul_f64(random_fraction())
    }
}

/// From 0 to 1.
fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness there is no jitter, which only costs politeness.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

/// Repeats a call while the daemon is away, at most four times and not past the
/// deadline.
pub(crate) async fn call<T, F>(deadline: Duration, call: impl Fn() -> F) -> Result<T, ClientError>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let end = Instant::now() + deadline;
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
    let mut attempt = 1;
    loop {
        let error = match call().await {
            Ok(reply) => return Ok(reply.into_inner()),
            Err(status) => with_deadline(status.into(), deadline),
        };
        let delay = backoff.delay();
        if attempt >= ATTEMPTS || !is_worth_repeating(&error) || Instant::now() + delay >= end {
            return Err(error);
        }
        attempt += 1;
        sleep(delay).await;
    }
}

/// Who did not answer for seconds will not a moment later, and somebody waits.
fn is_worth_repeating(error: &ClientError) -> bool {
    let silent = matches!(
        error,
        ClientError::Connect { fault: ConnectFault::TimedOut(_) | ConnectFault::Resolve(_), .. }
    );
    error.is_transient() && !silent
}

fn with_deadline(error: ClientError, deadline: Duration) -> ClientError {
    match error {
        ClientError::TimedOut(_) => ClientError::TimedOut(deadline),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn delays_grow_to_the_cap_and_are_jittered_within_their_upper_half() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(300));
        for whole in [100, 200, 300, 300] {
            let delay = backoff.delay();
            let whole = Duration::from_millis(whole);
            assert!(delay >= whole / 2 && delay <= whole, "{delay:?} of {whole:?}");
        }
        let delays: Vec<_> = (0..20).map(|_| backoff.delay()).collect();
        assert!(delays.iter().any(|delay| *delay != delays[0]), "no jitter: {delays:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_repeated_while_the_daemon_is_away() {
        let calls = Cell::new(0);
        let result = call(Duration::from_secs(30), || {
            calls.set(calls.get() + 1);
            let answer = if calls.get() < 3 {
                Err(Status::unavailable("starting"))
            } else {
                Ok(Response::new(7))
            };
            async { answer }
        })
        .await;
        assert_eq!(result.unwrap(), 7);
        assert_eq!(calls.get(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_not_repeated_and_patience_ends() {
        let calls = Cell::new(0);
        let count = |status: fn() -> Status| {
            calls.set(0);
            let calls = &calls;
            call::<(), _>(Duration::from_secs(30), move || {
                calls.set(calls.get() + 1);
                async move { Err(status()) }
            })
        };
        count(|| Status::permission_denied("no")).await.unwrap_err();
        assert_eq!(calls.get(), 1);
        count(|| Status::unavailable("away")).await.unwrap_err();
        assert_eq!(calls.get(), 4);
    }
}
