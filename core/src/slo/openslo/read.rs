//! From a document to an SLO.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    ANNOTATIONS, OWN_SOURCE, VERSION, annotation,
    annotations::{Ours, annotations, credit, each, number, rule, step},
    source,
    tree::Node,
};
use crate::{
    ids::SloId,
    slo::{Goal, Objective, OwnCounter, PerTenant, Selector, Sli, Slo, Window, validate},
    text,
    violation::{Violation, Violations},
};

/// More documents than anybody writes into one file.
const DOCUMENTS_MAXIMUM: usize = 500;
/// Kinds that stand beside SLOs, and of which nothing is taken.
const BESIDE: [&str; 5] =
    ["Service", "DataSource", "AlertPolicy", "AlertCondition", "AlertNotificationTarget"];

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// The SLOs, in their order.
    pub slos: Vec<Slo>,
    /// What was left out, for people.
    pub notes: Vec<String>,
}

/// Reads documents. Every fault is told with its place, and then nothing is read.
pub fn read(documents: &[Value]) -> Result<Read, Vec<Violation>> {
    let mut faults = Violations::new();
    if documents.len() > DOCUMENTS_MAXIMUM {
        faults.add("openslo", "more than 500 documents: split the file");
        faults.clone().into_result()?;
    }
    let nodes: Vec<Node<'_>> = documents
        .iter()
        .enumerate()
        .map(|(index, value)| Node::new(format!("openslo[{index}]"), value))
        .collect();
    let mut read = Read::default();
    let mut indicators: BTreeMap<&str, Node<'_>> = BTreeMap::new();
    let mut slos = Vec::new();
    for node in &nodes {
        match kind(node, &mut faults) {
            Some("SLO") => slos.push(node),
            Some("SLI") => {
                if let (Some(name), Some(spec)) = (
                    name_of(node, &mut faults),
                    node.need("spec", "write the indicator", &mut faults),
                ) && indicators.insert(name, spec).is_some()
                {
                    faults.add(&node.path, "another SLI has the same name");
                }
            }
            Some(kind) => read.notes.push(format!("{}: a {kind} is not used", node.path)),
            None => {}
        }
    }
    if slos.is_empty() && faults.is_empty() {
        faults.add("openslo", "has no document of kind SLO");
    }
    for node in slos {
        let Some(slo) = slo(node, &indicators, &mut read.notes, &mut faults) else { continue };
        if let Err(found) = validate(&slo) {
            faults.extend(found.into_iter().map(|fault| Violation {
                field: format!("{} ({})", node.path, fault.field),
                description: fault.description,
            }));
        }
        if read.slos.iter().any(|other| other.id == slo.id) {
            faults.add(&node.path, format!("another SLO has the name {}", slo.id.as_str()));
        }
        read.slos.push(slo);
    }
    faults.into_result().map(|()| read)
}

fn kind<'a>(node: &Node<'a>, faults: &mut Violations) -> Option<&'a str> {
    if !node.value.is_object() {
        faults.add(&node.path, "must be a map with apiVersion, kind, metadata and spec");
        return None;
    }
    node.map(&["apiVersion", "kind", "metadata", "spec"], faults);
    let version = node.need("apiVersion", "write openslo/v1", faults)?;
    if version.text(faults)? != VERSION {
        faults.add(version.path, "must be openslo/v1, the only version that is read");
        return None;
    }
    let kind = node.need("kind", "write SLO", faults)?;
    let word = kind.text(faults)?;
    if word == "SLO" || word == "SLI" || BESIDE.contains(&word) {
        return Some(word);
    }
    faults.add(
        kind.path,
        format!("`{}` is no kind of OpenSLO: write SLO or SLI", text::excerpt(word)),
    );
    None
}

fn name_of<'a>(node: &Node<'a>, faults: &mut Violations) -> Option<&'a str> {
    let metadata = node.need("metadata", "write a map with a name", faults)?;
    metadata.map(&["name", "displayName", "labels", "annotations"], faults)?;
    metadata.need("name", "give it a name", faults)?.text(faults)
}

