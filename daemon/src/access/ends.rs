//! Ends the locks of people when their time is over.
//!
//! A lock holds by the database's clock and needs nobody to stop holding. The leader takes
//! its row away and tells the audit log, so that `ssctl changes` shows its end beside its
//! beginning.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::locks;
use crate::{
    db::{Database, Leadership, Scope, lease},
    rpc::ends::{End, EndError, EndLog, id_of},
};

const PERIOD: Duration = Duration::from_secs(1);

/// Ends what is over, while this replica leads, until it is stopped.
pub async fn run(
    db: Database,
    log: EndLog,
    leadership: watch::Receiver<Leadership>,
    stop: CancellationToken,
) {
    while stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
        let now = leadership.borrow().clone();
        if now.leads
            && let Err(error) = end_what_has_ended(&db, &log, &now).await
        {
            tracing::debug!(%error, "the end of a lock is tried again");
        }
    }
}

/// Ends the locks that are over, in one transaction. Returns how many that were.
pub(super) async fn end_what_has_ended(
    db: &Database,
    log: &EndLog,
    leadership: &Leadership,
) -> Result<usize, EndError> {
    let mut tx = db.begin(&Scope::Region).await?;
    if !lease::still_leads(&mut tx, leadership).await? {
        return Ok(0);
    }
    let over = locks::over(&mut tx).await?;
    let mut begun = Vec::with_capacity(over.len());
    for lock in &over {
        let set = lock.lock_time.as_microsecond().to_string();
        let end = End {
            id: id_of(&["operator-lock", &lock.operator, &set]),
            method: "EndOperatorLock",
            resource: format!("operators/{}", lock.operator),
            setter: lock.actor.clone(),
            reason: lock.reason.clone(),
            summary: "unlocked".to_owned(),
        };
        begun.push(log.begin(end).await?);
        locks::delete(&mut tx, &lock.operator).await?;
    }
    if begun.is_empty() {
        return Ok(0);
    }
    for end in &begun {
        end.keep(&mut tx).await?;
    }
    tx.commit().await?;
    for end in begun {
        end.done().await;
    }
    Ok(over.len())
}
