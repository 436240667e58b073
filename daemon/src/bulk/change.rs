//! The change that is made of each tenant, through the services that change one.

use streamspace_core::violation::Violation;
use streamspace_proto::v1::{
    self, change_tenants_request::Change, quota_service_server::QuotaService as _,
    tenant_service_server::TenantService as _,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    operations::change::names,
    quotas::service::Quotas,
    rpc::Caller,
    tenants::{self, TenantRecord, service::Tenants},
};

/// The services that change one tenant.
#[derive(Clone)]
pub struct Work {
    /// Its life and its fields.
    pub tenants: Tenants,
    /// Its quota.
    pub quotas: Quotas,
}

/// What is said to the service beside the change itself.
#[derive(Clone, Debug)]
pub(super) struct Address<'a> {
    /// `tenants/{tenant}`.
    pub(super) tenant: &'a str,
    pub(super) reason: &'a str,
    /// The id of the request; none in a rehearsal.
    pub(super) request_id: Option<Uuid>,
}

/// What a service answered.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Tenant(Box<v1::Tenant>),
    Quota(Box<v1::Quota>),
}

impl Reply {
    pub(super) fn consequences(&self) -> &[v1::Consequence] {
        match self {
            Self::Tenant(tenant) => &tenant.consequences,
            Self::Quota(quota) => &quota.consequences,
        }
    }

    /// Whether it tells of another tenant than this, which was read before.
    pub(super) fn differs(&self, before: &TenantRecord) -> bool {
        match self {
            // Every change of a tenant says when it was.
            Self::Tenant(tenant) => tenant.update_time != tenants::to_proto(before).update_time,
            Self::Quota(quota) => quota.etag != tenants::etag(before),
        }
    }
}

/// Puts the address into a copy of the request, and calls the service as the caller.
macro_rules! call {
    ($service:expr, $method:ident, $request:expr, $tenant:ident, $address:expr, $caller:expr) => {{
        let mut request = $request.clone();
        request.$tenant = $address.tenant.to_owned();
        request.reason = $address.reason.to_owned();
        request.validate_only = $address.request_id.is_none();
        request.request_id = $address.request_id.map(|id| id.to_string()).unwrap_or_default();
        $service.$method(called_by(request, $caller)).await.map(Response::into_inner)
    }};
}

impl Work {
    /// Makes the change of one tenant, or rehearses it where the address has no request id.
    pub(super) async fn apply(
        &self,
        change: &Change,
        address: &Address<'_>,
        caller: &Caller,
    ) -> Result<Reply, Status> {
        macro_rules! tenant {
            ($method:ident, $request:expr) => {
                call!(self.tenants, $method, $request, name, address, caller)
                    .map(|tenant| Reply::Tenant(Box::new(tenant)))
            };
        }
        macro_rules! quota {
            ($method:ident, $request:expr) => {
                call!(self.quotas, $method, $request, tenant, address, caller)
                    .map(|quota| Reply::Quota(Box::new(quota)))
            };
        }
        match change {
            Change::Update(request) => {
                let mut request = request.clone();
                address.tenant.clone_into(&mut request.tenant.get_or_insert_default().name);
                request.reason = address.reason.to_owned();
                request.validate_only = address.request_id.is_none();
                request.request_id =
                    address.request_id.map(|id| id.to_string()).unwrap_or_default();
                let reply = self.tenants.update_tenant(called_by(request, caller)).await?;
                Ok(Reply::Tenant(Box::new(reply.into_inner())))
            }
            Change::Cordon(request) => tenant!(cordon_tenant, request),
            Change::Uncordon(request) => tenant!(uncordon_tenant, request),
            Change::Suspend(request) => tenant!(suspend_tenant, request),
            Change::Resume(request) => tenant!(resume_tenant, request),
            Change::Archive(request) => tenant!(archive_tenant, request),
            Change::Restore(request) => tenant!(restore_tenant, request),
            Change::Pause(request) => tenant!(pause_tenant, request),
            Change::Unpause(request) => tenant!(unpause_tenant, request),
            Change::SetQuota(request) => quota!(set_quota, request),
            Change::ResetQuota(request) => quota!(reset_quota, request),
        }
    }
}

