//! What several steps read: the watermark, the ledger, and histories.

use std::collections::BTreeMap;

use sqlx::{PgConnection, Row};
use streamspace_core::{
    ids::TenantUid,
    session::SessionUid,
    usage::{
        Gap, History, Interval, LeaderTerm, Ledger, Order, Second, Span, Transition, Watermark,
    },
};
use uuid::Uuid;

use super::row;
use crate::db::DbError;

/// What a transaction holds the watermark against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// Nothing.
    Nothing,
    /// A change of it by others.
    Change,
    /// Everything: it changes it itself.
    All,
}

/// The watermark; `None` where nobody has led yet.
pub(super) async fn watermark(
    tx: &mut PgConnection,
    hold: Hold,
) -> Result<Option<Watermark>, DbError> {
    let query = match hold {
        Hold::Nothing => {
            "SELECT leader_term, begins, complete_through, closed_through FROM usage_watermark"
        }
        Hold::Change => {
            "SELECT leader_term, begins, complete_through, closed_through FROM usage_watermark \
             FOR SHARE"
        }
        Hold::All => {
            "SELECT leader_term, begins, complete_through, closed_through FROM usage_watermark \
             FOR UPDATE"
        }
    };
    let row: Option<(i64, i64, i64, i64)> = sqlx::query_as(query).fetch_optional(tx).await?;
    Ok(row.map(|(leader_term, begins, complete_through, closed_through)| Watermark {
        leader_term: LeaderTerm(leader_term),
        begins: Second(begins),
        complete_through: Second(complete_through),
        closed_through: Second(closed_through),
    }))
}

/// Up to when all usage is closed; `None` where nobody has metered yet.
pub async fn closed_through(tx: &mut PgConnection) -> Result<Option<Second>, DbError> {
    Ok(watermark(tx, Hold::Nothing).await?.map(|watermark| watermark.closed_through))
}

/// The ledger of all that matters from an instant on, and of what is asked of lists of
/// these states of the cluster and later ones.
///
/// No gap begins before the end of the one before it, so that those which ended earlier
/// say nothing of it.
pub(super) async fn ledger(
    tx: &mut PgConnection,
    watermark: &Watermark,
    from: Second,
    order: Option<Order>,
) -> Result<Ledger, DbError> {
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT list_position, from_second, to_second FROM usage_gaps \
         WHERE to_second >= $1 OR list_position >= $2",
    )
    .bind(from.0)
    .bind(order.map_or(i64::MAX, row::position))
    .fetch_all(tx)
    .await?;
    let gaps = rows.into_iter().map(|(list, from, to)| Gap {
        from: Second(from),
        to: Second(to),
        list: row::order(list),
    });
    Ok(Ledger::new(gaps, watermark.metered()))
}

/// The whole histories of some subjects.
pub(super) async fn histories(
    tx: &mut PgConnection,
    tenants: &[Uuid],
    subjects: &[Uuid],
) -> Result<BTreeMap<SessionUid, History>, DbError> {
    let rows = sqlx::query(
        "SELECT known.subject_uid, position, at, phase, cpu_millicores, memory_bytes, home_bytes, \
                pod_uid, container_start \
         FROM UNNEST($1::uuid[], $2::uuid[]) AS wanted (tenant_uid, subject_uid) \
         JOIN usage_transitions AS known USING (tenant_uid, subject_uid)",
    )
    .bind(tenants)
    .bind(subjects)
    .fetch_all(tx)
    .await?;
    let transitions: Vec<Transition> =
        rows.iter().map(|found| row::transition_at(found, 0)).collect::<Result<_, _>>()?;
    Ok(History::by_session(transitions))
}

/// A time of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SubjectSpan {
    pub(super) tenant: TenantUid,
    pub(super) subject: SessionUid,
    pub(super) span: Span,
}

/// Intervals and corrections in the buckets of some spans, with the number of the
/// correction, or 0. Each bucket is looked up by its key: a range would be of the whole
/// tenant.
pub(super) async fn rows_of(
    tx: &mut PgConnection,
    spans: &[SubjectSpan],
) -> Result<Vec<(Interval, u32)>, DbError> {
    let buckets = |of: &SubjectSpan| {
        let (tenant, subject) = (of.tenant.0, of.subject.0);
        of.span.buckets().map(move |bucket| (tenant, subject, bucket.start().0))
    };
    let mut wanted: Vec<(Uuid, Uuid, i64)> = spans.iter().flat_map(buckets).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut found = Vec::new();
    for chunk in wanted.chunks(BUCKETS) {
        let starts: Vec<i64> = chunk.iter().map(|(_, _, start)| *start).collect();
        let rows = sqlx::query(ROWS_OF)
            .bind(chunk.iter().map(|(tenant, _, _)| *tenant).collect::<Vec<_>>())
            .bind(chunk.iter().map(|(_, subject, _)| *subject).collect::<Vec<_>>())
            .bind(&starts)
            .bind(starts.iter().min())
            .bind(starts.iter().max())
            .fetch_all(&mut *tx)
            .await?;
        for row in &rows {
            let number: i32 = row.try_get("number")?;
            found.push((row::interval(row)?, u32::try_from(number).unwrap_or(0)));
        }
    }
    Ok(found)
}

/// So many buckets are looked up by one statement.
const BUCKETS: usize = 10_000;

/// `OFFSET 0` keeps each lookup one of its own, by the key.
const ROWS_OF: &str = "
    SELECT wanted.start AS bucket, found.*
    FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[]) AS wanted (tenant_uid, subject_uid, start)
    CROSS JOIN LATERAL (
        (SELECT subject_uid, 0 AS number, cpu_millicore_seconds, memory_byte_seconds,
                storage_byte_seconds, session_seconds, sessions_started, measured_seconds, doubts
         FROM usage_intervals AS kept
         WHERE kept.tenant_uid = wanted.tenant_uid AND kept.subject_uid = wanted.subject_uid
           AND kept.bucket_time = to_timestamp(wanted.start)
           AND kept.bucket_time >= to_timestamp($4) AND kept.bucket_time <= to_timestamp($5)
         OFFSET 0)
        UNION ALL
        (SELECT subject_uid, number, cpu_millicore_seconds, memory_byte_seconds,
                storage_byte_seconds, session_seconds, sessions_started, measured_seconds, doubts
         FROM usage_corrections AS kept
         WHERE kept.tenant_uid = wanted.tenant_uid AND kept.subject_uid = wanted.subject_uid
           AND kept.bucket_time = to_timestamp(wanted.start)
         OFFSET 0)
    ) AS found";
