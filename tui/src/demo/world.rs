//! Who and what there is at the begin of the story.

use streamspace_core::load::random::Random;
use streamspace_proto::v1::{
    Component, Condition, ConditionStatus, Health, Leader, Region, Role, Session, SessionPhase,
    SessionState, Subject, Tenant, TenantState, WhoAmIResponse,
};

use super::time;
use crate::state::Target;

/// The regions, and how many tenants each has.
const REGIONS: [(&str, u64); 3] = [("us-east-1", 34), ("us-west-2", 22), ("eu-west-1", 17)];
/// Names of customers that nobody has.
const NAMES: [&str; 24] = [
    "acme-corp",
    "kestrel-bank",
    "northwind",
    "umbra-labs",
    "fjord-media",
    "hollow-pines",
    "island-air",
    "quiet-bay",
    "old-harbour",
    "beta-inc",
    "copper-canyon",
    "delta-foods",
    "ember-studio",
    "frost-and-sons",
    "granite-health",
    "harbour-lights",
    "indigo-games",
    "juniper-law",
    "kiln-works",
    "lumen-optics",
    "maple-school",
    "nova-robotics",
    "orchard-press",
    "pine-street",
];
const USERS: [&str; 12] =
    ["ada", "ben", "cyd", "dan", "eve", "finn", "gus", "hana", "ivo", "jo", "kim", "lea"];
const TEMPLATES: [(&str, &str, &str); 5] = [
    ("firefox-browser", "2", "4Gi"),
    ("vscode", "4", "8Gi"),
    ("ubuntu-desktop", "4", "8Gi"),
    ("blender", "8", "16Gi"),
    ("libreoffice", "1500m", "3Gi"),
];
const COMPONENTS: [&str; 6] =
    ["database", "cluster", "leader", "change-log", "audit-log", "sessions"];

/// One region with all that is in it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) name: &'static str,
    pub(super) tenants: Vec<Tenant>,
    pub(super) sessions: Vec<Session>,
}

/// All regions.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) places: Vec<Place>,
}

impl World {
    /// Made larger so many times.
    pub(super) fn new(times: u64) -> Self {
        let places = (0..).zip(REGIONS).map(|(number, (name, tenants))| {
            let mut random = Random::of([7, number]);
            let tenants = (0..tenants.saturating_mul(times))
                .map(|index| tenant(number, index, name, &mut random));
            let tenants: Vec<_> = tenants.collect();
            let sessions = tenants.iter().flat_map(|one| sessions(one, &mut random)).collect();
            Place { name, tenants, sessions }
        });
        Self { places: places.collect() }
    }

    pub(super) fn targets(&self) -> Vec<Target> {
        let target = |place: &Place| Target {
            context: format!("prod-{}", place.name),
            region: place.name.into(),
            endpoint: format!("admin.{}.example.com:8443", place.name),
            protected: true,
        };
        self.places.iter().map(target).collect()
    }
}

fn tenant(region: u64, index: u64, place: &str, random: &mut Random) -> Tenant {
    let names = u64::try_from(NAMES.len()).unwrap_or(1);
    // Each region has customers of its own, and a few large ones are everywhere.
    let number = if index < 3 { index } else { index + region * 7 };
    let name = usize::try_from(number % names).ok().and_then(|it| NAMES.get(it)).copied();
    let name = name.unwrap_or("acme-corp");
    let id =
        if number < names { name.to_owned() } else { format!("{name}-{}", number / names + 1) };
    let (plan, seats) = match random.below(10) {
        0 => ("enterprise", 200 + random.below(800)),
        1..=3 => ("business", 20 + random.below(200)),
        4..=6 => ("professional", 5 + random.below(60)),
        _ => ("free", 1 + random.below(4)),
    };
    let age = 86_400 * (2 + random.seconds(400));
    let (state, condition) = match (region, index) {
        (0, 2) => (
            TenantState::Provisioning,
            ready(
                ConditionStatus::False,
                "NamespaceExists",
                "namespace tenant-northwind exists and does not belong to this tenant",
                190,
            ),
        ),
        (0, 1) => (
            TenantState::Active,
            ready(
                ConditionStatus::False,
                "Forbidden",
                "networkpolicies is forbidden: User \"streamspaced\" cannot patch resource",
                2410,
            ),
        ),
        (_, 9) => (TenantState::Suspended, applied(age)),
        (1, 5) | (2, 8) => (TenantState::Cordoned, applied(age)),
        (0, 12) => (
            TenantState::Purging,
            ready(
                ConditionStatus::False,
                "NamespaceTerminating",
                "Some resources are remaining: persistentvolumeclaims. has 2 resource instances",
                75,
            ),
        ),
        _ => (TenantState::Active, applied(age)),
    };
    Tenant {
        name: format!("tenants/{id}"),
        uid: format!("018f-{region}-{index}"),
        plan: format!("plans/{plan}"),
        plan_version: 3,
        seats: i32::try_from(seats).unwrap_or(1),
        namespace: format!("tenant-{id}"),
        home_region: format!("regions/{place}"),
        display_name: id.replace('-', " "),
        admin_subjects: vec![Subject {
            name: format!("it@{id}.example.com"),
            ..Subject::default()
        }],
        state: state.into(),
        conditions: vec![condition],
        protected: plan == "enterprise",
        generation: 4,
        observed_generation: 4,
        create_time: time(-age),
        update_time: time(-600 - random.seconds(86_400)),
        etag: format!("4-{index}"),
        ..Tenant::default()
    }
}

