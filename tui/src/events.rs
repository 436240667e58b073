//! What happens to the dashboard, and what it asks of the world. All of it can be kept
//! in a recording: nothing here holds a connection or an error of one.

use jiff::Timestamp;
use ratatui::layout::{Position, Size};
use streamspace_client::{Counts, WatchEvent};
use streamspace_proto::v1::{self, WhoAmIResponse};

use crate::{
    actions::Work,
    keys::Key,
    state::{Answer, Question, RegionIndex},
    trouble::Trouble,
};

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: Timestamp,
    pub(crate) kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum EventKind {
    /// Time passed.
    Tick,
    /// The terminal has another size.
    Resize(Size),
    Key(Key),
    /// Text came as a whole.
    Paste(String),
    /// The wheel was turned by so many rows, downwards.
    Wheel(isize),
    /// A place on the screen was clicked.
    Click(Position),
    /// Something came from a region.
    News(RegionIndex, News),
}

/// What comes from a region.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// The watch brought something, in this order.
    Watch(Vec<Watched>),
    /// The region was asked how it is.
    Region(Result<Box<v1::Region>, Trouble>),
    /// The daemon was asked who looks.
    Identity(Result<Box<WhoAmIResponse>, Trouble>),
    /// A question was answered, or not.
    Answer(Question, Result<Answer, Trouble>),
    /// A change was made or rehearsed, or refused; in lines what it is.
    Worked(Box<Work>, Result<Vec<String>, Trouble>),
}

/// What happens on a watch, as [`WatchEvent`] has it.
#[derive(Clone, Debug)]
pub(crate) enum Watched {
    Connected {
        resumed: bool,
    },
    Snapshot(Counts),
    Item(Box<v1::Resource>),
    Synced(Counts),
    Change(Box<v1::Change>),
    Gap,
    /// It is there, and nothing has changed.
    Quiet,
    Lost(Trouble),
    Failed(Trouble),
}

impl From<WatchEvent> for Watched {
    fn from(event: WatchEvent) -> Self {
        match event {
            WatchEvent::Connected { resumed } => Self::Connected { resumed },
            WatchEvent::Snapshot { counts } => Self::Snapshot(counts),
            WatchEvent::Item(resource) => Self::Item(resource),
            WatchEvent::Synced { counts, .. } => Self::Synced(counts),
            WatchEvent::Change(change) => Self::Change(change),
            WatchEvent::Gap { .. } => Self::Gap,
            WatchEvent::Bookmark { .. } => Self::Quiet,
            WatchEvent::Lost { error, .. } => Self::Lost(error.into()),
            WatchEvent::Failed(error) => Self::Failed(error.into()),
        }
    }
}

/// What the world should do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Quit,
    /// Draw every cell, whatever is thought to be there.
    Repaint,
    /// Ask a region something.
    Ask(RegionIndex, Question),
    /// Ask a region to change something, or to rehearse it.
    Work(Box<Work>),
    /// Put a text where the terminal's user can paste it from.
    Copy(String),
    /// Write a text to a new file of about this name, where the dashboard was started.
    Save(String, String),
    /// Move within a recording.
    Play(Play),
}

/// How somebody moves within a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Play {
    /// Stop, or go on.
    Toggle,
    /// Forward by so many seconds, or back.
    By(i64),
    /// Faster, or slower.
    Faster(bool),
}
