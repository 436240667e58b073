//! `QuotaService`: sets and explains how much a tenant may use.

use jiff::Timestamp;
use streamspace_core::{
    ids::TenantId,
    quota::{self, Override, Quantities, SESSIONS_KEY},
    tenant::TenantState,
    text,
};
use streamspace_proto::v1::{self, quota_service_server::QuotaService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{input, outlook::Outlook};
use crate::{
    db::{
        Database, DbError,
        changes::{self, ChangeType},
    },
    kube::Cluster,
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        once::Once,
        summary::NO_CHANGE,
        time::{Bounds, ttl},
    },
    tenants::{self, QuotaOverride, TenantRecord, usage::Usage},
};

const TTL: Bounds = Bounds { shortest: 1, longest: 90 * 86_400, words: "one second to 90 days" };
/// The longest reason that is kept, in characters.
const REASON_MAXIMUM: usize = 1000;

/// The quotas of one region's tenants.
#[derive(Clone)]
pub struct Quotas {
    db: Database,
    cluster: Cluster,
}

/// What the cluster counts of a tenant, or why it does not tell.
type Observed = Result<Usage, String>;

impl Quotas {
    /// Keeps overrides in `db` and asks `cluster` what is used.
    pub fn new(db: Database, cluster: Cluster) -> Self {
        Self { db, cluster }
    }

    /// The tenant, and what it uses now. The cluster is asked outside every transaction:
    /// one that hangs must hold nobody else up.
    async fn observe(&self, caller: &Caller, id: &TenantId) -> RpcResult<(TenantRecord, Observed)> {
        let mut tx = self.db.begin(&caller.scope).await?;
        let tenant =
            tenants::by_id(&mut tx, id).await?.ok_or_else(|| RpcError::NotFound(id.to_name()))?;
        drop(tx);
        let observed = tenants::usage::read(&self.cluster, &tenant.namespace).await;
        Ok((tenant, observed))
    }

    pub(super) async fn get(
        &self,
        caller: &Caller,
        request: &v1::GetQuotaRequest,
    ) -> RpcResult<v1::Quota> {
        let id = tenant_id(&request.tenant)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let tenant =
            tenants::by_id(&mut tx, &id).await?.ok_or_else(|| RpcError::NotFound(id.to_name()))?;
        let outlook = Outlook::read(&mut tx, &tenant).await?;
        drop(tx);
        let observed = tenants::usage::read(&self.cluster, &tenant.namespace).await;
        let mut quota = show(&tenant, &observed)?;
        let hard = quota::lines(&hard(&tenant, &observed), &Quantities::new())
            .map_err(|error| unreadable(&error))?;
        let hard = hard.into_iter().map(|line| (line.key, line.hard)).collect();
        outlook.show(&mut quota, &tenant.plan, &hard);
        Ok(quota)
    }

    pub(super) async fn check(
        &self,
        caller: &Caller,
        request: &v1::CheckQuotaRequest,
    ) -> RpcResult<v1::CheckQuotaResponse> {
        let id = tenant_id(&request.tenant)?;
        let needs = input::needs(&request.needs)?;
        let (tenant, observed) = self.observe(caller, &id).await?;
        let quota = show(&tenant, &observed)?;
        let shortfalls = match &observed {
            Ok(usage) => quota::fits(&hard(&tenant, &observed), &usage.used, &needs)
                .map_err(|error| unreadable(&error))?
                .into_iter()
                .map(|shortfall| shortfall.message)
                .collect(),
            Err(why) => vec![format!("what is used is not known: {why}")],
        };
        let fits = shortfalls.is_empty();
        Ok(v1::CheckQuotaResponse { fits, shortfalls, quota: Some(quota) })
    }

