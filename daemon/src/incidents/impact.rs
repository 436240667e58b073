//! Whom an incident hit, and what it cost.

use jiff::Timestamp;
use sqlx::PgConnection;
use streamspace_core::incident::post_mortem::Burned;
use streamspace_proto::v1;

use super::store::{self, Record};
use crate::{
    db::DbError,
    rpc::time::timestamp,
    slo::{self, Cost},
};

/// Whom it hit and what it cost, up to an instant.
#[derive(Clone, Debug)]
pub(super) struct Impact {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    /// Id, plan and sessions; the plan is empty where the tenant is gone.
    pub(super) tenants: Vec<(String, String, i64)>,
    pub(super) costs: Vec<Cost>,
}

pub(super) async fn impact(
    tx: &mut PgConnection,
    record: &Record,
    now: Timestamp,
) -> Result<Impact, DbError> {
    let found = store::tenants(tx, &record.tenants).await?;
    let tenants = record.tenants.iter().map(|id| {
        let known = found.iter().find(|(tenant, ..)| tenant == id).cloned();
        known.unwrap_or_else(|| (id.clone(), String::new(), 0))
    });
    let tenants = tenants.collect();
    let end = record.mitigated.or(record.resolved).unwrap_or(now);
    let (start, end) = (record.start, end.max(record.start));
    let costs = slo::costs(tx, &record.slos, &record.tenants, (start, end)).await?;
    Ok(Impact { start, end, tenants, costs })
}

impl Impact {
    pub(super) fn to_proto(&self, record: &Record) -> v1::IncidentImpact {
        let tenant = |(id, plan, sessions): &(String, String, i64)| v1::TenantImpact {
            tenant: format!("tenants/{id}"),
            plan: plan.clone(),
            sessions: i32::try_from(*sessions).unwrap_or(i32::MAX),
        };
        let wide = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let cost = |cost: &Cost| v1::BudgetImpact {
            slo: format!("slos/{}", cost.slo),
            tenant: match cost.tenant.as_str() {
                "" => String::new(),
                id => format!("tenants/{id}"),
            },
            total: wide(cost.counts.total),
            bad: wide(cost.counts.bad),
            used_ppm: cost.used_ppm,
        };
        v1::IncidentImpact {
            name: record.id.to_name(),
            start_time: timestamp(self.start),
            end_time: timestamp(self.end),
            tenants: self.tenants.iter().map(tenant).collect(),
            budgets: self.costs.iter().map(cost).collect(),
        }
    }

    /// The same for a post-mortem.
    pub(super) fn burned(&self) -> Vec<Burned> {
        let burned = |cost: &Cost| Burned {
            name: match cost.tenant.as_str() {
                "" => cost.slo.clone(),
                tenant => format!("{} of {tenant}", cost.slo),
            },
            total: cost.counts.total,
            bad: cost.counts.bad,
            used_ppm: cost.used_ppm,
        };
        self.costs.iter().map(burned).collect()
    }
}
