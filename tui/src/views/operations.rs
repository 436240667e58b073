//! The table of operations.

use ratatui::layout::Rect;

use super::{
    View,
    table::{self, Empty},
    tenants::waiting,
};
use crate::{pen::Pen, rows::shell_word, state::State};

pub(super) struct Operations;

impl View for Operations {
    fn crumbs(&self, _: &State) -> Vec<String> {
        vec!["operations".into()]
    }

    fn command(&self, state: &State) -> Option<String> {
        let operation = state.operations.selected();
        Some(operation.map_or("ssctl operation list".into(), |operation| {
            format!("ssctl operation show {}", shell_word(&operation.id))
        }))
    }

    fn column_at(&self, state: &State, area: Rect, x: u16) -> Option<&'static str> {
        table::column_at(state, &state.operations, area.width, x)
    }

    fn table_rows(&self, area: Rect) -> usize {
        area.height.saturating_sub(table::HEAD).into()
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let nothing = || {
            waiting(state).unwrap_or_else(|| Empty {
                what: "Nothing is under way, and nothing ended since this was opened.".into(),
                next: "$ ssctl operation list shows what is over.".into(),
            })
        };
        table::draw(state, &state.operations, "OPERATIONS", nothing, pen);
    }
}
