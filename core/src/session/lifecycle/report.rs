//! What is shown of a session: phase, pod, conditions, events.

use jiff::Timestamp;

use super::{
    ACCEPTED, ACTIVITY_UNKNOWN, AWAKE, Asked, Event, EventKind, Observed, Policy, READY,
    StateChange, WISHED,
    course::{Course, Why},
    timers::{self, Run, Use},
};
use crate::{
    conditions::{self, Condition, ConditionStatus},
    session::SessionPhase,
};

/// What is shown.
pub(super) struct Shown {
    pub(super) phase: SessionPhase,
    pub(super) pod_name: Option<String>,
    pub(super) conditions: Vec<Condition>,
    pub(super) events: Vec<Event>,
}

/// How a session is, and what the condition of its readiness says.
struct State {
    phase: SessionPhase,
    ready: Why,
    /// Whether the cluster says that something is wrong.
    in_trouble: bool,
}

/// What to show of a session on its course, which `change` may have brought about.
pub(super) fn show(
    asked: &Asked<'_>,
    change: Option<&StateChange>,
    course: &Course,
    observed: &Observed,
    policy: &Policy,
    run: &Run,
    now: Timestamp,
) -> Shown {
    let state = state(asked, course, observed, policy, run, now);
    let is_running = state.phase == SessionPhase::Running;
    let mut conditions = observed.conditions.clone();
    let mut set = |type_: &str, holds: bool, why: &Why| {
        let observed = Condition {
            type_: type_.to_owned(),
            status: if holds { ConditionStatus::True } else { ConditionStatus::False },
            reason: why.reason.clone(),
            message: why.message.clone(),
            observed_generation: observed.generation,
            last_transition_time: now,
        };
        conditions::set(&mut conditions, observed);
    };
    if !matches!(course, Course::End(_)) {
        match asked.obstacle() {
            Some(obstacle) => {
                set(ACCEPTED, false, &Why::new(obstacle.reason, obstacle.message.clone()));
            }
            None => set(ACCEPTED, true, &Why::new("Accepted", "the session can be made")),
        }
    }
    match course {
        Course::Run(_) => set(AWAKE, true, &Why::new(WISHED, "the session is wished to run")),
        Course::End(why) | Course::Sleep(why, _) | Course::Wait(why) => set(AWAKE, false, why),
        Course::Blocked(obstacle) => {
            set(AWAKE, false, &Why::new(obstacle.reason, obstacle.message.clone()));
        }
    }
    set(READY, is_running, &state.ready);
    if is_running {
        match timers::use_of(observed, policy, run, now) {
            Use::Known { .. } => set(
                ACTIVITY_UNKNOWN,
                false,
                &Why::new("Reported", "a configured reporter tells whether it is used"),
            ),
            Use::Unknown(why) => set(ACTIVITY_UNKNOWN, true, &why),
        }
    } else if conditions::get(&observed.conditions, ACTIVITY_UNKNOWN).is_some() {
        set(ACTIVITY_UNKNOWN, false, &Why::new("NotRunning", "the session does not run"));
    }
    let events = events(&state, change, course, observed);
    Shown { phase: state.phase, pod_name: pod_name(course, observed), conditions, events }
}

fn state(
    asked: &Asked<'_>,
    course: &Course,
    observed: &Observed,
    policy: &Policy,
    run: &Run,
    now: Timestamp,
) -> State {
    // The last pods are told apart from none: they still take of the quota.
    let stopping = |done: &str, doing: &str, why: &Why| {
        let word = if observed.pods.is_empty() { done } else { doing };
        Why::new(word, why.message.clone())
    };
    let calm = |phase, ready| State { phase, ready, in_trouble: false };
    let failed = |ready| State { phase: SessionPhase::Failed, ready, in_trouble: true };
    match course {
        Course::End(why) => {
            calm(SessionPhase::Terminated, stopping("Terminated", "Terminating", why))
        }
        Course::Sleep(why, _) => {
            calm(SessionPhase::Hibernated, stopping("Hibernated", "Hibernating", why))
        }
        Course::Wait(why) => calm(SessionPhase::Pending, why.clone()),
        Course::Blocked(obstacle) => failed(Why::new(obstacle.reason, obstacle.message.clone())),
        Course::Run(_) if observed.is_ready() => {
            calm(SessionPhase::Running, Why::new("PodReady", "a pod of the session is ready"))
        }
        Course::Run(_) => match (asked.obstacle(), starting(observed, policy, run, now)) {
            // The pod is gone, and a new one could not be made.
            (Some(obstacle), _) => failed(Why::new(obstacle.reason, obstacle.message.clone())),
            (None, Ok(why)) => {
                let in_trouble = observed.fault.is_some();
                State { phase: SessionPhase::Pending, ready: why, in_trouble }
            }
            (None, Err(why)) => failed(why),
        },
    }
}

