//! Ends what an operator set for a time: overrides of quotas, cordons and pauses.
//!
//! Their ends stand in the database and are judged by its clock, so a restart or another
//! leader changes nothing about them. Only the leader ends them, each tenant in a
//! transaction of its own, which is also what tells the reconciler of it. Each end is in the
//! audit log before it is made, and waits while that cannot be written; only a pause holds
//! by the clock alone.

use std::time::Duration;

use jiff::Timestamp;
use streamspace_core::{
    ids::TenantUid,
    tenant::{Event, TenantState},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{QuotaOverride, TenantRecord, convert, overrides, store, summary};
use crate::{
    db::{
        Database, DbError, Leadership, Scope,
        changes::{self, ChangeType},
        lease,
    },
    rpc::ends::{ACTOR, End, EndError, EndLog, id_of},
};

/// The longest time between two looks. An end that is known to come sooner is waited for.
const POLL: Duration = Duration::from_secs(1);
/// So many tenants are looked at in one round.
const BATCH: i64 = 500;

/// Ends what is over, while this replica leads, until it is stopped.
pub async fn run(
    db: Database,
    log: EndLog,
    mut leadership: watch::Receiver<Leadership>,
    stop: CancellationToken,
) {
    loop {
        let now = leadership.borrow_and_update().clone();
        let pause = if now.leads {
            match round(&db, &log, &now).await {
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
async fn round(
    db: &Database,
    log: &EndLog,
    leadership: &Leadership,
) -> Result<Option<Duration>, DbError> {
    end_what_has_ended(db, log, leadership).await?;
    next_end(db).await
}

/// Ends everything whose time is over. Returns the tenants that it was done for.
pub async fn end_what_has_ended(
    db: &Database,
    log: &EndLog,
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
        match end_of(db, log, uid, leadership).await {
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
async fn end_of(
    db: &Database,
    log: &EndLog,
    uid: TenantUid,
    leadership: &Leadership,
) -> Result<bool, EndError> {
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
    let mut begun = Vec::new();
    for end in ends(&current, &tenant, &over) {
        begun.push(log.begin(end).await?);
    }
    overrides::end(&mut tx, uid, &over).await?;
    store::update(&mut tx, &tenant).await?;
    changes::record(&mut tx, &convert::change(&tenant, ChangeType::Updated, ACTOR)).await?;
    for end in &begun {
        end.keep(&mut tx).await?;
    }
    tx.commit().await?;
    for end in begun {
        end.done().await;
    }
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

/// What ends, for the audit log. Each is known by who set it and when, so that it is the
/// same in every try.
fn ends(before: &TenantRecord, after: &TenantRecord, over: &[Uuid]) -> Vec<End> {
    let resource = before.spec.id.to_name();
    let uid = before.uid.0.to_string();
    let mut ends = Vec::new();
    let mut rest = before.clone();
    for entry in before.overrides.iter().filter(|entry| over.contains(&entry.id)) {
        let mut without = rest.clone();
        without.overrides.retain(|kept| kept.id != entry.id);
        ends.push(End {
            id: entry.id,
            method: "EndQuotaOverride",
            resource: resource.clone(),
            setter: entry.actor.clone(),
            reason: entry.reason.clone(),
            summary: summary::changed(&rest, &without),
        });
        rest = without;
    }
    // Each is set from the instant of its request on, so no two have the same end.
    let id_of = |what: &str, until: Option<Timestamp>| {
        let until = until.unwrap_or_default().as_microsecond().to_string();
        id_of(&[what, &uid, &until])
    };
    if before.cordon_until.is_some() && after.cordon_until.is_none() {
        let only = TenantRecord { pause: rest.pause.clone(), ..after.clone() };
        ends.push(End {
            id: id_of("tenant-cordon", before.cordon_until),
            method: "EndTenantCordon",
            resource: resource.clone(),
            setter: String::new(),
            reason: before.cordon_reason.clone(),
            summary: summary::changed(&rest, &only),
        });
        rest = only;
    }
    if let (Some(pause), None) = (&before.pause, &after.pause) {
        ends.push(End {
            id: id_of("tenant-pause", Some(pause.until)),
            method: "EndTenantPause",
            resource,
            setter: pause.actor.clone(),
            reason: pause.reason.clone(),
            summary: summary::changed(&rest, after),
        });
    }
    ends
}

#[cfg(test)]
mod tests;
