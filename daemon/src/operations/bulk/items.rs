//! The items of operations over several, as rows.

use jiff::Timestamp;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use streamspace_core::{
    filter::{FieldValue, Record},
    ids::{OperationId, TenantUid},
    session::SessionUid,
};
use streamspace_proto::v1;
use tonic::Status;
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::{db::DbError, rpc::time::timestamp};

/// What tells the items of one operation apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ItemKey {
    /// The tenant.
    pub tenant: TenantUid,
    /// The name of the session in it; empty where the tenant itself is the item.
    pub session: String,
}

/// One tenant or session of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Which it is.
    pub key: ItemKey,
    /// Which object of the session's name is meant. Absent for one that is to be created.
    pub session_uid: Option<SessionUid>,
    /// Its name, `tenants/{tenant}` or `tenants/{tenant}/sessions/{session}`.
    pub target: String,
}

impl Item {
    /// A tenant, by its identity and its name.
    pub fn of_tenant(tenant: TenantUid, target: String) -> Self {
        let key = ItemKey { tenant, session: String::new() };
        Self { key, session_uid: None, target }
    }
}

/// What became of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It was changed.
    Changed,
    /// It was as wished already.
    Unchanged,
    /// It was refused.
    Failed(v1::OperationError),
}

/// A refusal as an item keeps it.
pub fn error_of(status: &Status) -> v1::OperationError {
    let details = status.get_error_details();
    v1::OperationError {
        code: i32::from(status.code()),
        message: status.message().to_owned(),
        reason: details.error_info().map(|info| info.reason.clone()).unwrap_or_default(),
    }
}

/// How many of these rehearsed items are in which state.
pub fn counted<'a>(items: impl IntoIterator<Item = &'a v1::OperationItem>) -> v1::OperationCounts {
    use v1::OperationItemState as State;
    let mut counts = v1::OperationCounts::default();
    for item in items {
        counts.total += 1;
        match item.state() {
            State::Changed => counts.changed += 1,
            State::Unchanged => counts.unchanged += 1,
            State::Failed => counts.failed += 1,
            State::Pending | State::Cancelled | State::Unspecified => counts.pending += 1,
        }
    }
    counts
}

/// How many items of these operations are in which state; the same order.
pub(in crate::operations) async fn counts(
    tx: &mut PgConnection,
    ids: &[OperationId],
) -> Result<Vec<v1::OperationCounts>, DbError> {
    let uuids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<(Uuid, String, i64)> = sqlx::query_as(
        "SELECT operation_id, state, count(*) FROM bulk_items
         WHERE operation_id = ANY ($1) GROUP BY operation_id, state",
    )
    .bind(&uuids)
    .fetch_all(tx)
    .await?;
    let of = |id: &Uuid| {
        let mut counts = v1::OperationCounts::default();
        for (_, state, count) in rows.iter().filter(|(operation, ..)| operation == id) {
            counts.total += count;
            match state.as_str() {
                "pending" => counts.pending = *count,
                "changed" => counts.changed = *count,
                "unchanged" => counts.unchanged = *count,
                "failed" => counts.failed = *count,
                _ => counts.cancelled = *count,
            }
        }
        counts
    };
    Ok(uuids.iter().map(of).collect())
}

/// The next items to work on, other than these.
pub async fn pending(
    tx: &mut PgConnection,
    id: OperationId,
    limit: i64,
    without: &[ItemKey],
) -> Result<Vec<Item>, DbError> {
    let tenants: Vec<Uuid> = without.iter().map(|key| key.tenant.0).collect();
    let sessions: Vec<&str> = without.iter().map(|key| key.session.as_str()).collect();
    let rows: Vec<(Uuid, String, Option<Uuid>, String)> = sqlx::query_as(
        "SELECT tenant_uid, session, session_uid, target FROM bulk_items
         WHERE operation_id = $1 AND state = 'pending'
           AND (tenant_uid, session) NOT IN (SELECT * FROM unnest($3::uuid[], $4::text[]))
         ORDER BY ordinal LIMIT $2",
    )
    .bind(id.0)
    .bind(limit)
    .bind(&tenants)
    .bind(&sessions)
    .fetch_all(tx)
    .await?;
    let item = |(tenant, session, uid, target): (Uuid, String, Option<Uuid>, String)| Item {
        key: ItemKey { tenant: TenantUid(tenant), session },
        session_uid: uid.map(SessionUid),
        target,
    };
    Ok(rows.into_iter().map(item).collect())
}

/// What [`hold`] found of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It waits, and nobody else settles it until the transaction ends.
    Pending,
    /// It waits, and its tenant is gone. Another one may have the name.
    TenantGone,
    /// It was settled, or the operation is to stop.
    Over,
}

