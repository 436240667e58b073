//! The documentation: every command in it is run as written, every link leads somewhere,
//! and the reference is as the code is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::format_push_string,
    reason = "a panic fails the test, as it should; pages are put together from texts"
)]

mod alerts;
mod api;
mod commands;
mod compare;
mod configuration;
mod files;
mod links;
mod manual;
mod page;
mod pages;
mod reference;
mod screens;
mod terminal;
mod world;
