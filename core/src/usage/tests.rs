use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::*;
use crate::{
    ids::TenantUid,
    quantity::{Bytes, Millicores},
    session::{SessionPhase, SessionUid},
};

mod books;
mod counters;
mod examples;
mod gaps;
mod periods;

const GIB: i64 = 1 << 30;

/// A second of the 2nd of November 2026, from its time.
fn time(text: &str) -> Second {
    instant(&format!("2026-11-02T{text}Z"))
}

fn instant(text: &str) -> Second {
    Second::holding(text.parse().unwrap())
}

fn uid(number: u128) -> SessionUid {
    SessionUid(Uuid::from_u128(number))
}

fn pod(number: u128, container_start: Second) -> Incarnation {
    Incarnation { pod: PodUid(Uuid::from_u128(number)), container_start }
}

/// 1 vCPU, 2 GiB and a home of 10 GiB.
fn transition(order: u64, at: Second, phase: SessionPhase) -> Transition {
    Transition {
        session: uid(1),
        order: Order(order),
        at,
        state: State {
            phase,
            cpu: Millicores(1000),
            memory: Bytes(2 * GIB),
            home: Bytes(if phase == SessionPhase::Terminated { 0 } else { 10 * GIB }),
        },
        incarnation: None,
    }
}

fn runs(order: u64, at: Second, run: impl Into<Option<Incarnation>>) -> Transition {
    Transition { incarnation: run.into(), ..transition(order, at, SessionPhase::Running) }
}

fn always() -> Span {
    Span::new(Second(i64::MIN), Second(i64::MAX))
}

/// Everything was watched.
fn watched() -> Ledger {
    Ledger::new([], always())
}

fn total(rows: &[Interval]) -> Usage {
    rows.iter().map(|row| row.usage).sum()
}

fn covered(rows: &[Interval]) -> CoveredSeconds {
    rows.iter().fold(CoveredSeconds::default(), |sum, row| sum.plus(&row.covered))
}

fn whole_day() -> Span {
    Span::new(time("00:00:00"), time("23:59:59").plus(1))
}

fn session(number: u128, user: &str) -> Session {
    Session {
        uid: uid(number),
        tenant: TenantUid(Uuid::from_u128(99)),
        user: user.to_owned(),
        template: "firefox".to_owned(),
        name: "work".to_owned(),
    }
}
