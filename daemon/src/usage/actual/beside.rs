//! Actual use beside the sums of a time, and what is shown of both together.
//!
//! It is kept by tenant and hour. An hour that a time zone cuts in two counts to the row
//! that it begins in.

use std::collections::BTreeMap;

use sqlx::{FromRow, PgConnection, Row as _, postgres::PgRow};
use streamspace_core::usage::{Second, Span, showback};
use streamspace_proto::v1::{self, UsageGroup};
use uuid::Uuid;

use crate::{
    db::DbError,
    rpc::errors::{RpcError, RpcResult},
    usage::{
        convert::{self, Amounts},
        input::{HOUR, Query},
        query::{ROWS_MAXIMUM, starts, too_many},
    },
};

/// What was used, and by how much that is more than what was requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Used {
    /// CPU, memory, egress, recordings.
    amounts: [i128; 4],
    /// The seconds of series that these are of.
    covered: [i128; 4],
    /// Of CPU and memory, by hours.
    excess: [i128; 2],
}

impl Used {
    fn read(texts: &[String]) -> RpcResult<Self> {
        let wrong = || RpcError::Internal(format!("sums of use that are no numbers: {texts:?}"));
        let numbers: Result<Vec<i128>, _> = texts.iter().map(|text| text.parse()).collect();
        let numbers = numbers.map_err(|_| wrong())?;
        let (amounts, rest) = numbers.split_first_chunk().ok_or_else(wrong)?;
        let (covered, excess) = rest.split_first_chunk().ok_or_else(wrong)?;
        let excess = excess.try_into().map_err(|_| wrong())?;
        Ok(Self { amounts: *amounts, covered: *covered, excess })
    }

    fn add(&mut self, other: &Self) {
        let all = |used: &Self| {
            let Self { amounts, covered, excess } = *used;
            amounts.into_iter().chain(covered).chain(excess)
        };
        let mut sums = all(self).zip(all(other)).map(|(a, b)| a.saturating_add(b));
        let mut next = || sums.next().unwrap_or_default();
        *self = Self {
            amounts: std::array::from_fn(|_| next()),
            covered: std::array::from_fn(|_| next()),
            excess: std::array::from_fn(|_| next()),
        };
    }

    /// As the contract shows it, beside what was requested.
    fn to_proto(self, requested: Option<&v1::UsageAmounts>) -> v1::ActualUse {
        let [cpu, memory, egress, recordings] = self.amounts;
        let known = |amount: i128, covered: i128| (covered > 0).then(|| amount.to_string());
        let [cpu_seconds, memory_seconds, egress_seconds, recording_seconds] = self.covered;
        let asked = |text: Option<&String>| -> i128 {
            text.and_then(|text| text.parse().ok()).unwrap_or_default()
        };
        let asked_cpu = asked(requested.map(|it| &it.cpu_millicore_seconds));
        let asked_memory = asked(requested.map(|it| &it.memory_byte_seconds));
        // The larger of both in each hour, and so never less than what was requested.
        let [more_cpu, more_memory] = self.excess;
        let shown =
            |asked: i128, more: i128| showback(asked, asked.saturating_add(more)).to_string();
        v1::ActualUse {
            cpu_millicore_seconds: known(cpu, cpu_seconds),
            memory_byte_seconds: known(memory, memory_seconds),
            egress_bytes: known(egress, egress_seconds),
            recording_byte_seconds: known(recordings, recording_seconds),
            cpu_covered_seconds: cpu_seconds.to_string(),
            memory_covered_seconds: memory_seconds.to_string(),
            egress_covered_seconds: egress_seconds.to_string(),
            recording_covered_seconds: recording_seconds.to_string(),
            showback_cpu_millicore_seconds: shown(asked_cpu, more_cpu),
            showback_memory_byte_seconds: shown(asked_memory, more_memory),
        }
    }
}

/// What one tenant used in one row's time.
struct Sum {
    tenant_id: String,
    tenant_uid: Uuid,
    part: i32,
    amounts: Vec<String>,
}

impl FromRow<'_, PgRow> for Sum {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            tenant_id: row.try_get("tenant_id")?,
            tenant_uid: row.try_get("tenant_uid")?,
            part: row.try_get("part")?,
            amounts: row.try_get("amounts")?,
        })
    }
}

