//! The looks that nothing in particular asks for: at every tenant now and then, and
//! each second at what holds the region's writes.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sqlx::FromRow;
use streamspace_core::{ids::TenantUid, tenant::TenantState};
use uuid::Uuid;

use super::{
    LOOK_AGAIN, Term, jitter, ledger,
    seen::{Kept, Seen},
    strays,
};
use crate::{
    db::DbError,
    tenants::{TenantRecord, breaker, decide},
};

const TICK: Duration = Duration::from_secs(1);
/// How many tenants are looked at before others on this thread get their turn.
const AT_ONCE: usize = 64;

/// What a pass reads of a row.
#[derive(FromRow)]
struct Brief {
    tenant_uid: Uuid,
    generation: i64,
    state: String,
    plan_version: i32,
    paused: bool,
}

impl Term {
    pub(super) async fn pass_again_and_again(self: Arc<Self>) {
        self.first_pass().await;
        let period = self.settings.resync;
        loop {
            tokio::time::sleep(period + jitter(period / 5)).await;
            while let Err(error) = self.pass().await {
                tracing::warn!(%error, "the tenants cannot be read; trying again");
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }

    /// Compares what was just read of every tenant with what was just listed, and has a
    /// worker look where there is anything to do.
    async fn first_pass(&self) {
        let records = self.ledger.records();
        let (count, start) = (records.len(), std::time::Instant::now());
        let mut open = 0_usize;
        for (index, tenant) in records.iter().enumerate() {
            if self.has_all(tenant) {
                self.ledger.settle(tenant.uid, ledger::sum_of(tenant, self.features));
            } else {
                open += 1;
                self.queue.add(tenant.uid);
            }
            if index % AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
        let objects = self.index.len();
        tracing::info!(tenants = count, objects, open, took = ?start.elapsed(), "looked at every tenant");
    }

    /// Whether the cluster has all that is wished, and the row says so.
    fn has_all(&self, tenant: &TenantRecord) -> bool {
        if tenant.state == TenantState::Purging || tenant.pause.is_some() {
            return false;
        }
        let wishes = self.wishes.of(tenant, self.features);
        let entries = self.index.of(&tenant.namespace);
        if decide::known_way(tenant, &entries).is_none()
            || !decide::todo(tenant, &wishes, &entries).is_nothing()
        {
            return false;
        }
        let seen = Seen::Kept(Kept { wished: wishes.len(), ..Kept::default() });
        seen.apply_to(tenant, tenant.update_time) == *tenant
    }

    /// Has a worker look at every tenant whose wish is not the one that the cluster was
    /// seen to have. One query, and no call to the cluster.
    pub(super) async fn pass(&self) -> Result<(), DbError> {
        let start = std::time::Instant::now();
        let rows: Vec<Brief> = sqlx::query_as(
            "SELECT tenant_uid, generation, state, plan_version, \
                    coalesce(pause_until > now(), false) AS paused \
             FROM tenants WHERE state <> 'gone'",
        )
        .fetch_all(self.db.operator())
        .await?;
        let (count, mut open) = (rows.len(), 0_usize);
        for (index, row) in rows.iter().enumerate() {
            let uid = TenantUid(row.tenant_uid);
            let sum = ledger::sum(
                row.generation,
                &row.state,
                row.plan_version,
                row.paused,
                self.features,
            );
            if !self.ledger.is_settled(uid, sum) {
                open += 1;
                self.queue.add(uid);
            }
            if index % (AT_ONCE * 16) == 0 {
                tokio::task::yield_now().await;
            }
        }
        tracing::info!(tenants = count, open, took = ?start.elapsed(), "looked at every tenant again");
        Ok(())
    }

    /// Each second: an end of the region's pause, a release of the breaker, and
    /// namespaces that no row wishes.
    pub(super) async fn tick(self: Arc<Self>) {
        let mut held = false;
        let mut failing = false;
        self.ledger.tell_strays();
        loop {
            tokio::time::sleep(TICK).await;
            match self.tick_once(&mut held).await {
                Ok(()) => failing = false,
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "what holds the writes cannot be read; trying again");
                    }
                }
            }
        }
    }

    async fn tick_once(&self, held: &mut bool) -> Result<(), DbError> {
        let (paused, open): (bool, bool) = sqlx::query_as(
            "SELECT EXISTS (SELECT FROM region_controls WHERE pause_time IS NOT NULL \
                              AND (pause_until IS NULL OR pause_until > now())), \
                    EXISTS (SELECT FROM breaker WHERE trip_time IS NOT NULL \
                              AND (release_time IS NULL OR release_time < trip_time))",
        )
        .fetch_one(self.db.operator())
        .await?;
        self.paused.store(paused, Ordering::Relaxed);
        if std::mem::replace(held, paused || open) && !*held {
            tracing::info!("nothing holds the writes back any more");
            for uid in self.ledger.unsettled() {
                self.queue.add(uid);
            }
        }
        if self.index.is_synced(crate::kube::Kind::Namespace)
            && let Some(found) = self.ledger.changed_strays()
            && let Err(error) = strays::write(&self.db, &self.leadership, &found).await
        {
            self.ledger.tell_strays();
            return Err(error);
        }
        let mut connection = self.db.operator().acquire().await?;
        breaker::forget_old(&mut connection).await
    }
}
