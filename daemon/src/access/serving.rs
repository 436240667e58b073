//! The daemon's own certificate: made at the start, and anew at two thirds of its
//! life.

use std::{sync::Arc, time::Duration};

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
    names: Vec<String>,
    clock: Clock,
    certificate: Arc<ServingCertificate>,
    renew_at: Timestamp,
    expires: watch::Sender<Timestamp>,
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
        let renew_at = two_thirds(now, first.expires);
        let expires = watch::Sender::new(first.expires);
        let certificate = ServingCertificate::new(first.chain, first.key)?;
        Ok(Self { authority, names, clock, certificate, renew_at, expires })
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
    pub fn renew_if_due(&mut self) -> Result<bool, ServingError> {
        let now = (self.clock)();
        if now < self.renew_at {
            return Ok(false);
        }
        let next = self.authority.issue_server(&self.names, now)?;
        self.certificate.replace(next.chain, next.key)?;
        self.renew_at = two_thirds(now, next.expires);
        self.expires.send_replace(next.expires);
        Ok(true)
    }

    /// Renews until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            match self.renew_if_due() {
                Ok(true) => tracing::info!(until = %self.renew_at, "made a new server certificate"),
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
