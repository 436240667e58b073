//! What a quota shows beside its limits: what each user holds of the tenant, and when a
//! limit will be reached if use goes on as it did.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::PgConnection;
use streamspace_core::{
    plan::{Bytes, Plan},
    quota::forecast::{self, HourlySum},
};
use streamspace_proto::v1;

use crate::{
    db::DbError,
    rpc::time::timestamp,
    tenants::{self, TenantRecord},
    usage::live::{self, Holding, HourOfTenant},
};

/// The most users that are shown.
const USERS_MAXIMUM: i64 = 100;

/// What is known of a tenant's users and its last hours.
#[derive(Clone, Debug)]
pub(super) struct Outlook {
    holdings: Vec<Holding>,
    hours: Vec<HourOfTenant>,
    now: Timestamp,
}

impl Outlook {
    /// Reads it in the transaction that read the tenant.
    pub(super) async fn read(
        tx: &mut PgConnection,
        tenant: &TenantRecord,
    ) -> Result<Self, DbError> {
        let most = i64::try_from(forecast::HOURS_MAXIMUM).unwrap_or(i64::MAX);
        Ok(Self {
            holdings: live::holdings(tx, tenant.uid, USERS_MAXIMUM).await?,
            hours: live::last_hours(tx, tenant.uid, most).await?,
            now: tenants::now(tx).await?,
        })
    }

    /// Adds it to a quota. `hard` is the limit of each key, in its unit.
    pub(super) fn show(&self, quota: &mut v1::Quota, plan: &Plan, hard: &BTreeMap<String, i64>) {
        quota.users = self.holdings.iter().map(|holding| user(holding, plan)).collect();
        for line in &mut quota.lines {
            let Some(limit) = hard.get(&line.resource) else { continue };
            let at = self.exhaustion(&line.resource, *limit);
            line.exhaust_time = at.and_then(timestamp);
        }
    }

    /// When a limit will be reached. Only of what is metered by the same measure.
    fn exhaustion(&self, key: &str, limit: i64) -> Option<Timestamp> {
        let sum: fn(&HourOfTenant) -> i128 = match key {
            "requests.cpu" => |hour| hour.cpu,
            "requests.memory" => |hour| hour.memory,
            "requests.storage" => |hour| hour.storage,
            _ => return None,
        };
        let of_hour = |hour: &HourOfTenant| HourlySum { start: hour.start.0, sum: sum(hour) };
        let hours: Vec<HourlySum> = self.hours.iter().map(of_hour).collect();
        forecast::exhaustion(&hours, limit, self.now)
    }
}

fn user(holding: &Holding, plan: &Plan) -> v1::UserQuota {
    v1::UserQuota {
        user: holding.user_name.clone(),
        sessions: holding.sessions,
        sessions_hard: plan.user_sessions.map_or(-1, i64::from),
        memory: Bytes(holding.memory).to_string(),
        memory_hard: plan.user_memory.map(|memory| memory.to_string()).unwrap_or_default(),
    }
}
