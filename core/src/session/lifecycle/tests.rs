//! The table, row by row.

use jiff::SignedDuration;

use super::*;
use crate::session::{WrittenSession, read};

pub(super) fn at(minutes: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
}

pub(super) fn wish(state: SessionState) -> Wish {
    read(&WrittenSession {
        name: "ada-firefox".into(),
        user: "ada".into(),
        template: "firefox-browser".into(),
        state,
        resources: None,
        persistent_home: None,
        idle_timeout: None,
        max_session_duration: None,
        tags: Vec::new(),
        max_replicas: None,
    })
    .unwrap()
}

pub(super) fn policy() -> Policy {
    Policy {
        tenant: TenantState::Active,
        reporters: BTreeSet::from(["proxy".to_owned()]),
        activity_fresh: ACTIVITY_FRESH,
        start_within: START_WITHIN,
    }
}

fn of_tenant(tenant: TenantState) -> Policy {
    Policy { tenant, ..policy() }
}

fn pod(ready: bool) -> Pod {
    Pod { name: "ada-firefox-5d8-x".into(), ready, deleting: false }
}

pub(super) fn condition(type_: &str, holds: bool, reason: &str, since: Timestamp) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: if holds { ConditionStatus::True } else { ConditionStatus::False },
        reason: reason.to_owned(),
        message: "told before".to_owned(),
        observed_generation: 1,
        last_transition_time: since,
    }
}

/// A session that runs since minute 0.
fn running() -> Observed {
    Observed {
        generation: 1,
        phase: Some(SessionPhase::Running),
        pod_name: Some("ada-firefox-5d8-x".into()),
        conditions: vec![
            condition(ACCEPTED, true, "Accepted", at(0)),
            condition(AWAKE, true, WISHED, at(0)),
            condition(READY, true, "PodReady", at(0)),
        ],
        replicas: Some(1),
        pods: vec![pod(true)],
        ..Observed::default()
    }
}

fn sleeping(reason: &str) -> Observed {
    Observed {
        generation: 1,
        phase: Some(SessionPhase::Hibernated),
        conditions: vec![
            condition(AWAKE, false, reason, at(0)),
            condition(READY, false, "Hibernated", at(0)),
        ],
        replicas: Some(0),
        ..Observed::default()
    }
}

fn starting(fault: Option<(&str, &str)>) -> Observed {
    Observed {
        phase: Some(SessionPhase::Pending),
        pods: vec![pod(false)],
        conditions: vec![
            condition(AWAKE, true, WISHED, at(0)),
            condition(READY, false, "Starting", at(0)),
        ],
        fault: fault
            .map(|(reason, message)| Fault { reason: reason.into(), message: message.into() }),
        ..running()
    }
}

fn used(last: i64, reported: i64) -> Activity {
    Activity { last: at(last), report_time: at(reported), reporter: "proxy".into() }
}

fn reason<'a>(decision: &'a Decision, type_: &str) -> &'a str {
    &conditions::get(&decision.conditions, type_).unwrap().reason
}

fn holds(decision: &Decision, type_: &str) -> bool {
    conditions::get(&decision.conditions, type_).unwrap().status == ConditionStatus::True
}

const ONE: Objects = Objects::Applied { replicas: Replicas::One, home: true };
const ZERO: Objects = Objects::Applied { replicas: Replicas::Zero, home: true };

use SessionPhase::{Failed, Hibernated, Pending, Running, Terminated};

fn broken() -> Obstacle {
    Obstacle { reason: "TemplateNotFound", message: "no such template".into() }
}

fn new() -> Observed {
    Observed { generation: 1, ..Observed::default() }
}

fn unready() -> Observed {
    Observed { pods: vec![pod(false)], ..running() }
}

/// Name, what is asked and seen, and then objects, phase and the reason of readiness.
type Row<'a> = (&'static str, Asked<'a>, Observed, Objects, SessionPhase, &'static str);

