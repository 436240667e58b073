//! Incidents: what goes wrong, who works on it, and what is written down of it.
//!
//! What holds here:
//! - A change is one transaction: the row, what the timeline keeps of it, and the notices
//!   that people outside get. Whoever is killed has done all of it or nothing.
//! - What an incident becomes is decided by [`change`], which touches nothing.
//! - The timeline grows and never changes.
//! - A level of an escalation is paged once: the row counts them.

mod change;
mod convert;
pub mod engine;
pub mod freeze;
mod impact;
mod open;
pub mod service;
mod store;
mod tell;
#[cfg(test)]
mod tests;
mod tickets;
mod timeline;
