//! How the region is: the health of the parts that the daemon depends on.

pub mod health;
pub mod probes;
pub mod service;
