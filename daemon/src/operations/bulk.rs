//! Operations over several tenants or sessions, as rows.
//!
//! What holds here:
//! - An item leaves the state `pending` once a run: [`hold`] locks its row in the
//!   transaction of its change, and [`settle`] writes what became of it there.
//! - Whoever changes the operation itself (its end, a cancellation, a resumption) holds its
//!   row, and tells the change log.
//! - An item under way when the operation is cancelled is finished first: its row is locked.

use std::fmt::Write as _;

use jiff::Timestamp;
use prost::Message;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use streamspace_core::ids::OperationId;
use streamspace_proto::v1;
use uuid::Uuid;

use super::view::View;
use crate::{
    db::{
        DbError,
        changes::{self, ChangeKind, ChangeType, NewRegionChange},
    },
    rpc::time::timestamp,
};

mod items;

pub use items::{
    Held, Item, ItemKey, Settled, counted, error_of, hold, is_settled, pending, settle,
};
pub(super) use items::{ItemRecord, counts, items};

/// What an operation over several tenants is done to: a collection, as AIP-159 names it.
pub const TARGET: &str = "tenants/-";
/// Why an operation over several ends before its time, for programs: the only error that
/// it has as a whole.
pub const REQUESTER_BARRED: &str = "REQUESTER_BARRED";

/// An operation over several that is about to begin.
#[derive(Clone, Debug)]
pub struct NewBulk {
    /// What is done to each, for example `tenant.cordon`.
    pub kind: &'static str,
    /// What it is done to: a collection, or the one item.
    pub target: String,
    /// The encoded request without its names.
    pub request: Vec<u8>,
    /// Why.
    pub reason: String,
    /// The incident that the caller named.
    pub incident: String,
    /// In whose name it is done.
    pub requester: Requester,
}

/// In whose name an operation is done, as far as a certificate said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester {
    /// The operator's name.
    pub actor: String,
    /// The role as the certificate spells it.
    pub role: String,
    /// The certificate's serial number.
    pub serial: String,
}

/// An operation over several as the database holds it, without its counts.
#[derive(Clone, Debug)]
pub struct BulkRecord {
    /// Its identity.
    pub id: OperationId,
    /// What is done to each.
    pub kind: String,
    /// The encoded request without its names: a `ChangeTenantsRequest`, or of sessions a
    /// `CreateSessionRequest` or `ChangeSessionsRequest`.
    pub request: Vec<u8>,
    /// Why.
    pub reason: String,
    /// The incident that it belongs to.
    pub incident: String,
    /// In whose name it is done: who asked for it, or who resumed it last.
    pub requester: Requester,
    /// How often it was begun or resumed.
    pub run: i32,
    /// When somebody asked for its end.
    pub cancel_time: Option<Timestamp>,
    /// When it ended.
    pub end_time: Option<Timestamp>,
    target: String,
    create_time: Timestamp,
    error: Option<(i32, String)>,
}

impl FromRow<'_, PgRow> for BulkRecord {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let maybe = |column: &str| {
            let read = row.try_get::<Option<jiff_sqlx::Timestamp>, _>(column);
            read.map(|time| time.map(jiff_sqlx::Timestamp::to_jiff))
        };
        let code: Option<i32> = row.try_get("error_code")?;
        let message: Option<String> = row.try_get("error_message")?;
        Ok(Self {
            id: OperationId(row.try_get("operation_id")?),
            kind: row.try_get("kind")?,
            request: row.try_get("request")?,
            reason: row.try_get("reason")?,
            incident: row.try_get("incident")?,
            requester: Requester {
                actor: row.try_get("actor")?,
                role: row.try_get("role")?,
                serial: row.try_get("serial")?,
            },
            run: row.try_get("run")?,
            cancel_time: maybe("cancel_time")?,
            end_time: maybe("end_time")?,
            target: row.try_get("target")?,
            create_time: row.try_get::<jiff_sqlx::Timestamp, _>("create_time")?.to_jiff(),
            error: code.map(|code| (code, message.unwrap_or_default())),
        })
    }
}

impl BulkRecord {
    /// Whether it is over.
    pub fn done(&self) -> bool {
        self.end_time.is_some()
    }

    /// When it was asked for.
    pub(super) fn create_time(&self) -> Timestamp {
        self.create_time
    }

