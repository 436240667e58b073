//! The watch stream: a snapshot, and then every committed change in order.

pub mod service;
