//! What can be checked by adding up.

use sqlx::PgConnection;
use streamspace_core::usage::Span;
use uuid::Uuid;

use super::Proof;
use crate::db::DbError;

/// Each has `$1` the tenants or null, `$2` and `$3` the day, and tells how many were
/// checked, how many are wrong, and of a few what.
const CHECKS: [(&str, &str); 3] = [
    ("each second of a subject is counted at most once", ROWS),
    ("an hour is the sum of its intervals and corrections", HOURS),
    ("a day is the sum of its hours", DAYS),
];

/// Checks a day of UTC.
pub(super) async fn check(
    tx: &mut PgConnection,
    tenants: Option<&[Uuid]>,
    day: Span,
    proof: &mut Proof,
) -> Result<(), DbError> {
    for (rule, query) in CHECKS {
        let (checked, faults, texts): (i64, i64, Option<Vec<String>>) = sqlx::query_as(query)
            .bind(tenants)
            .bind(day.from.0)
            .bind(day.to.0)
            .fetch_one(&mut *tx)
            .await?;
        let count = |number| u64::try_from(number).unwrap_or(0);
        proof.add(rule, count(checked), count(faults), texts.unwrap_or_default());
    }
    Ok(())
}

/// What is known of the five minutes of tenants `$1` from `$2` to `$3`: what was counted,
/// and its corrections.
macro_rules! rows {
    () => {
        "rows AS (
        SELECT tenant_uid, subject_uid, bucket_time, cpu_millicore_seconds AS cpu,
               memory_byte_seconds AS memory, storage_byte_seconds AS storage, session_seconds,
               sessions_started, measured_seconds, estimated_seconds, unbilled_seconds
        FROM usage_intervals
        WHERE bucket_time >= to_timestamp($2) AND bucket_time < to_timestamp($3)
          AND ($1::uuid[] IS NULL OR tenant_uid = ANY ($1))
        UNION ALL
        SELECT tenant_uid, subject_uid, bucket_time, cpu_millicore_seconds, memory_byte_seconds,
               storage_byte_seconds, session_seconds, sessions_started, measured_seconds,
               estimated_seconds, unbilled_seconds
        FROM usage_corrections
        WHERE bucket_time >= to_timestamp($2) AND bucket_time < to_timestamp($3)
          AND ($1::uuid[] IS NULL OR tenant_uid = ANY ($1))
    )"
    };
}

/// A bucket has 300 seconds; what is billed is what is measured or estimated; nothing is
/// less than nothing; nobody is unknown. That there is one row of it is its key.
const ROWS: &str = concat!(
    "WITH ",
    rows!(),
    ",
    stands AS (
        SELECT tenant_uid, subject_uid, bucket_time, sum(cpu) AS cpu, sum(memory) AS memory,
               sum(storage) AS storage, sum(session_seconds) AS sessions,
               sum(sessions_started) AS started, sum(measured_seconds) AS measured,
               sum(estimated_seconds) AS estimated, sum(unbilled_seconds) AS unbilled
        FROM rows GROUP BY tenant_uid, subject_uid, bucket_time
    ),
    judged AS (
        SELECT stands.*, subject.subject_uid IS NULL AS is_unknown,
               subject.subject_uid IS NULL
               OR NOT measured + estimated + unbilled BETWEEN 0 AND 300
               OR sessions <> measured + estimated OR NOT started BETWEEN 0 AND 1
               OR least(cpu, memory, storage, sessions, measured, estimated, unbilled) < 0
               AS is_wrong
        FROM stands LEFT JOIN usage_subjects AS subject USING (tenant_uid, subject_uid)
    )
    SELECT count(*), count(*) FILTER (WHERE is_wrong),
           (array_agg(format('tenant %s, subject %s, %s: %s measured, %s estimated, %s not billed, %s billed%s',
                             tenant_uid, subject_uid, bucket_time AT TIME ZONE 'UTC', measured, estimated,
                             unbilled, sessions,
                             CASE WHEN is_unknown THEN ', of a subject that there is none of' ELSE '' END))
            FILTER (WHERE is_wrong))[1:20]
    FROM judged"
);

