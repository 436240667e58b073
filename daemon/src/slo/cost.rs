//! What a time cost of error budgets.

use jiff::Timestamp;
use sqlx::PgConnection;
use streamspace_core::{
    ids::SloId,
    slo::{Budget, Counts, Minute, Point, Sums, series::Series},
};

use super::{
    budgets::{self, Owned},
    series,
    store::{self, SloRecord},
};
use crate::db::DbError;

/// What a time cost of one budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The SLO's id.
    pub slo: String,
    /// The tenant's id, under an SLO with a budget for each.
    pub tenant: String,
    /// What was counted in that time.
    pub counts: Counts,
    /// How much of the whole budget the bad events of it are, in millionths. `None`: nothing
    /// was measured in that time.
    pub used_ppm: Option<i64>,
}

/// The first of these ids that no SLO has.
pub async fn unknown(tx: &mut PgConnection, ids: &[String]) -> Result<Option<String>, DbError> {
    for id in ids {
        let known = match SloId::parse(id) {
            Ok(id) => store::get(tx, &id).await?.is_some(),
            Err(_) => false,
        };
        if !known {
            return Ok(Some(id.clone()));
        }
    }
    Ok(None)
}

/// What the time cost of the budgets of these SLOs; under one with a budget for each tenant,
/// of those of these tenants. What has no budget, or none any more, was not measured.
pub async fn costs(
    tx: &mut PgConnection,
    slos: &[String],
    tenants: &[String],
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<Cost>, DbError> {
    let mut costs = Vec::new();
    for id in slos {
        let found = match SloId::parse(id) {
            Ok(id) => store::get(tx, &id).await?,
            Err(_) => None,
        };
        let before = costs.len();
        if let Some(record) = found {
            for owned in budgets::of(tx, record.uid).await? {
                let hit = owned.tenant.as_ref().is_none_or(|tenant| tenants.contains(tenant));
                if hit {
                    costs.push(cost(tx, &record, &owned, (from, to)).await?);
                }
            }
        }
        if costs.len() == before {
            let (slo, tenant) = (id.clone(), String::new());
            costs.push(Cost { slo, tenant, counts: Counts::default(), used_ppm: None });
        }
    }
    costs.sort_by(|a, b| (&a.slo, &a.tenant).cmp(&(&b.slo, &b.tenant)));
    Ok(costs)
}

async fn cost(
    tx: &mut PgConnection,
    record: &SloRecord,
    owned: &Owned,
    (from, to): (Timestamp, Timestamp),
) -> Result<Cost, DbError> {
    let known = owned.row.known;
    // Whole minutes: those that the time touches.
    let from = Minute::holding(from).max(owned.row.first).min(known);
    let to = Minute::holding(to).plus(1).min(known).max(from);
    let bounds = record.slo.window.at(to);
    let hours: Vec<i64> = [from, to, bounds.from].map(|minute| Point::before(minute).hour).to_vec();
    let mut held = series::read(tx, record.uid, &[owned.tenant_uid], &hours).await?;
    let series = Series::new(owned.row.first, held.remove(&owned.tenant_uid).unwrap_or_default());
    let sums = series.between(from, to);
    let period = series.between(bounds.from, to);
    let counts = Counts { total: period.counts.total, bad: sums.counts.bad };
    let alone = Budget::new(owned.row.objective, bounds, Sums { counts, ..period });
    let used_ppm = (sums.measured > 0).then(|| alone.remaining_ppm()).map(|left| 1_000_000 - left);
    Ok(Cost {
        slo: record.slo.id.as_str().to_owned(),
        tenant: owned.tenant.clone().unwrap_or_default(),
        counts: sums.counts,
        used_ppm,
    })
}
