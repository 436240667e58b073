//! How the region is: the health of the parts that the daemon depends on, and what
//! operators set for the region as a whole.

pub mod controls;
pub mod ends;
pub mod health;
pub mod probes;
pub mod service;

#[cfg(test)]
mod tests;
