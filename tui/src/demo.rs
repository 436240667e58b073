//! Three regions that are made up, to look at the dashboard without a daemon: half an hour in
//! which some things go wrong. The same each time, so that pictures of it can be compared.

use jiff::Timestamp;

use crate::recording::{Film, Troupe};

mod consumption;
mod incidents;
mod promises;
mod script;
mod troupe;
mod world;

/// `2026-11-24T03:12:07Z`, when the story begins.
const BEGIN: i64 = 1_795_489_927;

/// The story, and who answers in it.
pub(crate) fn made_up() -> (Film, Box<dyn Troupe>) {
    larger(1)
}

/// The same with so many times as many tenants.
pub(crate) fn larger(times: u64) -> (Film, Box<dyn Troupe>) {
    let world = world::World::new(times);
    let film = script::film(world.clone());
    (film, Box::new(troupe::Actors::new(world)))
}

/// So many seconds after the begin.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(BEGIN.saturating_add(second)).unwrap_or_default()
}

/// The same, as the contract has it.
#[allow(clippy::unnecessary_wraps, reason = "the messages have optional times")]
fn time(second: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: BEGIN.saturating_add(second), nanos: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_whole_recording_and_the_same_each_time() {
        let events = || {
            let (mut film, _) = made_up();
            assert!(!film.is_cut());
            let mut events = Vec::new();
            while let Some(event) = film.next() {
                events.push(format!("{event:?}"));
            }
            events
        };
        let first = events();
        assert!(first.len() > 1000, "{}", first.len());
        assert_eq!(first, events());
    }
}
