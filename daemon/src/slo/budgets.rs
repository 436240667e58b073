//! Budgets in the database, as of the last minute that is known.

use std::collections::BTreeMap;

use sqlx::{PgConnection, Row as _, postgres::PgRow};
use streamspace_core::slo::{Counts, Minute, Objective, Sums};
use uuid::Uuid;

use super::series::{narrow, wide};
use crate::db::DbError;

/// The key of the SLO's own window among the spans.
pub(super) const PERIOD: i32 = 0;
/// The key of the calendar month.
pub(super) const MONTH: i32 = -1;

/// A budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BudgetRow {
    pub(super) objective: Objective,
    /// The first minute that is measured.
    pub(super) first: Minute,
    /// The first that is not known yet.
    pub(super) known: Minute,
    /// What was counted in each window, by its length in minutes, [`PERIOD`] or [`MONTH`].
    pub(super) sums: BTreeMap<i32, Sums>,
    /// Since when nothing is left.
    pub(super) exhausted: Option<Minute>,
    pub(super) frozen: bool,
}

/// A budget and whose it is.
#[derive(Clone, Debug)]
pub(super) struct Owned {
    pub(super) slo_uid: Uuid,
    pub(super) tenant_uid: Uuid,
    /// What people call the tenant; `None` where the SLO has one budget.
    pub(super) tenant: Option<String>,
    pub(super) row: BudgetRow,
}

const COLUMNS: &str = "SELECT slo_budgets.*, tenants.tenant_id FROM slo_budgets \
                       LEFT JOIN tenants USING (tenant_uid)";

