//! `TenantService`: changes and reads of the wish.

use std::sync::Arc;

use streamspace_core::{
    filter::Filter,
    ids::{RegionId, TenantId},
    order::OrderBy,
    page::Query,
};
use streamspace_proto::v1::{self, tenant_service_server::TenantService};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::{
    TenantRecord, convert,
    reconciler::Wishes,
    store,
    view::{FILTER_FIELDS, ORDER_FIELDS},
};
use crate::{
    db::{Database, Leadership},
    kube::Cluster,
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        listing::Paging,
    },
};

mod change;
mod life;
mod proof;
mod step;
#[cfg(test)]
pub(crate) mod tests;

/// The tenants of one region.
#[derive(Clone)]
pub struct Tenants {
    /// Where they are kept.
    pub db: Database,
    /// The region that they live in.
    pub region: RegionId,
    /// What their namespaces' names begin with.
    pub namespace_prefix: String,
    /// The cluster, which is asked what is there and what is used.
    pub cluster: Cluster,
    /// The installation of the daemon in the cluster.
    pub instance: String,
    /// What each tenant should have there.
    pub wishes: Arc<dyn Wishes>,
    /// Who leads, and in which term the cluster accepts what is asked of it.
    pub leadership: watch::Receiver<Leadership>,
}

impl Tenants {
    async fn get(&self, caller: &Caller, name: &str) -> RpcResult<v1::Tenant> {
        let id = tenant_id("name", name)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let tenant = store::by_id(&mut tx, &id).await?;
        tenant.as_ref().map(convert::to_proto).ok_or_else(|| RpcError::NotFound(id.to_name()))
    }

    async fn list(
        &self,
        caller: &Caller,
        request: &v1::ListTenantsRequest,
    ) -> RpcResult<v1::ListTenantsResponse> {
        let filter = Filter::parse(&request.filter, &FILTER_FIELDS)
            .map_err(|error| RpcError::field("filter", error.to_string()))?;
        let order = OrderBy::parse(&request.order_by, &ORDER_FIELDS)
            .map_err(|error| RpcError::field("order_by", error.to_string()))?;
        let query = Query {
            method: "ListTenants",
            filter: &request.filter,
            order_by: &request.order_by,
            show_deleted: request.show_deleted,
        };
        let paging = Paging { size: request.page_size, token: &request.page_token, query };

        let mut tx = self.db.begin(&caller.scope).await?;
        let mut tenants = match request.view() {
            v1::TenantView::Basic => store::list_basic(&mut tx, request.show_deleted).await?,
            v1::TenantView::Full | v1::TenantView::Unspecified => {
                store::list(&mut tx, request.show_deleted).await?
            }
        };
        drop(tx);
        tenants.retain(|tenant| filter.matches(tenant));
        tenants.sort_by(|a, b| order.compare(a, b));
        let total_size = i32::try_from(tenants.len()).unwrap_or(i32::MAX);
        let (page, next_page_token) = paging.cut(tenants, |tenant| tenant.uid.0.to_string())?;
        let tenants = page.into_iter().map(convert::into_proto).collect();
        Ok(v1::ListTenantsResponse { tenants, next_page_token, total_size })
    }
}

#[tonic::async_trait]
impl TenantService for Tenants {
    async fn cordon_tenant(
        &self,
        request: Request<v1::CordonTenantRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.cordon(&caller, request.get_ref()).await?))
    }

    async fn uncordon_tenant(
        &self,
        request: Request<v1::UncordonTenantRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.uncordon(&caller, request.get_ref()).await?))
    }

    async fn suspend_tenant(
        &self,
        request: Request<v1::SuspendTenantRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.suspend(&caller, request.get_ref()).await?))
    }

    async fn resume_tenant(
        &self,
        request: Request<v1::ResumeTenantRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.resume(&caller, request.get_ref()).await?))
    }

    async fn archive_tenant(
        &self,
        request: Request<v1::ArchiveTenantRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.archive(&caller, request.get_ref()).await?))
    }

    async fn restore_tenant(
        &self,
        request: Request<v1::RestoreTenantRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.restore(&caller, request.get_ref()).await?))
    }

    async fn pause_tenant(
        &self,
        request: Request<v1::PauseTenantRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.pause(&caller, request.get_ref()).await?))
    }

    async fn unpause_tenant(
        &self,
        request: Request<v1::UnpauseTenantRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.unpause(&caller, request.get_ref()).await?))
    }

    async fn list_tenant_objects(
        &self,
        request: Request<v1::ListTenantObjectsRequest>,
    ) -> Result<Response<v1::ListTenantObjectsResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.objects(&caller, &request.get_ref().name).await?))
    }

    async fn check_tenant(
        &self,
        request: Request<v1::CheckTenantRequest>,
    ) -> Result<Response<v1::CheckTenantResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.prove(&caller, &request.get_ref().name).await?))
    }

    async fn create_tenant(
        &self,
        request: Request<v1::CreateTenantRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.create(&caller, request.get_ref()).await?))
    }

    async fn get_tenant(
        &self,
        request: Request<v1::GetTenantRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.get(&caller, &request.into_inner().name).await?))
    }

    async fn list_tenants(
        &self,
        request: Request<v1::ListTenantsRequest>,
    ) -> Result<Response<v1::ListTenantsResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.list(&caller, &request.into_inner()).await?))
    }

    async fn update_tenant(
        &self,
        request: Request<v1::UpdateTenantRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.update(&caller, request.get_ref()).await?))
    }

    async fn delete_tenant(
        &self,
        request: Request<v1::DeleteTenantRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.delete(&caller, request.get_ref()).await?))
    }
}

/// Reads a tenant's name from the field of this name.
pub(super) fn tenant_id(field: &str, name: &str) -> RpcResult<TenantId> {
    TenantId::from_name(name).map_err(|error| RpcError::field(field, error.to_string()))
}

/// Refuses a change of what the caller did not see.
pub fn require_etag(tenant: &TenantRecord, given: &str) -> RpcResult<()> {
    if given.is_empty() || given == convert::etag(tenant) {
        Ok(())
    } else {
        Err(RpcError::EtagMismatch(tenant.spec.id.to_name()))
    }
}

/// Why a tenant on its way out is not changed.
pub fn being_deleted(tenant: &TenantRecord) -> RpcError {
    RpcError::Refused {
        reason: "TENANT_PURGING",
        message: format!(
            "{} is being deleted; `ssctl operation list` shows how far that is",
            tenant.spec.id.to_name()
        ),
    }
}
