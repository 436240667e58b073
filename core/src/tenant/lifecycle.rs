//! The life of a tenant, as a function from a state and an event to the next state.
//!
//! ```text
//!                                Suspend, Archive
//!                  Cordon      ┌──────────────────────┐
//!   provisioning   ─────►      │           Suspend    ▼          Archive
//!        │ ──► active ◄── cordoned ─────► suspended ─────► archived
//!        │ Provisioned  Uncordon   ◄─────           ◄─────    │
//!        │                         Resume           Restore   │ DeleteRequested
//!        │              DeleteRequested                       ▼
//!        └──────────────────────────────────────────────► purging ── ClusterEmpty ──► gone
//! ```
//!
//! `Resume` and `Restore` lead back to where the tenant came from: a cordoned tenant that
//! was suspended is cordoned again. Only an archived tenant is deleted, and one that never
//! became active, of which nothing is kept. A tenant that fails to provision, or that the
//! daemon cannot repair, keeps its state: its conditions say what is wrong. Nothing leads
//! back from `purging`, and only `purging` leads to `gone`.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

#[cfg(test)]
mod tests;

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

/// How a deletion stands to the time for which the plan keeps an archived tenant's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// It is over.
    Over,
    /// It is not, and the deletion must wait for it.
    Running,
    /// It is not, and the operator does not want to wait.
    Waived,
}

/// What can happen to a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The cluster was seen to have all that the tenant needs.
    Provisioned,
    /// An operator lets nothing new start.
    Cordon,
    /// An operator ends the cordon.
    Uncordon,
    /// The cordon's time is over.
    CordonExpired,
    /// An operator hibernates all of it.
    Suspend,
    /// An operator ends the suspension.
    Resume,
    /// An operator keeps nothing but its data.
    Archive,
    /// An operator brings it back from there.
    Restore,
    /// An operator asked for its deletion.
    DeleteRequested {
        /// Whether the tenant is protected.
        protected: bool,
        /// Whether its data must still be kept.
        retention: Retention,
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

/// A state, and what it leads back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Where the tenant is.
    pub state: TenantState,
    /// Where a restore leads: active, cordoned or suspended. Set while it is archived.
    pub restores_to: Option<TenantState>,
    /// Where a resume leads: active or cordoned. Set while it is suspended, and while it
    /// is archived and was suspended before.
    pub resumes_to: Option<TenantState>,
}

impl From<TenantState> for Life {
    /// A life that came straight to this state.
    fn from(state: TenantState) -> Self {
        Self { state, restores_to: None, resumes_to: None }
    }
}

/// The state after an event that needs no memory, or why the event is refused.
pub fn advance(state: TenantState, event: Event) -> Result<TenantState, Refusal> {
    Life::from(state).advance(event).map(|life| life.state)
}

impl Life {
    /// What comes after an event, or why the event is refused. Every pair has an answer.
    ///
    /// An observation that tells nothing new leaves all as it is, so a reconciler may
    /// report it as often as it likes; and so does a wish for the state that it is in.
    pub fn advance(self, event: Event) -> Result<Self, Refusal> {
        use TenantState::{Active, Archived, Cordoned, Gone, Provisioning, Purging, Suspended};
        let to = |state: TenantState| Ok(Self::from(state));
        match (event, self.state) {
            (Event::ClusterEmpty, Purging | Gone) => to(Gone),
            (Event::ClusterEmpty, state) => Err(Refusal {
                rule: "not-purging",
                message: format!(
                    "the tenant is {state}, and its absence in the cluster deletes nothing"
                ),
                next_step: "apply its objects again",
            }),
            (Event::DeleteRequested { protected, retention }, state) => {
                may_be_deleted(state, protected, retention)?;
                to(Purging)
            }
            (Event::CordonExpired, _) => Ok(self.without_cordon()),
            (_, Purging | Gone) => Err(no_way_back(self.state)),

            (Event::Provisioned, Provisioning) | (Event::Uncordon, Cordoned) => to(Active),
            (Event::Provisioned, Active | Cordoned | Suspended | Archived)
            | (Event::Suspend, Suspended)
            | (Event::Archive, Archived) => Ok(self),
            (_, Provisioning) => Err(Refusal {
                rule: "provisioning",
                message: "the tenant is provisioning, and was never active".to_owned(),
                next_step: "wait until it is active; `ssctl tenant show` tells what it waits for",
            }),

            (Event::Cordon, Active | Cordoned) => to(Cordoned),
            (Event::Cordon, Suspended | Archived) => Err(Refusal {
                rule: "nothing-starts",
                message: format!("the tenant is {}, where nothing starts anyway", self.state),
                next_step: "resume or restore it first, if it is to be cordoned afterwards",
            }),
            (Event::Uncordon, Active | Suspended | Archived) => Err(Refusal {
                rule: "not-cordoned",
                message: format!("the tenant is {}, not cordoned", self.state),
                next_step: "resume ends a suspension, restore brings an archived tenant back",
            }),

            (Event::Suspend, Active | Cordoned) => {
                Ok(Self { resumes_to: Some(self.state), ..Self::from(Suspended) })
            }
            (Event::Suspend, Archived) => Err(Refusal {
                rule: "nothing-runs",
                message: "the tenant is archived, where nothing runs".to_owned(),
                next_step: "restore it first, if it is to be suspended",
            }),
            (Event::Resume, Suspended) => to(self.resumes_to.unwrap_or(Active)),
            (Event::Resume, Active | Cordoned | Archived) => Err(Refusal {
                rule: "not-suspended",
                message: format!("the tenant is {}, not suspended", self.state),
                next_step: "uncordon ends a cordon, restore brings an archived tenant back",
            }),

            (Event::Archive, Active | Cordoned | Suspended) => {
                Ok(Self { state: Archived, restores_to: Some(self.state), ..self })
            }
            (Event::Restore, Archived) => {
                let state = self.restores_to.unwrap_or(Active);
                Ok(Self { state, restores_to: None, ..self })
            }
            (Event::Restore, Active | Cordoned | Suspended) => Err(Refusal {
                rule: "not-archived",
                message: format!("the tenant is {}, not archived", self.state),
                next_step: "uncordon ends a cordon, resume a suspension",
            }),
        }
    }