    pub(super) async fn set(
        &self,
        caller: &Caller,
        request: &v1::SetQuotaRequest,
    ) -> RpcResult<v1::Quota> {
        let id = tenant_id(&request.tenant)?;
        let wished = input::changes(&request.changes)?;
        let ttl = ttl("ttl", request.ttl.as_ref(), TTL)?;
        let reason = request.reason.trim();
        text::check(reason, REASON_MAXIMUM)
            .map_err(|error| RpcError::field("reason", error.to_string()))?;
        let (_, observed) = self.observe(caller, &id).await?;

        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "SetQuota", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let current = locked(&mut tx, &id, &request.etag).await?;
        let now = tenants::now(&mut tx).await?;
        let amounts = input::resolve(&wished, &current.quota(), &current.plan)?;
        let expire_time = ttl.and_then(|ttl| now.checked_add(ttl).ok());
        let new: Vec<QuotaOverride> = amounts
            .into_iter()
            .filter(|(resource, amount)| {
                let newest = newest(&current, *resource);
                newest.is_none_or(|set| (set.amount, set.expire_time) != (*amount, expire_time))
            })
            .map(|(resource, amount)| QuotaOverride {
                id: Uuid::now_v7(),
                set: Override { resource, amount, create_time: now, expire_time },
                reason: reason.to_owned(),
                actor: caller.operator.clone(),
            })
            .collect();
        if new.is_empty() {
            // What is wished already is no change.
            caller.notes.changes(NO_CHANGE);
            return show(&current, &observed);
        }
        // What ends no later than the new one would never count again.
        let outlived = |entry: &&QuotaOverride| {
            new.iter().any(|new| {
                let same = entry.set.resource == new.set.resource;
                let later = match (new.set.expire_time, entry.set.expire_time) {
                    (None, _) => true,
                    (Some(new), Some(old)) => old <= new,
                    (Some(_), None) => false,
                };
                same && later
            })
        };
        let over: Vec<Uuid> =
            current.overrides.iter().filter(outlived).map(|entry| entry.id).collect();
        let mut tenant = current.clone();
        tenant.overrides.retain(|entry| !over.contains(&entry.id));
        tenant.overrides.extend(new.iter().cloned());
        let mut told = Vec::new();
        let accepted = request.accept_overcommit;
        told.extend(tenants::consequences::overcommit(Some(&current), &tenant, accepted)?);
        told.extend(tenants::consequences::over_quota(&observed, &current, &tenant));

        changed(&mut tenant, now);
        tenants::overrides::end(&mut tx, tenant.uid, &over).await?;
        for entry in &new {
            tenants::overrides::insert(&mut tx, tenant.uid, entry).await?;
        }
        let reply = v1::Quota { consequences: told, ..show(&tenant, &observed)? };
        if !request.validate_only {
            caller.notes.changes(tenants::summary::changed(&current, &tenant));
            keep(tx, caller, &once, &tenant, &reply).await?;
        }
        Ok(reply)
    }

    pub(super) async fn reset(
        &self,
        caller: &Caller,
        request: &v1::ResetQuotaRequest,
    ) -> RpcResult<v1::Quota> {
        let id = tenant_id(&request.tenant)?;
        let resources = input::resources(&request.resources)?;
        let (_, observed) = self.observe(caller, &id).await?;

        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "ResetQuota", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let current = locked(&mut tx, &id, &request.etag).await?;
        let named = |entry: &&QuotaOverride| resources.contains(&entry.set.resource);
        let over: Vec<Uuid> =
            current.overrides.iter().filter(named).map(|entry| entry.id).collect();
        if over.is_empty() {
            caller.notes.changes(NO_CHANGE);
            return show(&current, &observed);
        }
        let mut tenant = current.clone();
        tenant.overrides.retain(|entry| !over.contains(&entry.id));
        let mut told = Vec::new();
        // The plan's own quota needs nobody's acceptance.
        told.extend(tenants::consequences::overcommit(Some(&current), &tenant, true)?);
        told.extend(tenants::consequences::over_quota(&observed, &current, &tenant));

        let now = tenants::now(&mut tx).await?;
        changed(&mut tenant, now);
        tenants::overrides::end(&mut tx, tenant.uid, &over).await?;
        let reply = v1::Quota { consequences: told, ..show(&tenant, &observed)? };
        if !request.validate_only {
            caller.notes.changes(tenants::summary::changed(&current, &tenant));
            keep(tx, caller, &once, &tenant, &reply).await?;
        }
        Ok(reply)
    }
}

/// Writes the tenant with its new quota, and commits.
async fn keep(
    mut tx: sqlx::Transaction<'static, sqlx::Postgres>,
    caller: &Caller,
    once: &Once,
    tenant: &TenantRecord,
    reply: &v1::Quota,
) -> RpcResult<()> {
    tenants::update(&mut tx, tenant).await?;
    let change = tenants::change(tenant, ChangeType::Updated, &caller.operator);
    changes::record(&mut tx, &change).await?;
    once.remember(&mut tx, reply).await?;
    tx.commit().await.map_err(DbError::from)?;
    Ok(())
}

