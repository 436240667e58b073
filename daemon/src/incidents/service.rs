//! `IncidentService`: declares incidents and takes them through their life.

use jiff::Timestamp;
use prost::Name;
use sqlx::PgConnection;
use streamspace_core::{
    ids::EscalationPolicyId,
    incident::{IncidentId, Severity, lifecycle::State},
    page::Query,
};
use streamspace_proto::v1::{self, incident_service_server::IncidentService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    change::{self, Change, Hit, NEXT_UPDATE},
    convert::{self, etag, to_proto},
    engine::{self, TITLE_MAXIMUM},
    open::{self, New},
    store::{self, Action, Record},
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
        input::{line, line_or_nothing, lines},
        listing::Paging,
        once::Once,
        summary::NO_CHANGE,
        time::ttl,
    },
};

mod input;
mod reads;

/// The longest note, in characters.
const NOTE_MAXIMUM: usize = 2_000;
/// The longest action item, in characters.
const ACTION_MAXIMUM: usize = 500;
/// The longest name of a person.
const PERSON_MAXIMUM: usize = 64;
/// The most action items of an incident.
const ACTIONS_MAXIMUM: usize = 100;

/// The incidents of one region.
#[derive(Clone)]
pub struct Incidents {
    db: Database,
    clock: Clock,
    tell: Teller,
}

/// What every change of an incident carries.
struct Given<'a, R> {
    method: &'static str,
    name: &'a str,
    etag: &'a str,
    validate_only: bool,
    request_id: &'a str,
    request: &'a R,
}

