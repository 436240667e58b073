use proptest::prelude::*;

use super::*;
use crate::{plan, session};

const GIBIBYTE: i64 = 1 << 30;

fn name(name: &str) -> SessionName {
    SessionName::parse(name).unwrap()
}

/// A place of one pod with so much memory and one core.
fn place(gibibytes: i64) -> Place {
    Place {
        sessions: 1,
        pods: 1,
        cpu: Millicores(1000),
        cpu_limit: Millicores(1000),
        memory: Bytes(gibibytes * GIBIBYTE),
        memory_limit: Bytes(gibibytes * GIBIBYTE),
    }
}

fn holders(held: &[(&str, i64)]) -> Vec<Holder> {
    held.iter()
        .map(|(session, memory)| Holder { name: name(session), place: place(*memory) })
        .collect()
}

fn held(by_user: &[(&str, i64)]) -> Held {
    let by_user = holders(by_user);
    let by_tenant = by_user.iter().fold(Place::default(), |sum, one| sum.plus(one.place));
    Held { by_user, by_tenant, ..Held::default() }
}

fn limits(id: &str) -> Limits {
    let plan = plan::seeded().unwrap().into_iter().find(|plan| plan.id.as_str() == id).unwrap();
    Limits::of(&plan, &plan.quota)
}

fn told(place: Place, held: &Held, limits: &Limits, tenant: TenantState) -> Vec<String> {
    let (name, user) = (name("new"), UserName::parse("ada").unwrap());
    let ask = Ask { name: &name, user: &user, place };
    check(&ask, held, limits, tenant).iter().map(ToString::to_string).collect()
}

#[test]
fn what_fits_starts() {
    let none: [String; 0] = [];
    assert_eq!(told(place(2), &held(&[]), &limits("free"), TenantState::Active), none);
    let four = [("a", 3), ("b", 3), ("c", 3), ("d", 3)];
    let professional = limits("professional");
    assert_eq!(told(place(4), &held(&four), &professional, TenantState::Active), none);
    let many: Vec<(String, i64)> = (0..100).map(|number| (format!("s{number}"), 9)).collect();
    let many: Vec<(&str, i64)> =
        many.iter().map(|(name, memory)| (name.as_str(), *memory)).collect();
    assert_eq!(told(place(9), &held(&many), &limits("enterprise"), TenantState::Active), none);
}

#[test]
fn a_refusal_says_the_limit_what_is_used_by_what_and_what_to_do() {
    let active = TenantState::Active;
    assert_eq!(
        told(place(1), &held(&[("old", 1)]), &limits("free"), active),
        ["user `ada` may run 1 session at once by plan free, and 1 run or start (`old`): \
             hibernate or terminate another session, for example `old`, or move the tenant to a \
             larger plan"]
    );
    let professional = limits("professional");
    assert_eq!(
        told(
            place(1),
            &held(&[("a", 1), ("b", 1), ("c", 2), ("d", 1), ("e", 1)]),
            &professional,
            active
        ),
        ["user `ada` may run 5 sessions at once by plan professional, and 5 run or start (`a`, \
             `b`, `c` and 2 more): hibernate or terminate another session, for example `a`, or \
             move the tenant to a larger plan"]
    );
    assert_eq!(
        told(place(4), &held(&[("a", 6), ("b", 8)]), &professional, active),
        ["user `ada` may have 16Gi of memory by plan professional, 14Gi is in use (`b` 8Gi, \
             `a` 6Gi), and `new` needs 4Gi: hibernate or terminate another session, for example \
             `b`, or lower the memory in spec.resources to at most 2Gi, or move the tenant to a \
             larger plan"]
    );
    assert_eq!(
        told(place(4), &held(&[]), &limits("free"), active),
        ["user `ada` may have 2Gi of memory by plan free, nothing is in use, and `new` needs \
             4Gi: lower the memory in spec.resources to at most 2Gi, or move the tenant to a \
             larger plan"]
    );
    let others = Held { by_tenant: Place { cpu: Millicores(3500), ..place(2) }, ..held(&[]) };
    assert_eq!(
        told(place(2), &others, &limits("free"), active),
        ["the tenant may have 4 of CPU by its quota, 3500m is in use by other sessions, and \
             `new` needs 1: hibernate or terminate other sessions of the tenant, or lower the CPU \
             in spec.resources to at most 500m, or let an operator raise the quota"]
    );
}

#[test]
fn a_large_limit_hides_behind_no_small_request() {
    let hidden = Place { memory: Bytes(1 << 20), memory_limit: Bytes(5 * GIBIBYTE), ..place(1) };
    let refusals = told(hidden, &held(&[]), &limits("free"), TenantState::Active);
    assert_eq!(refusals.len(), 1);
    assert!(refusals[0].starts_with("user `ada` may have 4Gi of memory limits"), "{refusals:?}");
    let honest = Place { memory_limit: Bytes(4 * GIBIBYTE), ..place(2) };
    assert!(told(honest, &held(&[]), &limits("free"), TenantState::Active).is_empty());
}

