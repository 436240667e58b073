//! What changed lately, with the connections' own story between, on one clock.

use super::{View, table::region_name, text::Line};
use crate::{
    format::time_of_day,
    pen::{Pen, cells},
    rows::Key,
    state::{Entry, EntryKind, State},
    theme::Tone,
};

/// What stands above.
pub(super) const TITLE: &str = "CHANGED since this was opened, newest first";

/// All of it, on a page of its own.
pub(super) struct Changes;

impl View for Changes {
    fn crumbs(&self, _: &State) -> Vec<String> {
        vec!["changes".into()]
    }

    fn command(&self, _: &State) -> Option<String> {
        Some("ssctl changes --since 1h".into())
    }

    fn length(&self, state: &State, _: u16) -> usize {
        state.changes.len() + 1
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let (width, height) = (pen.width(), pen.height());
        pen.text(1, 0, TITLE, Tone::Dim);
        let mut below = pen.part(1, 1, width.saturating_sub(1), height.saturating_sub(1));
        draw(state, state.scroll, &mut below);
    }
}

/// The lines of a page that is about one thing.
pub(super) fn lines_about(state: &State, about: &Key, lines: &mut Vec<Line>) {
    let before = lines.len();
    for entry in state.changes.iter() {
        if let EntryKind::Change { key, actor, what, .. } = &entry.kind
            && key == about
        {
            lines.push(vec![
                (format!("{} ", time_of_day(entry.at)), Tone::Dim),
                (format!("{actor}  {what}"), Tone::Plain),
            ]);
        }
    }
    if lines.len() == before {
        lines.push(vec![("nothing".into(), Tone::Dim)]);
    }
}

/// As many entries as fit, after the first so many.
pub(super) fn draw(state: &State, skip: usize, pen: &mut Pen<'_>) {
    let shown: Vec<_> = state.changes.iter().skip(skip).take(pen.height().into()).collect();
    if shown.is_empty() {
        pen.text(0, 0, "nothing", Tone::Dim);
    }
    // A long name must not push away what happened.
    let most = pen.width() / 5;
    let (actors, names) = shown.iter().fold((0, 0), |widths, entry| match &entry.kind {
        EntryKind::Change { actor, name, .. } => {
            (cells(actor).clamp(widths.0, most.max(widths.0)), cells(name).max(widths.1))
        }
        EntryKind::Connection(..) => widths,
    });
    let columns = (actors, names.min(most * 3 / 2));
    for (y, entry) in (0..).zip(shown) {
        draw_entry(state, entry, columns, y, pen);
    }
}

fn draw_entry(
    state: &State,
    entry: &Entry,
    (actors, names): (u16, u16),
    y: u16,
    pen: &mut Pen<'_>,
) {
    let x = pen.text(0, y, &time_of_day(entry.at), Tone::Dim) + 1;
    match &entry.kind {
        EntryKind::Change { actor, name, what, .. } => {
            let plain = pen.theme.style(Tone::Plain);
            pen.clipped(x, y, actors, actor, plain);
            let x = x + actors + 1;
            pen.clipped(x, y, names, name, pen.theme.style(Tone::Strong));
            pen.text(x + names + 1, y, what, Tone::Plain);
        }
        EntryKind::Connection(region, text) => {
            let line = pen.theme.glyphs.rule.repeat(2);
            let name = if state.several() { region_name(state, *region) } else { "" };
            let words = format!("{name} {text}");
            let x = pen.text(x, y, &format!("{line} {} ", words.trim_start()), Tone::Dim);
            let rest = pen.theme.glyphs.rule.repeat(pen.width().saturating_sub(x).into());
            pen.text(x, y, &rest, Tone::Dim);
        }
    }
}
