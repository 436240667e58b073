//! `AlertService`: shows alerts, and takes who has one in hand.

use streamspace_core::page::Query;
use streamspace_proto::v1::{self, alert_service_server::AlertService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    convert::to_proto,
    store::{self, Record},
};
use crate::{
    db::{Database, DbError},
    notify::Channels,
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        listing::Paging,
        once::Once,
        summary::NO_CHANGE,
    },
};

/// The alerts of one region.
#[derive(Clone)]
pub struct Alerts {
    db: Database,
    channels: Channels,
}

impl Alerts {
    /// Reads alerts from `db`; `channels` know where their pages are.
    pub fn new(db: Database, channels: Channels) -> Self {
        Self { db, channels }
    }

    fn shown(&self, record: &Record) -> v1::Alert {
        let mut alert = to_proto(record);
        alert.runbook_url = self.channels.runbook(&alert.kind, &alert.runbook_url);
        alert
    }

    pub(super) async fn list(
        &self,
        caller: &Caller,
        request: &v1::ListAlertsRequest,
    ) -> RpcResult<v1::ListAlertsResponse> {
        let ended = request.show_ended;
        let query = Query { method: "ListAlerts", filter: "", order_by: "", show_deleted: ended };
        let paging = Paging { size: request.page_size, token: &request.page_token, query };
        let mut tx = self.db.begin(&caller.scope).await?;
        let records = store::list(&mut tx, ended).await?;
        let (page, next_page_token) =
            paging.cut(records, |record: &Record| record.alert_uid.to_string())?;
        Ok(v1::ListAlertsResponse {
            alerts: page.iter().map(|record| self.shown(record)).collect(),
            next_page_token,
        })
    }

    pub(super) async fn acknowledge(
        &self,
        caller: &Caller,
        request: &v1::AcknowledgeAlertRequest,
    ) -> RpcResult<v1::Alert> {
        let uid = request
            .name
            .strip_prefix("alerts/")
            .and_then(|uid| Uuid::try_parse(uid).ok())
            .ok_or_else(|| {
                RpcError::field("name", "must be alerts/ and a UUID, as `ssctl alert list` shows")
            })?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "AcknowledgeAlert", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        // Of two at once the second waits here, and then sees who was first.
        let missing = || RpcError::NotFound(format!("alerts/{uid}"));
        let current = store::lock(&mut tx, uid).await?.ok_or_else(missing)?;
        if current.acknowledged_by == caller.operator {
            caller.notes.changes(NO_CHANGE);
            return Ok(self.shown(&current));
        }
        if !current.acknowledged_by.is_empty() {
            return Err(RpcError::Refused {
                reason: "ALERT_ACKNOWLEDGED",
                message: format!(
                    "{} has it in hand already: speak to them, `ssctl alert list` shows since when",
                    current.acknowledged_by
                ),
            });
        }
        store::acknowledge(&mut tx, uid, &caller.operator).await?;
        let reply = self.shown(&store::lock(&mut tx, uid).await?.ok_or_else(missing)?);
        if request.validate_only {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!("took {} {} of {}", reply.kind, reply.rule, reply.subject));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }
}

#[tonic::async_trait]
impl AlertService for Alerts {
    async fn list_alerts(
        &self,
        request: Request<v1::ListAlertsRequest>,
    ) -> Result<Response<v1::ListAlertsResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.list(&caller, request.get_ref()).await?))
    }

    async fn acknowledge_alert(
        &self,
        request: Request<v1::AcknowledgeAlertRequest>,
    ) -> Result<Response<v1::Alert>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.acknowledge(&caller, request.get_ref()).await?))
    }
}
