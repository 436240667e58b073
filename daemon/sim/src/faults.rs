//! Faults that can be switched on: so far, an API server that does not answer.

use std::{io, time::Duration};

use tokio::sync::watch;

/// The switches, shared by all clients of one simulator.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    available: watch::Sender<bool>,
}

impl Faults {
    pub(crate) fn none() -> Self {
        Self { available: watch::channel(true).0 }
    }

    pub(crate) fn set_available(&self, available: bool) {
        self.available.send_replace(available);
    }

    /// Whether requests are answered; wakes when that changes.
    pub(crate) fn availability(&self) -> watch::Receiver<bool> {
        self.available.subscribe()
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
