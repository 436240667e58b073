//! What a session may use: two shapes on paper, one exact form of millicores and bytes.
//!
//! `memory` and `cpu` are the older shape and mean limits. `limits` and `requests` are
//! those of a container. A request decides where the pod fits, what counts against the
//! quota and what is billed; a limit is the most that it can ever take.

use std::collections::BTreeMap;

use crate::{
    quantity::{self, Bytes, Millicores, Unit},
    quota::{BYTES_MAXIMUM, CPU_MAXIMUM},
    text,
    violation::Violations,
};

/// The memory of a session for which nothing else says any: 2Gi.
pub const DEFAULT_MEMORY: Bytes = Bytes(2 << 30);
/// The CPU of a session for which nothing else says any: one core.
pub const DEFAULT_CPU: Millicores = Millicores(1000);
/// How many unknown resources are told of one map.
const STRANGERS_SHOWN: usize = 8;

/// How much of each, where it is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// CPU.
    pub cpu: Option<Millicores>,
    /// Memory.
    pub memory: Option<Bytes>,
}

impl Amounts {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.cpu.is_none() && self.memory.is_none()
    }
}

/// What is said about requests and limits: by a session, a template or a `LimitRange`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// The least.
    pub requests: Amounts,
    /// The most.
    pub limits: Amounts,
}

impl From<Amounts> for Resources {
    /// The amounts as limits, as a template and the older shape mean them.
    fn from(limits: Amounts) -> Self {
        Self { requests: Amounts::default(), limits }
    }
}

/// What a session's container gets, with nothing left open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Allotment {
    /// CPU that it is sure of. What is metered.
    pub cpu_request: Millicores,
    /// The most CPU.
    pub cpu_limit: Millicores,
    /// Memory that it is sure of. What is metered.
    pub memory_request: Bytes,
    /// The most memory.
    pub memory_limit: Bytes,
}

/// `resources` of a session's object, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenResources {
    /// The older shape's memory.
    pub memory: Option<String>,
    /// The older shape's CPU.
    pub cpu: Option<String>,
    /// The container's limits.
    pub limits: BTreeMap<String, String>,
    /// The container's requests.
    pub requests: BTreeMap<String, String>,
}

/// Reads both shapes into one. They may stand side by side where they agree. Fields are
/// named by their path in the object.
pub fn read(written: &WrittenResources, violations: &mut Violations) -> Resources {
    let field = |name: &str| format!("spec.resources.{name}");
    let limits = amounts(&field("limits"), &written.limits, violations);
    let requests = amounts(&field("requests"), &written.requests, violations);
    let cpu = written.cpu.as_deref().and_then(|text| cpu(&field("cpu"), text, violations));
    let memory =
        written.memory.as_deref().and_then(|text| memory(&field("memory"), text, violations));
    agree(&field("cpu"), "limits.cpu", cpu, limits.cpu, violations);
    agree(&field("memory"), "limits.memory", memory, limits.memory, violations);
    let limits = Amounts { cpu: limits.cpu.or(cpu), memory: limits.memory.or(memory) };
    within(&field("requests.cpu"), requests.cpu, limits.cpu, violations);
    within(&field("requests.memory"), requests.memory, limits.memory, violations);
    Resources { requests, limits }
}

/// Reads an amount of CPU as Kubernetes takes it, rounded up to whole millicores.
pub fn cpu(field: &str, value: &str, violations: &mut Violations) -> Option<Millicores> {
    amount(field, value, Unit::Millicores, CPU_MAXIMUM.0, violations).map(Millicores)
}

/// Reads an amount of memory as Kubernetes takes it, rounded up to whole bytes.
pub fn memory(field: &str, value: &str, violations: &mut Violations) -> Option<Bytes> {
    amount(field, value, Unit::Bytes, BYTES_MAXIMUM.0, violations).map(Bytes)
}