fn check(tenant: TenantState, rows: impl IntoIterator<Item = Row<'static>>) {
    for (name, asked, observed, objects, phase, ready) in rows {
        let decision = decide(&asked, &observed, &of_tenant(tenant), at(1));
        assert_eq!((decision.objects, decision.phase), (objects, phase), "{name}");
        assert_eq!(reason(&decision, READY), ready, "{name}");
        assert_eq!(holds(&decision, READY), phase == Running, "{name}");
        assert_eq!(decision.change, None, "{name}");
        assert_eq!(decision.events.len(), usize::from(observed.phase != Some(phase)), "{name}");
    }
}

fn runnable(state: SessionState) -> Asked<'static> {
    Asked::Runnable(Box::leak(Box::new(wish(state))))
}

fn hindered(state: SessionState) -> Asked<'static> {
    Asked::Hindered(Box::leak(Box::new(wish(state))), broken())
}

fn invalid(state: SessionState) -> Asked<'static> {
    Asked::Invalid(state, broken())
}

use SessionState as Should;

#[test]
#[rustfmt::skip]
fn rows_of_sessions_that_run() {
    let dying = Observed { pods: vec![Pod { deleting: true, ..pod(true) }], ..running() };
    let run = || runnable(Should::Running);
    let lost = || hindered(Should::Running);
    check(TenantState::Active, [
        ("new", run(), new(), ONE, Pending, "Starting"),
        ("ready", run(), running(), ONE, Running, "PodReady"),
        ("lost its pod", run(), unready(), ONE, Pending, "Starting"),
        ("its pod goes", run(), dying, ONE, Pending, "Starting"),
        ("wakes", run(), sleeping(IDLE), ONE, Pending, "Starting"),
        ("resumed", run(), sleeping("TenantSuspended"), ONE, Pending, "Starting"),
        ("no template", lost(), new(), Objects::Kept, Failed, "TemplateNotFound"),
        ("woken without", lost(), sleeping(IDLE), Objects::Kept, Failed, "TemplateNotFound"),
        ("runs without", lost(), running(), Objects::Kept, Running, "PodReady"),
        ("lost the pod too", lost(), unready(), Objects::Kept, Failed, "TemplateNotFound"),
        ("invalid", invalid(Should::Running), running(), Objects::Kept, Running, "PodReady"),
    ]);
}

#[test]
#[rustfmt::skip]
fn rows_of_sessions_that_sleep_or_end() {
    let deleted = Observed { deleting: true, ..running() };
    let sleep = || runnable(Should::Hibernated);
    let end = || runnable(Should::Terminated);
    let (down, gone) = (Objects::ScaledToZero, Objects::Removed);
    check(TenantState::Active, [
        ("hibernates", sleep(), running(), ZERO, Hibernated, "Hibernating"),
        ("sleeps", sleep(), sleeping(WISHED), ZERO, Hibernated, "Hibernated"),
        ("born asleep", sleep(), new(), ZERO, Hibernated, "Hibernated"),
        ("no template", hindered(Should::Hibernated), running(), down, Hibernated, "Hibernating"),
        ("invalid", invalid(Should::Hibernated), running(), down, Hibernated, "Hibernating"),
        ("terminates", end(), running(), gone, Terminated, "Terminating"),
        ("is gone", end(), new(), gone, Terminated, "Terminated"),
        ("invalid end", invalid(Should::Terminated), running(), gone, Terminated, "Terminating"),
        ("is deleted", runnable(Should::Running), deleted, gone, Terminated, "Terminating"),
    ]);
}

