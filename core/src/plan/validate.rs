//! What a new version of a plan must be.

use std::collections::BTreeSet;

use super::{Bytes, Plan};
use crate::{
    quota,
    tenant::{DISPLAY_NAME_MAXIMUM, ENTRIES_MAXIMUM},
    text,
    violation::{Violation, Violations},
};

/// The longest time that recordings are kept, in days: ten years.
const RETENTION_MAXIMUM: i32 = 3650;
/// The most sessions of one user that a plan can count; more are unlimited.
const USER_SESSIONS_MAXIMUM: i32 = 10_000;
/// The highest rank.
const RANK_MAXIMUM: i32 = 1000;
/// The largest declared overcommit, in thousandths: a thousand times the quota.
const OVERCOMMIT_MAXIMUM: i32 = 1_000_000;

/// Everything that is wrong with a version of a plan; nothing where it is valid. Fields
/// are named by their path in the contract's `Plan`.
pub fn validate(plan: &Plan) -> Vec<Violation> {
    let mut violations = Violations::new();
    violations.check("display_name", text::check(&plan.display_name, DISPLAY_NAME_MAXIMUM));
    if plan.display_name.is_empty() {
        violations.add("display_name", "is empty: write what customers call the plan");
    }
    let mut range = |field: &str, value: i32, minimum: i32, maximum: i32| {
        if !(minimum..=maximum).contains(&value) {
            violations.add(field, format!("is {value}, and must be {minimum} to {maximum}"));
        }
    };
    range("rank", plan.rank, 1, RANK_MAXIMUM);
    range("recording_retention_days", plan.recording_retention_days, 0, RETENTION_MAXIMUM);
    range("availability_ppm", plan.availability_ppm, 0, 1_000_000);
    range("overcommit_permille", plan.overcommit_permille, 1000, OVERCOMMIT_MAXIMUM);
    if let Some(sessions) = plan.user_sessions {
        range("user_sessions", sessions, 1, USER_SESSIONS_MAXIMUM);
    }
    if let Some(price) = plan.seat_price.filter(|price| price.0 < 0) {
        let remedy = "leave it out where a contract sets the price";
        violations.add("seat_price_micros", format!("is {price}, below nothing: {remedy}"));
    }
    if let Some(memory) = plan.user_memory
        && !(Bytes(1)..=quota::BYTES_MAXIMUM).contains(&memory)
    {
        let maximum = quota::BYTES_MAXIMUM;
        violations.add(
            "user_memory_bytes",
            format!(
                "is {memory}, and must be more than 0 and at most {maximum}; leave it out where a \
                 contract sets it"
            ),
        );
    }
    check_features(&plan.features, &mut violations);
    for violation in quota::check(&plan.quota, plan) {
        let field = match violation.field.as_str() {
            "cpu" => "quota.cpu_millicores",
            "memory" => "quota.memory_bytes",
            "storage" => "quota.storage_bytes",
            _ => "quota.pods",
        };
        violations.add(field, violation.description);
    }
    violations.into_vec()
}

fn check_features(features: &[String], violations: &mut Violations) {
    const FIELD: &str = "features";
    if features.len() > ENTRIES_MAXIMUM {
        let count = features.len();
        violations
            .add(FIELD, format!("has {count} entries, and at most {ENTRIES_MAXIMUM} are allowed"));
    }
    let mut seen = BTreeSet::new();
    for (index, feature) in features.iter().enumerate().take(ENTRIES_MAXIMUM) {
        let field = format!("{FIELD}[{index}]");
        let shown = text::excerpt(feature);
        if !is_label(feature) {
            violations.add(
                field,
                format!(
                    "`{shown}` must be 1 to 63 lower-case letters, digits and hyphens, and begin \
                     and end with a letter or digit"
                ),
            );
        } else if !seen.insert(feature) {
            violations.add(field, format!("repeats `{shown}`: remove it"));
        }
    }
}

