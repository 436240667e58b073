//! Realistic days of sessions, made up and repeatable.
//!
//! ```text
//!  seed, tenants, templates ──► Events ──┬─► transitions ──► metering
//!                                        └─► Oracle: what was truly used
//! ```
//!
//! Users come by the hours of their days and the days of their weeks (a Poisson process:
//! [`Rhythm`]), open what they use often or seldom ([`TemplateLoad`]), stay for a time
//! (log-normal: [`Lasting`]), go without a word, so that a session is idle and hibernates,
//! and come back to it. Now and then a request is changed, a pod dies, or a session runs
//! into its maximum duration. Each user has one home, which grows.
//!
//! The same seed gives the same events on every machine: they are sampled in whole and
//! fixed-point numbers alone (`distribution.rs`). Each user has random numbers of their
//! own, so that one more tenant changes nothing of the others. In memory are the users,
//! their homes and their live sessions, however long a time is made up.

use std::sync::Arc;

use crate::{
    session::lifecycle::{IDLE, MAXIMUM_DURATION},
    usage::{Incarnation, Session, State},
};

pub use distribution::Lasting;
pub use events::Events;
pub use facts::{Oracle, transitions};
pub use population::{Load, TemplateLoad, TenantLoad, templates};
pub use rhythm::Rhythm;

mod distribution;
mod events;
mod facts;
mod life;
mod population;
pub mod random;
mod rhythm;
#[cfg(test)]
mod tests;
mod user;

/// What an event is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LoadKind {
    /// A session.
    Session,
    /// A home, which outlives its user's sessions.
    Home,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// A user made a session.
    Created,
    /// A user came back to a session that slept.
    Woken,
    /// A pod of it is ready.
    Started,
    /// It could not start, or lost its node.
    Failed,
    /// Its pod or its container died.
    Crashed,
    /// Another request was written; another pod comes.
    Resized,
    /// It sleeps: because a user said so, or because nobody used it.
    Hibernated {
        /// Whether nobody had to say so.
        idle: bool,
    },
    /// It is gone: because a user said so, or because it ran for too long.
    Terminated {
        /// Whether it ran for as long as a session may.
        expired: bool,
    },
    /// A user has a home.
    HomeCreated,
    /// It is larger.
    HomeGrown,
    /// It is gone.
    HomeDeleted,
}

impl Change {
    /// The word that people are told of it.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Created | Self::Woken => "Starting",
            Self::Started => "PodReady",
            Self::Failed => "StartTimedOut",
            Self::Crashed => "PodLost",
            Self::Resized => "RequestChanged",
            Self::Hibernated { idle: true } => IDLE,
            Self::Hibernated { idle: false } => "Hibernated",
            Self::Terminated { expired: true } => MAXIMUM_DURATION,
            Self::Terminated { expired: false } => "Terminated",
            Self::HomeCreated => "HomeCreated",
            Self::HomeGrown => "HomeGrown",
            Self::HomeDeleted => "HomeDeleted",
        }
    }
}

/// Something that happened to a session or a home, and what is so from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadEvent {
    /// To which. A home has the uid of its volume and no template.
    pub subject: Arc<Session>,
    /// What that is.
    pub kind: LoadKind,
    /// What happened.
    pub change: Change,
    /// What it is allotted from then on.
    pub state: State,
    /// Which run it is, while it runs.
    pub incarnation: Option<Incarnation>,
}
