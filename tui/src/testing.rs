//! A region as the tests see it.

use jiff::Timestamp;
use ratatui::layout::Size;
use streamspace_client::Counts;
use streamspace_proto::v1::{
    Change, ChangeType, Component, Condition, ConditionStatus, Health, Operation, OperationCounts,
    Region, Resource, Role, Session, SessionPhase, Tenant, TenantState, WhoAmIResponse, resource,
};

use crate::{
    Options,
    events::{Effect, Event, EventKind, News, Watched},
    keys::KeyMap,
    state::{Page, RegionIndex, State, Target},
    theme::Theme,
    trouble::Trouble,
    update::update,
};

mod chance;

pub(crate) use chance::any_event_anywhere;

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

pub(crate) fn session(path: &str, phase: SessionPhase, message: &str) -> Session {
    let (tenant, id) = path.split_once('/').unwrap();
    Session {
        name: format!("tenants/{tenant}/sessions/{id}"),
        uid: format!("5e55-{tenant}-{id}"),
        user: id.split('-').next().unwrap_or_default().into(),
        template: "firefox-browser".into(),
        phase: phase.into(),
        cpu: "1500m".into(),
        memory: "2Gi".into(),
        message: message.into(),
        node: "node-3".into(),
        create_time: time(NOW - 5400),
        last_activity_time: time(NOW - 120),
        ..Session::default()
    }
}

/// A change of several, of which some are done.
pub(crate) fn operation(id: &str, target: &str, counts: OperationCounts) -> Operation {
    Operation {
        name: format!("operations/{id}"),
        kind: "session.hibernate".into(),
        target: target.into(),
        progress: format!("{} of {}", counts.total - counts.pending, counts.total),
        actor: "ops-1".into(),
        create_time: time(NOW - 75),
        counts: Some(counts),
        ..Operation::default()
    }
}

/// What a watch tells of.
pub(crate) trait Resourceful {
    fn resource(self) -> Resource;
}

impl Resourceful for Tenant {
    fn resource(self) -> Resource {
        Resource { resource: Some(resource::Resource::Tenant(self)) }
    }
}

impl Resourceful for Session {
    fn resource(self) -> Resource {
        Resource { resource: Some(resource::Resource::Session(self)) }
    }
}

impl Resourceful for Operation {
    fn resource(self) -> Resource {
        Resource { resource: Some(resource::Resource::Operation(self)) }
    }
}

pub(crate) fn item(watched: impl Resourceful) -> Watched {
    Watched::Item(Box::new(watched.resource()))
}

pub(crate) fn synced() -> Watched {
    Watched::Synced(Counts::default())
}

pub(crate) fn change(
    type_: ChangeType,
    watched: impl Resourceful,
    actor: &str,
    second: i64,
) -> Watched {
    Watched::Change(Box::new(Change {
        revision: second,
        r#type: type_.into(),
        resource: Some(watched.resource()),
        time: time(second),
        actor: actor.into(),
    }))
}

pub(crate) fn lost() -> Watched {
    Watched::Lost(Trouble::new("the connection to the daemon broke: the daemon ended the stream"))
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
    here(News::Region(Ok(Box::new(Region {
        name: "regions/us-east-1".into(),
        components,
        daemon_version: "0.1.0".into(),
        ..Region::default()
    }))))
}

pub(crate) fn well() -> Vec<Component> {
    ["database", "cluster", "leader", "change-log", "audit-log", "sessions"]
        .map(|name| component(name, Health::Ok, ""))
        .into()
}

pub(crate) fn identity() -> EventKind {
    here(News::Identity(Ok(Box::new(WhoAmIResponse {
        operator: "ops-1".into(),
        role: Role::Operator.into(),
        role_name: "operator".into(),
        region: "regions/us-east-1".into(),
        ..WhoAmIResponse::default()
    }))))
}

/// From the first region.
pub(crate) fn here(news: News) -> EventKind {
    EventKind::News(RegionIndex(0), news)
}

pub(crate) fn watched(events: Vec<Watched>) -> EventKind {
    here(News::Watch(events))
}

fn target(context: &str, region: &str) -> Target {
    Target {
        context: context.into(),
        region: region.into(),
        endpoint: "admin.example.com:8443".into(),
        protected: context.starts_with("prod"),
    }
}

fn of(targets: Vec<Target>, options: &Options, width: u16, height: u16) -> State {
    let now = Timestamp::from_second(NOW).unwrap();
    let size = Size { width, height };
    State::new(targets, KeyMap::standard(), Theme::new(options), size, now)
}

/// A dashboard that nothing has happened to.
pub(crate) fn fresh(width: u16, height: u16) -> State {
    of(vec![target("prod", "us-east-1")], &Options::default(), width, height)
}

/// One over three regions that nothing has happened to.
pub(crate) fn three_regions(width: u16, height: u16) -> State {
    let targets = ["us-east-1", "us-west-2", "eu-west-1"];
    let targets = targets.map(|region| target(&format!("prod-{region}"), region));
    of(targets.into(), &Options::default(), width, height)
}

pub(crate) fn feed(state: &mut State, second: i64, kind: EventKind) -> Vec<Effect> {
    let at = Timestamp::from_second(second).unwrap();
    update(state, Event { at, kind })
}

/// A snapshot.
pub(crate) fn snapshot(items: Vec<Watched>) -> Vec<Watched> {
    let mut counts = Counts::default();
    for item in &items {
        let Watched::Item(resource) = item else { continue };
        match &resource.resource {
            Some(resource::Resource::Tenant(_)) => counts.tenants += 1,
            Some(resource::Resource::Session(_)) => counts.sessions += 1,
            Some(resource::Resource::Operation(_)) => counts.operations += 1,
            None => {}
        }
    }
    let mut events = vec![Watched::Connected { resumed: false }];
    events.extend(items);
    events.push(Watched::Synced(counts));
    events
}

/// A dashboard that shows a snapshot: the table of tenants.
pub(crate) fn live(width: u16, height: u16, tenants: Vec<Tenant>) -> State {
    let mut state = fresh(width, height);
    feed(&mut state, NOW, identity());
    feed(&mut state, NOW, region(well()));
    feed(&mut state, NOW, watched(snapshot(tenants.into_iter().map(item).collect())));
    state.go(Page::Tenants);
    feed(&mut state, NOW, EventKind::Tick);
    state
}
