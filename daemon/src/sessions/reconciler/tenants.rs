//! The tenants whose sessions these are: where each is in its life, and whether it may be
//! written for.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sqlx::FromRow;
use streamspace_core::{ids::TenantUid, tenant::TenantState};
use uuid::Uuid;

use super::{LOOK_AGAIN, StepError, Term, Work, kept::Which};
use crate::db::{ChangeKind, DbError, Scope};

const CHANGE_BATCH: i64 = 500;

/// A tenant, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tenant {
    pub(super) uid: TenantUid,
    /// Its name.
    pub(super) id: String,
    pub(super) namespace: String,
    pub(super) plan: String,
    pub(super) state: TenantState,
}

/// The living tenants.
#[derive(Default)]
pub(super) struct Tenants {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    by_namespace: HashMap<Box<str>, Arc<Tenant>>,
    namespaces: HashMap<TenantUid, Box<str>>,
}

#[derive(FromRow)]
struct Row {
    tenant_uid: Uuid,
    tenant_id: String,
    namespace: String,
    plan_id: String,
    state: String,
}

impl Tenants {
    /// The tenant whose namespace this is.
    pub(super) fn of(&self, namespace: &str) -> Option<Arc<Tenant>> {
        self.lock().by_namespace.get(namespace).cloned()
    }

    /// Remembers a tenant. Returns whether it is otherwise than before.
    fn put(&self, tenant: Tenant) -> bool {
        let mut state = self.lock();
        let namespace: Box<str> = tenant.namespace.as_str().into();
        state.namespaces.insert(tenant.uid, namespace.clone());
        let tenant = Arc::new(tenant);
        state.by_namespace.insert(namespace, Arc::clone(&tenant)) != Some(tenant)
    }

    /// Forgets a tenant that is gone. Returns its namespace.
    fn forget(&self, uid: TenantUid) -> Option<Box<str>> {
        let mut state = self.lock();
        let namespace = state.namespaces.remove(&uid)?;
        // A new tenant may have the name by now.
        if state.by_namespace.get(&namespace).is_some_and(|tenant| tenant.uid == uid) {
            state.by_namespace.remove(&namespace);
        }
        Some(namespace)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every critical section leaves the state whole, also when it unwinds.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    fn read(self) -> Option<Tenant> {
        Some(Tenant {
            uid: TenantUid(self.tenant_uid),
            id: self.tenant_id,
            namespace: self.namespace,
            plan: self.plan_id,
            state: TenantState::parse(&self.state)?,
        })
    }
}

impl Term {
    /// Reads every living tenant. Returns the revision up to which the change log tells
    /// nothing that is not in there.
    pub(super) async fn load_tenants(&self) -> i64 {
        loop {
            match self.load_once().await {
                Ok(revision) => return revision,
                Err(error) => {
                    tracing::warn!(%error, "the tenants cannot be read; trying again");
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
        }
    }

    async fn load_once(&self) -> Result<i64, DbError> {
        let mut tx = self.db.begin(&Scope::Region).await?;
        let revision =
            sqlx::query_scalar("SELECT revision FROM change_sequence").fetch_one(&mut *tx).await?;
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT tenant_uid, tenant_id, namespace, plan_id, state FROM tenants \
             WHERE state <> 'gone'",
        )
        .fetch_all(&mut *tx)
        .await?;
        for tenant in rows.into_iter().filter_map(Row::read) {
            self.tenants.put(tenant);
        }
        Ok(revision)
    }

    /// Has the sessions of each tenant looked at that changes.
    pub(super) async fn follow_tenants(self: Arc<Self>, mut after: i64) {
        let mut latest = self.changes.latest();
        loop {
            latest.mark_unchanged();
            match self.follow_batch(&mut after).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "the change log cannot be read; trying again");
                    tokio::time::sleep(LOOK_AGAIN).await;
                    continue;
                }
            }
            if latest.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Returns whether there may be more.
    async fn follow_batch(&self, after: &mut i64) -> Result<bool, DbError> {
        let rows = self.changes.read(&Scope::Region, *after, CHANGE_BATCH).await?;
        let full = i64::try_from(rows.len()).unwrap_or(0) >= CHANGE_BATCH;
        for row in rows {
            if row.kind == ChangeKind::Tenant
                && let Some(uid) = row.tenant_uid
            {
                self.reload(uid).await?;
            }
            *after = row.revision;
        }
        Ok(full)
    }

    async fn reload(&self, uid: TenantUid) -> Result<(), DbError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT tenant_uid, tenant_id, namespace, plan_id, state FROM tenants \
             WHERE tenant_uid = $1 AND state <> 'gone'",
        )
        .bind(uid.0)
        .fetch_optional(self.db.operator())
        .await?;
        let namespace = match row.and_then(Row::read) {
            Some(tenant) => {
                let namespace = tenant.namespace.as_str().into();
                self.tenants.put(tenant).then_some(namespace)
            }
            None => self.tenants.forget(uid),
        };
        if let Some(namespace) = namespace {
            for key in self.cache.sessions(Some(&namespace), Which::All) {
                self.queue.add(Work::Session(key));
            }
            for key in self.cache.templates_of(Some(&namespace)) {
                self.queue.add(Work::Template(key));
            }
        }
        Ok(())
    }

    /// Asked before each write: whether this replica leads, nothing is paused, and the
    /// tenant is where it was when the write was decided. Ends are judged by the clock that
    /// all replicas share.
    pub(super) async fn may_write(&self, tenant: Option<&Tenant>) -> Result<(), StepError> {
        let (leads, paused, state): (bool, bool, Option<String>) = sqlx::query_as(
            "SELECT EXISTS (SELECT FROM leader WHERE leader_term = $1 AND replica = $2), \
                    EXISTS (SELECT FROM region_controls WHERE pause_time IS NOT NULL \
                              AND (pause_until IS NULL OR pause_until > now())) \
                    OR EXISTS (SELECT FROM tenants WHERE tenant_uid = $3 AND pause_until > now()), \
                    (SELECT state FROM tenants WHERE tenant_uid = $3)",
        )
        .bind(self.leadership.leader_term)
        .bind(&self.leadership.replica)
        .bind(tenant.map(|tenant| tenant.uid.0))
        .fetch_one(self.db.operator())
        .await
        .map_err(DbError::from)?;
        if !leads {
            return Err(StepError::NotLeader);
        }
        if paused {
            return Err(StepError::Held);
        }
        if let Some(tenant) = tenant
            && state.as_deref() != Some(tenant.state.as_str())
        {
            self.reload(tenant.uid).await?;
            return Err(StepError::Changed);
        }
        Ok(())
    }
}
