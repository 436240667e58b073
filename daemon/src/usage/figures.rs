//! The region's usage in a few numbers, for the metrics.

use sqlx::PgConnection;
use streamspace_core::usage::{Second, Watermark};

use super::{
    actual::{Metric, store as actual},
    store::{self, Hold},
};
use crate::db::{Database, DbError, Scope};

const HOUR: i64 = 3_600;
/// How far back gaps count, in seconds.
const GAP_WINDOW: i64 = 30 * 86_400;
/// A source that was not read for so long, in seconds, measures nothing.
const SOURCE_WINDOW: i64 = 600;

/// What the region takes now, and how far its metering has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// When it was read, by the database's clock.
    pub now: Second,
    /// Sessions that run.
    pub sessions_running: i64,
    /// Sessions that there are.
    pub sessions: i64,
    /// Requested by those that run, in thousandths of a core.
    pub cpu_millicores: f64,
    /// Requested by those that run, in bytes.
    pub memory_bytes: f64,
    /// What is measured of actual use: CPU, memory, egress, recordings.
    pub measured: [bool; 4],
    /// How far the metering has come; `None` where it has not begun.
    pub metered: Option<Metered>,
}

/// How far the metering has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metered {
    /// How far facts and commits are.
    pub watermark: Watermark,
    /// The last whole hour that is closed ends here; what follows is of the 24 hours
    /// before it.
    pub day_end: Second,
    /// Requested CPU, in core-seconds.
    pub cpu_core_seconds: f64,
    /// Requested memory, in byte-seconds.
    pub memory_byte_seconds: f64,
    /// Homes, in byte-seconds.
    pub storage_byte_seconds: f64,
    /// The billed seconds.
    pub billed_seconds: f64,
    /// Those of them that are estimated.
    pub estimated_seconds: f64,
    /// What pods took; a part that was not measured in these hours is absent.
    pub actual: ActualDay,
    /// Seconds of the last 30 days that nobody watched.
    pub gap_seconds: i64,
    /// Hours that wait to be added up anew.
    pub dirty_hours: i64,
    /// Spans that wait to be computed anew.
    pub late_spans: i64,
}

/// What pods took in 24 hours, beside what was requested.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ActualDay {
    /// CPU, in core-seconds.
    pub cpu_core_seconds: Option<f64>,
    /// Memory, in byte-seconds.
    pub memory_byte_seconds: Option<f64>,
    /// What pods sent, in bytes.
    pub egress_bytes: Option<f64>,
    /// What recordings took, in bytes on the average of the time that is known.
    pub recording_bytes: Option<f64>,
}

/// Reads the numbers of the whole region.
pub async fn read(db: &Database) -> Result<Figures, DbError> {
    let mut tx = db.begin(&Scope::Region).await?;
    let (now, sessions_running, sessions, cpu_millicores, memory_bytes) = sqlx::query_as::<
        _,
        (jiff_sqlx::Timestamp, i64, i64, f64, f64),
    >(
        "SELECT clock_timestamp(), count(*) FILTER (WHERE phase = 'Running' AND NOT deleting), count(*), \
                coalesce(sum(cpu) FILTER (WHERE phase = 'Running' AND NOT deleting), 0)::double precision, \
                coalesce(sum(memory) FILTER (WHERE phase = 'Running' AND NOT deleting), 0)::double precision \
         FROM sessions",
    )
    .fetch_one(&mut *tx)
    .await?;
    let now = super::convert::second(now);
    let sources = actual::sources(&mut tx).await?;
    let measured = Metric::ALL.map(|metric| {
        let last = sources.get(&metric).and_then(|source| source.last);
        last.is_some_and(|last| last > now.plus(-SOURCE_WINDOW))
    });
    let metered = match store::watermark(&mut tx, Hold::Nothing).await? {
        Some(watermark) => Some(metered(&mut tx, watermark, now).await?),
        None => None,
    };
    Ok(Figures { now, sessions_running, sessions, cpu_millicores, memory_bytes, measured, metered })
}

async fn metered(
    tx: &mut PgConnection,
    watermark: Watermark,
    now: Second,
) -> Result<Metered, DbError> {
    let day_end = Second(watermark.closed_through.0.div_euclid(HOUR) * HOUR);
    // Tenant by tenant: their keys begin with the tenant.
    let (cpu_core_seconds, memory_byte_seconds, storage_byte_seconds, measured, estimated_seconds) =
        sqlx::query_as::<_, (f64, f64, f64, f64, f64)>(
            "SELECT coalesce(sum(cpu) / 1000, 0)::double precision, coalesce(sum(memory), 0)::double precision, \
                    coalesce(sum(storage), 0)::double precision, coalesce(sum(measured), 0)::double precision, \
                    coalesce(sum(estimated), 0)::double precision \
             FROM tenants CROSS JOIN LATERAL ( \
                 SELECT sum(cpu_millicore_seconds) AS cpu, sum(memory_byte_seconds) AS memory, \
                        sum(storage_byte_seconds) AS storage, sum(measured_seconds) AS measured, \
                        sum(estimated_seconds) AS estimated \
                 FROM usage_hours AS used \
                 WHERE used.tenant_uid = tenants.tenant_uid AND hour_time >= to_timestamp($1 - 86400) \
                   AND hour_time < to_timestamp($1)) AS of_tenant",
        )
        .bind(day_end.0)
        .fetch_one(&mut *tx)
        .await?;
    let actual = actual_day(tx, day_end).await?;
    let (gap_seconds, dirty_hours, late_spans): (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT coalesce(sum(to_second - greatest(from_second, $1)), 0)::bigint FROM usage_gaps \
                 WHERE to_second > greatest(from_second, $1)), \
                (SELECT count(*) FROM usage_dirty), (SELECT count(*) FROM usage_late)",
    )
    .bind(now.0.saturating_sub(GAP_WINDOW))
    .fetch_one(tx)
    .await?;
    Ok(Metered {
        watermark,
        day_end,
        cpu_core_seconds,
        memory_byte_seconds,
        storage_byte_seconds,
        billed_seconds: measured + estimated_seconds,
        estimated_seconds,
        actual,
        gap_seconds,
        dirty_hours,
        late_spans,
    })
}

async fn actual_day(tx: &mut PgConnection, day_end: Second) -> Result<ActualDay, DbError> {
    let (cpu, memory, egress, recordings) =
        sqlx::query_as::<_, (Option<f64>, Option<f64>, Option<f64>, Option<f64>)>(
            "SELECT (sum(cpu) / 1000)::double precision, sum(memory)::double precision, \
                    sum(egress)::double precision, sum(recordings)::double precision \
             FROM tenants CROSS JOIN LATERAL ( \
                 SELECT sum(cpu_millicore_seconds) FILTER (WHERE cpu_covered_seconds > 0) AS cpu, \
                        sum(memory_byte_seconds) FILTER (WHERE memory_covered_seconds > 0) AS memory, \
                        sum(egress_bytes) FILTER (WHERE egress_covered_seconds > 0) AS egress, \
                        sum(recording_byte_seconds) / nullif(sum(recording_covered_seconds), 0) \
                            AS recordings \
                 FROM usage_actual AS used \
                 WHERE used.tenant_uid = tenants.tenant_uid AND hour_time >= to_timestamp($1 - 86400) \
                   AND hour_time < to_timestamp($1)) AS of_tenant",
        )
        .bind(day_end.0)
        .fetch_one(tx)
        .await?;
    Ok(ActualDay {
        cpu_core_seconds: cpu,
        memory_byte_seconds: memory,
        egress_bytes: egress,
        recording_bytes: recordings,
    })
}
