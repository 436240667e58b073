//! Access: the region's authority, enrolment, certificates and their standing.
//!
//! What holds here:
//! - Keys are made by their owners; the authority sees public keys alone.
//! - A token is used once, also when two try at the same moment.
//! - A device credential ends when it was said to end at enrolment, however often it
//!   is renewed. The use of a superseded one revokes its whole family.
//! - While the database is away, known revocations keep counting.

pub mod ca;
mod renewal;
pub mod service;
pub mod serving;
pub mod status;
mod store;
pub mod token;
pub mod trust;

pub use ca::{Authority, AuthorityError, AuthorityFiles, Grant};
pub use service::{Access, AccessParts, TenantNames};
pub use serving::Serving;
pub use status::Revocations;
pub use token::{NewToken, TokenError, create_token};

#[cfg(test)]
mod tests;
