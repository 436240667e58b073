//! What is told of a session in its status. Pure.

use serde_json::{Map, Value, json};
use streamspace_core::{
    conditions::{Condition, ConditionStatus},
    session::{Allotment, SessionPhase, lifecycle::Decision},
};
use uuid::Uuid;

use super::read::{SeenPod, Session, sentence};
use crate::sessions::object::{SeenAllotment, SeenRun, SeenStatus};

/// The part of the status that the daemon tells. Of the use of a session others tell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    phase: SessionPhase,
    pod_name: String,
    url: String,
    conditions: Vec<Condition>,
    allotted: Option<SeenAllotment>,
    run: Option<SeenRun>,
}

impl Told {
    /// What to tell of a session that was decided to be so: `allotment` is what it gets
    /// from now on, where that is known and it is not still as it was.
    pub(super) fn new(
        session: &Session,
        decision: &Decision,
        pods: &[SeenPod],
        allotment: Option<&Allotment>,
        url: Option<String>,
    ) -> Self {
        let shared = session.seen.wish.as_ref().is_some_and(|wish| wish.pods() > 1);
        let copies = pods.iter().filter(|pod| pod.ready && !pod.deleting).count();
        let replicas = if shared { i32::try_from(copies).unwrap_or(i32::MAX).max(1) } else { 1 };
        let shown = session.seen.status.allotted;
        let each = allotment.copied().or_else(|| shown.map(|shown| shown.each));
        let is_over = decision.phase == SessionPhase::Terminated;
        let of_one = pods
            .iter()
            .filter(|_| !shared)
            .find(|pod| decision.pod_name.as_deref() == Some(&*pod.name));
        let mut conditions = decision.conditions.clone();
        for condition in &mut conditions {
            // As it is read again: what differed then would be told anew each time.
            condition.message = sentence(&condition.message);
        }
        Self {
            phase: decision.phase,
            pod_name: decision.pod_name.clone().unwrap_or_default(),
            url: url.filter(|_| !is_over).unwrap_or_default(),
            conditions,
            allotted: each.map(|each| SeenAllotment { each, replicas }),
            run: of_one.and_then(run),
        }
    }

    /// Whether that stands there already.
    pub(super) fn is_told(&self, shown: &SeenStatus) -> bool {
        shown.phase == Some(self.phase)
            && shown.pod_name == self.pod_name
            && shown.url == self.url
            && shown.conditions == self.conditions
            && shown.allotted == self.allotted
            && shown.run == self.run
    }

    /// As it is applied.
    pub(super) fn to_json(&self) -> Value {
        let mut status = Map::new();
        let mut put = |field: &str, value: Option<Value>| {
            if let Some(value) = value {
                status.insert(field.to_owned(), value);
            }
        };
        let text = |text: &str| (!text.is_empty()).then(|| Value::from(text));
        put("phase", text(self.phase.as_str()));
        put("podName", text(&self.pod_name));
        put("url", text(&self.url));
        put("conditions", Some(self.conditions.iter().map(condition).collect()));
        put(
            "allotted",
            self.allotted.map(|allotted| {
                json!({
                    "cpu": allotted.each.cpu_request.canonical(),
                    "cpuLimit": allotted.each.cpu_limit.canonical(),
                    "memory": allotted.each.memory_request.canonical(),
                    "memoryLimit": allotted.each.memory_limit.canonical(),
                    "replicas": allotted.replicas,
                })
            }),
        );
        put(
            "run",
            self.run.as_ref().map(|run| {
                json!({
                    "podUID": run.pod_uid.to_string(),
                    "containerStart": run.container_start.map(|start| start.to_string()),
                    "node": run.node,
                })
            }),
        );
        Value::Object(status)
    }
}

/// The run of a pod whose container has started.
fn run(pod: &SeenPod) -> Option<SeenRun> {
    Some(SeenRun {
        pod_uid: Uuid::parse_str(&pod.uid).ok()?,
        container_start: Some(pod.start?),
        node: pod.node.to_string(),
    })
}

fn condition(condition: &Condition) -> Value {
    json!({
        "type": condition.type_,
        "status": match condition.status {
            ConditionStatus::True => "True",
            ConditionStatus::False => "False",
            ConditionStatus::Unknown => "Unknown",
        },
        "reason": condition.reason,
        "message": condition.message,
        "observedGeneration": condition.observed_generation,
        "lastTransitionTime": condition.last_transition_time.to_string(),
    })
}
