//! Kubernetes, reached only through `kube::Client`.

mod apply;
mod client;
mod errors;
pub mod queue;
mod watch;

pub use apply::{FIELD_MANAGER, applied_by_us, needs_apply};
pub use client::{Cluster, ClusterConfig};
pub use errors::ClusterError;
pub use watch::{Observed, watch_managed};

/// The label that marks every object that the daemon applies.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY_LABEL`].
pub const MANAGED_BY: &str = "streamspaced";
/// The label that ties an object to its tenant's uid.
pub const TENANT_UID_LABEL: &str = "control.stream.space/tenant-uid";
