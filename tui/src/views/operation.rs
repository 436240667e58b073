//! All about one operation.

use streamspace_client::text::escape;
use streamspace_proto::v1;

use super::{
    View, changes,
    text::{self, Line},
};
use crate::{
    format::{age, date_and_time, instant, seconds_since},
    pen::Pen,
    rows::{Key, Operation, Row as _, shell_word, tone},
    state::State,
    theme::Tone,
};

/// How wide the gauge is.
const GAUGE: usize = 30;

pub(super) struct OperationPage<'a>(pub(super) &'a Key);

impl View for OperationPage<'_> {
    fn crumbs(&self, state: &State) -> Vec<String> {
        let id = state.operations.get(self.0).map_or("gone", |operation| operation.id.as_str());
        vec!["operations".into(), id.to_owned()]
    }

    fn command(&self, state: &State) -> Option<String> {
        let operation = state.operations.get(self.0)?;
        Some(format!("ssctl operation show {}", shell_word(&operation.id)))
    }

    fn lines(&self, state: &State, width: u16) -> Vec<Line> {
        let width = usize::from(width).saturating_sub(2);
        let mut lines = Vec::new();
        let Some(operation) = state.operations.get(self.0) else {
            lines.push(text::gone("operation", state));
            return lines;
        };
        head(operation, state, width, &mut lines);
        text::heading("CHANGED since this was opened", &mut lines);
        changes::lines_about(state, self.0, &mut lines);
        lines
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let lines = self.lines(state, pen.width());
        text::draw(&lines, state.scroll, state.is_live(self.0.region), pen);
    }
}

fn head(operation: &Operation, state: &State, width: usize, lines: &mut Vec<Line>) {
    let whole = &operation.whole;
    lines.push(vec![
        (format!("{}  ", escape(&whole.kind)), Tone::Strong),
        (operation.state_word().into(), tone(operation.wellness())),
        (format!("  {}", escape(&whole.target)), Tone::Plain),
    ]);
    // Counts tell more of how far it is than its own words.
    let progress = if whole.counts.is_none() { whole.progress.as_str() } else { "" };
    let words = whole.error.as_ref().map_or(progress, |error| &error.message);
    text::words(&escape(words), tone(operation.wellness()), width, lines);
    if let Some(counts) = &whole.counts {
        items(operation, counts, state, lines);
    }
    text::heading("OPERATION", lines);
    let time = |time: Option<&prost_types::Timestamp>| {
        instant(time).map_or(String::new(), |time| {
            let ago = age(seconds_since(time, state.now));
            format!("{} UTC, {ago} ago", date_and_time(time))
        })
    };
    let fields = [
        ("by", whole.actor.clone()),
        ("reason", whole.reason.clone()),
        ("asked for", time(whole.create_time.as_ref())),
        ("ended", time(whole.end_time.as_ref())),
        ("name", whole.name.clone()),
    ];
    let fields = fields.map(|(name, value)| (name, escape(&value).into_owned()));
    text::fields(fields, width, lines);
}

fn items(
    operation: &Operation,
    counts: &v1::OperationCounts,
    state: &State,
    lines: &mut Vec<Line>,
) {
    let number = |count: i64| usize::try_from(count).unwrap_or(0);
    let done = number(counts.total.saturating_sub(counts.pending));
    let permille = done * 1000 / number(counts.total).max(1);
    let gauge = state.theme.glyphs.gauge(permille, GAUGE);
    lines.push(Vec::new());
    lines.push(vec![(format!("{gauge} {}", operation.progress()), Tone::Plain)]);
    let states = [
        ("changed", counts.changed, Tone::Plain),
        ("as wished already", counts.unchanged, Tone::Plain),
        ("failed", counts.failed, Tone::Warn),
        ("left", counts.cancelled, Tone::Plain),
        ("waiting", counts.pending, Tone::Dim),
    ];
    for (word, count, tone) in states.into_iter().filter(|(_, count, _)| *count > 0) {
        lines.push(vec![(format!("  {word} {}", crate::format::count(number(count))), tone)]);
    }
}
