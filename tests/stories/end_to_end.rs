//! The shipped binaries, started as a user starts them. One program for all stories, so
//! that they share one cluster and one PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::too_many_lines,
    reason = "a panic fails the story, as it should; a story is told in one piece"
)]

mod access;
mod admission;
mod apply;
mod backup;
mod bulk;
mod changes;
mod completion;
mod dashboard;
mod dev;
mod doctor;
mod drift;
mod exit_codes;
mod faults;
mod fences;
mod incidents;
mod isolation;
mod kills;
mod leaders;
mod life;
mod metering;
mod node_pools;
mod notify;
mod outages;
mod regions;
mod scope;
mod sessions;
mod status;
mod systemd;
mod tenant;
mod trouble;
mod unchanged;
mod upgrade;
mod watch;
mod wrong_cluster;
