//! The daemon's own certificate: made at the start, anew at two thirds of its life, and when
//! its names change.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::ca::{Authority, AuthorityError};
use crate::rpc::{
    Clock,
    tls::{ServingCertificate, TlsError},
};

/// How often the time is looked at; clocks jump, and machines sleep.
const LOOK: Duration = Duration::from_mins(1);

/// Why the daemon has no certificate.
#[derive(Debug, Error)]
pub enum ServingError {
    /// It cannot be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// It cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Keeps the daemon's certificate fresh.
pub struct Serving {
    authority: Arc<Authority>,
    clock: Clock,
    certificate: Arc<ServingCertificate>,
    next: Mutex<Next>,
    expires: watch::Sender<Timestamp>,
}

/// What the next certificate is for, and when it is due.
struct Next {
    names: Vec<String>,
    at: Timestamp,
}

impl Serving {
    /// Makes the first certificate, for these DNS names and addresses.
    pub fn start(
        authority: Arc<Authority>,
        names: Vec<String>,
        clock: Clock,
    ) -> Result<Self, ServingError> {
        let now = clock();
        let first = authority.issue_server(&names, now)?;
        let next = Mutex::new(Next { names, at: two_thirds(now, first.expires) });
        let expires = watch::Sender::new(first.expires);
        let certificate = ServingCertificate::new(first.chain, first.key)?;
        Ok(Self { authority, clock, certificate, next, expires })
    }

    /// What the acceptor serves.
    pub fn certificate(&self) -> Arc<ServingCertificate> {
        Arc::clone(&self.certificate)
    }

    /// When the certificate ends that is served now.
    pub fn expires(&self) -> watch::Receiver<Timestamp> {
        self.expires.subscribe()
    }

    /// Makes the next certificate where it is time. Returns whether it was.
    pub fn renew_if_due(&self) -> Result<bool, ServingError> {
        let now = (self.clock)();
        let mut next = self.next();
        if now < next.at {
            return Ok(false);
        }
        next.at = self.renew(&next.names, now)?;
        Ok(true)
    }

    /// Makes a certificate for other names. Connections that are open stay. Where it cannot
    /// be made, the one before is served on.
    pub fn rename(&self, names: Vec<String>) -> Result<(), ServingError> {
        let mut next = self.next();
        let at = self.renew(&names, (self.clock)())?;
        *next = Next { names, at };
        Ok(())
    }

    fn renew(&self, names: &[String], now: Timestamp) -> Result<Timestamp, ServingError> {
        let made = self.authority.issue_server(names, now)?;
        self.certificate.replace(made.chain, made.key)?;
        self.expires.send_replace(made.expires);
        Ok(two_thirds(now, made.expires))
    }

    fn next(&self) -> MutexGuard<'_, Next> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews until told to stop.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            match self.renew_if_due() {
                Ok(true) => {
                    tracing::info!(until = %self.next().at, "made a new server certificate");
                }
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "no new server certificate"),
            }
        }
    }
}

fn two_thirds(from: Timestamp, to: Timestamp) -> Timestamp {
    let life = to.duration_since(from);
    from.checked_add(life / 3 * 2).unwrap_or(to)
}
