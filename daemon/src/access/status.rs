//! The standing of certificates, kept in memory from the database.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::store;
use crate::{
    db::{Database, DbError},
    rpc::peer::{CertificateStatus, Standing},
};

/// How soon a revocation counts on every replica.
const REFRESH: Duration = Duration::from_secs(1);

/// The revoked certificates. While the database is away those that were known keep
/// counting.
#[derive(Debug, Default)]
pub struct Revocations {
    revoked: RwLock<HashMap<String, (Timestamp, String)>>,
}

impl Revocations {
    /// Knows of none yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads them anew.
    pub async fn refresh(&self, database: &Database) -> Result<(), DbError> {
        let rows = store::revoked(database.operator()).await?;
        let revoked = rows.into_iter().map(|(serial, since, reason)| (serial, (since, reason)));
        let revoked = revoked.collect();
        *self.revoked.write().unwrap_or_else(PoisonError::into_inner) = revoked;
        Ok(())
    }

    /// Reads them anew each second, until told to stop.
    pub async fn run(&self, database: &Database, stop: CancellationToken) {
        let mut ticks = interval(REFRESH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stale = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let refreshed = tokio::select! {
                () = stop.cancelled() => return,
                refreshed = self.refresh(database) => refreshed,
            };
            match refreshed {
                Ok(()) => stale = false,
                Err(error) if stale => tracing::debug!(%error, "revocations are still stale"),
                Err(error) => {
                    stale = true;
                    tracing::warn!(%error, "revocations cannot be read; the known ones keep counting");
                }
            }
        }
    }
}

impl CertificateStatus for Revocations {
    fn standing(&self, serial: &str) -> Standing {
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        match revoked.get(serial) {
            None => Standing::Good,
            Some((since, reason)) => Standing::Revoked { since: *since, reason: reason.clone() },
        }
    }
}
