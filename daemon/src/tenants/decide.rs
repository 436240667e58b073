//! What to do about a tenant: what is wished and what is there in, what to do out. Pure.

use serde_json::Value;

use super::TenantRecord;
use crate::kube::{
    INSTANCE_LABEL, Kind, Object, TENANT_UID_LABEL,
    index::{Digest, Entry, Verdict},
};

/// An object that a tenant should have.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What is applied.
    pub value: Value,
    /// The sum of that.
    pub digest: Digest,
}

impl Wish {
    /// A wish from what is applied; `None` where it names no managed kind, or nothing.
    pub fn new(value: Value) -> Option<Self> {
        let kind = Kind::parse(value.get("kind")?.as_str()?)?;
        let name = value.get("metadata")?.get("name")?.as_str()?.to_owned();
        let digest = Digest::of_json(&value);
        Some(Self { kind, name, value, digest })
    }

    /// How people call it: `ResourceQuota streamspace`.
    pub fn title(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

/// Why an object must be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is not there.
    Missing,
    /// It is not as it was left, and how.
    Drifted(Box<str>),
    /// The wish is another than before.
    Changed,
}

/// An object that must be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Deviation<'a> {
    /// What it should be.
    pub wish: &'a Wish,
    /// Why it must be written.
    pub why: Why,
}

impl Deviation<'_> {
    /// A sentence for people: `ResourceQuota streamspace: spec.hard.pods is …`.
    pub fn sentence(&self) -> String {
        match &self.why {
            Why::Missing => format!("{} is missing", self.wish.title()),
            Why::Drifted(words) => format!("{}: {words}", self.wish.title()),
            Why::Changed => format!("{} waits for the new wish", self.wish.title()),
        }
    }
}

/// What is to be done for a tenant that is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Todo<'a> {
    /// What must be written, in this order.
    pub apply: Vec<Deviation<'a>>,
    /// What the daemon wrote and nobody wishes any more.
    pub prune: Vec<Entry>,
    /// Whether the cluster counts against every limit.
    pub counted: bool,
}

impl Todo<'_> {
    /// Whether the cluster has all that is wished and nothing else.
    pub fn is_nothing(&self) -> bool {
        self.apply.is_empty() && self.prune.is_empty() && self.counted
    }
}

/// Compares what is wished of a tenant with what is known of its namespace.
pub fn todo<'a>(tenant: &TenantRecord, wishes: &'a [Wish], entries: &[Entry]) -> Todo<'a> {
    let entry_of = |wish: &Wish| {
        entries.iter().find(|entry| entry.kind == wish.kind && *entry.name == *wish.name)
    };
    let mut apply = Vec::new();
    let mut counted = true;
    for wish in wishes {
        let entry = entry_of(wish);
        if wish.kind == Kind::ResourceQuota {
            counted &= entry.is_some_and(|entry| entry.counted);
        }
        let why = match entry.map(|entry| &entry.verdict) {
            Some(Verdict::Matched(digest)) if *digest == wish.digest => continue,
            Some(Verdict::Matched(_) | Verdict::Unwished) => Why::Changed,
            Some(Verdict::Drifted(words)) => Why::Drifted(words.clone()),
            None => Why::Missing,
        };
        apply.push(Deviation { wish, why });
    }
    let prune = entries.iter().filter(|entry| {
        entry.kind != Kind::Namespace
            && entry.ours
            && !entry.terminating
            && entry.tenant == Some(tenant.uid.0)
            && !wishes.iter().any(|wish| wish.kind == entry.kind && *wish.name == *entry.name)
    });
    Todo { apply, prune: prune.cloned().collect(), counted }
}

/// What is in the way, for a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// One word for programs.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}

impl Obstacle {
    /// An obstacle of this kind.
    pub fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into() }
    }
}

/// Whether the tenant can have its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// It can.
    Clear,
    /// Not yet; the cluster is at it.
    Wait(Obstacle),
    /// Something is in the way that only a person can remove.
    Blocked(Obstacle),
}

/// Judges the namespace as the index knows it; `None` where a look at the live one is
/// needed.
pub fn known_way(tenant: &TenantRecord, entries: &[Entry]) -> Option<Way> {
    let entry = entries.iter().find(|entry| entry.kind == Kind::Namespace)?;
    let belongs = match entry.tenant {
        Some(uid) => uid == tenant.uid.0,
        None => entry.ours,
    };
    (belongs && !entry.terminating).then_some(Way::Clear)
}

/// Judges the live namespace. One of somebody else is taken over only where the
/// operator said so, for `adopting` installation; an orphan of that installation too,
/// since no living tenant has a namespace of this name. One of another installation is
/// never taken.
pub fn way(tenant: &TenantRecord, adopting: Option<&str>, live: Option<&Object>) -> Way {
    let Some(live) = live else { return Way::Clear };
    if !belongs_to(tenant, live) {
        let namespace = &tenant.namespace;
        let owner = live.label(INSTANCE_LABEL);
        if let (Some(owner), Some(instance)) = (owner, adopting)
            && owner != instance
        {
            return Way::Blocked(Obstacle::new(
                "NamespaceExists",
                format!(
                    "namespace {namespace} belongs to the installation {owner}; the daemon does \
                     not touch it. Delete it there, or delete this tenant"
                ),
            ));
        }
        if adopting.is_none() {
            return Way::Blocked(Obstacle::new(
                "NamespaceExists",
                format!(
                    "namespace {namespace} exists and does not belong to this tenant; the daemon \
                     does not touch it. Delete or rename it, or delete this tenant and create it \
                     again with adoption (`--adopt`)"
                ),
            ));
        }
    }
    terminating(live).map_or(Way::Clear, Way::Wait)
}

/// The next step of a purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purge {
    /// Delete the namespace, as it was read.
    Delete,
    /// The cluster is still at it; look again.
    Wait(Obstacle),
    /// Nothing of the tenant is left in the cluster.
    Empty,
}

/// Decides about the live namespace of a tenant that is purged. Only what belongs to
/// the tenant is deleted; a namespace of somebody else under the same name is none of
/// it.
pub fn purge(tenant: &TenantRecord, live: Option<&Object>) -> Purge {
    match live {
        Some(live) if belongs_to(tenant, live) => {
            terminating(live).map_or(Purge::Delete, Purge::Wait)
        }
        _ => Purge::Empty,
    }
}

/// The uid label, and where a hand removed it, what our field manager wrote there.
fn belongs_to(tenant: &TenantRecord, live: &Object) -> bool {
    match live.label(TENANT_UID_LABEL) {
        Some(label) => *label == tenant.uid.0.to_string(),
        None => live.is_applied_by_us(),
    }
}

fn terminating(live: &Object) -> Option<Obstacle> {
    if !live.is_terminating() {
        return None;
    }
    // The namespace controller says in conditions what it waits for.
    let conditions = live.content.get("status").and_then(|status| status.get("conditions"));
    let words: Vec<&str> = conditions
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|condition| condition.get("status").and_then(Value::as_str) == Some("True"))
        .filter_map(|condition| condition.get("message").and_then(Value::as_str))
        .collect();
    let message = if words.is_empty() {
        "the namespace is being deleted by the cluster".to_owned()
    } else {
        words.join("; ")
    };
    Some(Obstacle::new("NamespaceTerminating", message))
}

#[cfg(test)]
#[path = "decide/tests.rs"]
mod tests;
