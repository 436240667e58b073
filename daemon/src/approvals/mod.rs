//! Two-person approval of destructive work.
//!
//! What holds here:
//! - An approval is bound to one exact request of one person: its method and every byte
//!   of it but the request id.
//! - It is used in the transaction of the change that it allows, once: if that is rolled
//!   back it is unused, and of two that try at once one waits and then finds it used.
//! - Nobody agrees to their own request.

pub mod service;
mod store;

use prost::{Message, Name};
use sqlx::PgConnection;
use streamspace_core::{
    access::Role,
    approval::ApprovalState,
    ids::{ApprovalId, TenantUid},
};
use streamspace_proto::v1;

use self::store::{NewApproval, Request};
use crate::{
    db::DbError,
    rpc::{Caller, RpcResult, canonical},
};

/// What the digest of a request leaves out: a retry has its own id, and a preview is of
/// the same request.
const LEFT_OUT: [&str; 2] = ["request_id", "validate_only"];

/// What a second person is to agree to.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a, M> {
    /// `Service.Method`, for example `TenantService.DeleteTenant`.
    pub method: &'a str,
    /// The request as it came.
    pub request: &'a M,
    /// The tenant that it is done to; it must be in the scope of the transaction.
    pub tenant: TenantUid,
    /// The name of what it is done to, for example `tenants/acme`.
    pub target: &'a str,
    /// What the request does, for the person who decides. Name what a digest does not
    /// show.
    pub summary: &'a str,
    /// The lowest role that may decide: the one that the method needs.
    pub least_role: Role,
    /// Why, in the words of who asks.
    pub reason: &'a str,
}

/// Whether the change may be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A second person agreed, and that was used up in this transaction. Make the
    /// change in it and commit.
    Granted,
    /// It waits for a second person. Commit the transaction with nothing else in it, and
    /// answer with [`crate::rpc::RpcError::ApprovalRequired`].
    Pending(ApprovalId),
}

/// Uses the approval of this very request up, or asks for one.
///
/// Call it before anything is written in the transaction. The audit entry of the call
/// names an approval that was used, without the service doing anything about it.
pub async fn require<M: Message + Name>(
    tx: &mut PgConnection,
    caller: &Caller,
    ask: &Ask<'_, M>,
) -> RpcResult<Outcome> {
    let sha256 = canonical::digest_without(ask.method, ask.request, &LEFT_OUT)?;
    let request = Request { tenant: ask.tenant, requester: &caller.operator, sha256: &sha256 };
    // Two that ask for the same at once come one after the other.
    store::lock(tx, &request).await?;
    let now = store::now(tx).await?;
    let open = store::open(tx, &request).await?;
    let in_state = |state| open.iter().find(|record| record.facts.state(now) == state);
    if let Some(approved) = in_state(ApprovalState::Approved)
        && store::take(tx, approved.id).await?
    {
        caller.notes.approved_by(&approved.id.to_name());
        return Ok(Outcome::Granted);
    }
    if let Some(pending) = in_state(ApprovalState::Pending) {
        return Ok(Outcome::Pending(pending.id));
    }
    let new = NewApproval {
        method: ask.method,
        target: ask.target,
        summary: ask.summary,
        least_role: ask.least_role,
        reason: ask.reason,
    };
    Ok(Outcome::Pending(store::insert(tx, &request, &new).await?))
}

/// Takes back what a person agreed to and was not used yet, since they may do nothing any
/// more. In a transaction of the region's scope.
pub async fn withdraw_of(tx: &mut PgConnection, approver: &str) -> Result<(), DbError> {
    store::take_back(tx, approver, "who agreed was locked").await
}

/// What a preview says of the approval that the request itself will need. Nothing is
/// written.
pub async fn consequence<M: Message + Name>(
    tx: &mut PgConnection,
    caller: &Caller,
    ask: &Ask<'_, M>,
) -> RpcResult<v1::Consequence> {
    let sha256 = canonical::digest_without(ask.method, ask.request, &LEFT_OUT)?;
    let request = Request { tenant: ask.tenant, requester: &caller.operator, sha256: &sha256 };
    let now = store::now(tx).await?;
    let open = store::open(tx, &request).await?;
    let in_state = |state| open.iter().find(|record| record.facts.state(now) == state);
    let role = ask.least_role;
    let message = match (in_state(ApprovalState::Approved), in_state(ApprovalState::Pending)) {
        (Some(approved), _) => format!(
            "a second person must agree, and {} did with {}: the request uses it up",
            approved.approver.as_deref().unwrap_or_default(),
            approved.id.to_name()
        ),
        (None, Some(pending)) => format!(
            "a second person of role {role} must agree; {} waits for that",
            pending.id.to_name()
        ),
        (None, None) => format!("a second person of role {role} must agree first"),
    };
    Ok(v1::Consequence { code: "NEEDS_APPROVAL".into(), message })
}

#[cfg(test)]
mod tests;
