//! The proof that no second is counted twice, that intervals with their corrections,
//! hours and days come to the same to the unit, and that the facts give what is written.
//!
//! What is still to be done is left out and is no fault: buckets that are not closed,
//! hours that wait to be added up, spans that wait to be corrected, and days that were
//! dropped. All of it is read in one transaction; let it be one of a single snapshot that
//! sees the whole region.

use sqlx::PgConnection;
use streamspace_core::{
    ids::TenantUid,
    usage::{Grain, Second, Span},
};
use uuid::Uuid;

use super::store::{self, Hold};
use crate::db::{Database, DbError, Scope};

mod facts;
mod sums;

/// The most faults that are told.
const FAULTS_MAXIMUM: usize = 100;

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What must hold.
    pub rule: &'static str,
    /// Of how many things.
    pub checked: u64,
    /// For how many of them it does not hold.
    pub faults: u64,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// What was checked.
    pub checks: Vec<Check>,
    /// What does not hold, at most 100.
    pub faults: Vec<String>,
}

impl Proof {
    /// Whether everything holds.
    pub fn holds(&self) -> bool {
        self.fault_count() == 0
    }

    /// How much does not hold.
    pub fn fault_count(&self) -> u64 {
        self.checks.iter().map(|check| check.faults).sum()
    }

    fn add(&mut self, rule: &'static str, checked: u64, faults: u64, texts: Vec<String>) {
        match self.checks.iter_mut().find(|check| check.rule == rule) {
            Some(check) => {
                check.checked += checked;
                check.faults += faults;
            }
            None => self.checks.push(Check { rule, checked, faults }),
        }
        let room = FAULTS_MAXIMUM.saturating_sub(self.faults.len());
        self.faults.extend(texts.into_iter().take(room));
    }
}

/// Proves a time of these tenants, or of all, in a snapshot of its own.
pub async fn prove(
    db: &Database,
    tenants: Option<&[TenantUid]>,
    time: Span,
) -> Result<Proof, DbError> {
    let mut tx = db.begin(&Scope::Region).await?;
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .execute(&mut *tx)
        .await?;
    verify(&mut tx, tenants, time).await
}

/// Proves a time of these tenants, or of all. It is widened to whole days of UTC. `tx` is of
/// [`Scope::Region`]: what the metering as a whole knows is no tenant's.
pub async fn verify(
    tx: &mut PgConnection,
    tenants: Option<&[TenantUid]>,
    time: Span,
) -> Result<Proof, DbError> {
    let mut proof = Proof::default();
    let Some(watermark) = store::watermark(tx, Hold::Nothing).await? else {
        return Ok(proof);
    };
    // A day of many sessions is more than the time of a call.
    sqlx::query("SET LOCAL statement_timeout TO '60s'").execute(&mut *tx).await?;
    let first = Grain::Day.holding(time.from.max(watermark.begins).max(oldest(tx).await?)).from;
    let end = time.to.min(watermark.closed_through);
    let tenants: Option<Vec<Uuid>> =
        tenants.map(|tenants| tenants.iter().map(|tenant| tenant.0).collect());
    let mut day = Grain::Day.holding(first);
    while day.from < end {
        sums::check(tx, tenants.as_deref(), day, &mut proof).await?;
        day = Grain::Day.holding(day.to);
    }
    let whole = Span::new(first, end);
    facts::check(tx, tenants.as_deref(), &watermark, whole, &mut proof).await?;
    Ok(proof)
}

/// The first day whose intervals have not been dropped.
async fn oldest(tx: &mut PgConnection) -> Result<Second, DbError> {
    let oldest: Option<i64> = sqlx::query_scalar(
        "SELECT extract(epoch FROM to_date(right(min(relname), 8), 'YYYYMMDD'))::bigint \
         FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid \
         WHERE inhparent = 'usage_intervals'::regclass",
    )
    .fetch_one(tx)
    .await?;
    Ok(Second(oldest.unwrap_or(i64::MAX)))
}
