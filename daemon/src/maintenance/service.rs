//! `MaintenanceService`: maintenances and silences.

use jiff::{SignedDuration, Timestamp};
use streamspace_core::notify::Action;
use streamspace_proto::v1::{self, maintenance_service_server::MaintenanceService};
use tonic::{Request, Response, Status};

use super::{
    convert::{self, number, rules, silence_to_proto, to_proto},
    store::{self, MaintenanceRecord, SilenceRecord},
    tell::{Stage, Teller},
};
use crate::{
    db::{Database, DbError},
    notify::Channels,
    rpc::{
        Caller, Clock, answer,
        errors::{RpcError, RpcResult},
        input::line,
        once::Once,
        summary::NO_CHANGE,
        time::{Bounds, instant, second, ttl},
    },
};

/// How long a maintenance goes on.
const MAINTENANCE: Bounds =
    Bounds { shortest: 60, longest: 7 * 86_400, words: "one minute to seven days" };
/// How long a silence goes on.
const SILENCE: Bounds =
    Bounds { shortest: 60, longest: 30 * 86_400, words: "one minute to 30 days" };
/// How far ahead a maintenance is planned.
const AHEAD: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The longest title.
const TITLE_MAXIMUM: usize = 200;
/// The longest comment of a silence.
const REASON_MAXIMUM: usize = 500;

/// The maintenances and silences of one region.
#[derive(Clone)]
pub struct Maintenances {
    db: Database,
    clock: Clock,
    tell: Teller,
}

impl Maintenances {
    /// Keeps them in `db`, and tells people by `channels`.
    pub fn new(db: Database, clock: Clock, region: &str, channels: Channels) -> Self {
        Self { db, clock, tell: Teller { region: region.to_owned(), channels } }
    }

    pub(crate) async fn start(
        &self,
        caller: &Caller,
        request: &v1::StartMaintenanceRequest,
    ) -> RpcResult<v1::Maintenance> {
        let given = if request.title.is_empty() {
            ("reason", &request.reason)
        } else {
            ("title", &request.title)
        };
        line(given.0, given.1, TITLE_MAXIMUM)?;
        let length = ttl("duration", request.duration.as_ref(), MAINTENANCE)?
            .ok_or_else(|| RpcError::field("duration", "is required: how long it goes on"))?;
        let now = (self.clock)();
        let start = begin(request.start_time.as_ref(), now)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "StartMaintenance", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let record = MaintenanceRecord {
            number: store::next_number(&mut tx, store::NEXT_MAINTENANCE).await?,
            title: given.1.clone(),
            slos: convert::slos(&request.slos)?,
            tenants: convert::tenants(&request.tenants)?,
            start,
            end: start.saturating_add(length).unwrap_or(Timestamp::MAX),
            actor: caller.operator.clone(),
            reason: request.reason.clone(),
            begun: start <= now,
            ended: false,
            ended_by: String::new(),
        };
        let reply = to_proto(&record);
        if request.validate_only {
            return Ok(reply);
        }
        store::insert(&mut tx, &record).await?;
        let stage = if record.begun { Stage::Begun } else { Stage::Planned };
        self.tell.maintenance(&mut tx, &record, stage).await?;
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!(
            "{}: {} to {}",
            record.title,
            second(record.start),
            second(record.end)
        ));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    pub(super) async fn end(
        &self,
        caller: &Caller,
        request: &v1::EndMaintenanceRequest,
    ) -> RpcResult<v1::Maintenance> {
        let number = number("maintenances/", &request.name)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "EndMaintenance", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let found = store::lock(&mut tx, number).await?;
        let mut record = found.ok_or_else(|| RpcError::NotFound(request.name.clone()))?;
        if record.ended {
            caller.notes.changes(NO_CHANGE);
            return Ok(to_proto(&record));
        }
        let now = (self.clock)();
        record.ended = true;
        record.ended_by.clone_from(&caller.operator);
        // One that never began has touched no minute.
        record.end = record.end.min(now.max(record.start));
        let reply = to_proto(&record);
        if request.validate_only {
            return Ok(reply);
        }
        store::update(&mut tx, &record).await?;
        self.tell.maintenance(&mut tx, &record, Stage::Over).await?;
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!("ended at {}", second(record.end)));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    pub(super) async fn list(
        &self,
        caller: &Caller,
        request: &v1::ListMaintenancesRequest,
    ) -> RpcResult<v1::ListMaintenancesResponse> {
        let mut tx = self.db.begin(&caller.scope).await?;
        let records = store::list(&mut tx, request.show_ended, (self.clock)()).await?;
        Ok(v1::ListMaintenancesResponse { maintenances: records.iter().map(to_proto).collect() })
    }

