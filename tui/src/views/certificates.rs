//! The table of certificates.

use ratatui::layout::Rect;

use super::{
    View,
    table::{self, Empty},
};
use crate::{
    pen::Pen,
    rows::shell_word,
    state::{Question, State},
};

pub(super) struct Certificates;

impl View for Certificates {
    fn crumbs(&self, _: &State) -> Vec<String> {
        vec!["certificates".into()]
    }

    fn command(&self, state: &State) -> Option<String> {
        let selected = state.certificates.selected();
        Some(selected.map_or("ssctl cert list --filter 'state = \"valid\"'".into(), |one| {
            format!("ssctl cert show {}", shell_word(&one.serial))
        }))
    }

    fn column_at(&self, state: &State, area: Rect, x: u16) -> Option<&'static str> {
        table::column_at(state, &state.certificates, area.width, x)
    }

    fn table_rows(&self, area: Rect) -> usize {
        area.height.saturating_sub(table::HEAD).into()
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let empty = || {
            table::asked(state, &Question::Certificates, || Empty {
                what: "No certificates yet. Let somebody in:".into(),
                next: "$ ssctl token create --operator ada --role operator".into(),
            })
        };
        table::draw(state, &state.certificates, "CERTIFICATES that are valid", empty, pen);
    }
}
