//! Intervals and corrections on their way into the database.

use sqlx::PgConnection;
use streamspace_core::{
    ids::TenantUid,
    session::SessionUid,
    usage::{Bucket, CoveredSeconds, Usage},
};
use uuid::Uuid;

use super::super::row;
use crate::db::DbError;

/// Rows by their columns, to be bound as arrays.
#[derive(Default)]
pub(in super::super) struct Columns {
    tenants: Vec<Uuid>,
    subjects: Vec<Uuid>,
    cpu: Vec<i64>,
    memory: Vec<i64>,
    storage: Vec<i64>,
    sessions: Vec<i32>,
    started: Vec<i32>,
    measured: Vec<i32>,
    estimated: Vec<i32>,
    unbilled: Vec<i32>,
    doubts: Vec<String>,
}

impl Columns {
    pub(in super::super) fn push(
        &mut self,
        tenant: TenantUid,
        subject: SessionUid,
        usage: &Usage,
        covered: &CoveredSeconds,
    ) {
        let small = |quantity: i128| row::seconds(row::amount(quantity));
        let [measured, estimated, unbilled] = row::by_column(covered);
        self.tenants.push(tenant.0);
        self.subjects.push(subject.0);
        self.cpu.push(row::amount(usage.cpu.0));
        self.memory.push(row::amount(usage.memory.0));
        self.storage.push(row::amount(usage.storage.0));
        self.sessions.push(small(usage.sessions.0));
        self.started.push(small(usage.started.0));
        self.measured.push(measured);
        self.estimated.push(estimated);
        self.unbilled.push(unbilled);
        self.doubts.push(row::doubts(covered));
    }

    pub(in super::super) fn len(&self) -> usize {
        self.subjects.len()
    }

    /// The tenants, each once for all its rows that follow each other.
    pub(in super::super) fn distinct_tenants(&self) -> impl Iterator<Item = Uuid> + '_ {
        self.tenants.chunk_by(|one, next| one == next).filter_map(|run| run.first().copied())
    }

    /// Inserts intervals of one bucket; one that is there already stays as it is.
    pub(in super::super) async fn insert_intervals(
        &self,
        tx: &mut PgConnection,
        bucket: Bucket,
    ) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO usage_intervals (tenant_uid, subject_uid, cpu_millicore_seconds, \
                 memory_byte_seconds, storage_byte_seconds, session_seconds, sessions_started, \
                 measured_seconds, estimated_seconds, unbilled_seconds, doubts, bucket_time) \
             SELECT fresh.*, to_timestamp($12) \
             FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], \
                         $6::integer[], $7::integer[], $8::integer[], $9::integer[], \
                         $10::integer[], $11::text[]) AS fresh \
             ON CONFLICT DO NOTHING",
        )
        .bind(&self.tenants)
        .bind(&self.subjects)
        .bind(&self.cpu)
        .bind(&self.memory)
        .bind(&self.storage)
        .bind(&self.sessions)
        .bind(&self.started)
        .bind(&self.measured)
        .bind(&self.estimated)
        .bind(&self.unbilled)
        .bind(&self.doubts)
        .bind(bucket.start().0)
        .execute(tx)
        .await?;
        Ok(())
    }

    /// Inserts corrections with their buckets and numbers. One that is there already is a
    /// conflict: somebody else corrects, from facts that may be others.
    pub(in super::super) async fn insert_corrections(
        &self,
        tx: &mut PgConnection,
        buckets: &[i64],
        numbers: &[i32],
    ) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO usage_corrections (tenant_uid, subject_uid, cpu_millicore_seconds, \
                 memory_byte_seconds, storage_byte_seconds, session_seconds, sessions_started, \
                 measured_seconds, estimated_seconds, unbilled_seconds, doubts, bucket_time, number) \
             SELECT tenant_uid, subject_uid, cpu, memory, storage, sessions, started, measured, \
                    estimated, unbilled, doubts, to_timestamp(bucket), number \
             FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], \
                         $6::integer[], $7::integer[], $8::integer[], $9::integer[], \
                         $10::integer[], $11::text[], $12::bigint[], $13::integer[]) \
                  AS fresh (tenant_uid, subject_uid, cpu, memory, storage, sessions, started, \
                            measured, estimated, unbilled, doubts, bucket, number)",
        )
        .bind(&self.tenants)
        .bind(&self.subjects)
        .bind(&self.cpu)
        .bind(&self.memory)
        .bind(&self.storage)
        .bind(&self.sessions)
        .bind(&self.started)
        .bind(&self.measured)
        .bind(&self.estimated)
        .bind(&self.unbilled)
        .bind(&self.doubts)
        .bind(buckets)
        .bind(numbers)
        .execute(tx)
        .await?;
        Ok(())
    }
}
