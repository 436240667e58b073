//! Who calls, as the services see it: request extensions of the policy layer.

use std::net::SocketAddr;

use jiff::Timestamp;
use streamspace_core::access::{Audience, CallerFacts, Role};
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

/// A verified caller. A call without it is of a peer that proved nothing, which only
/// methods for anyone receive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The operator's name.
    pub operator: String,
    /// What they may do; `None` for a device, and for a role that this version does
    /// not know.
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
}

impl Caller {
    /// What decides whether they may call a method.
    pub fn facts(&self) -> CallerFacts {
        CallerFacts {
            audience: self.audience,
            role: self.role,
            role_name: self.role_name.clone(),
            scoped_to_tenants: matches!(self.scope, Scope::Tenants(_)),
        }
    }

    /// The verified caller of a request.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<&Self, RpcError> {
        request.extensions().get().ok_or(RpcError::NoCaller)
    }
}
