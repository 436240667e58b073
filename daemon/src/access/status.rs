//! The standing of certificates and people, kept in memory from the database.
//!
//! Whatever changes it wakes every replica with NOTIFY; a poll stands behind that. Open
//! streams follow [`CertificateStatus::changes`].

use std::{
    collections::HashMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use sqlx::PgConnection;
use tokio::{
    sync::{Mutex, Notify, watch},
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{grants, locks, store};
use crate::{
    db::{Database, DbError, wake::Wake},
    rpc::{
        BreakGlass,
        peer::{CertificateStatus, Standing},
    },
};

/// How soon a change counts whose notification was lost.
const POLL: Duration = Duration::from_millis(500);
/// How long whoever made a change waits until it counts here.
const AT_ONCE: Duration = Duration::from_secs(1);
/// The channel that wakes all replicas. It carries no payload.
const CHANNEL: &str = "streamspace_access";
/// A pause before listening again.
const LISTEN_AGAIN: Duration = Duration::from_millis(500);

/// The lock of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KnownLock {
    pub(super) until: Option<Timestamp>,
    pub(super) reason: String,
}

/// Everything that is known, by serial number and by operator.
#[derive(Debug, Default, PartialEq, Eq)]
struct Known {
    revoked: HashMap<String, (Timestamp, String)>,
    locked: HashMap<String, KnownLock>,
    grants: HashMap<String, BreakGlass>,
}

/// Revoked certificates, locked people and break-glass grants. While the database is away
/// those that were known keep counting, and what has an end ends.
#[derive(Debug)]
pub struct Standings {
    known: RwLock<Known>,
    /// Whether that was read at all.
    was_read: AtomicBool,
    changes: watch::Sender<u64>,
    active_grants: watch::Sender<i64>,
    /// One reads at a time, so that what was read earlier never replaces what was read
    /// later.
    reading: Mutex<()>,
    woken: Notify,
}

impl Default for Standings {
    fn default() -> Self {
        Self {
            known: RwLock::default(),
            was_read: AtomicBool::new(false),
            changes: watch::Sender::new(0),
            active_grants: watch::Sender::new(0),
            reading: Mutex::new(()),
            woken: Notify::new(),
        }
    }
}

impl Standings {
    /// Knows of none yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many break-glass grants are in force.
    pub fn active_grants(&self) -> watch::Receiver<i64> {
        self.active_grants.subscribe()
    }

    /// Reads everything anew.
    pub async fn refresh(&self, database: &Database) -> Result<(), DbError> {
        let _one_at_a_time = self.reading.lock().await;
        let pool = database.operator();
        let known = Known {
            revoked: store::revoked(pool).await?,
            locked: locks::in_force(pool).await?,
            grants: grants::in_force(pool).await?,
        };
        let active = i64::try_from(known.grants.len()).unwrap_or(i64::MAX);
        let mut current = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let differs = *current != known;
        *current = known;
        drop(current);
        self.was_read.store(true, Ordering::Release);
        if differs {
            self.changes.send_modify(|version| *version = version.wrapping_add(1));
        }
        self.active_grants.send_replace(active);
        Ok(())
    }

    /// As [`Standings::refresh`], for whoever committed a change just now and answers next.
    /// If it fails, the poll does it.
    pub(super) async fn refresh_at_once(&self, database: &Database) {
        match timeout(AT_ONCE, self.refresh(database)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a change of access counts a moment later"),
            Err(_) => tracing::debug!("a change of access counts a moment later"),
        }
    }

    /// Reads anew whenever something changed, and now and then, until told to stop.
    pub async fn run(&self, database: &Database, stop: CancellationToken) {
        let work = async { tokio::join!(self.follow(database), self.listen(database)) };
        tokio::select! {
            () = stop.cancelled() => {}
            _ = work => {}
        }
    }

    async fn follow(&self, database: &Database) {
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stale = false;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.woken.notified() => {}
            }
            match self.refresh(database).await {
                Ok(()) => stale = false,
                Err(error) if stale => tracing::debug!(%error, "access is still stale"),
                Err(error) => {
                    stale = true;
                    tracing::warn!(
                        %error,
                        "revocations, locks and grants cannot be read; the known ones keep counting"
                    );
                }
            }
        }
    }

    async fn listen(&self, database: &Database) {
        loop {
            if let Ok(mut wake) = Wake::listen(database, CHANNEL, "access").await {
                while wake.heard().await.is_ok() {
                    self.woken.notify_one();
                }
            }
            sleep(LISTEN_AGAIN).await;
        }
    }
}

/// Wakes every replica once the transaction commits.
pub(super) async fn notify(tx: &mut PgConnection) -> Result<(), DbError> {
    sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(tx).await?;
    Ok(())
}

impl CertificateStatus for Standings {
    fn standing(&self, serial: &str, operator: &str, now: Timestamp) -> Standing {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = known.locked.get(operator)
            && lock.until.is_none_or(|until| now < until)
        {
            return Standing::Locked { until: lock.until, reason: lock.reason.clone() };
        }
        match known.revoked.get(serial) {
            None => Standing::Good,
            Some((since, reason)) => Standing::Revoked { since: *since, reason: reason.clone() },
        }
    }

    fn break_glass(&self, operator: &str, now: Timestamp) -> Option<BreakGlass> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.grants.get(operator).copied().filter(|grant| now < grant.until)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn is_known(&self) -> bool {
        self.was_read.load(Ordering::Acquire)
    }
}