fn optional(node: Option<Node<'_>>, faults: &mut Violations) -> String {
    node.and_then(|node| node.text(faults)).unwrap_or_default().to_owned()
}

fn slo(
    node: &Node<'_>,
    indicators: &BTreeMap<&str, Node<'_>>,
    notes: &mut Vec<String>,
    faults: &mut Violations,
) -> Option<Slo> {
    let name = name_of(node, faults)?;
    let id = faults.check(format!("{}.metadata.name", node.path), SloId::parse(name));
    let metadata = node.get("metadata")?;
    let ours = annotations(&metadata, faults);
    let spec = node.need("spec", "write the objective", faults)?;
    spec.map(
        &[
            "description",
            "service",
            "indicator",
            "indicatorRef",
            "timeWindow",
            "budgetingMethod",
            "objectives",
            "alertPolicies",
        ],
        faults,
    )?;
    if spec.get("alertPolicies").is_some() {
        notes.push(format!(
            "{}.alertPolicies: not used; the rules are those of the window, or the annotation \
             {ANNOTATIONS}{}",
            spec.path,
            annotation::RULES
        ));
    }
    if let Some(method) = spec.get("budgetingMethod")
        && method.text(faults).is_some_and(|word| word != "Occurrences")
    {
        faults.add(method.path, "must be Occurrences: events are counted, and no slices of time");
    }
    let service = spec.need("service", "name the service", faults).and_then(|it| it.text(faults));
    let window = window(&spec, faults);
    let goal = goal(&spec, &ours, faults);
    let sli = match (spec.get("indicator"), spec.get("indicatorRef")) {
        (Some(inline), None) => {
            inline.map(&["metadata", "spec"], faults)?;
            let inner = inline.need("spec", "write the indicator", faults)?;
            indicator(&inner, faults)
        }
        (None, Some(reference)) => {
            let name = reference.text(faults)?;
            let Some(inner) = indicators.get(name) else {
                faults.add(
                    reference.path,
                    format!("no SLI of the name `{}` is in the documents", text::excerpt(name)),
                );
                return None;
            };
            indicator(inner, faults)
        }
        (Some(_), Some(_)) => {
            faults.add(&spec.path, "has both indicator and indicatorRef: leave one out");
            None
        }
        (None, None) => {
            faults.add(&spec.path, "needs an indicator or an indicatorRef");
            None
        }
    };
    let flag = |name| ours.get(name).is_some_and(|(_, value)| *value == "true");
    let word = |name| ours.get(name).map_or("", |(_, value)| *value);
    let per_tenant = flag(annotation::PER_TENANT).then(|| PerTenant {
        label: word(annotation::TENANT_LABEL).to_owned(),
        label_is_namespace: flag(annotation::LABEL_IS_NAMESPACE),
    });
    let rules = each(&ours, annotation::RULES, faults, rule);
    let policy = each(&ours, annotation::POLICY, faults, step);
    let credits = each(&ours, annotation::CREDITS, faults, credit);
    let least_total = number(&ours, annotation::LEAST_TOTAL, faults);
    let least_bad = number(&ours, annotation::LEAST_BAD, faults);
    Some(Slo {
        id: id?,
        display_name: optional(metadata.get("displayName"), faults),
        description: optional(spec.get("description"), faults),
        service: service?.to_owned(),
        goal: goal?,
        window: window?,
        sli: sli?,
        per_tenant,
        rules,
        least_total,
        least_bad,
        policy,
        credits,
        runbook_url: word(annotation::RUNBOOK).to_owned(),
    })
}