#[test]
#[rustfmt::skip]
fn rows_of_tenants_that_are_not_open() {
    let run = || runnable(Should::Running);
    let scaled = Observed { replicas: Some(1), ..new() };
    let deleted = Observed { deleting: true, ..running() };
    let (kept, down, gone) = (Objects::Kept, Objects::ScaledToZero, Objects::Removed);
    check(TenantState::Cordoned, [
        ("new", run(), new(), kept, Pending, "TenantCordoned"),
        ("woken", run(), sleeping(IDLE), kept, Pending, "TenantCordoned"),
        ("runs", run(), running(), ONE, Running, "PodReady"),
        ("lost its pod", run(), unready(), ONE, Pending, "Starting"),
        ("started by others", run(), scaled, ONE, Pending, "Starting"),
        ("hibernates", runnable(Should::Hibernated), running(), ZERO, Hibernated, "Hibernating"),
    ]);
    check(TenantState::Provisioning, [
        ("new", run(), new(), kept, Pending, "TenantProvisioning"),
    ]);
    check(TenantState::Suspended, [
        ("runs", run(), running(), down, Hibernated, "Hibernating"),
        ("no template", hindered(Should::Running), running(), down, Hibernated, "Hibernating"),
        ("ends", runnable(Should::Terminated), running(), gone, Terminated, "Terminating"),
        ("is deleted", run(), deleted, gone, Terminated, "Terminating"),
    ]);
    for tenant in [TenantState::Archived, TenantState::Purging, TenantState::Gone] {
        check(tenant, [("new", run(), new(), down, Hibernated, "Hibernated")]);
    }
}

#[test]
fn failures_are_told_in_the_words_of_the_cluster() {
    let wish = wish(SessionState::Running);
    let quota = "pods \"ada-firefox-5d8-\" is forbidden: exceeded quota: limits";
    for (fault, minute, phase, word) in [
        (("FailedCreate", quota), 1, Failed, "FailedCreate"),
        (("ImagePullBackOff", "Back-off pulling image"), 1, Failed, "ImagePullBackOff"),
        (("Unschedulable", "0/3 nodes are available"), 1, Pending, "Unschedulable"),
        (("Unschedulable", "0/3 nodes are available"), 10, Failed, "StartTimedOut"),
    ] {
        let observed = starting(Some(fault));
        let decision = decide(&Asked::Runnable(&wish), &observed, &policy(), at(minute));
        let ready = conditions::get(&decision.conditions, READY).unwrap();
        assert_eq!((decision.phase, ready.reason.as_str()), (phase, word));
        assert!(ready.message.contains(fault.1), "{}", ready.message);
        assert_eq!(decision.objects, ONE);
        let [event] = decision.events.as_slice() else { panic!("{:?}", decision.events) };
        assert_eq!((event.kind, event.reason.as_str()), (EventKind::Warning, word));
    }
    let decision = decide(&Asked::Runnable(&wish), &starting(None), &policy(), at(9));
    assert_eq!((decision.phase, decision.next_look), (Pending, Some(at(10))));
    let decision = decide(&Asked::Runnable(&wish), &starting(None), &policy(), at(10));
    assert_eq!((decision.phase, reason(&decision, READY)), (Failed, "StartTimedOut"));
}

#[test]
fn a_failure_stays_until_a_pod_is_ready_or_the_object_changes() {
    let wish = wish(SessionState::Running);
    let asked = Asked::Runnable(&wish);
    let mut observed = Observed {
        phase: Some(Failed),
        conditions: vec![
            condition(AWAKE, true, WISHED, at(0)),
            condition(READY, false, "CrashLoopBackOff", at(0)),
        ],
        ..starting(None)
    };
    let silent = decide(&asked, &observed, &policy(), at(2));
    assert_eq!((silent.phase, reason(&silent, READY)), (Failed, "CrashLoopBackOff"));
    assert!(silent.events.is_empty());
    // What the cluster says since then becomes the reason once it has lasted.
    let waits =
        Observed { fault: starting(Some(("Unschedulable", "no node"))).fault, ..observed.clone() };
    let early = decide(&asked, &waits, &policy(), at(2));
    assert_eq!(reason(&early, READY), "CrashLoopBackOff");
    assert_eq!(early.next_look, Some(at(10)), "time alone brings it");
    assert_eq!(reason(&decide(&asked, &waits, &policy(), at(10)), READY), "StartTimedOut");
    let edited = Observed { generation: 2, ..observed.clone() };
    assert_eq!(decide(&asked, &edited, &policy(), at(2)).phase, Pending);
    observed.pods = vec![pod(true)];
    let well = decide(&asked, &observed, &policy(), at(2));
    assert_eq!((well.phase, well.pod_name.as_deref()), (Running, Some("ada-firefox-5d8-x")));
}

