//! What the screen shows: the frame around, and one view a page.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    pen::Pen,
    state::{Page, State},
    theme::Theme,
};

mod changes;
mod frame;
mod help;
mod tenant;
mod tenants;
#[cfg(test)]
mod tests;

/// What fills the screen between the banner and the command. It draws what it is
/// given and decides nothing.
trait View {
    /// Where it is, below the region.
    fn crumbs(&self, state: &State) -> Vec<String>;
    /// The command that shows the same.
    fn command(&self, state: &State) -> Option<String>;
    /// How many rows of its table fit into an area; 0 where it has no table.
    fn table_rows(&self, _area: Rect) -> usize {
        0
    }
    /// How many lines of text it has at a width; 0 where it does not scroll.
    fn lines(&self, _state: &State, _width: u16) -> usize {
        0
    }
    /// Draws it.
    fn draw(&self, state: &State, pen: &mut Pen<'_>);
}

fn view(page: &Page) -> &dyn View {
    match page {
        Page::Tenants => &tenants::Tenants,
        Page::Tenant(key) => key,
        Page::Help => &help::Help,
    }
}

/// The screen of a state. Only what is in view is built.
pub(crate) fn draw(state: &State, theme: &Theme) -> Buffer {
    let mut buffer = Buffer::empty(state.area());
    let mut pen = Pen::new(&mut buffer, state.area(), theme);
    frame::draw(state, view(&state.page), &mut pen);
    buffer
}

/// How many rows of the page's table fit. Pages without one leave the table as
/// large as it would be.
pub(crate) fn table_rows(state: &State) -> usize {
    tenants::Tenants.table_rows(frame::body(state))
}

/// How many lines of a page of text fit.
pub(crate) fn page_height(state: &State) -> usize {
    frame::body(state).height.into()
}

/// How far a page of text can be scrolled.
pub(crate) fn last_scroll(state: &State) -> usize {
    let body = frame::body(state);
    let lines = view(&state.page).lines(state, body.width);
    lines.saturating_sub(body.height.into())
}

/// What makes a command go to the daemon that is looked at.
fn context_flag(state: &State) -> String {
    format!(" --context {}", state.target.context)
}
