//! The rules of the StreamSpace control plane.
//!
//! Everything here is pure: no I/O, no clock, no async, no Kubernetes client and no
//! database. What a decision needs is passed in, so that a rule can be tested by the
//! million and read without the machinery around it. The daemon is a set of adapters
//! around these modules.

pub mod access;
pub mod admission;
pub mod approval;
pub mod conditions;
pub mod filter;
pub mod ids;
pub mod incident;
pub mod labels;
pub mod load;
pub mod notify;
pub mod order;
pub mod page;
pub mod plan;
pub mod platform;
pub mod quantity;
pub mod quota;
pub mod session;
pub mod slo;
pub mod suggest;
pub mod template;
pub mod tenant;
pub mod text;
pub mod usage;
pub mod violation;
