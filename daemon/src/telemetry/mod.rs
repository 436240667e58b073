//! What the daemon tells of itself: logs, metrics, liveness and readiness.

pub mod backup;
pub mod http;
pub mod logs;
pub mod metrics;
pub mod notify;
pub mod resources;
pub mod usage;
