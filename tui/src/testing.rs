//! A region as the tests see it.

use jiff::Timestamp;
use ratatui::layout::Size;
use streamspace_client::{ClientError, WatchEvent};
use streamspace_proto::v1::{
    Change, ChangeType, Component, Condition, ConditionStatus, Health, Region, Resource, Role,
    Tenant, TenantState, WhoAmIResponse, resource,
};

use crate::{
    keys::KeyMap,
    state::{State, Target},
    update::{Effect, Event, EventKind, update},
};

/// `2026-11-24T03:12:07Z`.
pub(crate) const NOW: i64 = 1_795_489_927;

#[allow(clippy::unnecessary_wraps, reason = "the messages have optional times")]
pub(crate) fn time(second: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: second, nanos: 0 })
}

pub(crate) fn tenant(id: &str, plan: &str, seats: i32, state: TenantState) -> Tenant {
    let ready = Condition {
        r#type: "NamespaceReady".into(),
        status: ConditionStatus::True.into(),
        reason: "Applied".into(),
        message: format!("namespace tenant-{id} is as wished"),
        observed_generation: 1,
        last_transition_time: time(NOW - 3 * 86_400),
    };
    Tenant {
        name: format!("tenants/{id}"),
        uid: format!("018f-{id}"),
        plan: format!("plans/{plan}"),
        plan_version: 1,
        seats,
        namespace: format!("tenant-{id}"),
        home_region: "regions/us-east-1".into(),
        state: state.into(),
        conditions: vec![ready],
        generation: 1,
        observed_generation: 1,
        create_time: time(NOW - 12 * 86_400),
        update_time: time(NOW - 600),
        ..Tenant::default()
    }
}

/// A tenant whose namespace is not there.
pub(crate) fn broken(
    id: &str,
    state: TenantState,
    status: ConditionStatus,
    reason: &str,
    message: &str,
) -> Tenant {
    let mut tenant = tenant(id, "business", 40, state);
    for condition in &mut tenant.conditions {
        condition.status = status.into();
        condition.reason = reason.into();
        condition.message = message.into();
        condition.last_transition_time = time(NOW - 190);
    }
    tenant
}

pub(crate) fn resource(tenant: Tenant) -> Resource {
    Resource { resource: Some(resource::Resource::Tenant(tenant)) }
}

pub(crate) fn item(tenant: Tenant) -> WatchEvent {
    WatchEvent::Item(Box::new(resource(tenant)))
}

pub(crate) fn change(type_: ChangeType, tenant: Tenant, actor: &str, second: i64) -> WatchEvent {
    WatchEvent::Change(Box::new(Change {
        revision: second,
        r#type: type_.into(),
        resource: Some(resource(tenant)),
        time: time(second),
        actor: actor.into(),
    }))
}

pub(crate) fn lost() -> WatchEvent {
    WatchEvent::Lost {
        error: ClientError::Broken("the daemon ended the stream".into()),
        retry_in: std::time::Duration::from_millis(100),
    }
}

pub(crate) fn component(name: &str, health: Health, message: &str) -> Component {
    Component {
        name: name.into(),
        health: health.into(),
        message: message.into(),
        last_transition_time: time(NOW - 130),
    }
}

pub(crate) fn region(components: Vec<Component>) -> EventKind {
    EventKind::Region(Ok(Box::new(Region {
        name: "regions/us-east-1".into(),
        components,
        daemon_version: "0.1.0".into(),
        ..Region::default()
    })))
}

pub(crate) fn well() -> Vec<Component> {
    ["database", "cluster", "leader", "change-log", "audit-log", "sessions"]
        .map(|name| component(name, Health::Ok, ""))
        .into()
}

pub(crate) fn identity() -> EventKind {
    EventKind::Identity(Ok(Box::new(WhoAmIResponse {
        operator: "ops-1".into(),
        role: Role::Operator.into(),
        role_name: "operator".into(),
        region: "regions/us-east-1".into(),
        ..WhoAmIResponse::default()
    })))
}

/// A dashboard that nothing has happened to.
pub(crate) fn fresh(width: u16, height: u16) -> State {
    let target = Target {
        context: "prod".into(),
        region: "us-east-1".into(),
        endpoint: "admin.example.com:8443".into(),
        protected: true,
    };
    let now = Timestamp::from_second(NOW).unwrap();
    State::new(target, KeyMap::standard(), Size { width, height }, now)
}

pub(crate) fn feed(state: &mut State, second: i64, kind: EventKind) -> Vec<Effect> {
    let at = Timestamp::from_second(second).unwrap();
    update(state, Event { at, kind })
}

/// A dashboard that shows a snapshot.
pub(crate) fn live(width: u16, height: u16, tenants: Vec<Tenant>) -> State {
    let mut state = fresh(width, height);
    feed(&mut state, NOW, identity());
    feed(&mut state, NOW, region(well()));
    let mut events = vec![WatchEvent::Connected { resumed: false }];
    events.extend(tenants.into_iter().map(item));
    events.push(WatchEvent::Synced { revision: 1 });
    feed(&mut state, NOW, EventKind::Watch(events));
    state
}
