//! What a region has in the cluster beside its tenants: the control namespace, the
//! rights of the daemon, the admission policies that fence it and its objects, the pin
//! that ties the cluster to this database, and node pools.

pub mod features;
pub mod fence;
pub mod install;
mod keep;
pub mod manifests;
mod names;
pub mod pin;
pub mod reconciler;
pub mod resources;
mod store;

use crate::kube::Cluster;

pub use names::{FENCE, INSTANCE, LEADER, Names, TERM_EXTRA};

/// Whether this replica may write to the cluster, and as whom. The tenants' reconciler
/// writes only while it is [`Standing::Ready`], and only through the client in there.
#[derive(Clone, Default)]
pub enum Standing {
    /// This replica does not lead, or its term has just begun and the fence is not yet
    /// raised. Nothing is written.
    #[default]
    Waiting,
    /// This replica leads but must not write, or cannot. Nothing is written.
    Blocked(Blocked),
    /// This replica leads, the cluster is the pinned one, and the cluster refuses every
    /// older term.
    Ready(Ready),
}

/// Why a leader does not write to the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// One word, for example `AnotherCluster`.
    pub reason: &'static str,
    /// What is wrong and what to do, for people.
    pub message: String,
}

/// What a leader writes with.
#[derive(Clone)]
pub struct Ready {
    /// The cluster under the leader's acting identity. Each write carries the term.
    pub acting: Cluster,
    /// The leader term that the cluster was fenced for.
    pub leader_term: i64,
    /// What the cluster has. This may change while the term stays the same.
    pub features: Features,
}

/// What the cluster has that not every cluster has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Features {
    /// `sessions.stream.space` is served, so a quota can count sessions.
    pub sessions_counted: bool,
    /// `nodepools.karpenter.sh` is served.
    pub karpenter: bool,
    /// `verticalpodautoscalers.autoscaling.k8s.io` is served.
    pub vpa: bool,
}

impl Standing {
    /// What to write with, if anything may be written.
    pub fn ready(&self) -> Option<&Ready> {
        match self {
            Self::Ready(ready) => Some(ready),
            Self::Waiting | Self::Blocked(_) => None,
        }
    }
}
