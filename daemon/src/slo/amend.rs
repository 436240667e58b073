//! Changes of minutes that were known already: what came late, and times that are taken out
//! of budgets or back in.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use streamspace_core::slo::{Cell, Hour, Minute};
use uuid::Uuid;

use super::series::{self, Shift};
use crate::db::DbError;

/// What an amendment touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amended {
    /// Budgets.
    pub(super) budgets: i32,
    /// Minutes in which something was measured.
    pub(super) minutes: i64,
    /// Bad events in those.
    pub(super) bad: i64,
}

/// Changes each minute from one up to another of some budgets of an SLO; all where `tenants`
/// is `None`. The SLO's row is locked by the caller.
pub(super) async fn amend(
    tx: &mut PgConnection,
    slo_uid: Uuid,
    tenants: Option<&[Uuid]>,
    (from, to): (Minute, Minute),
    change: impl Fn(Uuid, Minute, Cell) -> Cell,
) -> Result<Amended, DbError> {
    let last = to.plus(-1).hour();
    let mut hours = series::range(tx, slo_uid, tenants, (from.hour(), last)).await?;
    let mut amended = Amended::default();
    let mut changed: Vec<(Uuid, i64)> = Vec::new();
    let mut shifts = BTreeMap::new();
    for (tenant, hours) in &mut hours {
        let Some(old_end) = hours.values().next_back().map(Hour::end) else { continue };
        let mut before = None;
        let minutes = amended.minutes;
        let mut differs = false;
        for (at, hour) in hours.iter_mut() {
            if let Some(before) = before {
                hour.before = before;
            }
            for place in 0..60 {
                let minute = Minute(at * 60).plus(i64::from(place));
                let index = minute.of_hour();
                if minute < from || minute >= to {
                    continue;
                }
                let old = hour.cell(index);
                let new = change(*tenant, minute, old);
                if new == old {
                    continue;
                }
                differs = true;
                hour.set(index, new);
                if let Some(counts) = old.counts.or(new.counts) {
                    amended.minutes += 1;
                    amended.bad += series::wide(counts.bad);
                }
            }
            before = Some(hour.end());
            changed.push((*tenant, *at));
        }
        if differs {
            amended.budgets += i32::from(amended.minutes > minutes);
            let new_end = before.unwrap_or(old_end);
            shifts.insert(*tenant, Shift::between(old_end, new_end));
        }
    }
    let rows: Vec<(Uuid, i64, &Hour)> = changed
        .iter()
        .filter(|(tenant, _)| shifts.contains_key(tenant))
        .filter_map(|(tenant, at)| Some((*tenant, *at, hours.get(tenant)?.get(at)?)))
        .collect();
    series::write(tx, slo_uid, &rows).await?;
    series::shift(tx, slo_uid, last, &shifts).await?;
    Ok(amended)
}
