//! What was measured over a time, and what an outage would cost.

use std::collections::BTreeSet;

use streamspace_core::slo::{
    Budget, Counts, Minute, Point, Sums, credit, outage, rate_milli, series::Series,
};
use streamspace_proto::v1;

use super::{
    Slos,
    budgets::{one, view},
};
use crate::{
    alerts,
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        time::{Bounds, instant, timestamp, ttl},
    },
    slo::{
        convert::{self, minutes, nanos},
        series::{self, wide},
    },
};

const STEPS: i32 = 60;
const STEPS_MAXIMUM: i32 = 500;
/// The longest time of a chart.
const LONGEST_MINUTES: i64 = 90 * 1_440;

impl Slos {
    pub(in crate::slo) async fn chart(
        &self,
        caller: &Caller,
        request: &v1::GetBurnChartRequest,
    ) -> RpcResult<v1::BurnChart> {
        let steps = match request.steps {
            0 => STEPS,
            steps @ 1..=STEPS_MAXIMUM => steps,
            _ => return Err(RpcError::field("steps", "must be 1 to 500, or 0 for 60")),
        };
        let mut tx = self.db.begin(&caller.scope).await?;
        let (record, owned) = one(&mut tx, &request.slo, &request.tenant).await?;
        let known = owned.row.known;
        let end = match &request.end_time {
            None => known,
            Some(time) => minute("end_time", time)?.min(known),
        };
        let start = match &request.start_time {
            None => record.slo.window.at(end).from,
            Some(time) => minute("start_time", time)?,
        };
        let length = start.until(end);
        if !(1..=LONGEST_MINUTES).contains(&length) {
            return Err(RpcError::field(
                "start_time",
                "must be at least a minute and at most 90 days before the end",
            ));
        }
        // Whole minutes, so that no step is cut; the first may begin earlier than asked for.
        let step = length.div_euclid(steps.into()) + i64::from(length % i64::from(steps) != 0);
        let count = length.div_euclid(step) + i64::from(length % step != 0);
        let begin = end.plus(-step * count);
        let points: Vec<Minute> = (0..=count).map(|index| begin.plus(index * step)).collect();
        let mut hours = BTreeSet::new();
        for point in &points {
            hours.insert(Point::before(*point).hour);
            hours.insert(Point::before(record.slo.window.at(*point).from).hour);
        }
        let hours: Vec<i64> = hours.into_iter().collect();
        let uid = owned.tenant_uid;
        let mut held = series::read(&mut tx, record.uid, &[uid], &hours).await?;
        drop(tx);
        let series = Series::new(owned.row.first, held.remove(&uid).unwrap_or_default());
        let objective = owned.row.objective;
        let shown = points.windows(2).filter_map(|pair| {
            let [from, to] = pair else { return None };
            let sums = series.between(*from, *to);
            let bounds = record.slo.window.at(*to);
            let left = Budget::new(objective, bounds, series.between(bounds.from, *to));
            Some(v1::BurnStep {
                start_time: timestamp(from.start()),
                total: wide(sums.counts.total),
                bad: wide(sums.counts.bad),
                measured: minutes(sums.measured),
                excluded: minutes(sums.excluded),
                burn_rate_milli: rate_milli(objective, &sums)
                    .map(|rate| i64::try_from(rate).unwrap_or(i64::MAX)),
                remaining_ppm: left.remaining_ppm(),
            })
        });
        let step = u32::try_from(step).unwrap_or(u32::MAX);
        Ok(v1::BurnChart { step: minutes(step), steps: shown.collect() })
    }

    pub(in crate::slo) async fn preview_outage(
        &self,
        caller: &Caller,
        request: &v1::PreviewOutageRequest,
    ) -> RpcResult<v1::OutagePreview> {
        let mut tx = self.db.begin(&caller.scope).await?;
        let (record, owned) = one(&mut tx, &request.slo, &request.tenant).await?;
        let firing = alerts::firing_of(&mut tx, &record.subject()).await?;
        drop(tx);
        let window = record.slo.window.at(owned.row.known).minutes();
        let bounds = Bounds {
            shortest: 1,
            longest: i64::from(window) * 60,
            words: "one second up to the SLO's window",
        };
        let asked = ttl("outage", request.outage.as_ref(), bounds)?
            .ok_or_else(|| RpcError::field("outage", "is required: how long it would last"))?;
        let view = view(&record, &owned, &firing, self.now());
        let cost = outage(&view.budget(), &record.slo.rules(), asked.as_nanos());
        let reached = |step: &&streamspace_core::slo::BudgetStep| {
            i64::from(step.used_percent) <= cost.used_percent
        };
        Ok(v1::OutagePreview {
            budget: Some(view.to_proto()),
            cost_ppm: cost.cost_ppm,
            remaining_ppm: cost.remaining_ppm,
            longest: nanos(cost.longest),
            page_after: cost.page_after.and_then(|after| nanos(after.into())),
            reached: record.slo.policy.iter().filter(reached).copied().map(convert::step).collect(),
            credit_percent: credit(
                &record.slo.credits,
                &with_outage(view.month(), asked.as_secs()),
            )
            .into(),
        })
    }
}

/// A month's counts with an outage, if events are as frequent as they were: each measured
/// minute has so many, and those of the outage are bad.
fn with_outage(month: Sums, seconds: i64) -> Sums {
    let Counts { total, bad } = month.counts;
    let measured = u128::from(month.measured.max(1)) * 60;
    let lost = u128::from(total) * u128::from(seconds.unsigned_abs()) / measured;
    let lost = u64::try_from(lost).unwrap_or(u64::MAX);
    Sums {
        counts: Counts { total: total.saturating_add(lost), bad: bad.saturating_add(lost) },
        ..month
    }
}

fn minute(field: &str, time: &prost_types::Timestamp) -> RpcResult<Minute> {
    let time = instant(time).ok_or_else(|| RpcError::field(field, "is no instant"))?;
    Ok(Minute::holding(time))
}
