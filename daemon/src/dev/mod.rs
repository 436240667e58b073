//! `streamspaced dev`: a whole region on one machine, for trying things out.

mod anew;
mod furnish;
pub mod load;
pub mod mode;
mod ports;
pub mod postgres;
mod ssctl;
