//! Against a real PostgreSQL.

mod attacks;
mod backfill;
mod catalogue;
mod changes;
mod isolation;
mod lease;
mod migrate;
mod partitions;
mod pools;
mod replicas;
mod requests;

use std::future::Future;
use std::time::Duration;

use crate::db::{ChangeKind, ChangeType, NewChange};
use streamspace_core::ids::TenantUid;

/// Waits for a condition; a minute is for a machine that does much else.
async fn eventually<F, T>(what: &str, mut condition: F)
where
    F: FnMut() -> T,
    T: Future<Output = bool>,
{
    tokio::time::timeout(Duration::from_mins(1), async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap_or_else(|_elapsed| panic!("never: {what}"));
}

fn change(tenant_uid: TenantUid, resource: &[u8]) -> NewChange {
    NewChange {
        kind: ChangeKind::Tenant,
        change: ChangeType::Updated,
        tenant_uid,
        name: "tenants/some".to_owned(),
        actor: "someone".to_owned(),
        resource: resource.to_owned(),
    }
}
