//! What is shown of a fault.

use jiff::Timestamp;
use streamspace_proto::v1::Fault;

use crate::{
    output::{Cell, Column, Tone},
    resource::{Noun, short, word},
    time::{age, local, remaining},
};

impl Noun for Fault {
    const PLURAL: &'static str = "faults";
    const PREFIX: &'static str = "faults/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |fault: &Self, _| short(Self::PREFIX, &fault.name).into()),
            Column::new("KIND", |fault, _| kind(fault).into()),
            Column::new("REQUESTS", |fault, _| requests(fault).into()),
            Column::new("HITS", |fault, _| hits(fault)),
            Column::new("ENDS IN", |fault, now| remaining(fault.expire_time.as_ref(), now).into()),
            Column::new("AGE", |fault, now| age(fault.create_time.as_ref(), now).into()),
            Column::wide("SEED", |fault, _| fault.seed.to_string().into()),
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, Cell)> {
        vec![
            ("Name", short(Self::PREFIX, &self.name).into()),
            ("Kind", kind(self).into()),
            ("Requests", requests(self).into()),
            ("Hits", hits(self)),
            ("Begun", local(self.create_time.as_ref()).into()),
            ("Ends", local(self.expire_time.as_ref()).into()),
        ]
    }
}

/// How it fails, with how much: `latency 2s`, `too-many-requests, retry after 5s`.
fn kind(fault: &Fault) -> String {
    let word = word("FAULT_KIND_", fault.kind().as_str_name());
    match (&fault.latency, &fault.retry_after) {
        (Some(latency), _) => format!("{word} {}", span(latency)),
        (None, Some(wait)) => format!("{word}, retry after {}", span(wait)),
        (None, None) => word,
    }
}

fn span(span: &prost_types::Duration) -> String {
    let span = jiff::SignedDuration::new(span.seconds, span.nanos);
    format!("{span:#}").replace(' ', "")
}

/// Which requests meet it: `20 % of patch namespaces in tenant-acme named default`.
fn requests(fault: &Fault) -> String {
    let mut words = Vec::new();
    if fault.percent < 100 {
        words.push(format!("{} % of", fault.percent));
    }
    match (fault.verbs.as_slice(), fault.resource.as_str()) {
        ([], "") => words.push("all".into()),
        (verbs, resource) => {
            words.push(verbs.join("/"));
            words.push(resource.to_owned());
        }
    }
    if !fault.namespace.is_empty() {
        words.push(format!("in {}", fault.namespace));
    }
    if !fault.object.is_empty() {
        words.push(format!("named {}", fault.object));
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

/// How often it acted; of how many at most.
fn hits(fault: &Fault) -> Cell {
    match fault.limit {
        0 => fault.hits.to_string().into(),
        limit if fault.hits >= limit => {
            Cell::toned(format!("{} of {limit}, spent", fault.hits), Tone::Doubtful)
        }
        limit => format!("{} of {limit}", fault.hits).into(),
    }
}

/// How often it acted, in words.
pub(super) fn times(fault: &Fault) -> String {
    match fault.hits {
        0 => "on no request".into(),
        1 => "on one request".into(),
        hits => format!("on {hits} requests"),
    }
}

#[cfg(test)]
mod tests {
    use streamspace_proto::v1::FaultKind;

    use super::*;

    fn fault(kind: FaultKind) -> Fault {
        Fault { kind: kind.into(), percent: 100, ..Fault::default() }
    }

    #[test]
    fn a_fault_is_told_in_few_words() {
        let span = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
        let late = Fault { latency: span(1, 500_000_000), ..fault(FaultKind::Latency) };
        assert_eq!(kind(&late), "latency 1s500ms");
        let patient = Fault { retry_after: span(90, 0), ..fault(FaultKind::TooManyRequests) };
        assert_eq!(kind(&patient), "too-many-requests, retry after 1m30s");
        assert_eq!(kind(&fault(FaultKind::CutWatch)), "cut-watch");
    }

    #[test]
    fn the_requests_that_meet_it_are_told() {
        assert_eq!(requests(&fault(FaultKind::Gone)), "all");
        let narrow = Fault {
            percent: 20,
            verbs: vec!["patch".into(), "create".into()],
            resource: "roles".into(),
            namespace: "tenant-acme".into(),
            object: "default".into(),
            ..fault(FaultKind::Gone)
        };
        assert_eq!(requests(&narrow), "20 % of patch/create roles in tenant-acme named default");
        let verbs = Fault { verbs: vec!["list".into()], percent: 5, ..fault(FaultKind::Gone) };
        assert_eq!(requests(&verbs), "5 % of list");
    }

    #[test]
    fn a_spent_fault_says_so() {
        let limited = |hits| Fault { hits, limit: 3, ..fault(FaultKind::Gone) };
        assert_eq!(hits(&limited(2)).text, "2 of 3");
        assert_eq!(hits(&limited(3)).text, "3 of 3, spent");
        assert_eq!(times(&limited(1)), "on one request");
    }
}
