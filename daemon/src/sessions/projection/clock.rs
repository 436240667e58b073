//! The API server's time, as far as it is known.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use streamspace_core::usage::Second;
use tokio::time::Instant;

use super::facts::Clock;

/// What the clocks of several API servers may differ by, in seconds.
pub(super) const SLACK: i64 = 2;

/// What answers told of the time, carried on by how long ago that was. The daemon's own
/// clock has no part in it.
#[derive(Debug, Default)]
pub(super) struct ApiClock(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    told: Option<(Second, Instant)>,
    passed: Option<Second>,
}

impl ApiClock {
    /// An answer to a request that was made at `asked` told this second.
    pub(super) fn told(&self, date: Second, asked: Instant) {
        self.edit(|state| state.told = Some((date, asked)));
    }

    /// Everything before this instant has been told and is stored.
    pub(super) fn passed(&self, at: Second) {
        self.edit(|state| state.passed = Some(state.passed.map_or(at, |passed| passed.max(at))));
    }

    /// Between which instants something lies that is told now.
    pub(super) fn now(&self) -> Clock {
        let mut clock = Clock { floor: Second(i64::MIN), ceiling: Second(i64::MAX) };
        self.edit(|state| {
            clock.floor = state.passed.unwrap_or(clock.floor);
            if let Some((date, asked)) = state.told {
                clock.ceiling = date.plus(seconds(asked.elapsed())).plus(SLACK);
            }
        });
        clock
    }

    fn edit(&self, edit: impl FnOnce(&mut State)) {
        edit(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Whole seconds, rounded up.
pub(super) fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX).saturating_add(1)
}
