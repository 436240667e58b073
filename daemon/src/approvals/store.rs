//! Approvals in the database.

use jiff::Timestamp;
use sqlx::{FromRow, PgConnection, PgPool, Row, postgres::PgRow};
use streamspace_core::{
    access::Role,
    approval::{ApprovalState, ENROLLED_LATELY, Facts, Verdict, WAITS},
    filter::{FieldValue, Record},
    ids::{ApprovalId, TenantUid},
};
use streamspace_proto::v1;
use uuid::Uuid;

use crate::{
    db::DbError,
    rpc::{canonical::hexadecimal, time::timestamp},
};

/// The first key of the locks on requests that wait; "appr" in ASCII.
const LOCKS: i32 = 0x6170_7072;

/// One exact request of one person.
pub(super) struct Request<'a> {
    pub(super) tenant: TenantUid,
    pub(super) requester: &'a str,
    pub(super) sha256: &'a [u8],
}

/// What is written of a request that begins to wait.
pub(super) struct NewApproval<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    pub(super) summary: &'a str,
    pub(super) least_role: Role,
    pub(super) reason: &'a str,
}

/// An approval as the database holds it.
#[derive(Clone, Debug)]
pub(super) struct ApprovalRecord {
    pub(super) id: ApprovalId,
    pub(super) facts: Facts,
    pub(super) approver: Option<String>,
    method: String,
    sha256: Vec<u8>,
    target: String,
    summary: String,
    reason: String,
    decision_reason: String,
    create_time: Timestamp,
}

impl FromRow<'_, PgRow> for ApprovalRecord {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let unknown = |what: &str, word: &str| {
            sqlx::Error::Decode(format!("{what} {word:?} is not known to this version").into())
        };
        let time = |column: &str| -> Result<Option<Timestamp>, sqlx::Error> {
            let time: Option<jiff_sqlx::Timestamp> = row.try_get(column)?;
            Ok(time.map(jiff_sqlx::Timestamp::to_jiff))
        };
        let needed = |time: Option<Timestamp>| time.ok_or(sqlx::Error::RowNotFound);
        let role: String = row.try_get("least_role")?;
        let decision: Option<String> = row.try_get("decision")?;
        let decision = match (decision, time("decide_time")?) {
            (Some(word), Some(at)) => {
                Some((Verdict::parse(&word).ok_or_else(|| unknown("decision", &word))?, at))
            }
            _ => None,
        };
        Ok(Self {
            id: ApprovalId(row.try_get("approval_id")?),
            facts: Facts {
                requester: row.try_get("requester")?,
                least_role: Role::parse(&role).ok_or_else(|| unknown("role", &role))?,
                expire_time: needed(time("expire_time")?)?,
                decision,
                use_time: time("use_time")?,
            },
            approver: row.try_get("approver")?,
            method: row.try_get("method")?,
            sha256: row.try_get("request_sha256")?,
            target: row.try_get("target")?,
            summary: row.try_get("summary")?,
            reason: row.try_get("reason")?,
            decision_reason: row.try_get("decision_reason")?,
            create_time: needed(time("create_time")?)?,
        })
    }
}

/// Takes back what somebody agreed to and was not used yet.
pub(super) async fn take_back(
    tx: &mut PgConnection,
    approver: &str,
    why: &str,
) -> Result<(), DbError> {
    let query = sqlx::query(
        "UPDATE approvals SET decision = 'rejected', decision_reason = $2, decide_time = now() \
         WHERE approver = $1 AND decision = 'approved' AND use_time IS NULL",
    );
    query.bind(approver).bind(why).execute(tx).await?;
    Ok(())
}

/// Who made a token that somebody was enrolled with, and when that was used last.
pub(super) async fn who_let_in(
    pool: &PgPool,
    operator: &str,
) -> Result<Vec<(String, Timestamp)>, DbError> {
    let rows: Vec<(String, jiff_sqlx::Timestamp)> = sqlx::query_as(
        "SELECT created_by, max(use_time) FROM enrolment_tokens \
         WHERE operator = $1 AND use_time IS NOT NULL GROUP BY created_by",
    )
    .bind(operator)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(who, time)| (who, time.to_jiff())).collect())
}

impl ApprovalRecord {
    /// Whether who asked is among those who let somebody in, and lately.
    pub(super) fn is_of_who_let_in(&self, let_in: &[(String, Timestamp)]) -> bool {
        let since = self.create_time.saturating_sub(ENROLLED_LATELY).unwrap_or(Timestamp::MIN);
        let_in.iter().any(|(who, time)| *who == self.facts.requester && *time > since)
    }

    /// The key of the approval in a list.
    pub(super) fn key(&self) -> String {
        self.id.0.to_string()
    }

    /// The approval as it is at `now`.
    pub(super) fn to_proto(&self, now: Timestamp) -> v1::Approval {
        let state = match self.facts.state(now) {
            ApprovalState::Pending => v1::ApprovalState::Pending,
            ApprovalState::Approved => v1::ApprovalState::Approved,
            ApprovalState::Rejected => v1::ApprovalState::Rejected,
            ApprovalState::Used => v1::ApprovalState::Used,
            ApprovalState::Expired => v1::ApprovalState::Expired,
        };
        v1::Approval {
            name: self.id.to_name(),
            method: self.method.clone(),
            target: self.target.clone(),
            summary: self.summary.clone(),
            request_sha256: hexadecimal(&self.sha256),
            reason: self.reason.clone(),
            requester: self.facts.requester.clone(),
            state: state.into(),
            approver: self.approver.clone().unwrap_or_default(),
            decision_reason: self.decision_reason.clone(),
            create_time: timestamp(self.create_time),
            expire_time: timestamp(self.facts.ends()),
            decide_time: self.facts.decision.and_then(|(_, at)| timestamp(at)),
            use_time: self.facts.use_time.and_then(timestamp),
        }
    }
}

