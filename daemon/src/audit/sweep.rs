//! Closes intents that a crash left without an outcome: they are unknown, never
//! dropped.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{
    log::AuditLog,
    store::{self, OpenIntent, Phase, Verdict},
};
use crate::db::DbError;

const EACH: Duration = Duration::from_secs(2);
const AT_ONCE: i64 = 500;
/// How far before the youngest known entry the next look begins. No intent takes that
/// long to commit.
const MARGIN: SignedDuration = SignedDuration::from_hours(1);
const MESSAGE: &str = "the daemon stopped before it could write how this call ended; it may or may not have taken \
     effect";
/// The code of `UNKNOWN`.
const CODE: i32 = 2;

/// Looks for orphaned intents, the whole log at first and then its end.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    floor: Option<Timestamp>,
}

impl Sweep {
    /// Closes the orphaned intents. Returns how many.
    pub(super) async fn pass(&mut self, log: &AuditLog) -> Result<usize, DbError> {
        let now = store::now(log.database.operator()).await?;
        let pool = log.database.operator();
        let open = store::open_intents(pool, &log.writer.replica, self.floor, AT_ONCE).await?;
        let more = i64::try_from(open.len()).unwrap_or(AT_ONCE) >= AT_ONCE;
        let (orphans, alive): (Vec<OpenIntent>, Vec<OpenIntent>) =
            open.into_iter().partition(|intent| is_orphan(log, intent));
        for orphan in &orphans {
            log.write(
                &orphan.record,
                Verdict {
                    phase: Phase::Outcome,
                    decision: "unknown",
                    code: CODE,
                    message: MESSAGE,
                    count: 1,
                },
            )
            .await?;
        }
        if !more {
            let recent = now.checked_sub(MARGIN).unwrap_or(Timestamp::MIN);
            self.floor = Some(alive.iter().map(|intent| intent.time).fold(recent, Timestamp::min));
        }
        Ok(orphans.len())
    }
}

/// Of this replica's own intents those are orphaned that no call here holds: an
/// earlier life left them, or the answer to their insert was lost.
fn is_orphan(log: &AuditLog, intent: &OpenIntent) -> bool {
    if intent.own { !log.is_open(intent.record.call_id) } else { intent.orphaned }
}

/// Sweeps until told to stop. Any replica may: a second outcome of the same call is
/// refused by the database.
pub async fn run(log: Arc<AuditLog>, stop: CancellationToken) {
    let mut sweep = Sweep::default();
    let mut failing = false;
    loop {
        match sweep.pass(&log).await {
            Ok(0) => failing = false,
            Ok(count) => {
                failing = false;
                tracing::warn!(count, "closed intents that a crash had left open, as unknown");
            }
            Err(error) if failing => tracing::debug!(%error, "orphaned intents wait"),
            Err(error) => {
                failing = true;
                tracing::warn!(%error, "orphaned intents cannot be closed; trying on");
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(EACH)).await.is_none() {
            return;
        }
    }
}
