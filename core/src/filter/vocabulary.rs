//! What filters may name, by kind, as the contract says: one list for the daemon that
//! judges them and for the clients that show what matches.

/// Of tenants.
pub const TENANT: [&str; 8] =
    ["name", "display_name", "plan", "seats", "state", "billing_account", "protected", "labels.*"];

/// Of sessions.
pub const SESSION: [&str; 10] = [
    "name",
    "tenant",
    "user",
    "template",
    "state",
    "phase",
    "node",
    "deleting:bool",
    "age:integer",
    "idle:integer",
];

/// Of operations.
pub const OPERATION: [&str; 5] = ["name", "kind", "target", "done", "actor"];

/// Of entries of the audit log.
pub const AUDIT: [&str; 9] =
    ["actor", "role", "method", "resource", "phase", "decision", "rule", "call_id", "incident"];

/// Of certificates.
pub const CERTIFICATE: [&str; 7] =
    ["name", "kind", "operator", "role", "state", "device_name", "family"];
