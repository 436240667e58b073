//! Access: the region's authority, enrolment, certificates and their standing.

pub mod ca;

pub use ca::{Authority, AuthorityError, AuthorityFiles, Grant};
