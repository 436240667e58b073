//! A session as an item: its object in the cluster is written while the item's row is held.
//!
//! The write cannot be in the item's transaction. So it is one that can be repeated: a crash
//! between it and the commit leaves the item waiting, and whoever leads next finds at the
//! object that this very operation did it.

use std::sync::Arc;

use streamspace_core::{
    admission::Reason,
    ids::{OperationId, SessionPath},
    session::{SessionUid, Wish},
};
use streamspace_proto::v1;
use tokio::sync::{Semaphore, watch};
use tonic::Status;

use crate::{
    db::{Database, DbError, Leadership, Scope},
    operations::{bulk, change::Deed},
    platform::Standing,
    rpc::{Caller, errors::RpcError, once::Once},
    sessions::{
        change::{self, Look, Target, Wished},
        input,
        reservations::Admission,
    },
    tenants::{self, TenantRecord},
};

/// So many items hold their rows at once while the cluster is written to: a cluster that
/// hangs must leave connections to the database for all else.
const AT_ONCE: usize = 4;

/// What sessions are changed with.
#[derive(Clone)]
pub struct SessionWork {
    admission: Admission,
    standing: watch::Receiver<Standing>,
    writing: Arc<Semaphore>,
}

/// An item and its operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    pub(super) operation: OperationId,
    pub(super) item: &'a bulk::Item,
}

impl SessionWork {
    /// Writes with what the platform lets the leader write with, once `admission` gave a
    /// place to what is to run.
    pub fn new(admission: Admission, standing: watch::Receiver<Standing>) -> Self {
        Self { admission, standing, writing: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Makes the change of one session. It returns without settling the item where the
    /// session is as wished already.
    pub(super) async fn apply(
        &self,
        db: &Database,
        leadership: &Leadership,
        deed: &Deed,
        item: &Item<'_>,
        caller: &Caller,
    ) -> Result<(), Status> {
        let name = &item.item.target;
        let ready = self.standing.borrow().ready().cloned();
        let ready = ready.filter(|ready| ready.leader_term == leadership.leader_term);
        let Some(ready) = ready else {
            return Err(Status::unavailable("the platform lets nothing be written yet"));
        };
        let tenant = tenant(db, item.item).await?;
        let target = Target {
            name,
            namespace: &tenant.namespace,
            session: &item.item.key.session,
            uid: item.item.session_uid,
            operation: item.operation,
        };
        let wished = wished(deed)?;
        let look = change::look(&ready.acting, &target, &wished).await?;
        let before = match look {
            Look::AsWished { by_this_operation: false } => return Ok(()),
            Look::AsWished { by_this_operation: true } => None,
            Look::Differs(before) => {
                if let Some(starting) = before.starts(&wished) {
                    self.admit(&tenant, starting, before.uid(), before.next_generation()).await?;
                }
                Some(before)
            }
        };
        let _writing = self.writing.acquire().await.map_err(|_| Status::unavailable("stopping"))?;
        let mut tx = db.begin(&Scope::Region).await.map_err(RpcError::from)?;
        let once = once(caller, deed, item.item)?;
        // Holds the row.
        if once.reply::<v1::OperationItem>(&mut tx).await?.is_some() {
            return Ok(());
        }
        if let Some(before) = before {
            before.write(&ready.acting, &target, &wished).await?;
        }
        caller.notes.changes(wished.summary());
        let reply = v1::OperationItem {
            target: name.clone(),
            state: v1::OperationItemState::Changed.into(),
            ..v1::OperationItem::default()
        };
        once.remember(&mut tx, &reply).await?;
        tx.commit().await.map_err(|error| RpcError::from(DbError::from(error)))?;
        Ok(())
    }

    /// Reserves the place of a session that is to run. The cluster's own question finds it
    /// there; where the cluster does not ask, this is what keeps the limits.
    async fn admit(
        &self,
        tenant: &TenantRecord,
        wish: &Wish,
        uid: Option<SessionUid>,
        generation: i64,
    ) -> Result<(), Status> {
        let admitted = self.admission.admit_session(tenant.uid, wish, uid, generation, false).await;
        match admitted.map_err(RpcError::from)? {
            Ok(_) => Ok(()),
            // Those that start now are seen soon, and make room.
            Err(refusals) if refusals.iter().all(|one| one.reason == Reason::Reservations) => {
                Err(Status::unavailable(change::refused(&refusals).to_string()))
            }
            Err(refusals) => Err(change::refused(&refusals).into()),
        }
    }
}

/// The tenant that was meant. Another one may have the name.
async fn tenant(db: &Database, item: &bulk::Item) -> Result<TenantRecord, RpcError> {
    let path = SessionPath::from_name(&item.target)
        .map_err(|error| RpcError::Internal(error.to_string()))?;
    let mut tx = db.begin(&Scope::Region).await?;
    let tenant = tenants::by_id(&mut tx, &path.tenant).await?;
    tenant
        .filter(|tenant| tenant.uid == item.key.tenant)
        .ok_or_else(|| RpcError::NotFound(path.tenant.to_name()))
}

fn wished(deed: &Deed) -> Result<Wished, RpcError> {
    match deed {
        Deed::CreateSession(request) => Ok(Wished::Made(Box::new(input::creation(request)?.wish))),
        Deed::ChangeSessions(state) => input::state("state", *state).map(Wished::State),
        Deed::Tenants(_) => Err(RpcError::Internal("a session is no tenant".into())),
    }
}

/// What keeps the change from being done twice, and tells the audit log that it was done.
fn once(caller: &Caller, deed: &Deed, item: &bulk::Item) -> Result<Once, RpcError> {
    let id = caller.call_id.to_string();
    match deed {
        Deed::CreateSession(request) => Once::of(caller, "CreateSessionItem", &id, &**request),
        Deed::ChangeSessions(state) => {
            let request = v1::ChangeSessionsRequest {
                names: vec![item.target.clone()],
                state: (*state).into(),
                ..v1::ChangeSessionsRequest::default()
            };
            Once::of(caller, "ChangeSessionsItem", &id, &request)
        }
        Deed::Tenants(_) => Err(RpcError::Internal("a session is no tenant".into())),
    }
}
