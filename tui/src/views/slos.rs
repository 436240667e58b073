//! What was promised: the table of error budgets.

use ratatui::layout::Rect;

use super::{
    View,
    table::{self, Empty},
};
use crate::{
    pen::Pen,
    state::{Question, State},
};

pub(super) struct Slos;

impl View for Slos {
    fn crumbs(&self, _: &State) -> Vec<String> {
        vec!["SLOs".into()]
    }

    fn command(&self, _: &State) -> Option<String> {
        Some("ssctl slo list".into())
    }

    fn column_at(&self, state: &State, area: Rect, x: u16) -> Option<&'static str> {
        table::column_at(state, &state.budgets, area.width, x)
    }

    fn table_rows(&self, area: Rect) -> usize {
        area.height.saturating_sub(table::HEAD).into()
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let empty = || {
            table::asked(state, &Question::Budgets, || Empty {
                what: "No budgets yet. Promise something:".into(),
                next: "$ ssctl slo create --help".into(),
            })
        };
        table::draw(state, &state.budgets, "ERROR BUDGETS", empty, pen);
    }
}