/// An amount of more than nothing: a session that requests none would run beside the
/// quota and cost nothing.
fn amount(
    field: &str,
    value: &str,
    unit: Unit,
    maximum: i64,
    violations: &mut Violations,
) -> Option<i64> {
    let example = if unit == Unit::Millicores { "1000m" } else { "2Gi" };
    let Ok(amount) = quantity::observed(unit, value) else {
        let shown = text::excerpt(value);
        violations.add(field, format!("`{shown}` is no quantity: write `{example}`, for example"));
        return None;
    };
    if (1..=maximum).contains(&amount) {
        return Some(amount);
    }
    let maximum = unit.show(maximum);
    violations.add(
        field,
        format!(
            "is {}, and must be more than 0 and at most {maximum}: write `{example}`, for example",
            unit.show(amount)
        ),
    );
    None
}

fn amounts(
    field: &str,
    written: &BTreeMap<String, String>,
    violations: &mut Violations,
) -> Amounts {
    // Dropped in silence these would be missed; local scratch space has its own limit.
    let others = written.keys().filter(|key| !matches!(key.as_str(), "cpu" | "memory"));
    for key in others.take(STRANGERS_SHOWN) {
        violations.add(
            format!("{field}[{}]", text::excerpt(key)),
            "is nothing that a session can ask for: remove it, sessions have `cpu` and `memory`",
        );
    }
    let written = |key: &str| written.get(key).map(|value| (format!("{field}.{key}"), value));
    Amounts {
        cpu: written("cpu").and_then(|(field, value)| cpu(&field, value, violations)),
        memory: written("memory").and_then(|(field, value)| memory(&field, value, violations)),
    }
}

fn agree<T: PartialEq + ToString>(
    field: &str,
    other: &str,
    older: Option<T>,
    limit: Option<T>,
    violations: &mut Violations,
) {
    if let (Some(older), Some(limit)) = (older, limit)
        && older != limit
    {
        violations.add(
            field,
            format!(
                "is {}, and `{other}`, which means the same, is {}: leave one of them out",
                older.to_string(),
                limit.to_string()
            ),
        );
    }
}

fn within<T: PartialOrd + ToString>(
    field: &str,
    request: Option<T>,
    limit: Option<T>,
    violations: &mut Violations,
) {
    if let (Some(request), Some(limit)) = (request, limit)
        && request > limit
    {
        violations.add(
            field,
            format!(
                "is {}, more than the limit of {}: request at most that",
                request.to_string(),
                limit.to_string()
            ),
        );
    }
}

/// What a session gets: what it says itself, else what its template says, else the
/// `LimitRange` of its namespace, else one core and 2Gi. For CPU and memory each.
///
/// A limit without a request is also the request, as in Kubernetes. The session's own
/// word is never cut: a request beyond the limit that was found elsewhere raises it.
pub fn resolve(session: &Resources, template: Option<&Amounts>, range: &Resources) -> Allotment {
    let template = template.copied().unwrap_or_default();
    let (cpu_request, cpu_limit) = one(
        (session.requests.cpu, session.limits.cpu),
        template.cpu,
        (range.requests.cpu, range.limits.cpu),
        DEFAULT_CPU,
    );
    let (memory_request, memory_limit) = one(
        (session.requests.memory, session.limits.memory),
        template.memory,
        (range.requests.memory, range.limits.memory),
        DEFAULT_MEMORY,
    );
    Allotment { cpu_request, cpu_limit, memory_request, memory_limit }
}

fn one<T: Copy + Ord>(
    (own_request, own_limit): (Option<T>, Option<T>),
    template: Option<T>,
    (range_request, range_limit): (Option<T>, Option<T>),
    default: T,
) -> (T, T) {
    let own = own_request.or(own_limit);
    let range = range_request.or(range_limit);
    let request = own.or(template).or(range).unwrap_or(default);
    let limit = own_limit.or(template).or(range_limit).unwrap_or(request);
    (request, limit.max(request))
}

#[cfg(test)]
mod tests;
