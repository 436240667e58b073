//! Who calls, as the services see it: request extensions of the policy layer.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use futures::future::BoxFuture;
use jiff::Timestamp;
use sqlx::PgConnection;
use streamspace_core::{
    access::{Audience, CallerFacts, Role},
    ids::GrantId,
};
use uuid::Uuid;

use super::errors::{RpcError, RpcResult};
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

/// What a handler and the audit entry of its call tell each other.
#[derive(Clone, Debug, Default)]
pub struct CallNotes {
    /// The incident that the caller named; empty where there is none.
    incident: String,
    noted: Arc<Mutex<Noted>>,
}

#[derive(Debug, Default)]
struct Noted {
    approvals: Vec<String>,
    summary: String,
}

impl CallNotes {
    /// The notes of a call that belongs to this incident; to none where it is empty.
    pub fn of_incident(incident: &str) -> Self {
        Self { incident: incident.to_owned(), ..Self::default() }
    }

    /// The incident that the caller named; empty where there is none.
    pub fn incident(&self) -> &str {
        &self.incident
    }

    /// Notes the name of an approval that the call used up.
    pub fn approved_by(&self, approval: &str) {
        self.noted().approvals.push(approval.to_owned());
    }

    /// The names of the approvals that were used up.
    pub fn approvals(&self) -> Vec<String> {
        self.noted().approvals.clone()
    }

    /// Notes what the call changes, for people. The last word counts. No secrets: the
    /// audit log keeps it.
    pub fn changes(&self, summary: impl Into<String>) {
        self.noted().summary = summary.into();
    }

    /// What the call changed; empty where its handler told nothing.
    pub fn summary(&self) -> String {
        self.noted().summary.clone()
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What makes a change one item of an operation over several: it is settled in the very
/// transaction that makes the change, so that it is done once whatever is killed when.
/// `bulk` implements it. No second person is asked for such a change.
pub trait ItemOfMany: fmt::Debug + Send + Sync + 'static {
    /// At the start of the transaction: holds the item until its end, or refuses where the
    /// item is not to be worked on any more.
    fn hold<'a>(&'a self, tx: &'a mut PgConnection) -> BoxFuture<'a, RpcResult<()>>;
    /// Before the commit of a transaction that changed something: settles the item.
    fn changed<'a>(&'a self, tx: &'a mut PgConnection) -> BoxFuture<'a, RpcResult<()>>;
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
    /// Set where the change is one of many, made in the caller's name.
    pub item: Option<Arc<dyn ItemOfMany>>,
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
            item: None,
        }
    }
}
