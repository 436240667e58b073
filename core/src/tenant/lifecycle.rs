//! The life of a tenant, as a function from a state and an event to the next state.
//!
//! ```text
//!                        Provisioned
//!    provisioning ──────────────────────────► active · cordoned · suspended · archived
//!         │                                                     │
//!         └──────────────── DeleteRequested ────────────────────┤
//!                                                               ▼
//!                                             purging ── ClusterEmpty ──► gone
//! ```
//!
//! A tenant that fails to provision, or that the daemon cannot repair, keeps its state:
//! its conditions say what is wrong. Nothing leads back from `purging`, and only
//! `purging` leads to `gone`.

use std::fmt;

use thiserror::Error;

/// Where a tenant is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TenantState {
    /// Accepted; the cluster does not have all of it yet.
    Provisioning,
    /// The cluster has all of it.
    Active,
    /// Nothing new starts; what runs goes on.
    Cordoned,
    /// Every session is hibernated.
    Suspended,
    /// Only its data is kept.
    Archived,
    /// Being deleted from the cluster.
    Purging,
    /// Deleted; only the tombstone remains.
    Gone,
}

impl TenantState {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 7] = [
        Self::Provisioning,
        Self::Active,
        Self::Cordoned,
        Self::Suspended,
        Self::Archived,
        Self::Purging,
        Self::Gone,
    ];

    /// The word for it, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::Cordoned => "cordoned",
            Self::Suspended => "suspended",
            Self::Archived => "archived",
            Self::Purging => "purging",
            Self::Gone => "gone",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether the daemon keeps the tenant's objects in the cluster.
    pub fn wants_objects(self) -> bool {
        !matches!(self, Self::Purging | Self::Gone)
    }
}

impl fmt::Display for TenantState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What can happen to a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The cluster was seen to have all that the tenant needs.
    Provisioned,
    /// An operator asked for its deletion.
    DeleteRequested {
        /// Whether the tenant is protected.
        protected: bool,
    },
    /// The cluster was seen to have nothing of the tenant any more.
    ClusterEmpty,
}

/// Why an event is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}: {next_step}")]
pub struct Refusal {
    /// The rule that refused, for programs.
    pub rule: &'static str,
    /// What is in the way.
    pub message: String,
    /// What to do.
    pub next_step: &'static str,
}

/// The state after an event, or why the event is refused. Every pair has an answer.
///
/// An observation that tells nothing new leaves the state as it is, so a reconciler may
/// report it as often as it likes.
pub fn advance(state: TenantState, event: Event) -> Result<TenantState, Refusal> {
    use TenantState::{Active, Archived, Cordoned, Gone, Provisioning, Purging, Suspended};
    match (event, state) {
        (Event::Provisioned, Provisioning) => Ok(Active),
        (Event::Provisioned, Active | Cordoned | Suspended | Archived) => Ok(state),
        (Event::Provisioned, Purging | Gone) => Err(Refusal {
            rule: "no-way-back",
            message: format!("the tenant is {state} and cannot become active"),
            next_step: "create a new tenant",
        }),

        (Event::DeleteRequested { .. }, Purging) => Err(Refusal {
            rule: "already-purging",
            message: "the tenant is already being deleted".to_owned(),
            next_step: "wait for the operation that is under way",
        }),
        (Event::DeleteRequested { .. }, Gone) => Err(Refusal {
            rule: "already-gone",
            message: "the tenant is deleted already".to_owned(),
            next_step: "there is nothing left to do",
        }),
        (Event::DeleteRequested { protected: true }, _) => Err(Refusal {
            rule: "protected",
            message: "the tenant is protected, and nothing destructive is done to it".to_owned(),
            next_step: "clear `protected` on the tenant first, then delete it",
        }),
        (
            Event::DeleteRequested { protected: false },
            Provisioning | Active | Cordoned | Suspended | Archived,
        ) => Ok(Purging),

        (Event::ClusterEmpty, Purging | Gone) => Ok(Gone),
        (Event::ClusterEmpty, Provisioning | Active | Cordoned | Suspended | Archived) => {
            Err(Refusal {
                rule: "not-purging",
                message: format!(
                    "the tenant is {state}, and its absence in the cluster deletes nothing"
                ),
                next_step: "apply its objects again",
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DELETE: Event = Event::DeleteRequested { protected: false };
    const DELETE_PROTECTED: Event = Event::DeleteRequested { protected: true };
    const EVENTS: [Event; 4] = [Event::Provisioned, DELETE, DELETE_PROTECTED, Event::ClusterEmpty];

    #[test]
    fn the_whole_table() {
        #[rustfmt::skip]
        let table = [
            // state         provisioned    delete             delete protected   cluster empty
            ("provisioning", "active",      "purging",         "protected!",      "not-purging!"),
            ("active",       "active",      "purging",         "protected!",      "not-purging!"),
            ("cordoned",     "cordoned",    "purging",         "protected!",      "not-purging!"),
            ("suspended",    "suspended",   "purging",         "protected!",      "not-purging!"),
            ("archived",     "archived",    "purging",         "protected!",      "not-purging!"),
            ("purging",      "no-way-back!", "already-purging!", "already-purging!", "gone"),
            ("gone",         "no-way-back!", "already-gone!",  "already-gone!",   "gone"),
        ];
        assert_eq!(table.len(), TenantState::ALL.len());
        for (word, provisioned, delete, delete_protected, empty) in table {
            let state = TenantState::parse(word).unwrap();
            let found = EVENTS.map(|event| match advance(state, event) {
                Ok(next) => next.to_string(),
                Err(refusal) => format!("{}!", refusal.rule),
            });
            assert_eq!(found, [provisioned, delete, delete_protected, empty], "{word}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        assert_eq!(
            advance(TenantState::Active, DELETE_PROTECTED).unwrap_err().to_string(),
            "the tenant is protected, and nothing destructive is done to it: \
             clear `protected` on the tenant first, then delete it"
        );
    }

    #[test]
    fn words_and_states_are_one_to_one() {
        for state in TenantState::ALL {
            assert_eq!(TenantState::parse(state.as_str()), Some(state));
        }
        for other in ["", "Active", "active ", "deleted"] {
            assert_eq!(TenantState::parse(other), None);
        }
    }

    proptest! {
        /// Whatever happens, a tenant never comes back from `purging`, and none is gone
        /// that nobody asked to delete.
        #[test]
        fn no_life_breaks_the_rules(events in prop::collection::vec(0..4_usize, 0..60)) {
            let mut state = TenantState::Provisioning;
            let mut asked = false;
            for index in events {
                let event = EVENTS[index];
                let before = state;
                if let Ok(next) = advance(state, event) {
                    state = next;
                    asked |= event == DELETE;
                }
                prop_assert!(state.wants_objects() != asked);
                prop_assert!(before.wants_objects() || !state.wants_objects());
                prop_assert!(before != TenantState::Gone || state == TenantState::Gone);
            }
        }
    }
}
