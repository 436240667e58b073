//! Incidents: what an incident may become, and who must be told of it when.

pub mod escalation;
pub mod lifecycle;
