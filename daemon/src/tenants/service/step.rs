//! What every change of a tenant goes through: once, on what the caller saw, with a
//! second person where one must agree, and told before it is done.

use jiff::Timestamp;
use prost::Name;
use sqlx::{Postgres, Transaction};
use streamspace_core::access::Role;
use streamspace_proto::v1;

use super::{Tenants, life::checked_reason, require_etag, tenant_id};
use crate::{
    approvals::{self, Ask, Outcome},
    db::{
        DbError,
        changes::{self, ChangeType},
    },
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        once::Once,
        summary::NO_CHANGE,
    },
    tenants::{TenantRecord, convert, store, summary},
};

/// A request to change one tenant's life.
pub(super) trait LifeRequest: Name {
    fn tenant(&self) -> &str;
    fn etag(&self) -> &str;
    fn validate_only(&self) -> bool;
    fn request_id(&self) -> &str;
    fn reason(&self) -> &str;
}

macro_rules! life_requests {
    ($($request:ident),*) => {$(
        impl LifeRequest for v1::$request {
            fn tenant(&self) -> &str {
                &self.name
            }

            fn etag(&self) -> &str {
                &self.etag
            }

            fn validate_only(&self) -> bool {
                self.validate_only
            }

            fn request_id(&self) -> &str {
                &self.request_id
            }

            fn reason(&self) -> &str {
                &self.reason
            }
        }
    )*};
}

life_requests!(
    CordonTenantRequest,
    UncordonTenantRequest,
    SuspendTenantRequest,
    ResumeTenantRequest,
    ArchiveTenantRequest,
    RestoreTenantRequest,
    PauseTenantRequest,
    UnpauseTenantRequest
);

/// A tenant as a change leaves it.
pub(super) struct Step {
    pub(super) tenant: TenantRecord,
    pub(super) consequences: Vec<v1::Consequence>,
    /// Why a second person must agree, where one must.
    pub(super) second_person: Option<&'static str>,
    /// Whether the wish changes, and with it the generation.
    pub(super) is_wish: bool,
}

/// What a second person is asked, and the role that they need at least.
#[derive(Clone, Copy)]
pub(super) struct Method {
    /// The name in `TenantService`.
    pub(super) name: &'static str,
    pub(super) least_role: Role,
}

impl Tenants {
    /// Takes one step in a tenant's life.
    pub(super) async fn step<M: LifeRequest>(
        &self,
        caller: &Caller,
        method: Method,
        request: &M,
        decide: impl FnOnce(&TenantRecord, Timestamp) -> RpcResult<Step> + Send,
    ) -> RpcResult<v1::Tenant> {
        let id = tenant_id("name", request.tenant())?;
        checked_reason(request.reason())?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, method.name, request.request_id(), request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let current = store::lock_by_id(&mut tx, &id)
            .await?
            .ok_or_else(|| RpcError::NotFound(id.to_name()))?;
        require_etag(&current, request.etag())?;
        let now = store::now(&mut tx).await?;
        let Step { mut tenant, mut consequences, second_person, is_wish } = decide(&current, now)?;
        if tenant == current {
            // What is so already is no change: no generation, no entry in the log.
            caller.notes.changes(NO_CHANGE);
            return Ok(v1::Tenant { consequences, ..convert::to_proto(&current) });
        }
        if let Some(why) = second_person {
            let question = Question { method, tenant: &current, why, reason: request.reason() };
            tx = agreed(tx, caller, request, question, request.validate_only(), &mut consequences)
                .await?;
        }
        if is_wish {
            tenant.generation += 1;
        }
        tenant.update_time = now;
        store::update(&mut tx, &tenant).await?;
        let reply = v1::Tenant { consequences, ..convert::to_proto(&tenant) };
        if request.validate_only() {
            return Ok(reply);
        }
        let change = convert::change(&tenant, ChangeType::Updated, &caller.operator);
        changes::record(&mut tx, &change).await?;
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(summary::changed(&current, &tenant));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }
}

/// What a second person is to agree to.
pub(super) struct Question<'a> {
    pub(super) method: Method,
    pub(super) tenant: &'a TenantRecord,
    pub(super) why: &'a str,
    pub(super) reason: &'a str,
}

/// Goes on with the transaction once a second person agreed. A request that must wait
/// ends here, and only that it waits is committed. A preview tells of it and goes on.
pub(super) async fn agreed<M: Name>(
    mut tx: Transaction<'static, Postgres>,
    caller: &Caller,
    request: &M,
    question: Question<'_>,
    preview: bool,
    consequences: &mut Vec<v1::Consequence>,
) -> RpcResult<Transaction<'static, Postgres>> {
    let Question { method, tenant, why, reason } = question;
    let (path, target) = (format!("TenantService.{}", method.name), tenant.spec.id.to_name());
    if caller.item.is_some() {
        // Hundreds of questions at once would be agreed to unread.
        return Err(RpcError::Refused {
            reason: "APPROVAL_REQUIRED",
            message: format!(
                "a second person must agree to this, since {why}: do it to {target} by itself, \
                 which asks for that"
            ),
        });
    }
    let summary = format!(
        "{} {target} ({}, {}, {} seats): {why}",
        method.name, tenant.state, tenant.spec.plan, tenant.spec.seats
    );
    let ask = Ask {
        method: &path,
        request,
        tenant: tenant.uid,
        target: &target,
        summary: &summary,
        least_role: method.least_role,
        reason: checked_reason(reason)?,
    };
    if preview {
        consequences.push(approvals::consequence(&mut tx, caller, &ask).await?);
        return Ok(tx);
    }
    match approvals::require(&mut tx, caller, &ask).await? {
        Outcome::Granted => Ok(tx),
        Outcome::Pending(approval) => {
            tx.commit().await.map_err(DbError::from)?;
            Err(RpcError::ApprovalRequired { approval })
        }
    }
}
