//! `IncidentService`: declares incidents and takes them through their life.

use jiff::Timestamp;
use sqlx::PgConnection;
use streamspace_core::{
    ids::EscalationPolicyId,
    incident::{IncidentId, Severity},
    page::Query,
};
use streamspace_proto::v1::{self, incident_service_server::IncidentService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    change::{self, Change, Hit},
    convert::{self, to_proto},
    engine::{self, TITLE_MAXIMUM},
    open::{self, New},
    store::{self, Record},
    tell::Teller,
};
use crate::{
    alerts,
    db::{Database, DbError},
    notify::Channels,
    oncall,
    rpc::{
        Caller, Clock, answer,
        errors::{RpcError, RpcResult},
        input::{line, line_or_nothing},
        listing::Paging,
        once::Once,
    },
};

mod input;
mod reads;
mod steps;

/// The incidents of one region.
#[derive(Clone)]
pub struct Incidents {
    db: Database,
    clock: Clock,
    tell: Teller,
}

impl Incidents {
    /// Keeps incidents in `db`, and tells people by `channels`.
    pub fn new(db: Database, clock: Clock, region: &str, channels: Channels) -> Self {
        Self { db, clock, tell: Teller { region: region.to_owned(), channels } }
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(super) async fn declare(
        &self,
        caller: &Caller,
        request: &v1::DeclareIncidentRequest,
    ) -> RpcResult<v1::Incident> {
        let severity = convert::severity(request.severity)?;
        line_or_nothing("title", &request.title, TITLE_MAXIMUM)?;
        let hit = input::hit(&request.tenants, &request.slos)?;
        let now = self.now();
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "DeclareIncident", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        input::known(&mut tx, &hit).await?;
        let policy = named_policy(&mut tx, &request.escalation_policy).await?;
        let alert = match request.alert.as_str() {
            "" => None,
            name => Some(unclaimed(&mut tx, name).await?),
        };
        let mut new = New {
            title: request.title.clone(),
            severity: severity.unwrap_or(Severity::P2),
            dedup_key: None,
            hit,
            start: now,
            acknowledged: request.acknowledged,
            policy,
        };
        if let Some(alert) = &alert {
            let seen = engine::of_own(alert);
            let open = store::lock_open(&mut tx, seen.dedup_key.as_deref().unwrap_or_default());
            // One that is open about the same keeps its key.
            new.dedup_key = if open.await?.is_none() { seen.dedup_key } else { None };
            new.start = seen.start;
            new.hit.tenants.extend(seen.hit.tenants);
            new.hit.slos.extend(seen.hit.slos);
            if new.title.is_empty() {
                new.title = seen.title;
            }
        }
        line("title", &new.title, TITLE_MAXIMUM)?;
        let made = open::record(&mut tx, new, &caller.operator, now).await?;
        if request.validate_only {
            return Ok(to_proto(&made.0, &[], &[]));
        }
        let record = open::write(&mut tx, &self.tell, made, now).await?;
        if let Some(alert) = &alert {
            store::claim(&mut tx, record.id, &alert.name(), !alert.ended).await?;
            if request.acknowledged {
                alerts::take(&mut tx, &[alert.alert_uid], &caller.operator).await?;
            }
        }
        let reply = shown(&mut tx, &record).await?;
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!(
            "{} declared, {}: {}",
            record.id,
            record.severity.as_str(),
            record.title
        ));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    pub(super) async fn merge(
        &self,
        caller: &Caller,
        request: &v1::MergeIncidentRequest,
    ) -> RpcResult<v1::Incident> {
        let (id, into) = (convert::id("name", &request.name)?, convert::id("into", &request.into)?);
        if id == into {
            return Err(RpcError::field("into", "must be another incident"));
        }
        let now = self.now();
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, "MergeIncident", &request.request_id, request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        // One order for all who lock two.
        let mut locked = Vec::new();
        for id in [id.min(into), id.max(into)] {
            locked.push(store::lock(&mut tx, id).await?.ok_or_else(|| missing(id))?);
        }
        let of = |id| locked.iter().find(|record: &&Record| record.id == id);
        let (Some(ends), Some(goes_on)) = (of(id), of(into)) else { return Err(missing(id)) };
        if !goes_on.state.is_open() {
            return Err(RpcError::Refused {
                reason: "INCIDENT_CLOSED",
                message: format!("{into} is {}: join it to one that is open", goes_on.state),
            });
        }
        let ended = change::apply(ends, &Change::MergeInto(into), &caller.operator, now)?;
        let take = Change::Take {
            from: id,
            title: ends.title.clone(),
            start: ends.start,
            hit: Hit { tenants: ends.tenants.clone(), slos: ends.slos.clone() },
        };
        let taken = change::apply(goes_on, &take, &caller.operator, now)?;
        if request.validate_only {
            let reply = shown(&mut tx, &taken.record).await?;
            return Ok(reply);
        }
        store::move_alerts(&mut tx, id, into).await?;
        self.tell.keep(&mut tx, &ended, now).await?;
        self.tell.keep(&mut tx, &taken, now).await?;
        let reply = shown(&mut tx, &taken.record).await?;
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!("{id} joined to {into}"));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    pub(super) async fn list(
        &self,
        caller: &Caller,
        request: &v1::ListIncidentsRequest,
    ) -> RpcResult<v1::ListIncidentsResponse> {
        let closed = request.show_closed;
        let query =
            Query { method: "ListIncidents", filter: "", order_by: "", show_deleted: closed };
        let paging = Paging { size: request.page_size, token: &request.page_token, query };
        let mut tx = self.db.begin(&caller.scope).await?;
        let records = store::list(&mut tx, closed).await?;
        let (page, next_page_token) = paging.cut(records, |record| record.id.to_string())?;
        let mut incidents = Vec::with_capacity(page.len());
        for record in &page {
            incidents.push(shown(&mut tx, record).await?);
        }
        Ok(v1::ListIncidentsResponse { incidents, next_page_token })
    }
}

fn missing(id: IncidentId) -> RpcError {
    RpcError::NotFound(id.to_name())
}

/// An incident with its alerts and action items.
async fn shown(tx: &mut PgConnection, record: &Record) -> RpcResult<v1::Incident> {
    let alerts = store::alerts_of(tx, record.id).await?;
    Ok(to_proto(record, &alerts, &store::actions(tx, record.id).await?))
}

async fn named_policy(tx: &mut PgConnection, name: &str) -> RpcResult<Option<oncall::Policy>> {
    if name.is_empty() {
        return Ok(None);
    }
    let id = EscalationPolicyId::from_name(name)
        .map_err(|error| RpcError::field("escalation_policy", error.to_string()))?;
    let found = oncall::policy(tx, &id).await?;
    Ok(Some(found.ok_or_else(|| RpcError::NotFound(id.to_name()))?))
}

/// An alert that no open incident has.
async fn unclaimed(tx: &mut PgConnection, name: &str) -> RpcResult<alerts::Seen> {
    let uid = name.strip_prefix("alerts/").and_then(|uid| Uuid::try_parse(uid).ok());
    let uid = uid.ok_or_else(|| {
        RpcError::field("alert", "must be alerts/ and a UUID, as `ssctl alert list` shows")
    })?;
    let found = alerts::find(tx, uid).await?;
    let alert = found.ok_or_else(|| RpcError::NotFound(name.to_owned()))?;
    let joined = store::joined(tx, &[alert.name()]).await?;
    let of = joined.into_iter().find(|it| it.alert == alert.name());
    if let Some(of) = of
        && let Some(record) = store::get(tx, of.id).await?
        && record.state.is_open()
    {
        return Err(RpcError::Refused {
            reason: "INCIDENT_EXISTS",
            message: format!(
                "{} has this alert already: `ssctl incident ack {}` takes it",
                record.id, record.id
            ),
        });
    }
    Ok(alert)
}

#[tonic::async_trait]
impl IncidentService for Incidents {
    async fn declare_incident(
        &self,
        request: Request<v1::DeclareIncidentRequest>,
    ) -> Result<Response<v1::Incident>, Status> {
        answer!(self, request, declare)
    }