    /// As filters and orders see it.
    pub(super) fn view(&self) -> View<'_> {
        View {
            name: self.id.to_name().into(),
            kind: &self.kind,
            target: &self.target,
            done: self.done(),
            actor: &self.requester.actor,
            create_time: Some(self.create_time),
        }
    }

    /// As the contract shows it, with these counts.
    pub fn to_proto(&self, counts: v1::OperationCounts) -> v1::Operation {
        let cancelled = self.cancel_time.is_some();
        v1::Operation {
            name: self.id.to_name(),
            kind: self.kind.clone(),
            target: self.target.clone(),
            done: self.done(),
            error: self.error.clone().map(|(code, message)| v1::OperationError {
                code,
                message,
                reason: REQUESTER_BARRED.into(),
            }),
            progress: progress(&counts, self.done(), cancelled),
            actor: self.requester.actor.clone(),
            create_time: timestamp(self.create_time),
            end_time: self.end_time.and_then(timestamp),
            counts: Some(counts),
            cancelled,
            reason: self.reason.clone(),
            ..v1::Operation::default()
        }
    }
}

/// How far it is, for people.
fn progress(counts: &v1::OperationCounts, done: bool, cancelled: bool) -> String {
    let finished = counts.changed + counts.unchanged + counts.failed;
    let mut words = format!("{finished} of {}", counts.total);
    for (count, what) in [
        (counts.unchanged, "as wished already"),
        (counts.failed, "failed"),
        (counts.cancelled, "left as they were"),
    ] {
        if count > 0 {
            // Writing to a string does not fail.
            let _ = write!(words, ", {count} {what}");
        }
    }
    if cancelled && !done {
        words.push_str(", stopping");
    }
    words
}

/// `bulk_operations` with all columns that a record reads.
macro_rules! with_columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " operation_id, kind, target, request, reason, incident, actor, role, serial, \
             cancel_time, run, create_time, end_time, error_code, error_message ",
            $after
        )
    };
}

/// Begins an operation over these items, which are worked on in this order.
pub async fn begin(
    tx: &mut PgConnection,
    operation: &NewBulk,
    items: &[Item],
) -> Result<v1::Operation, DbError> {
    let Requester { actor, role, serial } = &operation.requester;
    let record: BulkRecord = sqlx::query_as(with_columns!(
        "INSERT INTO bulk_operations (operation_id, kind, target, request, reason, incident, \
         actor, role, serial) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING",
        ""
    ))
    .bind(Uuid::now_v7())
    .bind(operation.kind)
    .bind(&operation.target)
    .bind(&operation.request)
    .bind(&operation.reason)
    .bind(&operation.incident)
    .bind(actor)
    .bind(role)
    .bind(serial)
    .fetch_one(&mut *tx)
    .await?;
    let tenants: Vec<Uuid> = items.iter().map(|item| item.key.tenant.0).collect();
    let targets: Vec<&str> = items.iter().map(|item| item.target.as_str()).collect();
    let sessions: Vec<&str> = items.iter().map(|item| item.key.session.as_str()).collect();
    let uids: Vec<Option<Uuid>> =
        items.iter().map(|item| item.session_uid.map(|uid| uid.0)).collect();
    sqlx::query(
        "INSERT INTO bulk_items (tenant_uid, operation_id, ordinal, target, session, session_uid)
         SELECT tenant_uid, $1, ordinal, target, session, session_uid
         FROM unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[]) WITH ORDINALITY
              AS item (tenant_uid, target, session, session_uid, ordinal)",
    )
    .bind(record.id.0)
    .bind(&tenants)
    .bind(&targets)
    .bind(&sessions)
    .bind(&uids)
    .execute(&mut *tx)
    .await?;
    tell(tx, &record, ChangeType::Created, actor).await
}

/// The operations that are not over, the oldest first.
pub async fn open(tx: &mut PgConnection) -> Result<Vec<BulkRecord>, DbError> {
    let query = sqlx::query_as(with_columns!(
        "SELECT",
        "FROM bulk_operations WHERE end_time IS NULL ORDER BY create_time, operation_id"
    ));
    Ok(query.fetch_all(tx).await?)
}

/// All operations, the newest first.
pub(super) async fn list(tx: &mut PgConnection) -> Result<Vec<BulkRecord>, DbError> {
    let query = sqlx::query_as(with_columns!(
        "SELECT",
        "FROM bulk_operations ORDER BY create_time DESC, operation_id"
    ));
    Ok(query.fetch_all(tx).await?)
}

/// One operation.
pub async fn by_id(tx: &mut PgConnection, id: OperationId) -> Result<Option<BulkRecord>, DbError> {
    let query =
        sqlx::query_as(with_columns!("SELECT", "FROM bulk_operations WHERE operation_id = $1"));
    Ok(query.bind(id.0).fetch_optional(tx).await?)
}

/// One operation, held until the transaction ends.
pub(super) async fn lock(
    tx: &mut PgConnection,
    id: OperationId,
) -> Result<Option<BulkRecord>, DbError> {
    let query = sqlx::query_as(with_columns!(
        "SELECT",
        "FROM bulk_operations WHERE operation_id = $1 FOR NO KEY UPDATE"
    ));
    Ok(query.bind(id.0).fetch_optional(tx).await?)
}

