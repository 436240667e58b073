//! A retry is not a second effect: the first reply of a request that has an id is
//! kept in the transaction of its effect, and given again. A change that is one of many is
//! held and settled here as well, since every change comes by.

use std::sync::Arc;

use prost::{Message, Name};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    CallNotes, Caller,
    caller::ItemOfMany,
    canonical,
    errors::{RpcError, RpcResult},
    summary,
};
use crate::db::requests::{self, RequestIdError};

/// One mutating request, by its id.
pub struct Once {
    actor: String,
    method: &'static str,
    /// `None`: the client gave no id, and a retry is a new request.
    request_id: Option<Uuid>,
    sha256: Vec<u8>,
    item: Option<Arc<dyn ItemOfMany>>,
    notes: CallNotes,
}

impl Once {
    /// Reads the id of a request. `method` keeps equal ids of different methods apart.
    pub fn of(
        caller: &Caller,
        method: &'static str,
        request_id: &str,
        request: &impl Name,
    ) -> RpcResult<Self> {
        let request_id = match request_id {
            "" => None,
            text => Some(Uuid::try_parse(text).map_err(|_| {
                RpcError::field("request_id", "must be a UUID such as `uuidgen` prints")
            })?),
        };
        let sha256 = canonical::digest_without(method, request, &["request_id"])?;
        let (actor, item) = (caller.operator.clone(), caller.item.clone());
        let notes = caller.notes.clone();
        Ok(Self { actor, method, request_id, sha256, item, notes })
    }

    /// The reply that the same request got before. Call it first in the transaction.
    pub async fn reply<R: Message + Default>(&self, tx: &mut PgConnection) -> RpcResult<Option<R>> {
        if let Some(item) = &self.item {
            item.hold(tx).await?;
        }
        let Some(id) = self.request_id else { return Ok(None) };
        let found = requests::lookup(tx, &self.actor, id, self.method, &self.sha256).await;
        let Some(bytes) = found.map_err(refusal)? else { return Ok(None) };
        let reply = R::decode(bytes.as_slice())
            .map_err(|error| RpcError::Internal(format!("a remembered reply: {error}")))?;
        self.notes.changes(summary::REPEATED);
        Ok(Some(reply))
    }

    /// Keeps the reply; it is there once the transaction commits. Call it last.
    pub async fn remember(&self, tx: &mut PgConnection, reply: &impl Message) -> RpcResult<()> {
        if let Some(item) = &self.item {
            item.changed(tx).await?;
        }
        let Some(id) = self.request_id else { return Ok(()) };
        let bytes = reply.encode_to_vec();
        requests::remember(tx, &self.actor, id, self.method, &self.sha256, &bytes)
            .await
            .map_err(refusal)
    }
}

fn refusal(error: RequestIdError) -> RpcError {
    match error {
        RequestIdError::Reused { .. } => RpcError::RequestIdReused,
        RequestIdError::Database(error) => RpcError::Database(error),
    }
}
