//! One-time enrolment tokens.
//!
//! The text holds the authority's fingerprint and a secret of 32 bytes; the database
//! keeps the digest of the secret alone. A token is used up by one statement, so two
//! that try at once cannot both succeed.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use sqlx::PgConnection;
use streamspace_core::{access::Role, ids::TenantUid};
use streamspace_proto::token::{EnrolmentToken, Secret};
use thiserror::Error;
use uuid::Uuid;

use super::ca::Grant;
use crate::{
    db::{Database, DbError, Scope},
    rpc::peer::is_name,
};

/// How long a token can be used where nothing else is said.
pub const DEFAULT_LIFE: Duration = Duration::from_hours(1);
/// The longest that a token can be used.
pub const LONGEST_LIFE: Duration = Duration::from_hours(7 * 24);

/// Why a token cannot be made or used.
#[derive(Debug, Error)]
pub enum TokenError {
    /// No such token was made here.
    #[error(
        "this region made no such token: check that the token is of this region and was copied \
         whole"
    )]
    Unknown,
    /// Somebody used it.
    #[error(
        "this token was used at {0}, and a token works once: ask for a new one. If it was not you \
         who used it, tell an admin"
    )]
    Used(Timestamp),
    /// Its time is over.
    #[error("this token expired at {0}: ask for a new one")]
    Expired(Timestamp),
    /// Nobody can be called that.
    #[error("{0:?} cannot be an operator's name: use 1 to 63 of a-z, 0-9 and . _ @ -")]
    Name(String),
    /// It is to last for nothing or too long.
    #[error("a token lasts for 1 second to 7 days")]
    Life,
    /// There is no randomness.
    #[error("the system gave no random bytes")]
    Random,
    /// The database refused or did not answer.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<sqlx::Error> for TokenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// A token that was made just now. The text holds the secret: show it once.
pub struct NewToken {
    /// What `ssctl login --token` takes.
    pub text: String,
    /// Until when it can be used, by the database's clock.
    pub expires: Timestamp,
}

/// Makes a token. `created_by` is the operator who asked, or the name of the tool on
/// the host.
pub async fn create_token(
    database: &Database,
    fingerprint: [u8; 32],
    grant: &Grant,
    created_by: &str,
    life: Duration,
) -> Result<NewToken, TokenError> {
    let mut tx = database.begin(&Scope::Region).await?;
    let token = create_in(&mut tx, fingerprint, grant, created_by, life).await?;
    tx.commit().await?;
    Ok(token)
}

/// As [`create_token`], in the transaction of whoever calls.
pub async fn create_in(
    tx: &mut PgConnection,
    fingerprint: [u8; 32],
    grant: &Grant,
    created_by: &str,
    life: Duration,
) -> Result<NewToken, TokenError> {
    if !is_name(&grant.operator) {
        return Err(TokenError::Name(grant.operator.clone()));
    }
    let seconds = i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
    if seconds == 0 || life > LONGEST_LIFE {
        return Err(TokenError::Life);
    }
    let mut secret = [0; 32];
    aws_lc_rs::rand::fill(&mut secret).map_err(|_| TokenError::Random)?;
    let (expires,): (jiff_sqlx::Timestamp,) = sqlx::query_as(
        "INSERT INTO enrolment_tokens
             (secret_sha256, operator, role, tenant_uids, created_by, expire_time)
         VALUES ($1, $2, $3, $4, $5, now() + $6 * interval '1 second')
         RETURNING expire_time",
    )
    .bind(sha256(&secret))
    .bind(&grant.operator)
    .bind(grant.role.as_str())
    .bind(grant.tenants.iter().map(|tenant| tenant.0).collect::<Vec<Uuid>>())
    .bind(created_by)
    .bind(seconds)
    .fetch_one(tx)
    .await?;
    let token = EnrolmentToken { authority: fingerprint, secret: Secret::new(secret) };
    Ok(NewToken { text: token.encode(), expires: expires.to_jiff() })
}

/// Uses a token up and returns what it grants. It stays usable where the transaction
/// does not commit.
pub async fn consume(tx: &mut PgConnection, secret: &[u8]) -> Result<Grant, TokenError> {
    let digest = sha256(secret);
    let used: Option<(String, String, Vec<Uuid>)> = sqlx::query_as(
        "UPDATE enrolment_tokens SET use_time = now()
         WHERE secret_sha256 = $1 AND use_time IS NULL AND expire_time > now()
         RETURNING operator, role, tenant_uids",
    )
    .bind(&digest)
    .fetch_optional(&mut *tx)
    .await?;
    let Some((operator, role, tenants)) = used else { return Err(refusal(tx, &digest).await?) };
    let role = Role::parse(&role).ok_or_else(|| unreadable(&role))?;
    Ok(Grant { operator, role, tenants: tenants.into_iter().map(TenantUid).collect() })
}

/// Why a token that was not used up just now cannot be.
async fn refusal(tx: &mut PgConnection, digest: &[u8]) -> Result<TokenError, TokenError> {
    let found: Option<(jiff_sqlx::Timestamp, Option<jiff_sqlx::Timestamp>)> = sqlx::query_as(
        "SELECT expire_time, use_time FROM enrolment_tokens WHERE secret_sha256 = $1",
    )
    .bind(digest)
    .fetch_optional(tx)
    .await?;
    Ok(match found {
        None => TokenError::Unknown,
        Some((_, Some(used))) => TokenError::Used(used.to_jiff()),
        Some((expired, None)) => TokenError::Expired(expired.to_jiff()),
    })
}

fn sha256(secret: &[u8]) -> Vec<u8> {
    digest(&SHA256, secret).as_ref().to_vec()
}

/// A role that a newer version wrote.
pub(super) fn unreadable(role: &str) -> DbError {
    DbError::Other(sqlx::Error::Decode(
        format!("role {role:?} is not known to this version").into(),
    ))
}
