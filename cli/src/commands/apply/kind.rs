//! Kinds: what a document can be about. A kind says what it is called, where its
//! fields stand in the contract, and how it is read, made and changed. All else is
//! the same for every kind.

use std::pin::Pin;

use prost::{Message, Name};
use serde_json::{Map, Value};
use streamspace_client::{ClientError, Connection};
use streamspace_proto::json::{from_value, to_value};

use super::{
    fields::{Leaf, Reader, Style},
    kinds::{plan::PlanKind, quota::QuotaKind, tenant::TenantKind},
    yaml::Node,
};
use crate::errors::Failure;

/// All kinds, in the order in which they are applied: what is needed comes first.
pub(super) const KINDS: [&dyn Kind; 3] = [&PlanKind, &TenantKind, &QuotaKind];

/// Work with the daemon.
pub(super) type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, ClientError>> + 'a>>;

/// What the fields of a resource are, as its JSON.
pub(super) type Fields = Map<String, Value>;

/// A change that is asked of the daemon.
#[derive(Clone, Debug, Default)]
pub(super) struct Ask {
    /// The resource's full name.
    pub(super) name: String,
    /// The wish, with all fields that are asked for.
    pub(super) wish: Fields,
    /// Which of them differ, as a mask names them. None for what is new.
    pub(super) mask: Vec<String>,
    /// What must still be so; empty for anything.
    pub(super) guard: String,
    pub(super) validate_only: bool,
    pub(super) request_id: String,
    pub(super) reason: String,
    pub(super) accept_overcommit: bool,
    pub(super) adopt: bool,
}

/// A document's wish on its way to the daemon.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    pub(super) fields: Fields,
    /// Which of them the document gives.
    pub(super) given: Vec<Leaf>,
    pub(super) guard: String,
}

/// What a document can be about.
pub(super) trait Kind: Sync {
    /// As a document names it: `Tenant`.
    fn word(&self) -> &'static str;

    /// What its full names begin with: `tenants/`.
    fn prefix(&self) -> &'static str;

    /// Whether the prefix alone tells this kind.
    fn owns_prefix(&self) -> bool {
        true
    }

    /// What a line about it calls it.
    fn title(&self, name: &str) -> String {
        name.to_owned()
    }

    /// How its fields may be written.
    fn style(&self) -> Style;

    /// Reads the fields under its spec.
    fn read_spec(&self, reader: &mut Reader, entries: &[(Node, Node)]) -> Result<Fields, String>;

    /// Puts what the daemon would put in the place of nothing, so that a second
    /// application finds no difference.
    fn settle(&self, _name: &str, _wish: &mut Wish) {}

    /// The other resources that it stands on, by their full names.
    fn needs(&self, _name: &str, _wish: &Fields) -> Vec<String> {
        Vec::new()
    }

    /// Puts the resource into a set of files, or keeps it in the one that it is in.
    fn join(
        &self,
        _title: &str,
        _set: Option<&str>,
        _wish: &mut Wish,
        _before: Option<&Fields>,
    ) -> Result<(), Failure> {
        Ok(())
    }

    /// The fields that the document gives and the resource has otherwise.
    fn differing(&self, wish: &Wish, before: &Fields) -> Vec<String> {
        let differs = |leaf: &&Leaf| leaf.of(&wish.fields) != leaf.of(before);
        wish.given.iter().filter(differs).map(|leaf| leaf.mask.clone()).collect()
    }

    /// What a preview compares of it.
    fn compared(&self, resource: &Fields) -> Value {
        Value::Object(resource.clone())
    }

    /// What an operator should know of it beside what was done.
    fn note(&self, _name: &str, _resource: &Fields, _is_changed: bool) -> Option<String> {
        None
    }

    /// The tenant that the cluster must have before it is done.
    fn settles_in(&self, _name: &str) -> Option<String> {
        None
    }

    /// The resource as it is; none where there is none.
    fn read<'a>(&'a self, connection: &'a Connection, name: &'a str) -> Work<'a, Option<Fields>>;

    /// Makes it.
    fn create<'a>(&'a self, connection: &'a Connection, ask: Ask) -> Work<'a, Fields>;

    /// Changes it.
    fn update<'a>(
        &'a self,
        connection: &'a Connection,
        ask: Ask,
        before: Fields,
    ) -> Work<'a, Fields>;
}

/// A message as the fields of its JSON.
pub(super) fn fields_of<M: Message + Name>(message: &M) -> Result<Fields, ClientError> {
    match to_value(message).map_err(|error| ClientError::Unexpected(error.to_string()))? {
        Value::Object(fields) => Ok(fields),
        _ => Err(ClientError::Unexpected("a message that is no object".into())),
    }
}

/// The message of these fields.
pub(super) fn message_of<M: Message + Name + Default>(fields: &Fields) -> Result<M, ClientError> {
    from_value(&Value::Object(fields.clone()))
        .map_err(|error| ClientError::Unexpected(error.to_string()))
}

/// Reads a spec by the contract's message, and writes it as the contract does.
pub(super) fn read_message<M: Message + Name + Default>(
    reader: &mut Reader,
    entries: &[(Node, Node)],
) -> Result<Fields, String> {
    let name = M::full_name();
    let pool = streamspace_proto::policy::pool();
    let descriptor = pool.and_then(|pool| pool.get_message_by_name(&name));
    let descriptor = descriptor.ok_or_else(|| format!("the contract has no message {name}"))?;
    let fields = reader.resource(&descriptor, entries);
    if !reader.faults.is_empty() {
        return Ok(fields);
    }
    let message: M = message_of(&fields).map_err(|error| error.to_string())?;
    fields_of(&message).map_err(|error| error.to_string())
}

/// A reading that found nothing is no failure.
pub(super) fn found(read: Result<Fields, ClientError>) -> Result<Option<Fields>, ClientError> {
    match read {
        Ok(fields) => Ok(Some(fields)),
        Err(error) if error.code() == Some(tonic::Code::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a change brings with it, as the daemon told it in its reply.
pub(super) fn consequences(resource: &Fields) -> Vec<String> {
    let all = resource.get("consequences").and_then(Value::as_array);
    let messages = all.into_iter().flatten().filter_map(|one| one.get("message")?.as_str());
    messages.map(str::to_owned).collect()
}
