//! All keys and commands, made from the map and the list that are active.

use super::{
    View,
    text::{self, Line},
};
use crate::{
    keys::{Action, Mode},
    palette::COMMANDS,
    pen::Pen,
    state::State,
    theme::Tone,
};

/// Where what a key does stands.
const LABELS: usize = 22;

pub(super) struct Help;

impl View for Help {
    fn crumbs(&self, _: &State) -> Vec<String> {
        vec!["help".into()]
    }

    fn command(&self, _: &State) -> Option<String> {
        None
    }

    fn lines(&self, state: &State, _: u16) -> Vec<Line> {
        let mut lines = Vec::new();
        text::heading("KEYS", &mut lines);
        for binding in state.keys.all() {
            let keys: Vec<_> = binding.keys.iter().map(ToString::to_string).collect();
            let place = if binding.is_for_reading() { "" } else { " (while something is asked)" };
            lines.push(line(&keys.join("  "), &format!("{}{place}", binding.label)));
        }
        let command = state.keys.of(Mode::Page, Action::Command);
        text::heading(&format!("COMMANDS, after {command}"), &mut lines);
        for entry in COMMANDS {
            let also = match entry.aliases {
                [] => String::new(),
                aliases => format!(" (also {})", aliases.join(", ")),
            };
            lines.push(line(&entry.usage(), &format!("{}{also}", entry.label)));
        }
        text::heading("SIGNS", &mut lines);
        let glyphs = state.theme.glyphs;
        for (sign, label) in [
            (glyphs.alarm, "it does not work, or cannot become what it should"),
            (glyphs.unknown, "it is not known how it is"),
            (glyphs.changing, "it is on its way"),
            (glyphs.aside, "somebody wanted it so: asleep, suspended, archived, paused"),
        ] {
            lines.push(line(sign, label));
        }
        lines
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        text::draw(&self.lines(state, pen.width()), state.scroll, true, pen);
    }
}

fn line(keys: &str, label: &str) -> Line {
    let room = LABELS.saturating_sub(crate::pen::text_width(keys)).max(2);
    vec![
        (keys.to_owned(), Tone::Key),
        (" ".repeat(room), Tone::Plain),
        (label.to_owned(), Tone::Plain),
    ]
}
