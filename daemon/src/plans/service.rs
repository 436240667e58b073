//! `PlanService`: reads the plans that customers buy.

use streamspace_core::{ids::PlanId, page::Query};
use streamspace_proto::v1::{self, plan_service_server::PlanService};
use tonic::{Request, Response, Status};

use super::store::{self, PlanRecord};
use crate::{
    db::Database,
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        listing::Paging,
        time::timestamp,
    },
};

/// The plans of one region.
#[derive(Clone)]
pub struct Plans {
    db: Database,
}

impl Plans {
    /// Reads plans from `db`.
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    async fn get(&self, caller: &Caller, name: &str) -> RpcResult<v1::Plan> {
        let id =
            PlanId::from_name(name).map_err(|error| RpcError::field("name", error.to_string()))?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let record = store::current(&mut tx, &id).await?;
        record.as_ref().map(to_proto).ok_or_else(|| RpcError::NotFound(id.to_name()))
    }

    async fn list(
        &self,
        caller: &Caller,
        request: &v1::ListPlansRequest,
    ) -> RpcResult<v1::ListPlansResponse> {
        let query = Query { method: "ListPlans", filter: "", order_by: "", show_deleted: false };
        let paging = Paging { size: request.page_size, token: &request.page_token, query };
        let mut tx = self.db.begin(&caller.scope).await?;
        let records = store::list(&mut tx).await?;
        let key = |record: &PlanRecord| record.plan.id.as_str().to_owned();
        let (page, next_page_token) = paging.cut(records, key)?;
        Ok(v1::ListPlansResponse { plans: page.iter().map(to_proto).collect(), next_page_token })
    }
}

#[tonic::async_trait]
impl PlanService for Plans {
    async fn get_plan(
        &self,
        request: Request<v1::GetPlanRequest>,
    ) -> Result<Response<v1::Plan>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.get(&caller, &request.into_inner().name).await?))
    }

    async fn list_plans(
        &self,
        request: Request<v1::ListPlansRequest>,
    ) -> Result<Response<v1::ListPlansResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.list(&caller, &request.into_inner()).await?))
    }
}

fn to_proto(record: &PlanRecord) -> v1::Plan {
    let plan = &record.plan;
    v1::Plan {
        name: plan.id.to_name(),
        version: plan.version,
        display_name: plan.display_name.clone(),
        seat_price_micros: plan.seat_price.map(|price| price.0),
        user_sessions: plan.user_sessions,
        user_memory_bytes: plan.user_memory.map(|memory| memory.0),
        recording_retention_days: plan.recording_retention_days,
        features: plan.features.clone(),
        availability_ppm: plan.availability_ppm,
        quota: Some(v1::TenantQuota {
            cpu_millicores: plan.quota.cpu.0,
            memory_bytes: plan.quota.memory.0,
            storage_bytes: plan.quota.storage.0,
            pods: plan.quota.pods,
        }),
        create_time: timestamp(record.create_time),
    }
}