#[test]
fn idle_sessions_hibernate_and_say_why() {
    let wish = wish(SessionState::Running);
    let observed = Observed { activity: Some(used(20, 49)), ..running() };
    let early = decide(&Asked::Runnable(&wish), &observed, &policy(), at(49));
    assert_eq!((early.change.as_ref(), early.next_look), (None, Some(at(50))));
    assert!(!holds(&early, ACTIVITY_UNKNOWN));
    // Before the end of the idle time, the end of the word on it.
    let lately = Observed { activity: Some(used(45, 46)), ..running() };
    let lately = decide(&Asked::Runnable(&wish), &lately, &policy(), at(49));
    assert_eq!((lately.change, lately.next_look), (None, Some(at(56))));
    let due = decide(&Asked::Runnable(&wish), &observed, &policy(), at(50));
    let change = due.change.clone().unwrap();
    assert_eq!((change.to, change.reason.as_str()), (SessionState::Hibernated, IDLE));
    assert_eq!(
        change.message,
        "nobody used it since 1970-01-01T00:20:00Z, longer than 30m: hibernated"
    );
    assert_eq!((due.objects, due.phase, due.next_look), (ZERO, Hibernated, None));
    assert_eq!(reason(&due, AWAKE), IDLE);
    assert_eq!(due.events.len(), 1);
    assert_eq!((due.events[0].reason.as_str(), &due.events[0].message), (IDLE, &change.message));
}

#[test]
fn a_reason_outlives_a_crash_between_the_two_writes() {
    let asleep = wish(SessionState::Hibernated);
    let change = StateChange {
        to: SessionState::Hibernated,
        reason: IDLE.into(),
        message: "nobody used it".into(),
        time: at(50),
    };
    let observed = Observed { last_change: Some(change.clone()), ..running() };
    let decision = decide(&Asked::Runnable(&asleep), &observed, &policy(), at(51));
    assert_eq!((reason(&decision, AWAKE), decision.events[0].reason.as_str()), (IDLE, IDLE));
    // A change of an earlier run says nothing about this one.
    let mut later = observed;
    later.conditions[1].last_transition_time = at(60);
    let decision = decide(&Asked::Runnable(&asleep), &later, &policy(), at(61));
    assert_eq!(
        (reason(&decision, AWAKE), decision.events[0].reason.as_str()),
        (WISHED, "Hibernated")
    );
    // And what is shown stays.
    let shown = sleeping(IDLE);
    let decision = decide(&Asked::Runnable(&asleep), &shown, &policy(), at(99));
    let awake = conditions::get(&decision.conditions, AWAKE).unwrap();
    assert_eq!((awake.reason.as_str(), awake.message.as_str()), (IDLE, "told before"));
}

#[test]
fn without_a_fresh_word_nothing_hibernates() {
    let wish = wish(SessionState::Running);
    let deaf = Policy { reporters: BTreeSet::new(), ..policy() };
    let stranger = Activity { reporter: "mallory".into(), ..used(0, 100) };
    for (activity, policy, word) in [
        (Some(used(0, 100)), &deaf, "NoReporter"),
        (None, &policy(), "NotReported"),
        (Some(stranger), &policy(), "UnknownReporter"),
        (Some(used(0, 90)), &policy(), "ReportStale"),
        (Some(used(0, 110)), &policy(), "ReportFromFuture"),
    ] {
        let observed = Observed { activity, ..running() };
        let decision = decide(&Asked::Runnable(&wish), &observed, policy, at(100));
        assert_eq!((decision.change.as_ref(), decision.phase), (None, Running), "{word}");
        assert!(holds(&decision, ACTIVITY_UNKNOWN));
        assert_eq!(reason(&decision, ACTIVITY_UNKNOWN), word);
        assert_eq!(decision.next_look, Some(at(8 * 60)), "{word}");
    }
}

