//! Plans: what customers buy. Data with versions; a version never changes.

pub mod service;
mod store;

pub use store::{current, list};
