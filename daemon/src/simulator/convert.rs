//! Between a fault as the contract shows it and a rule that the simulator follows.

use std::time::Duration;

use streamspace_core::violation::Violation;
use streamspace_proto::v1::{self, FaultKind};
use streamspace_sim::{Effect, FaultRule, Refusal, Verb};

/// The verbs by the names that Kubernetes gives them.
pub(super) const VERBS: [(&str, Verb); 7] = [
    ("get", Verb::Get),
    ("list", Verb::List),
    ("watch", Verb::Watch),
    ("create", Verb::Create),
    ("update", Verb::Update),
    ("patch", Verb::Patch),
    ("delete", Verb::Delete),
];
/// The longest that a fault may hold a request up.
const LONGEST_LATENCY: Duration = Duration::from_mins(1);
/// The longest that a refused client is told to wait.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);
/// The longest name of a resource, namespace or object.
const LONGEST_NAME: usize = 253;

/// Collects what is wrong with a fault.
#[derive(Default)]
struct Wrong(Vec<Violation>);

impl Wrong {
    fn add(&mut self, field: &str, description: impl Into<String>) {
        let field = format!("fault.{field}");
        self.0.push(Violation { field, description: description.into() });
    }
}

/// The rule of a fault, or everything that is wrong with it. The fields are named as
/// `fault.percent` is.
pub(super) fn rule(fault: &v1::Fault) -> Result<FaultRule, Vec<Violation>> {
    let mut wrong = Wrong::default();
    let effect = effect(fault, &mut wrong);
    let rule = FaultRule {
        verbs: verbs(fault, &mut wrong),
        kinds: resource(&fault.resource, &mut wrong),
        namespaces: name("namespace", &fault.namespace, &mut wrong),
        names: name("object", &fault.object, &mut wrong),
        probability: f64::from(percent(fault, &mut wrong)) / 100.0,
        count: limit(fault, &mut wrong),
        seed: Some(seed(fault, &mut wrong)),
        effect,
    };
    if wrong.0.is_empty() { Ok(rule) } else { Err(wrong.0) }
}

fn effect(fault: &v1::Fault, wrong: &mut Wrong) -> Effect {
    let kind = fault.kind();
    let latency = span("latency", fault.latency.as_ref(), LONGEST_LATENCY, wrong);
    if fault.latency.is_some() && kind != FaultKind::Latency {
        wrong.add("latency", "is for FAULT_KIND_LATENCY alone: leave it out");
    }
    let retry_after = span("retry_after", fault.retry_after.as_ref(), LONGEST_RETRY_AFTER, wrong);
    if fault.retry_after.is_some() && kind != FaultKind::TooManyRequests {
        wrong.add("retry_after", "is for FAULT_KIND_TOO_MANY_REQUESTS alone: leave it out");
    } else if retry_after.is_some_and(|wait| wait.subsec_nanos() != 0) {
        wrong.add("retry_after", "must be whole seconds");
    }
    let refuse = |refusal| Effect::Refuse { refusal, retry_after_seconds: None };
    match kind {
        FaultKind::Latency => {
            if fault.latency.is_none() {
                wrong.add("latency", "is required: how long each request is held up");
            }
            let latency = latency.unwrap_or_default();
            Effect::Delay { milliseconds: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX) }
        }
        FaultKind::Conflict => refuse(Refusal::Conflict),
        FaultKind::Gone => refuse(Refusal::Gone),
        FaultKind::TooManyRequests => Effect::Refuse {
            refusal: Refusal::TooManyRequests,
            retry_after_seconds: retry_after.and_then(|wait| u32::try_from(wait.as_secs()).ok()),
        },
        FaultKind::InternalError => refuse(Refusal::InternalError),
        // It tells one event first, so that whoever opens it anew gets on.
        FaultKind::CutWatch => Effect::Cut { after_events: 1 },
        FaultKind::DropConnection => Effect::Drop,
        FaultKind::Unspecified => {
            wrong.add("kind", "is required: how the cluster fails");
            Effect::Drop
        }
    }
}

/// A span of at least a millisecond and at most `longest`.
fn span(
    field: &str,
    span: Option<&prost_types::Duration>,
    longest: Duration,
    wrong: &mut Wrong,
) -> Option<Duration> {
    let read = Duration::try_from(*span?).ok();
    let read = read.filter(|read| (Duration::from_millis(1)..=longest).contains(read));
    if read.is_none() {
        wrong.add(field, format!("must be more than nothing, and {} s at most", longest.as_secs()));
    }
    read
}

fn verbs(fault: &v1::Fault, wrong: &mut Wrong) -> Vec<Verb> {
    let mut verbs = Vec::new();
    for (index, word) in fault.verbs.iter().enumerate() {
        let field = format!("verbs[{index}]");
        match VERBS.iter().find(|(name, _)| name == word) {
            Some((_, verb)) if verbs.contains(verb) => wrong.add(&field, "stands there twice"),
            Some((_, verb)) => verbs.push(*verb),
            None => {
                let known = VERBS.map(|(name, _)| name).join(", ");
                wrong.add(&field, format!("must be one of {known}"));
            }
        }
    }
    if fault.kind() == FaultKind::CutWatch && verbs.iter().any(|verb| *verb != Verb::Watch) {
        wrong.add("verbs", "only watches are cut: say `watch`, or leave it out");
    }
    verbs
}

fn percent(fault: &v1::Fault, wrong: &mut Wrong) -> i32 {
    match fault.percent {
        0 => 100,
        percent @ 1..=100 => percent,
        _ => {
            wrong.add("percent", "must be 1 to 100, or 0 for all requests");
            100
        }
    }
}

