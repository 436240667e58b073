//! Writes to the row what was seen.

use jiff::Timestamp;
use streamspace_core::{
    conditions::{self, ConditionStatus},
    tenant::TenantState,
};

use super::{
    ACTOR, Read, StepError, Term,
    events::event,
    seen::{NAMESPACE_READY, OBJECTS_APPLIED, Seen},
};
use crate::{
    db::{
        DbError, Scope,
        changes::{self, ChangeType},
        lease,
    },
    kube::{ClusterError, events::Tone},
    operations,
    tenants::{TenantRecord, convert, decide::Obstacle, store},
};

impl Term {
    /// A failure is told on the tenant in the cluster's own words. While the cluster
    /// as a whole is away, a tenant that was well is not rewritten: the region says it.
    pub(super) async fn note_failure(
        &self,
        read: &Read,
        error: &ClusterError,
    ) -> Result<(), StepError> {
        let tenant = &read.tenant;
        if error.is_conflict() {
            return Ok(());
        }
        let settled =
            tenant.observed_generation == tenant.generation && tenant.state != TenantState::Purging;
        if error.is_unavailable() && settled {
            return Ok(());
        }
        let obstacle = Obstacle::new(error.reason(), error.to_string());
        self.note(read, Seen::InTheWay(obstacle)).await
    }

    /// Notes what was seen of a tenant as it was read. While a pause holds writes back, no
    /// event on the namespace tells of it either: that is a write.
    pub(super) async fn note(&self, read: &Read, seen: Seen) -> Result<(), StepError> {
        if let Some((before, after)) = self.note_of(&read.tenant, &seen).await? {
            self.tell(&before, &after, read.pause.is_none());
        }
        Ok(())
    }

    /// Writes what was seen of a tenant as it was read. Where the wish changed meanwhile
    /// nothing is written: the change put the tenant into the queue again. Where it
    /// tells nothing new, the database is not asked. Returns the row before and after.
    async fn note_of(
        &self,
        read: &TenantRecord,
        seen: &Seen,
    ) -> Result<Option<(TenantRecord, TenantRecord)>, StepError> {
        let purging = read.state == TenantState::Purging;
        if !purging && seen.apply_to(read, Timestamp::now()) == *read {
            return Ok(None);
        }
        let mut tx = self.db.begin(&Scope::Region).await?;
        if !lease::still_leads(&mut tx, &self.leadership).await? {
            return Err(StepError::NotLeader);
        }
        let Some(current) = store::lock_by_uid(&mut tx, read.uid).await? else { return Ok(None) };
        if current.generation != read.generation || current.state != read.state {
            return Ok(None);
        }
        let tenant = seen.apply_to(&current, Timestamp::now());
        if let (Seen::InTheWay(obstacle), true) = (seen, purging) {
            let words = obstacle.message.as_str();
            operations::progress(&mut tx, tenant.uid, operations::TENANT_DELETE, words, ACTOR)
                .await?;
        }
        if tenant == current {
            // Dropping the transaction would lose the operation's progress.
            tx.commit().await.map_err(DbError::from)?;
            return Ok(None);
        }
        store::update(&mut tx, &tenant).await?;
        let change = if tenant.state == TenantState::Gone {
            operations::finish(&mut tx, tenant.uid, operations::TENANT_DELETE, ACTOR).await?;
            ChangeType::Deleted
        } else {
            ChangeType::Updated
        };
        changes::record(&mut tx, &convert::change(&tenant, change, ACTOR)).await?;
        tx.commit().await.map_err(DbError::from)?;
        if tenant.state != TenantState::Gone {
            self.ledger.put(tenant.clone());
        }
        Ok(Some((current, tenant)))
    }

    /// Tells people of what changed: in the log, and where that may be written, as events on
    /// the namespace.
    fn tell(&self, before: &TenantRecord, after: &TenantRecord, may_write: bool) {
        if after.state != before.state {
            let (from, to) = (before.state, after.state);
            tracing::info!(tenant = %after.spec.id, %from, %to, "tenant moved on");
            if may_write && after.state != TenantState::Gone {
                let words = format!("tenant {} is {to}, and was {from}", after.spec.id);
                self.events.emit(event(after, Tone::Normal, "StateChanged", words));
            }
        }
        if !may_write {
            return;
        }
        for type_ in [NAMESPACE_READY, OBJECTS_APPLIED] {
            let now = conditions::get(&after.conditions, type_);
            let news = now != conditions::get(&before.conditions, type_);
            let Some(now) = now.filter(|it| news && it.status == ConditionStatus::False) else {
                continue;
            };
            if !matches!(now.reason.as_str(), "NamespaceTerminating" | "Deleted") {
                self.events.emit(event(after, Tone::Warning, "Refused", now.message.clone()));
            }
        }
    }
}