fn window(spec: &Node<'_>, faults: &mut Violations) -> Option<Window> {
    let Some(node) = spec.get("timeWindow") else { return Window::rolling(30).ok() };
    let all = node.list(faults);
    let [only] = all.as_slice() else {
        faults.add(node.path, "must have just one window");
        return None;
    };
    only.map(&["duration", "isRolling", "calendar"], faults)?;
    let duration = only.need("duration", "write for example 30d", faults)?;
    let text = duration.text(faults)?;
    let rolling = only.get("isRolling").and_then(|node| node.value.as_bool());
    match (rolling, only.get("calendar")) {
        (Some(true), Some(calendar)) => {
            faults.add(calendar.path, "is for windows that are not rolling: leave it out");
            None
        }
        (Some(false), None) => {
            faults.add(&only.path, "needs a calendar with a timeZone, or isRolling: true");
            None
        }
        (None | Some(true), None) => {
            let days = text.strip_suffix('d').and_then(|days| days.parse::<i64>().ok());
            let weeks = text.strip_suffix('w').and_then(|weeks| weeks.parse::<i64>().ok());
            let Some(days) = days.or(weeks.and_then(|weeks| weeks.checked_mul(7))) else {
                faults.add(
                    duration.path,
                    "must be whole days or weeks, for example 30d or 4w; a calendar month is 1M with \
                     isRolling: false",
                );
                return None;
            };
            faults.check(duration.path, Window::rolling(days))
        }
        (None | Some(false), Some(calendar)) => {
            calendar.map(&["startTime", "timeZone"], faults)?;
            if text != "1M" {
                faults.add(duration.path, "must be 1M: calendar windows are months");
                return None;
            }
            if let Some(start) = calendar.get("startTime")
                && !start.text(faults).is_some_and(begins_a_month)
            {
                faults.add(start.path, "must be midnight of a first day, as months begin then");
            }
            let zone = calendar.need("timeZone", "name an IANA zone", faults)?;
            let zone_name = zone.text(faults)?;
            faults.check(zone.path, Window::calendar_month(zone_name))
        }
    }
}

fn begins_a_month(text: &str) -> bool {
    text.split_once(' ').or_else(|| text.split_once('T')).is_some_and(|(date, time)| {
        date.ends_with("-01") && date.len() == 10 && matches!(time, "00:00:00" | "00:00:00Z")
    })
}

fn goal(spec: &Node<'_>, ours: &Ours<'_>, faults: &mut Violations) -> Option<Goal> {
    let by_plan = ours.get(annotation::BY_PLAN).is_some_and(|(_, value)| *value == "true");
    let node = spec.need("objectives", "write one with a target", faults)?;
    let all = node.list(faults);
    let [only] = all.as_slice() else {
        faults.add(node.path, "must have just one objective: write an SLO for each");
        return None;
    };
    let keys = [
        "displayName",
        "op",
        "value",
        "target",
        "targetPercent",
        "timeSliceTarget",
        "timeSliceWindow",
    ];
    only.map(&keys, faults)?;
    for key in ["timeSliceTarget", "timeSliceWindow", "op", "value"] {
        if let Some(node) = only.get(key) {
            faults.add(node.path, "is for other kinds of objectives: leave it out");
        }
    }
    let objective = match (only.get("target"), only.get("targetPercent")) {
        (Some(_), Some(_)) => {
            faults.add(&only.path, "has both target and targetPercent: leave one out");
            None
        }
        (None, None) => {
            faults.add(&only.path, "needs a target, for example 0.999, or a targetPercent");
            None
        }
        (Some(target), None) => {
            let decimal = target.decimal(faults)?;
            faults.check(target.path, Objective::from_share(&decimal))
        }
        (None, Some(percent)) => {
            let decimal = percent.decimal(faults)?;
            faults.check(percent.path, decimal.parse::<Objective>())
        }
    };
    if by_plan { objective.map(|_| Goal::ByPlan) } else { objective.map(Goal::Fixed) }
}

