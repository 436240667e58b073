//! All keys, made from the map that is active.

use super::View;
use crate::{keys::Mode, pen::Pen, state::State, theme::Tone};

pub(super) struct Help;

fn lines(state: &State) -> impl Iterator<Item = (String, String)> {
    state.keys.all().map(|binding| {
        let keys: Vec<_> = binding.keys.iter().map(ToString::to_string).collect();
        let place = if binding.modes == [Mode::Prompt] { " (in the filter)" } else { "" };
        (keys.join("  "), format!("{}{place}", binding.label))
    })
}

impl View for Help {
    fn crumbs(&self, _: &State) -> Vec<String> {
        vec!["keys".into()]
    }

    fn command(&self, _: &State) -> Option<String> {
        None
    }

    fn lines(&self, state: &State, _: u16) -> usize {
        lines(state).count()
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let column = (pen.width() / 3).clamp(14, 24);
        let style = pen.theme.style(Tone::Key);
        for (y, (keys, label)) in (0..pen.height()).zip(lines(state).skip(state.scroll)) {
            pen.clipped(1, y, column - 2, &keys, style);
            pen.text(column, y, &label, Tone::Plain);
        }
    }
}