fn is_label(value: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&value.len())
        && value.bytes().all(|byte| inner(byte) || byte == b'-')
        && !value.starts_with('-')
        && !value.ends_with('-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::{MicroUsd, Millicores, seeded};

    fn fields(change: impl FnOnce(&mut Plan)) -> Vec<String> {
        let mut plan = seeded().unwrap().remove(1);
        change(&mut plan);
        validate(&plan).into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn the_seeded_plans_are_valid() {
        for plan in seeded().unwrap() {
            assert_eq!(validate(&plan), [], "{}", plan.id);
        }
    }

    #[test]
    fn each_rule_names_its_field() {
        type Change = fn(&mut Plan);
        let cases: [(&str, Change); 24] = [
            ("display_name", |p| p.display_name.clear()),
            ("display_name", |p| p.display_name = "a\u{1b}[2J".to_owned()),
            ("display_name", |p| p.display_name = "a".repeat(65536)),
            ("rank", |p| p.rank = 0),
            ("rank", |p| p.rank = 1001),
            ("recording_retention_days", |p| p.recording_retention_days = -1),
            ("recording_retention_days", |p| p.recording_retention_days = 3651),
            ("availability_ppm", |p| p.availability_ppm = -1),
            ("availability_ppm", |p| p.availability_ppm = 1_000_001),
            ("overcommit_permille", |p| p.overcommit_permille = 999),
            ("user_sessions", |p| p.user_sessions = Some(0)),
            ("seat_price_micros", |p| p.seat_price = Some(MicroUsd(-1))),
            ("user_memory_bytes", |p| p.user_memory = Some(Bytes(0))),
            ("user_memory_bytes", |p| p.user_memory = Some(Bytes(-1))),
            ("features[0]", |p| p.features = vec!["SSO".to_owned()]),
            ("features[0]", |p| p.features = vec![String::new()]),
            ("features[0]", |p| p.features = vec!["x".repeat(65536)]),
            ("features[1]", |p| p.features = vec!["sso".to_owned(); 2]),
            ("features", |p| p.features = (0..65).map(|n| format!("f{n}")).collect()),
            ("quota.cpu_millicores", |p| p.quota.cpu = Millicores(0)),
            ("quota.cpu_millicores", |p| p.quota.cpu = Millicores(i64::MAX)),
            ("quota.memory_bytes", |p| p.quota.memory = Bytes(15 << 30)),
            ("quota.storage_bytes", |p| p.quota.storage = Bytes(-1)),
            ("quota.pods", |p| p.quota.pods = 4),
        ];
        for (number, (field, change)) in cases.into_iter().enumerate() {
            assert_eq!(fields(change), [field], "case {number}");
        }
    }

    #[test]
    fn edges_pass() {
        assert!(fields(|p| p.recording_retention_days = 3650).is_empty());
        assert!(fields(|p| p.recording_retention_days = 0).is_empty());
        assert!(fields(|p| p.availability_ppm = 1_000_000).is_empty());
        assert!(fields(|p| p.quota.pods = 5).is_empty());
        assert!(fields(|p| p.features.clear()).is_empty());
        assert!(fields(|p| p.user_sessions = None).is_empty());
    }

    proptest! {
        #[test]
        fn any_plan_gets_a_short_safe_answer(
            name in any::<String>(),
            features in prop::collection::vec(any::<String>(), 0..100),
            numbers in prop::array::uniform6(any::<i64>()),
            small in prop::array::uniform6(any::<i32>()),
        ) {
            let mut plan = seeded().unwrap().remove(0);
            plan.display_name = name;
            plan.features = features;
            let [price, memory, cpu, quota_memory, storage, _] = numbers;
            plan.seat_price = Some(MicroUsd(price));
            plan.user_memory = Some(Bytes(memory));
            plan.quota.cpu = Millicores(cpu);
            plan.quota.memory = Bytes(quota_memory);
            plan.quota.storage = Bytes(storage);
            let [rank, days, ppm, overcommit, sessions, pods] = small;
            plan.rank = rank;
            plan.recording_retention_days = days;
            plan.availability_ppm = ppm;
            plan.overcommit_permille = overcommit;
            plan.user_sessions = Some(sessions);
            plan.quota.pods = pods;
            for violation in validate(&plan) {
                let shown = violation.to_string();
                prop_assert!(!shown.chars().any(text::acts_on_terminals), "{:?}", shown);
                prop_assert!(shown.chars().count() < 400);
            }
        }
    }
}
