//! One change of many tenants or sessions, as an operation that the daemon carries on by
//! itself.
//!
//! What holds here:
//! - The items are chosen once, in one snapshot, when the operation is asked for.
//! - A tenant is changed through the very service that changes one, in the name of who asked,
//!   and is in the audit log as if they had done it by hand. A session is changed in the
//!   cluster ([`session`]), with an entry of its own in the audit log as well.
//! - An item is settled in the transaction of its change, which holds the item's row. So it
//!   is done once, whoever is killed when and however many replicas are at it; and once an
//!   operation has stopped, nothing of it happens any more.
//! - Who may do it is judged when it is asked for, and again before each few items: whoever
//!   was locked, revoked or lost the role does nothing more through an operation either.
//! - Nobody is asked for a second person's agreement by an item: it is refused instead.

pub mod change;
mod item;
pub mod runner;
pub mod service;
pub mod session;
#[cfg(test)]
mod tests;
