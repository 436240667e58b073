//! `NotifyService`: what was told, what waits, and whether a channel works.

use std::collections::BTreeMap;

use streamspace_core::{
    ids::RegionId,
    notify::{Action, NoticeState},
    page::{PageToken, Query},
};
use streamspace_proto::v1::{self, notify_service_server::NotifyService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    Channels, Message, Notice, convert, enqueue,
    store::{self, Standing},
};
use crate::{
    db::{Database, DbError},
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        listing,
        once::Once,
        summary::NO_CHANGE,
    },
};

/// The notices of one region.
#[derive(Clone)]
pub struct Notices {
    db: Database,
    region: RegionId,
    channels: Channels,
}

impl Notices {
    /// Reads notices from `db`, and tries these channels.
    pub fn new(db: Database, region: RegionId, channels: Channels) -> Self {
        Self { db, region, channels }
    }

    pub(super) async fn list(
        &self,
        caller: &Caller,
        request: &v1::ListNoticesRequest,
    ) -> RpcResult<v1::ListNoticesResponse> {
        let state =
            convert::wanted(request.state).map_err(|fault| RpcError::field("state", fault))?;
        let filter = state.map(NoticeState::as_str).unwrap_or_default();
        let query = Query { method: "ListNotices", filter, order_by: "", show_deleted: false };
        let wrong = |fault: String| RpcError::field("page_token", fault);
        let token = PageToken::decode(&request.page_token, &query)
            .map_err(|error| wrong(error.to_string()))?;
        let before = match token {
            None => i64::MAX,
            Some(token) => token
                .offset_key()
                .parse()
                .map_err(|_| wrong("is damaged: list again from the start".into()))?,
        };
        let size = listing::page_size(request.page_size)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let mut records = store::list(&mut tx, state, before, size.saturating_add(1)).await?;
        let more = records.len() > size;
        records.truncate(size);
        let next_page_token = records
            .last()
            .filter(|_| more)
            .map(|last| PageToken::new(&query, last.position.to_string()).encode())
            .unwrap_or_default();
        let notices = records.iter().map(convert::notice).collect();
        Ok(v1::ListNoticesResponse { notices, next_page_token })
    }

    pub(super) async fn list_channels(
        &self,
        caller: &Caller,
        _request: &v1::ListChannelsRequest,
    ) -> RpcResult<v1::ListChannelsResponse> {
        let mut tx = self.db.begin(&caller.scope).await?;
        let standings = store::standings(&mut tx).await?;
        let names = self.channels.names().into_iter();
        let mut all: BTreeMap<String, Standing> =
            names.map(|name| (name, Standing::default())).collect();
        for standing in standings {
            let is_configured = self.channels.get(&standing.channel).is_some();
            if is_configured || standing.waiting > 0 || standing.refused > 0 {
                all.insert(standing.channel.clone(), standing);
            }
        }
        let show = |(name, standing): (&String, &Standing)| {
            convert::channel(name, self.channels.get(name), standing)
        };
        Ok(v1::ListChannelsResponse { channels: all.iter().map(show).collect() })
    }

    pub(super) async fn test(
        &self,
        caller: &Caller,
        request: &v1::TestChannelRequest,
    ) -> RpcResult<v1::Notice> {
        let name = request.name.strip_prefix("channels/").ok_or_else(|| {
            RpcError::field(
                "name",
                "must be channels/ and a name, as `ssctl notify channels` shows",
            )
        })?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "TestChannel", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        if self.channels.get(name).is_none() {
            // What a caller typed is told to that caller alone.
            return Err(RpcError::NotFound(request.name.clone()));
        }
        let notice = Notice {
            dedup_key: format!("streamspace/{}/notify/test/{name}", self.region.as_str()),
            action: Action::Test,
            channels: vec![name.to_owned()],
            message: Message {
                summary: format!(
                    "{} tries the channel {name}; there is nothing to do",
                    caller.operator
                ),
                source: self.region.to_name(),
                ..Message::default()
            },
        };
        let step = Uuid::now_v7().to_string();
        enqueue(&mut tx, &step, &notice).await?;
        let kept = store::kept(&mut tx, name, &notice.dedup_key, Action::Test, &step).await?;
        let reply = convert::notice(&kept);
        if request.validate_only {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!("tries the channel {name}"));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    pub(super) async fn retry(
        &self,
        caller: &Caller,
        request: &v1::RetryNoticeRequest,
    ) -> RpcResult<v1::Notice> {
        let uid = request.name.strip_prefix("notices/");
        let uid = uid.and_then(|uid| Uuid::try_parse(uid).ok()).ok_or_else(|| {
            RpcError::field("name", "must be notices/ and a UUID, as `ssctl notify list` shows")
        })?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "RetryNotice", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let found = store::lock(&mut tx, uid).await?;
        let current = found.ok_or_else(|| RpcError::NotFound(format!("notices/{uid}")))?;
        match current.state {
            NoticeState::Refused => {}
            NoticeState::Waiting => {
                caller.notes.changes(NO_CHANGE);
                return Ok(convert::notice(&current));
            }
            NoticeState::Sent | NoticeState::Expired => {
                return Err(RpcError::Refused {
                    reason: "NOTICE_NOT_REFUSED",
                    message: format!(
                        "it is {}: only what was refused is sent once more",
                        current.state
                    ),
                });
            }
        }
        if store::is_over(&mut tx, &current).await? {
            return Err(RpcError::Refused {
                reason: "NOTICE_OVER",
                message: "the receiver was told since that it is over: sent now it would begin \
                          anew, and nobody would end it"
                    .into(),
            });
        }
        let reply = convert::notice(&store::retry(&mut tx, uid).await?);
        if request.validate_only {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!(
            "sends {} of {} to {} once more",
            reply.action, reply.dedup_key, reply.channel
        ));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }
}

#[tonic::async_trait]
impl NotifyService for Notices {
    async fn list_notices(
        &self,
        request: Request<v1::ListNoticesRequest>,
    ) -> Result<Response<v1::ListNoticesResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.list(&caller, request.get_ref()).await?))
    }

    async fn list_channels(
        &self,
        request: Request<v1::ListChannelsRequest>,
    ) -> Result<Response<v1::ListChannelsResponse>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.list_channels(&caller, request.get_ref()).await?))
    }

    async fn test_channel(
        &self,
        request: Request<v1::TestChannelRequest>,
    ) -> Result<Response<v1::Notice>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.test(&caller, request.get_ref()).await?))
    }

    async fn retry_notice(
        &self,
        request: Request<v1::RetryNoticeRequest>,
    ) -> Result<Response<v1::Notice>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.retry(&caller, request.get_ref()).await?))
    }
}
