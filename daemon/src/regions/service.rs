//! `RegionService`: tells how the region is, from memory, and sets what holds for the
//! region as a whole.

use jiff::{SignedDuration, Timestamp};
use prost::Name;
use sqlx::{Postgres, Transaction};
use streamspace_core::{ids::RegionId, text};
use streamspace_proto::v1::{self, region_service_server::RegionService};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::{
    controls::{self, Controls, ControlsFollower, Cordon, Pause},
    health::{Health, HealthBoard, Part, Report},
};
use crate::{
    db::{DbError, LeaderLease, Leadership, Scope},
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        once::Once,
        summary,
        time::{Bounds, timestamp, ttl},
    },
};

const CORDON: Bounds = Bounds { shortest: 1, longest: 90 * 86_400, words: "one second to 90 days" };
const PAUSE: Bounds = Bounds { shortest: 1, longest: 86_400, words: "one second to 24 hours" };
const PAUSE_UNLESS_SAID: SignedDuration = SignedDuration::from_hours(1);
/// The longest reason that is kept, in characters.
const REASON_MAXIMUM: usize = 1000;

/// What a replica knows of itself and of its region.
#[derive(Clone)]
pub struct Regions {
    /// The region.
    pub region: RegionId,
    /// The replica's name.
    pub replica: String,
    /// Since when the replica runs.
    pub start_time: Timestamp,
    /// Where the cluster's API server is.
    pub cluster_endpoint: String,
    /// How the parts are.
    pub board: HealthBoard,
    /// Who leads.
    pub leadership: watch::Receiver<Leadership>,
    /// The latest revision of the change log.
    pub revision: watch::Receiver<i64>,
    /// Where the controls are kept.
    pub db: crate::db::Database,
    /// What operators set for the region.
    pub controls: ControlsFollower,
}

/// A request to set something for the region.
trait ControlRequest: Name {
    fn region(&self) -> &str;
    fn request_id(&self) -> &str;
    fn reason(&self) -> &str;
}

macro_rules! control_requests {
    ($($request:ident),*) => {$(
        impl ControlRequest for v1::$request {
            fn region(&self) -> &str {
                &self.name
            }

            fn request_id(&self) -> &str {
                &self.request_id
            }

            fn reason(&self) -> &str {
                &self.reason
            }
        }
    )*};
}

control_requests!(
    CordonRegionRequest,
    UncordonRegionRequest,
    PauseRegionRequest,
    UnpauseRegionRequest,
    StepDownRequest,
    ReleaseBreakerRequest
);

/// A control that is about to be set: its transaction, and what was read in it.
struct Setting {
    tx: Transaction<'static, Postgres>,
    once: Once,
    now: Timestamp,
    reason: String,
    controls: Controls,
}

/// A control to set, or the answer that the same request got before.
enum Begun {
    Setting(Box<Setting>),
    Before(Box<v1::Region>),
}

impl Regions {
    fn show(&self, controls: &Controls) -> v1::Region {
        let leadership = self.leadership.borrow().clone();
        let leader = (!leadership.replica.is_empty()).then_some(v1::Leader {
            replica: leadership.replica,
            leader_term: leadership.leader_term,
        });
        let now = Timestamp::now();
        let breaker = &controls.breaker;
        v1::Region {
            name: self.region.to_name(),
            health: health(self.board.worst()).into(),
            components: self.board.read().into_iter().map(component).collect(),
            daemon_version: env!("CARGO_PKG_VERSION").into(),
            replica: self.replica.clone(),
            leader,
            revision: *self.revision.borrow(),
            start_time: timestamp(self.start_time),
            cluster_endpoint: self.cluster_endpoint.clone(),
            cordon: controls.cordon_at(now).map(|cordon| v1::Cordon {
                expire_time: cordon.until.and_then(timestamp),
                reason: cordon.reason.clone(),
                actor: cordon.actor.clone(),
            }),
            pause: controls.pause_at(now).map(|pause| v1::Pause {
                expire_time: timestamp(pause.until),
                reason: pause.reason.clone(),
                actor: pause.actor.clone(),
            }),
            breaker: Some(v1::Breaker {
                tripped: breaker.tripped.is_some(),
                message: breaker.message.clone(),
                trip_time: breaker.tripped.and_then(timestamp),
                deletions: i32::try_from(breaker.deletions).unwrap_or(i32::MAX),
                limit: i32::try_from(self.controls.breaker.limit).unwrap_or(i32::MAX),
            }),
            orphans: controls
                .orphans
                .iter()
                .map(|orphan| v1::Orphan {
                    namespace: orphan.namespace.clone(),
                    tenant_id: orphan.tenant_id.clone(),
                    first_seen_time: timestamp(orphan.first_seen),
                })
                .collect(),
            paused_tenants: i32::try_from(controls.paused_tenants).unwrap_or(i32::MAX),
        }
    }

    /// The region as a caller may see it: what names or counts tenants is for those alone
    /// who may see all of them.
    fn shown_to(&self, caller: &Caller) -> v1::Region {
        let mut region = self.show(&self.controls.latest());
        if caller.scope != Scope::Region {
            region.orphans.clear();
            region.paused_tenants = 0;
            if let Some(breaker) = &mut region.breaker {
                breaker.message.clear();
                breaker.deletions = 0;
            }
        }
        region
    }

