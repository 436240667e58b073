//! Locks people and unlocks them.

use std::time::Duration;

use streamspace_core::page::Query;
use streamspace_proto::v1;

use super::{Access, sentence};
use crate::{
    access::{grants, locks},
    approvals,
    db::Scope,
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        listing::Paging,
        once::Once,
        peer::is_name,
        summary, time,
    },
};

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_hours(90 * 24);

impl Access {
    pub(super) async fn lock(
        &self,
        caller: &Caller,
        request: &v1::LockOperatorRequest,
    ) -> RpcResult<v1::OperatorLock> {
        let operator = operator_of(&request.name)?;
        let reason = sentence("reason", &request.reason)?;
        let seconds = match request.ttl.as_ref().map(time::duration) {
            None => None,
            Some(ttl) if (SHORTEST..=LONGEST).contains(&ttl) => i64::try_from(ttl.as_secs()).ok(),
            Some(_) => {
                return Err(RpcError::field("ttl", "must be one second to 90 days, or absent"));
            }
        };
        if operator == caller.operator {
            return Err(RpcError::Refused {
                reason: "LOCK_OF_ONESELF",
                message: format!(
                    "you would lock yourself out, and could not unlock: if your device is lost, \
                     revoke its certificates with `ssctl cert list --filter operator={operator}` \
                     and `ssctl cert revoke`; else another admin locks you"
                ),
            });
        }
        let once = Once::of(caller, "LockOperator", &request.request_id, request)?;
        let mut tx = self.parts.database.begin(&Scope::Region).await?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let lock = locks::lock(&mut tx, operator, reason, &caller.operator, seconds).await?;
        // Or it would be in force again when the lock ends.
        grants::end_all(&mut tx, operator).await?;
        approvals::withdraw_of(&mut tx, operator).await?;
        let reply = lock.to_proto();
        if request.validate_only {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!("locked{}", summary::until(lock.expire_time)));
        self.enforce(tx).await?;
        Ok(reply)
    }

    pub(super) async fn unlock(
        &self,
        caller: &Caller,
        request: &v1::UnlockOperatorRequest,
    ) -> RpcResult<v1::OperatorLock> {
        let operator = operator_of(&request.name)?;
        let once = Once::of(caller, "UnlockOperator", &request.request_id, request)?;
        let mut tx = self.parts.database.begin(&Scope::Region).await?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let lock = locks::unlock(&mut tx, operator)
            .await?
            .ok_or_else(|| RpcError::NotFound(format!("a lock of {}", request.name)))?;
        let reply = lock.to_proto();
        if request.validate_only {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes("unlocked");
        self.enforce(tx).await?;
        Ok(reply)
    }

    pub(super) async fn operator_locks(
        &self,
        request: &v1::ListOperatorLocksRequest,
    ) -> RpcResult<v1::ListOperatorLocksResponse> {
        let query =
            Query { method: "ListOperatorLocks", filter: "", order_by: "", show_deleted: false };
        let paging = Paging { size: request.page_size, token: &request.page_token, query };
        let mut tx = self.parts.database.begin(&Scope::Region).await?;
        let records = locks::list(&mut tx).await?;
        let (page, next_page_token) = paging.cut(records, |record| record.operator.clone())?;
        let locks = page.iter().map(locks::LockRecord::to_proto).collect();
        Ok(v1::ListOperatorLocksResponse { locks, next_page_token })
    }
}

fn operator_of(name: &str) -> RpcResult<&str> {
    let operator = name.strip_prefix("operators/").filter(|operator| is_name(operator));
    operator.ok_or_else(|| {
        let text = "must be `operators/` and a name of 1 to 63 of a-z, 0-9 and . _ @ -";
        RpcError::field("name", text)
    })
}
