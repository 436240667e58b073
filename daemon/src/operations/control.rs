//! Cancelling and resuming operations over several. Both only write what is wished; the
//! leader's runner acts on it.

use streamspace_core::{access::Audience, ids::OperationId, text};
use streamspace_proto::v1;
use tonic::{Request, Status};

use super::{
    bulk::{self, BulkRecord, Requester},
    service::Operations,
    store,
};
use crate::{
    db::DbError,
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        once::Once,
        policy,
    },
};

/// The longest reason that is kept, in characters.
const REASON_MAXIMUM: usize = 1000;

impl Operations {
    pub(super) async fn cancel(
        &self,
        request: &Request<v1::CancelOperationRequest>,
    ) -> Result<v1::Operation, Status> {
        let caller = Caller::of(request)?;
        let request = request.get_ref();
        let id = id(&request.name)?;
        checked(&request.reason)?;
        let mut tx = self.db.begin(&caller.scope).await.map_err(RpcError::from)?;
        let once = Once::of(caller, "CancelOperation", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let record = held(&mut tx, id).await?;
        if record.cancel_time.is_some() {
            // Nobody's wish is new.
            return Ok(bulk::shown(&mut tx, &record).await.map_err(RpcError::from)?);
        }
        if record.done() {
            return Err(refused(
                "OPERATION_DONE",
                format!(
                    "{} is done: there is nothing to cancel; `ssctl operation items {}` shows what \
                     became of each",
                    id.to_name(),
                    id.0
                ),
            ));
        }
        let operation =
            bulk::cancel(&mut tx, id, &caller.operator).await.map_err(RpcError::from)?;
        if !request.validate_only {
            once.remember(&mut tx, &operation).await?;
            tx.commit().await.map_err(|error| RpcError::from(DbError::from(error)))?;
        }
        Ok(operation)
    }

    pub(super) async fn resume(
        &self,
        request: &Request<v1::ResumeOperationRequest>,
    ) -> Result<v1::Operation, Status> {
        let caller = Caller::of(request)?;
        let request = request.get_ref();
        let id = id(&request.name)?;
        checked(&request.reason)?;
        let mut tx = self.db.begin(&caller.scope).await.map_err(RpcError::from)?;
        let once = Once::of(caller, "ResumeOperation", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let record = held(&mut tx, id).await?;
        // It goes on in the name of who resumes it, so they must be allowed to do it.
        policy::allowed(&record.deed()?.method()?, &caller.facts())?;
        if !record.done() && record.cancel_time.is_none() {
            return Err(refused(
                "OPERATION_RUNNING",
                format!(
                    "{} is under way: there is nothing to resume; `ssctl operation wait {}` \
                     follows it",
                    id.to_name(),
                    id.0
                ),
            ));
        }
        let counts = bulk::counts(&mut tx, &[id]).await.map_err(RpcError::from)?;
        let counts = counts.first().copied().unwrap_or_default();
        if counts.pending + counts.cancelled + counts.failed == 0 {
            return Err(refused(
                "OPERATION_DONE",
                format!("{} is done, and nothing of it was left or failed", id.to_name()),
            ));
        }
        let requester = requester(caller)?;
        let operation = bulk::resume(&mut tx, id, &requester).await.map_err(RpcError::from)?;
        if !request.validate_only {
            once.remember(&mut tx, &operation).await?;
            tx.commit().await.map_err(|error| RpcError::from(DbError::from(error)))?;
        }
        Ok(operation)
    }
}

/// In whose name an operation is done that this caller asks for.
pub fn requester(caller: &Caller) -> RpcResult<Requester> {
    if caller.audience != Audience::Operator {
        return Err(RpcError::NoCaller);
    }
    Ok(Requester {
        actor: caller.operator.clone(),
        role: caller.role_name.clone(),
        serial: caller.serial.clone(),
    })
}

fn id(name: &str) -> RpcResult<OperationId> {
    OperationId::from_name(name).map_err(|error| RpcError::field("name", error.to_string()))
}

/// Refuses a reason that is no text for people.
fn checked(reason: &str) -> RpcResult<()> {
    text::check(reason.trim(), REASON_MAXIMUM)
        .map_err(|error| RpcError::field("reason", error.to_string()))
}

fn refused(reason: &'static str, message: String) -> Status {
    RpcError::Refused { reason, message }.into()
}

/// The operation over several of this id, held until the transaction ends.
async fn held(tx: &mut sqlx::PgConnection, id: OperationId) -> RpcResult<BulkRecord> {
    if let Some(record) = bulk::lock(tx, id).await? {
        return Ok(record);
    }
    match store::by_id(tx, id).await? {
        None => Err(RpcError::NotFound(id.to_name())),
        Some(record) => Err(RpcError::Refused {
            reason: "OPERATION_OF_ONE",
            message: format!(
                "{} is {} of {} alone, which is neither cancelled nor resumed: what it began \
                 cannot be left half done; `ssctl operation wait {}` follows it",
                id.to_name(),
                record.kind(),
                record.target(),
                id.0
            ),
        }),
    }
}
