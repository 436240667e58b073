//! What the end-to-end stories share: the real parts, started as a user starts them.
//!
//! A story begins with [`runtime::story`] and a [`region::Region`]: a daemon of its own on
//! a database of its own, on a PostgreSQL and a kube-apiserver that the stories of one
//! test binary share. Whatever way the test process ends, nothing that it started stays.

#![allow(clippy::missing_panics_doc, reason = "a panic fails the story, as it should")]

pub mod authority;
pub mod cluster;
pub mod crowd;
pub mod daemon;
pub mod database;
pub mod development;
mod go_program;
pub mod helm;
pub mod http;
pub mod janitor;
pub mod life;
pub mod machine;
pub mod manager;
pub mod packages;
pub mod ports;
pub mod prometheus;
pub mod proxy;
pub mod pty;
pub mod random;
pub mod receiver;
pub mod region;
pub mod relay;
pub mod replica;
pub mod rpc;
pub mod runtime;
pub mod sessions;
pub mod ssctl;
pub mod svg;
pub mod terraform;
pub mod wait;
