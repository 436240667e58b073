//! Sums of a time, out of days and hours.
//!
//! The days of a zone that is off UTC by half an hour begin within an hour of UTC. What
//! such an hour has after the cut is read from its five minutes and is *moved*: taken from
//! the row before the cut and given to the one after. So rows always come to what the
//! hours come to, whatever zone cuts them; where the five minutes are not kept any more,
//! an hour counts to the day that it begins in.

use sqlx::{FromRow, PgConnection, Row as _, postgres::PgRow};
use streamspace_core::usage::{Second, Span, days};
use streamspace_proto::v1::{self, UsageGroup};
use uuid::Uuid;

use super::{
    convert::{self, Amounts},
    input::{DAY, Export, HOUR, Query},
};
use crate::{
    db::DbError,
    rpc::errors::{RpcError, RpcResult},
};

/// More rows are for [`export`]: an answer is one message.
pub(super) const ROWS_MAXIMUM: usize = 10_000;

/// Why so many rows are not returned.
pub(super) fn too_many() -> RpcError {
    let words = format!(
        "more than {ROWS_MAXIMUM} rows: ask for a shorter time, one tenant or coarser groups, or export"
    );
    RpcError::field("end_time", words)
}

/// The columns of amounts, each times `$sign`, and what only sessions have times `$lives`.
macro_rules! amounts_times {
    ($sign:literal, $lives:literal) => {
        concat!(
            "cpu_millicore_seconds * ",
            $sign,
            " AS cpu_millicore_seconds, ",
            "memory_byte_seconds * ",
            $sign,
            " AS memory_byte_seconds, ",
            "storage_byte_seconds * ",
            $sign,
            " AS storage_byte_seconds, ",
            "session_seconds * ",
            $sign,
            " AS session_seconds, ",
            "sessions_started * ",
            $lives,
            " AS sessions_started, ",
            "measured_seconds * ",
            $lives,
            " AS measured_seconds, ",
            "estimated_seconds * ",
            $lives,
            " AS estimated_seconds, ",
            "unbilled_seconds * ",
            $lives,
            " AS unbilled_seconds"
        )
    };
}

/// Sums as an array of texts, which [`Amounts::read`] reads.
macro_rules! sums {
    () => {
        "ARRAY[coalesce(sum(cpu_millicore_seconds), 0)::text, coalesce(sum(memory_byte_seconds), 0)::text, \
         coalesce(sum(storage_byte_seconds), 0)::text, coalesce(sum(session_seconds), 0)::text, \
         coalesce(sum(sessions_started), 0)::text, coalesce(sum(measured_seconds), 0)::text, \
         coalesce(sum(estimated_seconds), 0)::text, coalesce(sum(unbilled_seconds), 0)::text]"
    };
}

/// The amounts of one row as an array of texts.
macro_rules! amounts {
    () => {
        "ARRAY[cpu_millicore_seconds::text, memory_byte_seconds::text, storage_byte_seconds::text, \
         session_seconds::text, sessions_started::text, measured_seconds::text, estimated_seconds::text, \
         unbilled_seconds::text]"
    };
}
pub(super) use {amounts, sums};

/// The sums of a time by group. Whole days of UTC between `$4` and `$5` are read from the
/// days, the rest from the hours, `$moved` beside them.
macro_rules! query {
    ($moved:expr) => {
        concat!(
            "WITH entries AS ( \
                 SELECT tenant_uid, user_name, template, day::timestamp AT TIME ZONE 'UTC' AS at, ",
            amounts_times!("1", "1"),
            "    FROM usage_days \
                 WHERE day >= ($4 AT TIME ZONE 'UTC')::date AND day < ($5 AT TIME ZONE 'UTC')::date \
                 UNION ALL \
                 SELECT tenant_uid, user_name, template, hour_time, ",
            amounts_times!("1", "1"),
            "    FROM usage_hours \
                 WHERE hour_time >= $2 AND hour_time < $3 AND NOT (hour_time >= $4 AND hour_time < $5)",
            $moved,
            ") \
             SELECT tenant_id, tenant_uid, \
                    CASE WHEN $6 = 'user' THEN user_name ELSE '' END AS user_name, \
                    CASE WHEN $6 = 'template' THEN template ELSE '' END AS template, \
                    width_bucket(at, $7::timestamptz[]) AS part, ",
            sums!(),
            " AS amounts \
             FROM entries JOIN tenants USING (tenant_uid) \
             WHERE $1::uuid[] IS NULL OR tenant_uid = ANY ($1) \
             GROUP BY 1, 2, 3, 4, 5 \
             ORDER BY 1, 2, 5, 3, 4 \
             LIMIT $8"
        )
    };
}

