//! Operations: work that the daemon carries on by itself, also when the client is
//! gone and across restarts. Whoever does the work keeps its operation up to date in
//! the transaction of each step.

pub mod service;
mod store;

pub use store::{NewOperation, begin, finish, open, progress};

/// The deletion of a tenant and all that it has in the cluster.
pub const TENANT_DELETE: &str = "tenant.delete";
