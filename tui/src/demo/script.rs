//! What happens in the half hour: people come and go, a bulk change is carried on, a cluster
//! gets slow, a region is cut off and comes back.

use jiff::Timestamp;
use streamspace_client::Counts;
use streamspace_core::load::random::Random;
use streamspace_proto::v1::{
    Change, ChangeType, Health, Operation, OperationCounts, Resource, Session, SessionPhase,
    SessionState, TenantState, resource,
};
use uuid::Uuid;

use super::{
    BEGIN, at, time,
    world::{Place, World, identity, report, session},
};
use crate::{
    events::{Event, EventKind, News, Watched},
    keys::KeyMap,
    recording::{Encoder, Film, Header},
    state::RegionIndex,
    trouble::Trouble,
};

/// How long the story is, in seconds.
const LENGTH: i64 = 1800;
/// When the second region's cluster gets slow, and when it is well again.
pub(super) const SLOW: std::ops::Range<i64> = 55..420;
/// When the third region is cut off, and when it is back.
const CUT_OFF: std::ops::Range<i64> = 140..200;
/// When the bulk change begins; it takes so long.
const BULK: i64 = 8;
const BULK_LASTS: i64 = 95;

/// Writes the story down as a recording has it.
pub(super) fn film(world: World) -> Film {
    let size = ratatui::layout::Size { width: 120, height: 40 };
    let header = Header::new(&world.targets(), at(0), size, None, Uuid::nil(), &KeyMap::standard());
    let (encoder, bytes) = Encoder::new(&header);
    let mut script = Script { encoder, bytes, world, random: Random::of([11]), born: 1000 };
    script.begin();
    for second in 1..=LENGTH {
        script.second(second);
    }
    let Script { bytes, .. } = script;
    // What was written a moment ago can be read.
    Film::new(bytes).unwrap_or_else(|| unreachable!())
}

struct Script {
    encoder: Encoder,
    bytes: Vec<u8>,
    world: World,
    random: Random,
    /// The number of the next session.
    born: u64,
}

impl Script {
    fn tell(&mut self, at: Timestamp, kind: EventKind) {
        let bytes = self.encoder.encode(&Event { at, kind });
        self.bytes.extend(bytes);
    }

    fn news(&mut self, second: i64, region: usize, news: News) {
        let region = RegionIndex(u16::try_from(region).unwrap_or(0));
        self.tell(at(second), EventKind::News(region, news));
    }

    fn watched(&mut self, second: i64, region: usize, events: Vec<Watched>) {
        self.news(second, region, News::Watch(events));
    }

    /// All that there is, at once.
    fn begin(&mut self) {
        for (region, place) in self.world.places.clone().iter().enumerate() {
            self.news(0, region, News::Identity(Ok(Box::new(identity(place)))));
            self.news(0, region, News::Region(Ok(Box::new(report(place, None)))));
            self.watched(0, region, snapshot(place));
        }
        self.tell(at(0), EventKind::Tick);
    }

    fn second(&mut self, second: i64) {
        for region in 0..self.world.places.len() {
            let cut = region == 2 && CUT_OFF.contains(&second);
            match () {
                () if region == 2 && second == CUT_OFF.start => {
                    let why =
                        Trouble::new("cannot reach admin.eu-west-1.example.com:8443: no answer");
                    self.watched(second, region, vec![Watched::Lost(why)]);
                }
                () if cut => {}
                () if region == 2 && second == CUT_OFF.end => {
                    self.watched(second, region, vec![Watched::Connected { resumed: true }]);
                    self.report(second, region);
                }
                () => self.report(second, region),
            }
            if !cut && self.random.chance(28) {
                self.somebody(second, region);
            }
            if !cut && second % 5 == 0 {
                self.watched(second, region, vec![Watched::Quiet]);
            }
        }
        self.bulk(second);
        self.incident(second);
        self.tell(at(second), EventKind::Tick);
        let half = Timestamp::from_millisecond((BEGIN + second) * 1000 + 500).unwrap_or_default();
        for region in 0..self.world.places.len() {
            if region != 2 || !CUT_OFF.contains(&second) {
                let index = RegionIndex(u16::try_from(region).unwrap_or(0));
                if let Some(place) = self.world.places.get(region) {
                    let said = report(place, sickness(region, second));
                    self.tell(half, EventKind::News(index, News::Region(Ok(Box::new(said)))));
                }
            }
        }
        self.tell(half, EventKind::Tick);
    }

    fn report(&mut self, second: i64, region: usize) {
        if let Some(place) = self.world.places.get(region) {
            let said = report(place, sickness(region, second));
            self.news(second, region, News::Region(Ok(Box::new(said))));
        }
    }

