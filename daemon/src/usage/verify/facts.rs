//! Whether what is written is what the facts give, computed anew by the rules.

use std::collections::BTreeMap;

use sqlx::{PgConnection, Row};
use streamspace_core::{
    ids::TenantUid,
    session::SessionUid,
    usage::{
        Bucket, Correction, History, Interval, Ledger, Second, Span, Watermark, corrected,
        intervals, pieces,
    },
};
use uuid::Uuid;

use super::Proof;
use crate::{
    db::DbError,
    usage::{row, store},
};

const OVERLAPS: &str = "the pieces of a life share no second";
const AGREES: &str = "the facts give what is written, five minutes for five minutes";

/// The most rows that are computed anew: more would take minutes. What is left out is not
/// counted as checked.
const ROWS_MAXIMUM: u64 = 2_000_000;
/// What of a tenant is held in memory at once, in seconds.
const WINDOW: i64 = 6 * 3600;

/// Checks the facts of a time that is closed.
pub(super) async fn check(
    tx: &mut PgConnection,
    tenants: Option<&[Uuid]>,
    watermark: &Watermark,
    time: Span,
    proof: &mut Proof,
) -> Result<(), DbError> {
    if time.is_empty() {
        return Ok(());
    }
    let ledger = store::ledger(tx, watermark, time.from, None).await?;
    let tenants: Vec<Uuid> = sqlx::query_scalar(
        "SELECT tenant_uid FROM tenants \
         WHERE ($1::uuid[] IS NULL OR tenant_uid = ANY ($1)) ORDER BY tenant_uid",
    )
    .bind(tenants)
    .fetch_all(&mut *tx)
    .await?;
    let mut left = ROWS_MAXIMUM;
    for tenant in tenants {
        let known = Known::read(tx, TenantUid(tenant), time).await?;
        known.check_pieces(&ledger, time, proof);
        let mut from = time.from;
        while from < time.to && left > 0 {
            let window = Span::new(from, from.plus(WINDOW).min(time.to));
            let rows = known.check_window(tx, &ledger, window, proof).await?;
            left = left.saturating_sub(rows);
            from = window.to;
        }
    }
    Ok(())
}

/// What is known of a tenant's subjects.
struct Known {
    tenant: TenantUid,
    histories: BTreeMap<SessionUid, History>,
    /// From when on a subject waits to be corrected.
    late: BTreeMap<SessionUid, Second>,
}

impl Known {
    async fn read(tx: &mut PgConnection, tenant: TenantUid, time: Span) -> Result<Self, DbError> {
        let subjects: Vec<Uuid> = sqlx::query_scalar(
            "SELECT subject_uid FROM usage_subjects \
             WHERE tenant_uid = $1 AND (end_second IS NULL OR end_second >= $2)",
        )
        .bind(tenant.0)
        .bind(time.from.0)
        .fetch_all(&mut *tx)
        .await?;
        let tenants = vec![tenant.0; subjects.len()];
        let histories = store::histories(tx, &tenants, &subjects).await?;
        let late: Vec<(Uuid, i64)> = sqlx::query_as(
            "SELECT subject_uid, min(from_second) FROM usage_late WHERE tenant_uid = $1 GROUP BY 1",
        )
        .bind(tenant.0)
        .fetch_all(tx)
        .await?;
        let late = late.into_iter().map(|(uid, from)| (SessionUid(uid), Second(from))).collect();
        Ok(Self { tenant, histories, late })
    }

    fn check_pieces(&self, ledger: &Ledger, time: Span, proof: &mut Proof) {
        let (mut count, mut faults) = (0, Vec::new());
        for (uid, history) in &self.histories {
            let found = pieces(history, ledger, time);
            for (piece, next) in found.iter().zip(found.iter().skip(1)) {
                if next.span.from < piece.span.to {
                    let at = next.span.from.timestamp();
                    faults.push(format!("subject {uid}: two pieces have the second {at}"));
                }
            }
            count += u64::try_from(found.len()).unwrap_or(0);
        }
        let wrong = u64::try_from(faults.len()).unwrap_or(0);
        proof.add(OVERLAPS, count, wrong, faults);
    }

    /// How many rows were compared.
    async fn check_window(
        &self,
        tx: &mut PgConnection,
        ledger: &Ledger,
        window: Span,
        proof: &mut Proof,
    ) -> Result<u64, DbError> {
        let mut stands = self.stands(tx, window).await?;
        let mut faults = Vec::new();
        let (mut checked, mut wrong) = (0, 0);
        for (uid, history) in &self.histories {
            let late = self.late.get(uid).copied();
            for expected in intervals(history, ledger, window) {
                let bucket = expected.bucket;
                let found = stands.remove(&(*uid, bucket));
                if late.is_some_and(|late| late < bucket.span().to) {
                    continue;
                }
                checked += 1;
                let found = found.unwrap_or_else(|| Interval::empty(*uid, bucket));
                if found != expected {
                    wrong += 1;
                    faults.push(differ(&found, &expected));
                }
            }
        }
        for ((uid, bucket), found) in stands {
            let empty = Interval::empty(uid, bucket);
            let waits = self.late.get(&uid).is_some_and(|late| *late < bucket.span().to);
            if found != empty && !waits {
                wrong += 1;
                faults.push(differ(&found, &empty));
            }
        }
        proof.add(AGREES, checked, wrong, faults);
        Ok(checked)
    }

    /// Intervals with their corrections.
    async fn stands(
        &self,
        tx: &mut PgConnection,
        window: Span,
    ) -> Result<BTreeMap<(SessionUid, Bucket), Interval>, DbError> {
        let rows = sqlx::query(
            "SELECT subject_uid, extract(epoch FROM bucket_time)::bigint AS bucket, 0 AS number, \
                    cpu_millicore_seconds, memory_byte_seconds, storage_byte_seconds, \
                    session_seconds, sessions_started, measured_seconds, doubts \
             FROM usage_intervals \
             WHERE tenant_uid = $1 AND bucket_time >= to_timestamp($2) AND bucket_time < to_timestamp($3) \
             UNION ALL \
             SELECT subject_uid, extract(epoch FROM bucket_time)::bigint, number, \
                    cpu_millicore_seconds, memory_byte_seconds, storage_byte_seconds, \
                    session_seconds, sessions_started, measured_seconds, doubts \
             FROM usage_corrections \
             WHERE tenant_uid = $1 AND bucket_time >= to_timestamp($2) AND bucket_time < to_timestamp($3)",
        )
        .bind(self.tenant.0)
        .bind(window.from.0)
        .bind(window.to.0)
        .fetch_all(tx)
        .await?;
        let mut stands: BTreeMap<(SessionUid, Bucket), Interval> = BTreeMap::new();
        for found in &rows {
            let number: i32 = found.try_get("number")?;
            let Interval { session, bucket, usage, covered } = row::interval(found)?;
            let row = stands
                .remove(&(session, bucket))
                .unwrap_or_else(|| Interval::empty(session, bucket));
            let number = u32::try_from(number).unwrap_or(0);
            let more = Correction { session, bucket, number, usage, covered };
            stands.insert((session, bucket), corrected(row, [&more]));
        }
        Ok(stands)
    }
}

fn differ(found: &Interval, expected: &Interval) -> String {
    let tell = |row: &Interval| {
        format!("{} s billed and {} millicore-s", row.usage.sessions.0, row.usage.cpu.0)
    };
    format!(
        "subject {}, {}: {} written, and its facts give {}",
        found.session,
        found.bucket.start().timestamp(),
        tell(found),
        tell(expected),
    )
}
