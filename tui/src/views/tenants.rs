//! The table of tenants, and beside or below it what changed lately.

use ratatui::layout::Rect;

use super::{
    View, changes,
    table::{self, Empty},
};
use crate::{
    keys::{Action, Mode},
    pen::Pen,
    rows::shell_word,
    state::{Link, State},
    theme::Tone,
};

/// From this width on the changes are beside the table.
const WIDE: u16 = 150;
/// From this height of the page on they are below it.
const TALL: u16 = 14;
/// Their heading and the least that is worth a look.
const CHANGES_BELOW: u16 = 5;

pub(super) struct Tenants;

/// How the page is divided.
struct Layout {
    table: Rect,
    changes: Option<Rect>,
}

fn layout(area: Rect) -> Layout {
    if area.width >= WIDE {
        let width = (area.width / 3).clamp(40, 64);
        let (table, changes) = (area.width - width, width);
        return Layout {
            table: Rect { width: table, ..area },
            changes: Some(Rect { x: area.x + table, width: changes, ..area }),
        };
    }
    if area.height >= TALL {
        let height = CHANGES_BELOW.max(area.height / 4);
        let table = area.height - height;
        return Layout {
            table: Rect { height: table, ..area },
            changes: Some(Rect { y: area.y + table, height, ..area }),
        };
    }
    Layout { table: area, changes: None }
}

impl View for Tenants {
    fn crumbs(&self, _: &State) -> Vec<String> {
        vec!["tenants".into()]
    }

    fn command(&self, state: &State) -> Option<String> {
        let tenant = state.tenants.selected();
        Some(tenant.map_or("ssctl tenant list".into(), |tenant| {
            format!("ssctl tenant show {}", shell_word(&tenant.id))
        }))
    }

    fn column_at(&self, state: &State, area: Rect, x: u16) -> Option<&'static str> {
        table::column_at(state, &state.tenants, layout(area).table.width, x)
    }

    fn table_rows(&self, area: Rect) -> usize {
        layout(area).table.height.saturating_sub(table::HEAD).into()
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let page = Rect { x: 0, y: 0, width: pen.width(), height: pen.height() };
        let Layout { table, changes } = layout(page);
        let mut left = pen.part(table.x, table.y, table.width, table.height);
        table::draw(state, &state.tenants, "TENANTS", || nothing(state), &mut left);
        if let Some(area) = changes {
            let beside = area.x > 0;
            let mut pen = pen.part(area.x, area.y, area.width, area.height);
            if beside {
                pen.bar(0);
                pen.text(2, 0, changes::TITLE, Tone::Dim);
            } else {
                pen.rule(0);
                pen.text(2, 0, &format!(" {} ", changes::TITLE), Tone::Dim);
            }
            let margin = 1 + u16::from(beside);
            let (width, height) = (area.width.saturating_sub(margin), area.height);
            changes::draw(state, 0, &mut pen.part(margin, 1, width, height.saturating_sub(1)));
        }
    }
}

fn nothing(state: &State) -> Empty {
    waiting(state).unwrap_or_else(|| Empty {
        what: "No tenants yet. Create one:".into(),
        next: "$ ssctl tenant create acme-corp --plan business --seats 10".into(),
    })
}

/// Why nothing is there yet; none where what is there is known.
pub(super) fn waiting(state: &State) -> Option<Empty> {
    let is_live = |region: &crate::state::Region| region.link == Link::Live;
    if state.regions.iter().any(is_live) {
        return None;
    }
    let failed = |region: &crate::state::Region| matches!(region.link, Link::Failed { .. });
    Some(if state.regions.iter().all(failed) {
        Empty {
            what: "Nothing to show: the daemon refused.".into(),
            next: "The reason is above.".into(),
        }
    } else if state.heard() {
        Empty { what: "Nothing was there.".into(), next: String::new() }
    } else {
        let endpoints = state.regions.iter().map(|region| region.target.endpoint.as_str());
        Empty {
            what: format!("Nothing heard yet from {}.", endpoints.collect::<Vec<_>>().join(", ")),
            next: format!(
                "It connects by itself; {} leaves.",
                state.keys.of(Mode::Table, Action::Quit)
            ),
        }
    })
}
