//! `PlanService`: the plans that customers buy, and their versions.

use jiff::Timestamp;
use streamspace_core::page::Query;
use streamspace_proto::v1::{self, plan_service_server::PlanService};
use tonic::{Request, Response, Status};

use super::{
    convert::{self, to_proto},
    store::{self, PlanRecord},
    summary,
};
use crate::{
    db::{Database, DbError},
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        listing::Paging,
        once::Once,
        summary::NO_CHANGE,
    },
};

/// The plans of one region.
#[derive(Clone)]
pub struct Plans {
    db: Database,
}

impl Plans {
    /// Keeps plans in `db`.
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    pub(super) async fn get(&self, caller: &Caller, name: &str) -> RpcResult<v1::Plan> {
        let (id, version) = convert::name("name", name)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let record = match version {
            None => store::current(&mut tx, &id).await?,
            Some(version) => store::version(&mut tx, &id, version).await?,
        };
        record.as_ref().map(to_proto).ok_or_else(|| RpcError::NotFound(name.to_owned()))
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

    pub(super) async fn versions(
        &self,
        caller: &Caller,
        name: &str,
    ) -> RpcResult<v1::ListPlansResponse> {
        let (id, version) = convert::name("name", name)?;
        if version.is_some() {
            return Err(RpcError::field("name", "must name the plan, without a version"));
        }
        let mut tx = self.db.begin(&caller.scope).await?;
        let records = store::versions(&mut tx, &id).await?;
        if records.is_empty() {
            return Err(RpcError::NotFound(id.to_name()));
        }
        let plans = records.iter().map(to_proto).collect();
        Ok(v1::ListPlansResponse { plans, next_page_token: String::new() })
    }

    pub(super) async fn create(
        &self,
        caller: &Caller,
        request: &v1::CreatePlanRequest,
    ) -> RpcResult<v1::Plan> {
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "CreatePlan", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let ranks = store::list(&mut tx).await?.into_iter().map(|record| record.plan.rank);
        let plan = convert::of_create(request, ranks.max().unwrap_or(0).saturating_add(1))?;
        let name = plan.id.to_name();
        let record = PlanRecord { plan, create_time: now() };
        if !store::insert(&mut tx, &record).await? {
            return Err(RpcError::AlreadyExists(name));
        }
        let reply = to_proto(&record);
        if request.validate_only {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes("created, version 1");
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    pub(super) async fn update(
        &self,
        caller: &Caller,
        request: &v1::UpdatePlanRequest,
    ) -> RpcResult<v1::Plan> {
        let given = request.plan.as_ref().ok_or_else(|| RpcError::field("plan", "is required"))?;
        let (id, version) = convert::name("plan.name", &given.name)?;
        if version.is_some() {
            return Err(RpcError::field(
                "plan.name",
                "must name the plan, without a version: a version never changes, and `if_version` \
                 guards against overwriting somebody else's",
            ));
        }
        if request.if_version < 0 {
            return Err(RpcError::field("if_version", "must be 0 (any) or a version from 1"));
        }
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "UpdatePlan", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let current =
            store::current(&mut tx, &id).await?.ok_or_else(|| RpcError::NotFound(id.to_name()))?;
        if request.if_version != 0 && request.if_version != current.plan.version {
            return Err(RpcError::EtagMismatch(id.to_name()));
        }
        let fields = request.update_mask.as_ref().map_or(&[][..], |mask| mask.paths.as_slice());
        let mut plan = convert::of_update(&current.plan, given, fields)?;
        if plan == current.plan {
            caller.notes.changes(NO_CHANGE);
            return Ok(to_proto(&current));
        }
        plan.version = current.plan.version.saturating_add(1);
        let record = PlanRecord { plan, create_time: now() };
        // Of two that make the same version at once, one comes too late.
        if !store::insert(&mut tx, &record).await? {
            return Err(RpcError::EtagMismatch(id.to_name()));
        }
        let reply = to_proto(&record);
        if request.validate_only {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(summary::changed(&current.plan, &record.plan));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }
}

/// What time it is, in the microseconds that the database keeps.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
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

    async fn list_plan_versions(
        &self,
        request: Request<v1::ListPlanVersionsRequest>,
    ) -> Result<Response<v1::ListPlansResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.versions(&caller, &request.into_inner().name).await?))
    }

    async fn create_plan(
        &self,
        request: Request<v1::CreatePlanRequest>,
    ) -> Result<Response<v1::Plan>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.create(&caller, request.get_ref()).await?))
    }

    async fn update_plan(
        &self,
        request: Request<v1::UpdatePlanRequest>,
    ) -> Result<Response<v1::Plan>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.update(&caller, request.get_ref()).await?))
    }
}
