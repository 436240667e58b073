//! `TenantService`: changes and reads of the wish.

use jiff::Timestamp;
use streamspace_core::{
    filter::{FieldValue, Filter, Record},
    ids::{RegionId, TenantId, TenantUid},
    order::OrderBy,
    page::Query,
    tenant::{Event, TenantState, advance},
};
use streamspace_proto::v1::{self, tenant_service_server::TenantService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{TenantRecord, convert, input, store};
use crate::{
    db::{
        Database,
        changes::{self, ChangeType},
    },
    operations::{self, NewOperation},
    plans,
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        listing::Paging,
        once::Once,
    },
};

const FILTER_FIELDS: [&str; 8] =
    ["name", "display_name", "plan", "seats", "state", "billing_account", "protected", "labels.*"];
const ORDER_FIELDS: [&str; 6] = ["name", "display_name", "plan", "seats", "state", "create_time"];

/// The tenants of one region.
#[derive(Clone)]
pub struct Tenants {
    db: Database,
    region: RegionId,
    namespace_prefix: String,
}

impl Tenants {
    /// The service of `region`, whose tenants live in namespaces with this prefix.
    pub fn new(db: Database, region: RegionId, namespace_prefix: String) -> Self {
        Self { db, region, namespace_prefix }
    }

    async fn create(
        &self,
        caller: &Caller,
        request: v1::CreateTenantRequest,
    ) -> RpcResult<v1::Tenant> {
        let spec = input::spec_of_create(&request, &self.region)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "CreateTenant", &request.request_id, &request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let plan = plans::current(&mut tx, &spec.plan)
            .await?
            .ok_or_else(|| unknown_plan(spec.plan.as_str()))?;
        let now = Timestamp::now();
        let tenant = TenantRecord {
            uid: TenantUid(Uuid::now_v7()),
            namespace: format!("{}{}", self.namespace_prefix, spec.id),
            plan_version: plan.plan.version,
            state: TenantState::Provisioning,
            conditions: Vec::new(),
            generation: 1,
            observed_generation: 0,
            create_time: now,
            update_time: now,
            spec,
        };
        if !store::insert(&mut tx, &tenant).await? {
            return Err(RpcError::AlreadyExists(tenant.spec.id.to_name()));
        }
        let reply = convert::to_proto(&tenant);
        if request.validate_only {
            return Ok(reply);
        }
        store::subscribe(&mut tx, &tenant, &caller.operator).await?;
        let change = convert::change(&tenant, ChangeType::Created, &caller.operator);
        changes::record(&mut tx, &change).await?;
        once.remember(&mut tx, &reply).await?;
        tx.commit().await.map_err(crate::db::DbError::from)?;
        Ok(reply)
    }

    async fn update(
        &self,
        caller: &Caller,
        request: v1::UpdateTenantRequest,
    ) -> RpcResult<v1::Tenant> {
        let wish =
            request.tenant.as_ref().ok_or_else(|| RpcError::field("tenant", "is required"))?;
        let id = tenant_id("tenant.name", &wish.name)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "UpdateTenant", &request.request_id, &request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let current = store::lock_by_id(&mut tx, &id)
            .await?
            .ok_or_else(|| RpcError::NotFound(id.to_name()))?;
        require_etag(&current, &wish.etag)?;
        if current.state == TenantState::Purging {
            return Err(being_deleted(&current));
        }
        let fields = request.update_mask.as_ref().map(|mask| mask.paths.as_slice());
        let spec = input::spec_of_update(&current.spec, wish, fields.unwrap_or_default())?;
        let mut tenant = current.clone();
        if spec.plan != current.spec.plan {
            let plan = plans::current(&mut tx, &spec.plan)
                .await?
                .ok_or_else(|| unknown_plan(spec.plan.as_str()))?;
            tenant.plan_version = plan.plan.version;
        }
        tenant.spec = spec;
        if tenant == current {
            // What is wished already is no change: no generation, no entry in the log.
            let reply = convert::to_proto(&current);
            return Ok(reply);
        }
        tenant.generation += 1;
        tenant.update_time = Timestamp::now();
        store::update(&mut tx, &tenant).await?;
        let reply = convert::to_proto(&tenant);
        if request.validate_only {
            return Ok(reply);
        }
        if tenant.spec.plan != current.spec.plan || tenant.spec.seats != current.spec.seats {
            store::subscribe(&mut tx, &tenant, &caller.operator).await?;
        }
        let change = convert::change(&tenant, ChangeType::Updated, &caller.operator);
        changes::record(&mut tx, &change).await?;
        once.remember(&mut tx, &reply).await?;
        tx.commit().await.map_err(crate::db::DbError::from)?;
        Ok(reply)
    }

