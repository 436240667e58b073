//! A session as the watch of the cluster showed it last.

use jiff::Timestamp;
use streamspace_core::{
    admission::Place,
    ids::TenantUid,
    session::{SessionPhase, SessionState, SessionUid},
};
use streamspace_proto::v1;

/// A session as the watch of the cluster showed it last: a row of `sessions`. Texts are
/// whatever its author wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRecord {
    /// Whose it is.
    pub tenant: TenantUid,
    /// The name of its object.
    pub name: String,
    /// The UID of its object.
    pub uid: SessionUid,
    /// The state of the cluster that showed it.
    pub resource_version: i64,
    /// `metadata.generation`.
    pub generation: i64,
    /// Its user.
    pub user: String,
    /// Its template.
    pub template: String,
    /// What it should be.
    pub state: SessionState,
    /// How far it is; `Pending` where nothing was said yet.
    pub phase: SessionPhase,
    /// Whether its object is being deleted.
    pub deleting: bool,
    /// What it takes while it is to run, with all its copies. Zero where that is not known.
    pub place: Place,
    /// The node of its pod; empty where there is none.
    pub node: String,
    /// When somebody used it last.
    pub last_activity: Option<Timestamp>,
    /// When its object was created.
    pub create_time: Timestamp,
    /// As the contract shows it.
    pub resource: v1::Session,
}
