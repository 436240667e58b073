use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::*;
use crate::{
    ids::TenantUid,
    plan,
    session::{SessionName, SessionPhase, SessionUid, TemplateName, UserName},
    usage::{History, Ledger, Order, Second, Span, Transition, Usage, intervals},
};

/// Monday, the second of November 2026, midnight of UTC.
const MONDAY: Second = Second(1_793_577_600);
const DAY: i64 = 86_400;

fn tenant(number: u128, users: u32, plan: &str, zone_seconds: i64) -> TenantLoad {
    let plan = plan::seeded().unwrap().into_iter().find(|it| it.id.as_str() == plan).unwrap();
    let uid = TenantUid(Uuid::from_u128(number));
    TenantLoad::of_plan(uid, users, &plan, Rhythm::office(zone_seconds))
}

fn three(seed: u64, days: i64) -> Load {
    Load {
        seed,
        begin: MONDAY,
        end: MONDAY.plus(days * DAY),
        closes: true,
        tenants: vec![
            tenant(1, 20, "business", 3600),
            tenant(2, 10, "professional", -18_000),
            tenant(3, 2, "free", 19_800),
        ],
        templates: templates(),
    }
}

#[test]
fn the_same_seed_gives_the_same_events() {
    let text = |seed| format!("{:?}", three(seed, 7).events().collect::<Vec<_>>());
    let first = text(7);
    assert!(first == text(7) && first != text(8));
    // And on every machine: a sum over what is metered.
    let sum = transitions(three(7, 7).events(), Order(1)).fold(0_u64, |sum, (_, fact)| {
        let run = fact.incarnation.map_or(0, |run| run.pod.0.as_u64_pair().0);
        let parts = [fact.at.0, fact.state.cpu.0, fact.state.memory.0, fact.state.home.0];
        let parts = parts.map(i64::cast_unsigned).into_iter().chain([run]);
        parts.fold(sum, |sum, part| sum.wrapping_mul(31).wrapping_add(part))
    });
    assert_eq!(sum, 6_162_921_883_792_265_055);
}

#[test]
fn another_tenant_changes_nothing_of_the_others() {
    let of_first = |load: Load| {
        let uid = load.tenants[0].uid;
        load.events().filter(|(_, event)| event.subject.tenant == uid).collect::<Vec<_>>()
    };
    let mut fewer = three(7, 7);
    fewer.tenants.truncate(1);
    assert_eq!(of_first(fewer), of_first(three(7, 7)));
    // And what is made up does not depend on how far one looks.
    let early: Vec<_> = Load { closes: false, ..three(7, 7) }.events().collect();
    let late: Vec<_> = three(7, 9).events().take(early.len()).collect();
    assert_eq!(early, late);
}

#[test]
fn what_happens_is_a_life() {
    let mut states: BTreeMap<_, LoadEvent> = BTreeMap::new();
    let mut homes: BTreeMap<(TenantUid, String), SessionUid> = BTreeMap::new();
    let mut names = BTreeSet::new();
    let mut counts: BTreeMap<Change, u32> = BTreeMap::new();
    let mut pods = BTreeSet::new();
    let mut before = MONDAY;
    for (at, event) in three(7, 30).events() {
        assert!(at >= before && at <= MONDAY.plus(30 * DAY));
        before = at;
        *counts.entry(event.change).or_default() += 1;
        let subject = &event.subject;
        UserName::parse(&subject.user).unwrap();
        let last = states.insert(subject.uid, event.clone());
        let was = last.as_ref().map(|last| last.state.phase);
        let is_running = event.state.phase == SessionPhase::Running;
        assert_eq!(event.incarnation.is_some(), is_running);
        if event.kind == LoadKind::Home {
            match event.change {
                Change::HomeCreated => {
                    let user = (subject.tenant, subject.user.clone());
                    assert_eq!(homes.insert(user, subject.uid), None);
                }
                Change::HomeGrown => assert!(event.state.home > last.unwrap().state.home),
                _ => assert_eq!(event.state.home.0, 0),
            }
            continue;
        }
        SessionName::parse(&subject.name).unwrap();
        TemplateName::parse(&subject.template).unwrap();
        match event.change {
            Change::Created => {
                assert!(last.is_none());
                assert!(homes.contains_key(&(subject.tenant, subject.user.clone())));
                assert!(names.insert((subject.tenant, subject.name.clone())));
            }
            Change::Woken => assert_eq!(was, Some(SessionPhase::Hibernated)),
            Change::Started => {
                assert!(matches!(was, Some(SessionPhase::Pending | SessionPhase::Failed)));
                assert!(pods.insert(event.incarnation.unwrap().pod), "another pod each time");
            }
            Change::Crashed if is_running => {
                let (run, last) = (event.incarnation.unwrap(), last.unwrap().incarnation.unwrap());
                assert!(run.pod == last.pod && run.container_start > last.container_start);
            }
            Change::Terminated { .. } => {
                assert!(was.is_some_and(|was| was != SessionPhase::Terminated));
                names.remove(&(subject.tenant, subject.name.clone()));
            }
            _ => assert!(was.is_some_and(|was| was != SessionPhase::Terminated)),
        }
    }
    assert!(states.values().all(|last| last.state.phase == SessionPhase::Terminated));
    // Of each kind there is something, of most there is much.
    assert_eq!(counts.len(), 13, "{counts:?}");
    assert!(counts[&Change::Created] > 800 && counts[&Change::Woken] > 300, "{counts:?}");
    assert_eq!(homes.len(), 32);
}

