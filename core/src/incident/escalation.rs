//! Who must be told of an incident that nobody has acknowledged.
//!
//! The first level is told at once. Each later one is told when the minutes of the level
//! before it have passed without an acknowledgement. After the last one they begin anew, up
//! to [`ROUNDS`] times in all: who sleeps through the first call may hear the next.

use jiff::{SignedDuration, Timestamp};

/// Minutes that a level has to acknowledge, where a policy does not say.
pub const DEFAULT_MINUTES: u16 = 15;
/// The same for tenants of the enterprise plan.
pub const ENTERPRISE_MINUTES: u16 = 5;

/// How often all levels are told. Who is called for hours and does not answer will not.
pub const ROUNDS: usize = 3;

/// One level of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// Who is told: people or rotas, by name.
    pub targets: Vec<String>,
    /// Minutes to acknowledge before the next level is told.
    pub minutes: u16,
    /// The channels that carry it, by name; those that are for pages where it is empty.
    pub channels: Vec<String>,
}

/// The levels where no policy fits: whoever the channels for pages reach, and once more
/// after `minutes`.
#[must_use]
pub fn built_in(minutes: u16) -> Vec<Level> {
    let level = Level { targets: vec!["on call".to_owned()], minutes, channels: Vec::new() };
    vec![level.clone(), level]
}

/// Why a policy is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is nobody to tell.
    #[error("levels: a policy has at least one level; name who is told first")]
    NoLevel,
    /// A level tells nobody.
    #[error("levels[{0}].targets: a level tells at least one person or rota; name one")]
    NoTarget(usize),
    /// A level leaves no time.
    #[error("levels[{0}].minutes: a level has at least one minute; give it 1 or more")]
    NoMinutes(usize),
    /// A level waits as long as the whole recovery may take.
    #[error(
        "levels[{level}].minutes: {minutes} minutes are not shorter than the plan's recovery \
         time objective (rto) of {rto} minutes; give fewer minutes"
    )]
    NotShorterThanRto {
        /// The index of the level.
        level: usize,
        /// Its minutes.
        minutes: u16,
        /// The plan's recovery time objective, in minutes.
        rto: u16,
    },
}

/// Checks the levels of a policy; `rto` is the plan's recovery time objective in minutes,
/// for a policy that is bound to a plan.
///
/// # Errors
///
/// The first [`Refusal`], which names the field and the remedy.
pub fn validate(levels: &[Level], rto: Option<u16>) -> Result<(), Refusal> {
    if levels.is_empty() {
        return Err(Refusal::NoLevel);
    }
    for (index, level) in levels.iter().enumerate() {
        if level.targets.iter().all(|target| target.trim().is_empty()) {
            return Err(Refusal::NoTarget(index));
        }
        if level.minutes == 0 {
            return Err(Refusal::NoMinutes(index));
        }
        if let Some(rto) = rto.filter(|rto| level.minutes >= *rto) {
            return Err(Refusal::NotShorterThanRto { level: index, minutes: level.minutes, rto });
        }
    }
    Ok(())
}

/// How many steps there are until nobody is told any more.
#[must_use]
pub fn steps(levels: &[Level]) -> usize {
    levels.len().saturating_mul(ROUNDS)
}

/// The level of a step, and in which round it is told, from 0. `None`: nobody is told by it.
#[must_use]
pub fn level(levels: &[Level], step: usize) -> Option<(&Level, usize)> {
    let round = step.checked_div(levels.len()).filter(|round| *round < ROUNDS)?;
    Some((levels.get(step.checked_rem(levels.len())?)?, round))
}

/// The steps that are due at `now` for an incident opened at `opened` and
/// acknowledged, if it was, at `acknowledged`. An acknowledgement stops what comes at its
/// instant or later. Whoever tells them keeps which were told, so that each is told once.
#[must_use]
pub fn due(
    levels: &[Level],
    opened: Timestamp,
    acknowledged: Option<Timestamp>,
    now: Timestamp,
) -> Vec<usize> {
    let mut due = Vec::new();
    for step in 0..steps(levels) {
        let Some(at) = due_at(levels, opened, step) else { break };
        if at > now || acknowledged.is_some_and(|acknowledged| acknowledged <= at) {
            break;
        }
        due.push(step);
    }
    due
}

/// When a step is due for an incident opened at `opened` that nobody acknowledges. `None`:
/// there is no such step, or its time is past the calendar's end.
#[must_use]
pub fn due_at(levels: &[Level], opened: Timestamp, step: usize) -> Option<Timestamp> {
    level(levels, step)?;
    let before = levels.iter().cycle().take(step);
    let minutes: i64 = before.map(|level| i64::from(level.minutes)).sum();
    opened.checked_add(SignedDuration::from_mins(minutes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn levels(minutes: &[u16]) -> Vec<Level> {
        minutes
            .iter()
            .map(|&minutes| Level { targets: vec!["lee".into()], minutes, channels: vec![] })
            .collect()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    #[test]
    fn levels_are_told_as_the_minutes_pass() {
        let levels = levels(&[DEFAULT_MINUTES, ENTERPRISE_MINUTES, 1]);
        for (now, expected) in
            [(-1, vec![]), (0, vec![0]), (899, vec![0]), (900, vec![0, 1]), (1200, vec![0, 1, 2])]
        {
            assert_eq!(due(&levels, at(0), None, at(now)), expected, "after {now} s");
        }
        // They begin anew when the minutes of the last one are over, and end after three rounds.
        assert_eq!(due(&levels, at(0), None, at(1259)), [0, 1, 2]);
        assert_eq!(due(&levels, at(0), None, at(1260)), [0, 1, 2, 3]);
        assert_eq!(due(&levels, at(0), None, at(1_000_000)), (0..9).collect::<Vec<_>>());
        assert_eq!(due(&levels, at(0), Some(at(600)), at(5000)), [0]);
        assert_eq!(due(&levels, at(0), Some(at(900)), at(5000)), [0]);
    }

    #[test]
    fn what_cannot_work_is_refused() {
        assert_eq!(validate(&[], None), Err(Refusal::NoLevel));
        assert_eq!(validate(&levels(&[5, 0]), None), Err(Refusal::NoMinutes(1)));
        assert_eq!(
            validate(&levels(&[5, 15]), Some(15)),
            Err(Refusal::NotShorterThanRto { level: 1, minutes: 15, rto: 15 })
        );
        assert_eq!(validate(&levels(&[5, 14]), Some(15)), Ok(()));
        let nobody = Level { targets: vec![" ".into()], minutes: 5, channels: vec![] };
        assert_eq!(validate(&[nobody], None), Err(Refusal::NoTarget(0)));
    }

    proptest! {
        #[test]
        fn a_level_is_never_early_and_never_taken_back(
            minutes in proptest::collection::vec(1_u16..120, 1..6),
            first in 0_i64..40_000,
            later in 0_i64..40_000,
        ) {
            let levels = levels(&minutes);
            let told = due(&levels, at(0), None, at(first));
            for &index in &told {
                let before = minutes.iter().cycle().take(index);
                let wait: i64 = before.map(|&m| i64::from(m) * 60).sum();
                prop_assert!(wait <= first);
            }
            let after = due(&levels, at(0), None, at(first + later));
            prop_assert!(after.starts_with(&told));
        }
    }
}
