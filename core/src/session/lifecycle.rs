//! The life of a session: from what is wished, what is seen, and the time, to what must
//! be done and what is shown.
//!
//! | the session should be | and | objects | phase |
//! |---|---|---|---|
//! | running | a pod is ready | applied | `Running` |
//! | running | none is | applied | `Pending`, or `Failed` with the cluster's words |
//! | running | it cannot be made, and does not run | kept | `Failed` |
//! | running | the tenant is cordoned, and it does not run | kept | `Pending` |
//! | hibernated | | applied, scaled to zero | `Hibernated` |
//! | terminated, or deleted | | removed, but for the home | `Terminated` |
//! | not terminated | the tenant is suspended | scaled to zero | `Hibernated` |
//!
//! A suspended tenant's sessions keep their `spec.state`: it is the prior state that a
//! resume restores. What hinders a start (an invalid object, a broken template, a cordon)
//! ends nothing that runs.
//!
//! A run lasts from one start to the next hibernation, and the condition [`AWAKE`] tells
//! since when. The maximum duration is that of a run.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{SessionPhase, SessionState, Span, Wish};
use crate::{
    conditions::{self, Condition, ConditionStatus},
    template::{self, ResolveError},
    tenant::TenantState,
    violation::Violation,
};
use course::Course;
use timers::Run;

pub use fault::Fault;

mod course;
mod fault;
#[cfg(test)]
mod properties;
mod report;
#[cfg(test)]
mod tests;
mod timers;

/// The condition that a pod is ready.
pub const READY: &str = "Ready";
/// The condition that the session was started and not put to sleep since: its transition
/// is the start of the run.
pub const AWAKE: &str = "Awake";
/// The condition that what is wished can be made.
pub const ACCEPTED: &str = "Accepted";
/// The condition that nobody says whether the session is used, so that it does not
/// hibernate by itself.
pub const ACTIVITY_UNKNOWN: &str = "ActivityUnknown";

/// The reason of what the object itself wishes.
pub const WISHED: &str = "Wished";
/// The reason of a hibernation because nobody used the session.
pub const IDLE: &str = "Idle";
/// The reason of the end of a run that lasted too long.
pub const MAXIMUM_DURATION: &str = "MaximumDuration";

/// The reasons of a sleep because of the tenant, in which nothing runs.
pub const CLOSED: [&str; 3] = [TENANT_SUSPENDED, TENANT_ARCHIVED, TENANT_PURGING];
const TENANT_SUSPENDED: &str = "TenantSuspended";
const TENANT_ARCHIVED: &str = "TenantArchived";
const TENANT_PURGING: &str = "TenantPurging";

/// How old a report of activity may be.
pub const ACTIVITY_FRESH: Span = Span::from_minutes(10);
/// How long a start may take. Kubernetes gives a Deployment as long.
pub const START_WITHIN: Span = Span::from_minutes(10);

/// Why a session cannot be made as it is wished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// One word for programs.
    pub reason: &'static str,
    /// A sentence for people, with what to do.
    pub message: String,
}

impl Obstacle {
    /// The object is not valid.
    pub fn invalid(violations: &[Violation]) -> Self {
        Self { reason: "Invalid", message: template::verdict(violations) }
    }

    /// It has no template that it could be made of.
    pub fn template(error: &ResolveError) -> Self {
        Self { reason: error.reason(), message: error.to_string() }
    }

    /// The home cannot be mounted, for example because another node holds it.
    pub fn home(message: String) -> Self {
        Self { reason: "HomeUnavailable", message }
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked<'a> {
    /// A session that can be made: its template and resources were found.
    Runnable(&'a Wish),
    /// One that cannot be made for now.
    Hindered(&'a Wish, Obstacle),
    /// One whose object is not valid, of which only the state is known.
    Invalid(SessionState, Obstacle),
}

impl Asked<'_> {
    /// What the session should be.
    pub fn state(&self) -> SessionState {
        match self {
            Self::Runnable(wish) | Self::Hindered(wish, _) => wish.state,
            Self::Invalid(state, _) => *state,
        }
    }

    fn wish(&self) -> Option<&Wish> {
        match self {
            Self::Runnable(wish) | Self::Hindered(wish, _) => Some(wish),
            Self::Invalid(..) => None,
        }
    }

    fn obstacle(&self) -> Option<&Obstacle> {
        match self {
            Self::Runnable(_) => None,
            Self::Hindered(_, obstacle) | Self::Invalid(_, obstacle) => Some(obstacle),
        }
    }
}

/// A pod of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Whether it is ready to serve.
    pub ready: bool,
    /// Whether it is being deleted. Then it counts as ready no more.
    pub deleting: bool,
}

/// What somebody reported of a session's use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// When the session was used last.
    pub last: Timestamp,
    /// When that was last known to be so. A reporter that is down says nothing new, and
    /// an old word does not tell an idle session from one that nobody watches.
    pub report_time: Timestamp,
    /// Who reported it.
    pub reporter: String,
}

