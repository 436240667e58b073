//! One item: how it is held and settled in the transaction of its change.

use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use futures::{FutureExt as _, future::BoxFuture};
use sqlx::PgConnection;
use streamspace_core::ids::OperationId;
use uuid::{Builder, Uuid};

use crate::{
    operations::bulk::{self, Held, Settled},
    rpc::{
        caller::ItemOfMany,
        errors::{RpcError, RpcResult},
    },
};

/// An item in the hands of the runner.
#[derive(Debug)]
pub(super) struct Working {
    pub(super) operation: OperationId,
    pub(super) item: bulk::Item,
    found: Mutex<Found>,
}

/// What the transaction of the change found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing yet, or an item that waits and needs no change.
    #[default]
    Waits,
    /// The item is not to be worked on any more.
    Over,
    /// The item was settled as changed, if the transaction was committed.
    Changed,
}

impl Working {
    pub(super) fn new(operation: OperationId, item: bulk::Item) -> Self {
        Self { operation, item, found: Mutex::default() }
    }

    pub(super) fn found(&self) -> Found {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, found: Found) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }
}

impl ItemOfMany for Working {
    fn hold<'a>(&'a self, tx: &'a mut PgConnection) -> BoxFuture<'a, RpcResult<()>> {
        async move {
            match bulk::hold(tx, self.operation, &self.item.key).await? {
                Held::Pending => Ok(()),
                Held::TenantGone => Err(RpcError::NotFound(self.item.target.clone())),
                Held::Over => {
                    self.note(Found::Over);
                    Err(RpcError::Internal("the item was settled meanwhile".into()))
                }
            }
        }
        .boxed()
    }

    fn changed<'a>(&'a self, tx: &'a mut PgConnection) -> BoxFuture<'a, RpcResult<()>> {
        async move {
            if !bulk::settle(tx, self.operation, &self.item.key, &Settled::Changed).await? {
                return Err(RpcError::Internal("an item that was held was settled".into()));
            }
            self.note(Found::Changed);
            Ok(())
        }
        .boxed()
    }
}

/// An item of a rehearsal: nothing is held, and nothing is ever changed.
#[derive(Debug)]
pub(super) struct Rehearsed;

impl ItemOfMany for Rehearsed {
    fn hold<'a>(&'a self, _: &'a mut PgConnection) -> BoxFuture<'a, RpcResult<()>> {
        std::future::ready(Ok(())).boxed()
    }

    fn changed<'a>(&'a self, _: &'a mut PgConnection) -> BoxFuture<'a, RpcResult<()>> {
        // Whatever changed something here is undone by this.
        let refused = RpcError::Internal("a rehearsal would have changed something".into());
        std::future::ready(Err(refused)).boxed()
    }
}

/// The id of the request, and of the entry in the audit log, of one item in one run: the
/// same whenever it is tried again, so that the log finds out how it ended. Of SHA-256, as
/// RFC 9562 lets a version 8 be.
pub(super) fn request_id(operation: OperationId, run: i32, item: &bulk::Item) -> Uuid {
    let mut name = format!("{}/{run}/{}", operation.0, item.key.tenant.0);
    if !item.key.session.is_empty() {
        name = format!("{name}/{}", item.key.session);
    }
    let digest = digest(&SHA256, name.as_bytes());
    let mut bytes = [0; 16];
    for (byte, of) in bytes.iter_mut().zip(digest.as_ref()) {
        *byte = *of;
    }
    Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use streamspace_core::ids::TenantUid;

    use super::*;

    #[test]
    fn the_id_of_an_item_is_the_same_in_a_run_and_no_other() {
        let item = |tenant: u128| {
            bulk::Item::of_tenant(TenantUid(Uuid::from_u128(tenant)), "tenants/a".into())
        };
        let id = |operation: u128, run, tenant| {
            request_id(OperationId(Uuid::from_u128(operation)), run, &item(tenant))
        };
        let of_session = |session: &str| {
            let mut item = item(1);
            item.key.session = session.into();
            request_id(OperationId(Uuid::from_u128(1)), 1, &item)
        };
        assert_eq!(id(1, 1, 1), id(1, 1, 1));
        let ids = [id(1, 1, 1), id(2, 1, 1), id(1, 2, 1), id(1, 1, 2)];
        let sessions = [of_session("a"), of_session("b")];
        let different: std::collections::HashSet<_> = ids.into_iter().chain(sessions).collect();
        assert_eq!(different.len(), 6);
        assert_eq!(id(1, 1, 1).get_version_num(), 8);
    }
}
