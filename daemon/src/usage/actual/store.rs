//! The rows of actual use: hours, what each series said last, and the sources.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::{PgConnection, Row as _};
use streamspace_core::usage::Second;
use uuid::Uuid;

use super::{
    book::{Hours, Key, Last},
    source::Metric,
};
use crate::{db::DbError, usage::convert};

/// A series that was not read for so long is forgotten, if it cannot come back.
const KEEP_SECONDS: i64 = 86_400;

/// Where a metric comes from, and how far it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::usage) struct SourceRow {
    /// Of what.
    pub(in crate::usage) metric: Metric,
    /// The source; empty where none is configured.
    pub(in crate::usage) source: String,
    /// Since when this source has measured it.
    pub(in crate::usage) since: Option<Second>,
    /// When it was read last.
    pub(in crate::usage) last: Option<Second>,
    /// Why the last look brought nothing; empty where it did.
    pub(in crate::usage) problem: String,
}

/// The sources that a leader noted, by metric.
pub(in crate::usage) async fn sources(
    tx: &mut PgConnection,
) -> Result<BTreeMap<Metric, SourceRow>, DbError> {
    let rows = sqlx::query(
        "SELECT metric, source, since_second, last_second, problem FROM usage_actual_sources",
    )
    .fetch_all(tx)
    .await?;
    let mut sources = BTreeMap::new();
    for row in rows {
        let Some(metric) = Metric::parse(row.try_get("metric")?) else { continue };
        let second = |column: &str| -> Result<Option<Second>, sqlx::Error> {
            Ok(row.try_get::<Option<i64>, _>(column)?.map(Second))
        };
        let found = SourceRow {
            metric,
            source: row.try_get("source")?,
            since: second("since_second")?,
            last: second("last_second")?,
            problem: row.try_get("problem")?,
        };
        sources.insert(metric, found);
    }
    Ok(sources)
}