/// The fields of a request that every change has.
macro_rules! given {
    ($method:literal, $request:ident) => {
        Given {
            method: $method,
            name: &$request.name,
            etag: "",
            validate_only: $request.validate_only,
            request_id: &$request.request_id,
            request: $request,
        }
    };
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

    /// One step of one incident. With `action` also the row of an action item.
    async fn step<R: Name>(
        &self,
        caller: &Caller,
        given: Given<'_, R>,
        change: Change,
        action: Option<Action>,
    ) -> RpcResult<v1::Incident> {
        let id = convert::id("name", given.name)?;
        let now = self.now();
        let mut tx = self.db.begin(&caller.scope).await?;
        let once = Once::of(caller, given.method, given.request_id, given.request)?;
        if let Some(first) = once.reply(&mut tx).await? {
            return Ok(first);
        }
        // Of two at once the second waits here, and then sees what the first did.
        let record = store::lock(&mut tx, id).await?.ok_or_else(|| missing(id))?;
        if !given.etag.is_empty() && given.etag != etag(&record) {
            return Err(RpcError::EtagMismatch(id.to_name()));
        }
        input::known(&mut tx, &hit_of(&change)).await?;
        self.not_twice(&mut tx, &record, &change).await?;
        let changed = change::apply(&record, &change, &caller.operator, now)?;
        if changed.summary.is_empty() && action.is_none() {
            caller.notes.changes(NO_CHANGE);
            return shown(&mut tx, &record).await;
        }
        if let Some(action) = &action {
            store::write_action(&mut tx, id, action).await?;
        }
        let mut reply = shown(&mut tx, &record).await?;
        let of_record = to_proto(&changed.record, &[], &[]);
        reply =
            v1::Incident { alerts: reply.alerts, action_items: reply.action_items, ..of_record };
        if given.validate_only {
            return Ok(reply);
        }
        self.tell.keep(&mut tx, &changed, now).await?;
        if matches!(change, Change::Acknowledge) {
            alerts::take(&mut tx, &own_alerts(&reply.alerts), &caller.operator).await?;
        }
        once.remember(&mut tx, &reply).await?;
        caller.notes.changes(format!("{id}: {}", changed.summary));
        tx.commit().await.map_err(DbError::from)?;
        Ok(reply)
    }

    /// An incident is not opened again where another one about the same is open.
    async fn not_twice(
        &self,
        tx: &mut PgConnection,
        record: &Record,
        change: &Change,
    ) -> RpcResult<()> {
        let reopens = matches!(change, Change::Move { state: State::Triaged, .. })
            && record.state == State::Resolved;
        let Some(key) = record.dedup_key.as_deref().filter(|_| reopens) else { return Ok(()) };
        match store::lock_open(tx, key).await? {
            None => Ok(()),
            Some(other) => Err(RpcError::Refused {
                reason: "INCIDENT_EXISTS",
                message: format!("{} is open about the same: work on that one", other.id),
            }),
        }
    }

    pub(super) async fn acknowledge(
        &self,
        caller: &Caller,
        request: &v1::AcknowledgeIncidentRequest,
    ) -> RpcResult<v1::Incident> {
        let given = given!("AcknowledgeIncident", request);
        self.step(caller, given, Change::Acknowledge, None).await
    }

    pub(super) async fn move_to(
        &self,
        caller: &Caller,
        request: &v1::MoveIncidentRequest,
    ) -> RpcResult<v1::Incident> {
        let state = convert::state(request.state)?;
        let severity = convert::severity(request.severity)?;
        let hit = input::hit(&request.tenants, &request.slos)?;
        if state != State::Triaged && (severity.is_some() || hit != Hit::default()) {
            return Err(RpcError::field(
                "state",
                "severity, tenants and slos are judged by a triage alone: move it to triaged",
            ));
        }
        if !request.note.is_empty() {
            lines("note", &request.note, NOTE_MAXIMUM)?;
        }
        let change = Change::Move { state, severity, note: request.note.clone(), hit };
        let given = Given { etag: &request.etag, ..given!("MoveIncident", request) };
        self.step(caller, given, change, None).await
    }

    pub(super) async fn assign(
        &self,
        caller: &Caller,
        request: &v1::AssignRoleRequest,
    ) -> RpcResult<v1::Incident> {
        let role = convert::role(request.role)?;
        line_or_nothing("person", &request.person, PERSON_MAXIMUM)?;
        let change = Change::Assign { role, person: request.person.clone() };
        self.step(caller, given!("AssignRole", request), change, None).await
    }

    pub(super) async fn escalate(
        &self,
        caller: &Caller,
        request: &v1::EscalateIncidentRequest,
    ) -> RpcResult<v1::Incident> {
        self.step(caller, given!("EscalateIncident", request), Change::Escalate, None).await
    }

    pub(super) async fn note(
        &self,
        caller: &Caller,
        request: &v1::AddNoteRequest,
    ) -> RpcResult<v1::Incident> {
        lines("text", &request.text, NOTE_MAXIMUM)?;
        let after = ttl("next_update", request.next_update.as_ref(), NEXT_UPDATE)?;
        if after.is_some() && !request.public {
            return Err(RpcError::field(
                "next_update",
                "is for what the public is told: add `public`",
            ));
        }
        let next_update = after.and_then(|after| self.now().checked_add(after).ok());
        let change =
            Change::Note { text: request.text.clone(), public: request.public, next_update };
        self.step(caller, given!("AddNote", request), change, None).await
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

    pub(super) async fn add_action(
        &self,
        caller: &Caller,
        request: &v1::AddActionItemRequest,
    ) -> RpcResult<v1::Incident> {
        line("text", &request.text, ACTION_MAXIMUM)?;
        line_or_nothing("owner", &request.owner, PERSON_MAXIMUM)?;
        input::day("due", &request.due)?;
        let known = self.actions(caller, &request.name).await?;
        if known.len() >= ACTIONS_MAXIMUM {
            return Err(RpcError::field("name", "has 100 action items: keep them elsewhere"));
        }
        let number = known.last().map_or(0, |action| action.number).saturating_add(1);
        let action = Action {
            number,
            text: request.text.clone(),
            owner: request.owner.clone(),
            due: request.due.clone(),
            done: false,
        };
        let change = Change::Action { text: format!("item {number}: {}", action.text) };
        self.step(caller, given!("AddActionItem", request), change, Some(action)).await
    }

    pub(super) async fn complete_action(
        &self,
        caller: &Caller,
        request: &v1::CompleteActionItemRequest,
    ) -> RpcResult<v1::Incident> {
        let known = self.actions(caller, &request.name).await?;
        let found = known.into_iter().find(|action| action.number == request.number);
        let action = found.ok_or_else(|| {
            RpcError::field("number", "is of no action item; `ssctl incident show` tells them")
        })?;
        let change =
            Change::Action { text: format!("item {} is done: {}", action.number, action.text) };
        let action = Action { done: true, ..action };
        self.step(caller, given!("CompleteActionItem", request), change, Some(action)).await
    }

    async fn actions(&self, caller: &Caller, name: &str) -> RpcResult<Vec<Action>> {
        let id = convert::id("name", name)?;
        let mut tx = self.db.begin(&caller.scope).await?;
        Ok(store::actions(&mut tx, id).await?)
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

fn hit_of(change: &Change) -> Hit {
    match change {
        Change::Move { hit, .. } => hit.clone(),
        _ => Hit::default(),
    }
}

/// The ids of the daemon's own alerts among names.
fn own_alerts(names: &[String]) -> Vec<Uuid> {
    let own = names.iter().filter_map(|name| name.strip_prefix("alerts/"));
    own.filter_map(|uid| Uuid::try_parse(uid).ok()).collect()
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
