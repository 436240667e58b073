//! How everything of one installation is called in the cluster. Several can share a
//! cluster, so each name begins with the installation's.

use crate::kube::{INSTANCE_LABEL, MANAGED_BY, MANAGED_BY_LABEL};

/// The key of the leader term among the extras of the acting identity.
pub const TERM_EXTRA: &str = "stream.space/term";
/// The `ConfigMap` that holds the leader term below which nothing is accepted.
pub const LEADER: &str = "leader";
/// The `ConfigMap` that names who may change what the daemon manages.
pub const FENCE: &str = "fence";
/// The `ConfigMap` that ties the cluster to one database.
pub const INSTANCE: &str = "instance";

/// The names of one installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    instance: String,
}

impl Names {
    /// The names of this installation, a DNS label of at most 23 characters.
    pub fn new(instance: &str) -> Self {
        Self { instance: instance.to_owned() }
    }

    /// The installation itself, the value of [`INSTANCE_LABEL`].
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The namespace of the daemon's own objects.
    pub fn control_namespace(&self) -> String {
        self.with("-system")
    }

    /// The user that a leader acts as.
    pub fn acting_user(&self) -> String {
        self.with(":daemon")
    }

    /// The group whose members may change managed objects by hand.
    pub fn break_glass_group(&self) -> String {
        self.with(":break-glass")
    }

    /// The policy that keeps others from managed objects.
    pub fn guard(&self) -> String {
        self.with("-guard")
    }

    /// The policy over what else there is in tenants' namespaces.
    pub fn tenants(&self) -> String {
        self.with("-tenants")
    }

    /// The policy that refuses a leader whose term has passed.
    pub fn term(&self) -> String {
        self.with("-term")
    }

    /// The policy over the parameters of the others.
    pub fn parameters(&self) -> String {
        self.with("-parameters")
    }

    /// The webhook that admits sessions.
    pub fn sessions(&self) -> String {
        self.with("-sessions")
    }

    /// The rights of the acting user.
    pub fn daemon(&self) -> String {
        self.with("-daemon")
    }

    /// The rights of the break-glass group.
    pub fn break_glass(&self) -> String {
        self.with("-break-glass")
    }

    /// The rights of the identity that the daemon connects with.
    pub fn base(&self) -> String {
        self.with("-base")
    }

    /// The node pool of a plan.
    pub fn node_pool(&self, plan: &str) -> String {
        format!("{}-{plan}", self.instance)
    }

    /// The label selector of everything that is managed for this installation.
    pub fn selector(&self) -> String {
        format!("{MANAGED_BY_LABEL}={MANAGED_BY},{INSTANCE_LABEL}={}", self.instance)
    }

    fn with(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.instance)
    }
}
