//! A tenant's beginning, the changes of its fields, and its end.

use std::sync::Arc;

use streamspace_core::{
    access::Role,
    ids::TenantUid,
    quota,
    tenant::{Event, Retention, TenantState, needs_second_person},
};
use streamspace_proto::v1;
use uuid::Uuid;

use super::{
    Tenants, being_deleted,
    life::checked_reason,
    require_etag,
    step::{Method, Question, agreed},
    tenant_id,
};
use crate::{
    db::{
        DbError,
        changes::{self, ChangeType},
    },
    incidents::freeze,
    operations::{self, NewOperation},
    plans, regions,
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        once::Once,
        summary::NO_CHANGE,
    },
    tenants::{TenantRecord, consequences, convert, input, store, summary, usage},
};

impl Tenants {
    pub(super) async fn create(
        &self,
        caller: &Caller,
        request: &v1::CreateTenantRequest,
    ) -> RpcResult<v1::Tenant> {
        let spec = input::spec_of_create(request, &self.region)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "CreateTenant", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let cordon = regions::controls::cordon(&mut tx).await?;
        self.require_open(cordon.as_ref())?;
        let plan = plans::current(&mut tx, &spec.plan)
            .await?
            .ok_or_else(|| unknown_plan(spec.plan.as_str()))?
            .plan;
        let now = store::now(&mut tx).await?;
        let tenant = TenantRecord {
            uid: TenantUid(Uuid::now_v7()),
            namespace: format!("{}{}", self.namespace_prefix, spec.id),
            plan_version: plan.version,
            plan: Arc::new(plan),
            overrides: Vec::new(),
            adopt: request.adopt,
            state: TenantState::Provisioning,
            prior_state: None,
            resume_state: None,
            cordon_until: None,
            cordon_reason: String::new(),
            pause: None,
            archive_time: None,
            purge_after: None,
            conditions: Vec::new(),
            generation: 1,
            observed_generation: 0,
            create_time: now,
            update_time: now,
            spec,
        };
        if !store::insert(&mut tx, &tenant).await? {
            return Err(RpcError::AlreadyExists(tenant.spec.id.to_name()));
        }
        let mut told = Vec::new();
        told.extend(consequences::overcommit(None, &tenant, request.accept_overcommit)?);
        told.extend(request.adopt.then(|| consequences::adopts(&tenant)));
        let reply = v1::Tenant { consequences: told, ..convert::to_proto(&tenant) };
        if request.validate_only {
            return Ok(reply);
        }
        store::subscribe(&mut tx, &tenant, tenant.spec.seats, &caller.operator).await?;
        let change = convert::change(&tenant, ChangeType::Created, &caller.operator);
        changes::record(&mut tx, &change).await?;
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(summary::created(&tenant));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    pub(super) async fn update(
        &self,
        caller: &Caller,
        request: &v1::UpdateTenantRequest,
    ) -> RpcResult<v1::Tenant> {
        let wish =
            request.tenant.as_ref().ok_or_else(|| RpcError::field("tenant", "is required"))?;
        let id = tenant_id("tenant.name", &wish.name)?;
        checked_reason(&request.reason)?;
        let fields = request.update_mask.as_ref().map_or(&[][..], |mask| mask.paths.as_slice());
        let names_plan = fields.iter().any(|field| field == "plan");
        // What is used is read before any row is locked: a cluster that hangs must hold
        // nobody else up.
        let used = if names_plan { Some(self.used(caller, &id).await?) } else { None };
        let allowed = if names_plan {
            let incident = caller.notes.incident();
            freeze::allows(&self.db, id.as_str(), "a change of the plan", incident).await
        } else {
            Ok(())
        };

        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "UpdateTenant", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let current = store::lock_by_id(&mut tx, &id)
            .await?
            .ok_or_else(|| RpcError::NotFound(id.to_name()))?;
        require_etag(&current, &wish.etag)?;
        if current.state == TenantState::Purging {
            return Err(being_deleted(&current));
        }
        let spec = input::spec_of_update(&current.spec, wish, fields)?;
        let mut tenant = TenantRecord { spec, ..current.clone() };
        if names_plan {
            let plan = plans::current(&mut tx, &tenant.spec.plan)
                .await?
                .ok_or_else(|| unknown_plan(tenant.spec.plan.as_str()))?
                .plan;
            tenant.plan_version = plan.version;
            tenant.plan = Arc::new(plan);
            fits_its_overrides(&tenant)?;
        }
        if tenant == current {
            // What is wished already is no change: no generation, no entry in the log.
            caller.notes.changes(NO_CHANGE);
            return Ok(convert::to_proto(&current));
        }
        allowed?;
        let mut told = Vec::new();
        told.extend(consequences::plan_version(&current, &tenant));
        told.extend(consequences::overcommit(Some(&current), &tenant, request.accept_overcommit)?);
        told.extend(used.iter().flat_map(|used| consequences::over_quota(used, &current, &tenant)));
        if current.spec.protected && !tenant.spec.protected {
            let question = Question {
                method: Method { name: "UpdateTenant", least_role: Role::Operator },
                tenant: &current,
                why: "it takes the protection off, and then one person can do what is hard to undo",
                reason: &request.reason,
            };
            tx = agreed(tx, caller, request, question, request.validate_only, &mut told).await?;
        }
        tenant.generation += 1;
        tenant.update_time = store::now(&mut tx).await?;
        store::update(&mut tx, &tenant).await?;
        let reply = v1::Tenant { consequences: told, ..convert::to_proto(&tenant) };
        if request.validate_only {
            return Ok(reply);
        }
        let sold = |tenant: &TenantRecord| {
            (tenant.spec.plan.clone(), tenant.plan_version, tenant.spec.seats)
        };
        if sold(&tenant) != sold(&current) {
            store::subscribe(&mut tx, &tenant, tenant.spec.seats, &caller.operator).await?;
        }
        let change = convert::change(&tenant, ChangeType::Updated, &caller.operator);
        changes::record(&mut tx, &change).await?;
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(summary::changed(&current, &tenant));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    pub(super) async fn delete(
        &self,
        caller: &Caller,
        request: &v1::DeleteTenantRequest,
    ) -> RpcResult<v1::Operation> {
        let id = tenant_id("name", &request.name)?;
        checked_reason(&request.reason)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "DeleteTenant", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let current = store::lock_by_id(&mut tx, &id)
            .await?
            .ok_or_else(|| RpcError::NotFound(id.to_name()))?;
        require_etag(&current, &request.etag)?;
        if current.state == TenantState::Purging {
            return Err(being_deleted(&current));
        }
        let now = store::now(&mut tx).await?;
        let retention = match current.purge_after {
            Some(end) if now < end && request.before_retention => Retention::Waived,
            Some(end) if now < end => Retention::Running,
            _ => Retention::Over,
        };
        let event = Event::DeleteRequested { protected: current.spec.protected, retention };
        let life = current.life().advance(event).map_err(|refusal| match current.purge_after {
            Some(end) if refusal.rule == "retention" => RpcError::Refused {
                reason: "RETENTION_NOT_OVER",
                message: format!(
                    "plan {} keeps the data of {} until {end}: {}",
                    current.spec.plan,
                    id.to_name(),
                    refusal.next_step
                ),
            },
            _ => RpcError::from(refusal),
        })?;
        let mut told = vec![consequences::deleted(&current)];
        // What was there before the tenant is lost as well, though it was never active. The
        // permission ends once it is.
        let adopted = current.state == TenantState::Provisioning && current.adopt;
        let adopted = adopted.then_some(
            "the tenant may have taken over a namespace that existed before, with what is in it",
        );
        let second_person = needs_second_person(current.life(), event, current.spec.protected);
        if let Some(why) = second_person.or(adopted) {
            let question = Question {
                method: Method { name: "DeleteTenant", least_role: Role::Admin },
                tenant: &current,
                why,
                reason: &request.reason,
            };
            tx = agreed(tx, caller, request, question, request.validate_only, &mut told).await?;
        }
        let mut tenant = current.clone();
        tenant.set_life(life);
        tenant.generation += 1;
        tenant.update_time = now;
        store::update(&mut tx, &tenant).await?;
        let operation = NewOperation {
            tenant: tenant.uid,
            kind: operations::TENANT_DELETE,
            target: id.to_name(),
            actor: caller.operator.clone(),
        };
        if request.validate_only {
            return Ok(v1::Operation { consequences: told, ..operation.preview() });
        }
        // Nothing is paid for any more.
        store::subscribe(&mut tx, &tenant, 0, &caller.operator).await?;
        let change = convert::change(&tenant, ChangeType::Updated, &caller.operator);
        changes::record(&mut tx, &change).await?;
        let begun = operations::begin(&mut tx, &operation).await?;
        let reply = v1::Operation { consequences: told, ..begun };
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(summary::changed(&current, &tenant));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    /// What the tenant uses now, or why the cluster does not tell.
    async fn used(
        &self,
        caller: &Caller,
        id: &streamspace_core::ids::TenantId,
    ) -> RpcResult<Result<usage::Usage, String>> {
        let mut tx = self.db.begin(&caller.scope).await?;
        let tenant =
            store::by_id(&mut tx, id).await?.ok_or_else(|| RpcError::NotFound(id.to_name()))?;
        drop(tx);
        Ok(usage::read(&self.cluster, &tenant.namespace).await)
    }
}

/// An override that was set under one plan can contradict what another promises.
fn fits_its_overrides(tenant: &TenantRecord) -> RpcResult<()> {
    let Some(fault) = quota::check(&tenant.quota(), &tenant.plan).into_iter().next() else {
        return Ok(());
    };
    Err(RpcError::field(
        "tenant.plan",
        format!(
            "the tenant's own quota does not fit {}: {} {}; `ssctl quota reset` ends what is set",
            tenant.spec.plan, fault.field, fault.description
        ),
    ))
}

fn unknown_plan(plan: &str) -> RpcError {
    RpcError::field(
        "tenant.plan",
        format!("there is no plan {plan}; `ssctl plan list` shows those there are"),
    )
}
