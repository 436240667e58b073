//! An operation as filters and orders see it, whatever holds it: a row of either table, or a
//! resource of the contract, as the change log keeps it.

use std::borrow::Cow;

use jiff::Timestamp;
use streamspace_core::filter::{FieldValue, Record};
use streamspace_proto::v1;

use crate::rpc::time::instant;

/// What a filter of operations may name.
pub use streamspace_core::filter::vocabulary::OPERATION as FILTER_FIELDS;

/// What an order of operations may name.
pub const ORDER_FIELDS: [&str; 6] = ["name", "kind", "target", "done", "actor", "create_time"];

/// What filters and orders see of an operation.
#[derive(Clone, Debug)]
pub struct View<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) kind: &'a str,
    pub(super) target: &'a str,
    pub(super) done: bool,
    pub(super) actor: &'a str,
    pub(super) create_time: Option<Timestamp>,
}

impl Record for View<'_> {
    fn field(&self, name: &str) -> Option<FieldValue> {
        match name {
            "name" => Some(FieldValue::from(&*self.name)),
            "kind" => Some(FieldValue::from(self.kind)),
            "target" => Some(FieldValue::from(self.target)),
            "actor" => Some(FieldValue::from(self.actor)),
            "done" => Some(FieldValue::Bool(self.done)),
            "create_time" => Some(FieldValue::Integer(self.create_time?.as_microsecond())),
            _ => None,
        }
    }
}

impl<'a> From<&'a v1::Operation> for View<'a> {
    fn from(operation: &'a v1::Operation) -> Self {
        Self {
            name: Cow::Borrowed(&operation.name),
            kind: &operation.kind,
            target: &operation.target,
            done: operation.done,
            actor: &operation.actor,
            create_time: operation.create_time.as_ref().and_then(instant),
        }
    }
}
