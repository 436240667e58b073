//! The section `[cluster]` of the configuration file.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// Which cluster the daemon manages, and how it is called and fenced there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterConfig {
    /// The kubeconfig file.
    #[schemars(extend("x-default" = "the service account of the pod"))]
    pub kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig file.
    #[schemars(extend("x-default" = "the file's current context"))]
    pub context: Option<String>,
    /// The name of this installation in the cluster: 1 to 23 lower-case letters, digits and
    /// hyphens, a letter first. Its control namespace is `{instance}-system`, and everything
    /// that the daemon makes carries the label `control.stream.space/instance` with it.
    /// Several installations can share a cluster. Do not change it later: the daemon would
    /// no longer know its objects.
    pub instance: String,
    /// Whether the cluster itself refuses a leader whose term has passed, and others'
    /// changes to managed objects. `false` only for a cluster without validating admission
    /// policies (before Kubernetes 1.30).
    pub fence: bool,
    /// The most writes of tenants' objects a second, with as many at once after a quiet
    /// time. `0`: no limit. Reads are not limited.
    pub writes_per_second: u32,
    /// Users beside the daemon and the system's own who may change managed objects,
    /// for example a backup agent: `["system:serviceaccount:velero:velero"]`. Each 1 to 253
    /// printable characters without spaces.
    pub trusted_users: Vec<String>,
    /// Groups who may change managed objects too. Everybody in them may change every tenant's
    /// limits.
    pub trusted_groups: Vec<String>,
    /// Karpenter's node pools `{instance}-{plan}`, where Karpenter is installed.
    pub node_pools: Option<NodePoolConfig>,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            context: None,
            instance: "streamspace".into(),
            fence: true,
            writes_per_second: 200,
            trusted_users: Vec::new(),
            trusted_groups: Vec::new(),
            node_pools: None,
        }
    }
}

/// Node pools for the plans, made where Karpenter is installed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodePoolConfig {
    /// The plans that have nodes of their own.
    #[serde(default = "default_plans")]
    pub plans: Vec<String>,
    /// The API group of the node class, for example `karpenter.k8s.aws`.
    pub class_group: String,
    /// The kind of the node class, for example `EC2NodeClass`.
    pub class_kind: String,
    /// The name of the node class.
    pub class_name: String,
    /// The most CPU of each pool, a Kubernetes quantity.
    #[serde(default = "default_cpu")]
    pub cpu: String,
    /// The most memory of each pool, a Kubernetes quantity.
    #[serde(default = "default_memory")]
    pub memory: String,
    /// How long a node waits for its sessions to end; at least 1, and no shorter than the
    /// longest session.
    #[serde(default = "default_termination_hours")]
    pub termination_hours: u32,
    /// Who Karpenter is in the cluster: it writes annotations to the pools.
    #[serde(default = "default_controller")]
    pub controller: String,
}

fn default_plans() -> Vec<String> {
    ["free", "professional", "business", "enterprise"].map(str::to_owned).to_vec()
}

fn default_cpu() -> String {
    "1000".into()
}

fn default_memory() -> String {
    "2000Gi".into()
}

const fn default_termination_hours() -> u32 {
    8
}

fn default_controller() -> String {
    "system:serviceaccount:karpenter:karpenter".into()
}

impl ClusterConfig {
    /// Checks what a type alone does not. The error begins with the key.
    pub fn check(&self) -> Result<(), String> {
        if !is_label(&self.instance, 23) {
            return Err(format!(
                "cluster.instance: {:?} must be 1 to 23 lower-case letters, digits and hyphens, \
                 begin with a letter and end with a letter or digit",
                self.instance
            ));
        }
        // Each stands on a line of its own in the cluster.
        let lists = [
            ("cluster.trusted_users", &self.trusted_users),
            ("cluster.trusted_groups", &self.trusted_groups),
        ];
        for (key, names) in lists {
            if let Some(name) = names.iter().find(|name| !is_identity(name)) {
                return Err(format!(
                    "{key}: {name:?} must be 1 to 253 printable characters without spaces"
                ));
            }
        }
        self.node_pools.as_ref().map_or(Ok(()), NodePoolConfig::check)
    }
}

impl NodePoolConfig {
    fn check(&self) -> Result<(), String> {
        if let Some(plan) = self.plans.iter().find(|plan| !is_label(plan, 39)) {
            return Err(format!("cluster.node_pools.plans: {plan:?} is not the id of a plan"));
        }
        let quantities = [("cpu", &self.cpu), ("memory", &self.memory)];
        for (key, text) in quantities {
            if text.is_empty() || !text.starts_with(|c: char| c.is_ascii_digit()) {
                return Err(format!(
                    "cluster.node_pools.{key}: {text:?} is not a quantity, for example \"1000\""
                ));
            }
        }
        if self.termination_hours == 0 {
            return Err("cluster.node_pools.termination_hours: must be at least 1".into());
        }
        if !is_identity(&self.controller) {
            return Err(format!(
                "cluster.node_pools.controller: {:?} is not a user of the cluster",
                self.controller
            ));
        }
        Ok(())
    }
}

fn is_label(text: &str, longest: usize) -> bool {
    text.len() <= longest
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_identity(text: &str) -> bool {
    !text.is_empty() && text.len() <= 253 && text.chars().all(|c| c.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_name_is_refused_with_its_key() {
        assert_eq!(ClusterConfig::default().check(), Ok(()));
        let with = |change: &dyn Fn(&mut ClusterConfig)| {
            let mut config = ClusterConfig::default();
            change(&mut config);
            config.check().unwrap_err()
        };
        for bad in ["", "Upper", "1a", "a-", "a.b", "a:b", "ä", &"a".repeat(24)] {
            let error = with(&|config| config.instance = bad.into());
            assert!(error.starts_with("cluster.instance:"), "{error}");
        }
        let error = with(&|config| config.trusted_users = vec!["a\nsystem:anonymous".into()]);
        assert!(error.starts_with("cluster.trusted_users:"), "{error}");
        let error = with(&|config| config.trusted_groups = vec![String::new()]);
        assert!(error.starts_with("cluster.trusted_groups:"), "{error}");
    }
}
