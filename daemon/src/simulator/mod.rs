//! The simulated cluster of a development region, made to fail on demand: by its
//! configuration from the start on, and by `SimulatorService` while it runs.
//!
//! A region on a real cluster has none of it, and says so.

mod board;
pub mod config;
mod convert;
pub mod kubelet;
pub mod service;
#[cfg(test)]
mod tests;

pub use board::FaultBoard;