/// A change of `spec.state` that the daemon makes by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// The new state.
    pub to: SessionState,
    /// One word for programs: [`IDLE`] or [`MAXIMUM_DURATION`].
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// When it was decided.
    pub time: Timestamp,
}

/// What is seen of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// `metadata.generation` of the object.
    pub generation: i64,
    /// Whether the object is being deleted.
    pub deleting: bool,
    /// The phase that is shown.
    pub phase: Option<SessionPhase>,
    /// The pod that is shown.
    pub pod_name: Option<String>,
    /// The conditions that are shown, also those of others.
    pub conditions: Vec<Condition>,
    /// `spec.replicas` of the Deployment; absent where there is none.
    pub replicas: Option<i32>,
    /// The pods.
    pub pods: Vec<Pod>,
    /// What the cluster says is wrong.
    pub fault: Option<Fault>,
    /// What was reported of its use.
    pub activity: Option<Activity>,
    /// The last change of the state that the daemon made, as it stands in the object.
    pub last_change: Option<StateChange>,
}

impl Observed {
    fn ready_pods(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().filter(|pod| pod.ready && !pod.deleting)
    }

    fn is_ready(&self) -> bool {
        self.ready_pods().next().is_some()
    }

    fn condition(&self, type_: &str, status: ConditionStatus) -> Option<&Condition> {
        conditions::get(&self.conditions, type_).filter(|condition| condition.status == status)
    }
}

/// The rules that hold for the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Where the tenant is.
    pub tenant: TenantState,
    /// Whose word on activity counts. With none, nothing hibernates by itself.
    pub reporters: BTreeSet<String>,
    /// How old a report may be.
    pub activity_fresh: Span,
    /// How long a start may take before it counts as failed.
    pub start_within: Span,
}

/// How many copies run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replicas {
    /// None.
    Zero,
    /// One.
    One,
    /// At least one; an autoscaler decides up to so many. The Deployment is applied
    /// without a number, or the two would take it from each other.
    AtMost(i32),
}

/// What must be in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objects {
    /// Deployment, Service and route, made of the wish and its template.
    Applied {
        /// How many copies.
        replicas: Replicas,
        /// Whether the user's home must be there as well.
        home: bool,
    },
    /// What is there, scaled to zero. Nothing is made.
    ScaledToZero,
    /// What is there, as it is.
    Kept,
    /// None but the home, which only an operator deletes.
    Removed,
}

/// Whether an event tells of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// No.
    Normal,
    /// Yes.
    Warning,
}

/// An event to leave at the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether it tells of trouble.
    pub kind: EventKind,
    /// One word for programs.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}

/// What to do, and what to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// A change of `spec.state`. Where there is one it comes first, with its reason in
    /// the same write; the rest holds only when that was accepted.
    pub change: Option<StateChange>,
    /// What must be in the cluster.
    pub objects: Objects,
    /// The phase to show.
    pub phase: SessionPhase,
    /// The pod to show.
    pub pod_name: Option<String>,
    /// The conditions to show: those that were there, with ours among them.
    pub conditions: Vec<Condition>,
    /// Events to leave.
    pub events: Vec<Event>,
    /// When to look again although nothing happened; always after now.
    pub next_look: Option<Timestamp>,
}

/// What a session needs now.
pub fn decide(asked: &Asked<'_>, observed: &Observed, policy: &Policy, now: Timestamp) -> Decision {
    let run = Run::of(observed, now);
    let course = course::course(asked, asked.state(), None, observed, policy, &run);
    let change = match course {
        Course::Run { .. } => timers::due(asked.wish(), observed, policy, &run, now),
        _ => None,
    };
    let course = match &change {
        Some(change) => course::course(asked, change.to, Some(change), observed, policy, &run),
        None => course,
    };
    let shown = report::show(asked, change.as_ref(), &course, observed, policy, &run, now);
    let next_look = timers::next_look(asked.wish(), &course, &shown, observed, policy, &run, now);
    Decision {
        change,
        objects: course.objects(),
        phase: shown.phase,
        pod_name: shown.pod_name,
        conditions: shown.conditions,
        events: shown.events,
        next_look,
    }
}
