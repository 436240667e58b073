//! Sessions: what a user's desktop becomes in the cluster.

pub mod manifests;
