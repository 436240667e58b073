//! `OperationService`: follows what the daemon carries on by itself.

use std::time::Duration;

use streamspace_core::{filter::Filter, ids::OperationId, page::Query};
use streamspace_proto::v1::{self, operation_service_server::OperationService};
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Response, Status};

use super::store;
use crate::{
    db::{Database, Scope, changes::ChangeLog},
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        listing::Paging,
        time,
    },
};

const FILTER_FIELDS: [&str; 5] = ["name", "kind", "target", "done", "actor"];
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The operations of one region.
#[derive(Clone)]
pub struct Operations {
    db: Database,
    changes: ChangeLog,
}

impl Operations {
    /// Reads operations from `db`; `changes` wakes those that wait.
    pub fn new(db: Database, changes: ChangeLog) -> Self {
        Self { db, changes }
    }

    async fn get(&self, scope: &Scope, name: &str) -> RpcResult<v1::Operation> {
        let id = OperationId::from_name(name)
            .map_err(|error| RpcError::field("name", error.to_string()))?;
        let mut tx = self.db.begin(scope).await?;
        let record = store::by_id(&mut tx, id).await?;
        Ok(record.ok_or_else(|| RpcError::NotFound(id.to_name()))?.to_proto())
    }

    async fn list(
        &self,
        scope: &Scope,
        request: &v1::ListOperationsRequest,
    ) -> RpcResult<v1::ListOperationsResponse> {
        let filter = Filter::parse(&request.filter, &FILTER_FIELDS)
            .map_err(|error| RpcError::field("filter", error.to_string()))?;
        let query = Query {
            method: "ListOperations",
            filter: &request.filter,
            order_by: "",
            show_deleted: false,
        };
        let paging = Paging { size: request.page_size, token: &request.page_token, query };
        let mut tx = self.db.begin(scope).await?;
        let mut records = store::list(&mut tx).await?;
        drop(tx);
        records.retain(|record| filter.matches(record));
        let (page, next_page_token) = paging.cut(records, store::OperationRecord::key)?;
        let operations = page.iter().map(store::OperationRecord::to_proto).collect();
        Ok(v1::ListOperationsResponse { operations, next_page_token })
    }

    async fn wait(
        &self,
        scope: &Scope,
        request: &v1::WaitOperationRequest,
    ) -> RpcResult<v1::Operation> {
        let asked = request.timeout.as_ref().map_or(LONGEST_WAIT, time::duration);
        let deadline = Instant::now() + asked.min(LONGEST_WAIT);
        let mut latest = self.changes.latest();
        loop {
            latest.mark_unchanged();
            let operation = self.get(scope, &request.name).await?;
            if operation.done || timeout_at(deadline, latest.changed()).await.is_err() {
                return Ok(operation);
            }
        }
    }
}

#[tonic::async_trait]
impl OperationService for Operations {
    async fn get_operation(
        &self,
        request: Request<v1::GetOperationRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.get(&caller.scope, &request.into_inner().name).await?))
    }

    async fn list_operations(
        &self,
        request: Request<v1::ListOperationsRequest>,
    ) -> Result<Response<v1::ListOperationsResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.list(&caller.scope, &request.into_inner()).await?))
    }

    async fn wait_operation(
        &self,
        request: Request<v1::WaitOperationRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.wait(&caller.scope, &request.into_inner()).await?))
    }
}
