//! The contract of the StreamSpace control plane.
//!
//! [`v1`] holds the generated types and services of `streamspace.admin.v1`;
//! [`policy`] reads the access rule that each method carries; [`json`] is the
//! canonical JSON of every message; [`token`] is the text form of an enrolment token.

pub mod json;
pub mod policy;
pub mod token;

/// Messages, clients and servers of `streamspace.admin.v1`.
#[allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub, reason = "generated")]
pub mod v1 {
    tonic::include_proto!("streamspace.admin.v1");
}

/// The encoded `FileDescriptorSet` of the contract and all that it imports, with
/// source comments.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

/// The domain of every `google.rpc.ErrorInfo` that the daemon sends.
pub const ERROR_DOMAIN: &str = "admin.streamspace";
