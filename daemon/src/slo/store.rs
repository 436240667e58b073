//! Definitions of SLOs in the database.

use jiff::Timestamp;
use prost::Message as _;
use sqlx::{FromRow, PgConnection, Row as _, postgres::PgRow};
use streamspace_core::{
    ids::SloId,
    slo::{Minute, Slo},
};
use streamspace_proto::v1;
use uuid::Uuid;

use super::convert;
use crate::db::DbError;

/// A definition and how far it is measured.
#[derive(Clone, Debug)]
pub(super) struct SloRecord {
    pub(super) uid: Uuid,
    pub(super) slo: Slo,
    pub(super) seeded: bool,
    pub(super) version: i64,
    /// The first minute that is measured.
    pub(super) first: Minute,
    /// The first minute that is not known yet.
    pub(super) known: Minute,
    pub(super) problem: String,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
}

impl SloRecord {
    /// The name of what alerts are about.
    pub(super) fn subject(&self) -> String {
        self.slo.id.to_name()
    }
}

impl FromRow<'_, PgRow> for SloRecord {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let broken = |error: String| sqlx::Error::Decode(error.into());
        let id: &str = row.try_get("slo_id")?;
        let bytes: &[u8] = row.try_get("definition")?;
        let given = v1::Slo::decode(bytes).map_err(|error| broken(error.to_string()))?;
        let id = SloId::parse(id).map_err(|error| broken(error.to_string()))?;
        let slo = convert::of_proto(id, &given).map_err(|faults| {
            broken(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })?;
        Ok(Self {
            uid: row.try_get("slo_uid")?,
            slo,
            seeded: row.try_get("seeded")?,
            version: row.try_get("version")?,
            first: Minute(row.try_get("first_minute")?),
            known: Minute(row.try_get("known_minute")?),
            problem: row.try_get("problem")?,
            created: row.try_get::<jiff_sqlx::Timestamp, _>("create_time")?.to_jiff(),
            updated: row.try_get::<jiff_sqlx::Timestamp, _>("update_time")?.to_jiff(),
        })
    }
}

/// All of them, by name.
pub(super) async fn list(tx: &mut PgConnection) -> Result<Vec<SloRecord>, DbError> {
    Ok(sqlx::query_as("SELECT * FROM slos ORDER BY slo_id").fetch_all(tx).await?)
}

/// One of them.
pub(super) async fn get(tx: &mut PgConnection, id: &SloId) -> Result<Option<SloRecord>, DbError> {
    let query = sqlx::query_as("SELECT * FROM slos WHERE slo_id = $1");
    Ok(query.bind(id.as_str()).fetch_optional(tx).await?)
}

/// One of them, which nobody else changes or measures meanwhile.
pub(super) async fn lock(tx: &mut PgConnection, id: &SloId) -> Result<Option<SloRecord>, DbError> {
    let query = sqlx::query_as("SELECT * FROM slos WHERE slo_id = $1 FOR UPDATE");
    Ok(query.bind(id.as_str()).fetch_optional(tx).await?)
}

/// Writes a new one. `None`: the name is taken.
pub(super) async fn insert(
    tx: &mut PgConnection,
    slo: &Slo,
    seeded: bool,
    first: Minute,
) -> Result<Option<SloRecord>, DbError> {
    let query = sqlx::query_as(
        "INSERT INTO slos (slo_uid, slo_id, definition, seeded, first_minute, known_minute) \
         VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (slo_id) DO NOTHING RETURNING *",
    );
    let row = query
        .bind(Uuid::now_v7())
        .bind(slo.id.as_str())
        .bind(convert::to_proto(slo).encode_to_vec())
        .bind(seeded)
        .bind(first.0)
        .fetch_optional(tx)
        .await?;
    Ok(row)
}

