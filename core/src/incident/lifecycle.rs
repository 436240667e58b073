//! The life of an incident: `declared → triaged → mitigated → resolved → reviewed`.
//!
//! A step forward may leave out triage and mitigation: at three in the morning what is
//! over is over, and nobody should have to say it twice. A review needs a resolved
//! incident, since the post-mortem tells times that are only then known. A resolved
//! incident may be opened again, with a reason, and is then triaged: its severity and its
//! people are known already. One that nobody had taken and that ended with its alert is
//! declared once more when the alert is back: nobody has judged it yet. A reviewed one stays
//! closed: its post-mortem has been read, and what comes back after that is an incident of
//! its own.

use std::fmt;

/// Where an incident is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Somebody, or an alert, said that something is wrong.
    Declared,
    /// Its severity has been judged.
    Triaged,
    /// Users are not hurt any more; the cause may still be there.
    Mitigated,
    /// The cause is gone.
    Resolved,
    /// The post-mortem has been read and agreed.
    Reviewed,
}

impl State {
    /// All of them, in their order.
    pub const ALL: [Self; 5] =
        [Self::Declared, Self::Triaged, Self::Mitigated, Self::Resolved, Self::Reviewed];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Triaged => "triaged",
            Self::Mitigated => "mitigated",
            Self::Resolved => "resolved",
            Self::Reviewed => "reviewed",
        }
    }

    /// The state of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether somebody still works on it.
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Resolved | Self::Reviewed)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is asked of an incident's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event<'a> {
    /// Judge the severity; once more is allowed while it is only triaged.
    Triage,
    /// Users are not hurt any more.
    Mitigate,
    /// The cause is gone.
    Resolve,
    /// The post-mortem has been agreed.
    Review,
    /// It is back: why.
    Reopen(&'a str),
    /// Its alert is back, and nobody had taken it.
    Return,
}

/// Why an incident does not take a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The step is not one of this state.
    #[error("the incident is {state}: {remedy}")]
    NotNow {
        /// The state that it is in.
        state: State,
        /// What to do instead.
        remedy: &'static str,
    },
    /// An incident is opened again only with a reason.
    #[error("reason: an incident is opened again only with a reason; say what came back")]
    NoReason,
}

/// The state after `event`.
///
/// # Errors
///
/// A [`Refusal`] with the remedy, if the state does not allow the step.
pub fn step(state: State, event: Event<'_>) -> Result<State, Refusal> {
    let not_now = |remedy| Err(Refusal::NotNow { state, remedy });
    match (event, state) {
        (Event::Triage, State::Declared | State::Triaged) => Ok(State::Triaged),
        (Event::Mitigate, State::Declared | State::Triaged) => Ok(State::Mitigated),
        (Event::Resolve, State::Declared | State::Triaged | State::Mitigated) => {
            Ok(State::Resolved)
        }
        (Event::Review, State::Resolved) => Ok(State::Reviewed),
        (Event::Reopen(reason), State::Resolved) => {
            if reason.trim().is_empty() {
                Err(Refusal::NoReason)
            } else {
                Ok(State::Triaged)
            }
        }
        (Event::Return, State::Resolved) => Ok(State::Declared),
        (Event::Review, State::Reviewed) => not_now("nothing is left to do"),
        (Event::Review, _) => not_now("resolve it before its review"),
        (_, State::Reviewed) => not_now("declare a new incident"),
        (Event::Reopen(_) | Event::Return, _) => not_now("it is still open"),
        (_, State::Resolved) => not_now("reopen it first, with a reason"),
        (_, State::Mitigated) => not_now("resolve it next"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_of_every_state_is_as_the_table_says() {
        use State::{Declared, Mitigated, Resolved, Reviewed, Triaged};
        let events = [
            Event::Triage,
            Event::Mitigate,
            Event::Resolve,
            Event::Review,
            Event::Reopen("back"),
            Event::Return,
        ];
        let table = [
            (Declared, [Some(Triaged), Some(Mitigated), Some(Resolved), None, None, None]),
            (Triaged, [Some(Triaged), Some(Mitigated), Some(Resolved), None, None, None]),
            (Mitigated, [None, None, Some(Resolved), None, None, None]),
            (Resolved, [None, None, None, Some(Reviewed), Some(Triaged), Some(Declared)]),
            (Reviewed, [None, None, None, None, None, None]),
        ];
        for (state, after) in table {
            for (event, expected) in events.into_iter().zip(after) {
                assert_eq!(step(state, event).ok(), expected, "{state} and {event:?}");
            }
        }
    }

    #[test]
    fn a_reopening_without_a_reason_is_refused() {
        for reason in ["", " ", "\n\t"] {
            assert_eq!(step(State::Resolved, Event::Reopen(reason)), Err(Refusal::NoReason));
        }
    }
}
