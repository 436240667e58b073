//! Which way a session goes: it ends, sleeps, waits, is blocked, or runs.

use super::{
    AWAKE, Asked, IDLE, MAXIMUM_DURATION, Objects, Observed, Obstacle, Policy, Replicas,
    StateChange, TENANT_ARCHIVED, TENANT_PURGING, TENANT_SUSPENDED, WISHED, timers::Run,
};
use crate::{
    conditions::ConditionStatus,
    session::{SessionState, Wish},
    tenant::TenantState,
};

/// Why a session is where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Why {
    pub(super) reason: String,
    pub(super) message: String,
}

impl Why {
    pub(super) fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into() }
    }
}

/// The way a session goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// All but the home is removed.
    End(Why),
    /// It is scaled to zero.
    Sleep(Why, Objects),
    /// It may not start yet.
    Wait(Why),
    /// It cannot start.
    Blocked(Obstacle),
    /// It starts or goes on.
    Run(Objects),
}

impl Course {
    pub(super) fn objects(&self) -> Objects {
        match self {
            Self::End(_) => Objects::Removed,
            Self::Sleep(_, objects) | Self::Run(objects) => *objects,
            Self::Wait(_) | Self::Blocked(_) => Objects::Kept,
        }
    }
}

/// The course of a session that should be in `state`, to which `change` may have brought
/// it just now.
pub(super) fn course(
    asked: &Asked<'_>,
    state: SessionState,
    change: Option<&StateChange>,
    observed: &Observed,
    policy: &Policy,
    run: &Run,
) -> Course {
    if observed.deleting {
        return Course::End(Why::new("Deleted", "the session is being deleted"));
    }
    if state == SessionState::Terminated {
        return Course::End(why(state, change, observed, run));
    }
    if let Some(why) = closed(policy.tenant) {
        // Nothing is made for a tenant where nothing runs.
        return Course::Sleep(why, Objects::ScaledToZero);
    }
    if state == SessionState::Hibernated {
        let objects = match asked {
            Asked::Runnable(wish) => applied(wish, Replicas::Zero),
            // It must sleep also where it could not be made any more.
            Asked::Hindered(..) | Asked::Invalid(..) => Objects::ScaledToZero,
        };
        return Course::Sleep(why(state, change, observed, run), objects);
    }
    match asked {
        Asked::Hindered(_, _) | Asked::Invalid(_, _) if run.started => Course::Run(Objects::Kept),
        Asked::Hindered(_, obstacle) | Asked::Invalid(_, obstacle) => {
            Course::Blocked(obstacle.clone())
        }
        Asked::Runnable(wish) => match policy.tenant {
            TenantState::Cordoned if !run.started => Course::Wait(Why::new(
                "TenantCordoned",
                "the tenant is cordoned, and nothing new starts: the session starts when the \
                 cordon ends",
            )),
            TenantState::Provisioning if !run.started => Course::Wait(Why::new(
                "TenantProvisioning",
                "the tenant is not ready yet: the session starts when it is",
            )),
            _ => Course::Run(applied(
                wish,
                wish.max_replicas.filter(|most| *most > 1).map_or(Replicas::One, Replicas::AtMost),
            )),
        },
    }
}

fn applied(wish: &Wish, replicas: Replicas) -> Objects {
    Objects::Applied { replicas, home: wish.persistent_home }
}

/// Why nothing of the tenant runs, where nothing does.
fn closed(tenant: TenantState) -> Option<Why> {
    match tenant {
        TenantState::Provisioning | TenantState::Active | TenantState::Cordoned => None,
        TenantState::Suspended => Some(Why::new(
            TENANT_SUSPENDED,
            "the tenant is suspended: the session comes back to its state when the tenant is \
             resumed",
        )),
        TenantState::Archived => Some(Why::new(
            TENANT_ARCHIVED,
            "the tenant is archived: the session comes back to its state when the tenant is \
             restored and active",
        )),
        TenantState::Purging | TenantState::Gone => {
            Some(Why::new(TENANT_PURGING, "the tenant is being deleted"))
        }
    }
}

/// Why the session should sleep or end: because of the daemon's own change, which must
/// have been made in this run, or because its object says so.
///
/// A reason that is shown already stays: it tells of the instant when it happened.
fn why(state: SessionState, change: Option<&StateChange>, observed: &Observed, run: &Run) -> Why {
    let made = observed
        .last_change
        .as_ref()
        .filter(|made| made.to == state && run.awake_since.is_some_and(|since| made.time >= since));
    if let Some(change) = change.or(made) {
        return Why::new(&change.reason, change.message.clone());
    }
    let (by_itself, message) = match state {
        SessionState::Terminated => (MAXIMUM_DURATION, "the session is wished to be terminated"),
        _ => (IDLE, "the session is wished to be hibernated"),
    };
    match observed.condition(AWAKE, ConditionStatus::False) {
        Some(shown) if shown.reason == by_itself => Why::new(&shown.reason, shown.message.clone()),
        _ => Why::new(WISHED, message),
    }
}
