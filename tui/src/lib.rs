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

use crate::{
    keys::KeyMap,
    state::{State, Target},
    terminal::{Picture, Screen, Signals},
    theme::Theme,
    update::{Effect, Event, EventKind, update},
};

mod connection;
mod format;
mod keys;
mod pen;
mod state;
mod terminal;
#[cfg(test)]
mod testing;
mod theme;
mod update;
mod views;

/// What waits to be read by the loop, per source.
const QUEUE: usize = 64;
/// No more frames than a screen can show.
const FRAME_TIME: Duration = Duration::from_millis(16);
const TICK: Duration = Duration::from_secs(1);

/// How the dashboard looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether it uses colours. Without them every state still has its glyph or
    /// its word.
    pub color: bool,
    /// Whether it keeps to ASCII for lines and glyphs. Names of others are shown
    /// as they are.
    pub ascii: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { color: true, ascii: false }
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

/// Shows the dashboard until its user leaves it, or a signal ends it.
///
/// It works with a daemon that is away: it says so, and connects when it can. The
/// terminal is restored whatever ends it. It must be called inside a Tokio
/// runtime.
pub async fn run(connection: Connection, options: Options) -> Result<(), UiError> {
    terminal::require()?;
    let mut signals = Signals::listen()?;
    let mut screen = Screen::open()?;
    let result = follow(connection, options, &mut screen, &mut signals).await;
    screen.close().await;
    result
}

async fn follow(
    connection: Connection,
    options: Options,
    screen: &mut Screen,
    signals: &mut Signals,
) -> Result<(), UiError> {
    let theme = Theme::new(options);
    let target = Target::new(connection.context());
    let mut state = State::new(target, KeyMap::standard(), terminal::size()?, Timestamp::now());

    let (input_sender, mut input) = mpsc::channel(QUEUE);
    let (news_sender, mut news) = mpsc::channel(QUEUE);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(terminal::read_input(input_sender));
    connection::spawn(&mut tasks, &connection, &news_sender);
    drop(news_sender);

    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut stale_picture = true;
    let mut repaint = false;
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
                let buffer = views::draw(&state, &theme);
                picture?.send(Picture { buffer, repaint });
                (stale_picture, repaint) = (false, false);
                next_frame = Instant::now() + FRAME_TIME;
                continue;
            }
            Some(kind) = news.recv() => kind,
            _ = ticks.tick() => EventKind::Tick,
        };
        let at = Timestamp::now();
        for effect in update(&mut state, Event { at, kind }) {
            match effect {
                Effect::Quit => return Ok(()),
                Effect::Repaint => repaint = true,
            }
        }
        stale_picture = true;
    }
}