fn indicator(spec: &Node<'_>, faults: &mut Violations) -> Option<Sli> {
    spec.map(&["description", "ratioMetric", "thresholdMetric"], faults)?;
    if let Some(threshold) = spec.get("thresholdMetric") {
        faults.add(
            threshold.path,
            "tells no events: write a ratioMetric of good or bad events and all",
        );
        return None;
    }
    let ratio = spec.need("ratioMetric", "write good or bad and total", faults)?;
    ratio.map(&["counter", "good", "bad", "total", "rawType", "raw"], faults)?;
    if let Some(counter) = ratio.get("counter")
        && counter.value.as_bool() != Some(true)
    {
        faults.add(counter.path, "must be true: what is counted must only grow");
    }
    if let Some(raw) = ratio.get("raw") {
        return own(&raw, faults);
    }
    let total = ratio.need("total", "count all events", faults).and_then(|it| query(&it, faults));
    match (ratio.get("good"), ratio.get("bad")) {
        (Some(good), None) => Some(Sli::Good { good: query(&good, faults)?, total: total? }),
        (None, Some(bad)) => Some(Sli::Bad { bad: query(&bad, faults)?, total: total? }),
        (Some(_), Some(_)) => {
            faults.add(ratio.path, "has both good and bad: leave one out");
            None
        }
        (None, None) => {
            faults.add(ratio.path, "needs good or bad events");
            None
        }
    }
}

fn metric_source<'a>(node: &Node<'a>, faults: &mut Violations) -> Option<(String, Node<'a>)> {
    node.map(&["metricSource"], faults)?;
    let source = node.need("metricSource", "write a type and a spec", faults)?;
    source.map(&["metricSourceRef", "type", "spec"], faults)?;
    let kind = optional(source.get("type"), faults);
    Some((kind, source.need("spec", "write the query", faults)?))
}

fn query(node: &Node<'_>, faults: &mut Violations) -> Option<Selector> {
    let (kind, spec) = metric_source(node, faults)?;
    if !kind.is_empty() && !kind.eq_ignore_ascii_case("prometheus") {
        faults.add(
            format!("{}.metricSource.type", node.path),
            format!("`{}` cannot be read: write Prometheus", text::excerpt(&kind)),
        );
        return None;
    }
    spec.map(&["query"], faults)?;
    let query = spec.need("query", "write a selector", faults)?;
    let text = query.text(faults)?;
    faults.check(query.path, Selector::parse(text))
}

fn own(raw: &Node<'_>, faults: &mut Violations) -> Option<Sli> {
    let (kind, spec) = metric_source(raw, faults)?;
    if kind != OWN_SOURCE {
        faults.add(
            format!("{}.metricSource.type", raw.path),
            "raw numbers cannot be counted: write good or bad, and total",
        );
        return None;
    }
    spec.map(&source::ALL, faults)?;
    let text = |key: &str, faults: &mut Violations| spec.get(key).and_then(|it| it.text(faults));
    if let Some(histogram) = text(source::HISTOGRAM, faults) {
        let path = format!("{}.{}", spec.path, source::HISTOGRAM);
        return Some(Sli::Latency {
            histogram: faults.check(path, Selector::parse(histogram))?,
            threshold: text(source::THRESHOLD, faults).unwrap_or_default().to_owned(),
        });
    }
    if let Some(probe) = text(source::PROBE, faults) {
        let path = format!("{}.{}", spec.path, source::PROBE);
        return Some(Sli::Probe { probe: faults.check(path, Selector::parse(probe))? });
    }
    if let Some(word) = text(source::OWN, faults) {
        let counter = OwnCounter::parse(word);
        if counter.is_none() {
            let known = OwnCounter::ALL.map(OwnCounter::as_str).join(", ");
            faults.add(format!("{}.{}", spec.path, source::OWN), format!("must be one of {known}"));
        }
        return counter.map(Sli::Own);
    }
    if text(source::PUSHED, faults) == Some("true") {
        return Some(Sli::Pushed);
    }
    faults.add(spec.path, format!("needs one of {}", source::ALL.join(", ")));
    None
}
