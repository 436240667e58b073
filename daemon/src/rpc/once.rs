//! A retry is not a second effect: the first reply of a request that has an id is
//! kept in the transaction of its effect, and given again.

use prost::{Message, Name};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Caller, canonical,
    errors::{RpcError, RpcResult},
};
use crate::db::requests::{self, RequestIdError};

/// One mutating request, by its id.
pub struct Once {
    actor: String,
    method: &'static str,
    /// `None`: the client gave no id, and a retry is a new request.
    request_id: Option<Uuid>,
    sha256: Vec<u8>,
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
        Ok(Self { actor: caller.operator.clone(), method, request_id, sha256 })
    }

    /// The reply that the same request got before.
    pub async fn reply<R: Message + Default>(&self, tx: &mut PgConnection) -> RpcResult<Option<R>> {
        let Some(id) = self.request_id else { return Ok(None) };
        let found = requests::lookup(tx, &self.actor, id, self.method, &self.sha256).await;
        let Some(bytes) = found.map_err(refusal)? else { return Ok(None) };
        let reply = R::decode(bytes.as_slice())
            .map_err(|error| RpcError::Internal(format!("a remembered reply: {error}")))?;
        Ok(Some(reply))
    }

    /// Keeps the reply; it is there once the transaction commits.
    pub async fn remember(&self, tx: &mut PgConnection, reply: &impl Message) -> RpcResult<()> {
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