/// What stands in the five minutes from a cut to the end of its hour, with both signs:
/// for the second before the cut, and for the cut itself.
macro_rules! moved {
    () => {
        concat!(
    " UNION ALL \
     SELECT tenant_uid, user_name, template, cut.at, ",
    amounts_times!("cut.sign", "cut.sign * (kind = 'session')::integer"),
    " FROM (SELECT cut - CASE WHEN sign < 0 THEN interval '1 second' ELSE interval '0' END AS at, sign, \
                   cut AS since, until \
            FROM UNNEST($9::timestamptz[], $10::timestamptz[]) AS cuts (cut, until) \
            CROSS JOIN (VALUES (1), (-1)) AS signs (sign)) AS cut \
     JOIN (SELECT tenant_uid, subject_uid, bucket_time, ",
    amounts_times!("1", "1"),
    " FROM usage_intervals \
      UNION ALL \
      SELECT tenant_uid, subject_uid, bucket_time, ",
    amounts_times!("1", "1"),
    " FROM usage_corrections) AS five ON bucket_time >= cut.since AND bucket_time < cut.until \
     JOIN usage_subjects USING (tenant_uid, subject_uid) \
     WHERE cut.at >= $2 AND cut.at < $3"
        )
    };
}

/// What one group used.
struct Sum {
    tenant_id: String,
    tenant_uid: Uuid,
    user: String,
    template: String,
    part: i32,
    amounts: Vec<String>,
}

impl FromRow<'_, PgRow> for Sum {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            tenant_id: row.try_get("tenant_id")?,
            tenant_uid: row.try_get("tenant_uid")?,
            user: row.try_get("user_name")?,
            template: row.try_get("template")?,
            part: row.try_get("part")?,
            amounts: row.try_get("amounts")?,
        })
    }
}

/// The first seconds of the rows' times; the last one's ends with the span.
pub(super) fn starts(query: &Query) -> Vec<Second> {
    let Query { span, group, zone, .. } = query;
    match group {
        UsageGroup::Day => days(*span, zone),
        UsageGroup::Hour => {
            let whole = (span.from.0 / HOUR + 1..).map(|hour| Second(hour * HOUR));
            [span.from].into_iter().chain(whole.take_while(|start| *start < span.to)).collect()
        }
        UsageGroup::Unspecified | UsageGroup::User | UsageGroup::Template => vec![span.from],
    }
}

/// The whole days of UTC of a span; empty where the rows are shorter or cut elsewhere.
fn whole_days(query: &Query, starts: &[Second]) -> Span {
    let Span { from, to } = query.span;
    let first = Second(from.0.div_euclid(DAY) * DAY);
    let first = if first < from { first.plus(DAY) } else { first };
    let last = Second(to.0.div_euclid(DAY) * DAY);
    let is_between = |start: &&Second| first < **start && **start < last;
    let mut within = starts.iter().filter(is_between);
    let fits = query.group != UsageGroup::Hour && within.all(|start| start.0.rem_euclid(DAY) == 0);
    if fits && first < last { Span::new(first, last) } else { Span::new(from, from) }
}

/// The rows of a query and their sum. `tenants` narrows what the transaction sees.
pub(super) async fn query(
    tx: &mut PgConnection,
    tenants: Option<Vec<Uuid>>,
    query: &Query,
) -> RpcResult<(Vec<v1::UsageRow>, Amounts)> {
    let Span { from, to } = query.span;
    let starts = starts(query);
    let days = whole_days(query, &starts);
    let mut cuts = starts.clone();
    cuts.push(to);
    cuts.retain(|cut| cut.0.rem_euclid(HOUR) != 0);
    let until: Vec<Second> =
        cuts.iter().map(|cut| Second((cut.0.div_euclid(HOUR) + 1) * HOUR)).collect();
    let bound = |seconds: &[Second]| -> Vec<jiff_sqlx::Timestamp> {
        seconds.iter().map(|second| convert::bind(*second)).collect()
    };
    let group = match query.group {
        UsageGroup::User => "user",
        UsageGroup::Template => "template",
        _ => "",
    };
    let statement = if cuts.is_empty() { query!("") } else { query!(moved!()) };
    let mut statement = sqlx::query_as(statement)
        .bind(tenants)
        .bind(convert::bind(from))
        .bind(convert::bind(to))
        .bind(convert::bind(days.from))
        .bind(convert::bind(days.to))
        .bind(group)
        .bind(bound(&starts))
        .bind(i64::try_from(ROWS_MAXIMUM + 1).unwrap_or(i64::MAX));
    if !cuts.is_empty() {
        statement = statement.bind(bound(&cuts)).bind(bound(&until));
    }
    let sums: Vec<Sum> = statement.fetch_all(tx).await.map_err(DbError::from)?;
    if sums.len() > ROWS_MAXIMUM {
        return Err(too_many());
    }
    let mut total = Amounts::default();
    let mut rows = Vec::with_capacity(sums.len());
    for sum in sums {
        let amounts = Amounts::read(&sum.amounts)?;
        if amounts == Amounts::default() {
            // All that it had was moved over a cut.
            continue;
        }
        total.add(&amounts)?;
        let part = usize::try_from(sum.part).unwrap_or(0);
        let start = part.checked_sub(1).and_then(|index| starts.get(index));
        rows.push(v1::UsageRow {
            tenant: format!("tenants/{}", sum.tenant_id),
            tenant_uid: sum.tenant_uid.to_string(),
            user: sum.user,
            template: sum.template,
            start_time: convert::instant(start.copied().unwrap_or(from)),
            end_time: convert::instant(starts.get(part).copied().unwrap_or(to)),
            amounts: Some(amounts.to_proto()),
            actual: None,
        });
    }
    Ok((rows, total))
}

