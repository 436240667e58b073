//! Sessions and templates as filters see them.

use jiff::Timestamp;
use streamspace_core::{
    admission::Place,
    filter::{FieldValue, Filter, Record},
    session::{SessionName, UserName},
};
use streamspace_proto::v1;

use super::record::SessionRecord;
use crate::rpc::errors::{RpcError, RpcResult};

/// What a filter of sessions may name.
const FIELDS: [&str; 10] = [
    "name",
    "tenant",
    "user",
    "template",
    "state",
    "phase",
    "node",
    "deleting:bool",
    "age:integer",
    "idle:integer",
];
/// What a filter of templates may name.
const TEMPLATE_FIELDS: [&str; 5] = ["name", "display_name", "category", "base_image", "valid:bool"];

/// Reads a filter of sessions.
pub(super) fn filter(text: &str) -> RpcResult<Filter> {
    parsed(text, &FIELDS)
}

/// Reads a filter of templates.
pub(super) fn template_filter(text: &str) -> RpcResult<Filter> {
    parsed(text, &TEMPLATE_FIELDS)
}

fn parsed(text: &str, fields: &[&str]) -> RpcResult<Filter> {
    Filter::parse(text, fields).map_err(|error| RpcError::field("filter", error.to_string()))
}

/// A session at an instant, which its age is counted to.
pub(super) struct At<'a> {
    pub(super) record: &'a SessionRecord,
    pub(super) now: Timestamp,
}

impl Record for At<'_> {
    fn field(&self, name: &str) -> Option<FieldValue> {
        let record = self.record;
        let since =
            |time: Timestamp| FieldValue::Integer(self.now.duration_since(time).as_secs().max(0));
        let text = |text: &str| Some(FieldValue::from(text));
        match name {
            "name" => text(&record.resource.name),
            "tenant" => text(tenant(&record.resource.name)),
            "user" => text(&record.user),
            "template" => text(&record.template),
            "state" => text(record.state.as_str()),
            "phase" => text(record.phase.as_str()),
            "node" => text(&record.node).filter(|_| !record.node.is_empty()),
            "deleting" => Some(FieldValue::Bool(record.deleting)),
            "age" => Some(since(record.create_time)),
            "idle" => record.last_activity.map(since),
            _ => None,
        }
    }
}

/// A template as a filter sees it.
pub(super) struct Shown<'a>(pub(super) &'a v1::Template);

impl Record for Shown<'_> {
    fn field(&self, name: &str) -> Option<FieldValue> {
        let text = |text: &str| Some(FieldValue::from(text));
        match name {
            "name" => text(&self.0.name),
            "display_name" => text(&self.0.display_name),
            "category" => text(&self.0.category).filter(|_| !self.0.category.is_empty()),
            "base_image" => text(&self.0.base_image),
            "valid" => Some(FieldValue::Bool(self.0.valid)),
            _ => None,
        }
    }
}

/// The tenant's id in the name of a session.
pub(super) fn tenant(name: &str) -> &str {
    name.strip_prefix("tenants/").and_then(|rest| rest.split('/').next()).unwrap_or_default()
}

/// Who would ask for which place if this session were to run; `None` where its object is not
/// valid, so that it does not start.
pub(super) fn asker(record: &SessionRecord) -> Option<(SessionName, UserName, Place)> {
    let name = SessionName::parse(&record.name).ok()?;
    let user = UserName::parse(&record.user).ok()?;
    (record.place.sessions > 0).then_some((name, user, record.place))
}
