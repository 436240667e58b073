//! What was measured, in the database: an hour a row.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgConnection, Row as _, postgres::PgRow};
use streamspace_core::slo::{Counts, Hour, Minute, Sums};
use uuid::Uuid;

use crate::db::DbError;

/// Hours of several budgets of one SLO.
pub(super) type Hours = BTreeMap<Uuid, BTreeMap<i64, Hour>>;

/// Some hours of some budgets of an SLO.
pub(super) async fn read(
    tx: &mut PgConnection,
    slo_uid: Uuid,
    tenants: &[Uuid],
    hours: &[i64],
) -> Result<Hours, DbError> {
    let rows = sqlx::query(
        "SELECT tenant_uid, hour, before_total, before_bad, before_measured, before_excluded, \
         minutes FROM slo_hours \
         WHERE slo_uid = $1 AND tenant_uid = ANY ($2) AND hour = ANY ($3)",
    )
    .bind(slo_uid)
    .bind(tenants)
    .bind(hours)
    .fetch_all(tx)
    .await?;
    collect(&rows)
}

/// The hours of some budgets from one up to and with another. All budgets where `tenants` is
/// `None`.
pub(super) async fn range(
    tx: &mut PgConnection,
    slo_uid: Uuid,
    tenants: Option<&[Uuid]>,
    (from, to): (i64, i64),
) -> Result<Hours, DbError> {
    let rows = sqlx::query(
        "SELECT tenant_uid, hour, before_total, before_bad, before_measured, before_excluded, \
         minutes FROM slo_hours \
         WHERE slo_uid = $1 AND ($2::uuid[] IS NULL OR tenant_uid = ANY ($2)) \
         AND hour BETWEEN $3 AND $4",
    )
    .bind(slo_uid)
    .bind(tenants)
    .bind(from)
    .bind(to)
    .fetch_all(tx)
    .await?;
    collect(&rows)
}

fn collect(rows: &[PgRow]) -> Result<Hours, DbError> {
    let mut hours = Hours::new();
    for row in rows {
        let (tenant, at, hour) = hour(row)?;
        hours.entry(tenant).or_default().insert(at, hour);
    }
    Ok(hours)
}

fn hour(row: &PgRow) -> Result<(Uuid, i64, Hour), sqlx::Error> {
    let count = |column: usize| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    let number = |column: usize| row.try_get::<i32, _>(column).map(i32::unsigned_abs);
    let before = Sums {
        counts: Counts { total: count(2)?, bad: count(3)? },
        measured: number(4)?,
        excluded: number(5)?,
    };
    let bytes: &[u8] = row.try_get(6)?;
    let hour = Hour::decode(before, bytes).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok((row.try_get(0)?, row.try_get(1)?, hour))
}

/// Writes hours of an SLO, whether they are there or not.
pub(super) async fn write(
    tx: &mut PgConnection,
    slo_uid: Uuid,
    hours: &[(Uuid, i64, &Hour)],
) -> Result<(), DbError> {
    let mut columns = Columns::default();
    for (tenant, at, hour) in hours {
        columns.tenants.push(*tenant);
        columns.hours.push(*at);
        columns.totals.push(wide(hour.before.counts.total));
        columns.bads.push(wide(hour.before.counts.bad));
        columns.measured.push(narrow(hour.before.measured));
        columns.excluded.push(narrow(hour.before.excluded));
        columns.minutes.push(hour.encode());
    }
    sqlx::query(
        "INSERT INTO slo_hours (tenant_uid, slo_uid, hour, before_total, before_bad, \
         before_measured, before_excluded, minutes) \
         SELECT tenant_uid, $1, hour, total, bad, measured, excluded, minutes \
         FROM unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::integer[], \
         $7::integer[], $8::bytea[]) \
         AS new (tenant_uid, hour, total, bad, measured, excluded, minutes) \
         ON CONFLICT (tenant_uid, slo_uid, hour) DO UPDATE SET \
         before_total = excluded.before_total, before_bad = excluded.before_bad, \
         before_measured = excluded.before_measured, before_excluded = excluded.before_excluded, \
         minutes = excluded.minutes",
    )
    .bind(slo_uid)
    .bind(&columns.tenants)
    .bind(&columns.hours)
    .bind(&columns.totals)
    .bind(&columns.bads)
    .bind(&columns.measured)
    .bind(&columns.excluded)
    .bind(&columns.minutes)
    .execute(tx)
    .await?;
    Ok(())
}

