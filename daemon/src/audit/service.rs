//! The service that reads the audit log.

use streamspace_core::{
    filter::Filter,
    page::{PageToken, Query},
};
use streamspace_proto::v1::{
    ListAuditEntriesRequest, ListAuditEntriesResponse, audit_service_server::AuditService,
};
use tonic::{Request, Response, Status};

use super::store;
use crate::{
    db::Database,
    rpc::{RpcError, RpcResult, listing::page_size},
};

const FILTER_FIELDS: [&str; 8] =
    ["actor", "role", "method", "resource", "phase", "decision", "rule", "call_id"];
/// Rows of one statement.
const BATCH: i64 = 1000;
/// Rows that one call looks at; a filter that matches little goes on with the next
/// page.
const LOOKED_AT: usize = 20_000;

/// Implements `AuditService`.
pub struct Audit {
    database: Database,
}

impl Audit {
    /// Reads this database.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn list(&self, request: &ListAuditEntriesRequest) -> RpcResult<ListAuditEntriesResponse> {
        let size = page_size(request.page_size)?;
        let filter = Filter::parse(&request.filter, &FILTER_FIELDS)
            .map_err(|error| RpcError::field("filter", error.to_string()))?;
        let query = Query {
            method: "ListAuditEntries",
            filter: &request.filter,
            order_by: "",
            show_deleted: false,
        };
        let mut before = position(&request.page_token, &query)?;
        let mut response = ListAuditEntriesResponse::default();
        let mut looked_at = 0;
        loop {
            let rows = store::list(self.database.operator(), before, BATCH).await?;
            let last_batch = i64::try_from(rows.len()).unwrap_or(BATCH) < BATCH;
            for row in rows {
                if response.entries.len() == size || looked_at >= LOOKED_AT {
                    let key = before.unwrap_or_default().to_string();
                    response.next_page_token = PageToken::new(&query, key).encode();
                    return Ok(response);
                }
                looked_at += 1;
                before = Some(row.position);
                if filter.matches(&row) {
                    response.entries.push(row.into_proto());
                }
            }
            if last_batch {
                return Ok(response);
            }
        }
    }
}

/// The position that the page goes on before.
fn position(token: &str, query: &Query<'_>) -> RpcResult<Option<i64>> {
    let refuse = |text: String| RpcError::field("page_token", text);
    let token = PageToken::decode(token, query).map_err(|error| refuse(error.to_string()))?;
    token
        .map(|token| token.offset_key().parse().map_err(|_| refuse("it is damaged".into())))
        .transpose()
}

#[tonic::async_trait]
impl AuditService for Audit {
    async fn list_audit_entries(
        &self,
        request: Request<ListAuditEntriesRequest>,
    ) -> Result<Response<ListAuditEntriesResponse>, Status> {
        Ok(Response::new(self.list(request.get_ref()).await?))
    }
}