fn applied(age: i64) -> Condition {
    ready(ConditionStatus::True, "Applied", "all objects are as wished", age)
}

fn ready(status: ConditionStatus, reason: &str, message: &str, age: i64) -> Condition {
    Condition {
        r#type: "NamespaceReady".into(),
        status: status.into(),
        reason: reason.into(),
        message: message.into(),
        observed_generation: 4,
        last_transition_time: time(-age),
    }
}

fn sessions(tenant: &Tenant, random: &mut Random) -> Vec<Session> {
    if tenant.state() == TenantState::Provisioning {
        return Vec::new();
    }
    let seats = u64::try_from(tenant.seats).unwrap_or(1);
    let count = 1 + random.below((seats / 6 + 2).min(14));
    (0..count)
        .map(|number| {
            let phase = match (tenant.state(), random.below(20)) {
                (TenantState::Suspended, _) | (_, 0..=4) => SessionPhase::Hibernated,
                _ => SessionPhase::Running,
            };
            session(&tenant.name, number, phase, -60 - random.seconds(30_000), random)
        })
        .collect()
}

/// A session that began some seconds after the begin of the story, or before it.
pub(super) fn session(
    tenant: &str,
    number: u64,
    phase: SessionPhase,
    begun: i64,
    random: &mut Random,
) -> Session {
    let pick = |list: usize, random: &mut Random| {
        usize::try_from(random.below(u64::try_from(list).unwrap_or(1))).unwrap_or(0)
    };
    let user = USERS.get(pick(USERS.len(), random)).copied().unwrap_or("ada");
    let template = TEMPLATES.get(pick(TEMPLATES.len(), random)).copied();
    let (template, cpu, memory) = template.unwrap_or(("firefox-browser", "2", "4Gi"));
    let id = format!("{user}-{}-{number}", template.split('-').next().unwrap_or(template));
    let state = match phase {
        SessionPhase::Hibernated => SessionState::Hibernated,
        _ => SessionState::Running,
    };
    let runs = phase == SessionPhase::Running;
    Session {
        name: format!("{tenant}/sessions/{id}"),
        uid: format!("5e55-{:016x}", random.next()),
        user: user.into(),
        template: template.into(),
        state: state.into(),
        phase: phase.into(),
        cpu: cpu.into(),
        memory: memory.into(),
        node: if runs { format!("node-{}", 1 + random.below(9)) } else { String::new() },
        pod_name: if runs { format!("{id}-7d9f4b") } else { String::new() },
        url: format!("https://{id}.stream.example.com/"),
        create_time: time(begun),
        awake_time: time(begun),
        last_activity_time: time((begun + 40).min(-5 - random.seconds(1500))),
        ..Session::default()
    }
}

/// What a region says of itself; one of its parts may not be well.
pub(super) fn report(place: &Place, sick: Option<(&str, Health, &str, i64)>) -> Region {
    let component = |name: &str| match sick {
        Some((part, health, message, since)) if part == name => Component {
            name: name.into(),
            health: health.into(),
            message: message.into(),
            last_transition_time: time(since),
        },
        _ => Component {
            name: name.into(),
            health: Health::Ok.into(),
            last_transition_time: time(-86_400),
            ..Component::default()
        },
    };
    Region {
        name: format!("regions/{}", place.name),
        components: COMPONENTS.map(component).into(),
        daemon_version: env!("CARGO_PKG_VERSION").into(),
        replica: "streamspaced-0".into(),
        leader: Some(Leader { replica: "streamspaced-0".into(), leader_term: 12 }),
        revision: 482_113,
        start_time: time(-9 * 86_400),
        cluster_endpoint: format!("https://k8s.{}.example.com", place.name),
        ..Region::default()
    }
}

pub(super) fn identity(place: &Place) -> WhoAmIResponse {
    WhoAmIResponse {
        operator: "ops-1".into(),
        role: Role::Admin.into(),
        role_name: "admin".into(),
        region: format!("regions/{}", place.name),
        ..WhoAmIResponse::default()
    }
}
