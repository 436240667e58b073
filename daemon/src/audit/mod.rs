//! The audit log: what was about to happen, how it ended, and what was refused.
//!
//! What holds here:
//! - An intent is committed before its call takes effect; without it there is no
//!   effect.
//! - Each intent has one outcome. Where a crash took it, the sweep writes `unknown`.
//! - Entries are inserted by a login that cannot read, change or delete them.
//! - Positions begin at 1, have no gap and are given after the commit.

mod denials;
pub mod log;
pub mod sequencer;
pub mod service;
mod store;
pub mod sweep;
pub mod trail;

pub use log::AuditLog;
pub use service::Audit;

#[cfg(test)]
mod tests;
