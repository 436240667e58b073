//! The live terminal dashboard of the control plane, opened by `ssctl ui`.
//!
//! One loop owns the [`state::State`]: [`update::update`] takes an event and
//! returns effects, and touches nothing else. Input, connection and drawing are
//! tasks of their own, so that nothing that waits stands between a key and the
//! screen.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use streamspace_client::Connection;
use thiserror::Error;
use uuid::Uuid;

use crate::{
    feed::{Feed, Live},
    recording::{Film, Header, Player, Recorder},
    stage::Stage,
    state::{State, Target},
    terminal::{Screen, Signals},
    theme::Theme,
};

pub use connection::SESSION_FIELDS;
pub use keys::KeyMap;
pub use settings::{Settings, SettingsError};
pub use theme::{ThemeName, UnknownTheme};

mod actions;
mod chart;
mod connection;
mod demo;
mod events;
mod feed;
mod format;
mod keys;
mod palette;
mod pen;
mod prompt;
mod query;
mod questions;
mod recording;
mod rows;
mod save;
mod settings;
mod stage;
mod state;
mod table;
mod terminal;
#[cfg(test)]
mod testing;
mod theme;
mod trouble;
mod update;
mod views;
mod work;

pub use recording::{Projection, RecordingError};

/// Why nothing may be changed.
const READ_ONLY: &str = "opened with --read-only";

/// How the dashboard looks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Options {
    /// Whether it uses colours. Without them every state still has its glyph or
    /// its word.
    pub color: bool,
    /// Which colours.
    pub theme: ThemeName,
    /// Whether it keeps to ASCII for lines and glyphs. Names of others are shown
    /// as they are.
    pub ascii: bool,
    /// Whether it listens to the mouse. The terminal's own selection needs a key
    /// held down then, in most terminals shift.
    pub mouse: bool,
    /// Whether nothing may be changed from it, whatever the certificate allows.
    pub read_only: bool,
    /// Where what happens is kept, to be looked at again.
    pub record: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            color: true,
            theme: ThemeName::default(),
            ascii: false,
            mouse: false,
            read_only: false,
            record: None,
        }
    }
}

/// Why the dashboard cannot be shown.
#[derive(Debug, Error)]
pub enum UiError {
    /// Input or output is not a terminal that can be drawn on.
    #[error("the dashboard needs a terminal, and {0}: run it in one")]
    NotATerminal(&'static str),
    /// The terminal refused something.
    #[error("the terminal does not work: {0}; try `reset`, or another terminal")]
    Terminal(#[from] io::Error),
    /// A recording cannot be made, or not be read.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The end of a recording was not written.
    #[error("the recording is not complete: {0}")]
    RecordingCut(io::Error),
}

/// Where a recording is looked at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Begin {
    /// So long after its begin.
    pub at: Duration,
    /// Whether it stands still there.
    pub stopped: bool,
}

/// Shows the dashboard of one region or several until its user leaves it, or a signal
/// ends it.
///
/// It works with daemons that are away: it says so, and connects when it can. The
/// terminal is restored whatever ends it. It must be called inside a Tokio
/// runtime.
pub async fn run(
    connections: &[Connection],
    options: Options,
    keys: KeyMap,
) -> Result<(), UiError> {
    terminal::require()?;
    let targets: Vec<_> =
        connections.iter().map(|connection| Target::new(connection.context())).collect();
    let (size, now, ids) = (terminal::size()?, Timestamp::now(), Uuid::new_v4());
    let locked = options.read_only.then_some(READ_ONLY);
    let recorder = match &options.record {
        Some(path) => {
            let header = Header::new(&targets, now, size, locked, ids, &keys);
            Some(Recorder::create(path, &header)?)
        }
        None => None,
    };
    let theme = Theme::new(&options);
    let mut state = State::new(targets, keys, theme, size, now).with_ids_from(ids);
    state.locked = locked.map(str::to_owned);
    let mut shown = Stage::new(state, Feed::Live(Live::new(connections)));
    shown.recorder = recorder;
    // On the heap: whoever calls should not have to hold it all.
    Box::pin(show(shown, &options)).await
}

/// Shows a recording again, until its user leaves it: what was seen then, and once a key is
/// pressed whatever was to be seen.
pub async fn replay(
    path: &Path,
    begin: Begin,
    options: Options,
    keys: KeyMap,
) -> Result<(), UiError> {
    terminal::require()?;
    let film = Film::open(path)?;
    let state = recording::begin(&film, &options, terminal::size()?);
    let feed = Feed::Played(Box::new(Player::new(film, "recording", None)));
    let mut shown = Stage::new(state, feed);
    shown.follow(keys);
    shown.begin(begin);
    // On the heap: whoever calls should not have to hold it all.
    Box::pin(show(shown, &options)).await
}

/// Shows three regions that are made up, with nothing behind them.
pub async fn demonstrate(begin: Begin, options: Options, keys: KeyMap) -> Result<(), UiError> {
    terminal::require()?;
    let (film, troupe) = demo::made_up();
    let mut state = recording::begin(&film, &options, terminal::size()?);
    state.keys = keys;
    state.locked = options.read_only.then(|| READ_ONLY.to_owned());
    let feed = Feed::Played(Box::new(Player::new(film, "made up", Some(troupe))));
    let mut shown = Stage::new(state, feed);
    shown.begin(begin);
    // On the heap: whoever calls should not have to hold it all.
    Box::pin(show(shown, &options)).await
}

/// Runs on the terminal, and gives it back.
async fn show(mut stage: Stage, options: &Options) -> Result<(), UiError> {
    let mut signals = Signals::listen()?;
    let mut screen = Screen::open(options.mouse)?;
    let result = stage.run(&mut screen, &mut signals).await;
    screen.close().await;
    let recorded = stage.recorder.map_or(Ok(()), Recorder::close);
    result.and(recorded.map_err(UiError::RecordingCut))
}
