//! What the daemon and the service manager that started it tell each other: that it serves,
//! lives, reloads and stops, and the sockets that it was handed.
//!
//! What holds here:
//! - Without a service manager (no `NOTIFY_SOCKET`) nothing is told and nothing differs.
//! - The watchdog is fed by what proves that calls can be answered, not by a timer alone.
//!   A database that is away is no reason to be restarted: a new process would find it just
//!   as much away.
//! - A manager that cannot be told is logged, and fails nothing.

pub mod activation;
pub mod keeper;
pub mod manager;

pub use activation::{ActivationError, Handed};
pub use keeper::{Keeper, Signs};
pub use manager::Manager;