/// What a session waits for that has no ready pod, or why it counts as failed.
fn starting(observed: &Observed, policy: &Policy, run: &Run, now: Timestamp) -> Result<Why, Why> {
    let fault = observed.fault.as_ref();
    let told = fault.map(|fault| Why::new(fault.word(), fault.words()));
    if fault.is_some_and(super::Fault::fails_at_once) {
        return Err(told.unwrap_or_else(|| Why::new("Failed", "")));
    }
    let before = failed_before(observed, run);
    if let (Some(shown), None) = (&before, &told) {
        return Err(shown.clone());
    }
    let since = run.waiting_since(observed, now);
    if now >= policy.start_within.after(since) {
        let within = policy.start_within;
        let message = match &told {
            Some(told) => format!("no pod was ready within {within}: {}", told.message),
            None => format!("no pod was ready within {within}, and the cluster does not say why"),
        };
        return Err(Why::new("StartTimedOut", message));
    }
    if let Some(shown) = before {
        return Err(shown);
    }
    Ok(told.unwrap_or_else(|| Why::new("Starting", "waiting for a pod to be ready")))
}

/// The failure that is shown of this run and this generation. It stays until a pod is
/// ready: between two of its attempts the cluster is silent, which is no success.
fn failed_before(observed: &Observed, run: &Run) -> Option<Why> {
    let shown = observed.condition(READY, ConditionStatus::False)?;
    let is_of_this = observed.phase == Some(SessionPhase::Failed)
        && run.awake_since.is_some()
        && shown.observed_generation == observed.generation;
    is_of_this.then(|| Why::new(&shown.reason, shown.message.clone()))
}

/// An event for each new phase, for each new trouble in the same, and for all that the
/// daemon does to the wish.
fn events(
    state: &State,
    change: Option<&StateChange>,
    course: &Course,
    observed: &Observed,
) -> Vec<Event> {
    let is_new_phase = change.is_some() || observed.phase != Some(state.phase);
    let shown = conditions::get(&observed.conditions, READY);
    let is_new_trouble =
        state.in_trouble && shown.is_none_or(|shown| shown.reason != state.ready.reason);
    if !is_new_phase && !is_new_trouble {
        return Vec::new();
    }
    let (reason, message) = match course {
        // The word for why it sleeps, where it is more than a wish.
        Course::End(why) | Course::Sleep(why, _) if why.reason != WISHED => {
            (why.reason.clone(), why.message.clone())
        }
        Course::End(why) => ("Terminated".to_owned(), why.message.clone()),
        Course::Sleep(why, _) => ("Hibernated".to_owned(), why.message.clone()),
        Course::Wait(_) | Course::Blocked(_) | Course::Run(_) => {
            (state.ready.reason.clone(), state.ready.message.clone())
        }
    };
    let kind = if state.in_trouble { EventKind::Warning } else { EventKind::Normal };
    vec![Event { kind, reason, message }]
}

/// The pod that is shown as long as it is ready, else another that is, else one that
/// comes.
fn pod_name(course: &Course, observed: &Observed) -> Option<String> {
    if matches!(course, Course::End(_) | Course::Sleep(..)) {
        return None;
    }
    let shown = observed.pod_name.as_ref();
    if observed.ready_pods().any(|pod| Some(&pod.name) == shown) {
        return observed.pod_name.clone();
    }
    let ready = observed.ready_pods().map(|pod| &pod.name).min();
    let coming = || observed.pods.iter().filter(|pod| !pod.deleting).map(|pod| &pod.name).min();
    ready.or_else(coming).cloned()
}
