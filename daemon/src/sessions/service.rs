//! `SessionService`: what the watch of the cluster showed last is read, and changes become
//! operations, on which the leader works.

use sqlx::PgConnection;
use streamspace_core::{
    ids::{SessionPath, TenantId, TenantUid},
    page::{PageToken, Query},
};
use streamspace_proto::v1::{self, session_service_server::SessionService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    convert,
    input::{self, Parent},
    record::SessionRecord,
    reservations::Admission,
    store,
    view::View,
};
use crate::{
    db::Database,
    kube::Cluster,
    rpc::{
        Caller,
        audit::AuditedResource,
        errors::{RpcError, RpcResult},
        listing::page_size,
    },
    tenants::{self, TenantRecord},
};

mod change;
mod create;
mod describe;
mod templates;
#[cfg(test)]
mod tests;

/// So many rows are read at once while a filter looks for those that match.
const BATCH: usize = 500;
/// So many rows a page looks at; one that finds little ends there, and the next goes on.
const MOST_LOOKED_AT: usize = 20_000;

/// The sessions of one region.
#[derive(Clone)]
pub struct Sessions {
    /// Where they are kept as the watch shows them.
    pub db: Database,
    /// The cluster, which is read for a description.
    pub cluster: Cluster,
    /// Whether a session may start.
    pub admission: Admission,
}

impl Sessions {
    async fn get(&self, caller: &Caller, name: &str) -> RpcResult<v1::Session> {
        let path = input::session("name", name)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        Ok(found(&mut tx, &path).await?.1.resource)
    }

    async fn list(
        &self,
        caller: &Caller,
        request: &v1::ListSessionsRequest,
    ) -> RpcResult<v1::ListSessionsResponse> {
        let parent = Parent::read(&request.parent)?;
        let filter = convert::filter(&request.filter)?;
        let asked = format!("{} {}", request.parent, request.filter);
        let query =
            Query { method: "ListSessions", filter: &asked, order_by: "", show_deleted: false };
        let size = page_size(request.page_size)?;
        let token = PageToken::decode(&request.page_token, &query)
            .map_err(|error| RpcError::field("page_token", error.to_string()))?;
        let mut after = token.map(|token| place(token.offset_key())).transpose()?;
        let batch = if filter.is_empty() { size + 1 } else { BATCH };

        let mut tx = self.db.begin(&caller.scope).await?;
        let tenant = whose(&mut tx, &parent).await?;
        let now = tenants::now(&mut tx).await?;
        let mut sessions = Vec::new();
        let mut looked_at = 0;
        let next = 'whole: loop {
            let limit = i64::try_from(batch).unwrap_or(i64::MAX);
            let rows = store::page(&mut tx, tenant, after.clone(), limit).await?;
            let is_last = rows.len() < batch;
            for record in rows {
                let key = (record.tenant, record.name.clone());
                if filter.matches(&View::of(&record, now)) {
                    if sessions.len() == size {
                        break 'whole after;
                    }
                    sessions.push(record.resource);
                }
                after = Some(key);
                looked_at += 1;
            }
            if is_last {
                break None;
            }
            if looked_at >= MOST_LOOKED_AT {
                break after;
            }
        };
        let next_page_token = next.map_or_else(String::new, |(tenant, name)| {
            PageToken::new(&query, format!("{}/{name}", tenant.0)).encode()
        });
        Ok(v1::ListSessionsResponse { sessions, next_page_token })
    }
}

/// The place in the list that a token tells.
fn place(key: &str) -> RpcResult<(TenantUid, String)> {
    let place = key.split_once('/').and_then(|(tenant, name)| {
        Some((TenantUid(Uuid::parse_str(tenant).ok()?), name.to_owned()))
    });
    place.ok_or_else(|| RpcError::field("page_token", "it is damaged: list again from the start"))
}

/// The tenant of this name in the scope of the transaction.
async fn tenant(tx: &mut PgConnection, id: &TenantId) -> RpcResult<TenantRecord> {
    tenants::by_id(tx, id).await?.ok_or_else(|| RpcError::NotFound(id.to_name()))
}

/// Which tenant's rows are meant; none where all are.
async fn whose(tx: &mut PgConnection, parent: &Parent) -> RpcResult<Option<TenantUid>> {
    match parent {
        Parent::All => Ok(None),
        Parent::Tenant(id) => Ok(Some(tenant(tx, id).await?.uid)),
    }
}

/// The session of this name in the scope of the transaction, and its tenant.
async fn found(
    tx: &mut PgConnection,
    path: &SessionPath,
) -> RpcResult<(TenantRecord, SessionRecord)> {
    let missing = || RpcError::NotFound(path.to_name());
    let tenant = tenants::by_id(tx, &path.tenant).await?.ok_or_else(missing)?;
    let session = store::by_name(tx, tenant.uid, path.session.as_str()).await?;
    Ok((tenant, session.ok_or_else(missing)?))
}

/// A reply that tells the audit log which operation was begun.
fn audited<T>(reply: T, operation: Option<&v1::Operation>) -> Response<T> {
    let name = operation.map(|operation| operation.name.clone()).unwrap_or_default();
    let mut response = Response::new(reply);
    if !name.is_empty() {
        response.extensions_mut().insert(AuditedResource(name));
    }
    response
}

#[tonic::async_trait]
impl SessionService for Sessions {
    async fn get_session(
        &self,
        request: Request<v1::GetSessionRequest>,
    ) -> Result<Response<v1::Session>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.get(&caller, &request.get_ref().name).await?))
    }

    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.list(&caller, request.get_ref()).await?))
    }

    async fn describe_session(
        &self,
        request: Request<v1::DescribeSessionRequest>,
    ) -> Result<Response<v1::DescribeSessionResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(Box::pin(self.describe(&caller, &request.get_ref().name)).await?))
    }

    async fn create_session(
        &self,
        request: Request<v1::CreateSessionRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        let caller = Caller::of(&request)?.clone();
        let reply = self.create(&caller, request.get_ref()).await?;
        let operation = reply.clone();
        Ok(audited(reply, Some(&operation)))
    }

    async fn change_sessions(
        &self,
        request: Request<v1::ChangeSessionsRequest>,
    ) -> Result<Response<v1::ChangeSessionsResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        let reply = self.change(&caller, request.get_ref()).await?;
        let operation = reply.operation.clone();
        Ok(audited(reply, operation.as_ref()))
    }

    async fn list_templates(
        &self,
        request: Request<v1::ListTemplatesRequest>,
    ) -> Result<Response<v1::ListTemplatesResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.templates(&caller, request.get_ref()).await?))
    }
}
