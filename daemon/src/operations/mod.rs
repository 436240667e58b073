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
pub mod view;

use std::collections::HashMap;

use sqlx::PgConnection;
use streamspace_core::ids::OperationId;
use streamspace_proto::v1;

use self::view::View;
use crate::db::{DbError, Scope};

pub use control::requester;
pub use store::{NewOperation, begin, finish, progress};

/// The deletion of a tenant and all that it has in the cluster.
pub const TENANT_DELETE: &str = "tenant.delete";

/// Shows those in the scope of the transaction that are not over as filters and orders see
/// them, by name.
pub async fn view_open(
    tx: &mut PgConnection,
    scope: &Scope,
    mut see: impl FnMut(OperationId, &View<'_>),
) -> Result<(), DbError> {
    let of_one = store::open(tx).await?;
    // A scope of tenants has no rights on what is the region's.
    let bulk = if *scope == Scope::Region { bulk::open(tx).await? } else { Vec::new() };
    let mut views: Vec<(OperationId, View<'_>)> =
        of_one.iter().map(|record| (record.id(), record.view())).collect();
    views.extend(bulk.iter().map(|record| (record.id, record.view())));
    views.sort_by_key(|(id, _)| *id);
    for (id, view) in &views {
        see(*id, view);
    }
    Ok(())
}

/// Those of these that are in the scope of the transaction and not over, in this order.
pub async fn open(
    tx: &mut PgConnection,
    scope: &Scope,
    ids: &[OperationId],
) -> Result<Vec<v1::Operation>, DbError> {
    let of_one = store::open_of(tx, ids).await?;
    let mut found: HashMap<OperationId, v1::Operation> =
        of_one.iter().map(|record| (record.id(), record.to_proto())).collect();
    if *scope == Scope::Region {
        let mut bulk = bulk::open(tx).await?;
        bulk.retain(|record| ids.contains(&record.id));
        let open: Vec<OperationId> = bulk.iter().map(|record| record.id).collect();
        let shown = bulk.iter().zip(bulk::counts(tx, &open).await?);
        found.extend(shown.map(|(record, counts)| (record.id, record.to_proto(counts))));
    }
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}
