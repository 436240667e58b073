//! PostgreSQL: pools of separate logins, transactions under row-level security,
//! migrations, the change log, the leader lease.
//!
//! What holds here:
//! - A transaction is opened by [`Database::begin`] with the caller's [`Scope`]. A
//!   scope of tenants runs on a login of its own that sees those tenants only; no
//!   statement can widen it to another login's rights.
//! - Row-level security guards against a forgotten predicate, not against arbitrary
//!   SQL: every query is static, every value is bound. What an expression could do
//!   beside reading is taken from the logins as well ([`catalogue::public_rights`]).
//! - A connection of the tenant login goes back to its pool with nothing of its call.
//! - [`catalogue::check`] refuses to start on a schema where a table with a tenant key
//!   lacks any part of its isolation.
//! - Revisions of the change log are given after the commit, by one sequencer at a
//!   time, so a reader never passes a change that commits later.
//! - Nothing here fails to be built because PostgreSQL is down: every loop waits, says
//!   so, and goes on when it is back.

pub mod catalogue;
pub mod changes;
pub mod dump;
mod error;
pub mod lease;
pub mod migrate;
mod passwords;
mod pool;
pub mod replicas;
pub mod requests;
mod scope;
pub mod wake;

pub use changes::{ChangeKind, ChangeLog, ChangeRow, ChangeType, NewChange, NewRegionChange};
pub use error::DbError;
pub use lease::{LeaderLease, Leadership};
pub use pool::{Database, DatabaseConfig, DatabaseUrl, DatabaseUrlError, PoolState};
pub use scope::Scope;

#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
