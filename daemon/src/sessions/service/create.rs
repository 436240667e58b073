//! The creation of a session: checked and given a place at once, made by the leader.

use prost::Message as _;
use streamspace_core::session::SessionState;
use streamspace_proto::v1;

use super::{Sessions, tenant};
use crate::{
    db::DbError,
    operations::{
        bulk::{self, Item, ItemKey, NewBulk},
        change::SESSION_CREATE,
        requester,
    },
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        once::Once,
    },
    sessions::{change, input, store},
    tenants::being_deleted,
};
use streamspace_core::tenant::TenantState;

impl Sessions {
    pub(super) async fn create(
        &self,
        caller: &Caller,
        request: &v1::CreateSessionRequest,
    ) -> RpcResult<v1::Operation> {
        let creation = input::creation(request)?;
        let reason = input::reason(&request.reason)?;
        let name = creation.path.to_name();
        let wish = &creation.wish;
        let once = Once::of(caller, "CreateSession", &request.request_id, request)?;

        let mut tx = self.db.begin(&caller.scope).await?;
        if !request.validate_only
            && let Some(first) = once.reply(&mut tx).await?
        {
            return Ok(first);
        }
        let tenant = tenant(&mut tx, &creation.path.tenant).await?;
        if tenant.state == TenantState::Purging {
            return Err(being_deleted(&tenant));
        }
        if store::by_name(&mut tx, tenant.uid, wish.name.as_str()).await?.is_some() {
            return Err(RpcError::AlreadyExists(name));
        }
        super::templates::resolved(&mut tx, tenant.uid, &wish.template).await?;
        drop(tx);

        // In a transaction of its own, which reserves the place whatever becomes of this one:
        // it ends by itself.
        if wish.state == SessionState::Running {
            let dry_run = request.validate_only;
            let admitted = self.admission.admit_session(tenant.uid, wish, None, 1, dry_run).await?;
            admitted.map_err(|refusals| change::refused(&refusals))?;
        }
        if request.validate_only {
            return Ok(v1::Operation {
                kind: SESSION_CREATE.into(),
                target: name,
                actor: caller.operator.clone(),
                reason: reason.to_owned(),
                counts: Some(v1::OperationCounts { total: 1, changed: 1, ..Default::default() }),
                ..v1::Operation::default()
            });
        }
        let kept = v1::CreateSessionRequest { request_id: String::new(), ..request.clone() };
        let new = NewBulk {
            kind: SESSION_CREATE,
            target: name.clone(),
            request: kept.encode_to_vec(),
            reason: reason.to_owned(),
            incident: caller.notes.incident().to_owned(),
            requester: requester(caller)?,
        };
        let key = ItemKey { tenant: tenant.uid, session: wish.name.as_str().to_owned() };
        let item = Item { key, session_uid: None, target: name };
        let mut tx = self.db.begin(&caller.scope).await?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let begun = bulk::begin(&mut tx, &new, &[item]).await?;
        once.remember(&mut tx, &begun).await?;
        tx.commit().await.map_err(DbError::from)?;
        caller.notes.changes(format!("{SESSION_CREATE} of {}", new.target));
        Ok(begun)
    }
}
