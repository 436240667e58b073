//! What a session and a template become in the database. Pure.

use jiff::Timestamp;
use streamspace_core::{
    admission::Place,
    conditions::{Condition, ConditionStatus},
    ids::TenantUid,
    quantity::{Bytes, Millicores},
    session::{
        Allotment, Amounts, Resources, SessionPhase,
        lifecycle::{AWAKE, READY},
        resolve, resources,
    },
    template::{self, DESCRIPTION_MAXIMUM},
    violation::Violations,
};
use streamspace_proto::v1;

use crate::{
    rpc::time::timestamp,
    sessions::{
        convert::{phase, state},
        object::{SeenSession, SeenTemplate},
        record::SessionRecord,
        store::templates::TemplateRecord,
    },
};

/// The tenant whose namespace something lives in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: TenantUid,
    /// The tenant's name, for example `acme-corp`.
    pub(super) id: String,
    pub(super) since: Timestamp,
}

/// What each copy of a session gets: what its controller says, else what follows from its
/// object and its template. What of an invalid object can be read counts: it may run.
pub(super) fn each(seen: &SeenSession, template: Option<&Amounts>) -> Allotment {
    match seen.status.allotted {
        Some(allotted) => allotted.each,
        None => resolve(&said(seen), template, &Resources::default()),
    }
}

fn said(seen: &SeenSession) -> Resources {
    match (&seen.wish, &seen.written.resources) {
        (Some(wish), _) => wish.resources,
        (None, Some(written)) => resources::read(written, &mut Violations::new()),
        (None, None) => Resources::default(),
    }
}

/// What it takes while it is to run. While it is open whether the new wish or what it gets
/// now holds, the larger of each.
fn place(seen: &SeenSession, template: Option<&Amounts>) -> Place {
    let Some(wish) = &seen.wish else {
        return Place::default();
    };
    let wished = Place::of(wish, &resolve(&wish.resources, template, &Resources::default()));
    match &seen.status.allotted {
        Some(allotted) => wished.or_larger(Place::of(wish, &allotted.each)),
        None => wished,
    }
}

/// A session's row.
pub(super) fn record(
    seen: &SeenSession,
    owner: &Owner,
    template: Option<&Amounts>,
) -> SessionRecord {
    let node = seen.status.run.as_ref().map(|run| run.node.clone()).unwrap_or_default();
    SessionRecord {
        tenant: owner.uid,
        name: seen.metadata.name.clone(),
        uid: seen.uid(),
        resource_version: i64::try_from(seen.metadata.resource_version).unwrap_or(i64::MAX),
        generation: seen.metadata.generation,
        user: seen.written.user.clone(),
        template: seen.written.template.clone(),
        state: seen.written.state,
        phase: seen.status.phase.unwrap_or(SessionPhase::Pending),
        deleting: seen.is_deleting(),
        place: place(seen, template),
        node: node.clone(),
        last_activity: seen.status.last_activity,
        create_time: seen.metadata.create_time,
        resource: resource(seen, owner, template, node),
    }
}

fn resource(
    seen: &SeenSession,
    owner: &Owner,
    template: Option<&Amounts>,
    node: String,
) -> v1::Session {
    let wish = seen.wish.as_ref();
    let is_known = wish.is_some() || seen.status.allotted.is_some();
    let amounts = is_known.then(|| each(seen, template));
    let span = |seconds: i64| prost_types::Duration { seconds, nanos: 0 };
    let awake = seen.condition(AWAKE).filter(|it| it.status == ConditionStatus::True);
    let written = &seen.written;
    v1::Session {
        name: format!("tenants/{}/sessions/{}", owner.id, seen.metadata.name),
        uid: seen.uid().to_string(),
        user: written.user.clone(),
        template: written.template.clone(),
        state: seen.state.map_or(v1::SessionState::Unspecified, state).into(),
        phase: seen.status.phase.map_or(v1::SessionPhase::Unspecified, phase).into(),
        cpu: amounts.map(|it| it.cpu_request.canonical()).unwrap_or_default(),
        memory: amounts.map(|it| it.memory_request.canonical()).unwrap_or_default(),
        without_home: !written.persistent_home.unwrap_or(true),
        idle_timeout: wish.map(|wish| span(wish.idle_timeout.seconds())),
        max_session_duration: wish.map(|wish| span(wish.max_session_duration.seconds())),
        tags: written.tags.clone(),
        max_replicas: wish.and_then(|wish| wish.max_replicas).unwrap_or_default(),
        pod_name: seen.status.pod_name.clone(),
        node,
        url: seen.status.url.clone(),
        last_activity_time: seen.status.last_activity.and_then(timestamp),
        conditions: seen.status.conditions.iter().map(condition).collect(),
        create_time: timestamp(seen.metadata.create_time),
        awake_time: awake.and_then(|it| timestamp(it.last_transition_time)),
        message: message(seen),
        deleting: seen.is_deleting(),
        generation: seen.metadata.generation,
    }
}

