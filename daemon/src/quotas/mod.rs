//! How much a tenant may use: what the plan gives, what was set instead of it for ever or
//! for a time, and what the cluster counts.

mod input;
mod outlook;
pub mod service;
#[cfg(test)]
mod tests;
