//! The changes that operations over several make of each item, by their names in the
//! contract.

use prost::Message as _;
use streamspace_proto::{
    policy::{self, Method},
    v1::{
        ChangeSessionsRequest, ChangeTenantsRequest, CreateSessionRequest, SessionState,
        change_tenants_request::Change,
    },
};

use super::bulk::BulkRecord;
use crate::rpc::errors::{RpcError, RpcResult};

/// The creation of a session.
pub const SESSION_CREATE: &str = "session.create";

/// What an operation does to each of its items.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// A change of tenants.
    Tenants(Box<Change>),
    /// The creation of a session.
    CreateSession(Box<CreateSessionRequest>),
    /// A change of what sessions should be.
    ChangeSessions(SessionState),
}

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

/// What the change of sessions to this state is called; `None` where it is no state.
pub fn session_kind(state: SessionState) -> Option<&'static str> {
    match state {
        SessionState::Running => Some("session.wake"),
        SessionState::Hibernated => Some("session.hibernate"),
        SessionState::Terminated => Some("session.terminate"),
        SessionState::Unspecified => None,
    }
}

/// The method that makes this change of one tenant, with its access rule.
pub fn method(change: &Change) -> RpcResult<Method> {
    method_of(names(change).1)
}

fn method_of(path: &str) -> RpcResult<Method> {
    let is_it = |method: &Method| {
        method.path.strip_suffix(path).is_some_and(|package| package.ends_with('.'))
    };
    let found = policy::methods().into_iter().find(is_it);
    found.ok_or_else(|| RpcError::Internal(format!("the contract has no method {path}")))
}

impl Deed {
    /// The method that does it, with its access rule.
    pub fn method(&self) -> RpcResult<Method> {
        match self {
            Self::Tenants(change) => method(change),
            Self::CreateSession(_) => method_of("SessionService/CreateSession"),
            Self::ChangeSessions(_) => method_of("SessionService/ChangeSessions"),
        }
    }
}

impl BulkRecord {
    /// What is done to each item.
    pub fn deed(&self) -> RpcResult<Deed> {
        let broken = |why: &str| RpcError::Internal(format!("{}: {why}", self.id.to_name()));
        let unread = |error: prost::DecodeError| broken(&error.to_string());
        let bytes = self.request.as_slice();
        if self.kind == SESSION_CREATE {
            let request = CreateSessionRequest::decode(bytes).map_err(unread)?;
            return Ok(Deed::CreateSession(Box::new(request)));
        }
        if self.kind.starts_with("session.") {
            let state = ChangeSessionsRequest::decode(bytes).map_err(unread)?.state();
            return match session_kind(state) {
                Some(kind) if kind == self.kind => Ok(Deed::ChangeSessions(state)),
                _ => Err(broken("it says no state that this version knows")),
            };
        }
        let request = ChangeTenantsRequest::decode(bytes).map_err(unread)?;
        let change = request.change;
        let change = change.ok_or_else(|| broken("it says no change that this version knows"))?;
        Ok(Deed::Tenants(Box::new(change)))
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
        let sessions = [
            Deed::CreateSession(Box::default()),
            Deed::ChangeSessions(v1::SessionState::Hibernated),
        ];
        for deed in sessions {
            assert!(deed.method().unwrap().policy.mutates, "{deed:?}");
        }
    }

    #[test]
    fn states_have_kinds_of_their_own() {
        let kinds = [
            (v1::SessionState::Unspecified, None),
            (v1::SessionState::Running, Some("session.wake")),
            (v1::SessionState::Hibernated, Some("session.hibernate")),
            (v1::SessionState::Terminated, Some("session.terminate")),
        ];
        for (state, kind) in kinds {
            assert_eq!(session_kind(state), kind);
        }
    }
}