    pub(crate) async fn create_silence(
        &self,
        caller: &Caller,
        request: &v1::CreateSilenceRequest,
    ) -> RpcResult<v1::Silence> {
        let matchers = convert::matchers(&request.matchers)?;
        line("reason", &request.reason, REASON_MAXIMUM)?;
        let length = ttl("duration", request.duration.as_ref(), SILENCE)?
            .ok_or_else(|| RpcError::field("duration", "is required: how long it holds"))?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "CreateSilence", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let start = (self.clock)();
        let record = SilenceRecord {
            number: store::next_number(&mut tx, store::NEXT_SILENCE).await?,
            matchers,
            comment: request.reason.clone(),
            start,
            end: start.saturating_add(length).unwrap_or(Timestamp::MAX),
            actor: caller.operator.clone(),
            ended: false,
        };
        let reply = silence_to_proto(&record);
        if request.validate_only {
            return Ok(reply);
        }
        store::insert_silence(&mut tx, &record).await?;
        self.tell.silence(&mut tx, &record, Action::Silence).await?;
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!("{} until {}", rules(&record.matchers), second(record.end)));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    pub(super) async fn end_silence(
        &self,
        caller: &Caller,
        request: &v1::EndSilenceRequest,
    ) -> RpcResult<v1::Silence> {
        let number = number("silences/", &request.name)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "EndSilence", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        let found = store::lock_silence(&mut tx, number).await?;
        let mut record = found.ok_or_else(|| RpcError::NotFound(request.name.clone()))?;
        if record.ended {
            caller.notes.changes(NO_CHANGE);
            return Ok(silence_to_proto(&record));
        }
        record.ended = true;
        record.end = record.end.min((self.clock)()).max(record.start);
        let reply = silence_to_proto(&record);
        if request.validate_only {
            return Ok(reply);
        }
        store::end_silence(&mut tx, number, record.end).await?;
        self.tell.silence(&mut tx, &record, Action::Unsilence).await?;
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!("ended: {}", rules(&record.matchers)));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    async fn silences(
        &self,
        caller: &Caller,
        request: &v1::ListSilencesRequest,
    ) -> RpcResult<v1::ListSilencesResponse> {
        let mut tx = self.db.begin(&caller.scope).await?;
        let records = store::silences(&mut tx, request.show_ended, (self.clock)()).await?;
        Ok(v1::ListSilencesResponse { silences: records.iter().map(silence_to_proto).collect() })
    }
}

/// When it begins.
fn begin(given: Option<&prost_types::Timestamp>, now: Timestamp) -> RpcResult<Timestamp> {
    let Some(given) = given else { return Ok(now) };
    let start = instant(given).ok_or_else(|| RpcError::field("start_time", "is no instant"))?;
    if start < now || start.duration_since(now) > AHEAD {
        return Err(RpcError::field(
            "start_time",
            "must be from now to 30 days from now; a time that is over is taken out of budgets \
             by `ssctl slo exclude`",
        ));
    }
    Ok(start)
}

#[tonic::async_trait]
impl MaintenanceService for Maintenances {
    async fn start_maintenance(
        &self,
        request: Request<v1::StartMaintenanceRequest>,
    ) -> Result<Response<v1::Maintenance>, Status> {
        answer!(self, request, start)
    }

    async fn end_maintenance(
        &self,
        request: Request<v1::EndMaintenanceRequest>,
    ) -> Result<Response<v1::Maintenance>, Status> {
        answer!(self, request, end)
    }

    async fn list_maintenances(
        &self,
        request: Request<v1::ListMaintenancesRequest>,
    ) -> Result<Response<v1::ListMaintenancesResponse>, Status> {
        answer!(self, request, list)
    }

    async fn create_silence(
        &self,
        request: Request<v1::CreateSilenceRequest>,
    ) -> Result<Response<v1::Silence>, Status> {
        answer!(self, request, create_silence)
    }

    async fn end_silence(
        &self,
        request: Request<v1::EndSilenceRequest>,
    ) -> Result<Response<v1::Silence>, Status> {
        answer!(self, request, end_silence)
    }

    async fn list_silences(
        &self,
        request: Request<v1::ListSilencesRequest>,
    ) -> Result<Response<v1::ListSilencesResponse>, Status> {
        answer!(self, request, silences)
    }
}