/// As the contract shows it, with its counts.
pub(super) async fn shown(
    tx: &mut PgConnection,
    record: &BulkRecord,
) -> Result<v1::Operation, DbError> {
    let counts = counts(tx, &[record.id]).await?.pop().unwrap_or_default();
    Ok(record.to_proto(counts))
}

/// Tells the change log how far an operation is.
pub async fn report(tx: &mut PgConnection, id: OperationId, actor: &str) -> Result<(), DbError> {
    if let Some(record) = lock(tx, id).await? {
        tell(tx, &record, ChangeType::Updated, actor).await?;
    }
    Ok(())
}

/// Ends an operation: its work is done, or it was cancelled, or it has this error. What
/// still waits is left as it is. `false`: there is still work, since somebody resumed it.
pub async fn end(
    tx: &mut PgConnection,
    id: OperationId,
    error: Option<&v1::OperationError>,
    actor: &str,
) -> Result<bool, DbError> {
    let Some(record) = lock(tx, id).await? else { return Ok(true) };
    if record.done() {
        return Ok(true);
    }
    if record.cancel_time.is_some() || error.is_some() {
        sqlx::query(
            "UPDATE bulk_items SET state = 'cancelled', end_time = clock_timestamp()
             WHERE operation_id = $1 AND state = 'pending'",
        )
        .bind(id.0)
        .execute(&mut *tx)
        .await?;
    } else if !pending(tx, id, 1, &[]).await?.is_empty() {
        return Ok(false);
    }
    let record: BulkRecord = sqlx::query_as(with_columns!(
        "UPDATE bulk_operations
         SET end_time = clock_timestamp(), error_code = $2, error_message = $3
         WHERE operation_id = $1 RETURNING",
        ""
    ))
    .bind(id.0)
    .bind(error.map(|error| error.code))
    .bind(error.map(|error| error.message.as_str()))
    .fetch_one(&mut *tx)
    .await?;
    tell(tx, &record, ChangeType::Updated, actor).await?;
    Ok(true)
}

/// Notes that somebody wants the end of an operation that is not over. The transaction
/// holds it.
pub(super) async fn cancel(
    tx: &mut PgConnection,
    id: OperationId,
    actor: &str,
) -> Result<v1::Operation, DbError> {
    let record: BulkRecord = sqlx::query_as(with_columns!(
        "UPDATE bulk_operations SET cancel_time = clock_timestamp(), cancel_actor = $2 \
         WHERE operation_id = $1 RETURNING",
        ""
    ))
    .bind(id.0)
    .bind(actor)
    .fetch_one(&mut *tx)
    .await?;
    tell(tx, &record, ChangeType::Updated, actor).await
}

/// Begins the next run of an operation, in the name of who asks for that: what was left or
/// failed waits again. The transaction holds it.
pub async fn resume(
    tx: &mut PgConnection,
    id: OperationId,
    requester: &Requester,
) -> Result<v1::Operation, DbError> {
    sqlx::query(
        "UPDATE bulk_items
         SET state = 'pending', error_code = NULL, error_message = NULL, error_reason = '',
             end_time = NULL
         WHERE operation_id = $1 AND state IN ('cancelled', 'failed')",
    )
    .bind(id.0)
    .execute(&mut *tx)
    .await?;
    let Requester { actor, role, serial } = requester;
    let record: BulkRecord = sqlx::query_as(with_columns!(
        "UPDATE bulk_operations
         SET run = run + 1, cancel_time = NULL, cancel_actor = '', end_time = NULL,
             error_code = NULL, error_message = NULL, actor = $2, role = $3, serial = $4
         WHERE operation_id = $1 RETURNING",
        ""
    ))
    .bind(id.0)
    .bind(actor)
    .bind(role)
    .bind(serial)
    .fetch_one(&mut *tx)
    .await?;
    tell(tx, &record, ChangeType::Updated, actor).await
}

async fn tell(
    tx: &mut PgConnection,
    record: &BulkRecord,
    change: ChangeType,
    actor: &str,
) -> Result<v1::Operation, DbError> {
    let operation = shown(tx, record).await?;
    let resource = v1::resource::Resource::Operation(operation.clone());
    let resource = v1::Resource { resource: Some(resource) };
    let change = NewRegionChange {
        kind: ChangeKind::Operation,
        change,
        name: operation.name.clone(),
        actor: actor.to_owned(),
        resource: resource.encode_to_vec(),
    };
    changes::record_of_region(tx, &change).await?;
    Ok(operation)
}
