//! What holds for every wish and every observation.

use proptest::prelude::*;

use super::{
    tests::{at, condition, policy, wish},
    *,
};

#[derive(Clone, Debug)]
struct Situation {
    wish: Wish,
    obstacle: u8,
    observed: Observed,
    policy: Policy,
    now: Timestamp,
}

impl Situation {
    fn asked(&self) -> Asked<'_> {
        let obstacle = Obstacle { reason: "TemplateInvalid", message: "is broken".into() };
        match self.obstacle {
            0 => Asked::Hindered(&self.wish, obstacle),
            1 => Asked::Invalid(self.wish.state, obstacle),
            _ => Asked::Runnable(&self.wish),
        }
    }

    fn decide(&self) -> Decision {
        decide(&self.asked(), &self.observed, &self.policy, self.now)
    }

    /// What is there after all of a decision was done.
    fn after(&self, decision: &Decision) -> Self {
        let mut next = self.clone();
        let observed = &mut next.observed;
        if let Some(change) = &decision.change {
            next.wish.state = change.to;
            observed.last_change = Some(change.clone());
            observed.generation += 1;
        }
        observed.phase = Some(decision.phase);
        observed.pod_name.clone_from(&decision.pod_name);
        observed.conditions.clone_from(&decision.conditions);
        observed.replicas = match decision.objects {
            Objects::Removed => None,
            Objects::Kept => observed.replicas,
            Objects::ScaledToZero => observed.replicas.map(|_| 0),
            Objects::Applied { replicas: Replicas::Zero, .. } => Some(0),
            Objects::Applied { replicas: Replicas::One, .. } => Some(1),
            Objects::Applied { replicas: Replicas::AtMost(most), .. } => {
                Some(observed.replicas.unwrap_or(1).clamp(1, most))
            }
        };
        next
    }
}

fn instant() -> impl Strategy<Value = Timestamp> {
    (0..1500_i64).prop_map(at)
}

fn observed() -> impl Strategy<Value = Observed> {
    let reasons = prop::sample::select(vec![WISHED, IDLE, MAXIMUM_DURATION, "TenantSuspended"]);
    let awake = prop::option::of((any::<bool>(), reasons, instant()))
        .prop_map(|shown| shown.map(|(holds, reason, at)| condition(AWAKE, holds, reason, at)));
    let ready = prop::option::of((any::<bool>(), instant()))
        .prop_map(|shown| shown.map(|(holds, at)| condition(READY, holds, "Shown", at)));
    let pod = (0..3_u8, prop::bool::weighted(0.8), prop::bool::weighted(0.1)).prop_map(
        |(number, ready, deleting)| Pod { name: format!("pod-{number}"), ready, deleting },
    );
    let fault = prop::sample::select(vec!["", "Unschedulable", "ImagePullBackOff", "FailedCreate"]);
    let reporter = prop::sample::select(vec!["proxy", "proxy", "proxy", "mallory"]);
    let activity = (instant(), instant(), reporter).prop_map(|(last, report_time, reporter)| {
        Activity { last, report_time, reporter: reporter.into() }
    });
    let change = (0..3_usize, instant()).prop_map(|(to, time)| StateChange {
        to: SessionState::ALL[to],
        reason: if to == 2 { MAXIMUM_DURATION } else { IDLE }.into(),
        message: "decided before".into(),
        time,
    });
    (
        (1..3_i64, prop::bool::weighted(0.1), prop::option::of(0..5_usize)),
        (awake, ready, prop::option::of(-1..5_i32)),
        prop::collection::vec(pod, 0..3),
        prop::option::of(fault),
        (prop::option::of(activity), prop::option::of(change)),
    )
        .prop_map(|((generation, deleting, phase), shown, pods, fault, (activity, change))| {
            Observed {
                generation,
                deleting,
                phase: phase.map(|phase| SessionPhase::ALL[phase]),
                pod_name: pods.first().map(|pod| pod.name.clone()),
                conditions: shown.0.into_iter().chain(shown.1).collect(),
                replicas: shown.2,
                pods,
                fault: fault.map(|reason| Fault { reason: reason.into(), message: "words".into() }),
                activity,
                last_change: change,
            }
        })
}

fn situation() -> impl Strategy<Value = Situation> {
    (
        (
            // Most run in an open tenant: there is more to decide.
            prop_oneof![3 => Just(0), 1 => 0..3_usize],
            any::<bool>(),
            prop::option::of(1..10_i32),
            0..8_u8,
        ),
        observed(),
        (prop_oneof![3 => Just(1), 1 => 0..7_usize], prop::bool::weighted(0.1)),
        instant(),
    )
        .prop_map(|((state, home, replicas, obstacle), observed, (tenant, deaf), now)| {
            let mut wish = wish(SessionState::ALL[state]);
            wish.persistent_home = home;
            wish.max_replicas = replicas;
            let mut policy = policy();
            policy.tenant = TenantState::ALL[tenant];
            if deaf {
                policy.reporters.clear();
            }
            Situation { wish, obstacle, observed, policy, now }
        })
}

