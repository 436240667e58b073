//! Actual use: what pods take, beside what was requested for them.
//!
//! It is for showback alone and never billed. Requests are integrated from facts; use is
//! sampled by others, the cluster's metrics API or a Prometheus, and can be no more exact
//! than they are. So each amount stands with the seconds that it covers, and what nobody
//! measured is absent and never 0.
//!
//! [`source`] says what a source gives, [`book`] adds it up (pure), [`store`] keeps it in
//! one transaction of the leader, and [`beside`] puts it beside the sums of a time.

pub(crate) use prometheus::result;

pub use config::ActualConfig;
pub use engine::{ActualUse, Selector};
pub use source::Metric;

pub(super) mod beside;
mod book;
mod config;
mod engine;
mod metrics_api;
mod pods;
mod prometheus;
mod source;
pub(super) mod store;
#[cfg(test)]
mod tests;
