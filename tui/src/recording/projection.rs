//! A recording without a terminal: each of its frames as it was.

use std::path::Path;

use crossterm::event::KeyCode;
use jiff::Timestamp;
use ratatui::{buffer::Buffer, layout::Size};

use super::{
    Troupe,
    film::{Film, RecordingError},
};
use crate::{
    Options,
    events::{Effect, Event, EventKind, News},
    keys::Key,
    pen::text_width,
    state::{RegionIndex, State},
    theme::Theme,
    update::update,
    views,
};

/// A recording that is gone through without a terminal.
pub struct Projection {
    film: Film,
    state: State,
    /// Who answers what is asked, where somebody does.
    troupe: Option<Box<dyn Troupe>>,
}

impl std::fmt::Debug for Projection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Projection").field("at", &self.state.now).finish_non_exhaustive()
    }
}

impl Projection {
    /// Opens a recording at its begin, as large as its terminal was.
    pub fn open(path: &Path, options: &Options) -> Result<Self, RecordingError> {
        Film::open(path).map(|film| Self::new(film, options))
    }

    /// The demonstration, with so many times as many tenants.
    pub fn made_up(times: u64, options: &Options) -> Self {
        let (film, troupe) = crate::demo::larger(times);
        Self { troupe: Some(troupe), ..Self::new(film, options) }
    }

    pub(crate) fn new(film: Film, options: &Options) -> Self {
        let state = begin(&film, options, film.header().size());
        Self { film, state, troupe: None }
    }

    /// Takes the next event in, and returns when it was; none at the end.
    pub fn step(&mut self) -> Option<Timestamp> {
        let event = self.film.next()?;
        let at = event.at;
        self.happen(event);
        Some(at)
    }

    /// Presses a key in place of who was there; enter is `\r`.
    pub fn press(&mut self, key: char) {
        let code = if key == '\r' { KeyCode::Enter } else { KeyCode::Char(key) };
        let kind = EventKind::Key(Key::plain(code));
        self.happen(Event { at: self.state.now, kind });
    }

    fn happen(&mut self, event: Event) {
        let at = event.at;
        for effect in update(&mut self.state, event) {
            let (Effect::Ask(region, question), Some(troupe)) = (effect, &mut self.troupe) else {
                continue;
            };
            let answer = Ok(troupe.answer(region, &question, at));
            let kind = EventKind::News(region, News::Answer(question, answer));
            self.happen(Event { at, kind });
        }
    }

    /// How many tenants and sessions there are.
    pub fn rows(&self) -> usize {
        let regions = || (0..).map(RegionIndex).zip(&self.state.regions);
        let tenants = regions().filter_map(|(at, _)| self.state.tenants.tally_of(at));
        let sessions = regions().filter_map(|(at, _)| self.state.sessions.tally_of(at));
        tenants.chain(sessions).map(|tally| tally.total).sum()
    }

    /// What the screen showed.
    pub fn frame(&self) -> Buffer {
        views::draw(&self.state)
    }

    /// The same as text, a line a row.
    pub fn text(&self) -> String {
        let buffer = self.frame();
        let mut text = String::new();
        for y in buffer.area.rows() {
            let mut covered = 0;
            let mut line = String::new();
            for cell in y.columns().filter_map(|at| buffer.cell(at.as_position())) {
                // What is behind a wide character is not shown.
                if covered == 0 {
                    line.push_str(cell.symbol());
                    covered = text_width(cell.symbol());
                }
                covered = covered.saturating_sub(1);
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// The state that a recording begins with.
pub(crate) fn begin(film: &Film, options: &Options, size: Size) -> State {
    let header = film.header();
    let mut state =
        State::new(header.targets(), header.keys(), Theme::new(options), size, header.begin())
            .with_ids_from(header.ids());
    state.locked = header.locked();
    state
}
