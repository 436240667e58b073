//! One-time enrolment tokens.
//!
//! The text holds the authority's fingerprint and a secret of 32 bytes; the database
//! keeps the digest of the secret alone. A token is used up by one statement, so two
//! that try at once cannot both succeed.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use streamspace_core::{
    access::Role,
    ids::{TenantUid, TokenId},
};
use streamspace_proto::{
    token::{EnrolmentToken, Secret},
    v1,
};
use thiserror::Error;
use uuid::Uuid;

use super::ca::Grant;
use crate::{
    db::{Database, DbError, Scope},
    rpc::{peer::is_name, policy::role_to_proto, time::timestamp},
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
    /// An admin took it back.
    #[error("this token was taken back at {0}: ask for a new one")]
    Revoked(Timestamp),
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
    /// Its name, which is no secret.
    pub id: TokenId,
    /// When it was made, by the database's clock.
    pub created: Timestamp,
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
    let (expires, created, id): (jiff_sqlx::Timestamp, jiff_sqlx::Timestamp, Uuid) =
        sqlx::query_as(
            "INSERT INTO enrolment_tokens
             (secret_sha256, operator, role, tenant_uids, created_by, expire_time)
         VALUES ($1, $2, $3, $4, $5, now() + $6 * interval '1 second')
         RETURNING expire_time, create_time, token_id",
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
    Ok(NewToken {
        text: token.encode(),
        expires: expires.to_jiff(),
        id: TokenId(id),
        created: created.to_jiff(),
    })
}

/// Uses a token up and returns what it grants. It stays usable where the transaction
/// does not commit.
pub async fn consume(tx: &mut PgConnection, secret: &[u8]) -> Result<Grant, TokenError> {
    let digest = sha256(secret);
    let used: Option<(String, String, Vec<Uuid>)> = sqlx::query_as(
        "UPDATE enrolment_tokens SET use_time = now()
         WHERE secret_sha256 = $1 AND use_time IS NULL AND revoke_time IS NULL
           AND expire_time > now()
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
    type Times = (jiff_sqlx::Timestamp, Option<jiff_sqlx::Timestamp>, Option<jiff_sqlx::Timestamp>);
    let found: Option<Times> = sqlx::query_as(
        "SELECT expire_time, use_time, revoke_time FROM enrolment_tokens WHERE secret_sha256 = $1",
    )
    .bind(digest)
    .fetch_optional(tx)
    .await?;
    Ok(match found {
        None => TokenError::Unknown,
        Some((_, Some(used), _)) => TokenError::Used(used.to_jiff()),
        Some((_, None, Some(revoked))) => TokenError::Revoked(revoked.to_jiff()),
        Some((expired, None, None)) => TokenError::Expired(expired.to_jiff()),
    })
}

fn sha256(secret: &[u8]) -> Vec<u8> {
    digest(&SHA256, secret).as_ref().to_vec()
}

/// A token as the database holds it; its secret is not there.
#[derive(Clone, Debug)]
pub(super) struct TokenRecord {
    pub(super) id: TokenId,
    pub(super) tenants: Vec<TenantUid>,
    pub(super) state: v1::EnrolmentTokenState,
    operator: String,
    role: String,
    created_by: String,
    create_time: Timestamp,
    expire_time: Timestamp,
}

impl FromRow<'_, PgRow> for TokenRecord {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let tenants: Vec<Uuid> = row.try_get("tenant_uids")?;
        let state = match row.try_get::<&str, _>("state")? {
            "used" => v1::EnrolmentTokenState::Used,
            "revoked" => v1::EnrolmentTokenState::Revoked,
            "expired" => v1::EnrolmentTokenState::Expired,
            _ => v1::EnrolmentTokenState::Usable,
        };
        Ok(Self {
            id: TokenId(row.try_get("token_id")?),
            tenants: tenants.into_iter().map(TenantUid).collect(),
            state,
            operator: row.try_get("operator")?,
            role: row.try_get("role")?,
            created_by: row.try_get("created_by")?,
            create_time: row.try_get::<jiff_sqlx::Timestamp, _>("create_time")?.to_jiff(),
            expire_time: row.try_get::<jiff_sqlx::Timestamp, _>("expire_time")?.to_jiff(),
        })
    }
}

impl TokenRecord {
    /// The token with the names of its tenants.
    pub(super) fn to_proto(&self, tenants: Vec<String>) -> v1::EnrolmentToken {
        v1::EnrolmentToken {
            name: self.id.to_name(),
            operator: self.operator.clone(),
            role: role_to_proto(Role::parse(&self.role)).into(),
            tenants,
            state: self.state.into(),
            creator: self.created_by.clone(),
            create_time: timestamp(self.create_time),
            expire_time: timestamp(self.expire_time),
            token: String::new(),
        }
    }
}

/// `enrolment_tokens` with all columns that a record reads.
macro_rules! with_columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " token_id, operator, role, tenant_uids, created_by, create_time, expire_time, \
             CASE WHEN use_time IS NOT NULL THEN 'used' WHEN revoke_time IS NOT NULL THEN 'revoked' \
                  WHEN expire_time <= now() THEN 'expired' ELSE 'usable' END AS state ",
            $after
        )
    };
}

/// Tokens, newest first.
pub(super) async fn list(tx: &mut PgConnection) -> Result<Vec<TokenRecord>, DbError> {
    let query = sqlx::query_as(with_columns!(
        "SELECT",
        "FROM enrolment_tokens ORDER BY create_time DESC, token_id"
    ));
    Ok(query.fetch_all(tx).await?)
}

/// One token, held until the transaction ends.
pub(super) async fn lock_by_id(
    tx: &mut PgConnection,
    id: TokenId,
) -> Result<Option<TokenRecord>, DbError> {
    let query = sqlx::query_as(with_columns!(
        "SELECT",
        "FROM enrolment_tokens WHERE token_id = $1 FOR UPDATE"
    ));
    Ok(query.bind(id.0).fetch_optional(tx).await?)
}

/// Takes a token back.
pub(super) async fn revoke(
    tx: &mut PgConnection,
    id: TokenId,
    actor: &str,
) -> Result<TokenRecord, DbError> {
    let query = sqlx::query_as(with_columns!(
        "UPDATE enrolment_tokens SET revoke_time = now(), revoke_actor = $2 \
         WHERE token_id = $1 RETURNING",
        ""
    ));
    Ok(query.bind(id.0).bind(actor).fetch_one(tx).await?)
}

/// A role that a newer version wrote.
pub(super) fn unreadable(role: &str) -> DbError {
    DbError::Other(sqlx::Error::Decode(
        format!("role {role:?} is not known to this version").into(),
    ))
}
