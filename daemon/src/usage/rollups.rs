//! Hours and days: pure recomputations of what has changed, never from what they were.

use std::collections::BTreeSet;

use sqlx::PgConnection;
use streamspace_core::{
    ids::TenantUid,
    usage::{Grain, Second},
};
use uuid::Uuid;

use super::ticker::StepError;
use crate::db::{Database, DbError, Leadership, Scope, lease};

/// So many hours of tenants are added up together, all of one day: a day is added up from
/// its hours as few times as can be.
const BATCH: i64 = 500;

/// A day of 100,000 sessions is more than the time of a call; its groups fit in memory; and
/// each batch is planned for what it is of, for a plan for any would read every partition.
const SETTINGS: &str = "SET LOCAL statement_timeout TO '120s'; SET LOCAL work_mem TO '64MB'; \
                        SET LOCAL plan_cache_mode TO force_custom_plan";

/// Notes hours that must be added up anew. One that is there already is held, and not only
/// passed by: whoever adds it up takes it away first and then reads the rows, so that it
/// waits for these.
pub(super) async fn mark(
    tx: &mut PgConnection,
    hours: &BTreeSet<(TenantUid, Second)>,
) -> Result<(), DbError> {
    if hours.is_empty() {
        return Ok(());
    }
    let (tenants, times) = arrays(hours.iter().copied());
    sqlx::query(
        "INSERT INTO usage_dirty (tenant_uid, hour_time) \
         SELECT tenant_uid, to_timestamp(hour) \
         FROM UNNEST($1::uuid[], $2::bigint[]) AS dirty (tenant_uid, hour) \
         ON CONFLICT (tenant_uid, hour_time) DO UPDATE SET region_term = EXCLUDED.region_term",
    )
    .bind(tenants)
    .bind(times)
    .execute(tx)
    .await?;
    Ok(())
}

/// Adds up some of what is dirty; how many hours of tenants. Nothing is left where it did
/// none.
pub async fn roll_some(db: &Database, leadership: &Leadership) -> Result<u64, StepError> {
    let mut tx = db.begin(&Scope::Region).await?;
    let count = batch(&mut tx).await?;
    if count > 0 {
        // Last, for whoever leads renews the row that is held by it.
        if !lease::still_leads(&mut tx, leadership).await? {
            return Err(StepError::NotLeader);
        }
        tx.commit().await?;
    }
    Ok(count)
}

/// One batch, in a transaction.
pub(super) async fn batch(tx: &mut PgConnection) -> Result<u64, DbError> {
    sqlx::raw_sql(SETTINGS).execute(&mut *tx).await?;
    let hours = take(tx).await?;
    let times = hours.iter().map(|(_, hour)| *hour);
    let (Some(first), Some(last)) = (times.clone().min(), times.max()) else {
        return Ok(0);
    };
    let count = u64::try_from(hours.len()).unwrap_or(u64::MAX);
    let day = |hour: Second| Grain::Day.holding(hour).from;
    let days: BTreeSet<_> = hours.iter().map(|(tenant, hour)| (*tenant, day(*hour))).collect();
    let end = last.plus(Grain::Hour.seconds());
    add_hours(tx, &arrays(hours.into_iter()), first, end).await?;
    add_days(tx, &arrays(days.into_iter())).await?;
    Ok(count)
}

/// Takes away what is dirty of the first day that has any.
async fn take(tx: &mut PgConnection) -> Result<BTreeSet<(TenantUid, Second)>, DbError> {
    let first: Option<i64> =
        sqlx::query_scalar("SELECT extract(epoch FROM min(hour_time))::bigint FROM usage_dirty")
            .fetch_one(&mut *tx)
            .await?;
    let Some(first) = first else {
        return Ok(BTreeSet::new());
    };
    let day = Grain::Day.holding(Second(first));
    let rows: Vec<(Uuid, i64)> = sqlx::query_as(
        "WITH due AS (SELECT tenant_uid, hour_time FROM usage_dirty \
                      WHERE hour_time >= to_timestamp($1) AND hour_time < to_timestamp($2) \
                      ORDER BY tenant_uid, hour_time LIMIT $3 FOR UPDATE) \
         DELETE FROM usage_dirty USING due \
         WHERE usage_dirty.tenant_uid = due.tenant_uid AND usage_dirty.hour_time = due.hour_time \
         RETURNING usage_dirty.tenant_uid, extract(epoch FROM usage_dirty.hour_time)::bigint",
    )
    .bind(day.from.0)
    .bind(day.to.0)
    .bind(BATCH)
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|(tenant, hour)| (TenantUid(tenant), Second(hour))).collect())
}

fn arrays(times: impl Iterator<Item = (TenantUid, Second)>) -> (Vec<Uuid>, Vec<i64>) {
    times.map(|(tenant, time)| (tenant.0, time.0)).unzip()
}

