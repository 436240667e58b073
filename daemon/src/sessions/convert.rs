//! Sessions and templates between what the daemon holds and what the contract has.

use streamspace_core::{
    admission::Place,
    filter::{FieldValue, Filter, Record},
    session::{SessionName, SessionPhase, SessionState, UserName},
};
use streamspace_proto::v1;

use super::{record::SessionRecord, view};
use crate::rpc::errors::{RpcError, RpcResult};

/// What a filter of templates may name.
const TEMPLATE_FIELDS: [&str; 5] = ["name", "display_name", "category", "base_image", "valid:bool"];

/// Reads a filter of sessions.
pub(super) fn filter(text: &str) -> RpcResult<Filter> {
    parsed(text, &view::FILTER_FIELDS)
}

/// Reads a filter of templates.
pub(super) fn template_filter(text: &str) -> RpcResult<Filter> {
    parsed(text, &TEMPLATE_FIELDS)
}

fn parsed(text: &str, fields: &[&str]) -> RpcResult<Filter> {
    Filter::parse(text, fields).map_err(|error| RpcError::field("filter", error.to_string()))
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

/// What a session should be, as the contract has it.
pub(super) fn state(state: SessionState) -> v1::SessionState {
    match state {
        SessionState::Running => v1::SessionState::Running,
        SessionState::Hibernated => v1::SessionState::Hibernated,
        SessionState::Terminated => v1::SessionState::Terminated,
    }
}

/// How far a session is, as the contract has it.
pub(super) fn phase(phase: SessionPhase) -> v1::SessionPhase {
    match phase {
        SessionPhase::Pending => v1::SessionPhase::Pending,
        SessionPhase::Running => v1::SessionPhase::Running,
        SessionPhase::Hibernated => v1::SessionPhase::Hibernated,
        SessionPhase::Failed => v1::SessionPhase::Failed,
        SessionPhase::Terminated => v1::SessionPhase::Terminated,
    }
}
