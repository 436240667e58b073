//! A session as filters and orders see it, whatever holds it: a row, a row of which only
//! this was read, or a resource of the contract, as the change log keeps it.

use jiff::Timestamp;
use streamspace_core::{
    filter::{FieldValue, Record},
    session::{SessionPhase, SessionState},
};
use streamspace_proto::v1;

use super::{convert, record::SessionRecord};
use crate::rpc::time::instant;

/// What a filter of sessions may name.
pub use streamspace_core::filter::vocabulary::SESSION as FILTER_FIELDS;

/// What an order of sessions may name.
pub const ORDER_FIELDS: [&str; 9] = [
    "name",
    "tenant",
    "user",
    "template",
    "state",
    "phase",
    "node",
    "create_time",
    "last_activity_time",
];

/// What filters and orders see of a session, at an instant that its age is counted to.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// The tenant's id.
    pub(super) tenant: &'a str,
    /// The last part of its name.
    pub(super) name: &'a str,
    pub(super) user: &'a str,
    pub(super) template: &'a str,
    pub(super) state: SessionState,
    pub(super) phase: SessionPhase,
    /// Empty where it is on none.
    pub(super) node: &'a str,
    pub(super) deleting: bool,
    pub(super) create_time: Option<Timestamp>,
    pub(super) last_activity: Option<Timestamp>,
    pub(super) now: Timestamp,
}

impl Record for View<'_> {
    fn field(&self, name: &str) -> Option<FieldValue> {
        let since =
            |time: Timestamp| FieldValue::Integer(self.now.duration_since(time).as_secs().max(0));
        let place = |time: Timestamp| FieldValue::Integer(time.as_microsecond());
        let text = |text: &str| Some(FieldValue::from(text));
        match name {
            "name" => {
                let (tenant, name) = (self.tenant, self.name);
                Some(FieldValue::Text(format!("tenants/{tenant}/sessions/{name}")))
            }
            "tenant" => text(self.tenant),
            "user" => text(self.user),
            "template" => text(self.template),
            "state" => text(self.state.as_str()),
            "phase" => text(self.phase.as_str()),
            "node" => text(self.node).filter(|_| !self.node.is_empty()),
            "deleting" => Some(FieldValue::Bool(self.deleting)),
            "age" => self.create_time.map(since),
            "idle" => self.last_activity.map(since),
            "create_time" => self.create_time.map(place),
            "last_activity_time" => self.last_activity.map(place),
            _ => None,
        }
    }
}

impl<'a> View<'a> {
    /// A row.
    pub(super) fn of(record: &'a SessionRecord, now: Timestamp) -> Self {
        Self {
            tenant: convert::tenant(&record.resource.name),
            name: &record.name,
            user: &record.user,
            template: &record.template,
            state: record.state,
            phase: record.phase,
            node: &record.node,
            deleting: record.deleting,
            create_time: Some(record.create_time),
            last_activity: record.last_activity,
            now,
        }
    }

    /// A resource of the contract. Where it says no state or phase, this has what its row
    /// has: nothing that cannot be read is to run.
    pub fn of_resource(session: &'a v1::Session, now: Timestamp) -> Self {
        let state = session.state();
        let phase = session.phase();
        let state = SessionState::ALL.into_iter().find(|it| convert::state(*it) == state);
        let phase = SessionPhase::ALL.into_iter().find(|it| convert::phase(*it) == phase);
        Self {
            tenant: convert::tenant(&session.name),
            name: session.name.rsplit('/').next().unwrap_or_default(),
            user: &session.user,
            template: &session.template,
            state: state.unwrap_or(SessionState::Hibernated),
            phase: phase.unwrap_or(SessionPhase::Pending),
            node: &session.node,
            deleting: session.deleting,
            create_time: session.create_time.as_ref().and_then(instant),
            last_activity: session.last_activity_time.as_ref().and_then(instant),
            now,
        }
    }
}
