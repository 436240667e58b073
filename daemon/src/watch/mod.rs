//! The watch stream: a snapshot, and then every committed change in order; and where a client
//! does not keep up, a gap and another snapshot.
//!
//! A request becomes [`selection`]s. [`stream`] carries them out for one client, whose
//! [`snapshot`] is planned by keys and read page by page, and [`mask`] takes away what the
//! client does not want of each resource. What is held for a client does not grow with how
//! slowly it reads: some messages, a page, and the keys of a snapshot under way.

mod mask;
mod selection;
pub mod service;
mod snapshot;
mod stream;
