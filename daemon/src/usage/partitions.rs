//! A partition of `usage_intervals` for each day of UTC: made ahead, and dropped when it
//! is older than what is kept. Both by the maintainer's login, which can do nothing else.

use std::time::Duration;

use jiff::{ToSpan, civil::Date, tz::TimeZone};
use jiff_sqlx::ToSqlx;
use streamspace_core::usage::Second;

use super::{
    config::UsageConfig,
    store::{self, Hold},
};
use crate::db::{
    Database, DbError, Scope,
    catalogue::{self, CatalogueError},
};

/// So many days are made ahead, so that a daemon that cannot make any for a week still
/// meters.
const AHEAD_DAYS: i64 = 7;
/// The most days that are made or dropped in one round.
const ROUND: i32 = 40;
/// How often it is looked whether there is one to make or to drop.
pub(super) const PERIOD: Duration = Duration::from_mins(15);
/// How long a drop waits for those who read; the next round tries again.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout TO '2s'";

/// Why partitions are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum PartitionError {
    /// The database could not do it.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The schema does not keep the tenants apart with the new ones.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

impl From<sqlx::Error> for PartitionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rolled {
    /// How many partitions were made.
    pub made: u32,
    /// How many were dropped.
    pub dropped: u32,
    /// Whether there is more to make than one round makes.
    pub is_behind: bool,
}

/// The UTC day of a second.
pub fn day_of(second: Second) -> Date {
    TimeZone::UTC.to_datetime(second.timestamp()).date()
}

/// Makes what is missing and drops what is too old. `now` is of the database's clock.
pub async fn roll(
    db: &Database,
    config: &UsageConfig,
    now: Second,
) -> Result<Rolled, PartitionError> {
    let mut tx = db.begin(&Scope::Region).await?;
    let watermark = store::watermark(&mut tx, Hold::Nothing).await?;
    drop(tx);
    // The clocks of the API server and of the database need not agree.
    let today = day_of(now);
    let from = watermark.map_or(today, |watermark| today.min(day_of(watermark.closed_through)));
    let known = watermark.map_or(today, |watermark| day_of(watermark.complete_through));
    // A first start may find a region that was down for years.
    let from = from.max(today.saturating_sub(i64::from(config.retention_days).days()));
    let to = today.max(known).saturating_add(AHEAD_DAYS.days());
    let mut rolled = make(db, from, to).await?;
    let before = today.saturating_sub(i64::from(config.retention_days).days());
    rolled.dropped = drop_before(db, before).await?;
    Ok(rolled)
}

/// Makes the partitions of these days, both included; at most so many as a round makes.
/// The catalogue is checked after each.
pub async fn make(db: &Database, from: Date, to: Date) -> Result<Rolled, PartitionError> {
    let missing: Vec<jiff_sqlx::Date> = sqlx::query_scalar(
        "SELECT day::date FROM generate_series($1::date::timestamp, $2::date::timestamp, '1 day') AS day \
         WHERE to_regclass('usage_intervals_' || to_char(day, 'YYYYMMDD')) IS NULL \
         ORDER BY day LIMIT $3",
    )
    .bind(from.to_sqlx())
    .bind(to.to_sqlx())
    .bind(i64::from(ROUND))
    .fetch_all(db.operator())
    .await?;
    let most = usize::try_from(ROUND).unwrap_or(0);
    let mut rolled = Rolled { is_behind: missing.len() >= most, ..Rolled::default() };
    for day in missing {
        let mut tx = db.maintainer().begin().await?;
        sqlx::query(LOCK_TIMEOUT).execute(&mut *tx).await?;
        let made: bool = sqlx::query_scalar("SELECT usage_intervals_make($1)")
            .bind(day)
            .fetch_one(&mut *tx)
            .await?;
        tx.commit().await?;
        catalogue::check(db.operator()).await?;
        rolled.made += u32::from(made);
    }
    Ok(rolled)
}

/// Drops the partitions of the days before one, at most so many as a round drops.
pub async fn drop_before(db: &Database, before: Date) -> Result<u32, PartitionError> {
    let is_any: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid \
                        WHERE inhparent = 'usage_intervals'::regclass \
                          AND relname < 'usage_intervals_' || to_char($1::date, 'YYYYMMDD'))",
    )
    .bind(before.to_sqlx())
    .fetch_one(db.operator())
    .await?;
    if !is_any {
        return Ok(0);
    }
    let mut tx = db.maintainer().begin().await?;
    sqlx::query(LOCK_TIMEOUT).execute(&mut *tx).await?;
    let dropped: i32 = sqlx::query_scalar("SELECT usage_intervals_drop($1, $2)")
        .bind(before.to_sqlx())
        .bind(ROUND)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(u32::try_from(dropped).unwrap_or(0))
}