fn message(seen: &SeenSession) -> String {
    if !seen.invalid.is_empty() {
        return template::verdict(&seen.invalid);
    }
    match seen.status.phase {
        Some(SessionPhase::Running) | None => String::new(),
        Some(_) => seen.condition(READY).map(|it| it.message.clone()).unwrap_or_default(),
    }
}

/// Why a session is as it is, in one word.
pub(super) fn cause(seen: &SeenSession) -> String {
    let reason = |type_: &str| seen.condition(type_).map(|it| it.reason.clone());
    let sleeps =
        matches!(seen.status.phase, Some(SessionPhase::Hibernated | SessionPhase::Terminated));
    // Why it sleeps stands in the one, why it does not run yet in the other.
    let word = if sleeps { reason(AWAKE).or_else(|| reason(READY)) } else { reason(READY) };
    word.unwrap_or_default().chars().take(63).collect()
}

fn condition(condition: &Condition) -> v1::Condition {
    let status = match condition.status {
        ConditionStatus::True => v1::ConditionStatus::True,
        ConditionStatus::False => v1::ConditionStatus::False,
        ConditionStatus::Unknown => v1::ConditionStatus::Unknown,
    };
    v1::Condition {
        r#type: condition.type_.clone(),
        status: status.into(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        observed_generation: condition.observed_generation,
        last_transition_time: timestamp(condition.last_transition_time),
    }
}

/// A template's row: of a tenant, or of the catalogue where there is none.
pub(super) fn template(seen: &SeenTemplate, owner: Option<&Owner>) -> TemplateRecord {
    let name = &seen.metadata.name;
    let written = &seen.written;
    let defaults = seen.template.as_ref().and_then(|template| template.defaults);
    let amount = |text: Option<String>| text.unwrap_or_default();
    let description = written.description.as_deref().unwrap_or_default();
    TemplateRecord {
        tenant: owner.map(|owner| owner.uid),
        name: name.clone(),
        uid: seen.metadata.uid,
        resource_version: i64::try_from(seen.metadata.resource_version).unwrap_or(i64::MAX),
        resource: v1::Template {
            name: match owner {
                Some(owner) => format!("tenants/{}/templates/{name}", owner.id),
                None => format!("templates/{name}"),
            },
            display_name: written.display_name.clone(),
            base_image: written.base_image.clone(),
            category: written.category.clone().unwrap_or_default(),
            description: description.chars().take(DESCRIPTION_MAXIMUM).collect(),
            cpu: amount(defaults.and_then(|it| it.cpu).map(Millicores::canonical)),
            memory: amount(defaults.and_then(|it| it.memory).map(Bytes::canonical)),
            valid: seen.template.is_some(),
            message: seen.verdict.clone(),
            port: seen.template.as_ref().map_or(0, |template| i32::from(template.served_port)),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use streamspace_core::filter::Record as _;

    use super::*;
    use crate::sessions::{
        object::read_session,
        view::{FILTER_FIELDS, ORDER_FIELDS, View},
    };

    /// What a list of sessions matches and what a watch of them does must be the same, also of
    /// an object that nobody can make sense of.
    #[test]
    fn a_row_and_its_resource_look_the_same_to_filters() {
        let owner =
            Owner { uid: TenantUid(uuid::Uuid::nil()), id: "acme".into(), since: Timestamp::MIN };
        let now = "2026-11-29T12:00:00Z".parse().unwrap();
        let states =
            [json!("running"), json!("hibernated"), json!("terminated"), json!("odd"), json!(null)];
        let phases = ["Pending", "Running", "Hibernated", "Failed", "Terminated", "Odd", ""];
        for (state, phase) in states.iter().flat_map(|it| phases.map(|phase| (it, phase))) {
            let object = json!({
                "metadata": {
                    "name": "desk", "namespace": "tenant-acme", "resourceVersion": "7",
                    "creationTimestamp": "2026-11-29T11:00:00Z",
                },
                "spec": { "user": "ada", "template": "firefox", "state": state },
                "status": {
                    "phase": phase, "podName": "desk-1", "lastActivity": "2026-11-29T11:50:00Z",
                },
            });
            let record =
                record(&read_session(&serde_json::from_value(object).unwrap()), &owner, None);
            let row = View::of(&record, now);
            let resource = View::of_resource(&record.resource, now);
            for field in FILTER_FIELDS.iter().chain(&ORDER_FIELDS) {
                let field = field.split(':').next().unwrap();
                assert_eq!(row.field(field), resource.field(field), "{field} of {state} {phase}");
                assert!(row.field(field).is_some() || field == "node", "{field}");
            }
        }
    }
}
