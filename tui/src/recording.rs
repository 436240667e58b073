//! Recordings: what came in, kept so that it can be looked at again.
//!
//! The dashboard is a function of its events, so a recording holds those and no pictures: it
//! is small, and can be looked at from elsewhere than when it was made.

mod film;
mod format;
mod player;
mod projection;
mod recorder;
#[cfg(test)]
mod tests;

pub(crate) use film::Film;
pub use film::RecordingError;
pub(crate) use format::{Encoder, Header};
pub(crate) use player::{Place, Player, Troupe};
pub use projection::Projection;
pub(crate) use projection::begin;
pub(crate) use recorder::Recorder;
