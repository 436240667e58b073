//! Pages of text that scroll: lines of pieces, headings, and pairs of name and value.

pub(super) use crate::pen::Line;
use crate::{
    format::{age, seconds_since},
    keys::{Action, Mode},
    pen::{Pen, wrap},
    state::{Detail, RegionIndex, State},
    theme::Tone,
};

/// Where the values begin.
pub(super) const VALUES: usize = 17;

/// Draws lines from the first one that is in view. What is not live is dim.
pub(super) fn draw(lines: &[Line], scroll: usize, live: bool, pen: &mut Pen<'_>) {
    let width = pen.width();
    for (y, line) in (0..pen.height()).zip(lines.iter().skip(scroll)) {
        line.iter().fold(1, |x, (text, tone)| {
            let style = pen.theme.style(if live { *tone } else { Tone::Dim });
            pen.clipped(x, y, width.saturating_sub(x), text, style)
        });
    }
}

/// What stands on the page of something that is there no more.
pub(super) fn gone(what: &str, state: &State) -> Line {
    let back = state.keys.of(Mode::Page, Action::Back);
    vec![(format!("This {what} is gone. {back} goes back."), Tone::Plain)]
}

/// A heading, with a line of room above.
pub(super) fn heading(text: &str, lines: &mut Vec<Line>) {
    if !lines.is_empty() {
        lines.push(Vec::new());
    }
    lines.push(vec![(text.into(), Tone::Dim)]);
}

/// Names and values, broken where they are long. What is empty is left out.
pub(super) fn fields<'a>(
    fields: impl IntoIterator<Item = (&'a str, String)>,
    width: usize,
    lines: &mut Vec<Line>,
) {
    for (name, value) in fields {
        let mut name = name;
        for part in wrap(&value, width.saturating_sub(VALUES).max(10)) {
            lines.push(vec![(format!("{name:VALUES$}"), Tone::Dim), (part, Tone::Plain)]);
            name = "";
        }
    }
}

/// Words below something, indented.
pub(super) fn words(text: &str, tone: Tone, width: usize, lines: &mut Vec<Line>) {
    for part in wrap(text, width.saturating_sub(2)) {
        lines.push(vec![(format!("  {part}"), tone)]);
    }
}

/// What stands there until the daemon has answered.
pub(super) fn asking(
    detail: Option<&Detail>,
    region: RegionIndex,
    state: &State,
    width: usize,
    lines: &mut Vec<Line>,
) {
    match detail.and_then(|detail| detail.error.as_ref()) {
        Some(error) => words(error, Tone::Warn, width, lines),
        None if detail.is_none() && !state.is_live(region) => {
            words("not asked: the region is not live", Tone::Dim, width, lines);
        }
        None => lines.push(vec![(format!("asking{}", state.theme.glyphs.ellipsis), Tone::Dim)]),
    }
}

/// That what was answered is old, and why there is nothing newer.
pub(super) fn grown_old(detail: &Detail, state: &State, width: usize, lines: &mut Vec<Line>) {
    let Some((at, _)) = &detail.answer else { return };
    let old = age(seconds_since(*at, state.now));
    match &detail.error {
        Some(error) => words(&format!("{old} old: {error}"), Tone::Warn, width, lines),
        None if detail.is_old(state.now) => words(&format!("{old} old"), Tone::Warn, width, lines),
        None => {}
    }
}
