//! Plans in the database.

use std::sync::Arc;

use jiff::Timestamp;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use streamspace_core::{
    ids::PlanId,
    plan::{Bytes, MicroUsd, Millicores, Plan, Quota},
};

use crate::db::DbError;

/// A version of a plan and when it began to apply.
#[derive(Clone, Debug)]
pub struct PlanRecord {
    /// What is bought.
    pub plan: Plan,
    /// When this version began to apply.
    pub create_time: Timestamp,
}

impl FromRow<'_, PgRow> for PlanRecord {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let create_time = row.try_get::<jiff_sqlx::Timestamp, _>("create_time")?.to_jiff();
        Ok(Self { plan: read(row, "version", "")?, create_time })
    }
}

/// The plans of rows whose statement has `joined_plan_columns!`, each version read once.
#[derive(Debug, Default)]
pub struct Joined(Vec<Arc<Plan>>);

impl Joined {
    /// The plan of a row.
    pub fn of(&mut self, row: &PgRow) -> Result<Arc<Plan>, sqlx::Error> {
        let id: &str = row.try_get("plan_id")?;
        let version: i32 = row.try_get("plan_version")?;
        let known = self.0.iter().find(|plan| plan.version == version && plan.id.as_str() == id);
        if let Some(plan) = known {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(read(row, "plan_version", "p_")?);
        self.0.push(Arc::clone(&plan));
        Ok(plan)
    }
}

/// The columns of `plans AS p` that [`Joined`] reads, beside the `plan_id` and the
/// `plan_version` of the row that they are joined to.
macro_rules! joined_plan_columns {
    () => {
        "p.rank AS p_rank, p.display_name AS p_display_name, \
         p.seat_price_micros AS p_seat_price_micros, p.user_sessions AS p_user_sessions, \
         p.user_memory_bytes AS p_user_memory_bytes, \
         p.recording_retention_days AS p_recording_retention_days, p.features AS p_features, \
         p.availability_ppm AS p_availability_ppm, \
         p.quota_cpu_millicores AS p_quota_cpu_millicores, \
         p.quota_memory_bytes AS p_quota_memory_bytes, \
         p.quota_storage_bytes AS p_quota_storage_bytes, p.quota_pods AS p_quota_pods, \
         p.overcommit_permille AS p_overcommit_permille"
    };
}

pub(crate) use joined_plan_columns;

fn read(row: &PgRow, version: &str, prefix: &str) -> Result<Plan, sqlx::Error> {
    let column = |name: &str| format!("{prefix}{name}");
    let integer = |name: &str| row.try_get::<i32, _>(column(name).as_str());
    let long = |name: &str| row.try_get::<i64, _>(column(name).as_str());
    let maybe_long = |name: &str| row.try_get::<Option<i64>, _>(column(name).as_str());
    let id: String = row.try_get("plan_id")?;
    Ok(Plan {
        id: PlanId::parse(&id).map_err(|error| sqlx::Error::Decode(error.into()))?,
        version: row.try_get(version)?,
        rank: integer("rank")?,
        display_name: row.try_get(column("display_name").as_str())?,
        seat_price: maybe_long("seat_price_micros")?.map(MicroUsd),
        user_sessions: row.try_get(column("user_sessions").as_str())?,
        user_memory: maybe_long("user_memory_bytes")?.map(Bytes),
        recording_retention_days: integer("recording_retention_days")?,
        features: row.try_get(column("features").as_str())?,
        availability_ppm: integer("availability_ppm")?,
        quota: Quota {
            cpu: Millicores(long("quota_cpu_millicores")?),
            memory: Bytes(long("quota_memory_bytes")?),
            storage: Bytes(long("quota_storage_bytes")?),
            pods: integer("quota_pods")?,
        },
        overcommit_permille: integer("overcommit_permille")?,
    })
}

/// The current version of one plan.
pub async fn current(
    connection: &mut PgConnection,
    id: &PlanId,
) -> Result<Option<PlanRecord>, DbError> {
    let query =
        sqlx::query_as("SELECT * FROM plans WHERE plan_id = $1 ORDER BY version DESC LIMIT 1");
    Ok(query.bind(id.as_str()).fetch_optional(connection).await?)
}

/// The current versions of all plans, cheapest first.
pub async fn list(connection: &mut PgConnection) -> Result<Vec<PlanRecord>, DbError> {
    let query = sqlx::query_as(
        "SELECT * FROM (SELECT DISTINCT ON (plan_id) * FROM plans ORDER BY plan_id, version DESC) \
         AS latest ORDER BY rank, plan_id",
    );
    Ok(query.fetch_all(connection).await?)
}

/// One version of a plan.
pub(super) async fn version(
    connection: &mut PgConnection,
    id: &PlanId,
    version: i32,
) -> Result<Option<PlanRecord>, DbError> {
    let query = sqlx::query_as("SELECT * FROM plans WHERE plan_id = $1 AND version = $2");
    Ok(query.bind(id.as_str()).bind(version).fetch_optional(connection).await?)
}

/// Every version of a plan, the newest first.
pub(super) async fn versions(
    connection: &mut PgConnection,
    id: &PlanId,
) -> Result<Vec<PlanRecord>, DbError> {
    let query = sqlx::query_as("SELECT * FROM plans WHERE plan_id = $1 ORDER BY version DESC");
    Ok(query.bind(id.as_str()).fetch_all(connection).await?)
}

/// Writes a version. `false`: it is there already.
pub(super) async fn insert(
    connection: &mut PgConnection,
    record: &PlanRecord,
) -> Result<bool, DbError> {
    let plan = &record.plan;
    let result = sqlx::query(
        "INSERT INTO plans (plan_id, version, rank, display_name, seat_price_micros, \
         user_sessions, user_memory_bytes, recording_retention_days, features, \
         availability_ppm, quota_cpu_millicores, quota_memory_bytes, quota_storage_bytes, \
         quota_pods, overcommit_permille, create_time) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
         ON CONFLICT (plan_id, version) DO NOTHING",
    )
    .bind(plan.id.as_str())
    .bind(plan.version)
    .bind(plan.rank)
    .bind(&plan.display_name)
    .bind(plan.seat_price.map(|price| price.0))
    .bind(plan.user_sessions)
    .bind(plan.user_memory.map(|memory| memory.0))
    .bind(plan.recording_retention_days)
    .bind(&plan.features)
    .bind(plan.availability_ppm)
    .bind(plan.quota.cpu.0)
    .bind(plan.quota.memory.0)
    .bind(plan.quota.storage.0)
    .bind(plan.quota.pods)
    .bind(plan.overcommit_permille)
    .bind(jiff_sqlx::Timestamp::from(record.create_time))
    .execute(connection)
    .await?;
    Ok(result.rows_affected() == 1)
}
