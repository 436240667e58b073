//! What a new version of a plan changes, for people who read the audit log. Pure.

use std::fmt::Display;

use streamspace_core::{
    plan::{Plan, Quota},
    quota::Resource,
};

use crate::rpc::summary::Summary;

/// What differs between two versions of a plan.
pub(super) fn changed(before: &Plan, after: &Plan) -> String {
    // Whoever adds a field is asked here how it is told.
    let Plan {
        id: _,
        version,
        rank,
        display_name,
        seat_price,
        user_sessions,
        user_memory,
        recording_retention_days,
        features,
        availability_ppm,
        quota,
        overcommit_permille,
    } = before;
    let mut summary = Summary::new();
    summary.field("version", version, after.version);
    summary.field("display name", display_name, &after.display_name);
    summary.field(
        "seat price",
        or(seat_price.as_ref(), "by contract"),
        or(after.seat_price.as_ref(), "by contract"),
    );
    summary.field(
        "sessions of a user",
        or(user_sessions.as_ref(), "any number"),
        or(after.user_sessions.as_ref(), "any number"),
    );
    summary.field(
        "memory of a user",
        or(user_memory.as_ref(), "by contract"),
        or(after.user_memory.as_ref(), "by contract"),
    );
    summary.field("days of recordings", recording_retention_days, after.recording_retention_days);
    summary.field("features", features.join(", "), after.features.join(", "));
    summary.field("availability", ppm(*availability_ppm), ppm(after.availability_ppm));
    quotas(&mut summary, quota, &after.quota);
    summary.field(
        "overcommit",
        permille(*overcommit_permille),
        permille(after.overcommit_permille),
    );
    summary.field("rank", rank, after.rank);
    summary.into_text()
}

fn quotas(summary: &mut Summary, before: &Quota, after: &Quota) {
    for resource in Resource::ALL {
        let shown = |quota: &Quota| resource.show(resource.of(quota));
        summary.field(resource.as_str(), shown(before), shown(after));
    }
}

fn or(value: Option<&impl Display>, nothing: &str) -> String {
    value.map_or_else(|| nothing.to_owned(), ToString::to_string)
}

fn ppm(millionths: i32) -> String {
    format!("{millionths} ppm")
}

fn permille(thousandths: i32) -> String {
    format!("{thousandths} permille")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_version_tells_each_field() {
        let plans = streamspace_core::plan::seeded().unwrap();
        let before = plans[0].clone();
        let mut after = before.clone();
        after.version += 1;
        after.quota.cpu.0 = 8000;
        after.user_sessions = None;
        assert_eq!(
            changed(&before, &after),
            "version 1 → 2; sessions of a user 1 → any number; cpu 4 → 8"
        );
    }
}
