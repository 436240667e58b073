//! The gRPC door: who calls, whether they may, and the proof of it.
//!
//! A call passes [`tls`] (the handshake proves possession of a key and judges
//! nothing), [`policy`] (judges the peer by [`peer`], applies the method's rule),
//! [`audit`] (writes the intent before the handler runs and the outcome after) and
//! reaches its service. The module knows nobody who implements its two traits,
//! [`peer::CertificateStatus`] and [`audit::AuditSink`].

pub mod audit;
pub mod caller;
pub mod canonical;
pub mod ends;
pub mod errors;
pub mod input;
pub mod limits;
pub mod listing;
mod message;
pub mod observe;
pub mod once;
pub mod peer;
pub mod policy;
pub mod server;
pub(crate) mod status;
pub mod summary;
pub mod time;
pub mod tls;

use std::sync::Arc;

use jiff::Timestamp;

pub use caller::{BreakGlass, Call, CallNotes, Caller};
pub use errors::{RpcError, RpcResult};
pub use status::CALL_ID;

/// Answers a call by a method of the service that takes the caller and the request.
macro_rules! answer {
    ($self:ident, $request:ident, $method:ident) => {{
        let caller = $crate::rpc::Caller::of(&$request)?.clone();
        Ok(tonic::Response::new($self.$method(&caller, $request.get_ref()).await?))
    }};
}
pub(crate) use answer;

/// Tells the time. Tests bring their own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The clock of the machine.
pub fn system_clock() -> Clock {
    Arc::new(Timestamp::now)
}

#[cfg(test)]
mod tests;