#[derive(Default)]
struct Columns {
    tenants: Vec<Uuid>,
    hours: Vec<i64>,
    totals: Vec<i64>,
    bads: Vec<i64>,
    measured: Vec<i32>,
    excluded: Vec<i32>,
    minutes: Vec<Vec<u8>>,
}

/// By how much what was counted before an hour changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shift {
    pub(super) total: i64,
    pub(super) bad: i64,
    pub(super) measured: i32,
    pub(super) excluded: i32,
}

impl Shift {
    /// From what was to what is.
    pub(super) fn between(old: Sums, new: Sums) -> Self {
        Self {
            total: wide(new.counts.total) - wide(old.counts.total),
            bad: wide(new.counts.bad) - wide(old.counts.bad),
            measured: narrow(new.measured) - narrow(old.measured),
            excluded: narrow(new.excluded) - narrow(old.excluded),
        }
    }
}

/// Moves what was counted before all hours after one.
pub(super) async fn shift(
    tx: &mut PgConnection,
    slo_uid: Uuid,
    after: i64,
    shifts: &BTreeMap<Uuid, Shift>,
) -> Result<(), DbError> {
    let of = |each: fn(&Shift) -> i64| shifts.values().map(each).collect::<Vec<_>>();
    let small = |each: fn(&Shift) -> i32| shifts.values().map(each).collect::<Vec<_>>();
    sqlx::query(
        "UPDATE slo_hours SET before_total = before_total + by.total, \
         before_bad = before_bad + by.bad, before_measured = before_measured + by.measured, \
         before_excluded = before_excluded + by.excluded \
         FROM unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::integer[], $7::integer[]) \
         AS by (tenant_uid, total, bad, measured, excluded) \
         WHERE slo_uid = $1 AND hour > $2 AND slo_hours.tenant_uid = by.tenant_uid",
    )
    .bind(slo_uid)
    .bind(after)
    .bind(shifts.keys().copied().collect::<Vec<_>>())
    .bind(of(|shift| shift.total))
    .bind(of(|shift| shift.bad))
    .bind(small(|shift| shift.measured))
    .bind(small(|shift| shift.excluded))
    .execute(tx)
    .await?;
    Ok(())
}

/// Deletes the hours of an SLO that nothing looks at any more.
pub(super) async fn prune(
    tx: &mut PgConnection,
    slo_uid: Uuid,
    before: i64,
) -> Result<(), DbError> {
    sqlx::query("DELETE FROM slo_hours WHERE slo_uid = $1 AND hour < $2")
        .bind(slo_uid)
        .bind(before)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) fn wide(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn narrow(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// The minutes from one up to another in which something was measured of any budget of an
/// SLO, or was excluded.
pub(super) async fn measured(
    tx: &mut PgConnection,
    slo_uid: Uuid,
    from: Minute,
    to: Minute,
) -> Result<BTreeSet<Minute>, DbError> {
    let mut found = BTreeSet::new();
    for hours in range(tx, slo_uid, None, (from.hour(), to.plus(-1).hour())).await?.values() {
        let mut minute = from;
        while minute < to {
            let cell = hours.get(&minute.hour()).map(|hour| hour.cell(minute.of_hour()));
            if cell.is_some_and(|cell| cell.counts.is_some() || cell.excluded) {
                found.insert(minute);
            }
            minute = minute.plus(1);
        }
    }
    Ok(found)
}
