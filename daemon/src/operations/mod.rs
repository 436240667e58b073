//! Operations: work that the daemon carries on by itself, also when the client is
//! gone and across restarts. Whoever does the work keeps its operation up to date in
//! the transaction of each step.
//!
//! An operation of one tenant is that tenant's. One over several ([`bulk`]) is the region's,
//! and only a scope of the region sees it.

pub mod bulk;
pub mod change;
mod control;
pub mod service;
mod store;

use sqlx::PgConnection;
use streamspace_proto::v1;

use crate::db::{DbError, Scope};

pub use control::requester;
pub use store::{NewOperation, begin, finish, progress};

/// The deletion of a tenant and all that it has in the cluster.
pub const TENANT_DELETE: &str = "tenant.delete";

/// The operations in the scope of the transaction that are not over.
pub async fn open(tx: &mut PgConnection, scope: &Scope) -> Result<Vec<v1::Operation>, DbError> {
    let mut open = store::open(tx).await?;
    if *scope == Scope::Region {
        for record in bulk::open(tx).await? {
            open.push(bulk::shown(tx, &record).await?);
        }
    }
    Ok(open)
}