#[test]
fn a_shared_session_counts_with_its_copies() {
    let mut written = session::WrittenSession {
        name: "shared".into(),
        user: "ada".into(),
        template: "firefox".into(),
        state: session::SessionState::Running,
        resources: None,
        persistent_home: None,
        idle_timeout: None,
        max_session_duration: None,
        tags: Vec::new(),
        max_replicas: Some(10),
    };
    let allotment =
        session::resolve(&session::Resources::default(), None, &session::Resources::default());
    let of =
        |written: &session::WrittenSession| Place::of(&session::read(written).unwrap(), &allotment);
    let ten = of(&written);
    assert_eq!((ten.sessions, ten.pods, ten.memory), (1, 10, Bytes(20 * GIBIBYTE)));
    let refusals = told(ten, &held(&[]), &limits("professional"), TenantState::Active);
    assert_eq!(refusals.len(), 1);
    assert!(refusals[0].contains("to at most 1638Mi for each copy"), "{refusals:?}");
    written.max_replicas = None;
    assert_eq!(of(&written), place(2));
    let pods = Held { by_tenant: Place { pods: 15, ..Place::default() }, ..held(&[]) };
    let small = Place { pods: 10, ..place(1) };
    let refusals = told(small, &pods, &limits("free"), TenantState::Active);
    assert!(refusals[0].contains("lower spec.shared.maxReplicas to at most 5,"), "{refusals:?}");
}

#[test]
fn a_closed_tenant_starts_nothing_new() {
    for (tenant, part) in [
        (TenantState::Cordoned, "the tenant is cordoned, and nothing new starts: wait until"),
        (TenantState::Suspended, "wait until an operator resumes it"),
        (TenantState::Provisioning, "in a minute or so"),
        (TenantState::Archived, "must restore it first"),
        (TenantState::Gone, "use another tenant"),
    ] {
        let refusals = told(place(1), &held(&[]), &limits("free"), tenant);
        assert_eq!(refusals.len(), 1);
        assert!(refusals[0].contains(part), "{refusals:?}");
        // What runs is updated all the same.
        let running = Held { own: place(1), own_by_user: place(1), ..held(&[]) };
        assert!(told(place(1), &running, &limits("free"), tenant).is_empty());
    }
}

#[test]
fn what_runs_over_a_lowered_limit_is_not_asked_again() {
    // Two sessions of 4Gi, and the plan became a free one.
    let over = Held { own: place(4), own_by_user: place(4), ..held(&[("other", 4)]) };
    let free = limits("free");
    assert!(told(place(4), &over, &free, TenantState::Active).is_empty());
    assert!(told(place(3), &over, &free, TenantState::Active).is_empty());
    // More memory is refused for the memory alone.
    let reasons: Vec<Reason> = {
        let (name, user) = (name("new"), UserName::parse("ada").unwrap());
        let ask = Ask { name: &name, user: &user, place: place(5) };
        check(&ask, &over, &free, TenantState::Active).iter().map(|r| r.reason).collect()
    };
    assert_eq!(
        reasons,
        [
            Reason::User(Measure::Memory),
            Reason::User(Measure::MemoryLimit),
            Reason::Tenant(Measure::Memory)
        ]
    );
}

fn places() -> impl Strategy<Value = Place> {
    (0..4_i64, 0..40_i64, 0..40_i64, 0..9000_i64).prop_map(|(pods, memory, more, cpu)| Place {
        sessions: 1,
        pods,
        cpu: Millicores(cpu),
        cpu_limit: Millicores(cpu + more),
        memory: Bytes(memory * GIBIBYTE / 2),
        memory_limit: Bytes((memory + more) * GIBIBYTE / 2),
    })
}

proptest! {
    #[test]
    fn what_is_admitted_fits_and_what_is_refused_does_not(
        place in places(), others in prop::collection::vec(places(), 0..6),
    ) {
        let limits = limits("professional");
        let by_user: Vec<Holder> = (0..).zip(&others)
            .map(|(number, place)| Holder { name: name(&format!("s{number}")), place: *place })
            .collect();
        let sum = others.iter().fold(place, |sum, one| sum.plus(*one));
        let by_tenant = others.iter().fold(Place::default(), |sum, one| sum.plus(*one));
        let held = Held { by_user, by_tenant, ..Held::default() };
        // Nothing is refused for what it does not ask for.
        let fits = [
            (place.sessions, sum.sessions, 5),
            (place.memory.0, sum.memory.0, 16 * GIBIBYTE),
            (place.memory_limit.0, sum.memory_limit.0, 32 * GIBIBYTE),
            (place.cpu.0, sum.cpu.0, 40_000),
            (place.cpu_limit.0, sum.cpu_limit.0, 80_000),
            (place.pods, sum.pods, 200),
        ]
        .into_iter()
        .all(|(asked, together, allowed)| asked == 0 || together <= allowed);
        let refusals = told(place, &held, &limits, TenantState::Active);
        prop_assert_eq!(refusals.is_empty(), fits, "{:?}", refusals);
    }
}
