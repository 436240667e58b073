//! Overrides of a tenant's quota in the database. A tenant's record carries those that
//! have not ended.

use sqlx::PgConnection;
use streamspace_core::ids::TenantUid;
use uuid::Uuid;

use super::QuotaOverride;
use crate::db::DbError;

/// Writes a new override of a tenant that the transaction holds the lock of.
pub async fn insert(
    connection: &mut PgConnection,
    tenant: TenantUid,
    entry: &QuotaOverride,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO quota_overrides (tenant_uid, override_id, resource, amount, reason, actor, \
         create_time, expire_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(tenant.0)
    .bind(entry.id)
    .bind(entry.set.resource.as_str())
    .bind(entry.set.amount.0)
    .bind(&entry.reason)
    .bind(&entry.actor)
    .bind(jiff_sqlx::Timestamp::from(entry.set.create_time))
    .bind(entry.set.expire_time.map(jiff_sqlx::Timestamp::from))
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends overrides of a tenant that the transaction holds the lock of.
pub async fn end(
    connection: &mut PgConnection,
    tenant: TenantUid,
    ids: &[Uuid],
) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE quota_overrides SET end_time = clock_timestamp() \
         WHERE tenant_uid = $1 AND override_id = ANY ($2) AND end_time IS NULL",
    )
    .bind(tenant.0)
    .bind(ids)
    .execute(connection)
    .await?;
    Ok(())
}
