//! Kubernetes, reached only through `kube::Client`.

mod client;
mod compare;
mod config;
mod errors;
pub mod events;
pub mod index;
mod kinds;
mod object;
pub mod queue;
mod rate;
mod watch;

pub use client::Cluster;
pub(crate) use client::limited;
pub use compare::{Difference, compare};
pub use config::{ClusterConfig, NodePoolConfig};
pub use errors::ClusterError;
pub use kinds::Kind;
pub use object::{DeleteOptions, Object};
pub use rate::RateLimit;
pub use watch::{WatchEvent, watch_kind};

/// Under which name the daemon owns fields.
pub const FIELD_MANAGER: &str = "streamspaced";
/// The label that marks every object that the daemon applies.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY_LABEL`].
pub const MANAGED_BY: &str = "streamspaced";
/// The label that ties an object to its tenant's uid.
pub const TENANT_UID_LABEL: &str = "control.stream.space/tenant-uid";
/// The label that names the installation of the daemon that manages an object.
pub const INSTANCE_LABEL: &str = "control.stream.space/instance";
