//! The custom resources of StreamSpace, `stream.space/v1alpha1`: what tenants write.
//!
//! They take what the platform's own definitions take, in both of its shapes, and are
//! stricter where a value could not work. `packaging/crds/` holds the definitions that
//! come of these types.

mod session;
mod template;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

pub use session::{
    Session, SessionActivity, SessionAllotment, SessionPhase, SessionResources, SessionRun,
    SessionSpec, SessionState, SessionStatus, SessionUsage, SharedSession,
};
pub use template::{
    Capability, Template, TemplatePort, TemplateResources, TemplateSpec, TemplateStatus,
    TemplateVariable, TemplateVnc, TemplateVolumeMount,
};

/// The definition of sessions in the cluster.
pub const SESSIONS: &str = "sessions.stream.space";
/// The definition of templates in the cluster.
pub const TEMPLATES: &str = "templates.stream.space";
/// The definition of Karpenter's node pools.
pub const NODE_POOLS: &str = "nodepools.karpenter.sh";
/// The definition of vertical pod autoscalers.
pub const AUTOSCALERS: &str = "verticalpodautoscalers.autoscaling.k8s.io";

/// Both definitions of ours.
pub fn definitions() -> [CustomResourceDefinition; 2] {
    [Session::crd(), Template::crd()]
}

/// How a part of an object is, as Kubernetes tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceCondition {
    /// What is told, for example `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The generation of the object that it was observed of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When that changed last.
    #[schemars(schema_with = "instant")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
    /// One word for programs.
    pub reason: String,
    /// The same for people.
    pub message: String,
}

fn instant(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time", "nullable": true })
}

fn dns_label(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 63,
        "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    })
}

/// Some templates of the public catalogue have a dot in their name.
fn template_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 253,
        "pattern": "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$",
    })
}

fn duration(default: &str) -> Schema {
    json_schema!({
        "type": "string", "minLength": 2, "maxLength": 10,
        "pattern": "^[0-9]+(s|m|h)$", "default": default,
    })
}

const QUANTITY: &str = "^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$";

fn quantities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {
            "pattern": QUANTITY,
            "x-kubernetes-int-or-string": true,
        },
    })
}

fn memory(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 2, "maxLength": 10, "pattern": "^[0-9]+(Mi|Gi|Ti)$",
    })
}

fn cpu(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 10, "pattern": "^[0-9]+m?$",
    })
}
