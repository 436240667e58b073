//! What changed lately, with the connection's own story between, on one clock.

use crate::{
    format::time_of_day,
    pen::{Pen, cells},
    state::{Entry, EntryKind, State, TenantKey},
    theme::Tone,
};

/// The entries about one tenant, or all of them where none is given.
pub(super) fn entries<'a>(
    state: &'a State,
    about: Option<&'a TenantKey>,
) -> impl Iterator<Item = &'a Entry> {
    state.changes.iter().filter(move |entry| match (&entry.kind, about) {
        (_, None) => true,
        (EntryKind::Change { key, .. }, Some(about)) => key == about,
        (EntryKind::Connection(_), Some(_)) => false,
    })
}

pub(super) fn draw(state: &State, about: Option<&TenantKey>, pen: &mut Pen<'_>) {
    pen.text(0, 0, "CHANGED  since this was opened, newest first", Tone::Dim);
    let mut any = false;
    for (y, entry) in (1..pen.height()).zip(entries(state, about)) {
        draw_entry(entry, y, pen);
        any = true;
    }
    if !any {
        pen.text(0, 1, "nothing", Tone::Dim);
    }
}

fn draw_entry(entry: &Entry, y: u16, pen: &mut Pen<'_>) {
    let width = pen.width();
    let x = pen.text(0, y, &time_of_day(entry.at), Tone::Dim) + 1;
    match &entry.kind {
        EntryKind::Change { actor, tenant, what, .. } => {
            // A long name must not push away what happened.
            let room = width.saturating_sub(x);
            let plain = pen.theme.style(Tone::Plain);
            let x = pen.clipped(x, y, (room / 4).max(6).min(cells(actor)), actor, plain) + 1;
            let strong = pen.theme.style(Tone::Strong);
            let x = pen.clipped(x, y, (room / 3).max(6).min(cells(tenant)), tenant, strong) + 1;
            pen.text(x, y, what, Tone::Plain);
        }
        EntryKind::Connection(text) => {
            let line = pen.theme.glyphs.rule.repeat(2);
            let x = pen.text(x, y, &format!("{line} {text} "), Tone::Dim);
            let rest = pen.theme.glyphs.rule.repeat(width.saturating_sub(x).into());
            pen.text(x, y, &rest, Tone::Dim);
        }
    }
}
