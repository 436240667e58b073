//! What is packaged, by the tools that take it: the Helm chart, rendered and installed into
//! a cluster of its own, the Terraform modules, the packages of Debian and Red Hat, and their life
//! on a clean Debian.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::too_many_lines,
    clippy::format_collect,
    clippy::format_push_string,
    reason = "a panic fails the story, as it should; a story is told in one piece"
)]

mod helm_cluster;
mod helm_files;
mod helm_render;
mod helm_rights;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod packages;
mod terraform;

use std::path::{Path, PathBuf};

/// The root of the project.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_path_buf()
}
