//! Operations in the database.

use jiff::Timestamp;
use prost::Message;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use streamspace_core::ids::{OperationId, TenantUid};
use streamspace_proto::v1;
use uuid::Uuid;

use super::view::View;
use crate::{
    db::{
        DbError,
        changes::{self, ChangeKind, ChangeType, NewChange},
    },
    rpc::time::timestamp,
};

/// An operation that is about to begin.
#[derive(Clone, Debug)]
pub struct NewOperation {
    /// Whose it is.
    pub tenant: TenantUid,
    /// What is done.
    pub kind: &'static str,
    /// The name of the resource that it is done to.
    pub target: String,
    /// Who asked for it.
    pub actor: String,
}

impl NewOperation {
    /// The operation as it would be, without a name.
    pub fn preview(&self) -> v1::Operation {
        v1::Operation {
            kind: self.kind.into(),
            target: self.target.clone(),
            actor: self.actor.clone(),
            ..v1::Operation::default()
        }
    }
}

/// An operation as the database holds it.
#[derive(Clone, Debug)]
pub(super) struct OperationRecord {
    id: OperationId,
    tenant: TenantUid,
    kind: String,
    target: String,
    actor: String,
    progress: String,
    done: bool,
    error: Option<(i32, String)>,
    create_time: Timestamp,
    end_time: Option<Timestamp>,
}

impl FromRow<'_, PgRow> for OperationRecord {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let code: Option<i32> = row.try_get("error_code")?;
        let message: Option<String> = row.try_get("error_message")?;
        Ok(Self {
            id: OperationId(row.try_get("operation_id")?),
            tenant: TenantUid(row.try_get("tenant_uid")?),
            kind: row.try_get("kind")?,
            target: row.try_get("target")?,
            actor: row.try_get("actor")?,
            progress: row.try_get("progress")?,
            done: row.try_get("done")?,
            error: code.map(|code| (code, message.unwrap_or_default())),
            create_time: row.try_get::<jiff_sqlx::Timestamp, _>("create_time")?.to_jiff(),
            end_time: row
                .try_get::<Option<jiff_sqlx::Timestamp>, _>("end_time")?
                .map(jiff_sqlx::Timestamp::to_jiff),
        })
    }
}

impl OperationRecord {
    /// Its identity.
    pub(super) fn id(&self) -> OperationId {
        self.id
    }

    /// The key of the operation in a list.
    pub(super) fn key(&self) -> String {
        self.id.0.to_string()
    }

    /// As filters and orders see it.
    pub(super) fn view(&self) -> View<'_> {
        View {
            name: self.id.to_name().into(),
            kind: &self.kind,
            target: &self.target,
            done: self.done,
            actor: &self.actor,
            create_time: Some(self.create_time),
        }
    }

    /// What is done.
    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    /// What it is done to.
    pub(super) fn target(&self) -> &str {
        &self.target
    }

    /// When it was asked for.
    pub(super) fn create_time(&self) -> Timestamp {
        self.create_time
    }

    pub(super) fn to_proto(&self) -> v1::Operation {
        v1::Operation {
            name: self.id.to_name(),
            kind: self.kind.clone(),
            target: self.target.clone(),
            done: self.done,
            error: self.error.clone().map(|(code, message)| v1::OperationError {
                code,
                message,
                reason: String::new(),
            }),
            progress: self.progress.clone(),
            actor: self.actor.clone(),
            create_time: timestamp(self.create_time),
            end_time: self.end_time.and_then(timestamp),
            ..v1::Operation::default()
        }
    }

    fn change(&self, change: ChangeType, actor: &str) -> NewChange {
        let resource =
            v1::Resource { resource: Some(v1::resource::Resource::Operation(self.to_proto())) };
        NewChange {
            kind: ChangeKind::Operation,
            change,
            tenant_uid: self.tenant,
            name: self.id.to_name(),
            actor: actor.to_owned(),
            resource: resource.encode_to_vec(),
        }
    }
}