    async fn delete(
        &self,
        caller: &Caller,
        request: v1::DeleteTenantRequest,
    ) -> RpcResult<v1::Operation> {
        let id = tenant_id("name", &request.name)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "DeleteTenant", &request.request_id, &request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let mut tenant = store::lock_by_id(&mut tx, &id)
            .await?
            .ok_or_else(|| RpcError::NotFound(id.to_name()))?;
        require_etag(&tenant, &request.etag)?;
        if tenant.state == TenantState::Purging {
            return Err(being_deleted(&tenant));
        }
        tenant.state =
            advance(tenant.state, Event::DeleteRequested { protected: tenant.spec.protected })
                .map_err(RpcError::from)?;
        tenant.generation += 1;
        tenant.update_time = Timestamp::now();
        store::update(&mut tx, &tenant).await?;
        let operation = NewOperation {
            tenant: tenant.uid,
            kind: operations::TENANT_DELETE,
            target: id.to_name(),
            actor: caller.operator.clone(),
        };
        if request.validate_only {
            return Ok(operation.preview());
        }
        let change = convert::change(&tenant, ChangeType::Updated, &caller.operator);
        changes::record(&mut tx, &change).await?;
        let reply = operations::begin(&mut tx, &operation).await?;
        once.remember(&mut tx, &reply).await?;
        tx.commit().await.map_err(crate::db::DbError::from)?;
        Ok(reply)
    }

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
        let mut tenants = store::list(&mut tx, request.show_deleted).await?;
        drop(tx);
        tenants.retain(|tenant| filter.matches(tenant));
        tenants.sort_by(|a, b| order.compare(a, b));
        let total_size = i32::try_from(tenants.len()).unwrap_or(i32::MAX);
        let (page, next_page_token) = paging.cut(tenants, |tenant| tenant.uid.0.to_string())?;
        let tenants = page.iter().map(convert::to_proto).collect();
        Ok(v1::ListTenantsResponse { tenants, next_page_token, total_size })
    }
}

#[tonic::async_trait]
impl TenantService for Tenants {
    async fn create_tenant(
        &self,
        request: Request<v1::CreateTenantRequest>,
    ) -> Result<Response<v1::Tenant>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.create(&caller, request.into_inner()).await?))
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
        Ok(Response::new(self.update(&caller, request.into_inner()).await?))
    }

    async fn delete_tenant(
        &self,
        request: Request<v1::DeleteTenantRequest>,
    ) -> Result<Response<v1::Operation>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.delete(&caller, request.into_inner()).await?))
    }
}

/// What a filter and an order see of a tenant.
impl Record for TenantRecord {
    fn field(&self, name: &str) -> Option<FieldValue> {
        let text = |value: &str| Some(FieldValue::Text(value.to_owned()));
        match name {
            "name" => text(&self.spec.id.to_name()),
            "display_name" => text(&self.spec.display_name),
            "plan" => text(self.spec.plan.as_str()),
            "seats" => Some(FieldValue::Integer(i64::from(self.spec.seats))),
            "state" => text(self.state.as_str()),
            "billing_account" => text(&self.spec.billing_account),
            "protected" => Some(FieldValue::Bool(self.spec.protected)),
            "create_time" => text(&self.create_time.to_string()),
            label => text(self.spec.labels.get(label.strip_prefix("labels.")?)?),
        }
    }
}

fn tenant_id(field: &str, name: &str) -> RpcResult<TenantId> {
    TenantId::from_name(name).map_err(|error| RpcError::field(field, error.to_string()))
}

fn unknown_plan(plan: &str) -> RpcError {
    RpcError::field(
        "tenant.plan",
        format!("there is no plan {plan}; `ssctl plan list` shows those there are"),
    )
}

fn require_etag(tenant: &TenantRecord, given: &str) -> RpcResult<()> {
    if given.is_empty() || given == convert::etag(tenant) {
        Ok(())
    } else {
        Err(RpcError::EtagMismatch(tenant.spec.id.to_name()))
    }
}

fn being_deleted(tenant: &TenantRecord) -> RpcError {
    RpcError::Refused {
        reason: "TENANT_PURGING",
        message: format!(
            "{} is being deleted; `ssctl operation list` shows how far that is",
            tenant.spec.id.to_name()
        ),
    }
}
