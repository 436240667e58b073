//! The changes that can be made of several tenants, by their names in the contract.

use prost::Message as _;
use streamspace_proto::{
    policy::{self, Method},
    v1::{ChangeTenantsRequest, change_tenants_request::Change},
};

use super::bulk::BulkRecord;
use crate::rpc::errors::{RpcError, RpcResult};

/// What a change is called in an operation's kind, and the method that makes it of one.
pub fn names(change: &Change) -> (&'static str, &'static str) {
    match change {
        Change::Update(_) => ("tenant.update", "TenantService/UpdateTenant"),
        Change::Cordon(_) => ("tenant.cordon", "TenantService/CordonTenant"),
        Change::Uncordon(_) => ("tenant.uncordon", "TenantService/UncordonTenant"),
        Change::Suspend(_) => ("tenant.suspend", "TenantService/SuspendTenant"),
        Change::Resume(_) => ("tenant.resume", "TenantService/ResumeTenant"),
        Change::Archive(_) => ("tenant.archive", "TenantService/ArchiveTenant"),
        Change::Restore(_) => ("tenant.restore", "TenantService/RestoreTenant"),
        Change::Pause(_) => ("tenant.pause", "TenantService/PauseTenant"),
        Change::Unpause(_) => ("tenant.unpause", "TenantService/UnpauseTenant"),
        Change::SetQuota(_) => ("quota.set", "QuotaService/SetQuota"),
        Change::ResetQuota(_) => ("quota.reset", "QuotaService/ResetQuota"),
    }
}

/// The method that makes this change of one tenant, with its access rule.
pub fn method(change: &Change) -> RpcResult<Method> {
    let (_, path) = names(change);
    let is_it = |method: &Method| {
        method.path.strip_suffix(path).is_some_and(|package| package.ends_with('.'))
    };
    let found = policy::methods().into_iter().find(is_it);
    found.ok_or_else(|| RpcError::Internal(format!("the contract has no method {path}")))
}

impl BulkRecord {
    /// What is done to each tenant.
    pub fn change(&self) -> RpcResult<Change> {
        let broken = |why: &str| RpcError::Internal(format!("{}: {why}", self.id.to_name()));
        let request = ChangeTenantsRequest::decode(self.request.as_slice())
            .map_err(|error| broken(&error.to_string()))?;
        request.change.ok_or_else(|| broken("it says no change that this version knows"))
    }
}

#[cfg(test)]
mod tests {
    use streamspace_proto::v1;

    use super::*;

    #[test]
    fn every_change_has_a_method_with_a_rule() {
        let changes = [
            Change::Update(v1::UpdateTenantRequest::default()),
            Change::Cordon(v1::CordonTenantRequest::default()),
            Change::Uncordon(v1::UncordonTenantRequest::default()),
            Change::Suspend(v1::SuspendTenantRequest::default()),
            Change::Resume(v1::ResumeTenantRequest::default()),
            Change::Archive(v1::ArchiveTenantRequest::default()),
            Change::Restore(v1::RestoreTenantRequest::default()),
            Change::Pause(v1::PauseTenantRequest::default()),
            Change::Unpause(v1::UnpauseTenantRequest::default()),
            Change::SetQuota(v1::SetQuotaRequest::default()),
            Change::ResetQuota(v1::ResetQuotaRequest::default()),
        ];
        for change in changes {
            let (kind, path) = names(&change);
            let method = method(&change).unwrap();
            assert!(method.policy.mutates, "{kind}: {path}");
            assert_eq!(method.path, format!("streamspace.admin.v1.{path}"));
        }
    }
}