    fn require_own(&self, name: &str) -> RpcResult<()> {
        if name == "regions/-" || name == self.region.to_name() {
            return Ok(());
        }
        let id = RegionId::from_name(name)
            .map_err(|error| RpcError::field("name", error.to_string()))?;
        Err(RpcError::NotFound(id.to_name()))
    }

    async fn begin<M: ControlRequest>(
        &self,
        caller: &Caller,
        method: &'static str,
        request: &M,
    ) -> RpcResult<Begun> {
        self.require_own(request.region())?;
        let reason = request.reason().trim();
        text::check(reason, REASON_MAXIMUM)
            .map_err(|error| RpcError::field("reason", error.to_string()))?;
        let once = Once::of(caller, method, request.request_id(), request)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(Begun::Before(Box::new(first)));
        }
        let now = controls::now(&mut tx).await?;
        let mut controls = self.controls.latest();
        controls.cordon = controls::cordon(&mut tx).await?;
        controls.pause = controls::pause(&mut tx).await?;
        controls.breaker = controls::breaker(&mut tx, self.controls.breaker.window).await?;
        let reason = reason.to_owned();
        Ok(Begun::Setting(Box::new(Setting { tx, once, now, reason, controls })))
    }

    async fn end(&self, setting: Setting, preview: bool) -> RpcResult<v1::Region> {
        let reply = self.show(&setting.controls);
        self.end_with(setting, reply, preview).await
    }

    async fn end_with(
        &self,
        setting: Setting,
        reply: v1::Region,
        preview: bool,
    ) -> RpcResult<v1::Region> {
        let Setting { mut tx, once, .. } = setting;
        if preview {
            return Ok(reply);
        }
        once.remember(&mut tx, &reply).await?;
        tx.commit().await.map_err(DbError::from)?;
        // Others hear of it within a second; this replica shows it at once.
        if let Err(error) = self.controls.refresh().await {
            tracing::debug!(%error, "the region's controls are read a little later");
        }
        Ok(reply)
    }

    pub(super) async fn cordon(
        &self,
        caller: &Caller,
        request: &v1::CordonRegionRequest,
    ) -> RpcResult<v1::Region> {
        let ttl = ttl("ttl", request.ttl.as_ref(), CORDON)?;
        let mut setting = match self.begin(caller, "CordonRegion", request).await? {
            Begun::Setting(setting) => *setting,
            Begun::Before(reply) => return Ok(*reply),
        };
        let until = ttl.and_then(|ttl| setting.now.checked_add(ttl).ok());
        let (reason, actor) = (setting.reason.clone(), caller.operator.clone());
        setting.controls.cordon = Some(Cordon { until, reason, actor });
        controls::set_cordon(&mut setting.tx, setting.controls.cordon.as_ref()).await?;
        caller.notes.changes(format!("cordoned{}", summary::until(until)));
        self.end(setting, request.validate_only).await
    }

    pub(super) async fn uncordon(
        &self,
        caller: &Caller,
        request: &v1::UncordonRegionRequest,
    ) -> RpcResult<v1::Region> {
        let mut setting = match self.begin(caller, "UncordonRegion", request).await? {
            Begun::Setting(setting) => *setting,
            Begun::Before(reply) => return Ok(*reply),
        };
        if setting.controls.cordon.take().is_none() {
            return Err(self.nothing_to_end("NOT_CORDONED", "cordoned"));
        }
        controls::set_cordon(&mut setting.tx, None).await?;
        caller.notes.changes("cordon ended");
        self.end(setting, request.validate_only).await
    }

    pub(super) async fn pause(
        &self,
        caller: &Caller,
        request: &v1::PauseRegionRequest,
    ) -> RpcResult<v1::Region> {
        let ttl = ttl("ttl", request.ttl.as_ref(), PAUSE)?.unwrap_or(PAUSE_UNLESS_SAID);
        let mut setting = match self.begin(caller, "PauseRegion", request).await? {
            Begun::Setting(setting) => *setting,
            Begun::Before(reply) => return Ok(*reply),
        };
        let until = setting.now.saturating_add(ttl).unwrap_or(Timestamp::MAX);
        let (reason, actor) = (setting.reason.clone(), caller.operator.clone());
        setting.controls.pause = Some(Pause { until, reason, actor });
        controls::set_pause(&mut setting.tx, setting.controls.pause.as_ref()).await?;
        caller.notes.changes(format!("paused{}", summary::until(Some(until))));
        self.end(setting, request.validate_only).await
    }

    pub(super) async fn unpause(
        &self,
        caller: &Caller,
        request: &v1::UnpauseRegionRequest,
    ) -> RpcResult<v1::Region> {
        let mut setting = match self.begin(caller, "UnpauseRegion", request).await? {
            Begun::Setting(setting) => *setting,
            Begun::Before(reply) => return Ok(*reply),
        };
        if setting.controls.pause.take().is_none() {
            return Err(self.nothing_to_end("NOT_PAUSED", "paused"));
        }
        controls::set_pause(&mut setting.tx, None).await?;
        caller.notes.changes("pause ended");
        self.end(setting, request.validate_only).await
    }

    pub(super) async fn release_breaker(
        &self,
        caller: &Caller,
        request: &v1::ReleaseBreakerRequest,
    ) -> RpcResult<v1::Region> {
        let mut setting = match self.begin(caller, "ReleaseBreaker", request).await? {
            Begun::Setting(setting) => *setting,
            Begun::Before(reply) => return Ok(*reply),
        };
        if setting.controls.breaker.tripped.is_none() {
            return Err(RpcError::Refused {
                reason: "BREAKER_CLOSED",
                message: format!(
                    "the breaker of {} has not tripped: there is nothing to release",
                    self.region.to_name()
                ),
            });
        }
        setting.controls.breaker = controls::Breaker::default();
        controls::release_breaker(&mut setting.tx, &caller.operator).await?;
        caller.notes.changes("breaker released: deletions that nobody asked for go on");
        self.end(setting, request.validate_only).await
    }

    pub(super) async fn step_down(
        &self,
        caller: &Caller,
        request: &v1::StepDownRequest,
    ) -> RpcResult<v1::Region> {
        let mut setting = match self.begin(caller, "StepDown", request).await? {
            Begun::Setting(setting) => *setting,
            Begun::Before(reply) => return Ok(*reply),
        };
        let Some((term, replica, replicas)) = controls::leader(&mut setting.tx).await? else {
            return Err(RpcError::Refused {
                reason: "NO_LEADER",
                message: format!(
                    "no replica leads {}, so none can step down; `ssctl region show` tells what \
                     is wrong",
                    self.region.to_name()
                ),
            });
        };
        controls::ask_to_step_down(&mut setting.tx, term).await?;
        caller.notes.changes(format!("{replica} gives the lease of leader term {term} back"));
        let mut reply = self.show(&setting.controls);
        let seconds = LeaderLease::HOLD_OFF.as_secs();
        let next = if replicas > 1 {
            format!("another of {replicas} replicas leads next")
        } else {
            format!("it is the only replica, so it leads again {seconds} s later")
        };
        for component in reply.components.iter_mut().filter(|it| it.name == Part::Leader.as_str()) {
            component.message =
                format!("{replica} gives the lease of leader term {term} back; {next}");
        }
        self.end_with(setting, reply, request.validate_only).await
    }

    fn nothing_to_end(&self, reason: &'static str, what: &str) -> RpcError {
        let message = format!("{} is not {what}: there is nothing to end", self.region.to_name());
        RpcError::Refused { reason, message }
    }
}

