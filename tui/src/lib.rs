//! The live terminal dashboard of the control plane, opened by `ssctl ui`.
//!
//! One loop owns the [`state::State`]: [`update::update`] takes an event and
//! returns effects, and touches nothing else. Input, connection and drawing are
//! tasks of their own, so that nothing that waits stands between a key and the
//! screen.

use std::time::Duration;

use jiff::Timestamp;
use streamspace_client::Connection;
use thiserror::Error;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};
use uuid::Uuid;

use crate::{
    connection::Outlet,
    state::{RegionIndex, State, Target},
    terminal::{Picture, Screen, Signals},
    theme::Theme,
    update::{Effect, Event, EventKind, update},
};

pub use keys::KeyMap;
pub use settings::{Settings, SettingsError};
pub use theme::{ThemeName, UnknownTheme};

mod actions;
#[allow(dead_code, reason = "pages draw with it once they have numbers over time")]
mod chart;
mod connection;
mod format;
mod keys;
mod palette;
mod pen;
mod prompt;
mod query;
mod rows;
mod settings;
mod state;
mod table;
mod terminal;
#[cfg(test)]
mod testing;
mod theme;
mod update;
mod views;
mod work;

/// What waits to be read by the loop, per source.
const QUEUE: usize = 64;
/// No more frames than a screen can show.
const FRAME_TIME: Duration = Duration::from_millis(16);
/// How soon it is seen that something grew old.
const TICK: Duration = Duration::from_millis(500);

/// How the dashboard looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

impl Default for Options {
    fn default() -> Self {
        Self {
            color: true,
            theme: ThemeName::default(),
            ascii: false,
            mouse: false,
            read_only: false,
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
    Terminal(#[from] std::io::Error),
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
    let mut signals = Signals::listen()?;
    let mut screen = Screen::open(options.mouse)?;
    let result = follow(connections, options, keys, &mut screen, &mut signals).await;
    screen.close().await;
    result
}

async fn follow(
    connections: &[Connection],
    options: Options,
    keys: KeyMap,
    screen: &mut Screen,
    signals: &mut Signals,
) -> Result<(), UiError> {
    let theme = Theme::new(options);
    let targets = connections.iter().map(|connection| Target::new(connection.context())).collect();
    let (size, now) = (terminal::size()?, Timestamp::now());
    let mut state = State::new(targets, keys, theme, size, now).with_ids_from(Uuid::new_v4());
    state.read_only = options.read_only;

    let (input_sender, mut input) = mpsc::channel(QUEUE);
    let (news_sender, mut news) = mpsc::channel(QUEUE);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(terminal::read_input(input_sender));
    let regions: Vec<_> = (0..)
        .map(RegionIndex)
        .zip(connections)
        .map(|(region, connection)| (connection, Outlet { region, events: news_sender.clone() }))
        .collect();
    for (connection, outlet) in &regions {
        connection::spawn(&mut tasks, connection, outlet);
    }

    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut stale_picture = true;
    let (mut repaint, mut copy) = (false, None);
    let mut next_frame = Instant::now();
    loop {
        let kind = tokio::select! {
            biased;
            () = signals.next() => return Ok(()),
            event = input.recv() => match event {
                Some(Ok(kind)) => kind,
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
            picture = screen.ready(next_frame), if stale_picture => {
                let buffer = views::draw(&state);
                picture?.send(Picture { buffer, repaint, copy: copy.take() });
                (stale_picture, repaint) = (false, false);
                next_frame = Instant::now() + FRAME_TIME;
                continue;
            }
            Some(kind) = news.recv() => kind,
            _ = ticks.tick() => EventKind::Tick,
        };
        // What was answered is over; else the list of it would grow all day.
        while tasks.try_join_next().is_some() {}
        let at = Timestamp::now();
        for effect in update(&mut state, Event { at, kind }) {
            match effect {
                Effect::Quit => return Ok(()),
                Effect::Repaint => repaint = true,
                Effect::Work(work) => {
                    let region = usize::from(work.subject.region.0);
                    if let Some((connection, outlet)) = regions.get(region) {
                        let connection = Connection::clone(connection);
                        tasks.spawn(work::work(connection, outlet.clone(), work));
                    }
                }
                Effect::Copy(text) => copy = Some(text),
                Effect::Ask(key, question) => {
                    if let Some((connection, outlet)) = regions.get(usize::from(key.region.0)) {
                        let connection = Connection::clone(connection);
                        tasks.spawn(connection::answer(connection, outlet.clone(), key, question));
                    }
                }
            }
        }
        stale_picture = true;
    }
}
