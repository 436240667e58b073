//! `streamspaced`, the control-plane daemon of one region.
//!
//! A folder is a capability, and each has the same few rooms: `service` (gRPC),
//! `store` (SQL), `manifests` (pure: what a thing becomes in the cluster) and
//! `reconciler` (the loop that makes it so). [`region`] wires them; it is the only
//! file that knows all.

pub mod access;
pub mod alerts;
pub mod approvals;
pub mod audit;
pub mod backup;
pub mod bulk;
pub mod config;
pub mod db;
pub mod dev;
pub mod http_client;
pub mod incidents;
pub mod kube;
pub mod maintenance;
pub mod notify;
pub mod oncall;
pub mod operations;
pub mod plans;
pub mod platform;
pub mod quotas;
pub mod region;
pub mod regions;
pub mod rpc;
pub mod sessions;
pub mod setup;
pub mod simulator;
pub mod slo;
pub mod systemd;
pub mod telemetry;
pub mod tenants;
pub mod usage;
pub mod watch;
pub mod watchdog;