#[tonic::async_trait]
impl RegionService for Regions {
    async fn cordon_region(
        &self,
        request: Request<v1::CordonRegionRequest>,
    ) -> Result<Response<v1::Region>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.cordon(&caller, request.get_ref()).await?))
    }

    async fn uncordon_region(
        &self,
        request: Request<v1::UncordonRegionRequest>,
    ) -> Result<Response<v1::Region>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.uncordon(&caller, request.get_ref()).await?))
    }

    async fn pause_region(
        &self,
        request: Request<v1::PauseRegionRequest>,
    ) -> Result<Response<v1::Region>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.pause(&caller, request.get_ref()).await?))
    }

    async fn unpause_region(
        &self,
        request: Request<v1::UnpauseRegionRequest>,
    ) -> Result<Response<v1::Region>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.unpause(&caller, request.get_ref()).await?))
    }

    async fn step_down(
        &self,
        request: Request<v1::StepDownRequest>,
    ) -> Result<Response<v1::Region>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.step_down(&caller, request.get_ref()).await?))
    }

    async fn release_breaker(
        &self,
        request: Request<v1::ReleaseBreakerRequest>,
    ) -> Result<Response<v1::Region>, Status> {
        let caller = Caller::of(&request)?.clone();
        Ok(Response::new(self.release_breaker(&caller, request.get_ref()).await?))
    }

    async fn get_region(
        &self,
        request: Request<v1::GetRegionRequest>,
    ) -> Result<Response<v1::Region>, Status> {
        self.require_own(&request.get_ref().name)?;
        Ok(Response::new(self.shown_to(Caller::of(&request)?)))
    }

    async fn list_regions(
        &self,
        request: Request<v1::ListRegionsRequest>,
    ) -> Result<Response<v1::ListRegionsResponse>, Status> {
        let regions = vec![self.shown_to(Caller::of(&request)?)];
        Ok(Response::new(v1::ListRegionsResponse { regions, ..Default::default() }))
    }
}

fn component((part, report): (Part, Report)) -> v1::Component {
    v1::Component {
        name: part.as_str().into(),
        health: health(report.health).into(),
        message: report.message,
        last_transition_time: timestamp(report.since),
    }
}

fn health(health: Health) -> v1::Health {
    match health {
        Health::Unknown => v1::Health::Unspecified,
        Health::Ok => v1::Health::Ok,
        Health::Degraded => v1::Health::Degraded,
        Health::Unavailable => v1::Health::Unavailable,
    }
}
