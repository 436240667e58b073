//! Corrects what was closed before its facts were known, by rows beside it.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;
use streamspace_core::{
    ids::TenantUid,
    session::SessionUid,
    usage::{
        Bucket, Correction, Grain, History, Interval, LeaderTerm, Ledger, Second, Span, Watermark,
        correct, intervals,
    },
};
use uuid::Uuid;

use super::{
    rollups,
    store::{self, Hold, SubjectSpan},
    ticker::{StepError, write::Columns},
};
use crate::db::{Database, DbError, Leadership, Scope, lease};

/// So many late spans are corrected together. Who stores facts waits for it.
const BATCH: i64 = 200;

/// What one batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Corrected {
    /// How many late spans were computed anew.
    pub spans: u64,
    /// How many corrections that took.
    pub corrections: u64,
}

/// Corrects a batch of what is late and closed. Nothing is left where it did none.
pub async fn correct_some(db: &Database, leadership: &Leadership) -> Result<Corrected, StepError> {
    let mut tx = db.begin(&Scope::Region).await?;
    if !lease::still_leads(&mut tx, leadership).await? {
        return Err(StepError::NotLeader);
    }
    let done = batch(&mut tx, LeaderTerm(leadership.leader_term)).await?;
    if done.spans > 0 {
        tx.commit().await?;
    }
    Ok(done)
}

/// One batch, in a transaction.
pub(super) async fn batch(tx: &mut PgConnection, mine: LeaderTerm) -> Result<Corrected, StepError> {
    let Some(watermark) = store::watermark(tx, Hold::Change).await? else {
        return Ok(Corrected::default());
    };
    watermark.confirmed(mine, watermark.complete_through)?;
    let spans = take(tx, &watermark).await?;
    let Some(from) = spans.iter().map(|late| late.span.from).min() else {
        return Ok(Corrected::default());
    };
    let ledger = store::ledger(tx, &watermark, from, None).await?;
    let subjects: BTreeSet<_> = spans.iter().map(|late| (late.tenant, late.subject)).collect();
    let (tenants, uids): (Vec<Uuid>, Vec<Uuid>) =
        subjects.iter().map(|(tenant, subject)| (tenant.0, subject.0)).unzip();
    let histories = store::histories(tx, &tenants, &uids).await?;
    let mut books = Books::read(tx, &spans).await?;

    let mut fresh = Vec::new();
    let nothing = History::default();
    for late in &spans {
        let history = histories.get(&late.subject).unwrap_or(&nothing);
        let found = books.correct(late, history, &ledger, &watermark);
        fresh.extend(found.into_iter().map(|correction| (late.tenant, correction)));
    }
    insert(tx, &fresh).await?;
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    Ok(Corrected { spans: count(spans.len()), corrections: count(fresh.len()) })
}

/// Takes away late spans that are closed. Before the facts are read: whoever notes the
/// same span again with further facts waits for the end of this, or this for theirs.
async fn take(tx: &mut PgConnection, watermark: &Watermark) -> Result<Vec<SubjectSpan>, DbError> {
    let rows: Vec<(Uuid, Uuid, i64, i64)> = sqlx::query_as(
        "WITH due AS (SELECT tenant_uid, subject_uid, from_second, to_second FROM usage_late \
                      WHERE to_second <= $1 \
                      ORDER BY tenant_uid, subject_uid, from_second, to_second \
                      LIMIT $2 FOR UPDATE) \
         DELETE FROM usage_late USING due \
         WHERE usage_late.tenant_uid = due.tenant_uid AND usage_late.subject_uid = due.subject_uid \
           AND usage_late.from_second = due.from_second AND usage_late.to_second = due.to_second \
         RETURNING usage_late.tenant_uid, usage_late.subject_uid, usage_late.from_second, \
                   usage_late.to_second",
    )
    .bind(watermark.closed_through.0)
    .bind(BATCH)
    .fetch_all(tx)
    .await?;
    let read = |(tenant, subject, from, to)| SubjectSpan {
        tenant: TenantUid(tenant),
        subject: SessionUid(subject),
        span: Span::new(Second(from), Second(to)),
    };
    Ok(rows.into_iter().map(read).collect())
}

/// What stands in the rows that may be corrected.
struct Books {
    intervals: BTreeMap<(SessionUid, Bucket), Interval>,
    corrections: BTreeMap<(SessionUid, Bucket), Vec<Correction>>,
}

impl Books {
    async fn read(tx: &mut PgConnection, spans: &[SubjectSpan]) -> Result<Self, DbError> {
        let mut books = Self { intervals: BTreeMap::new(), corrections: BTreeMap::new() };
        for (interval, number) in store::rows_of(tx, spans).await? {
            let key = (interval.session, interval.bucket);
            if number == 0 {
                books.intervals.insert(key, interval);
                continue;
            }
            let Interval { session, bucket, usage, covered } = interval;
            let correction = Correction { session, bucket, number, usage, covered };
            let earlier = books.corrections.entry(key).or_default();
            // Two late spans of one subject may both name the bucket.
            if earlier.iter().all(|other| other.number != number) {
                earlier.push(correction);
            }
        }
        Ok(books)
    }

    /// The corrections of a late span. They stand for those that follow.
    fn correct(
        &mut self,
        late: &SubjectSpan,
        history: &History,
        ledger: &Ledger,
        watermark: &Watermark,
    ) -> Vec<Correction> {
        let now = intervals(history, ledger, late.span);
        let now: BTreeMap<_, _> = now.into_iter().map(|row| (row.bucket, row)).collect();
        let mut fresh = Vec::new();
        let is_closed = |bucket: &Bucket| bucket.span().to <= watermark.closed_through;
        for bucket in late.span.buckets().filter(is_closed) {
            let key = (late.subject, bucket);
            let earlier = self.corrections.get(&key).map_or(&[][..], Vec::as_slice);
            let committed = self.intervals.get(&key);
            let correction = correct(late.subject, bucket, committed, earlier, now.get(&bucket));
            if let Some(correction) = correction {
                self.corrections.entry(key).or_default().push(correction.clone());
                fresh.push(correction);
            }
        }
        fresh
    }
}

async fn insert(tx: &mut PgConnection, fresh: &[(TenantUid, Correction)]) -> Result<(), DbError> {
    if fresh.is_empty() {
        return Ok(());
    }
    let mut columns = Columns::default();
    let (mut buckets, mut numbers) = (Vec::new(), Vec::new());
    let mut hours = BTreeSet::new();
    for (tenant, correction) in fresh {
        let start = correction.bucket.start();
        columns.push(*tenant, correction.session, &correction.usage, &correction.covered);
        buckets.push(start.0);
        numbers.push(i32::try_from(correction.number).unwrap_or(i32::MAX));
        hours.insert((*tenant, Grain::Hour.holding(start).from));
    }
    columns.insert_corrections(tx, &buckets, &numbers).await?;
    rollups::mark(tx, &hours).await
}
