//! What the screen shows: the frame around, and one view a page.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
};

use crate::{
    pen::Pen,
    state::{Page, State},
};

use text::Line;

mod alerts;
mod audit;
mod certificates;
mod changes;
mod conditions;
mod frame;
mod help;
mod incidents;
mod operation;
mod operations;
mod overlay;
mod overview;
mod post_mortem;
mod regions;
mod session;
mod sessions;
mod slo;
mod slos;
mod table;
mod tenant;
mod tenants;
#[cfg(test)]
mod tests;
mod text;
mod usage;
mod yaml;

/// The lines of a page of text that say that it goes on.
const MARKS: usize = 2;

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
    /// The title of the column that its table has at a place, where it can be sorted by.
    fn column_at(&self, _state: &State, _area: Rect, _x: u16) -> Option<&'static str> {
        None
    }
    /// Its text, where it is a page of text.
    fn lines(&self, _state: &State, _width: u16) -> Vec<Line> {
        Vec::new()
    }
    /// How many lines it has at a width; 0 where it does not scroll.
    fn length(&self, state: &State, width: u16) -> usize {
        self.lines(state, width).len()
    }
    /// The name of a file for it, and what that has, where it is a document.
    fn document(&self, _state: &State) -> Option<(String, String)> {
        None
    }
    /// Draws it.
    fn draw(&self, state: &State, pen: &mut Pen<'_>);
}

/// Does something with the view of a page.
fn with_view<T>(page: &Page, with: impl FnOnce(&dyn View) -> T) -> T {
    match page {
        Page::Overview => with(&overview::Overview),
        Page::Tenants => with(&tenants::Tenants),
        Page::Tenant(key) => with(&tenant::TenantPage(key)),
        Page::Sessions(scope) => with(&sessions::Sessions(scope.clone())),
        Page::Session(key) => with(&session::SessionPage(key)),
        Page::Operations => with(&operations::Operations),
        Page::Operation(key) => with(&operation::OperationPage(key)),
        Page::Changes => with(&changes::Changes),
        Page::Usage(scope) => with(&usage::Usage(scope.clone())),
        Page::Regions => with(&regions::Regions),
        Page::Incidents => with(&incidents::Incidents),
        Page::Incident(key) => with(&incidents::IncidentPage(key)),
        Page::PostMortem(region, name) => with(&post_mortem::PostMortem(*region, name)),
        Page::Slos => with(&slos::Slos),
        Page::Slo(key) => with(&slo::SloPage(key)),
        Page::Alerts => with(&alerts::Alerts),
        Page::Alert(key) => with(&alerts::AlertPage(key)),
        Page::Audit => with(&audit::Audit),
        Page::Certificates => with(&certificates::Certificates),
        Page::Yaml(region, name) => with(&yaml::Yaml(*region, name)),
        Page::Help => with(&help::Help),
    }
}

/// The screen of a state. Only what is in view is built.
pub(crate) fn draw(state: &State) -> Buffer {
    let mut buffer = Buffer::empty(state.area());
    let mut pen = Pen::new(&mut buffer, state.area(), &state.theme);
    with_view(&state.page, |view| frame::draw(state, view, &mut pen));
    buffer
}

/// How many rows of the page's table fit. Pages without one leave the tables as
/// large as that of the tenants would be.
pub(crate) fn table_rows(state: &State) -> usize {
    let body = frame::body(state);
    let page = if state.table().is_some() { &state.page } else { &Page::Tenants };
    with_view(page, |view| view.table_rows(body))
}

/// Which row in view is at a place on the screen.
pub(crate) fn row_at(state: &State, at: Position) -> Option<usize> {
    let body = frame::body(state);
    let first = body.y + table::HEAD;
    let row = usize::from(at.y.checked_sub(first)?);
    (row < table_rows(state) && body.contains(at)).then_some(row)
}

/// The title of the column whose heading is at a place on the screen.
pub(crate) fn heading_at(state: &State, at: Position) -> Option<&'static str> {
    let body = frame::body(state);
    if at.y != body.y + table::HEAD - 1 || !body.contains(at) {
        return None;
    }
    with_view(&state.page, |view| view.column_at(state, body, at.x))
}

/// The command that shows the same as the page.
pub(crate) fn command(state: &State) -> Option<String> {
    let command = with_view(&state.page, |view| view.command(state))?;
    Some(format!("{command}{}", context_flag(state)))
}

/// The document that the page shows: a name for its file, and the whole text.
pub(crate) fn document(state: &State) -> Option<(String, String)> {
    with_view(&state.page, |view| view.document(state))
}

/// How many lines of a page of text are in view, whatever is above and below.
pub(crate) fn page_height(state: &State) -> usize {
    usize::from(frame::body(state).height).saturating_sub(MARKS)
}

/// How far a page of text can be scrolled.
pub(crate) fn last_scroll(state: &State) -> usize {
    let body = frame::body(state);
    let lines = with_view(&state.page, |view| view.length(state, body.width));
    lines.saturating_sub(body.height.into())
}

/// What makes a command go to the daemon of what it is about, or to all that are looked
/// at.
fn context_flag(state: &State) -> String {
    let contexts: Vec<&str> = match state.region_at_hand().and_then(|at| state.region(at)) {
        Some(region) => vec![&region.target.context],
        None => state.regions.iter().map(|region| region.target.context.as_str()).collect(),
    };
    format!(" --context {}", contexts.join(","))
}
