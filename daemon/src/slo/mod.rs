//! Service level objectives: what is measured for them, and what is left of their budgets.
//!
//! The rules are core's. Here [`engine`] evaluates each minute on the leader, from a
//! Prometheus, from what the replicas count themselves ([`own`]), and from what is pushed.
//! What was measured stands in [`series`], definitions in [`store`].

mod amend;
mod budgets;
pub mod config;
mod convert;
mod cost;
mod engine;
pub mod own;
mod prometheus;
mod seed;
mod series;
pub mod service;
pub mod starts;
mod step;
mod store;
#[cfg(test)]
mod tests;
mod view;

pub use budgets::frozen;
pub use cost::{Cost, costs, unknown};
pub use engine::{Evaluator, EvaluatorParts, Progress};
