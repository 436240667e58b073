//! The migrations are compiled in; a new file must rebuild the crate.

#![allow(clippy::print_stdout, reason = "this is how a build script speaks to Cargo")]

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
