//! From an SLO to a document.

use serde_json::{Map, Value, json};

use super::{ANNOTATIONS, OWN_SOURCE, VERSION, annotation, source};
use crate::slo::{
    Goal, Selector, Sli, Slo, Window,
    burn::{decimal, duration},
};

/// An SLO as an `OpenSLO` document.
pub fn write(slo: &Slo) -> Value {
    let mut metadata = Map::new();
    metadata.insert("name".into(), slo.id.as_str().into());
    if !slo.display_name.is_empty() {
        metadata.insert("displayName".into(), slo.display_name.as_str().into());
    }
    let annotations = annotations(slo);
    if !annotations.is_empty() {
        metadata.insert("annotations".into(), annotations.into());
    }
    let mut spec = Map::new();
    if !slo.description.is_empty() {
        spec.insert("description".into(), slo.description.as_str().into());
    }
    spec.insert("service".into(), slo.service.as_str().into());
    spec.insert(
        "indicator".into(),
        json!({
            "metadata": {"name": format!("{}-sli", slo.id.as_str())},
            "spec": {"ratioMetric": indicator(&slo.sli)},
        }),
    );
    spec.insert("timeWindow".into(), json!([window(&slo.window)]));
    spec.insert("budgetingMethod".into(), "Occurrences".into());
    spec.insert("objectives".into(), json!([{"targetPercent": target(slo.goal)}]));
    json!({"apiVersion": VERSION, "kind": "SLO", "metadata": metadata, "spec": spec})
}

/// A format without objectives by plan gets one that stands for all of them; the
/// annotation says so.
fn target(goal: Goal) -> Value {
    let text = match goal {
        Goal::Fixed(objective) => objective.to_string(),
        Goal::ByPlan => "99.9".to_owned(),
    };
    // As a number: its shortest decimal is the text again.
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

fn annotations(slo: &Slo) -> Map<String, Value> {
    let mut all = Map::new();
    let mut put = |name: &str, value: String| {
        if !value.is_empty() {
            all.insert(format!("{ANNOTATIONS}{name}"), value.into());
        }
    };
    if slo.goal == Goal::ByPlan {
        put(annotation::BY_PLAN, "true".into());
    }
    if let Some(tenant) = &slo.per_tenant {
        put(annotation::PER_TENANT, "true".into());
        put(annotation::TENANT_LABEL, tenant.label.clone());
        if tenant.label_is_namespace {
            put(annotation::LABEL_IS_NAMESPACE, "true".into());
        }
    }
    let rules = slo.rules.iter().map(|rule| {
        format!(
            "{}:{}/{}@{}",
            rule.severity.as_str(),
            duration(rule.long),
            duration(rule.short),
            decimal(rule.factor_milli)
        )
    });
    put(annotation::RULES, joined(rules));
    let number = |value: u64| if value == 0 { String::new() } else { value.to_string() };
    put(annotation::LEAST_TOTAL, number(slo.least_total));
    put(annotation::LEAST_BAD, number(slo.least_bad));
    let steps = slo.policy.iter();
    put(
        annotation::POLICY,
        joined(steps.map(|step| format!("{}={}", step.used_percent, step.action.as_str()))),
    );
    let credits = slo.credits.iter();
    put(annotation::CREDITS, joined(credits.map(|it| format!("{}={}", it.below, it.percent))));
    put(annotation::RUNBOOK, slo.runbook_url.clone());
    all
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(",")
}

fn window(window: &Window) -> Value {
    match window {
        Window::Rolling { days } => json!({"duration": format!("{days}d"), "isRolling": true}),
        Window::CalendarMonth { zone } => json!({
            "duration": "1M",
            "isRolling": false,
            "calendar": {
                "startTime": "2026-01-01 00:00:00",
                "timeZone": zone.iana_name().unwrap_or("UTC"),
            },
        }),
    }
}

fn indicator(sli: &Sli) -> Value {
    let query = |selector: &Selector| json!({"metricSource": {"type": "Prometheus", "spec": {"query": selector.to_string()}}});
    let own = |spec: Value| {
        json!({
            "counter": true,
            "rawType": "success",
            "raw": {"metricSource": {"type": OWN_SOURCE, "spec": spec}},
        })
    };
    match sli {
        Sli::Good { good, total } => {
            json!({"counter": true, "good": query(good), "total": query(total)})
        }
        Sli::Bad { bad, total } => {
            json!({"counter": true, "bad": query(bad), "total": query(total)})
        }
        Sli::Latency { histogram, threshold } => own(json!({
            source::HISTOGRAM: histogram.to_string(),
            source::THRESHOLD: threshold,
        })),
        Sli::Probe { probe } => own(json!({source::PROBE: probe.to_string()})),
        Sli::Own(counter) => own(json!({source::OWN: counter.as_str()})),
        Sli::Pushed => own(json!({source::PUSHED: "true"})),
    }
}
