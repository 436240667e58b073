//! `streamspaced dev`: a whole region on one machine, for trying things out.

pub mod mode;
pub mod postgres;
mod ssctl;
