//! How far the metering has come, and what it does not know.

use sqlx::PgConnection;
use streamspace_core::usage::{Second, Watermark};
use streamspace_proto::v1;
use uuid::Uuid;

use crate::{
    db::DbError,
    rpc::errors::RpcResult,
    usage::{
        actual::{Metric, store as actual},
        convert,
        input::{DAY, HOUR},
        query,
        store::{self, Hold},
    },
};

/// How far back the status looks.
const DAYS: i64 = 30;
const GAPS_MAXIMUM: i64 = 100;

/// The status of all that the transaction sees, or of these tenants.
pub(super) async fn read(
    tx: &mut PgConnection,
    tenants: Option<Vec<Uuid>>,
) -> RpcResult<v1::UsageStatus> {
    let now = super::now(tx).await?;
    let from = Second(now.0.div_euclid(HOUR) * HOUR - DAYS * DAY);
    let watermark = store::watermark(tx, Hold::Nothing).await?;
    let amounts = query::since(tx, tenants.clone(), from).await?;
    let (dirty_hours, late_spans, corrections) = waiting(tx, tenants, from).await?;
    let status = v1::UsageStatus {
        gaps: gaps(tx, from).await?,
        last_30_days: Some(amounts.to_proto()),
        dirty_hours,
        late_spans,
        corrections,
        actual_sources: sources(tx).await?,
        ..Default::default()
    };
    let Some(watermark) = watermark else { return Ok(status) };
    let Watermark { leader_term, begins, complete_through, .. } = watermark;
    Ok(v1::UsageStatus {
        begin_time: convert::instant(begins),
        complete_through_time: convert::instant(complete_through),
        closed_through_time: watermark.closed().and_then(convert::instant),
        leader_term: leader_term.0,
        ..status
    })
}

/// What waits to be computed anew, and what was corrected since an instant.
async fn waiting(
    tx: &mut PgConnection,
    tenants: Option<Vec<Uuid>>,
    from: Second,
) -> Result<(i64, i64, i64), DbError> {
    let query = sqlx::query_as(
        "SELECT (SELECT count(*) FROM usage_dirty WHERE $1::uuid[] IS NULL OR tenant_uid = ANY ($1)), \
                (SELECT count(*) FROM usage_late WHERE $1::uuid[] IS NULL OR tenant_uid = ANY ($1)), \
                (SELECT count(*) FROM usage_corrections \
                 WHERE store_time >= $2 AND ($1::uuid[] IS NULL OR tenant_uid = ANY ($1)))",
    );
    Ok(query.bind(tenants).bind(convert::bind(from)).fetch_one(tx).await?)
}

/// The times since an instant that nobody watched, the newest first.
async fn gaps(tx: &mut PgConnection, from: Second) -> Result<Vec<v1::UsageGap>, DbError> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT from_second, to_second FROM usage_gaps \
         WHERE to_second > $1 AND to_second > from_second \
         ORDER BY to_second DESC, from_second DESC LIMIT $2",
    )
    .bind(from.0)
    .bind(GAPS_MAXIMUM)
    .fetch_all(tx)
    .await?;
    let shown = |(from, to)| v1::UsageGap {
        start_time: convert::instant(Second(from)),
        end_time: convert::instant(Second(to)),
    };
    Ok(rows.into_iter().map(shown).collect())
}

/// Where actual use comes from, a row a metric.
async fn sources(tx: &mut PgConnection) -> Result<Vec<v1::ActualUseSource>, DbError> {
    let mut known = actual::sources(tx).await?;
    let shown = |metric: Metric| match known.remove(&metric) {
        Some(row) => v1::ActualUseSource {
            metric: metric.as_str().to_owned(),
            source: row.source,
            last_read_time: row.last.and_then(convert::instant),
            problem: row.problem,
        },
        None => v1::ActualUseSource {
            metric: metric.as_str().to_owned(),
            problem: "no leader has looked for a source yet".to_owned(),
            ..Default::default()
        },
    };
    Ok(Metric::ALL.map(shown).to_vec())
}
