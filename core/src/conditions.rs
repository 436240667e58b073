//! Conditions: what was last observed of a resource, in the manner of Kubernetes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be told at the moment.
    Unknown,
}

/// One observation about a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is observed, for example `NamespaceReady`. A resource has one of each type.
    #[serde(rename = "type")]
    pub type_: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// One word for programs, for example `Forbidden`.
    pub reason: String,
    /// A sentence for people; the cluster's own words where it refused something.
    pub message: String,
    /// The generation of the resource that this was observed of.
    pub observed_generation: i64,
    /// When the status last changed.
    pub last_transition_time: Timestamp,
}

/// Puts an observation among the others, in the place of the earlier one of its type.
///
/// The transition time of the earlier one stays while the status is the same: it tells
/// since when something holds, not when it was last looked at. Returns whether anything
/// changed, so that an unchanged resource costs no write.
pub fn set(conditions: &mut Vec<Condition>, mut observed: Condition) -> bool {
    let Some(earlier) = conditions.iter_mut().find(|c| c.type_ == observed.type_) else {
        conditions.push(observed);
        return true;
    };
    if earlier.status == observed.status {
        observed.last_transition_time = earlier.last_transition_time;
    }
    let changed = *earlier != observed;
    *earlier = observed;
    changed
}

/// The condition of a type, where it was ever observed.
pub fn get<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn condition(type_: &str, status: ConditionStatus, message: &str, second: i64) -> Condition {
        Condition {
            type_: type_.to_owned(),
            status,
            reason: "Test".to_owned(),
            message: message.to_owned(),
            observed_generation: 1,
            last_transition_time: Timestamp::from_second(second).unwrap(),
        }
    }

    #[test]
    fn the_transition_time_follows_the_status() {
        use ConditionStatus::{False, True};
        let mut conditions = Vec::new();
        assert!(set(&mut conditions, condition("Ready", False, "starting", 1)));
        assert!(!set(&mut conditions, condition("Ready", False, "starting", 2)));
        assert!(set(&mut conditions, condition("Ready", False, "quota exceeded", 3)));
        assert_eq!(conditions[0].last_transition_time.as_second(), 1);
        assert_eq!(conditions[0].message, "quota exceeded");
        assert!(set(&mut conditions, condition("Ready", True, "", 4)));
        assert_eq!(conditions[0].last_transition_time.as_second(), 4);
        assert!(set(&mut conditions, condition("Paused", False, "", 5)));
        assert_eq!(conditions.len(), 2);
        assert_eq!(get(&conditions, "Paused").unwrap().last_transition_time.as_second(), 5);
        assert_eq!(get(&conditions, "Absent"), None);
    }

    #[test]
    fn a_new_generation_is_a_change() {
        let mut conditions = vec![condition("Ready", ConditionStatus::True, "", 1)];
        let mut observed = condition("Ready", ConditionStatus::True, "", 2);
        observed.observed_generation = 2;
        assert!(set(&mut conditions, observed));
        assert_eq!(conditions[0].last_transition_time.as_second(), 1);
    }

    #[test]
    fn json_is_as_in_kubernetes() {
        let ready = condition("Ready", ConditionStatus::True, "all there", 0);
        let json = serde_json::to_value(&ready).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "type": "Ready", "status": "True", "reason": "Test", "message": "all there",
                "observedGeneration": 1, "lastTransitionTime": "1970-01-01T00:00:00Z",
            })
        );
        assert_eq!(serde_json::from_value::<Condition>(json).unwrap(), ready);
    }

    proptest! {
        #[test]
        fn one_of_each_type_and_silence_when_repeated(
            observed in prop::collection::vec((0..4_u8, 0..3_u8, 0..3_u8), 0..40),
        ) {
            let mut conditions = Vec::new();
            for (second, (type_, status, message)) in (0_i64..).zip(observed) {
                let status = match status {
                    0 => ConditionStatus::True,
                    1 => ConditionStatus::False,
                    _ => ConditionStatus::Unknown,
                };
                let one = condition(&type_.to_string(), status, &message.to_string(), second);
                set(&mut conditions, one.clone());
                let mut later = one;
                later.last_transition_time = Timestamp::from_second(second + 1000).unwrap();
                prop_assert!(!set(&mut conditions, later));
                let mut types: Vec<_> = conditions.iter().map(|c| &c.type_).collect();
                types.sort();
                types.dedup();
                prop_assert_eq!(types.len(), conditions.len());
            }
        }
    }
}