/// `operations` with all columns that a record reads.
macro_rules! with_columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " operation_id, tenant_uid, kind, target, actor, progress, done, error_code, \
             error_message, create_time, end_time ",
            $after
        )
    };
}

/// Begins an operation in the transaction of the change that asks for it.
pub async fn begin(
    tx: &mut PgConnection,
    operation: &NewOperation,
) -> Result<v1::Operation, DbError> {
    let record: OperationRecord = sqlx::query_as(with_columns!(
        "INSERT INTO operations (operation_id, tenant_uid, kind, target, actor) \
         VALUES ($1, $2, $3, $4, $5) RETURNING",
        ""
    ))
    .bind(Uuid::now_v7())
    .bind(operation.tenant.0)
    .bind(operation.kind)
    .bind(&operation.target)
    .bind(&operation.actor)
    .fetch_one(&mut *tx)
    .await?;
    changes::record(tx, &record.change(ChangeType::Created, &operation.actor)).await?;
    Ok(record.to_proto())
}

/// Notes what the open operations of this kind on the tenant are at. Nothing is
/// written where that is known already.
pub async fn progress(
    tx: &mut PgConnection,
    tenant: TenantUid,
    kind: &str,
    words: &str,
    actor: &str,
) -> Result<(), DbError> {
    let records: Vec<OperationRecord> = sqlx::query_as(with_columns!(
        "UPDATE operations SET progress = $3 \
         WHERE tenant_uid = $1 AND kind = $2 AND NOT done AND progress <> $3 RETURNING",
        ""
    ))
    .bind(tenant.0)
    .bind(kind)
    .bind(words)
    .fetch_all(&mut *tx)
    .await?;
    record_all(tx, &records, actor).await
}

/// Ends the open operations of this kind on the tenant with success.
pub async fn finish(
    tx: &mut PgConnection,
    tenant: TenantUid,
    kind: &str,
    actor: &str,
) -> Result<(), DbError> {
    let records: Vec<OperationRecord> = sqlx::query_as(with_columns!(
        "UPDATE operations SET done = true, end_time = now(), progress = 'done' \
         WHERE tenant_uid = $1 AND kind = $2 AND NOT done RETURNING",
        ""
    ))
    .bind(tenant.0)
    .bind(kind)
    .fetch_all(&mut *tx)
    .await?;
    record_all(tx, &records, actor).await
}

async fn record_all(
    tx: &mut PgConnection,
    records: &[OperationRecord],
    actor: &str,
) -> Result<(), DbError> {
    for record in records {
        changes::record(tx, &record.change(ChangeType::Updated, actor)).await?;
    }
    Ok(())
}

/// One operation, where it is in the scope of the transaction.
pub(super) async fn by_id(
    tx: &mut PgConnection,
    id: OperationId,
) -> Result<Option<OperationRecord>, DbError> {
    let query = sqlx::query_as(with_columns!("SELECT", "FROM operations WHERE operation_id = $1"));
    Ok(query.bind(id.0).fetch_optional(tx).await?)
}

/// Operations in the scope of the transaction, newest first.
pub(super) async fn list(tx: &mut PgConnection) -> Result<Vec<OperationRecord>, DbError> {
    let query = sqlx::query_as(with_columns!(
        "SELECT",
        "FROM operations ORDER BY create_time DESC, operation_id"
    ));
    Ok(query.fetch_all(tx).await?)
}

/// Those in the scope of the transaction that are not over.
pub(super) async fn open(tx: &mut PgConnection) -> Result<Vec<OperationRecord>, DbError> {
    let query = sqlx::query_as(with_columns!("SELECT", "FROM operations WHERE NOT done"));
    Ok(query.fetch_all(tx).await?)
}

/// Those of these in the scope of the transaction that are not over.
pub(super) async fn open_of(
    tx: &mut PgConnection,
    ids: &[OperationId],
) -> Result<Vec<OperationRecord>, DbError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let query = sqlx::query_as(with_columns!(
        "SELECT",
        "FROM operations WHERE NOT done AND operation_id = ANY ($1)"
    ));
    Ok(query.bind(ids).fetch_all(tx).await?)
}
