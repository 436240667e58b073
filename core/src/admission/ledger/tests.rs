use uuid::Uuid;

use super::*;
use crate::{
    admission::Measure,
    ids::PlanId,
    plan::Quota,
    quantity::{Bytes, Millicores},
};

pub(super) fn limits(user_sessions: i32, user_memory: i64) -> Limits {
    Limits {
        plan: PlanId::parse("professional").unwrap(),
        user_sessions: Some(user_sessions),
        user_memory: Some(Bytes(user_memory)),
        quota: Quota {
            cpu: Millicores(1_000_000),
            memory: Bytes(1_000_000),
            storage: Bytes(1),
            pods: 1000,
        },
        reservations: 100,
    }
}

pub(super) fn place(memory: i64) -> Place {
    Place {
        sessions: 1,
        pods: 1,
        cpu: Millicores(1),
        cpu_limit: Millicores(1),
        memory: Bytes(memory),
        memory_limit: Bytes(memory),
    }
}

pub(super) fn uid(number: u128) -> SessionUid {
    SessionUid(Uuid::from_u128(number))
}

pub(super) fn name(name: &str) -> SessionName {
    SessionName::parse(name).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn request(session: &str, uid_number: u128, generation: i64, memory: i64) -> Request {
    Request {
        name: name(session),
        uid: Some(uid(uid_number)),
        generation,
        user: UserName::parse("ada").unwrap(),
        place: place(memory),
    }
}

fn seen(session: &str, uid_number: u128, generation: i64, memory: Option<i64>) -> Observation {
    Observation {
        name: name(session),
        uid: uid(uid_number),
        generation,
        user: UserName::parse("ada").unwrap(),
        place: memory.map(place),
    }
}

/// Until when it is reserved, where it is, or what refuses it.
type Answer = Result<Option<Timestamp>, Vec<Reason>>;

fn admit(ledger: &mut Ledger, request: &Request, limits: &Limits) -> Answer {
    match ledger.admit(request, limits, TenantState::Active, at(0)) {
        Ok(Admitted::Held) => Ok(None),
        Ok(Admitted::Reserved(kept)) => {
            assert!(ledger.reservations().any(|open| *open == kept));
            Ok(Some(kept.expire_time))
        }
        Err(refusals) => Err(refusals.iter().map(|refusal| refusal.reason).collect()),
    }
}

const RESERVED: Answer = Ok(Some(Timestamp::constant(75, 0)));

fn full() -> Answer {
    Err(vec![Reason::User(Measure::Sessions)])
}

#[test]
fn of_ten_at_once_five_get_the_five_places() {
    let mut ledger = Ledger::new();
    let admitted = (0..10_u8)
        .filter(|n| {
            let request = request(&format!("s{n}"), u128::from(*n), 1, 1);
            admit(&mut ledger, &request, &limits(5, 100)).is_ok()
        })
        .count();
    assert_eq!((admitted, ledger.open(), ledger.total().sessions), (5, 5, 5));
}

#[test]
fn memory_is_reserved_as_well() {
    let mut ledger = Ledger::new();
    assert_eq!(admit(&mut ledger, &request("a", 1, 1, 6), &limits(5, 10)), RESERVED);
    assert_eq!(
        admit(&mut ledger, &request("b", 2, 1, 5), &limits(5, 10)),
        Err(vec![Reason::User(Measure::Memory)])
    );
    assert_eq!(admit(&mut ledger, &request("c", 3, 1, 4), &limits(5, 10)), RESERVED);
}

#[test]
fn a_retried_creation_takes_no_second_place() {
    let mut ledger = Ledger::new();
    let one = limits(1, 100);
    assert_eq!(admit(&mut ledger, &request("a", 1, 1, 2), &one), RESERVED);
    // The same request, and another attempt, to which the API server gives another uid.
    assert_eq!(admit(&mut ledger, &request("a", 1, 1, 2), &one), RESERVED);
    assert_eq!(admit(&mut ledger, &request("a", 2, 1, 2), &one), RESERVED);
    assert_eq!((ledger.total().sessions, ledger.total().memory.0), (1, 2));
    assert_eq!(admit(&mut ledger, &request("b", 3, 1, 2), &one), full());
    // The first was stored: the second stays until its time is over, in the same place.
    ledger.observe(seen("a", 1, 1, Some(2)));
    assert_eq!((ledger.open(), ledger.total().sessions), (1, 1));
    assert_eq!((ledger.expire(at(74)), ledger.expire(at(75))), (0, 1));
    assert_eq!(ledger.total().sessions, 1);
}

#[test]
fn an_update_of_what_runs_takes_no_second_place() {
    let mut ledger = Ledger::new();
    let one = limits(1, 10);
    ledger.relist([seen("a", 1, 3, Some(4))]);
    // Of labels, which leave the generation; and of the wish.
    assert_eq!(admit(&mut ledger, &request("a", 1, 3, 4), &one), Ok(None));
    assert_eq!(admit(&mut ledger, &request("a", 1, 4, 9), &one), RESERVED);
    assert_eq!((ledger.total().sessions, ledger.total().memory.0), (1, 9));
    // Old news does not meet it, and the new does.
    ledger.observe(seen("a", 1, 3, Some(4)));
    assert_eq!((ledger.open(), ledger.total().memory.0), (1, 9));
    ledger.observe(seen("a", 1, 4, Some(9)));
    assert_eq!((ledger.open(), ledger.total().memory.0), (0, 9));
    assert_eq!(
        admit(&mut ledger, &request("a", 1, 5, 11), &one),
        Err(vec![Reason::User(Measure::Memory)])
    );
}

#[test]
fn a_wake_needs_a_place_and_a_sleep_frees_one() {
    let mut ledger = Ledger::new();
    let one = limits(1, 10);
    ledger.relist([seen("a", 1, 1, Some(1)), seen("b", 2, 1, None)]);
    assert_eq!(admit(&mut ledger, &request("b", 2, 2, 1), &one), full());
    ledger.observe(seen("a", 1, 2, None));
    assert_eq!(admit(&mut ledger, &request("b", 2, 2, 1), &one), RESERVED);
    assert_eq!(admit(&mut ledger, &request("a", 1, 3, 1), &one), full());
    // The watch shows again what b was before: it does not lose the place.
    ledger.observe(seen("b", 2, 1, None));
    assert_eq!(ledger.open(), 1);
    // Its object went: nobody needs to wait for the end of the time.
    ledger.remove(&name("b"), uid(2));
    assert_eq!((ledger.open(), ledger.total()), (0, Place::default()));
}

#[test]
fn a_name_that_comes_back_is_another_session() {
    let mut ledger = Ledger::new();
    let one = limits(1, 10);
    ledger.relist([seen("a", 1, 7, Some(1))]);
    // The old one was deleted, which the watch has yet to show.
    assert_eq!(admit(&mut ledger, &request("a", 2, 1, 1), &one), RESERVED);
    ledger.observe(seen("a", 1, 8, Some(1)));
    ledger.remove(&name("a"), uid(1));
    assert_eq!((ledger.open(), ledger.total().sessions), (1, 1));
    ledger.observe(seen("a", 2, 1, Some(1)));
    assert_eq!((ledger.open(), ledger.total().sessions), (0, 1));
    // Late news of the old one removes nothing.
    ledger.remove(&name("a"), uid(1));
    assert_eq!(ledger.total().sessions, 1);
}

#[test]
fn without_a_uid_a_later_object_of_the_name_meets_it() {
    let mut ledger = Ledger::new();
    ledger.relist([seen("a", 1, 7, None)]);
    let unborn = Request { uid: None, ..request("a", 0, 1, 1) };
    assert_eq!(admit(&mut ledger, &unborn, &limits(1, 10)), RESERVED);
    ledger.observe(seen("a", 1, 8, None));
    assert_eq!(ledger.open(), 1);
    ledger.observe(seen("a", 2, 1, Some(1)));
    assert_eq!((ledger.open(), ledger.total().sessions), (0, 1));
}

#[test]
fn a_session_that_changes_its_user_counts_with_both_until_it_is_seen() {
    let mut ledger = Ledger::new();
    ledger.relist([seen("a", 1, 1, Some(1))]);
    let (ada, grace) = (UserName::parse("ada").unwrap(), UserName::parse("grace").unwrap());
    let given = Request { user: grace.clone(), ..request("a", 1, 2, 1) };
    assert_eq!(admit(&mut ledger, &given, &limits(1, 10)), RESERVED);
    assert_eq!((ledger.of_user(&ada).len(), ledger.of_user(&grace).len()), (1, 1));
    assert_eq!(ledger.total().sessions, 1);
    ledger.observe(Observation { user: grace.clone(), ..seen("a", 1, 2, Some(1)) });
    assert_eq!((ledger.of_user(&ada).len(), ledger.of_user(&grace).len()), (0, 1));
}

#[test]
fn reservations_are_capped_and_end() {
    let mut ledger = Ledger::new();
    let few = Limits { reservations: 2, ..limits(100, 100) };
    assert_eq!(admit(&mut ledger, &request("a", 1, 1, 1), &few), RESERVED);
    assert_eq!(admit(&mut ledger, &request("b", 2, 1, 1), &few), RESERVED);
    let before = ledger.clone();
    assert_eq!(admit(&mut ledger, &request("c", 3, 1, 1), &few), Err(vec![Reason::Reservations]));
    assert_eq!(ledger, before);
    // One that is there is renewed all the same.
    assert_eq!(admit(&mut ledger, &request("b", 2, 1, 1), &few), RESERVED);
    assert_eq!(ledger.next_expiry(), Some(at(75)));
    assert_eq!(ledger.expire(at(75)), 2);
    assert_eq!((ledger.next_expiry(), ledger), (None, Ledger::new()));
}

#[test]
fn a_rehearsal_reserves_nothing() {
    let ledger = Ledger::new();
    let asked = ledger.check(&request("a", 1, 1, 1), &limits(1, 10), TenantState::Active);
    assert_eq!((asked, ledger.open()), (Ok(()), 0));
    let closed = ledger.check(&request("a", 1, 1, 1), &limits(1, 10), TenantState::Cordoned);
    assert_eq!(closed.unwrap_err()[0].reason, Reason::TenantClosed(TenantState::Cordoned));
}
