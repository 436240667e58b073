//! Ends what an operator set for a time: overrides of quotas, cordons and pauses.
//!
//! Their ends stand in the database and are judged by its clock, so a restart or another
//! leader changes nothing about them. Only the leader ends them, each tenant in a
//! transaction of its own, which is also what tells the reconciler of it.

use std::time::Duration;

use jiff::Timestamp;
use streamspace_core::{
    ids::TenantUid,
    tenant::{Event, TenantState},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{QuotaOverride, TenantRecord, convert, overrides, reconciler::ACTOR, store};
use crate::db::{
    Database, DbError, Leadership, Scope,
    changes::{self, ChangeType},
    lease,
};

/// The longest time between two looks. An end that is known to come sooner is waited for.
const POLL: Duration = Duration::from_secs(1);
/// So many tenants are looked at in one round.
const BATCH: i64 = 500;

/// Ends what is over, while this replica leads, until it is stopped.
pub async fn run(
    db: Database,
    mut leadership: watch::Receiver<Leadership>,
    stop: CancellationToken,
) {
    loop {
        let now = leadership.borrow_and_update().clone();
        let pause = if now.leads {
            match round(&db, &now).await {
                Ok(next) => next.unwrap_or(POLL).min(POLL),
                Err(error) => {
                    tracing::debug!(%error, "what is over is ended later");
                    POLL
                }
            }
        } else {
            POLL
        };
        tokio::select! {
            () = stop.cancelled() => return,
            changed = leadership.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Ends what is over. Returns how long it is until the next end.
async fn round(db: &Database, leadership: &Leadership) -> Result<Option<Duration>, DbError> {
    end_what_has_ended(db, leadership).await?;
    next_end(db).await
}

/// Ends everything whose time is over. Returns the tenants that it was done for.
pub async fn end_what_has_ended(
    db: &Database,
    leadership: &Leadership,
) -> Result<Vec<TenantUid>, DbError> {
    let mut tx = db.begin(&Scope::Region).await?;
    let due: Vec<Uuid> = sqlx::query_scalar(
        "SELECT tenant_uid FROM tenants WHERE cordon_until <= clock_timestamp() AND state <> 'gone' \
         UNION SELECT tenant_uid FROM tenants \
           WHERE pause_until <= clock_timestamp() AND state <> 'gone' \
         UNION SELECT tenant_uid FROM quota_overrides JOIN tenants USING (tenant_uid) \
           WHERE end_time IS NULL AND expire_time <= clock_timestamp() AND state <> 'gone' \
         LIMIT $1",
    )
    .bind(BATCH)
    .fetch_all(&mut *tx)
    .await?;
    drop(tx);
    let mut ended = Vec::new();
    for uid in due.into_iter().map(TenantUid) {
        match end_of(db, uid, leadership).await {
            Ok(true) => ended.push(uid),
            Ok(false) => break,
            // One that cannot be ended stops no other.
            Err(error) => tracing::warn!(tenant_uid = %uid.0, %error, "an end is tried again"),
        }
    }
    Ok(ended)
}

async fn next_end(db: &Database) -> Result<Option<Duration>, DbError> {
    let mut tx = db.begin(&Scope::Region).await?;
    let next: Option<f64> = sqlx::query_scalar(
        "SELECT extract(epoch FROM min(time) - clock_timestamp())::float8 FROM ( \
           SELECT min(cordon_until) AS time FROM tenants WHERE state <> 'gone' \
           UNION ALL SELECT min(pause_until) FROM tenants WHERE state <> 'gone' \
           UNION ALL SELECT min(expire_time) FROM quota_overrides WHERE end_time IS NULL) AS ends",
    )
    .fetch_one(&mut *tx)
    .await?;
    Ok(next.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.05)).unwrap_or(POLL)))
}

/// Ends what is over of one tenant. `false`: this replica no longer leads.
async fn end_of(db: &Database, uid: TenantUid, leadership: &Leadership) -> Result<bool, DbError> {
    let mut tx = db.begin(&Scope::Region).await?;
    if !lease::still_leads(&mut tx, leadership).await? {
        return Ok(false);
    }
    let Some(current) = store::lock_by_uid(&mut tx, uid).await? else { return Ok(true) };
    let now = store::now(&mut tx).await?;
    let (mut tenant, over) = without_what_is_over(&current, now);
    if tenant == current {
        return Ok(true);
    }
    tenant.update_time = now;
    overrides::end(&mut tx, uid, &over).await?;
    store::update(&mut tx, &tenant).await?;
    changes::record(&mut tx, &convert::change(&tenant, ChangeType::Updated, ACTOR)).await?;
    tx.commit().await?;
    tracing::info!(
        tenant = %tenant.spec.id, overrides = over.len(), state = %tenant.state,
        "what was set for a time has ended"
    );
    Ok(true)
}

/// The tenant without what is over at `now`, and the overrides that are.
fn without_what_is_over(current: &TenantRecord, now: Timestamp) -> (TenantRecord, Vec<Uuid>) {
    let mut tenant = current.clone();
    let is_over = |end: Option<Timestamp>| end.is_some_and(|end| end <= now);
    let ended = |entry: &&QuotaOverride| is_over(entry.set.expire_time);
    let over: Vec<Uuid> = current.overrides.iter().filter(ended).map(|entry| entry.id).collect();
    tenant.overrides.retain(|entry| !over.contains(&entry.id));
    let mut is_wish = !over.is_empty();
    if is_over(current.cordon_until) {
        // Every state has an answer to it.
        if let Ok(life) = current.life().advance(Event::CordonExpired) {
            is_wish |= life != current.life();
            tenant.set_life(life);
        }
        tenant.cordon_until = None;
    }
    if is_over(current.pause.as_ref().map(|pause| pause.until)) {
        tenant.pause = None;
    }
    // What is being deleted has no wish any more that could change.
    if is_wish && tenant.state != TenantState::Purging {
        tenant.generation += 1;
    }
    (tenant, over)
}

#[cfg(test)]
mod tests;