fn called_by<M>(message: M, caller: &Caller) -> Request<M> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(caller.clone());
    request
}

/// What the change says that is said of the whole request instead.
pub(super) fn misplaced(change: &Change) -> Vec<Violation> {
    const CHOSEN: &str = "must be empty: `names` or `filter` of the request choose the tenants";
    const WHOLE: &str = "must be empty here: say it of the whole request";
    const EACH: &str = "must be empty: each tenant has an etag of its own";
    let (kind, _) = names(change);
    // The field of the request: `set_quota` for `quota.set`.
    let field = match change {
        Change::SetQuota(_) => "set_quota",
        Change::ResetQuota(_) => "reset_quota",
        _ => kind.rsplit('.').next().unwrap_or(kind),
    };
    let mut faults = Vec::new();
    let mut check = |given: bool, name: &str, why: &str| {
        if given {
            faults
                .push(Violation { field: format!("{field}.{name}"), description: why.to_owned() });
        }
    };
    macro_rules! check {
        ($request:expr, $tenant:ident) => {{
            check(!$request.$tenant.is_empty(), stringify!($tenant), CHOSEN);
            check(!$request.etag.is_empty(), "etag", EACH);
            check!($request);
        }};
        ($request:expr) => {{
            check($request.validate_only, "validate_only", WHOLE);
            check(!$request.request_id.is_empty(), "request_id", WHOLE);
            check(!$request.reason.is_empty(), "reason", WHOLE);
        }};
    }
    match change {
        Change::Update(request) => {
            if let Some(tenant) = &request.tenant {
                check(!tenant.name.is_empty(), "tenant.name", CHOSEN);
                check(!tenant.etag.is_empty(), "tenant.etag", EACH);
            }
            check!(request);
        }
        Change::Cordon(request) => check!(request, name),
        Change::Uncordon(request) => check!(request, name),
        Change::Suspend(request) => check!(request, name),
        Change::Resume(request) => check!(request, name),
        Change::Archive(request) => check!(request, name),
        Change::Restore(request) => check!(request, name),
        Change::Pause(request) => check!(request, name),
        Change::Unpause(request) => check!(request, name),
        Change::SetQuota(request) => check!(request, tenant),
        Change::ResetQuota(request) => check!(request, tenant),
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_the_whole_request_is_refused_in_the_change() {
        let fields = |change: &Change| {
            misplaced(change).into_iter().map(|fault| fault.field).collect::<Vec<_>>()
        };
        let good = v1::CordonTenantRequest {
            ttl: Some(prost_types::Duration::default()),
            ..Default::default()
        };
        assert!(misplaced(&Change::Cordon(good)).is_empty());
        let bad = v1::CordonTenantRequest {
            name: "tenants/a".into(),
            etag: "1".into(),
            validate_only: true,
            request_id: "x".into(),
            reason: "y".into(),
            ttl: None,
        };
        assert_eq!(
            fields(&Change::Cordon(bad)),
            [
                "cordon.name",
                "cordon.etag",
                "cordon.validate_only",
                "cordon.request_id",
                "cordon.reason"
            ]
        );
        let tenant =
            v1::Tenant { name: "tenants/a".into(), etag: "1".into(), ..Default::default() };
        let update = v1::UpdateTenantRequest { tenant: Some(tenant), ..Default::default() };
        assert_eq!(fields(&Change::Update(update)), ["update.tenant.name", "update.tenant.etag"]);
        let quota = v1::SetQuotaRequest { tenant: "tenants/a".into(), ..Default::default() };
        assert_eq!(fields(&Change::SetQuota(quota)), ["set_quota.tenant"]);
    }
}
