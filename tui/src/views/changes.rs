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

pub(super) fn draw(state: &State, pen: &mut Pen<'_>) {
    let shown: Vec<_> = entries(state, None).take(pen.height().into()).collect();
    if shown.is_empty() {
        pen.text(0, 0, "nothing", Tone::Dim);
    }
    // A long name must not push away what happened.
    let most = pen.width() / 5;
    let (actors, tenants) = shown.iter().fold((0, 0), |widths, entry| match &entry.kind {
        EntryKind::Change { actor, tenant, .. } => {
            (cells(actor).clamp(widths.0, most.max(widths.0)), cells(tenant).max(widths.1))
        }
        EntryKind::Connection(_) => widths,
    });
    let columns = (actors, tenants.min(most * 3 / 2));
    for (y, entry) in (0..).zip(shown) {
        draw_entry(entry, columns, y, pen);
    }
}

fn draw_entry(entry: &Entry, (actors, tenants): (u16, u16), y: u16, pen: &mut Pen<'_>) {
    let x = pen.text(0, y, &time_of_day(entry.at), Tone::Dim) + 1;
    match &entry.kind {
        EntryKind::Change { actor, tenant, what, .. } => {
            let plain = pen.theme.style(Tone::Plain);
            pen.clipped(x, y, actors, actor, plain);
            let x = x + actors + 1;
            pen.clipped(x, y, tenants, tenant, pen.theme.style(Tone::Strong));
            pen.text(x + tenants + 1, y, what, Tone::Plain);
        }
        EntryKind::Connection(text) => {
            let line = pen.theme.glyphs.rule.repeat(2);
            let x = pen.text(x, y, &format!("{line} {text} "), Tone::Dim);
            let rest = pen.theme.glyphs.rule.repeat(pen.width().saturating_sub(x).into());
            pen.text(x, y, &rest, Tone::Dim);
        }
    }
}