    /// Somebody comes, goes, or leaves a session idle.
    fn somebody(&mut self, second: i64, region: usize) {
        let Some(place) = self.world.places.get_mut(region) else { return };
        let count = u64::try_from(place.sessions.len()).unwrap_or(1);
        let chosen = usize::try_from(self.random.below(count)).unwrap_or(0);
        if self.random.chance(12) {
            let tenants: Vec<_> = place
                .tenants
                .iter()
                .filter(|tenant| tenant.state() == TenantState::Active)
                .map(|tenant| tenant.name.clone())
                .collect();
            let which = self.random.below(u64::try_from(tenants.len()).unwrap_or(1));
            let tenant = usize::try_from(which).ok().and_then(|it| tenants.get(it));
            let Some(tenant) = tenant else { return };
            let new = session(tenant, self.born, SessionPhase::Pending, second, &mut self.random);
            self.born += 1;
            place.sessions.push(new.clone());
            let told = change(ChangeType::Created, session_of(new), "streamspaced", second);
            return self.watched(second, region, vec![told]);
        }
        let Some(one) = place.sessions.get_mut(chosen) else { return };
        let node = format!("node-{}", 1 + self.random.below(9));
        match one.phase() {
            SessionPhase::Pending | SessionPhase::Hibernated => {
                set(one, SessionState::Running, SessionPhase::Running);
                one.node = node;
                one.awake_time = time(second);
                one.last_activity_time = time(second);
            }
            SessionPhase::Running if self.random.chance(25) => {
                set(one, SessionState::Hibernated, SessionPhase::Hibernated);
                one.node = String::new();
            }
            SessionPhase::Running => one.last_activity_time = time(second),
            _ => return,
        }
        let told = change(ChangeType::Updated, session_of(one.clone()), "streamspaced", second);
        self.watched(second, region, vec![told]);
    }

    /// An operation over many sessions of the first region goes on.
    fn bulk(&mut self, second: i64) {
        let passed = second - BULK;
        if !(0..=BULK_LASTS).contains(&passed) || passed % 4 != 0 && passed != BULK_LASTS {
            return;
        }
        let total = 64;
        let settled = total * passed / BULK_LASTS;
        let failed = i64::from(passed > 60) + i64::from(passed > 80);
        let operation = Operation {
            name: "operations/0197-3f2a".into(),
            kind: "session.hibernate".into(),
            target: "tenants/kestrel-bank".into(),
            progress: format!("{settled} of {total}"),
            actor: "ops-2".into(),
            reason: "INC-212 nodes are full".into(),
            create_time: time(BULK),
            done: passed == BULK_LASTS,
            end_time: if passed == BULK_LASTS { time(second) } else { None },
            counts: Some(OperationCounts {
                total,
                pending: total - settled,
                changed: (settled - failed).max(0),
                failed: failed.min(settled),
                ..OperationCounts::default()
            }),
            ..Operation::default()
        };
        let type_ = if passed == 0 { ChangeType::Created } else { ChangeType::Updated };
        let resource = resource::Resource::Operation(operation);
        self.watched(second, 0, vec![change(type_, resource, "ops-2", second)]);
    }

    /// The second region gets slow: sessions do not start, and somebody closes a door.
    fn incident(&mut self, second: i64) {
        let fails = SLOW.contains(&second) && (second - SLOW.start) % 40 == 12;
        let closes = second == SLOW.start + 70;
        let Some(place) = self.world.places.get_mut(1) else { return };
        if fails {
            let name = place.tenants.get(usize::from(second % 80 < 40)).map(|it| it.name.clone());
            let Some(name) = name else { return };
            let mut new = session(&name, self.born, SessionPhase::Failed, second, &mut self.random);
            self.born += 1;
            new.message =
                "Failed to pull image \"registry.example.com/vscode:4.96\": timed out".into();
            place.sessions.push(new.clone());
            let told = change(ChangeType::Created, session_of(new), "streamspaced", second);
            self.watched(second, 1, vec![told]);
        } else if closes && let Some(tenant) = place.tenants.first_mut() {
            tenant.state = TenantState::Cordoned.into();
            tenant.cordon_reason = "INC-97 images cannot be pulled".into();
            let resource = resource::Resource::Tenant(tenant.clone());
            let told = change(ChangeType::Updated, resource, "ops-1", second);
            self.watched(second, 1, vec![told]);
        }
    }
}

/// What is not well in a region.
fn sickness(region: usize, second: i64) -> Option<(&'static str, Health, &'static str, i64)> {
    (region == 1 && SLOW.contains(&second)).then_some((
        "cluster",
        Health::Degraded,
        "the API server takes 4.2 s for a request, 0.2 s is usual",
        SLOW.start,
    ))
}

pub(super) fn set(session: &mut Session, state: SessionState, phase: SessionPhase) {
    session.state = state.into();
    session.phase = phase.into();
    session.message = String::new();
}

pub(super) fn session_of(session: Session) -> resource::Resource {
    resource::Resource::Session(session)
}

pub(super) fn change(
    type_: ChangeType,
    resource: resource::Resource,
    actor: &str,
    second: i64,
) -> Watched {
    Watched::Change(Box::new(Change {
        revision: 482_113 + second,
        r#type: type_.into(),
        resource: Some(Resource { resource: Some(resource) }),
        time: time(second),
        actor: actor.into(),
    }))
}

fn snapshot(place: &Place) -> Vec<Watched> {
    let number = |length: usize| u64::try_from(length).unwrap_or(0);
    let counts = Counts {
        tenants: number(place.tenants.len()),
        sessions: number(place.sessions.len()),
        ..Counts::default()
    };
    let item = |resource| Watched::Item(Box::new(Resource { resource: Some(resource) }));
    let tenants = place.tenants.iter().cloned().map(resource::Resource::Tenant).map(item);
    let sessions = place.sessions.iter().cloned().map(resource::Resource::Session).map(item);
    let mut events = vec![Watched::Connected { resumed: false }, Watched::Snapshot(counts)];
    events.extend(tenants.chain(sessions));
    events.push(Watched::Synced(counts));
    events
}
