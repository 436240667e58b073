//! Usage: the facts of the cluster, what was used by them, and how well that is known.

pub use engine::{UsageCounters, run};
pub use store::closed_through;
/// The seconds that all of it counts in.
pub use streamspace_core::usage::Second;

pub mod actual;
pub mod config;
mod convert;
pub mod corrections;
mod engine;
mod explain;
pub mod facts;
pub mod figures;
mod input;
pub mod live;
pub mod partitions;
mod query;
pub mod rollups;
pub mod row;
pub mod service;
mod store;
pub mod ticker;
pub mod verify;

#[cfg(test)]
mod tests;
