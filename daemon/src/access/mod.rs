//! Access: the region's authority, enrolment, certificates and their standing.
//!
//! What holds here:
//! - Keys are made by their owners; the authority sees public keys alone.
//! - A token is used once, also when two try at the same moment.
//! - A device credential ends when it was said to end at enrolment, however often it
//!   is renewed. The use of a superseded one revokes its whole family.
//! - A revocation, the lock of a person and the end of a break-glass grant count on every
//!   replica within a second, also on open streams. While the database is away, the known
//!   ones keep counting.
//! - A break-glass grant gives a role for a time and nothing that outlives it.

pub mod ca;
mod certificates;
pub mod ends;
mod grants;
mod locks;
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
pub use status::Standings;
pub use token::{NewToken, TokenError, create_token};

#[cfg(test)]
mod tests;
