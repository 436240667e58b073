//! Plans in the database.

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
        let id: String = row.try_get("plan_id")?;
        let plan = Plan {
            id: PlanId::parse(&id).map_err(|error| sqlx::Error::Decode(error.into()))?,
            version: row.try_get("version")?,
            rank: row.try_get("rank")?,
            display_name: row.try_get("display_name")?,
            seat_price: row.try_get::<Option<i64>, _>("seat_price_micros")?.map(MicroUsd),
            user_sessions: row.try_get("user_sessions")?,
            user_memory: row.try_get::<Option<i64>, _>("user_memory_bytes")?.map(Bytes),
            recording_retention_days: row.try_get("recording_retention_days")?,
            features: row.try_get("features")?,
            availability_ppm: row.try_get("availability_ppm")?,
            quota: Quota {
                cpu: Millicores(row.try_get("quota_cpu_millicores")?),
                memory: Bytes(row.try_get("quota_memory_bytes")?),
                storage: Bytes(row.try_get("quota_storage_bytes")?),
                pods: row.try_get("quota_pods")?,
            },
        };
        let create_time = row.try_get::<jiff_sqlx::Timestamp, _>("create_time")?.to_jiff();
        Ok(Self { plan, create_time })
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Scope, testing::TestDatabase};

    /// The rules in `core` and the rows that the first migration seeds are one.
    #[tokio::test]
    async fn the_seeded_rows_are_the_seeded_plans() {
        let test = TestDatabase::create().await;
        let mut tx = test.database().begin(&Scope::Region).await.unwrap();
        let rows: Vec<Plan> = list(&mut tx).await.unwrap().into_iter().map(|r| r.plan).collect();
        assert_eq!(rows, streamspace_core::plan::seeded().unwrap());
    }
}