/// The hours that are closed are held against what was requested in them; what was
/// requested in later ones is not known yet.
const SUMS: &str = "
    SELECT tenant_id, tenant_uid, width_bucket(hour_time, $4::timestamptz[]) AS part,
           ARRAY[sum(used.cpu_millicore_seconds), sum(used.memory_byte_seconds), sum(used.egress_bytes),
                 sum(used.recording_byte_seconds), sum(used.cpu_covered_seconds),
                 sum(used.memory_covered_seconds), sum(used.egress_covered_seconds),
                 sum(used.recording_covered_seconds),
                 coalesce(sum(greatest(used.cpu_millicore_seconds - coalesce(asked.cpu, 0), 0))
                              FILTER (WHERE hour_time < $5), 0),
                 coalesce(sum(greatest(used.memory_byte_seconds - coalesce(asked.memory, 0), 0))
                              FILTER (WHERE hour_time < $5), 0)]::text[] AS amounts
    FROM usage_actual AS used
    JOIN tenants USING (tenant_uid)
    LEFT JOIN (SELECT tenant_uid, hour_time, sum(cpu_millicore_seconds) AS cpu,
                      sum(memory_byte_seconds) AS memory
               FROM usage_hours
               WHERE hour_time >= $2 AND hour_time < $3 AND ($1::uuid[] IS NULL OR tenant_uid = ANY ($1))
               GROUP BY 1, 2) AS asked USING (tenant_uid, hour_time)
    WHERE hour_time >= $2 AND hour_time < $3 AND ($1::uuid[] IS NULL OR tenant_uid = ANY ($1))
    GROUP BY 1, 2, 3
    ORDER BY 1, 2, 3
    LIMIT $6";

/// Puts actual use beside the rows of a query, and returns that of all of them; nothing
/// where nothing was measured. Rows by user and template have none: pods are measured for
/// their tenant.
pub(in crate::usage) async fn beside(
    tx: &mut PgConnection,
    tenants: Option<Vec<Uuid>>,
    query: &Query,
    closed_through: Option<Second>,
    rows: &mut Vec<v1::UsageRow>,
    total: &Amounts,
) -> RpcResult<Option<v1::ActualUse>> {
    let Span { from, to } = query.span;
    // Most of the time there is none, and then nothing is added up for it.
    let is_there: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM usage_actual WHERE hour_time >= $2 AND hour_time < $3 \
                        AND ($1::uuid[] IS NULL OR tenant_uid = ANY ($1)))",
    )
    .bind(tenants.as_deref())
    .bind(convert::bind(from))
    .bind(convert::bind(to))
    .fetch_one(&mut *tx)
    .await
    .map_err(DbError::from)?;
    if !is_there {
        return Ok(None);
    }
    let starts = starts(query);
    let bound: Vec<jiff_sqlx::Timestamp> =
        starts.iter().map(|start| convert::bind(*start)).collect();
    let closed = closed_through.map_or(0, |second| second.0.div_euclid(HOUR) * HOUR);
    let sums: Vec<Sum> = sqlx::query_as(SUMS)
        .bind(tenants.as_deref())
        .bind(convert::bind(from))
        .bind(convert::bind(to))
        .bind(bound)
        .bind(convert::bind(Second(closed)))
        .bind(i64::try_from(ROWS_MAXIMUM + 1).unwrap_or(i64::MAX))
        .fetch_all(tx)
        .await
        .map_err(DbError::from)?;
    if sums.len() > ROWS_MAXIMUM {
        return Err(too_many());
    }
    let mut of_all = Used::default();
    let mut places: BTreeMap<(String, i64), usize> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        let start = row.start_time.as_ref().map_or(0, |time| time.seconds);
        places.insert((row.tenant_uid.clone(), start), at);
    }
    let by_tenant =
        matches!(query.group, UsageGroup::Unspecified | UsageGroup::Day | UsageGroup::Hour);
    for sum in sums {
        let used = Used::read(&sum.amounts)?;
        of_all.add(&used);
        if !by_tenant {
            continue;
        }
        let part = usize::try_from(sum.part).unwrap_or(0);
        let start = part.checked_sub(1).and_then(|at| starts.get(at)).copied().unwrap_or(from);
        let uid = sum.tenant_uid.to_string();
        let place = places.get(&(uid.clone(), start.0)).and_then(|at| rows.get_mut(*at));
        if let Some(row) = place {
            row.actual = Some(used.to_proto(row.amounts.as_ref()));
            continue;
        }
        // Nothing was requested, and yet something was used: recordings, for example.
        let amounts = Amounts::default().to_proto();
        rows.push(v1::UsageRow {
            tenant: format!("tenants/{}", sum.tenant_id),
            tenant_uid: uid,
            user: String::new(),
            template: String::new(),
            start_time: convert::instant(start),
            end_time: convert::instant(starts.get(part).copied().unwrap_or(to)),
            actual: Some(used.to_proto(Some(&amounts))),
            amounts: Some(amounts),
        });
    }
    if by_tenant {
        let start = |row: &v1::UsageRow| row.start_time.as_ref().map_or(0, |time| time.seconds);
        rows.sort_by(|a, b| {
            let key = |row: &v1::UsageRow| (row.tenant.clone(), row.tenant_uid.clone(), start(row));
            key(a).cmp(&key(b))
        });
    }
    Ok(Some(of_all.to_proto(Some(&total.to_proto()))))
}
