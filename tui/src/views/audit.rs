//! The end of the audit log.

use ratatui::layout::Rect;

use super::{
    View,
    table::{self, Empty},
};
use crate::{
    pen::Pen,
    state::{Question, State},
};

pub(super) struct Audit;

impl View for Audit {
    fn crumbs(&self, _: &State) -> Vec<String> {
        vec!["audit".into()]
    }

    fn command(&self, _: &State) -> Option<String> {
        Some("ssctl audit list".into())
    }

    fn column_at(&self, state: &State, area: Rect, x: u16) -> Option<&'static str> {
        table::column_at(state, &state.audit, area.width, x)
    }

    fn table_rows(&self, area: Rect) -> usize {
        area.height.saturating_sub(table::HEAD).into()
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let empty = || {
            table::asked(state, &Question::Audit, || Empty {
                what: "Nothing is in the audit log yet.".into(),
                next: "Whatever changes something is written into it before it is done.".into(),
            })
        };
        table::draw(state, &state.audit, "AUDIT LOG, its end", empty, pen);
    }
}