    async fn get_incident(
        &self,
        request: Request<v1::GetIncidentRequest>,
    ) -> Result<Response<v1::Incident>, Status> {
        answer!(self, request, get)
    }

    async fn list_incidents(
        &self,
        request: Request<v1::ListIncidentsRequest>,
    ) -> Result<Response<v1::ListIncidentsResponse>, Status> {
        answer!(self, request, list)
    }

    async fn list_timeline(
        &self,
        request: Request<v1::ListTimelineRequest>,
    ) -> Result<Response<v1::ListTimelineResponse>, Status> {
        answer!(self, request, timeline)
    }

    async fn acknowledge_incident(
        &self,
        request: Request<v1::AcknowledgeIncidentRequest>,
    ) -> Result<Response<v1::Incident>, Status> {
        answer!(self, request, acknowledge)
    }

    async fn move_incident(
        &self,
        request: Request<v1::MoveIncidentRequest>,
    ) -> Result<Response<v1::Incident>, Status> {
        answer!(self, request, move_to)
    }

    async fn assign_role(
        &self,
        request: Request<v1::AssignRoleRequest>,
    ) -> Result<Response<v1::Incident>, Status> {
        answer!(self, request, assign)
    }

    async fn escalate_incident(
        &self,
        request: Request<v1::EscalateIncidentRequest>,
    ) -> Result<Response<v1::Incident>, Status> {
        answer!(self, request, escalate)
    }

    async fn add_note(
        &self,
        request: Request<v1::AddNoteRequest>,
    ) -> Result<Response<v1::Incident>, Status> {
        answer!(self, request, note)
    }

    async fn merge_incident(
        &self,
        request: Request<v1::MergeIncidentRequest>,
    ) -> Result<Response<v1::Incident>, Status> {
        answer!(self, request, merge)
    }

    async fn add_action_item(
        &self,
        request: Request<v1::AddActionItemRequest>,
    ) -> Result<Response<v1::Incident>, Status> {
        answer!(self, request, add_action)
    }

    async fn complete_action_item(
        &self,
        request: Request<v1::CompleteActionItemRequest>,
    ) -> Result<Response<v1::Incident>, Status> {
        answer!(self, request, complete_action)
    }

    async fn get_impact(
        &self,
        request: Request<v1::GetImpactRequest>,
    ) -> Result<Response<v1::IncidentImpact>, Status> {
        answer!(self, request, impact)
    }

    async fn export_post_mortem(
        &self,
        request: Request<v1::ExportPostMortemRequest>,
    ) -> Result<Response<v1::PostMortem>, Status> {
        answer!(self, request, export)
    }
}
