//! `UsageService`: what tenants used, how well it is known, and why it is so.

use std::{pin::Pin, sync::Arc};

use futures::Stream;
use sqlx::{PgConnection, Postgres, Transaction};
use streamspace_core::{
    ids::{TenantId, TenantUid},
    usage::{Second, Span},
};
use streamspace_proto::v1::{self, usage_service_server::UsageService};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    UsageCounters,
    actual::beside,
    convert, explain,
    input::{self, Whose},
    live,
    query::{self, Place},
    store::{self, Hold},
    verify,
};
use crate::{
    db::{Database, DbError, Scope},
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
    },
};

mod status;
#[cfg(test)]
mod tests;

/// So many rows of an export are read at once.
const PAGE: i64 = 1_000;
/// So many rows wait for a client that reads slowly.
const BUFFER: usize = 64;
/// An export of many tenants is read by so much time at once: their rows have no order of
/// time, so that each page sorts what it is cut from.
const WINDOW_SECONDS: i64 = input::DAY;

/// The usage of one region's tenants. Everything is read from the database, by any
/// replica.
#[derive(Clone, Debug)]
pub struct Usages {
    db: Database,
    counters: Arc<UsageCounters>,
    /// One proof at a time: it reads for long, and others need the connections.
    proofs: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Usages {
    /// Reads from `db`. Streams end when `stop` is cancelled, so that clients go on
    /// elsewhere.
    pub fn new(db: Database, stop: CancellationToken) -> Self {
        Self { db, counters: Arc::default(), proofs: Arc::new(Semaphore::new(1)), stop }
    }

    /// Notes in `counters` what a proof of all tenants finds.
    #[must_use]
    pub fn counting(self, counters: Arc<UsageCounters>) -> Self {
        Self { counters, ..self }
    }

    /// A transaction in which all statements see the same rows, so that sums agree.
    async fn snapshot(&self, scope: &Scope) -> RpcResult<Transaction<'static, Postgres>> {
        let mut tx = self.db.begin(scope).await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .execute(&mut *tx)
            .await
            .map_err(DbError::from)?;
        Ok(tx)
    }

    pub(super) async fn query(
        &self,
        caller: &Caller,
        request: &v1::QueryUsageRequest,
    ) -> RpcResult<v1::QueryUsageResponse> {
        let wish = input::query(request)?;
        let mut tx = self.snapshot(&caller.scope).await?;
        let tenants = narrowed(&mut tx, &caller.scope, &wish.whose).await?;
        let watermark = store::watermark(&mut tx, Hold::Nothing).await?;
        let (mut rows, total) = query::query(&mut tx, tenants.clone(), &wish).await?;
        let closed = watermark.map(|it| it.closed_through);
        let total_actual =
            beside::beside(&mut tx, tenants, &wish, closed, &mut rows, &total).await?;
        Ok(v1::QueryUsageResponse {
            rows,
            total: Some(total.to_proto()),
            total_actual,
            closed_through_time: watermark.and_then(|it| convert::instant(it.closed()?)),
        })
    }

    pub(super) async fn live(
        &self,
        caller: &Caller,
        request: &v1::ListLiveUsageRequest,
    ) -> RpcResult<v1::ListLiveUsageResponse> {
        let wish = input::live(request)?;
        let mut tx = self.snapshot(&caller.scope).await?;
        let tenants = narrowed(&mut tx, &caller.scope, &wish.whose).await?;
        let watermark = store::watermark(&mut tx, Hold::Nothing).await?;
        let as_of = match watermark {
            Some(watermark) => watermark.complete_through,
            None => now(&mut tx).await?,
        };
        let (tenants, total) = live::list(&mut tx, tenants, &wish).await?;
        Ok(v1::ListLiveUsageResponse {
            tenants,
            total: Some(total),
            as_of_time: convert::instant(as_of),
        })
    }

    pub(super) async fn status(&self, caller: &Caller) -> RpcResult<v1::UsageStatus> {
        let mut tx = self.snapshot(&caller.scope).await?;
        status::read(&mut tx, caller.scope.tenant_uids()).await
    }

    pub(super) async fn explain(
        &self,
        caller: &Caller,
        request: &v1::ExplainUsageRequest,
    ) -> RpcResult<v1::ExplainUsageResponse> {
        let wish = input::explain(request)?;
        let mut tx = self.snapshot(&caller.scope).await?;
        let tenant = newest(&mut tx, &wish.tenant).await?;
        explain::explain(&mut tx, tenant, &wish).await
    }

    /// Proves on the region's login: what the metering as a whole knows is no tenant's. It
    /// is narrowed to the tenants that the caller sees.
    pub(super) async fn verify(
        &self,
        caller: &Caller,
        request: &v1::VerifyUsageRequest,
    ) -> RpcResult<v1::VerifyUsageResponse> {
        let wish = input::verify(request)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let tenants = narrowed(&mut tx, &caller.scope, &wish.whose).await?;
        drop(tx);
        let tenants: Option<Vec<TenantUid>> =
            tenants.map(|uids| uids.into_iter().map(TenantUid).collect());
        let turn = self.proofs.acquire().await;
        let _turn = turn.map_err(|error| RpcError::Internal(error.to_string()))?;
        let proof = verify::prove(&self.db, tenants.as_deref(), wish.span).await?;
        if tenants.is_none() {
            self.counters.prove(proof.fault_count());
        }
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let check = |check: &verify::Check| v1::UsageCheck {
            rule: check.rule.to_owned(),
            checked: number(check.checked),
            faults: number(check.faults),
        };
        Ok(v1::VerifyUsageResponse {
            holds: proof.holds(),
            checks: proof.checks.iter().map(check).collect(),
            faults: proof.faults,
        })
    }

