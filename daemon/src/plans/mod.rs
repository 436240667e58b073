//! Plans: what customers buy. Data with versions; a version never changes.

mod convert;
pub mod service;
mod store;
mod summary;
#[cfg(test)]
mod tests;

pub use convert::quota_to_proto;
pub(crate) use store::joined_plan_columns;
pub use store::{Joined, PlanRecord, current, list};
