//! A container desktop or application of one user.

#![allow(clippy::duplicated_attributes, reason = "each column has a type and a path")]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{ResourceCondition, cpu, dns_label, instant, memory, quantities, template_name};

/// What a tenant wishes of a session.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema, CustomResource)]
#[kube(
    group = "stream.space",
    version = "v1alpha1",
    kind = "Session",
    namespaced,
    status = "SessionStatus",
    shortname = "ss",
    doc = "A container desktop or application of one user.",
    derive = "PartialEq",
    validation = Rule::new("self.metadata.name.size() <= 52 && !self.metadata.name.contains('.')")
        .message("metadata.name must be a DNS label of at most 52 characters"),
    printcolumn(name = "User", type_ = "string", json_path = ".spec.user"),
    printcolumn(name = "Template", type_ = "string", json_path = ".spec.template"),
    printcolumn(name = "State", type_ = "string", json_path = ".spec.state"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct SessionSpec {
    /// The user who owns the session.
    #[schemars(schema_with = "dns_label")]
    pub user: String,
    /// The template that it is made of.
    #[schemars(schema_with = "template_name")]
    pub template: String,
    /// What it should be.
    pub state: SessionState,
    /// What it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<SessionResources>,
    /// Whether the user's home is mounted.
    #[serde(default = "yes")]
    pub persistent_home: bool,
    /// How long nobody must have used it before it hibernates.
    #[schemars(schema_with = "idle_timeout")]
    #[serde(default = "default_idle_timeout")]
    pub idle_timeout: String,
    /// How long it may run before it is terminated.
    #[schemars(schema_with = "longest_session")]
    #[serde(default = "default_longest_session")]
    pub max_session_duration: String,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// That it serves several people at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedSession>,
}

/// What a session should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// It runs.
    Running,
    /// It is scaled to zero and wakes again.
    Hibernated,
    /// All but the home is removed.
    Terminated,
}

/// What a session may use, in either of the two shapes: `memory` and `cpu`, or `limits`
/// and `requests`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionResources {
    /// The most memory, for example `2Gi`.
    #[schemars(schema_with = "memory")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// The most CPU, for example `1000m`.
    #[schemars(schema_with = "cpu")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// The most of each.
    #[schemars(schema_with = "quantities")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<BTreeMap<String, Quantity>>,
    /// The least of each.
    #[schemars(schema_with = "quantities")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<BTreeMap<String, Quantity>>,
}

/// How a session serves several people.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharedSession {
    /// The most copies of it at once.
    #[schemars(range(min = 1, max = 10))]
    pub max_replicas: i32,
}

/// How a session is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionStatus {
    /// How far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<SessionPhase>,
    /// The pod that it runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<String>,
    /// Where its user finds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When somebody used it last.
    #[schemars(schema_with = "instant")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_activity: Option<String>,
    /// What it uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_usage: Option<SessionUsage>,
    /// How its parts are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ResourceCondition>,
    /// What it gets, as the template and the namespace's defaults fill it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allotted: Option<SessionAllotment>,
    /// The run that `podName` names. The same one twice proves that it ran all the time
    /// between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<SessionRun>,
    /// What was last reported of its use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity: Option<SessionActivity>,
}

/// What a session gets, each copy of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionAllotment {
    /// The CPU that it requests, a quantity.
    pub cpu: String,
    /// The most CPU, a quantity.
    pub cpu_limit: String,
    /// The memory that it requests, a quantity.
    pub memory: String,
    /// The most memory, a quantity.
    pub memory_limit: String,
    /// The copies that run now; 1 but for a shared session.
    pub replicas: i32,
}

/// A run of a session of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionRun {
    /// The UID of the pod.
    #[serde(rename = "podUID")]
    pub pod_uid: String,
    /// When its container started.
    #[schemars(schema_with = "instant")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_start: Option<String>,
    /// The node that it is on.
    pub node: String,
}

/// What was last reported of a session's use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionActivity {
    /// Who reported it.
    pub reporter: String,
    /// When that was.
    #[schemars(schema_with = "instant")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_time: Option<String>,
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum SessionPhase {
    /// It starts.
    Pending,
    /// It runs.
    Running,
    /// It is scaled to zero.
    Hibernated,
    /// It cannot run.
    Failed,
    /// It is gone.
    Terminated,
}

/// What a session uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionUsage {
    /// Memory, a quantity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// CPU, a quantity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
}

const fn yes() -> bool {
    true
}

fn default_idle_timeout() -> String {
    "30m".into()
}

fn default_longest_session() -> String {
    "8h".into()
}

fn idle_timeout(_: &mut SchemaGenerator) -> Schema {
    super::duration("30m")
}

fn longest_session(_: &mut SchemaGenerator) -> Schema {
    super::duration("8h")
}