/// Notes the sources.
pub(super) async fn note(tx: &mut PgConnection, rows: &[SourceRow]) -> Result<(), DbError> {
    for row in rows {
        sqlx::query(
            "INSERT INTO usage_actual_sources (metric, source, since_second, last_second, problem) \
             VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (metric) DO UPDATE SET source = excluded.source, \
                 since_second = excluded.since_second, last_second = excluded.last_second, \
                 problem = excluded.problem",
        )
        .bind(row.metric.as_str())
        .bind(&row.source)
        .bind(row.since.map(|second| second.0))
        .bind(row.last.map(|second| second.0))
        .bind(&row.problem)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Whose each namespace is.
pub(super) async fn tenants(tx: &mut PgConnection) -> Result<HashMap<String, Uuid>, DbError> {
    let rows: Vec<(String, Uuid)> =
        sqlx::query_as("SELECT namespace, tenant_uid FROM tenants WHERE state <> 'gone'")
            .fetch_all(tx)
            .await?;
    Ok(rows.into_iter().collect())
}

/// What every series said last.
pub(super) async fn series(tx: &mut PgConnection) -> Result<BTreeMap<Key, Last>, DbError> {
    let rows = sqlx::query(
        "SELECT tenant_uid, metric, series, at, container_start, value::text AS value \
         FROM usage_actual_series",
    )
    .fetch_all(tx)
    .await?;
    let mut known = BTreeMap::new();
    for row in rows {
        let Some(metric) = Metric::parse(row.try_get("metric")?) else { continue };
        let value: Option<String> = row.try_get("value")?;
        let value = value.and_then(|text| text.parse::<i128>().ok());
        let start: Option<i64> = row.try_get("container_start")?;
        let key =
            Key { tenant: row.try_get("tenant_uid")?, metric, series: row.try_get("series")? };
        let counter = start.map(Second).zip(value);
        known.insert(key, Last { at: Second(row.try_get("at")?), counter });
    }
    Ok(known)
}

/// Notes what series said.
pub(super) async fn remember(
    tx: &mut PgConnection,
    series: &BTreeMap<Key, Last>,
) -> Result<(), DbError> {
    if series.is_empty() {
        return Ok(());
    }
    let counters = || series.values().map(|last| last.counter);
    sqlx::query(
        "INSERT INTO usage_actual_series (tenant_uid, metric, series, at, container_start, value) \
         SELECT tenant_uid, metric, series, at, container_start, value::numeric \
         FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[]) \
              AS fresh (tenant_uid, metric, series, at, container_start, value) \
         ON CONFLICT (tenant_uid, metric, series) DO UPDATE SET at = excluded.at, \
             container_start = excluded.container_start, value = excluded.value",
    )
    .bind(series.keys().map(|key| key.tenant).collect::<Vec<_>>())
    .bind(series.keys().map(|key| key.metric.as_str()).collect::<Vec<_>>())
    .bind(series.keys().map(|key| key.series.as_str()).collect::<Vec<_>>())
    .bind(series.values().map(|last| last.at.0).collect::<Vec<_>>())
    .bind(counters().map(|counter| counter.map(|(start, _)| start.0)).collect::<Vec<_>>())
    .bind(counters().map(|counter| counter.map(|(_, value)| value.to_string())).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// Adds to the hours.
pub(super) async fn add(tx: &mut PgConnection, hours: &Hours) -> Result<(), DbError> {
    // A row has all metrics of its hour, and one statement writes a row once.
    let rows: BTreeSet<(Uuid, Second)> =
        hours.keys().map(|(tenant, hour, _)| (*tenant, *hour)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let of = |metric: Metric| -> (Vec<String>, Vec<i64>) {
        let found = |(tenant, hour): &(Uuid, Second)| {
            let amount = hours.get(&(*tenant, *hour, metric)).copied().unwrap_or_default();
            (amount.amount.to_string(), amount.covered)
        };
        rows.iter().map(found).unzip()
    };
    let (cpu, cpu_seconds) = of(Metric::Cpu);
    let (memory, memory_seconds) = of(Metric::Memory);
    let (egress, egress_seconds) = of(Metric::Egress);
    let (recordings, recording_seconds) = of(Metric::Recordings);
    sqlx::query(
        "INSERT INTO usage_actual AS stored (tenant_uid, hour_time, \
             cpu_millicore_seconds, cpu_covered_seconds, memory_byte_seconds, memory_covered_seconds, \
             egress_bytes, egress_covered_seconds, recording_byte_seconds, recording_covered_seconds) \
         SELECT tenant_uid, hour_time, cpu::numeric, cpu_seconds, memory::numeric, memory_seconds, \
                egress::numeric, egress_seconds, recordings::numeric, recording_seconds \
         FROM UNNEST($1::uuid[], $2::timestamptz[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], \
                     $7::text[], $8::bigint[], $9::text[], $10::bigint[]) \
              AS fresh (tenant_uid, hour_time, cpu, cpu_seconds, memory, memory_seconds, \
                        egress, egress_seconds, recordings, recording_seconds) \
         ON CONFLICT (tenant_uid, hour_time) DO UPDATE SET \
             cpu_millicore_seconds = stored.cpu_millicore_seconds + excluded.cpu_millicore_seconds, \
             cpu_covered_seconds = stored.cpu_covered_seconds + excluded.cpu_covered_seconds, \
             memory_byte_seconds = stored.memory_byte_seconds + excluded.memory_byte_seconds, \
             memory_covered_seconds = stored.memory_covered_seconds + excluded.memory_covered_seconds, \
             egress_bytes = stored.egress_bytes + excluded.egress_bytes, \
             egress_covered_seconds = stored.egress_covered_seconds + excluded.egress_covered_seconds, \
             recording_byte_seconds = stored.recording_byte_seconds + excluded.recording_byte_seconds, \
             recording_covered_seconds = \
                 stored.recording_covered_seconds + excluded.recording_covered_seconds",
    )
    .bind(rows.iter().map(|(tenant, _)| *tenant).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, hour)| convert::bind(*hour)).collect::<Vec<_>>())
    .bind(cpu)
    .bind(cpu_seconds)
    .bind(memory)
    .bind(memory_seconds)
    .bind(egress)
    .bind(egress_seconds)
    .bind(recordings)
    .bind(recording_seconds)
    .execute(tx)
    .await?;
    Ok(())
}

/// Forgets series that were not read for a day and cannot come back: gauges, which would
/// begin anew, and counters of pods that are gone. `live` are the pods, where they are
/// known; a counter of a pod that lives is kept however long nobody reads it.
pub(super) async fn forget(
    tx: &mut PgConnection,
    known: &BTreeMap<Key, Last>,
    live: Option<&BTreeSet<(Uuid, &str)>>,
    now: Second,
) -> Result<u64, DbError> {
    let is_over = |(key, last): &(&Key, &Last)| {
        let is_gone =
            || live.is_some_and(|live| !live.contains(&(key.tenant, key.series.as_str())));
        last.at < now.plus(-KEEP_SECONDS) && (last.counter.is_none() || is_gone())
    };
    let over: Vec<(&Key, &Last)> = known.iter().filter(is_over).collect();
    if over.is_empty() {
        return Ok(0);
    }
    let deleted = sqlx::query(
        "DELETE FROM usage_actual_series AS stored \
         USING UNNEST($1::uuid[], $2::text[], $3::text[], $4::bigint[]) AS over (tenant_uid, metric, series, at) \
         WHERE stored.tenant_uid = over.tenant_uid AND stored.metric = over.metric \
           AND stored.series = over.series AND stored.at = over.at",
    )
    .bind(over.iter().map(|(key, _)| key.tenant).collect::<Vec<_>>())
    .bind(over.iter().map(|(key, _)| key.metric.as_str()).collect::<Vec<_>>())
    .bind(over.iter().map(|(key, _)| key.series.as_str()).collect::<Vec<_>>())
    .bind(over.iter().map(|(_, last)| last.at.0).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(deleted.rows_affected())
}