#[test]
fn idleness_begins_when_somebody_could_use_it() {
    let wish = wish(SessionState::Running);
    // Woken at minute 100, ready at 104, last used in the run before.
    let mut observed = Observed { activity: Some(used(20, 129)), ..running() };
    observed.conditions[1].last_transition_time = at(100);
    observed.conditions[2].last_transition_time = at(104);
    let decision = decide(&Asked::Runnable(&wish), &observed, &policy(), at(130));
    assert_eq!((decision.change, decision.next_look), (None, Some(at(134))));
    let decision = decide(&Asked::Runnable(&wish), &observed, &policy(), at(134));
    assert_eq!(decision.change.map(|change| change.to), Some(SessionState::Hibernated));
}

#[test]
fn a_run_ends_after_the_maximum() {
    let wish = wish(SessionState::Running);
    let observed = Observed { activity: Some(used(479, 479)), ..running() };
    let decision = decide(&Asked::Runnable(&wish), &observed, &policy(), at(479));
    assert_eq!((decision.change, decision.next_look), (None, Some(at(480))));
    // Also one that is used, that starts, or that cannot be made any more; under a cordon too.
    let asked = [
        Asked::Runnable(&wish),
        Asked::Hindered(&wish, Obstacle { reason: "TemplateNotFound", message: String::new() }),
    ];
    for asked in &asked {
        for observed in [&observed, &starting(None)] {
            for tenant in [TenantState::Active, TenantState::Cordoned] {
                let decision = decide(asked, observed, &of_tenant(tenant), at(480));
                let change = decision.change.unwrap();
                assert_eq!(change.to, SessionState::Terminated);
                assert_eq!(change.reason, MAXIMUM_DURATION);
                assert_eq!((decision.objects, decision.phase), (Objects::Removed, Terminated));
                assert_eq!(decision.events[0].reason, MAXIMUM_DURATION);
            }
        }
    }
    // A sleep is no part of a run, and neither is a wait.
    let woken = decide(&Asked::Runnable(&wish), &sleeping(IDLE), &policy(), at(5000));
    assert_eq!((woken.change, woken.phase), (None, Pending));
    assert_eq!(woken.next_look, Some(at(5010)));
}

#[test]
fn a_shared_session_is_left_to_its_autoscaler() {
    let mut wish = wish(SessionState::Running);
    wish.persistent_home = false;
    for (most, replicas) in
        [(None, Replicas::One), (Some(1), Replicas::One), (Some(4), Replicas::AtMost(4))]
    {
        wish.max_replicas = most;
        let decision = decide(&Asked::Runnable(&wish), &running(), &policy(), at(1));
        assert_eq!(decision.objects, Objects::Applied { replicas, home: false });
    }
}

#[test]
fn the_conditions_of_others_stay() {
    let wish = wish(SessionState::Running);
    let mut observed = running();
    observed.conditions.push(condition("Theirs", false, "TheirReason", at(0)));
    let decision = decide(&Asked::Runnable(&wish), &observed, &policy(), at(1));
    assert_eq!(reason(&decision, "Theirs"), "TheirReason");
}

#[test]
fn a_violation_is_told_in_one_line() {
    let violation = |field: &str| Violation { field: field.into(), description: "is bad".into() };
    let found: Vec<_> = ["a", "b", "c", "d", "e"].map(violation).into();
    let told = Obstacle::invalid(&found);
    assert_eq!(told.message, "a: is bad; b: is bad; c: is bad; and 2 more");
    assert_eq!(Obstacle::invalid(&found[..1]).message, "a: is bad");
    assert_eq!(Obstacle::home("the node is another".into()).reason, "HomeUnavailable");
}
