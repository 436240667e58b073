//! Closes intents that a crash left without an outcome: they are unknown, never
//! dropped.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{
    log::AuditLog,
    store::{self, OpenIntent, Phase, Verdict},
};
use crate::{db::DbError, rpc::audit::END_RULE};

const EACH: Duration = Duration::from_secs(2);
const AT_ONCE: i64 = 500;
/// How far before the youngest known entry the next look begins. No intent takes that
/// long to commit.
const MARGIN: SignedDuration = SignedDuration::from_hours(1);
const MESSAGE: &str = "the daemon stopped before it could write how this call ended; it may or may not have taken \
     effect";
const UNKNOWN: Verdict<'static> = Verdict {
    phase: Phase::Outcome,
    decision: "unknown",
    // The code of `UNKNOWN`.
    code: 2,
    message: "",
    summary: "",
    count: 1,
};
const DONE: Verdict<'static> = Verdict { decision: "succeeded", code: 0, ..UNKNOWN };
/// How long what the daemon does again may take until it is given up.
const AGAIN: SignedDuration = SignedDuration::from_hours(1);

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
        let mut closed = 0;
        let mut waiting = Vec::new();
        for orphan in orphans {
            let summary;
            let verdict = match ending(log, &orphan, now).await? {
                Ending::Unknown => Verdict { message: MESSAGE, ..UNKNOWN },
                Ending::Done(told) => {
                    summary = told;
                    Verdict { summary: &summary, ..DONE }
                }
                Ending::DoneAgain => {
                    waiting.push(orphan.time);
                    continue;
                }
            };
            log.write(&orphan.record, verdict).await?;
            closed += 1;
        }
        if !more {
            let recent = now.checked_sub(MARGIN).unwrap_or(Timestamp::MIN);
            self.floor = Some(
                alive.iter().map(|intent| intent.time).chain(waiting).fold(recent, Timestamp::min),
            );
        }
        Ok(closed)
    }
}

/// How an orphaned intent ended.
enum Ending {
    /// Nobody can tell.
    Unknown,
    /// It took effect, and changed this.
    Done(String),
    /// It did not, and the daemon does it again under the same intent.
    DoneAgain,
}

/// What is known of an orphan. Whatever the daemon does again until it is done is
/// remembered in the transaction that does it.
async fn ending(log: &AuditLog, orphan: &OpenIntent, now: Timestamp) -> Result<Ending, DbError> {
    if !orphan.record.is_done_again() {
        return Ok(Ending::Unknown);
    }
    let remembered = store::remembered(log.database.operator(), &orphan.record).await?;
    Ok(match remembered {
        Some(told) if orphan.record.rule == END_RULE => {
            Ending::Done(String::from_utf8_lossy(&told).into_owned())
        }
        Some(_) => Ending::Done(String::new()),
        None if orphan.time > now.checked_sub(AGAIN).unwrap_or(Timestamp::MIN) => Ending::DoneAgain,
        None => Ending::Unknown,
    })
}

/// Of this replica's own intents those are orphaned that no call here holds: an
/// earlier life left them, or the answer to their insert was lost.
fn is_orphan(log: &AuditLog, intent: &OpenIntent) -> bool {
    if intent.own { !log.is_open(intent.record.call_id) } else { intent.orphaned }
}

/// One look at the whole log, for tests of those who write to it.
#[cfg(test)]
pub(crate) async fn pass(log: &AuditLog) -> Result<usize, DbError> {
    Sweep::default().pass(log).await
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