/// Writes a changed one. Where its indicator is another, it begins anew at `from`.
pub(super) async fn update(
    tx: &mut PgConnection,
    current: &SloRecord,
    slo: &Slo,
    anew: Option<Minute>,
) -> Result<SloRecord, DbError> {
    if anew.is_some() {
        forget(tx, current.uid).await?;
    }
    let query = sqlx::query_as(
        "UPDATE slos SET definition = $2, version = version + 1, update_time = now(), \
         first_minute = coalesce($3, first_minute), known_minute = coalesce($3, known_minute), \
         problem = CASE WHEN $3 IS NULL THEN problem ELSE '' END \
         WHERE slo_uid = $1 RETURNING *",
    );
    let row = query
        .bind(current.uid)
        .bind(convert::to_proto(slo).encode_to_vec())
        .bind(anew.map(|minute| minute.0))
        .fetch_one(tx)
        .await?;
    Ok(row)
}

/// Deletes one and what was measured for it.
pub(super) async fn delete(tx: &mut PgConnection, uid: Uuid) -> Result<(), DbError> {
    forget(tx, uid).await?;
    sqlx::query("DELETE FROM slos WHERE slo_uid = $1").bind(uid).execute(tx).await?;
    Ok(())
}

async fn forget(tx: &mut PgConnection, uid: Uuid) -> Result<(), DbError> {
    for query in [
        "DELETE FROM slo_hours WHERE slo_uid = $1",
        "DELETE FROM slo_budgets WHERE slo_uid = $1",
        "DELETE FROM slo_pushed WHERE slo_uid = $1",
    ] {
        sqlx::query(query).bind(uid).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Notes how far one is measured.
pub(super) async fn known(tx: &mut PgConnection, uid: Uuid, known: Minute) -> Result<(), DbError> {
    sqlx::query("UPDATE slos SET known_minute = $2, problem = '' WHERE slo_uid = $1")
        .bind(uid)
        .bind(known.0)
        .execute(tx)
        .await?;
    Ok(())
}

/// Notes why one is not measured.
pub(super) async fn problem(
    tx: &mut PgConnection,
    uid: Uuid,
    problem: &str,
) -> Result<(), DbError> {
    sqlx::query("UPDATE slos SET problem = $2 WHERE slo_uid = $1 AND problem <> $2")
        .bind(uid)
        .bind(problem)
        .execute(tx)
        .await?;
    Ok(())
}

/// Which seeds were planted.
pub(super) async fn seeds(tx: &mut PgConnection) -> Result<Vec<String>, DbError> {
    Ok(sqlx::query_scalar("SELECT slo_id FROM slo_seeds").fetch_all(tx).await?)
}

/// Notes that a seed was planted.
pub(super) async fn planted(tx: &mut PgConnection, id: &SloId) -> Result<(), DbError> {
    sqlx::query("INSERT INTO slo_seeds (slo_id) VALUES ($1) ON CONFLICT DO NOTHING")
        .bind(id.as_str())
        .execute(tx)
        .await?;
    Ok(())
}

/// A tenant that can have a budget.
#[derive(Clone, Debug)]
pub(super) struct TenantRow {
    pub(super) uid: Uuid,
    pub(super) id: String,
    pub(super) namespace: String,
    /// What its plan promises, in millionths.
    pub(super) availability_ppm: i32,
}

/// The tenants that are there.
pub(super) async fn tenants(tx: &mut PgConnection) -> Result<Vec<TenantRow>, DbError> {
    let rows = sqlx::query(
        "SELECT tenant_uid, tenant_id, namespace, availability_ppm FROM tenants \
         JOIN plans ON plans.plan_id = tenants.plan_id AND plans.version = tenants.plan_version \
         WHERE state NOT IN ('gone', 'purging', 'archived') ORDER BY tenant_uid",
    )
    .fetch_all(tx)
    .await?;
    let read = |row: &PgRow| -> Result<TenantRow, sqlx::Error> {
        Ok(TenantRow {
            uid: row.try_get(0)?,
            id: row.try_get(1)?,
            namespace: row.try_get(2)?,
            availability_ppm: row.try_get(3)?,
        })
    };
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}
