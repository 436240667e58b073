//! The steps of an incident: what a call asks for, as a change that is done in one
//! transaction.

use prost::Name;
use sqlx::PgConnection;
use streamspace_core::incident::lifecycle::State;
use streamspace_proto::v1;
use uuid::Uuid;

use super::{Incidents, input, missing, shown};
use crate::{
    alerts,
    db::DbError,
    incidents::{
        change::{self, Change, Hit, NEXT_UPDATE},
        convert::{self, etag, to_proto},
        store::{self, Action, Record},
    },
    rpc::{
        Caller,
        errors::{RpcError, RpcResult},
        input::{line, line_or_nothing, lines},
        once::Once,
        summary::NO_CHANGE,
        time::ttl,
    },
};

/// The longest note, in characters.
const NOTE_MAXIMUM: usize = 2_000;
/// The longest action item, in characters.
const ACTION_MAXIMUM: usize = 500;
/// The longest name of a person.
const PERSON_MAXIMUM: usize = 64;
/// The most action items of an incident.
const ACTIONS_MAXIMUM: usize = 100;

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

    pub(in crate::incidents) async fn acknowledge(
        &self,
        caller: &Caller,
        request: &v1::AcknowledgeIncidentRequest,
    ) -> RpcResult<v1::Incident> {
        let given = given!("AcknowledgeIncident", request);
        self.step(caller, given, Change::Acknowledge, None).await
    }

    pub(in crate::incidents) async fn move_to(
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

    pub(in crate::incidents) async fn assign(
        &self,
        caller: &Caller,
        request: &v1::AssignRoleRequest,
    ) -> RpcResult<v1::Incident> {
        let role = convert::role(request.role)?;
        line_or_nothing("person", &request.person, PERSON_MAXIMUM)?;
        let change = Change::Assign { role, person: request.person.clone() };
        self.step(caller, given!("AssignRole", request), change, None).await
    }

    pub(in crate::incidents) async fn escalate(
        &self,
        caller: &Caller,
        request: &v1::EscalateIncidentRequest,
    ) -> RpcResult<v1::Incident> {
        self.step(caller, given!("EscalateIncident", request), Change::Escalate, None).await
    }

    pub(in crate::incidents) async fn note(
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

    pub(in crate::incidents) async fn add_action(
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

    pub(in crate::incidents) async fn complete_action(
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
