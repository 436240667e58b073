//! What time alone brings: idle hibernation, the maximum duration, the end of a start.

use jiff::Timestamp;

use super::{
    AWAKE, Activity, IDLE, MAXIMUM_DURATION, Observed, Policy, READY, StateChange,
    course::{Course, Why},
    report::Shown,
};
use crate::{
    conditions::ConditionStatus,
    session::{SessionPhase, SessionState, Wish},
    text,
};

/// The present run of a session, as the shown conditions tell it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// Since when it is awake; absent where it was not shown as that.
    pub(super) awake_since: Option<Timestamp>,
    /// Whether it was started: what has started goes on where nothing new may.
    pub(super) started: bool,
}

impl Run {
    /// An instant after now, which only a clock that was put back leaves, counts as now.
    pub(super) fn of(observed: &Observed, now: Timestamp) -> Self {
        let awake = observed.condition(AWAKE, ConditionStatus::True);
        Self {
            awake_since: awake.map(|awake| awake.last_transition_time.min(now)),
            started: awake.is_some() || observed.replicas.is_some_and(|replicas| replicas > 0),
        }
    }

    /// When the run began; now where it begins. Without a word on it a run is not taken
    /// to be old: nothing ends for lack of evidence.
    fn start(&self, now: Timestamp) -> Timestamp {
        self.awake_since.unwrap_or(now)
    }

    /// Since when no pod is ready in this run.
    pub(super) fn waiting_since(&self, observed: &Observed, now: Timestamp) -> Timestamp {
        let shown = observed.condition(READY, ConditionStatus::False);
        let since = shown.map_or(now, |ready| ready.last_transition_time.min(now));
        since.max(self.start(now))
    }
}

/// What is known of a session's use.
pub(super) enum Use {
    /// Nobody has used it since an instant. The word on it is good until another.
    Known { idle_since: Timestamp, fresh_until: Timestamp },
    /// Nobody can tell.
    Unknown(Why),
}

/// What is known of the use of a session that has a ready pod.
///
/// It counts from the start of the run, and from the instant at which a pod became ready,
/// at the earliest: before, nobody could use it.
pub(super) fn use_of(observed: &Observed, policy: &Policy, run: &Run, now: Timestamp) -> Use {
    let unknown = |reason: &str, message: String| {
        Use::Unknown(Why::new(reason, format!("{message}: it does not hibernate by itself")))
    };
    if policy.reporters.is_empty() {
        return unknown("NoReporter", "no reporter of activity is configured".to_owned());
    }
    let Some(Activity { last, report_time, reporter }) = &observed.activity else {
        return unknown("NotReported", "nobody has reported whether it is used".to_owned());
    };
    if !policy.reporters.contains(reporter) {
        let shown = text::excerpt(reporter);
        return unknown(
            "UnknownReporter",
            format!("`{shown}`, who reported its use, is no configured reporter"),
        );
    }
    let fresh_until = policy.activity_fresh.after(*report_time);
    if now >= fresh_until {
        let reporter = text::excerpt(reporter);
        return unknown("ReportStale", format!("`{reporter}` reported last at {report_time}"));
    }
    if *report_time >= policy.activity_fresh.after(now) {
        let reporter = text::excerpt(reporter);
        return unknown(
            "ReportFromFuture",
            format!("`{reporter}` reported at {report_time}, which is yet to come"),
        );
    }
    let ready = observed.condition(READY, ConditionStatus::True);
    let ready_since = ready.map_or(now, |ready| ready.last_transition_time.min(now));
    let idle_since = (*last).min(now).max(run.start(now)).max(ready_since);
    Use::Known { idle_since, fresh_until }
}

/// A change of the state that is due in a session that runs.
pub(super) fn due(
    wish: Option<&Wish>,
    observed: &Observed,
    policy: &Policy,
    run: &Run,
    now: Timestamp,
) -> Option<StateChange> {
    let wish = wish?;
    let start = run.start(now);
    if now >= wish.max_session_duration.after(start) {
        return Some(StateChange {
            to: SessionState::Terminated,
            reason: MAXIMUM_DURATION.to_owned(),
            message: format!(
                "it runs since {start}, and may run for {} at most: terminated",
                wish.max_session_duration
            ),
            time: now,
        });
    }
    if !observed.is_ready() {
        return None;
    }
    match use_of(observed, policy, run, now) {
        Use::Known { idle_since, .. } if now >= wish.idle_timeout.after(idle_since) => {
            Some(StateChange {
                to: SessionState::Hibernated,
                reason: IDLE.to_owned(),
                message: format!(
                    "nobody used it since {idle_since}, longer than {}: hibernated",
                    wish.idle_timeout
                ),
                time: now,
            })
        }
        Use::Known { .. } | Use::Unknown(_) => None,
    }
}

/// When time alone may change something next.
pub(super) fn next_look(
    wish: Option<&Wish>,
    course: &Course,
    shown: &Shown,
    observed: &Observed,
    policy: &Policy,
    run: &Run,
    now: Timestamp,
) -> Option<Timestamp> {
    if !matches!(course, Course::Run(_)) {
        return None;
    }
    let mut instants = Vec::new();
    if let Some(wish) = wish {
        instants.push(wish.max_session_duration.after(run.start(now)));
    }
    // One that failed before may fail for longer than it may take to start, which is another
    // reason.
    if matches!(shown.phase, SessionPhase::Pending | SessionPhase::Failed) {
        instants.push(policy.start_within.after(run.waiting_since(observed, now)));
    }
    if shown.phase == SessionPhase::Running
        && let Use::Known { idle_since, fresh_until } = use_of(observed, policy, run, now)
    {
        instants.push(fresh_until);
        instants.extend(wish.map(|wish| wish.idle_timeout.after(idle_since)));
    }
    instants.into_iter().filter(|at| *at > now && *at < Timestamp::MAX).min()
}