fn tenant_id(name: &str) -> RpcResult<TenantId> {
    TenantId::from_name(name).map_err(|error| RpcError::field("tenant", error.to_string()))
}

/// The tenant, locked, as the caller saw it.
async fn locked(tx: &mut sqlx::PgConnection, id: &TenantId, etag: &str) -> RpcResult<TenantRecord> {
    let tenant =
        tenants::lock_by_id(tx, id).await?.ok_or_else(|| RpcError::NotFound(id.to_name()))?;
    tenants::require_etag(&tenant, etag)?;
    if tenant.state == TenantState::Purging {
        return Err(tenants::being_deleted(&tenant));
    }
    Ok(tenant)
}

/// A quota is part of the wish.
fn changed(tenant: &mut TenantRecord, now: Timestamp) {
    tenant.generation += 1;
    tenant.update_time = now;
}

/// The override that counts.
fn newest(tenant: &TenantRecord, resource: quota::Resource) -> Option<Override> {
    let of_it = tenant.overrides.iter().map(|entry| entry.set);
    of_it.filter(|set| set.resource == resource).max_by_key(|set| set.create_time)
}

/// The hard map that the tenant should have.
fn hard(tenant: &TenantRecord, observed: &Observed) -> Quantities {
    quota::hard_in(tenant.state, &tenant.quota(), counts_sessions(observed))
}

fn counts_sessions(observed: &Observed) -> bool {
    observed.as_ref().is_ok_and(|usage| usage.hard.contains_key(SESSIONS_KEY))
}

fn show(tenant: &TenantRecord, observed: &Observed) -> RpcResult<v1::Quota> {
    let nothing = Quantities::new();
    let used = observed.as_ref().map_or(&nothing, |usage| &usage.used);
    let hard = hard(tenant, observed);
    let of_plan = quota::hard(&tenant.plan.quota, counts_sessions(observed));
    let of_plan = quota::lines(&of_plan, &nothing).map_err(|error| unreadable(&error))?;
    let plan_of = |key: &str| {
        let line = of_plan.iter().find(|line| line.key == key);
        line.map(|line| line.show(line.hard)).unwrap_or_default()
    };
    let lines = quota::lines(&hard, used).map_err(|error| unreadable(&error))?;
    let lines = lines.into_iter().map(|line| v1::QuotaLine {
        hard: line.show(line.hard),
        plan: plan_of(&line.key),
        used: line.used.map(|used| line.show(used)).unwrap_or_default(),
        headroom: line.headroom().map(|left| line.show(left)).unwrap_or_default(),
        used_permille: line.used_permille().unwrap_or(0),
        resource: line.key,
        exhaust_time: None,
    });
    let not_counted = "the cluster has not counted what is used yet";
    let message = match observed {
        Ok(usage) if usage.used.is_empty() => not_counted.to_owned(),
        Ok(_) => String::new(),
        Err(why) => why.clone(),
    };
    Ok(v1::Quota {
        tenant: tenant.spec.id.to_name(),
        lines: lines.collect(),
        overrides: tenant.overrides.iter().map(tenants::quota_override).collect(),
        observed: message.is_empty(),
        message,
        etag: tenants::etag(tenant),
        consequences: Vec::new(),
        users: Vec::new(),
    })
}

/// The cluster printed something that is no quantity.
fn unreadable(error: &streamspace_core::quantity::QuantityError) -> RpcError {
    RpcError::Internal(format!("a quantity of the cluster: {error}"))
}

#[tonic::async_trait]
impl QuotaService for Quotas {
    async fn get_quota(
        &self,
        request: Request<v1::GetQuotaRequest>,
    ) -> Result<Response<v1::Quota>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.get(&caller, request.get_ref()).await?))
    }

    async fn set_quota(
        &self,
        request: Request<v1::SetQuotaRequest>,
    ) -> Result<Response<v1::Quota>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.set(&caller, request.get_ref()).await?))
    }

    async fn reset_quota(
        &self,
        request: Request<v1::ResetQuotaRequest>,
    ) -> Result<Response<v1::Quota>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.reset(&caller, request.get_ref()).await?))
    }

    async fn check_quota(
        &self,
        request: Request<v1::CheckQuotaRequest>,
    ) -> Result<Response<v1::CheckQuotaResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.check(&caller, request.get_ref()).await?))
    }
}
