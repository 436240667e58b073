//! What somebody else counted, and times that do not count.

use jiff::Timestamp;
use streamspace_core::slo::{Cell, Counts, Minute, Sli};
use streamspace_proto::v1;
use uuid::Uuid;

use super::{Slos, budget_uid, missing, slo_id};
use crate::{
    db::DbError,
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        once::Once,
        time::instant,
    },
    slo::{
        amend::{Amended, amend},
        series::wide,
        store::{self, SloRecord},
    },
};

const SAMPLES_MAXIMUM: usize = 1_000;
/// How old a minute may be that is pushed.
const PUSHED_MINUTES: i64 = 3 * 1_440;
/// How long ago an excluded time may begin, and how long it may be.
const EXCLUDED_AGO_MINUTES: i64 = 90 * 1_440;
const EXCLUDED_MINUTES: i64 = 30 * 1_440;
const SLOS_MAXIMUM: usize = 100;

impl Slos {
    pub(in crate::slo) async fn push(
        &self,
        caller: &Caller,
        request: &v1::PushSamplesRequest,
    ) -> RpcResult<v1::PushSamplesResponse> {
        let id = slo_id("slo", &request.slo)?;
        if request.samples.is_empty() || request.samples.len() > SAMPLES_MAXIMUM {
            return Err(RpcError::field("samples", "must be 1 to 1,000"));
        }
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "PushSamples", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let record = store::get(&mut tx, &id).await?.ok_or_else(|| missing(&id))?;
        if record.slo.sli != Sli::Pushed {
            return Err(RpcError::Refused {
                reason: "NOT_PUSHED",
                message: format!(
                    "{} is measured by the daemon: only an SLO whose indicator is `pushed` takes \
                     samples",
                    id.to_name()
                ),
            });
        }
        let now = self.now();
        let mut rows = Rows::default();
        for (index, sample) in request.samples.iter().enumerate() {
            let field = |part: &str| format!("samples[{index}].{part}");
            let tenant = field("tenant");
            let uid = budget_uid(&mut tx, &record, &tenant, &sample.tenant).await?;
            rows.add(
                uid,
                pushed_minute(&field("minute"), sample, &record, now)?,
                counts(&field, sample)?,
            );
        }
        let taken = i32::try_from(rows.minutes.len()).unwrap_or(i32::MAX);
        let reply = v1::PushSamplesResponse { taken };
        if request.validate_only {
            return Ok(reply);
        }
        sqlx::query(
            "INSERT INTO slo_pushed (tenant_uid, slo_uid, minute, total, bad) \
             SELECT tenant_uid, $1, minute, total, bad \
             FROM unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[]) \
             AS new (tenant_uid, minute, total, bad) \
             ON CONFLICT (tenant_uid, slo_uid, minute) \
             DO UPDATE SET total = excluded.total, bad = excluded.bad",
        )
        .bind(record.uid)
        .bind(&rows.tenants)
        .bind(&rows.minutes)
        .bind(&rows.totals)
        .bind(&rows.bads)
        .execute(&mut *tx)
        .await
        .map_err(DbError::from)?;
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!("{taken} minutes"));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    pub(in crate::slo) async fn exclude(
        &self,
        caller: &Caller,
        request: &v1::ExcludeTimeRequest,
    ) -> RpcResult<v1::ExcludeTimeResponse> {
        if request.slos.len() > SLOS_MAXIMUM || request.tenants.len() > SLOS_MAXIMUM {
            return Err(RpcError::field("slos", "at most 100, and as many tenants"));
        }
        let now = self.now();
        let from = whole_minute("start_time", request.start_time.as_ref())?;
        let to = whole_minute("end_time", request.end_time.as_ref())?;
        if from.until(Minute::holding(now)) > EXCLUDED_AGO_MINUTES {
            return Err(RpcError::field("start_time", "must be at most 90 days ago"));
        }
        if to > Minute::holding(now) {
            return Err(RpcError::field(
                "end_time",
                "must not be after now: for a time to come, start a maintenance",
            ));
        }
        if !(1..=EXCLUDED_MINUTES).contains(&from.until(to)) {
            return Err(RpcError::field("end_time", "must be 1 minute to 30 days after the start"));
        }
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "ExcludeTime", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let tenants = self.tenants(&mut tx, &request.tenants).await?;
        let mut all = Amended::default();
        for record in locked(&mut tx, &request.slos).await? {
            let change =
                |_: Uuid, _: Minute, cell: Cell| Cell { excluded: !request.include, ..cell };
            let bounds = (from.max(record.first), to.min(record.known));
            if bounds.0 >= bounds.1 {
                continue;
            }
            let done = amend(&mut tx, record.uid, tenants.as_deref(), bounds, change).await?;
            all.budgets = all.budgets.saturating_add(done.budgets);
            all.minutes = all.minutes.saturating_add(done.minutes);
            all.bad = all.bad.saturating_add(done.bad);
        }
        let reply =
            v1::ExcludeTimeResponse { budgets: all.budgets, minutes: all.minutes, bad: all.bad };
        if request.validate_only {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        let verb = if request.include { "included" } else { "excluded" };
        caller.notes.changes(format!(
            "{verb} {} to {}: {} budgets, {} minutes, {} bad events",
            from.start(),
            to.start(),
            all.budgets,
            all.minutes,
            all.bad
        ));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    async fn tenants(
        &self,
        tx: &mut sqlx::PgConnection,
        names: &[String],
    ) -> RpcResult<Option<Vec<Uuid>>> {
        if names.is_empty() {
            return Ok(None);
        }
        let all = store::tenants(tx).await?;
        let uid = |name: &String| {
            let found = all.iter().find(|row| name.strip_prefix("tenants/") == Some(&row.id));
            found.map(|row| row.uid).ok_or_else(|| RpcError::NotFound(name.clone()))
        };
        names.iter().map(uid).collect::<RpcResult<Vec<_>>>().map(Some)
    }
}

#[derive(Default)]
struct Rows {
    tenants: Vec<Uuid>,
    minutes: Vec<i64>,
    totals: Vec<i64>,
    bads: Vec<i64>,
}

impl Rows {
    /// Adds a minute; the last of several counts.
    fn add(&mut self, tenant: Uuid, minute: Minute, counts: Counts) {
        let same = |(at, uid): (&i64, &Uuid)| *at == minute.0 && *uid == tenant;
        let known = self.minutes.iter().zip(&self.tenants).position(same);
        if let Some(index) = known {
            for column in [&mut self.minutes, &mut self.totals, &mut self.bads] {
                column.remove(index);
            }
            self.tenants.remove(index);
        }
        self.tenants.push(tenant);
        self.minutes.push(minute.0);
        self.totals.push(wide(counts.total));
        self.bads.push(wide(counts.bad));
    }
}

/// The SLOs of these names, or all; nobody measures them meanwhile.
async fn locked(tx: &mut sqlx::PgConnection, names: &[String]) -> RpcResult<Vec<SloRecord>> {
    let mut ids = Vec::new();
    if names.is_empty() {
        ids.extend(store::list(tx).await?.into_iter().map(|record| record.slo.id));
    }
    for name in names {
        ids.push(slo_id("slos", name)?);
    }
    // One order for all who lock several.
    ids.sort_unstable();
    ids.dedup();
    let mut records = Vec::with_capacity(ids.len());
    for id in ids {
        records.push(store::lock(tx, &id).await?.ok_or_else(|| missing(&id))?);
    }
    Ok(records)
}

fn pushed_minute(
    field: &str,
    sample: &v1::PushedSample,
    record: &SloRecord,
    now: Timestamp,
) -> RpcResult<Minute> {
    let minute = whole_minute(field, sample.minute.as_ref())?;
    let age = minute.until(Minute::holding(now));
    if !(0..=PUSHED_MINUTES).contains(&age) {
        return Err(RpcError::field(field, "must not be after now, and at most three days ago"));
    }
    if minute < record.first {
        let first = record.first.start();
        return Err(RpcError::field(
            field,
            format!("is before {first}, from when on the SLO is measured: leave it out"),
        ));
    }
    Ok(minute)
}

fn counts(field: &impl Fn(&str) -> String, sample: &v1::PushedSample) -> RpcResult<Counts> {
    let maximum = wide(Counts::MAXIMUM);
    if !(0..=maximum).contains(&sample.total) {
        return Err(RpcError::field(&field("total"), "must be 0 to 1,000,000,000,000"));
    }
    if !(0..=sample.total).contains(&sample.bad) {
        return Err(RpcError::field(&field("bad"), "must be 0 up to the total"));
    }
    Ok(Counts::new(sample.total.unsigned_abs(), sample.bad.unsigned_abs()))
}

fn whole_minute(field: &str, time: Option<&prost_types::Timestamp>) -> RpcResult<Minute> {
    let time = time.ok_or_else(|| RpcError::field(field, "is required"))?;
    if time.nanos != 0 || time.seconds.rem_euclid(60) != 0 {
        return Err(RpcError::field(field, "must be a whole minute, without seconds"));
    }
    let time = instant(time).ok_or_else(|| RpcError::field(field, "is no instant"))?;
    Ok(Minute::holding(time))
}
