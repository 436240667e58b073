//! Tenants: the customers of a region.
//!
//! The row is the wish and the cluster a projection of it. [`service`] changes the
//! wish, [`manifests`] says what it becomes in the cluster, [`decide`] what to do
//! about the difference, and [`reconciler`] does it.

pub mod breaker;
mod check;
pub mod consequences;
mod convert;
pub mod decide;
pub mod expiry;
mod input;
pub mod manifests;
mod names;
pub mod objects;
pub mod overrides;
pub mod reconciler;
pub mod service;
mod store;
pub mod summary;
pub mod usage;
pub mod view;
mod wishes;

pub use convert::{change, etag, into_proto, quota_override, to_proto};
pub use names::Directory;
pub use service::{being_deleted, require_etag};
pub use store::{
    Pause, QuotaOverride, SELECT_BY_ID, TenantRecord, by_id, list, live_by_uid, live_uids,
    lock_by_id, now, update, view_live,
};
pub use wishes::ManifestWishes;