#[test]
fn users_keep_to_their_plan() {
    let load = three(3, 30);
    let limits: BTreeMap<_, _> = load.tenants.iter().map(|it| (it.uid, it.clone())).collect();
    let mut awake: BTreeMap<(TenantUid, String), BTreeMap<SessionUid, i64>> = BTreeMap::new();
    let mut most = 0;
    for (_, event) in load.events().filter(|(_, event)| event.kind == LoadKind::Session) {
        let subject = &event.subject;
        let user = awake.entry((subject.tenant, subject.user.clone())).or_default();
        match event.state.phase {
            SessionPhase::Hibernated | SessionPhase::Terminated => user.remove(&subject.uid),
            _ => user.insert(subject.uid, event.state.memory.0),
        };
        most = most.max(user.len());
        let tenant = &limits[&subject.tenant];
        assert!(user.len() <= usize::try_from(tenant.user_sessions.unwrap()).unwrap());
        assert!(user.values().sum::<i64>() <= tenant.user_memory.unwrap().0);
    }
    assert!(most > 1);
}

#[test]
fn a_working_day_has_two_hills_and_a_weekend_has_none() {
    let mut load = three(5, 28);
    load.tenants.truncate(1);
    load.tenants[0].users = 100;
    load.tenants[0].rhythm.zone_seconds = 0;
    let mut hours = [[0_u32; 24]; 2];
    for (at, event) in load.events() {
        if event.change == Change::Created {
            let since = at.0 - MONDAY.0;
            let weekend = usize::from(since / DAY % 7 >= 5);
            hours[weekend][usize::try_from(since % DAY / 3600).unwrap()] += 1;
        }
    }
    let [work, weekend] = hours;
    assert!(work[9] > work[12] && work[14] > work[12] && work[9] > 10 * work[3].max(1), "{work:?}");
    assert!(work.iter().sum::<u32>() > 10 * weekend.iter().sum::<u32>(), "{weekend:?}");
}

/// What the metering makes of the facts.
fn metered(facts: &[(LoadEvent, Transition)], span: Span) -> BTreeMap<TenantUid, Usage> {
    let tenants: BTreeMap<_, _> =
        facts.iter().map(|(event, _)| (event.subject.uid, event.subject.tenant)).collect();
    let ledger = Ledger::new([], Span::new(MONDAY, MONDAY.plus(100 * DAY)));
    let mut sums: BTreeMap<TenantUid, Usage> = BTreeMap::new();
    for (uid, history) in History::by_session(facts.iter().map(|(_, fact)| *fact)) {
        for row in intervals(&history, &ledger, span) {
            *sums.entry(tenants[&uid]).or_default() += row.usage;
            let seconds = row.covered;
            assert!(seconds.kinds().all(|(coverage, _)| coverage.is_exact()));
        }
    }
    sums
}

#[test]
fn the_integral_over_intervals_is_the_oracle() {
    for (closes, from, days) in [(true, 0, 10), (false, 0, 10), (false, 3, 4)] {
        let load = Load { closes, ..three(11, 10) };
        let span = Span::new(MONDAY.plus(from * DAY), MONDAY.plus((from + days) * DAY));
        let mut oracle = Oracle::new(span);
        let events = load.events().inspect(|(at, event)| oracle.see(*at, event));
        let facts: Vec<_> = transitions(events, Order(100)).collect();
        assert!(facts.iter().zip(100..).all(|((_, fact), order)| fact.order == Order(order)));
        let truth = oracle.usage();
        assert_eq!(metered(&facts, span), truth);
        let first = &truth[&TenantUid(Uuid::from_u128(1))];
        assert!(first.started.0 > 20 && first.sessions.0 > 100_000 && first.storage.0 > 0);
    }
}

/// In memory are the users and what lives.
#[test]
fn a_month_of_a_thousand_sessions_takes_the_room_of_what_lives() {
    let load = Load { tenants: vec![tenant(9, 1000, "business", 0)], ..three(1, 30) };
    let mut events = load.events();
    let (mut count, mut most) = (0_u32, 0);
    while events.next().is_some() {
        count += 1;
        if count % 1000 == 0 {
            most = most.max(events.alive());
            assert!(events.waiting() < 3 * (1000 + events.alive()));
        }
    }
    assert!(most > 1000 && count > 200_000);
}

#[test]
fn loads_of_nothing_are_empty() {
    let none = |load: Load| assert_eq!(load.events().count(), 0);
    none(Load { tenants: Vec::new(), ..three(1, 30) });
    none(Load { templates: Vec::new(), ..three(1, 30) });
    none(three(1, 0));
    none(three(1, -1));
}
