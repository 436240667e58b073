//! Names of tenants and the identities behind them, for certificates.

use futures::{FutureExt as _, future::BoxFuture};
use streamspace_core::ids::{TenantId, TenantUid};

use super::store;
use crate::{
    access::TenantNames,
    db::{Database, Scope},
    rpc::errors::{RpcError, RpcResult},
};

/// Looks names up in the database.
#[derive(Clone)]
pub struct Directory {
    db: Database,
}

impl Directory {
    /// Reads from `db`.
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

impl TenantNames for Directory {
    fn uids<'a>(&'a self, tenants: &'a [TenantId]) -> BoxFuture<'a, RpcResult<Vec<TenantUid>>> {
        async move {
            let mut tx = self.db.begin(&Scope::Region).await?;
            let mut uids = Vec::with_capacity(tenants.len());
            for id in tenants {
                let tenant = store::by_id(&mut tx, id).await?;
                uids.push(tenant.ok_or_else(|| RpcError::NotFound(id.to_name()))?.uid);
            }
            Ok(uids)
        }
        .boxed()
    }

    fn names<'a>(&'a self, tenants: &'a [TenantUid]) -> BoxFuture<'a, RpcResult<Vec<String>>> {
        async move {
            // The caller's own tenants and nobody else's.
            let mut tx = self.db.begin(&Scope::Tenants(tenants.to_vec())).await?;
            let mut names = Vec::with_capacity(tenants.len());
            for uid in tenants {
                let tenant = store::by_uid(&mut tx, *uid).await?;
                names.push(tenant.map_or_else(|| uid.0.to_string(), |it| it.spec.id.to_name()));
            }
            Ok(names)
        }
        .boxed()
    }
}
