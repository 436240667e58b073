//! Who calls, as the services see it: request extensions of the policy layer.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use streamspace_core::{
    access::{Audience, CallerFacts, Role},
    ids::GrantId,
};
use uuid::Uuid;

use super::errors::RpcError;
use crate::db::Scope;

/// The call itself. Every call has one, also of an unverified peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The id that logs, audit entries and answers share.
    pub id: Uuid,
    /// Where the peer calls from.
    pub peer: SocketAddr,
}

/// A grant that gives an operator the role admin for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakGlass {
    /// Which.
    pub grant: GrantId,
    /// Until when.
    pub until: Timestamp,
}

/// What a handler used that the audit entry of its call must name.
#[derive(Clone, Debug, Default)]
pub struct CallNotes(Arc<Mutex<Vec<String>>>);

impl CallNotes {
    /// Notes the name of an approval that the call used up.
    pub fn approved_by(&self, approval: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(approval.to_owned());
    }

    /// The names of the approvals that were used up.
    pub fn approvals(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A verified caller. A call without it is of a peer that proved nothing, which only
/// methods for anyone receive.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The operator's name.
    pub operator: String,
    /// What they may do now: admin under a break-glass grant; `None` for a device, and for
    /// a role that this version does not know.
    pub role: Option<Role>,
    /// The role as the certificate spells it.
    pub role_name: String,
    /// The certificate's serial number, in hexadecimal.
    pub serial: String,
    /// Which tenants they reach.
    pub scope: Scope,
    /// When the certificate ends.
    pub expires: Timestamp,
    /// Where they call from.
    pub peer: SocketAddr,
    /// The id of this call.
    pub call_id: Uuid,
    /// How they proved themselves: as a device or as an operator.
    pub audience: Audience,
    /// The grant that makes `role` admin.
    pub break_glass: Option<BreakGlass>,
    /// For the audit entry of this call.
    pub notes: CallNotes,
}

impl Caller {
    /// What decides whether they may call a method.
    pub fn facts(&self) -> CallerFacts {
        CallerFacts {
            audience: self.audience,
            role: Role::parse(&self.role_name).filter(|_| self.audience == Audience::Operator),
            role_name: self.role_name.clone(),
            break_glass: self.break_glass.is_some(),
            scoped_to_tenants: matches!(self.scope, Scope::Tenants(_)),
        }
    }

    /// The verified caller of a request.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<&Self, RpcError> {
        request.extensions().get().ok_or(RpcError::NoCaller)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// An operator with a certificate of this role and scope.
    pub(crate) fn caller(operator: &str, role: Role, scope: Scope) -> Caller {
        Caller {
            operator: operator.to_owned(),
            role: Some(role),
            role_name: role.as_str().to_owned(),
            serial: "01".to_owned(),
            scope,
            expires: Timestamp::MAX,
            peer: SocketAddr::from(([127, 0, 0, 1], 1)),
            call_id: Uuid::now_v7(),
            audience: Audience::Operator,
            break_glass: None,
            notes: CallNotes::default(),
        }
    }
}
