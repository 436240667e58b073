//! What sessions are made of.

#![allow(clippy::duplicated_attributes, reason = "each column has a type and a path")]

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An application or desktop that sessions are made of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema, CustomResource)]
#[kube(
    group = "stream.space",
    version = "v1alpha1",
    kind = "Template",
    namespaced,
    status = "TemplateStatus",
    shortname = "tpl",
    doc = "An application or desktop that sessions are made of.",
    derive = "PartialEq",
    printcolumn(name = "Display Name", type_ = "string", json_path = ".spec.displayName"),
    printcolumn(name = "Category", type_ = "string", json_path = ".spec.category"),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.baseImage"),
    printcolumn(name = "Memory", type_ = "string", json_path = ".spec.defaultResources.memory"),
    printcolumn(name = "Valid", type_ = "boolean", json_path = ".status.valid"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct TemplateSpec {
    /// Its name for people.
    #[schemars(length(min = 1, max = 253))]
    pub display_name: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it stands in the catalogue, for example `Web Browsers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Where its icon is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// The container image.
    #[schemars(length(min = 1, max = 1024))]
    pub base_image: String,
    /// What a session of it may use, unless the session says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_resources: Option<TemplateResources>,
    /// Where it listens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<TemplatePort>,
    /// What stands in its environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<TemplateVariable>,
    /// Where volumes are mounted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volume_mounts: Vec<TemplateVolumeMount>,
    /// How its screen is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnc: Option<TemplateVnc>,
    /// The older spelling of `vnc`. `vnc` is taken where both stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kasmvnc: Option<TemplateVnc>,
    /// What it needs of the user's machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<Capability>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl TemplateSpec {
    /// How the screen is reached, by either spelling.
    pub fn screen(&self) -> Option<&TemplateVnc> {
        self.vnc.as_ref().or(self.kasmvnc.as_ref())
    }
}

/// What a session of the template may use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateResources {
    /// Memory, a quantity.
    #[serde(default = "default_memory")]
    pub memory: String,
    /// CPU, a quantity.
    #[serde(default = "default_cpu")]
    pub cpu: String,
}

/// A port of the container.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplatePort {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its number.
    #[schemars(range(min = 1, max = 65535))]
    pub container_port: i32,
    /// `TCP` or `UDP`.
    #[serde(default = "default_protocol")]
    pub protocol: String,
}

/// A variable of the container's environment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateVariable {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
}

/// Where a volume is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateVolumeMount {
    /// The volume.
    pub name: String,
    /// The path in the container.
    pub mount_path: String,
}

/// How the screen is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateVnc {
    /// Whether it has one.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The port that serves it.
    #[schemars(range(min = 1, max = 65535))]
    #[serde(default = "default_port")]
    pub port: i32,
}

/// What a template needs of the user's machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Capability {
    /// The network.
    Network,
    /// Sound.
    Audio,
    /// The clipboard.
    Clipboard,
    /// USB devices.
    #[serde(rename = "USB")]
    Usb,
    /// Printers.
    Printing,
}

/// Whether the template can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TemplateStatus {
    /// Whether it was found to be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid: Option<bool>,
    /// What is wrong otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

const fn yes() -> bool {
    true
}

const fn default_port() -> i32 {
    3000
}

fn default_memory() -> String {
    "2Gi".into()
}

fn default_cpu() -> String {
    "1000m".into()
}

fn default_protocol() -> String {
    "TCP".into()
}
