//! Who was alive in a span, and what was in force.

use std::{collections::BTreeMap, mem};

use sqlx::{PgConnection, Row, postgres::PgRow};
use streamspace_core::{
    ids::TenantUid,
    usage::{Bucket, History, Ledger, Second, Span, Transition, intervals},
};
use uuid::Uuid;

use super::{
    super::{row, store},
    write::Columns,
};
use crate::db::DbError;

/// So many subjects are read, computed and inserted together.
const CHUNK: i64 = 5_000;

/// The intervals of some subjects, by their buckets.
pub(super) struct Batch {
    rows: BTreeMap<Bucket, Columns>,
}

impl Batch {
    /// Whose buckets are in it.
    pub(super) fn tenants(&self) -> impl Iterator<Item = (TenantUid, Bucket)> + '_ {
        self.rows.iter().flat_map(|(bucket, columns)| {
            columns.distinct_tenants().map(|tenant| (TenantUid(tenant), *bucket))
        })
    }

    /// Inserts those that are not there yet; how many there are.
    pub(super) async fn insert(&self, tx: &mut PgConnection) -> Result<u64, DbError> {
        let mut count = 0;
        for (bucket, columns) in &self.rows {
            columns.insert_intervals(tx, *bucket).await?;
            count += u64::try_from(columns.len()).unwrap_or(u64::MAX);
        }
        Ok(count)
    }
}

/// Which subjects are read next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Those that live, after one.
    Living(Uuid, Uuid),
    /// Those that ended in the span or later, after one.
    Ended(i64, Uuid, Uuid),
    Nothing,
}

/// Reads all that was alive in a span, part by part.
pub(super) struct Reader<'a> {
    span: Span,
    ledger: &'a Ledger,
    /// What nothing has changed since needs only what is in force.
    steady: Second,
    next: Next,
}

impl<'a> Reader<'a> {
    pub(super) fn new(span: Span, ledger: &'a Ledger) -> Self {
        // A blind span is judged by what was known before all of it.
        let blind = ledger.gaps().iter().filter(|gap| !gap.span().meet(span).is_empty());
        let steady = blind.map(|gap| gap.from).min().map_or(span.from, |from| from.min(span.from));
        Self { span, ledger, steady, next: Next::Living(Uuid::nil(), Uuid::nil()) }
    }

    /// The next part; `None` after the last.
    pub(super) async fn next(&mut self, tx: &mut PgConnection) -> Result<Option<Batch>, DbError> {
        let subjects = self.read(tx).await?;
        if subjects.is_empty() {
            return Ok(None);
        }
        let mut changing = Vec::new();
        let mut steady = Vec::with_capacity(subjects.len());
        for (tenant, latest) in subjects {
            if latest.at < self.steady {
                steady.push((tenant, latest));
            } else {
                changing.push((tenant, latest.session));
            }
        }
        let mut rows = BTreeMap::new();
        for (tenant, latest) in steady {
            self.add(tenant, &History::new([latest]), &mut rows);
        }
        if !changing.is_empty() {
            let (tenants, uids): (Vec<_>, Vec<_>) =
                changing.iter().map(|(tenant, subject)| (tenant.0, subject.0)).unzip();
            let histories = store::histories(tx, &tenants, &uids).await?;
            for (tenant, subject) in changing {
                if let Some(history) = histories.get(&subject) {
                    self.add(tenant, history, &mut rows);
                }
            }
        }
        Ok(Some(Batch { rows }))
    }

    fn add(&self, tenant: TenantUid, history: &History, rows: &mut BTreeMap<Bucket, Columns>) {
        for interval in intervals(history, self.ledger, self.span) {
            let columns = rows.entry(interval.bucket).or_default();
            columns.push(tenant, interval.session, &interval.usage, &interval.covered);
        }
    }

    /// The subjects of the next part with their latest transition.
    async fn read(
        &mut self,
        tx: &mut PgConnection,
    ) -> Result<Vec<(TenantUid, Transition)>, DbError> {
        loop {
            let next = mem::replace(&mut self.next, Next::Nothing);
            let found = match next {
                Next::Nothing => return Ok(Vec::new()),
                Next::Living(tenant, subject) => {
                    let found = self.living(tx, tenant, subject).await?;
                    let first_ended = Next::Ended(i64::MIN, Uuid::nil(), Uuid::nil());
                    self.next = found.last().map_or(first_ended, |(tenant, latest, _)| {
                        Next::Living(tenant.0, latest.session.0)
                    });
                    found
                }
                Next::Ended(end, tenant, subject) => {
                    let found = self.ended(tx, end, tenant, subject).await?;
                    self.next = found.last().map_or(Next::Nothing, |(tenant, latest, end)| {
                        Next::Ended(end.unwrap_or(i64::MAX), tenant.0, latest.session.0)
                    });
                    found
                }
            };
            if !found.is_empty() {
                return Ok(found.into_iter().map(|(tenant, latest, _)| (tenant, latest)).collect());
            }
        }
    }

    async fn living(
        &self,
        tx: &mut PgConnection,
        tenant: Uuid,
        subject: Uuid,
    ) -> Result<Vec<Found>, DbError> {
        let rows = sqlx::query(
            "SELECT tenant_uid, subject_uid, position, at, phase, cpu_millicores, memory_bytes, \
                    home_bytes, pod_uid, container_start, end_second \
             FROM usage_subjects \
             WHERE end_second IS NULL AND (tenant_uid, subject_uid) > ($1, $2) \
             ORDER BY tenant_uid, subject_uid LIMIT $3",
        )
        .bind(tenant)
        .bind(subject)
        .bind(CHUNK)
        .fetch_all(tx)
        .await?;
        Ok(rows.iter().map(found).collect::<Result<_, _>>()?)
    }

    /// A life that ended in the first second of the span may have begun in it.
    async fn ended(
        &self,
        tx: &mut PgConnection,
        end: i64,
        tenant: Uuid,
        subject: Uuid,
    ) -> Result<Vec<Found>, DbError> {
        let rows = sqlx::query(
            "SELECT tenant_uid, subject_uid, position, at, phase, cpu_millicores, memory_bytes, \
                    home_bytes, pod_uid, container_start, end_second \
             FROM usage_subjects \
             WHERE end_second >= $1 AND (end_second, tenant_uid, subject_uid) > ($2, $3, $4) \
             ORDER BY end_second, tenant_uid, subject_uid LIMIT $5",
        )
        .bind(self.span.from.0)
        .bind(end)
        .bind(tenant)
        .bind(subject)
        .bind(CHUNK)
        .fetch_all(tx)
        .await?;
        Ok(rows.iter().map(found).collect::<Result<_, _>>()?)
    }
}

type Found = (TenantUid, Transition, Option<i64>);

fn found(row: &PgRow) -> Result<Found, sqlx::Error> {
    Ok((TenantUid(row.try_get(0)?), row::transition_at(row, 1)?, row.try_get(10)?))
}
