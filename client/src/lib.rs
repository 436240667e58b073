//! What `ssctl` and the dashboard share: contexts, credentials, the mutual-TLS
//! channel to `streamspaced`, and a watch that resumes.
//!
//! [`Connection`] is the door: it opens a [`Context`] and hands out the clients
//! of the contract's services. Certificates renew behind it.

mod carrier;
mod channel;
mod connection;
mod duration;
mod pem;
mod renew;
mod retry;
mod tls;

pub mod context;
pub mod credentials;
pub mod enrol;
pub mod errors;
pub mod files;
pub mod probe;
pub mod regions;
pub mod text;
pub mod watch;

pub use carrier::{Carrier, INCIDENT_HEADER, Incident, IncidentError, VERSION_HEADER};
pub use channel::ConnectFault;
pub use connection::{Connection, Options};
pub use context::{Address, Context, Contexts, Environment};
pub use duration::parse_duration;
pub use errors::{ClientError, Refusal};
pub use watch::{Counts, Watch, WatchEvent};
