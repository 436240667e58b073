//! Rotas and escalation policies in the database.

use jiff::Timestamp;
use sqlx::{FromRow, PgConnection, Row as _, postgres::PgRow};
use streamspace_core::{
    ids::{EscalationPolicyId, RotaId},
    incident::{
        escalation::Level,
        rota::{Override, Rota},
    },
};

use super::levels;
use crate::db::DbError;

/// Rows of a list.
const MOST: i64 = 1_000;

/// A rota as it was written.
#[derive(Clone, Debug)]
pub(super) struct RotaRecord {
    pub(super) id: String,
    pub(super) people: Vec<String>,
    pub(super) turn_days: i32,
    pub(super) handover: String,
    pub(super) time_zone: String,
    pub(super) start_date: String,
    pub(super) rota: Rota,
}

impl FromRow<'_, PgRow> for RotaRecord {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let people: Vec<String> = row.try_get("people")?;
        let turn_days: i32 = row.try_get("turn_days")?;
        let handover: String = row.try_get("handover")?;
        let time_zone: String = row.try_get("time_zone")?;
        let start_date: String = row.try_get("start_date")?;
        let rota = Rota::new(people.clone(), turn_days.into(), &handover, &time_zone, &start_date)
            .map_err(|error| sqlx::Error::Decode(error.into()))?;
        let id = row.try_get("rota_id")?;
        Ok(Self { id, people, turn_days, handover, time_zone, start_date, rota })
    }
}

/// An escalation policy.
#[derive(Clone, Debug)]
pub(super) struct PolicyRecord {
    pub(super) id: String,
    pub(super) levels: Vec<Level>,
    /// The id of the plan; empty where it is bound to none.
    pub(super) plan: String,
    pub(super) rto_minutes: i32,
}

impl FromRow<'_, PgRow> for PolicyRecord {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("policy_id")?,
            levels: levels::of_json(row.try_get("levels")?)?,
            plan: row.try_get("plan_id")?,
            rto_minutes: row.try_get("rto_minutes")?,
        })
    }
}

pub(super) async fn rotas(tx: &mut PgConnection) -> Result<Vec<RotaRecord>, DbError> {
    let query = sqlx::query_as("SELECT * FROM rotas ORDER BY rota_id LIMIT $1");
    Ok(query.bind(MOST).fetch_all(tx).await?)
}

pub(super) async fn rota(
    tx: &mut PgConnection,
    id: &RotaId,
) -> Result<Option<RotaRecord>, DbError> {
    let query = sqlx::query_as("SELECT * FROM rotas WHERE rota_id = $1");
    Ok(query.bind(id.as_str()).fetch_optional(tx).await?)
}

pub(super) async fn count_rotas(tx: &mut PgConnection) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM rotas").fetch_one(tx).await?)
}

pub(super) async fn set_rota(tx: &mut PgConnection, record: &RotaRecord) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO rotas (rota_id, people, turn_days, handover, time_zone, start_date) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (rota_id) DO UPDATE SET \
         people = excluded.people, turn_days = excluded.turn_days, \
         handover = excluded.handover, time_zone = excluded.time_zone, \
         start_date = excluded.start_date",
    )
    .bind(&record.id)
    .bind(&record.people)
    .bind(record.turn_days)
    .bind(&record.handover)
    .bind(&record.time_zone)
    .bind(&record.start_date)
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn delete_rota(tx: &mut PgConnection, id: &RotaId) -> Result<(), DbError> {
    sqlx::query("DELETE FROM rotas WHERE rota_id = $1").bind(id.as_str()).execute(tx).await?;
    Ok(())
}

/// The overrides of a rota that are not over at an instant, in the order of their making.
pub(super) async fn overrides(
    tx: &mut PgConnection,
    id: &RotaId,
    at: Timestamp,
) -> Result<Vec<Override>, DbError> {
    let rows = sqlx::query(
        "SELECT person, start_time, end_time FROM rota_overrides \
         WHERE rota_id = $1 AND end_time > $2 ORDER BY override_id LIMIT $3",
    )
    .bind(id.as_str())
    .bind(jiff_sqlx::Timestamp::from(at))
    .bind(MOST)
    .fetch_all(tx)
    .await?;
    let read = |row: &PgRow| -> Result<Override, sqlx::Error> {
        Ok(Override {
            person: row.try_get("person")?,
            from: row.try_get::<jiff_sqlx::Timestamp, _>("start_time")?.to_jiff(),
            to: row.try_get::<jiff_sqlx::Timestamp, _>("end_time")?.to_jiff(),
        })
    };
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

pub(super) async fn add_override(
    tx: &mut PgConnection,
    id: &RotaId,
    given: &Override,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO rota_overrides (rota_id, person, start_time, end_time) \
         VALUES ($1, $2, $3, $4)",
    )
    .bind(id.as_str())
    .bind(&given.person)
    .bind(jiff_sqlx::Timestamp::from(given.from))
    .bind(jiff_sqlx::Timestamp::from(given.to))
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn policies(tx: &mut PgConnection) -> Result<Vec<PolicyRecord>, DbError> {
    let query = sqlx::query_as("SELECT * FROM escalation_policies ORDER BY policy_id LIMIT $1");
    Ok(query.bind(MOST).fetch_all(tx).await?)
}

pub(super) async fn policy(
    tx: &mut PgConnection,
    id: &EscalationPolicyId,
) -> Result<Option<PolicyRecord>, DbError> {
    let query = sqlx::query_as("SELECT * FROM escalation_policies WHERE policy_id = $1");
    Ok(query.bind(id.as_str()).fetch_optional(tx).await?)
}

pub(super) async fn set_policy(
    tx: &mut PgConnection,
    record: &PolicyRecord,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO escalation_policies (policy_id, levels, plan_id, rto_minutes) \
         VALUES ($1, $2, $3, $4) ON CONFLICT (policy_id) DO UPDATE SET \
         levels = excluded.levels, plan_id = excluded.plan_id, \
         rto_minutes = excluded.rto_minutes",
    )
    .bind(&record.id)
    .bind(levels::to_json(&record.levels))
    .bind(&record.plan)
    .bind(record.rto_minutes)
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn delete_policy(
    tx: &mut PgConnection,
    id: &EscalationPolicyId,
) -> Result<(), DbError> {
    let query = sqlx::query("DELETE FROM escalation_policies WHERE policy_id = $1");
    query.bind(id.as_str()).execute(tx).await?;
    Ok(())
}