    pub(super) async fn neighbours(
        &self,
        caller: &Caller,
        request: &v1::ListNeighboursRequest,
    ) -> RpcResult<v1::ListNeighboursResponse> {
        let id = input::tenant(&request.tenant)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let tenant = newest(&mut tx, &id).await?;
        let neighbours = live::neighbours(&mut tx, tenant).await?;
        Ok(v1::ListNeighboursResponse { neighbours })
    }

    /// Starts an export. What is wrong with the request is told at once.
    pub(super) async fn export(
        &self,
        caller: &Caller,
        request: &v1::ExportUsageRequest,
    ) -> RpcResult<mpsc::Receiver<Result<v1::UsageRow, Status>>> {
        let wish = input::export(request)?;
        let scope = caller.scope.clone();
        let mut tx = self.db.begin(&scope).await?;
        let tenants = narrowed(&mut tx, &scope, &wish.whose).await?;
        drop(tx);
        let (sender, receiver) = mpsc::channel(BUFFER);
        let export = ExportStream { db: self.db.clone(), scope, tenants, wish };
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = export.run(&sender) => ended.map_err(Status::from),
                () = stop.cancelled() => {
                    Err(Status::unavailable("the daemon is stopping; export again"))
                }
            };
            if let Err(status) = ended {
                // The client may be gone already.
                let _gone = sender.send(Err(status)).await;
            }
        });
        Ok(receiver)
    }
}

/// An export under way. Each page has a transaction of its own: a client that reads slowly
/// holds none.
struct ExportStream {
    db: Database,
    scope: Scope,
    tenants: Option<Vec<Uuid>>,
    wish: input::Export,
}

impl ExportStream {
    async fn run(&self, sender: &mpsc::Sender<Result<v1::UsageRow, Status>>) -> RpcResult<()> {
        let Span { from, to } = self.wish.span;
        let window = if self.wish.whose == Whose::All { WINDOW_SECONDS } else { to.0 - from.0 };
        let mut start = from;
        while start < to {
            let end = start.plus(window).min(to);
            let mut place = Some(Place::before(start));
            while let Some(after) = place {
                let mut tx = self.db.begin(&self.scope).await?;
                let (rows, next) =
                    query::export(&mut tx, self.tenants.clone(), &self.wish, &after, end, PAGE)
                        .await?;
                drop(tx);
                for row in rows {
                    if sender.send(Ok(row)).await.is_err() {
                        return Ok(());
                    }
                }
                place = next;
            }
            start = end;
        }
        Ok(())
    }
}

/// The tenants that a statement is narrowed to; `None` where all of the region are meant.
async fn narrowed(
    tx: &mut PgConnection,
    scope: &Scope,
    whose: &Whose,
) -> RpcResult<Option<Vec<Uuid>>> {
    match whose {
        Whose::All => Ok(scope.tenant_uids()),
        Whose::One(id) => Ok(Some(vec![newest(tx, id).await?])),
    }
}

/// The newest tenant of a name. One that is gone keeps its usage, until another has the
/// name.
async fn newest(tx: &mut PgConnection, id: &TenantId) -> RpcResult<Uuid> {
    let query = sqlx::query_scalar(
        "SELECT tenant_uid FROM tenants WHERE tenant_id = $1 \
         ORDER BY state = 'gone', create_time DESC, tenant_uid DESC LIMIT 1",
    );
    let found: Option<Uuid> =
        query.bind(id.as_str()).fetch_optional(tx).await.map_err(DbError::from)?;
    found.ok_or_else(|| RpcError::NotFound(id.to_name()))
}

/// What second it is for the database, whose clock all replicas share.
async fn now(tx: &mut PgConnection) -> RpcResult<Second> {
    let now = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(tx).await;
    Ok(convert::second(now.map_err(DbError::from)?))
}

#[tonic::async_trait]
impl UsageService for Usages {
    type ExportUsageStream = Pin<Box<dyn Stream<Item = Result<v1::UsageRow, Status>> + Send>>;

    async fn query_usage(
        &self,
        request: Request<v1::QueryUsageRequest>,
    ) -> Result<Response<v1::QueryUsageResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.query(&caller, request.get_ref()).await?))
    }

    async fn export_usage(
        &self,
        request: Request<v1::ExportUsageRequest>,
    ) -> Result<Response<Self::ExportUsageStream>, Status> {
        let caller = Caller::of(&request)?.clone();
        let receiver = self.export(&caller, request.get_ref()).await?;
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn list_live_usage(
        &self,
        request: Request<v1::ListLiveUsageRequest>,
    ) -> Result<Response<v1::ListLiveUsageResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.live(&caller, request.get_ref()).await?))
    }

    async fn get_usage_status(
        &self,
        request: Request<v1::GetUsageStatusRequest>,
    ) -> Result<Response<v1::UsageStatus>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.status(&caller).await?))
    }

    async fn explain_usage(
        &self,
        request: Request<v1::ExplainUsageRequest>,
    ) -> Result<Response<v1::ExplainUsageResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.explain(&caller, request.get_ref()).await?))
    }

    async fn verify_usage(
        &self,
        request: Request<v1::VerifyUsageRequest>,
    ) -> Result<Response<v1::VerifyUsageResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.verify(&caller, request.get_ref()).await?))
    }

    async fn list_neighbours(
        &self,
        request: Request<v1::ListNeighboursRequest>,
    ) -> Result<Response<v1::ListNeighboursResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.neighbours(&caller, request.get_ref()).await?))
    }
}
