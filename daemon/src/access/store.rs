//! The certificates that were issued, as rows.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use streamspace_core::{access::Role, ids::TenantUid};
use uuid::Uuid;

use super::{
    ca::{Grant, Issued, Kind},
    token::unreadable,
};
use crate::db::DbError;

/// A device certificate with what decides about its renewal.
#[derive(Clone, Debug)]
pub(super) struct DeviceRow {
    pub(super) serial: String,
    pub(super) family: Uuid,
    pub(super) grant: Grant,
    pub(super) device_name: String,
    pub(super) expires: Timestamp,
    pub(super) first_used: bool,
    pub(super) superseded_by: Option<String>,
    pub(super) revoked: bool,
}

impl FromRow<'_, PgRow> for DeviceRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let role: String = row.try_get("role")?;
        let role = Role::parse(&role).ok_or_else(|| match unreadable(&role) {
            DbError::Unavailable(error) | DbError::Conflict(error) | DbError::Other(error) => error,
        })?;
        let tenants: Vec<Uuid> = row.try_get("tenant_uids")?;
        Ok(Self {
            serial: row.try_get("serial")?,
            family: row.try_get("family_id")?,
            grant: Grant {
                operator: row.try_get("operator")?,
                role,
                tenants: tenants.into_iter().map(TenantUid).collect(),
            },
            device_name: row.try_get("device_name")?,
            expires: row.try_get::<jiff_sqlx::Timestamp, _>("expire_time")?.to_jiff(),
            first_used: row.try_get("is_used")?,
            superseded_by: row.try_get("superseded_by")?,
            revoked: row.try_get("is_revoked")?,
        })
    }
}

/// What a certificate belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Belonging<'a> {
    pub(super) family: Uuid,
    pub(super) grant: &'a Grant,
    pub(super) device_name: &'a str,
}

/// Writes a certificate down before it is handed out.
pub(super) async fn insert(
    tx: &mut PgConnection,
    issued: &Issued,
    kind: Kind,
    belonging: Belonging<'_>,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO certificates
             (serial, family_id, kind, operator, role, tenant_uids, device_name, expire_time)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&issued.serial)
    .bind(belonging.family)
    .bind(match kind {
        Kind::Device => "device",
        Kind::Client => "client",
    })
    .bind(&belonging.grant.operator)
    .bind(belonging.grant.role.as_str())
    .bind(belonging.grant.tenants.iter().map(|tenant| tenant.0).collect::<Vec<Uuid>>())
    .bind(belonging.device_name)
    .bind(jiff_sqlx::Timestamp::from(issued.expires))
    .execute(tx)
    .await?;
    Ok(())
}

/// The device certificates of the family that a serial number belongs to, under the
/// lock of the family: whoever renews or revokes in it comes one after the other.
pub(super) async fn lock_devices(
    tx: &mut PgConnection,
    serial: &str,
) -> Result<Vec<DeviceRow>, DbError> {
    sqlx::query(
        "SELECT pg_advisory_xact_lock(hashtextextended('family ' || family_id::text, 0))
         FROM certificates WHERE serial = $1",
    )
    .bind(serial)
    .execute(&mut *tx)
    .await?;
    // A statement of its own: its snapshot is younger than the lock, so it has what the
    // renewal before wrote. Locks on the rows alone would miss rows that came meanwhile.
    let rows = sqlx::query_as(
        "SELECT serial, family_id, operator, role, tenant_uids, device_name, expire_time,
                first_used IS NOT NULL AS is_used, superseded_by,
                revoke_time IS NOT NULL AS is_revoked
         FROM certificates
         WHERE kind = 'device'
           AND family_id = (SELECT family_id FROM certificates WHERE serial = $1)",
    )
    .bind(serial)
    .fetch_all(tx)
    .await?;
    Ok(rows)
}

/// Notes that a certificate was used, and which one comes after it.
pub(super) async fn supersede(
    tx: &mut PgConnection,
    serial: &str,
    by: &str,
    used: bool,
) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE certificates
         SET superseded_by = $2,
             first_used = CASE WHEN $3 THEN coalesce(first_used, now()) ELSE first_used END
         WHERE serial = $1",
    )
    .bind(serial)
    .bind(by)
    .bind(used)
    .execute(tx)
    .await?;
    Ok(())
}

/// Revokes every certificate of a family that is not revoked yet, under the lock of
/// [`lock_devices`]. Returns how many of them were good until now.
pub(super) async fn revoke_family(
    tx: &mut PgConnection,
    family: Uuid,
    reason: &str,
    actor: &str,
) -> Result<u64, DbError> {
    let good: Vec<bool> = sqlx::query_scalar(
        "UPDATE certificates SET revoke_time = now(), revoke_reason = $2, revoke_actor = $3
         WHERE family_id = $1 AND revoke_time IS NULL
         RETURNING expire_time > now()",
    )
    .bind(family)
    .bind(reason)
    .bind(actor)
    .fetch_all(tx)
    .await?;
    Ok(u64::try_from(good.into_iter().filter(|good| *good).count()).unwrap_or(u64::MAX))
}

/// Revokes one certificate that is not revoked yet.
pub(super) async fn revoke_one(
    tx: &mut PgConnection,
    serial: &str,
    reason: &str,
    actor: &str,
) -> Result<(), DbError> {
    sqlx::query(
        "UPDATE certificates SET revoke_time = now(), revoke_reason = $2, revoke_actor = $3
         WHERE serial = $1 AND revoke_time IS NULL",
    )
    .bind(serial)
    .bind(reason)
    .bind(actor)
    .execute(tx)
    .await?;
    Ok(())
}

/// How many enrolments of a person, other than this one, have a device certificate that is
/// good.
pub(super) async fn other_ways_in(
    tx: &mut PgConnection,
    operator: &str,
    family: Uuid,
) -> Result<i64, DbError> {
    let query = sqlx::query_scalar(
        "SELECT count(DISTINCT family_id) FROM certificates
         WHERE operator = $1 AND family_id <> $2 AND kind = 'device'
           AND revoke_time IS NULL AND expire_time > now()",
    );
    Ok(query.bind(operator).bind(family).fetch_one(tx).await?)
}

/// Every revoked certificate that has not expired, by serial number: since when, and why.
pub(super) async fn revoked(
    database: &sqlx::PgPool,
) -> Result<HashMap<String, (Timestamp, String)>, DbError> {
    let rows: Vec<(String, jiff_sqlx::Timestamp, String)> = sqlx::query_as(
        "SELECT serial, revoke_time, coalesce(revoke_reason, '') FROM certificates
         WHERE revoke_time IS NOT NULL AND expire_time > now()",
    )
    .fetch_all(database)
    .await?;
    Ok(rows.into_iter().map(|(serial, time, reason)| (serial, (time.to_jiff(), reason))).collect())
}
