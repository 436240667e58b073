//! `OperationService`: follows what the daemon carries on by itself.

use std::{cmp::Reverse, time::Duration};

use jiff::Timestamp;
use streamspace_core::{
    filter::{FieldValue, Filter, Record},
    ids::OperationId,
    page::{PageToken, Query},
};
use streamspace_proto::v1::{self, operation_service_server::OperationService};
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::{Request, Response, Status};

use super::{
    bulk::{self, BulkRecord},
    store::{self, OperationRecord},
    view::FILTER_FIELDS,
};
use crate::{
    db::{Database, Scope, changes::ChangeLog},
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        listing::{Paging, page_size},
        time,
    },
};

const ITEM_FILTER_FIELDS: [&str; 2] = ["target", "state"];
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Changes that follow each other closely are looked at together: an operation over several
/// makes hundreds of them.
const GATHER: Duration = Duration::from_millis(50);

/// The operations of one region.
#[derive(Clone)]
pub struct Operations {
    pub(super) db: Database,
    changes: ChangeLog,
}

/// An operation of either kind.
enum Any {
    OfOne(OperationRecord),
    Bulk(BulkRecord),
}

impl Any {
    fn key(&self) -> String {
        match self {
            Self::OfOne(record) => record.key(),
            Self::Bulk(record) => record.id.0.to_string(),
        }
    }

    fn create_time(&self) -> Timestamp {
        match self {
            Self::OfOne(record) => record.create_time(),
            Self::Bulk(record) => record.create_time(),
        }
    }
}

impl Record for Any {
    fn field(&self, name: &str) -> Option<FieldValue> {
        match self {
            Self::OfOne(record) => record.view().field(name),
            Self::Bulk(record) => record.view().field(name),
        }
    }
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
        if let Some(record) = store::by_id(&mut tx, id).await? {
            return Ok(record.to_proto());
        }
        // A scope of tenants has no rights on what is the region's.
        if *scope == Scope::Region
            && let Some(record) = bulk::by_id(&mut tx, id).await?
        {
            return Ok(bulk::shown(&mut tx, &record).await?);
        }
        Err(RpcError::NotFound(id.to_name()))
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
        let mut all: Vec<Any> = store::list(&mut tx).await?.into_iter().map(Any::OfOne).collect();
        if *scope == Scope::Region {
            all.extend(bulk::list(&mut tx).await?.into_iter().map(Any::Bulk));
        }
        all.retain(|record| filter.matches(record));
        all.sort_by_cached_key(|record| (Reverse(record.create_time()), record.key()));
        let (page, next_page_token) = paging.cut(all, Any::key)?;
        // Only what is shown is counted.
        let ids: Vec<OperationId> = page
            .iter()
            .filter_map(|any| match any {
                Any::Bulk(record) => Some(record.id),
                Any::OfOne(_) => None,
            })
            .collect();
        let mut counts = bulk::counts(&mut tx, &ids).await?.into_iter();
        let shown = |any: &Any| match any {
            Any::OfOne(record) => record.to_proto(),
            Any::Bulk(record) => record.to_proto(counts.next().unwrap_or_default()),
        };
        let operations = page.iter().map(shown).collect();
        Ok(v1::ListOperationsResponse { operations, next_page_token })
    }

    async fn items(
        &self,
        scope: &Scope,
        request: &v1::ListOperationItemsRequest,
    ) -> RpcResult<v1::ListOperationItemsResponse> {
        let operation = self.get(scope, &request.name).await?;
        let id = OperationId::from_name(&operation.name)
            .map_err(|error| RpcError::field("name", error.to_string()))?;
        let filter = Filter::parse(&request.filter, &ITEM_FILTER_FIELDS)
            .map_err(|error| RpcError::field("filter", error.to_string()))?;
        let asked = format!("{} {}", operation.name, request.filter);
        let query = Query {
            method: "ListOperationItems",
            filter: &asked,
            order_by: "",
            show_deleted: false,
        };
        let size = page_size(request.page_size)?;
        let refuse = |text: String| RpcError::field("page_token", text);
        let token = PageToken::decode(&request.page_token, &query)
            .map_err(|error| refuse(error.to_string()))?;
        let after = match token {
            None => 0,
            Some(token) => {
                token.offset_key().parse().map_err(|_| refuse("it is damaged".into()))?
            }
        };
        let mut tx = self.db.begin(scope).await?;
        // The place is the item's own: others change their state between two pages.
        let mut page = bulk::items(&mut tx, id, after).await?;
        drop(tx);
        page.retain(|item| filter.matches(item));
        let more = page.len() > size;
        page.truncate(size);
        let last = page.last().filter(|_| more);
        let next =
            last.map_or_else(String::new, |last| PageToken::new(&query, last.key()).encode());
        let items = page.iter().map(bulk::ItemRecord::to_proto).collect();
        Ok(v1::ListOperationItemsResponse { items, next_page_token: next })
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
            sleep_until(deadline.min(Instant::now() + GATHER)).await;
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

    async fn list_operation_items(
        &self,
        request: Request<v1::ListOperationItemsRequest>,
    ) -> Result<Response<v1::ListOperationItemsResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.items(&caller.scope, &request.into_inner()).await?))
    }

    async fn cancel_operation(
        &self,
        request: Request<v1::CancelOperationRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        Ok(Response::new(self.cancel(&request).await?))
    }

    async fn resume_operation(
        &self,
        request: Request<v1::ResumeOperationRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        Ok(Response::new(self.resume(&request).await?))
    }
}