/// An approval at a moment, as a filter sees it.
pub(super) struct At<'a>(pub(super) &'a ApprovalRecord, pub(super) Timestamp);

impl Record for At<'_> {
    fn field(&self, name: &str) -> Option<FieldValue> {
        let Self(approval, now) = self;
        match name {
            "name" => Some(approval.id.to_name().as_str().into()),
            "method" => Some(approval.method.as_str().into()),
            "target" => Some(approval.target.as_str().into()),
            "requester" => Some(approval.facts.requester.as_str().into()),
            "approver" => approval.approver.as_deref().map(FieldValue::from),
            "state" => Some(approval.facts.state(*now).as_str().into()),
            _ => None,
        }
    }
}

/// `approvals` with all columns that a record reads.
macro_rules! with_columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " approval_id, method, request_sha256, target, summary, reason, least_role, \
             requester, create_time, expire_time, approver, decision, decision_reason, \
             decide_time, use_time ",
            $after
        )
    };
}

/// The time by the database's clock. A transaction that waited for a lock is later than
/// its beginning.
pub(super) async fn now(tx: &mut PgConnection) -> Result<Timestamp, DbError> {
    let now: jiff_sqlx::Timestamp =
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(tx).await?;
    Ok(now.to_jiff())
}

/// Holds everybody off who asks for the same, until the transaction ends.
pub(super) async fn lock(tx: &mut PgConnection, request: &Request<'_>) -> Result<(), DbError> {
    sqlx::query("SELECT pg_advisory_xact_lock($1, hashtext($2 || '/' || encode($3, 'hex')))")
        .bind(LOCKS)
        .bind(request.requester)
        .bind(request.sha256)
        .execute(tx)
        .await?;
    Ok(())
}

/// What waits or was approved for this request and is not used, newest first.
pub(super) async fn open(
    tx: &mut PgConnection,
    request: &Request<'_>,
) -> Result<Vec<ApprovalRecord>, DbError> {
    let query = sqlx::query_as(with_columns!(
        "SELECT",
        "FROM approvals \
         WHERE tenant_uid = $1 AND requester = $2 AND request_sha256 = $3 \
           AND use_time IS NULL AND decision IS DISTINCT FROM 'rejected' \
         ORDER BY create_time DESC, approval_id"
    ));
    Ok(query
        .bind(request.tenant.0)
        .bind(request.requester)
        .bind(request.sha256)
        .fetch_all(tx)
        .await?)
}

/// Uses an approval up. `false` where somebody was first or took it back.
pub(super) async fn take(tx: &mut PgConnection, id: ApprovalId) -> Result<bool, DbError> {
    let taken = sqlx::query(
        "UPDATE approvals SET use_time = now()
         WHERE approval_id = $1 AND use_time IS NULL AND decision = 'approved'",
    )
    .bind(id.0)
    .execute(tx)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Writes down that a request waits.
pub(super) async fn insert(
    tx: &mut PgConnection,
    request: &Request<'_>,
    new: &NewApproval<'_>,
) -> Result<ApprovalId, DbError> {
    let id = ApprovalId(Uuid::now_v7());
    sqlx::query(
        "INSERT INTO approvals
             (tenant_uid, approval_id, method, request_sha256, target, summary, least_role,
              reason, requester, expire_time)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + $10 * interval '1 second')",
    )
    .bind(request.tenant.0)
    .bind(id.0)
    .bind(new.method)
    .bind(request.sha256)
    .bind(new.target)
    .bind(new.summary)
    .bind(new.least_role.as_str())
    .bind(new.reason)
    .bind(request.requester)
    .bind(WAITS.as_secs())
    .execute(tx)
    .await?;
    Ok(id)
}

/// One approval, where it is in the scope of the transaction.
pub(super) async fn by_id(
    tx: &mut PgConnection,
    id: ApprovalId,
) -> Result<Option<ApprovalRecord>, DbError> {
    let query = sqlx::query_as(with_columns!("SELECT", "FROM approvals WHERE approval_id = $1"));
    Ok(query.bind(id.0).fetch_optional(tx).await?)
}

/// As [`by_id`], held until the transaction ends.
pub(super) async fn lock_by_id(
    tx: &mut PgConnection,
    id: ApprovalId,
) -> Result<Option<ApprovalRecord>, DbError> {
    let query =
        sqlx::query_as(with_columns!("SELECT", "FROM approvals WHERE approval_id = $1 FOR UPDATE"));
    Ok(query.bind(id.0).fetch_optional(tx).await?)
}

/// Approvals in the scope of the transaction, newest first.
pub(super) async fn list(tx: &mut PgConnection) -> Result<Vec<ApprovalRecord>, DbError> {
    let query = sqlx::query_as(with_columns!(
        "SELECT",
        "FROM approvals ORDER BY create_time DESC, approval_id"
    ));
    Ok(query.fetch_all(tx).await?)
}

/// Writes a decision down.
pub(super) async fn decide(
    tx: &mut PgConnection,
    id: ApprovalId,
    operator: &str,
    verdict: Verdict,
    reason: &str,
) -> Result<ApprovalRecord, DbError> {
    let query = sqlx::query_as(with_columns!(
        "UPDATE approvals \
         SET approver = $2, decision = $3, decision_reason = $4, decide_time = clock_timestamp() \
         WHERE approval_id = $1 RETURNING",
        ""
    ));
    Ok(query.bind(id.0).bind(operator).bind(verdict.as_str()).bind(reason).fetch_one(tx).await?)
}