/// Subjects are added up first, so that what they are grouped by is looked up once an hour
/// for each and not for each of its rows. In the order of their key new rows go to the end
/// of a page and not into its midst.
async fn add_hours(
    tx: &mut PgConnection,
    (tenants, hours): &(Vec<Uuid>, Vec<i64>),
    first: Second,
    end: Second,
) -> Result<(), DbError> {
    sqlx::query(
        "DELETE FROM usage_hours \
         USING UNNEST($1::uuid[], $2::bigint[]) AS due (tenant_uid, hour) \
         WHERE usage_hours.tenant_uid = due.tenant_uid \
           AND usage_hours.hour_time = to_timestamp(due.hour)",
    )
    .bind(tenants)
    .bind(hours)
    .execute(&mut *tx)
    .await?;
    let distinct: BTreeSet<Uuid> = tenants.iter().copied().collect();
    sqlx::query(ADD_HOURS)
        .bind(tenants)
        .bind(hours)
        .bind(first.0)
        .bind(end.0)
        .bind(distinct.into_iter().collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}

const ADD_HOURS: &str = "
    WITH due AS MATERIALIZED (
        SELECT tenant_uid, to_timestamp(hour) AS hour_time
        FROM UNNEST($1::uuid[], $2::bigint[]) AS due (tenant_uid, hour)
    ),
    used AS (
        SELECT tenant_uid, date_bin('1 hour', bucket_time, '2000-01-01Z') AS hour_time, subject_uid,
               sum(cpu_millicore_seconds) AS cpu, sum(memory_byte_seconds) AS memory,
               sum(storage_byte_seconds) AS storage, sum(session_seconds) AS sessions,
               sum(sessions_started) AS started, sum(measured_seconds) AS measured,
               sum(estimated_seconds) AS estimated, sum(unbilled_seconds) AS unbilled
        FROM usage_intervals
        WHERE bucket_time >= to_timestamp($3) AND bucket_time < to_timestamp($4)
          AND tenant_uid = ANY ($5)
        GROUP BY 1, 2, 3
        UNION ALL
        SELECT tenant_uid, date_bin('1 hour', bucket_time, '2000-01-01Z'), subject_uid,
               cpu_millicore_seconds, memory_byte_seconds, storage_byte_seconds, session_seconds,
               sessions_started, measured_seconds, estimated_seconds, unbilled_seconds
        FROM usage_corrections
        WHERE bucket_time >= to_timestamp($3) AND bucket_time < to_timestamp($4)
          AND tenant_uid = ANY ($5)
    )
    INSERT INTO usage_hours (tenant_uid, hour_time, user_name, template, cpu_millicore_seconds,
                             memory_byte_seconds, storage_byte_seconds, session_seconds,
                             sessions_started, measured_seconds, estimated_seconds,
                             unbilled_seconds)
    SELECT tenant_uid, hour_time, user_name, template, sum(cpu), sum(memory), sum(storage),
           sum(sessions),
           coalesce(sum(started) FILTER (WHERE kind = 'session'), 0),
           coalesce(sum(measured) FILTER (WHERE kind = 'session'), 0),
           coalesce(sum(estimated) FILTER (WHERE kind = 'session'), 0),
           coalesce(sum(unbilled) FILTER (WHERE kind = 'session'), 0)
    FROM used
    JOIN due USING (tenant_uid, hour_time)
    JOIN usage_subjects USING (tenant_uid, subject_uid)
    GROUP BY tenant_uid, hour_time, user_name, template
    HAVING (sum(cpu), sum(memory), sum(storage), sum(sessions), sum(started), sum(measured),
            sum(estimated), sum(unbilled)) <> (0, 0, 0, 0, 0, 0, 0, 0)
    ORDER BY tenant_uid, hour_time, user_name, template";

async fn add_days(
    tx: &mut PgConnection,
    (tenants, days): &(Vec<Uuid>, Vec<i64>),
) -> Result<(), DbError> {
    sqlx::query(
        "DELETE FROM usage_days \
         USING UNNEST($1::uuid[], $2::bigint[]) AS due (tenant_uid, day) \
         WHERE usage_days.tenant_uid = due.tenant_uid \
           AND usage_days.day = (to_timestamp(due.day) AT TIME ZONE 'UTC')::date",
    )
    .bind(tenants)
    .bind(days)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "INSERT INTO usage_days (tenant_uid, day, user_name, template, cpu_millicore_seconds, \
             memory_byte_seconds, storage_byte_seconds, session_seconds, sessions_started, \
             measured_seconds, estimated_seconds, unbilled_seconds) \
         SELECT tenant_uid, (to_timestamp(due.day) AT TIME ZONE 'UTC')::date, user_name, template, \
                sum(cpu_millicore_seconds), sum(memory_byte_seconds), sum(storage_byte_seconds), \
                sum(session_seconds), sum(sessions_started), sum(measured_seconds), \
                sum(estimated_seconds), sum(unbilled_seconds) \
         FROM UNNEST($1::uuid[], $2::bigint[]) AS due (tenant_uid, day) \
         JOIN usage_hours USING (tenant_uid) \
         WHERE hour_time >= to_timestamp(due.day) \
           AND hour_time < to_timestamp(due.day) + interval '24 hours' \
         GROUP BY tenant_uid, due.day, user_name, template",
    )
    .bind(tenants)
    .bind(days)
    .execute(tx)
    .await?;
    Ok(())
}
