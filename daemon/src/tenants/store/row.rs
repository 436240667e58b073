//! A tenant's row: what is selected, and how it is read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use sqlx::{FromRow, Row as _, postgres::PgRow, types::Json};
use streamspace_core::{
    conditions::Condition,
    ids::{PlanId, RegionId, TenantId, TenantUid},
    quota,
    tenant::{Subject, TenantSpec, TenantState},
};
use uuid::Uuid;

use super::{Pause, QuotaOverride, TenantRecord};
use crate::plans;

/// An override as the statement below gives it; instants in microseconds since 1970.
#[derive(Deserialize)]
struct StoredOverride {
    id: Uuid,
    resource: String,
    amount: i64,
    reason: String,
    actor: String,
    create: i64,
    expire: Option<i64>,
}

impl StoredOverride {
    fn read(self) -> Result<QuotaOverride, sqlx::Error> {
        Ok(QuotaOverride {
            id: self.id,
            set: quota::Override {
                resource: stored(quota::Resource::parse(&self.resource))?,
                amount: quota::Amount(self.amount),
                create_time: stored(Timestamp::from_microsecond(self.create))?,
                expire_time: self
                    .expire
                    .map(|expire| stored(Timestamp::from_microsecond(expire)))
                    .transpose()?,
            },
            reason: self.reason,
            actor: self.actor,
        })
    }
}

impl FromRow<'_, PgRow> for TenantRecord {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Self::read(row, &mut plans::Joined::default())
    }
}

impl TenantRecord {
    /// Reads one of several rows, which share their plans.
    pub(super) fn read(row: &PgRow, plans: &mut plans::Joined) -> Result<Self, sqlx::Error> {
        let text = |column: &str| row.try_get::<String, _>(column);
        let state = |word: &str| stored(TenantState::parse(word).ok_or("unknown tenant state"));
        let time = |column: &str| {
            row.try_get::<jiff_sqlx::Timestamp, _>(column).map(jiff_sqlx::Timestamp::to_jiff)
        };
        let maybe_time = |column: &str| {
            let read = row.try_get::<Option<jiff_sqlx::Timestamp>, _>(column);
            read.map(|time| time.map(jiff_sqlx::Timestamp::to_jiff))
        };
        let maybe_state = |column: &str| {
            let word: Option<String> = row.try_get(column)?;
            word.as_deref().map(state).transpose()
        };
        let allowed: Vec<String> = row.try_get("allowed_regions")?;
        let Json(admin_subjects) = row.try_get::<Json<Vec<Subject>>, _>("admin_subjects")?;
        let Json(labels) = row.try_get::<Json<BTreeMap<String, String>>, _>("labels")?;
        let Json(conditions) = row.try_get::<Json<Vec<Condition>>, _>("conditions")?;
        let Json(overrides) = row.try_get::<Json<Vec<StoredOverride>>, _>("overrides")?;
        let pause = match maybe_time("pause_until")? {
            Some(until) => {
                Some(Pause { until, reason: text("pause_reason")?, actor: text("pause_actor")? })
            }
            None => None,
        };
        Ok(Self {
            uid: TenantUid(row.try_get("tenant_uid")?),
            spec: TenantSpec {
                id: stored(TenantId::parse(&text("tenant_id")?))?,
                display_name: text("display_name")?,
                plan: stored(PlanId::parse(&text("plan_id")?))?,
                seats: row.try_get("seats")?,
                home_region: stored(RegionId::parse(&text("home_region")?))?,
                allowed_regions: allowed
                    .iter()
                    .map(|region| stored(RegionId::parse(region)))
                    .collect::<Result<_, _>>()?,
                billing_account: text("billing_account")?,
                admin_subjects,
                labels,
                protected: row.try_get("protected")?,
            },
            plan_version: row.try_get("plan_version")?,
            plan: plans.of(row)?,
            overrides: overrides.into_iter().map(StoredOverride::read).collect::<Result<_, _>>()?,
            namespace: text("namespace")?,
            adopt: row.try_get("adopt")?,
            state: state(&text("state")?)?,
            prior_state: maybe_state("prior_state")?,
            resume_state: maybe_state("resume_state")?,
            cordon_until: maybe_time("cordon_until")?,
            cordon_reason: text("cordon_reason")?,
            pause,
            archive_time: maybe_time("archive_time")?,
            purge_after: maybe_time("purge_after")?,
            conditions,
            generation: row.try_get("generation")?,
            observed_generation: row.try_get("observed_generation")?,
            create_time: time("create_time")?,
            update_time: time("update_time")?,
        })
    }
}

/// A stored value that no longer parses is a fault of the database, not of a request.
fn stored<T, E: std::fmt::Display>(parsed: Result<T, E>) -> Result<T, sqlx::Error> {
    parsed.map_err(|error| sqlx::Error::Decode(error.to_string().into()))
}

/// `SELECT` over tenants with their plan versions and live overrides, with the given
/// rest of the statement; an expression before it says which conditions. The plan's
/// columns are those that [`plans::Joined`] reads.
macro_rules! select_tenants {
    ($rest:literal) => {
        select_tenants!("t.conditions", $rest)
    };
    ($conditions:literal, $rest:literal) => {
        concat!(
            "SELECT t.tenant_uid, t.tenant_id, t.namespace, t.display_name, t.plan_id, \
             t.plan_version, t.seats, t.home_region, t.allowed_regions, t.billing_account, \
             t.admin_subjects, t.labels, t.protected, t.state, t.generation, t.observed_generation, \
             t.create_time, t.update_time, t.adopt, t.prior_state, \
             t.resume_state, t.cordon_until, t.cordon_reason, t.pause_until, t.pause_reason, t.pause_actor, \
             t.archive_time, t.purge_after, ",
            $conditions,
            " AS conditions, ",
            $crate::plans::joined_plan_columns!(),
            ", (SELECT coalesce(json_agg(json_build_object('id', o.override_id, \
                 'resource', o.resource, 'amount', o.amount, 'reason', o.reason, \
                 'actor', o.actor, 'create', (extract(epoch FROM o.create_time) * 1000000)::bigint, \
                 'expire', (extract(epoch FROM o.expire_time) * 1000000)::bigint) \
                 ORDER BY o.create_time, o.override_id), '[]') \
               FROM quota_overrides AS o \
               WHERE o.tenant_uid = t.tenant_uid AND o.end_time IS NULL) AS overrides \
             FROM tenants AS t \
             JOIN plans AS p ON p.plan_id = t.plan_id AND p.version = t.plan_version ",
            $rest
        )
    };
}
pub(super) use select_tenants;