/// Holds an item until the transaction ends.
pub async fn hold(tx: &mut PgConnection, id: OperationId, key: &ItemKey) -> Result<Held, DbError> {
    let lives: Option<bool> = sqlx::query_scalar(
        "SELECT tenant.state <> 'gone'
         FROM bulk_items AS item
         JOIN bulk_operations AS operation USING (operation_id)
         JOIN tenants AS tenant ON tenant.tenant_uid = item.tenant_uid
         WHERE item.operation_id = $1 AND item.tenant_uid = $2 AND item.session = $3
           AND item.state = 'pending'
           AND operation.cancel_time IS NULL AND operation.end_time IS NULL
         FOR NO KEY UPDATE OF item",
    )
    .bind(id.0)
    .bind(key.tenant.0)
    .bind(&key.session)
    .fetch_optional(tx)
    .await?;
    Ok(match lives {
        Some(true) => Held::Pending,
        Some(false) => Held::TenantGone,
        None => Held::Over,
    })
}

/// Whether an item was worked on, and is as its state says.
pub async fn is_settled(
    tx: &mut PgConnection,
    id: OperationId,
    key: &ItemKey,
) -> Result<bool, DbError> {
    let query = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM bulk_items
                        WHERE operation_id = $1 AND tenant_uid = $2 AND session = $3
                          AND state IN ('changed', 'unchanged', 'failed'))",
    );
    Ok(query.bind(id.0).bind(key.tenant.0).bind(&key.session).fetch_one(tx).await?)
}

/// Writes what became of an item that waited. `false`: it did not.
pub async fn settle(
    tx: &mut PgConnection,
    id: OperationId,
    key: &ItemKey,
    settled: &Settled,
) -> Result<bool, DbError> {
    let (state, error) = match settled {
        Settled::Changed => ("changed", None),
        Settled::Unchanged => ("unchanged", None),
        Settled::Failed(error) => ("failed", Some(error)),
    };
    let done = sqlx::query(
        "UPDATE bulk_items
         SET state = $4, error_code = $5, error_message = $6, error_reason = $7,
             end_time = clock_timestamp()
         WHERE operation_id = $1 AND tenant_uid = $2 AND session = $3 AND state = 'pending'",
    )
    .bind(id.0)
    .bind(key.tenant.0)
    .bind(&key.session)
    .bind(state)
    .bind(error.map(|error| error.code))
    .bind(error.map(|error| error.message.as_str()))
    .bind(error.map_or("", |error| error.reason.as_str()))
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// An item as a list shows it.
#[derive(Clone, Debug)]
pub(in crate::operations) struct ItemRecord {
    ordinal: i32,
    target: String,
    state: String,
    error: Option<v1::OperationError>,
    end_time: Option<Timestamp>,
}

impl FromRow<'_, PgRow> for ItemRecord {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let code: Option<i32> = row.try_get("error_code")?;
        let message: Option<String> = row.try_get("error_message")?;
        let reason: String = row.try_get("error_reason")?;
        let message = message.unwrap_or_default();
        let end_time: Option<jiff_sqlx::Timestamp> = row.try_get("end_time")?;
        Ok(Self {
            ordinal: row.try_get("ordinal")?,
            target: row.try_get("target")?,
            state: row.try_get("state")?,
            error: code.map(|code| v1::OperationError { code, message, reason }),
            end_time: end_time.map(jiff_sqlx::Timestamp::to_jiff),
        })
    }
}

impl ItemRecord {
    /// The key of the item in a list.
    pub(in crate::operations) fn key(&self) -> String {
        self.ordinal.to_string()
    }

    pub(in crate::operations) fn to_proto(&self) -> v1::OperationItem {
        use v1::OperationItemState as State;
        let state = match self.state.as_str() {
            "pending" => State::Pending,
            "changed" => State::Changed,
            "unchanged" => State::Unchanged,
            "failed" => State::Failed,
            "cancelled" => State::Cancelled,
            _ => State::Unspecified,
        };
        v1::OperationItem {
            target: self.target.clone(),
            state: state.into(),
            error: self.error.clone(),
            end_time: self.end_time.and_then(timestamp),
        }
    }
}

impl Record for ItemRecord {
    fn field(&self, name: &str) -> Option<FieldValue> {
        match name {
            "target" => Some(FieldValue::Text(self.target.clone())),
            "state" => Some(FieldValue::Text(self.state.clone())),
            _ => None,
        }
    }
}

/// The items of an operation after this place, in the order in which they are worked on.
pub(in crate::operations) async fn items(
    tx: &mut PgConnection,
    id: OperationId,
    after: i32,
) -> Result<Vec<ItemRecord>, DbError> {
    let query = sqlx::query_as(
        "SELECT ordinal, target, state, error_code, error_message, error_reason, end_time
         FROM bulk_items WHERE operation_id = $1 AND ordinal > $2 ORDER BY ordinal",
    );
    Ok(query.bind(id.0).bind(after).fetch_all(tx).await?)
}
