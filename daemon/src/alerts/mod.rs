//! Alerts: what needs somebody, from when until when, and who has it in hand.
//!
//! Who evaluates something begins and ends its alerts here, in the transaction in which it
//! keeps what it found. One alert of a kind, a rule and a subject fires at a time.

mod convert;
pub mod service;
mod store;
#[cfg(test)]
mod tests;
mod tickets;

pub use store::{
    Firing, NewAlert, Seen, begin, end, end_all_of, find, firing, firing_of, paging, take,
};
pub use tickets::{Ticket, last_ticket, ticket_over, ticket_told, tickets};

/// The tenant of what is the region's own: none has it.
pub const REGION: uuid::Uuid = uuid::Uuid::nil();
