//! The service that reads the audit log.

use jiff::Timestamp;
use streamspace_core::{
    filter::{Filter, vocabulary},
    page::{PageToken, Query},
};
use streamspace_proto::v1::{
    ListAuditEntriesRequest, ListAuditEntriesResponse, audit_service_server::AuditService,
};
use tonic::{Request, Response, Status};

use super::{
    sequencer,
    store::{self, Range, Span},
};
use crate::{
    db::Database,
    rpc::{RpcError, RpcResult, listing::page_size},
};

/// The first instant of the contract, that of the year 1.
const FIRST_SECOND: i64 = -62_135_596_800;
/// So many are a second.
const NANOSECONDS: i32 = 1_000_000_000;
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
        let filter = Filter::parse(&request.filter, &vocabulary::AUDIT)
            .map_err(|error| RpcError::field("filter", error.to_string()))?;
        let span = span(request)?;
        // A page belongs to the whole query, and to its time as well.
        let instant = |time: Option<Timestamp>| time.map(|time| time.to_string());
        let asked = format!("{:?} {:?} {}", instant(span.start), instant(span.end), request.filter);
        let query =
            Query { method: "ListAuditEntries", filter: &asked, order_by: "", show_deleted: false };
        let pool = self.database.operator();
        let mut response = ListAuditEntriesResponse::default();
        let range = if let Some(range) = place(&request.page_token, &query)? {
            Some(range)
        } else {
            sequencer::catch_up(pool).await;
            store::positions(pool, span).await?
        };
        let Some(mut range) = range else { return Ok(response) };
        let mut looked_at = 0;
        loop {
            let rows = store::list(pool, range, span, BATCH).await?;
            let last_batch = i64::try_from(rows.len()).unwrap_or(BATCH) < BATCH;
            for row in rows {
                if response.entries.len() == size || looked_at >= LOOKED_AT {
                    let key = format!("{} {}", range.before, range.from);
                    response.next_page_token = PageToken::new(&query, key).encode();
                    return Ok(response);
                }
                looked_at += 1;
                range.before = row.position;
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

/// The time that is asked for.
fn span(request: &ListAuditEntriesRequest) -> RpcResult<Span> {
    let read = |field: &str, time: Option<&prost_types::Timestamp>| {
        let Some(time) = time else { return Ok(None) };
        let wrong = || RpcError::field(field, "must be an instant of the years 1 to 9999");
        let is_instant = time.seconds >= FIRST_SECOND && (0..NANOSECONDS).contains(&time.nanos);
        let read = Timestamp::new(time.seconds, time.nanos).ok().filter(|_| is_instant);
        read.map(Some).ok_or_else(wrong)
    };
    let start = read("start_time", request.start_time.as_ref())?;
    let end = read("end_time", request.end_time.as_ref())?;
    if start.zip(end).is_some_and(|(start, end)| start >= end) {
        return Err(RpcError::field("end_time", "must be after start_time"));
    }
    Ok(Span { start, end })
}

/// Where the page goes on.
fn place(token: &str, query: &Query<'_>) -> RpcResult<Option<Range>> {
    let refuse = |text: String| RpcError::field("page_token", text);
    let token = PageToken::decode(token, query).map_err(|error| refuse(error.to_string()))?;
    let read = |token: PageToken| {
        let (before, from) = token.offset_key().split_once(' ')?;
        Some(Range { from: from.parse().ok()?, before: before.parse().ok()? })
    };
    token.map(|token| read(token).ok_or_else(|| refuse("it is damaged".into()))).transpose()
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
