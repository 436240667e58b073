//! Tenants: the customers of a region.
//!
//! The row is the wish and the cluster a projection of it. [`service`] changes the
//! wish, [`manifests`] says what it becomes in the cluster, [`decide`] what to do
//! about the difference, and [`reconciler`] does it.

mod convert;
pub mod decide;
mod input;
pub mod manifests;
mod names;
pub mod reconciler;
pub mod service;
mod store;

pub use convert::{etag, to_proto};
pub use names::Directory;
pub use store::{TenantRecord, list, live_uids};