    /// Whether the tenant is cordoned, or will be again when it is brought back.
    pub fn keeps_cordon(self) -> bool {
        [Some(self.state), self.restores_to, self.resumes_to].contains(&Some(TenantState::Cordoned))
    }

    /// The same life with no cordon to come back to.
    fn without_cordon(self) -> Self {
        let open = |state| match state {
            TenantState::Cordoned => TenantState::Active,
            other => other,
        };
        Self {
            state: open(self.state),
            restores_to: self.restores_to.map(open),
            resumes_to: self.resumes_to.map(open),
        }
    }
}

fn may_be_deleted(
    state: TenantState,
    protected: bool,
    retention: Retention,
) -> Result<(), Refusal> {
    use TenantState::{Active, Archived, Cordoned, Gone, Provisioning, Purging, Suspended};
    match state {
        Purging => Err(Refusal {
            rule: "already-purging",
            message: "the tenant is already being deleted".to_owned(),
            next_step: "wait for the operation that is under way",
        }),
        Gone => Err(Refusal {
            rule: "already-gone",
            message: "the tenant is deleted already".to_owned(),
            next_step: "there is nothing left to do",
        }),
        _ if protected => Err(Refusal {
            rule: "protected",
            message: "the tenant is protected, and never deleted as long as it is".to_owned(),
            next_step: "clear `protected` on the tenant first, which a second person must approve",
        }),
        Active | Cordoned | Suspended => Err(Refusal {
            rule: "delete-archived-only",
            message: format!("the tenant is {state}, and only an archived one can be deleted"),
            next_step: "archive it first with `ssctl tenant archive`; restore brings it back",
        }),
        Archived if retention == Retention::Running => Err(Refusal {
            rule: "retention",
            message: "the plan still keeps the data of this archived tenant".to_owned(),
            next_step: "wait for the end of the retention, or add --before-retention, which a \
                        second person must approve",
        }),
        // Nothing of a tenant that never became active is worth keeping.
        Provisioning | Archived => Ok(()),
    }
}

fn no_way_back(state: TenantState) -> Refusal {
    let rule = if state == TenantState::Purging { "already-purging" } else { "no-way-back" };
    Refusal {
        rule,
        message: format!("the tenant is {state}, and nothing leads back from there"),
        next_step: "create a new tenant once the name is free",
    }
}

/// Why a second person must agree to an event, where one must: what it does to a
/// protected tenant, and a deletion that does not wait.
pub fn needs_second_person(life: Life, event: Event, protected: bool) -> Option<&'static str> {
    match event {
        Event::Suspend if protected && life.state != TenantState::Suspended => {
            Some("the tenant is protected, and suspending it hibernates every session")
        }
        Event::Archive if protected && life.state != TenantState::Archived => {
            Some("the tenant is protected, and archiving it keeps nothing but its data")
        }
        Event::DeleteRequested { retention: Retention::Waived, .. }
            if life.state == TenantState::Archived =>
        {
            Some("the plan still keeps the tenant's data, and deleting it now loses that")
        }
        _ => None,
    }
}

/// The end of the retention of a tenant that is archived now, under a plan that keeps
/// recordings so many days. With none it is over at once.
pub fn retention_end(archived: Timestamp, days: i32) -> Timestamp {
    let kept = SignedDuration::from_hours(24 * i64::from(days.max(0)));
    archived.saturating_add(kept).unwrap_or(Timestamp::MAX)
}
