//! Gives entries their positions, after their commit. Every replica runs one; a lock
//! makes it one at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::PgPool;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{log::AuditLog, store};

/// Entries of other replicas are found this late.
const POLL: Duration = Duration::from_secs(1);
/// Entries that follow each other closely get their positions together: each look goes
/// back an hour, and must not be in the way of the calls that write them.
const GATHER: Duration = Duration::from_millis(25);
/// So many entries get a position at once.
const FULL: u64 = 1000;
/// How often the whole log is looked at, in case the database's clock was set back.
const WHOLE: Duration = Duration::from_hours(1);

/// Gives positions until told to stop.
pub async fn run(log: Arc<AuditLog>, stop: CancellationToken) {
    let mut last_whole: Option<Instant> = None;
    let mut failing = false;
    while !stop.is_cancelled() {
        let whole = last_whole.is_none_or(|last| last.elapsed() >= WHOLE);
        let begun = Instant::now();
        match store::sequence(log.database.operator(), whole).await {
            Ok(count) => {
                failing = false;
                if count >= FULL {
                    // There may be more than one statement takes.
                    continue;
                }
                if whole {
                    last_whole = Some(begun);
                }
            }
            Err(error) if failing => tracing::debug!(%error, "audit entries wait for positions"),
            Err(error) => {
                failing = true;
                tracing::warn!(%error, "audit entries get no positions; trying on");
                let _ = stop.run_until_cancelled(tokio::time::sleep(POLL)).await;
            }
        }
        let written = stop.run_until_cancelled(timeout(POLL, log.written.notified())).await;
        if matches!(written, Some(Ok(()))) {
            let _ = stop.run_until_cancelled(tokio::time::sleep(GATHER)).await;
        }
    }
}

/// Gives positions to what is written by now, so that a reader finds what was answered
/// before it asked, by whichever replica. A database that takes no writes is read as it is.
pub(super) async fn catch_up(pool: &PgPool) {
    loop {
        match store::sequence(pool, false).await {
            Ok(count) if count >= FULL => {}
            Ok(_) => return,
            Err(error) => {
                tracing::debug!(%error, "the audit log is read without its last entries");
                return;
            }
        }
    }
}