const HOURS: &str = concat!(
    "WITH ",
    rows!(),
    ",
    expected AS (
        SELECT tenant_uid, date_bin('1 hour', bucket_time, '2000-01-01Z') AS hour_time, user_name, template,
               sum(cpu) AS cpu, sum(memory) AS memory, sum(storage) AS storage,
               sum(session_seconds) AS sessions,
               coalesce(sum(sessions_started) FILTER (WHERE kind = 'session'), 0) AS started,
               coalesce(sum(measured_seconds) FILTER (WHERE kind = 'session'), 0) AS measured,
               coalesce(sum(estimated_seconds) FILTER (WHERE kind = 'session'), 0) AS estimated,
               coalesce(sum(unbilled_seconds) FILTER (WHERE kind = 'session'), 0) AS unbilled
        FROM rows JOIN usage_subjects USING (tenant_uid, subject_uid)
        GROUP BY 1, 2, 3, 4
        HAVING (sum(cpu), sum(memory), sum(storage), sum(session_seconds), sum(sessions_started),
                sum(measured_seconds), sum(estimated_seconds), sum(unbilled_seconds))
               <> (0, 0, 0, 0, 0, 0, 0, 0)
    ),
    found AS (
        SELECT * FROM usage_hours
        WHERE hour_time >= to_timestamp($2) AND hour_time < to_timestamp($3)
          AND ($1::uuid[] IS NULL OR tenant_uid = ANY ($1))
    ),
    judged AS (
        SELECT tenant_uid, hour_time, user_name, template, expected.cpu, found.cpu_millicore_seconds,
               (expected.cpu, expected.memory, expected.storage, expected.sessions, expected.started,
                expected.measured, expected.estimated, expected.unbilled)
               IS DISTINCT FROM
               (found.cpu_millicore_seconds, found.memory_byte_seconds, found.storage_byte_seconds,
                found.session_seconds, found.sessions_started, found.measured_seconds,
                found.estimated_seconds, found.unbilled_seconds) AS is_wrong
        FROM expected FULL JOIN found USING (tenant_uid, hour_time, user_name, template)
        WHERE NOT EXISTS (SELECT FROM usage_dirty AS dirty
                          WHERE dirty.tenant_uid = coalesce(expected.tenant_uid, found.tenant_uid)
                            AND dirty.hour_time = coalesce(expected.hour_time, found.hour_time))
    )
    SELECT count(*), count(*) FILTER (WHERE is_wrong),
           (array_agg(format('hour %s of tenant %s, user %L, template %L: holds %s millicore-seconds, and its rows come to %s',
                             hour_time AT TIME ZONE 'UTC', tenant_uid, user_name, template,
                             coalesce(cpu_millicore_seconds::text, 'no row'), coalesce(cpu::text, 'none')))
            FILTER (WHERE is_wrong))[1:20]
    FROM judged"
);

const DAYS: &str = "
    WITH expected AS (
        SELECT tenant_uid, user_name, template, sum(cpu_millicore_seconds) AS cpu,
               sum(memory_byte_seconds) AS memory, sum(storage_byte_seconds) AS storage,
               sum(session_seconds) AS sessions, sum(sessions_started) AS started,
               sum(measured_seconds) AS measured, sum(estimated_seconds) AS estimated,
               sum(unbilled_seconds) AS unbilled
        FROM usage_hours
        WHERE hour_time >= to_timestamp($2) AND hour_time < to_timestamp($3)
          AND ($1::uuid[] IS NULL OR tenant_uid = ANY ($1))
        GROUP BY tenant_uid, user_name, template
    ),
    found AS (
        SELECT * FROM usage_days
        WHERE day = (to_timestamp($2) AT TIME ZONE 'UTC')::date
          AND ($1::uuid[] IS NULL OR tenant_uid = ANY ($1))
    ),
    judged AS (
        SELECT tenant_uid, user_name, template, expected.cpu, found.cpu_millicore_seconds,
               (expected.cpu, expected.memory, expected.storage, expected.sessions, expected.started,
                expected.measured, expected.estimated, expected.unbilled)
               IS DISTINCT FROM
               (found.cpu_millicore_seconds, found.memory_byte_seconds, found.storage_byte_seconds,
                found.session_seconds, found.sessions_started, found.measured_seconds,
                found.estimated_seconds, found.unbilled_seconds) AS is_wrong
        FROM expected FULL JOIN found USING (tenant_uid, user_name, template)
    )
    SELECT count(*), count(*) FILTER (WHERE is_wrong),
           (array_agg(format('day %s of tenant %s, user %L, template %L: holds %s millicore-seconds, and its hours come to %s',
                             (to_timestamp($2) AT TIME ZONE 'UTC')::date, tenant_uid, user_name, template,
                             coalesce(cpu_millicore_seconds::text, 'no row'), coalesce(cpu::text, 'none')))
            FILTER (WHERE is_wrong))[1:20]
    FROM judged";
