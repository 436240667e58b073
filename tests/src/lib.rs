//! What the end-to-end stories share: the real parts, started as a user starts them.

pub mod cluster;
