//! What a session's controller says of it.

use serde_json::Value;
use streamspace_core::{
    conditions::{Condition, ConditionStatus},
    quantity::{self, Bytes, Millicores, Unit},
    quota::{BYTES_MAXIMUM, CPU_MAXIMUM},
    session::{Allotment, REPLICAS_MAXIMUM, SessionPhase},
};
use uuid::Uuid;

use super::{
    ADDRESS_KEPT, AMOUNT_KEPT, NAME_KEPT, SENTENCE_KEPT, SeenActivity, SeenAllotment, SeenRun,
    SeenStatus,
    reading::{entries, instant, number, object_text, optional_text},
};

/// How many conditions are kept.
const CONDITIONS_KEPT: usize = 32;

pub(super) fn read(status: &Value) -> SeenStatus {
    let part = |field: &str| status.get(field).filter(|it| it.is_object());
    SeenStatus {
        phase: SessionPhase::parse(&object_text(status, "phase", NAME_KEPT)),
        pod_name: object_text(status, "podName", NAME_KEPT),
        url: object_text(status, "url", ADDRESS_KEPT),
        last_activity: instant(status, "lastActivity"),
        conditions: conditions(status),
        allotted: part("allotted").and_then(allotted),
        run: part("run").and_then(run),
        activity: part("activity").map(|activity| SeenActivity {
            reporter: object_text(activity, "reporter", NAME_KEPT),
            report_time: instant(activity, "reportTime"),
        }),
    }
}

/// The conditions whose status and time can be read; of two of one type the last.
fn conditions(status: &Value) -> Vec<Condition> {
    let mut conditions: Vec<Condition> = Vec::new();
    for entry in entries(status, "conditions", CONDITIONS_KEPT) {
        let type_ = object_text(entry, "type", NAME_KEPT);
        let status = match object_text(entry, "status", NAME_KEPT).as_str() {
            "True" => ConditionStatus::True,
            "False" => ConditionStatus::False,
            _ => ConditionStatus::Unknown,
        };
        if type_.is_empty() {
            continue;
        }
        conditions.retain(|condition| condition.type_ != type_);
        conditions.push(Condition {
            type_,
            status,
            reason: object_text(entry, "reason", NAME_KEPT),
            message: object_text(entry, "message", SENTENCE_KEPT),
            observed_generation: entry
                .get("observedGeneration")
                .and_then(Value::as_i64)
                .unwrap_or_default(),
            last_transition_time: instant(entry, "lastTransitionTime").unwrap_or_default(),
        });
    }
    conditions
}

/// What it gets, if both requests can be read. A limit that cannot be is the request.
fn allotted(allotted: &Value) -> Option<SeenAllotment> {
    let amount = |field: &str, unit: Unit, maximum: i64| {
        let text = optional_text(allotted, field, AMOUNT_KEPT)?;
        let amount = quantity::observed(unit, &text).ok()?;
        (0..=maximum).contains(&amount).then_some(amount)
    };
    let cpu = |field: &str| amount(field, Unit::Millicores, CPU_MAXIMUM.0);
    let memory = |field: &str| amount(field, Unit::Bytes, BYTES_MAXIMUM.0);
    let (cpu_request, memory_request) = (cpu("cpu")?, memory("memory")?);
    let each = Allotment {
        cpu_request: Millicores(cpu_request),
        cpu_limit: Millicores(cpu("cpuLimit").unwrap_or_default().max(cpu_request)),
        memory_request: Bytes(memory_request),
        memory_limit: Bytes(memory("memoryLimit").unwrap_or_default().max(memory_request)),
    };
    let replicas = number(allotted, "replicas").unwrap_or(1).clamp(1, REPLICAS_MAXIMUM);
    Some(SeenAllotment { each, replicas })
}

fn run(run: &Value) -> Option<SeenRun> {
    let pod_uid = Uuid::parse_str(&object_text(run, "podUID", NAME_KEPT)).ok()?;
    Some(SeenRun {
        pod_uid,
        container_start: instant(run, "containerStart"),
        node: object_text(run, "node", NAME_KEPT),
    })
}
