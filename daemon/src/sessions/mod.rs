//! Sessions: what a user's desktop becomes in the cluster, whether it may start, and how it
//! is shown.

pub mod change;
pub mod config;
mod convert;
pub mod homes;
pub mod input;
pub mod manifests;
pub mod object;
pub mod projection;
pub mod reconciler;
pub mod record;
pub mod reservations;
pub mod service;
pub mod store;
pub mod view;
pub mod webhook;

pub use store::{SessionKey, resources, view_all};