/// All budgets that the caller reaches.
pub(super) async fn list(tx: &mut PgConnection) -> Result<Vec<Owned>, DbError> {
    let rows = sqlx::query(COLUMNS).fetch_all(tx).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// The budgets of one SLO.
pub(super) async fn of(tx: &mut PgConnection, slo_uid: Uuid) -> Result<Vec<Owned>, DbError> {
    let query = format!("{COLUMNS} WHERE slo_uid = $1");
    let rows = sqlx::query(sqlx::AssertSqlSafe(query)).bind(slo_uid).fetch_all(tx).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// The first SLO whose budget of a tenant, or of the region, is frozen.
pub async fn frozen(tx: &mut PgConnection, tenant_id: &str) -> Result<Option<String>, DbError> {
    let query = sqlx::query_scalar(
        "SELECT slo_id FROM slo_budgets JOIN slos USING (slo_uid) \
         WHERE frozen AND (tenant_uid = $2 OR tenant_uid IN \
             (SELECT tenant_uid FROM tenants WHERE tenant_id = $1 AND state <> 'gone')) \
         ORDER BY slo_id LIMIT 1",
    );
    Ok(query.bind(tenant_id).bind(crate::alerts::REGION).fetch_optional(tx).await?)
}

/// How many budgets each SLO has.
pub(super) async fn count(tx: &mut PgConnection) -> Result<BTreeMap<Uuid, i32>, DbError> {
    let rows: Vec<(Uuid, i32)> =
        sqlx::query_as("SELECT slo_uid, count(*)::integer FROM slo_budgets GROUP BY slo_uid")
            .fetch_all(tx)
            .await?;
    Ok(rows.into_iter().collect())
}

fn read(row: &PgRow) -> Result<Owned, sqlx::Error> {
    let broken = |what: &str| sqlx::Error::Decode(what.into());
    let objective: i64 = row.try_get("objective")?;
    let objective = u32::try_from(objective).ok().and_then(Objective::from_billionths);
    let spans: Vec<i32> = row.try_get("spans")?;
    let totals: Vec<i64> = row.try_get("totals")?;
    let bads: Vec<i64> = row.try_get("bads")?;
    let measured: Vec<i32> = row.try_get("measured")?;
    let excluded: Vec<i32> = row.try_get("excluded")?;
    let sums = spans.iter().zip(totals).zip(bads).zip(measured).zip(excluded);
    let sums = sums.map(|((((span, total), bad), measured), excluded)| {
        let counts = Counts { total: total.unsigned_abs(), bad: bad.unsigned_abs() };
        let (measured, excluded) = (measured.unsigned_abs(), excluded.unsigned_abs());
        (*span, Sums { counts, measured, excluded })
    });
    Ok(Owned {
        slo_uid: row.try_get("slo_uid")?,
        tenant_uid: row.try_get("tenant_uid")?,
        tenant: row.try_get("tenant_id")?,
        row: BudgetRow {
            objective: objective.ok_or_else(|| broken("an objective that is none"))?,
            first: Minute(row.try_get("first_minute")?),
            known: Minute(row.try_get("known_minute")?),
            sums: sums.collect(),
            exhausted: row.try_get::<Option<i64>, _>("exhausted_minute")?.map(Minute),
            frozen: row.try_get("frozen")?,
        },
    })
}

/// Writes budgets of an SLO. All have the same windows.
pub(super) async fn write(
    tx: &mut PgConnection,
    slo_uid: Uuid,
    rows: &[(Uuid, BudgetRow)],
) -> Result<(), DbError> {
    let Some((_, first)) = rows.first() else { return Ok(()) };
    let spans: Vec<i32> = first.sums.keys().copied().collect();
    // An array of arrays goes to the database flat, with how many belong to one budget.
    let flat = |each: fn(&Sums) -> i64| -> Vec<i64> {
        rows.iter().flat_map(|(_, row)| row.sums.values().map(each)).collect()
    };
    let column = |each: fn(&BudgetRow) -> i64| -> Vec<i64> {
        rows.iter().map(|(_, row)| each(row)).collect()
    };
    sqlx::query(
        "INSERT INTO slo_budgets (tenant_uid, slo_uid, objective, first_minute, known_minute, \
         spans, totals, bads, measured, excluded, exhausted_minute, frozen) \
         SELECT tenant_uid, $1, objective, first, known, $2, \
         ($3::bigint[])[low:high], ($4::bigint[])[low:high], \
         ($5::bigint[])[low:high]::integer[], ($6::bigint[])[low:high]::integer[], \
         exhausted, frozen \
         FROM (SELECT *, (place - 1) * cardinality($2) + 1 AS low, place * cardinality($2) AS high \
         FROM unnest($7::uuid[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], \
         $12::boolean[]) WITH ORDINALITY \
         AS given (tenant_uid, objective, first, known, exhausted, frozen, place)) AS new \
         ON CONFLICT (tenant_uid, slo_uid) DO UPDATE SET objective = excluded.objective, \
         first_minute = excluded.first_minute, known_minute = excluded.known_minute, \
         spans = excluded.spans, totals = excluded.totals, bads = excluded.bads, \
         measured = excluded.measured, excluded = excluded.excluded, \
         exhausted_minute = excluded.exhausted_minute, frozen = excluded.frozen",
    )
    .bind(slo_uid)
    .bind(&spans)
    .bind(flat(|sums| wide(sums.counts.total)))
    .bind(flat(|sums| wide(sums.counts.bad)))
    .bind(flat(|sums| narrow(sums.measured).into()))
    .bind(flat(|sums| narrow(sums.excluded).into()))
    .bind(rows.iter().map(|(tenant, _)| *tenant).collect::<Vec<_>>())
    .bind(column(|row| row.objective.billionths().into()))
    .bind(column(|row| row.first.0))
    .bind(column(|row| row.known.0))
    .bind(rows.iter().map(|(_, row)| row.exhausted.map(|at| at.0)).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, row)| row.frozen).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// Deletes budgets of an SLO.
pub(super) async fn delete(
    tx: &mut PgConnection,
    slo_uid: Uuid,
    tenants: &[Uuid],
) -> Result<(), DbError> {
    for query in [
        "DELETE FROM slo_budgets WHERE slo_uid = $1 AND tenant_uid = ANY ($2)",
        "DELETE FROM slo_hours WHERE slo_uid = $1 AND tenant_uid = ANY ($2)",
    ] {
        sqlx::query(query).bind(slo_uid).bind(tenants).execute(&mut *tx).await?;
    }
    Ok(())
}