/// Conditions without the generation, which a change of the wish raises.
fn told(decision: &Decision) -> Vec<Condition> {
    let mut conditions = decision.conditions.clone();
    for condition in &mut conditions {
        condition.observed_generation = 0;
    }
    conditions
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2048)))]

    #[test]
    fn running_has_a_ready_pod_and_is_wished(situation in situation()) {
        let decision = situation.decide();
        let observed = &situation.observed;
        if decision.phase == SessionPhase::Running {
            let shown = decision.pod_name.clone().unwrap();
            let is_ready =
                |pod: &Pod| pod.name == shown && pod.ready && !pod.deleting;
            prop_assert!(observed.pods.iter().any(is_ready));
            prop_assert_eq!(situation.wish.state, SessionState::Running);
            prop_assert!(!observed.deleting);
        }
        let ready = conditions::get(&decision.conditions, READY).unwrap();
        prop_assert_eq!(
            ready.status == ConditionStatus::True,
            decision.phase == SessionPhase::Running
        );
    }

    #[test]
    fn it_hibernates_by_itself_only_on_a_fresh_word(situation in situation()) {
        let decision = situation.decide();
        let Some(change) = &decision.change else { return Ok(()) };
        prop_assert_eq!(situation.wish.state, SessionState::Running);
        prop_assert!(!decision.events.is_empty() && !change.reason.is_empty());
        match change.to {
            SessionState::Running => prop_assert!(false, "it wakes nothing"),
            SessionState::Terminated => prop_assert_eq!(&change.reason, MAXIMUM_DURATION),
            SessionState::Hibernated => {
                let activity = situation.observed.activity.as_ref().unwrap();
                prop_assert!(situation.policy.reporters.contains(&activity.reporter));
                let age = situation.now.duration_since(activity.report_time);
                prop_assert!(age.abs().as_secs() < ACTIVITY_FRESH.seconds());
                let idle = situation.now.duration_since(activity.last).as_secs();
                prop_assert!(idle >= situation.wish.idle_timeout.seconds());
            }
        }
    }

    #[test]
    fn the_next_look_is_yet_to_come(situation in situation()) {
        let decision = situation.decide();
        prop_assert!(decision.next_look.is_none_or(|at| at > situation.now));
        // What runs is looked at again, at the latest when it must end.
        if decision.phase == SessionPhase::Running && situation.obstacle != 1 {
            prop_assert!(decision.next_look.is_some());
        }
    }

    #[test]
    fn nothing_happens_between_now_and_the_next_look(
        situation in situation(), part in 0..100_i64,
    ) {
        let mut situation = situation;
        // A report that is ahead of the clock counts from when it is reached.
        if let Some(activity) = &mut situation.observed.activity {
            activity.report_time = activity.report_time.min(situation.now);
            activity.last = activity.last.min(activity.report_time);
        }
        let decision = situation.decide();
        let mut later = situation.after(&decision);
        let end = decision.next_look.unwrap_or(at(10_000));
        let wait = end.duration_since(situation.now).as_secs() * part / 100;
        later.now = situation.now + jiff::SignedDuration::from_secs(wait);
        let again = later.decide();
        prop_assert_eq!(&again.change, &None);
        prop_assert_eq!((again.phase, again.objects), (decision.phase, decision.objects));
        prop_assert_eq!(told(&again), told(&decision));
        prop_assert_eq!(again.events, []);
    }

    #[test]
    fn deciding_on_the_result_changes_nothing(situation in situation()) {
        let first = situation.decide();
        let after = situation.after(&first);
        let second = after.decide();
        prop_assert_eq!(&second.change, &None);
        prop_assert_eq!(&second.events, &[]);
        prop_assert_eq!(second.phase, first.phase);
        prop_assert_eq!(second.objects, first.objects);
        prop_assert_eq!(&second.pod_name, &first.pod_name);
        prop_assert_eq!(told(&second), told(&first));
        prop_assert_eq!(after.after(&second).decide(), second);
    }

    #[test]
    fn a_closed_tenant_runs_nothing(situation in situation(), closed in 0..4_usize) {
        let mut situation = situation;
        situation.policy.tenant = [
            TenantState::Suspended,
            TenantState::Archived,
            TenantState::Purging,
            TenantState::Gone,
        ][closed];
        let decision = situation.decide();
        prop_assert!(matches!(decision.objects, Objects::ScaledToZero | Objects::Removed));
        // The wish is the prior state, which a resume restores.
        prop_assert_eq!(decision.change, None);
    }

    #[test]
    fn a_cordon_starts_nothing(situation in situation()) {
        let mut situation = situation;
        situation.policy.tenant = TenantState::Cordoned;
        situation.observed.conditions.retain(|condition| condition.type_ != AWAKE);
        situation.observed.replicas = situation.observed.replicas.map(|_| 0);
        let decision = situation.decide();
        if let Objects::Applied { replicas, .. } = decision.objects {
            prop_assert_eq!(replicas, Replicas::Zero);
        }
    }

    #[test]
    fn homes_are_made_for_those_who_want_them(situation in situation()) {
        if let Objects::Applied { home, .. } = situation.decide().objects {
            prop_assert_eq!(home, situation.wish.persistent_home);
        }
    }
}