fn limit(fault: &v1::Fault, wrong: &mut Wrong) -> Option<u64> {
    match u64::try_from(fault.limit) {
        Ok(0) => None,
        Ok(limit) => Some(limit),
        Err(_) => {
            wrong.add("limit", "must be 1 or more, or 0 for no limit");
            None
        }
    }
}

fn seed(fault: &v1::Fault, wrong: &mut Wrong) -> u64 {
    u64::try_from(fault.seed).unwrap_or_else(|_| {
        wrong.add("seed", "must be 0 or more");
        0
    })
}

/// A resource as in paths, its group behind a point and a subresource behind a slash.
fn resource(text: &str, wrong: &mut Wrong) -> Vec<String> {
    let fits =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '/');
    only("resource", text, fits, "must be a plural as in paths, for example `namespaces`", wrong)
}

fn name(field: &str, text: &str, wrong: &mut Wrong) -> Vec<String> {
    // Names of roles hold colons, and some are upper case.
    only(field, text, |c| c.is_ascii_graphic() && c != '/', "must be a name in the cluster", wrong)
}

/// One text to be equal to, or none where everything fits.
fn only(
    field: &str,
    text: &str,
    fits: impl Fn(char) -> bool,
    words: &str,
    wrong: &mut Wrong,
) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    if text.len() > LONGEST_NAME || !text.chars().all(fits) {
        wrong.add(field, format!("{words}, of {LONGEST_NAME} characters at most"));
    }
    vec![text.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: FaultKind) -> v1::Fault {
        v1::Fault { kind: kind.into(), ..v1::Fault::default() }
    }

    #[expect(clippy::unnecessary_wraps, reason = "the fields of messages are options")]
    fn seconds(seconds: i64) -> Option<prost_types::Duration> {
        Some(prost_types::Duration { seconds, nanos: 0 })
    }

    #[test]
    fn every_kind_has_its_effect() {
        let refuse = |refusal| Effect::Refuse { refusal, retry_after_seconds: None };
        for (kind, effect) in [
            (FaultKind::Conflict, refuse(Refusal::Conflict)),
            (FaultKind::Gone, refuse(Refusal::Gone)),
            (FaultKind::TooManyRequests, refuse(Refusal::TooManyRequests)),
            (FaultKind::InternalError, refuse(Refusal::InternalError)),
            (FaultKind::CutWatch, Effect::Cut { after_events: 1 }),
            (FaultKind::DropConnection, Effect::Drop),
        ] {
            assert_eq!(rule(&fault(kind)).unwrap().effect, effect, "{kind:?}");
        }
        let late = v1::Fault { latency: seconds(2), ..fault(FaultKind::Latency) };
        assert_eq!(rule(&late).unwrap().effect, Effect::Delay { milliseconds: 2000 });
        let patient = v1::Fault { retry_after: seconds(7), ..fault(FaultKind::TooManyRequests) };
        let waits =
            Effect::Refuse { refusal: Refusal::TooManyRequests, retry_after_seconds: Some(7) };
        assert_eq!(rule(&patient).unwrap().effect, waits);
    }

    #[test]
    fn what_it_names_narrows_it() {
        let rule = rule(&v1::Fault {
            verbs: vec!["patch".into(), "create".into()],
            resource: "deployments.apps/scale".into(),
            namespace: "tenant-acme".into(),
            object: "Some:Role".into(),
            percent: 20,
            limit: 5,
            seed: 7,
            ..fault(FaultKind::Conflict)
        })
        .unwrap();
        assert_eq!(rule.verbs, [Verb::Patch, Verb::Create]);
        assert_eq!(rule.kinds, ["deployments.apps/scale"]);
        assert_eq!(
            (rule.namespaces, rule.names),
            (vec!["tenant-acme".into()], vec!["Some:Role".into()])
        );
        assert!((rule.probability - 0.2).abs() < f64::EPSILON);
        assert_eq!((rule.count, rule.seed), (Some(5), Some(7)));
        assert_eq!(super::rule(&fault(FaultKind::Gone)).unwrap().count, None);
    }

    #[test]
    fn everything_wrong_is_named_at_once() {
        let bad = v1::Fault {
            verbs: vec!["watch".into(), "watch".into(), "Patch".into()],
            resource: "Name Spaces".into(),
            namespace: "a/b".into(),
            object: "x".repeat(254),
            percent: 101,
            limit: -1,
            seed: -1,
            latency: seconds(61),
            retry_after: seconds(1),
            ..fault(FaultKind::Unspecified)
        };
        let fields: Vec<String> = rule(&bad).unwrap_err().into_iter().map(|v| v.field).collect();
        for field in [
            "kind",
            "latency",
            "retry_after",
            "verbs[1]",
            "verbs[2]",
            "resource",
            "namespace",
            "object",
            "percent",
            "limit",
            "seed",
        ] {
            assert!(fields.contains(&format!("fault.{field}")), "{field}: {fields:?}");
        }
    }

    #[test]
    fn a_kind_needs_what_it_is_about_and_nothing_else() {
        let field = |fault: v1::Fault| rule(&fault).unwrap_err().remove(0).field;
        assert_eq!(field(fault(FaultKind::Latency)), "fault.latency");
        let late = |latency| v1::Fault { latency, ..fault(FaultKind::Latency) };
        assert_eq!(field(late(seconds(0))), "fault.latency");
        assert_eq!(field(late(seconds(-5))), "fault.latency");
        let cut = v1::Fault { verbs: vec!["list".into()], ..fault(FaultKind::CutWatch) };
        assert_eq!(field(cut), "fault.verbs");
        let half = prost_types::Duration { seconds: 1, nanos: 500_000_000 };
        let half = v1::Fault { retry_after: Some(half), ..fault(FaultKind::TooManyRequests) };
        assert_eq!(field(half), "fault.retry_after");
    }
}