/// What all that the transaction sees, or these tenants, used from an instant on.
pub(super) async fn since(
    tx: &mut PgConnection,
    tenants: Option<Vec<Uuid>>,
    from: Second,
) -> RpcResult<Amounts> {
    let sums: Vec<String> = sqlx::query_scalar(concat!(
        "SELECT ",
        sums!(),
        " FROM tenants JOIN usage_hours USING (tenant_uid) \
         WHERE hour_time >= $2 AND ($1::uuid[] IS NULL OR tenant_uid = ANY ($1))"
    ))
    .bind(tenants)
    .bind(convert::bind(from))
    .fetch_one(tx)
    .await
    .map_err(DbError::from)?;
    Amounts::read(&sums)
}

/// Where an export goes on: after this row.
#[derive(Clone, Debug)]
pub(super) struct Place {
    at: Second,
    tenant: Uuid,
    user: String,
    template: String,
}

impl Place {
    /// Before the first row of a time.
    pub(super) fn before(at: Second) -> Self {
        Self { at, tenant: Uuid::nil(), user: String::new(), template: String::new() }
    }
}

/// The rows of an export from a place on, and the place after the last one; no place where
/// there are no more. The time ends at `to`.
pub(super) async fn export(
    tx: &mut PgConnection,
    tenants: Option<Vec<Uuid>>,
    export: &Export,
    place: &Place,
    to: Second,
    limit: i64,
) -> RpcResult<(Vec<v1::UsageRow>, Option<Place>)> {
    macro_rules! page {
        ($table:literal, $time:literal, $before:literal) => {
            concat!(
                "SELECT ",
                $time,
                " AS at, tenant_uid, tenant_id, user_name, template, ",
                amounts!(),
                " AS amounts FROM tenants JOIN ",
                $table,
                " USING (tenant_uid) \
                 WHERE ($1::uuid[] IS NULL OR tenant_uid = ANY ($1)) AND ",
                $before,
                " AND (",
                $time,
                ", tenant_uid, user_name, template) > ($2, $4, $5, $6) \
                 ORDER BY 1, 2, 4, 5 LIMIT $7"
            )
        };
    }
    let statement = if export.days {
        page!(
            "usage_days",
            "(day::timestamp AT TIME ZONE 'UTC')",
            "day >= ($2 AT TIME ZONE 'UTC')::date AND day < ($3 AT TIME ZONE 'UTC')::date"
        )
    } else {
        page!("usage_hours", "hour_time", "hour_time >= $2 AND hour_time < $3")
    };
    let found: Vec<PgRow> = sqlx::query(statement)
        .bind(tenants)
        .bind(convert::bind(place.at))
        .bind(convert::bind(to))
        .bind(place.tenant)
        .bind(&place.user)
        .bind(&place.template)
        .bind(limit)
        .fetch_all(tx)
        .await
        .map_err(DbError::from)?;
    let is_full = i64::try_from(found.len()).is_ok_and(|count| count >= limit);
    let step = if export.days { DAY } else { HOUR };
    let mut last = None;
    let mut rows = Vec::with_capacity(found.len());
    for row in found {
        let read = || -> Result<_, sqlx::Error> {
            let place = Place {
                at: convert::second(row.try_get("at")?),
                tenant: row.try_get("tenant_uid")?,
                user: row.try_get("user_name")?,
                template: row.try_get("template")?,
            };
            Ok((place, row.try_get::<String, _>("tenant_id")?, row.try_get("amounts")?))
        };
        let (place, tenant_id, amounts): (Place, _, Vec<String>) = read().map_err(DbError::from)?;
        rows.push(v1::UsageRow {
            tenant: format!("tenants/{tenant_id}"),
            tenant_uid: place.tenant.to_string(),
            user: place.user.clone(),
            template: place.template.clone(),
            start_time: convert::instant(place.at),
            end_time: convert::instant(place.at.plus(step)),
            amounts: Some(Amounts::read(&amounts)?.to_proto()),
            actual: None,
        });
        last = Some(place);
    }
    Ok((rows, last.filter(|_| is_full)))
}
