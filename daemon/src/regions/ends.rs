//! Ends the region's cordon and pause when their time is over.
//!
//! They hold by the database's clock and need nobody to stop holding. The leader takes them
//! out of the row and tells the audit log, so that `ssctl changes` shows their end beside
//! their beginning.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::{FromRow as _, PgConnection, Row as _};
use streamspace_core::ids::RegionId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::controls::{self, Cordon, Pause};
use crate::{
    db::{Database, DbError, Leadership, Scope, lease},
    rpc::ends::{End, EndError, EndLog, id_of},
};

const PERIOD: Duration = Duration::from_secs(1);

/// Ends what is over, while this replica leads, until it is stopped.
pub async fn run(
    db: Database,
    log: EndLog,
    region: RegionId,
    leadership: watch::Receiver<Leadership>,
    stop: CancellationToken,
) {
    while stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
        let now = leadership.borrow().clone();
        if now.leads
            && let Err(error) = end_what_has_ended(&db, &log, &region, &now).await
        {
            tracing::debug!(%error, "the end of a control of the region is tried again");
        }
    }
}

/// Ends the cordon and the pause, where they are over. Returns how many that were.
pub(super) async fn end_what_has_ended(
    db: &Database,
    log: &EndLog,
    region: &RegionId,
    leadership: &Leadership,
) -> Result<usize, EndError> {
    let mut tx = db.begin(&Scope::Region).await?;
    if !lease::still_leads(&mut tx, leadership).await? {
        return Ok(0);
    }
    let mut begun = Vec::new();
    if let Some((cordon, set)) = ended_cordon(&mut tx).await? {
        let end = End {
            id: id_of(&["region-cordon", &set.as_microsecond().to_string()]),
            method: "EndRegionCordon",
            resource: region.to_name(),
            setter: cordon.actor,
            reason: cordon.reason,
            summary: "cordon ended".to_owned(),
        };
        begun.push(log.begin(end).await?);
        controls::set_cordon(&mut tx, None).await?;
    }
    if let Some((pause, set)) = ended_pause(&mut tx).await? {
        let end = End {
            id: id_of(&["region-pause", &set.as_microsecond().to_string()]),
            method: "EndRegionPause",
            resource: region.to_name(),
            setter: pause.actor,
            reason: pause.reason,
            summary: "pause ended".to_owned(),
        };
        begun.push(log.begin(end).await?);
        controls::set_pause(&mut tx, None).await?;
    }
    let ended = begun.len();
    if ended > 0 {
        for end in &begun {
            end.keep(&mut tx).await?;
        }
        tx.commit().await?;
        for end in begun {
            end.done().await;
        }
    }
    Ok(ended)
}

/// The cordon whose time is over, and when it was set. The row is locked: nobody sets it
/// anew meanwhile.
async fn ended_cordon(
    connection: &mut PgConnection,
) -> Result<Option<(Cordon, Timestamp)>, DbError> {
    let row = sqlx::query(
        "SELECT cordon_time AS time, cordon_until AS until, cordon_reason AS reason, \
                cordon_actor AS actor \
         FROM region_controls \
         WHERE cordon_time IS NOT NULL AND cordon_until <= clock_timestamp() FOR UPDATE",
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let set: jiff_sqlx::Timestamp = row.try_get("time")?;
    Ok(Some((Cordon::from_row(&row)?, set.to_jiff())))
}

/// As [`ended_cordon`].
async fn ended_pause(connection: &mut PgConnection) -> Result<Option<(Pause, Timestamp)>, DbError> {
    let row = sqlx::query(
        "SELECT pause_time AS time, pause_until AS until, pause_reason AS reason, \
                pause_actor AS actor \
         FROM region_controls \
         WHERE pause_time IS NOT NULL AND pause_until <= clock_timestamp() FOR UPDATE",
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let set: jiff_sqlx::Timestamp = row.try_get("time")?;
    Ok(Some((Pause::from_row(&row)?, set.to_jiff())))
}
