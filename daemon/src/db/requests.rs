//! A request id makes a retry harmless: the first reply is kept for a day and given
//! again, in the transaction of the mutation.
//!
//! Replies are kept by actor. A caller that sees tenants gets only replies that were
//! made under a scope within its own.

use std::time::Duration;

use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Database, DbError};

/// How often old replies are looked for.
const PURGE_PERIOD: Duration = Duration::from_hours(1);

/// The first key of the locks on request ids; "requ" in ASCII. Locks of two keys are a
/// space of their own, the only one that the tenant login may lock in, so that it cannot
/// take a lock of the leader or of another part.
const LOCKS: i32 = 0x7265_7175;

/// Why a request id was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum RequestIdError {
    /// The id was used before, for another request.
    #[error(
        "request id {request_id} was used before for another request ({method}); \
         use a new id for a new request"
    )]
    Reused {
        /// The id.
        request_id: Uuid,
        /// The method that it was first used for.
        method: String,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// The reply that was given to this request before, if it was. Call it first in the
/// transaction of the mutation: a second try that runs at the same time waits here until
/// the first has ended.
///
/// `sha256` is the digest of the request without its id.
pub async fn lookup(
    transaction: &mut PgConnection,
    actor: &str,
    request_id: Uuid,
    method: &str,
    sha256: &[u8],
) -> Result<Option<Vec<u8>>, RequestIdError> {
    sqlx::query("SELECT pg_advisory_xact_lock($3, hashtext($1 || '/' || $2::text))")
        .bind(actor)
        .bind(request_id)
        .bind(LOCKS)
        .execute(&mut *transaction)
        .await
        .map_err(DbError::from)?;
    let first: Option<(String, Vec<u8>, Vec<u8>)> = sqlx::query_as(
        "SELECT method, request_sha256, response FROM requests
         WHERE actor = $1 AND request_id = $2",
    )
    .bind(actor)
    .bind(request_id)
    .fetch_optional(transaction)
    .await
    .map_err(DbError::from)?;
    match first {
        None => Ok(None),
        Some((first_method, first_sha256, response))
            if first_method == method && first_sha256 == sha256 =>
        {
            Ok(Some(response))
        }
        Some((first_method, ..)) => {
            Err(RequestIdError::Reused { request_id, method: first_method })
        }
    }
}

/// Keeps the reply, in the transaction of the mutation.
pub async fn remember(
    transaction: &mut PgConnection,
    actor: &str,
    request_id: Uuid,
    method: &str,
    sha256: &[u8],
    response: &[u8],
) -> Result<(), RequestIdError> {
    sqlx::query(
        "INSERT INTO requests (request_id, actor, method, request_sha256, response)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(request_id)
    .bind(actor)
    .bind(method)
    .bind(sha256)
    .bind(response)
    .execute(transaction)
    .await
    .map_err(DbError::from)?;
    Ok(())
}

/// Forgets old replies now and then, until it is told to stop. Any replica may.
pub async fn run(database: Database, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(PURGE_PERIOD)).await.is_some() {
        if let Err(error) = purge(&database).await {
            tracing::debug!(%error, "old replies are kept a while longer");
        }
    }
}

/// Forgets replies older than a day. Returns how many.
pub async fn purge(database: &Database) -> Result<u64, DbError> {
    let purged = sqlx::query("DELETE FROM requests WHERE create_time < now() - interval '1 day'")
        .execute(database.operator())
        .await?;
    Ok(purged.rows_affected())
}
