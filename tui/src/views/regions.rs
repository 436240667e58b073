//! How each region is: who leads it, what it depends on, and how fresh that is.

use streamspace_proto::v1::Health;

use super::{
    View, frame,
    text::{self, Line, VALUES},
};
use crate::{
    format::{age, many, seconds_since},
    pen::Pen,
    state::{Link, Region, Report, State},
    theme::Tone,
};

const HEALTH: usize = 12;

pub(super) struct Regions;

impl View for Regions {
    fn crumbs(&self, _: &State) -> Vec<String> {
        vec!["regions".into()]
    }

    fn command(&self, _: &State) -> Option<String> {
        Some("ssctl region show".into())
    }

    fn lines(&self, state: &State, width: u16) -> Vec<Line> {
        let width = usize::from(width).saturating_sub(2);
        let mut lines = Vec::new();
        for region in &state.regions {
            if !lines.is_empty() {
                lines.push(Vec::new());
            }
            head(region, state, &mut lines);
            match region.fresh_report(state.now) {
                Some(report) => told(report, region, state, width, &mut lines),
                None => unknown(region, state, width, &mut lines),
            }
        }
        lines
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let lines = self.lines(state, pen.width());
        text::draw(&lines, state.scroll, true, pen);
    }
}

fn head(region: &Region, state: &State, lines: &mut Vec<Line>) {
    let live = region.is_live(state.now);
    let (sign, word, tone) = frame::verdict(region.fresh_report(state.now), &state.theme);
    let name = if live { Tone::Strong } else { Tone::Dim };
    let mut pieces = vec![(format!("{}  ", region.name()), name)];
    pieces.push((format!("{sign} {word}").trim_start().to_owned(), tone));
    let data = match (live, region.data_age(state.now)) {
        (true, _) => "  live".to_owned(),
        (false, Some(old)) => format!("  {} old", age(old)),
        (false, None) => "  no data yet".to_owned(),
    };
    pieces.push((data, if live { Tone::Plain } else { Tone::Warn }));
    pieces.push((format!("  {} at {}", region.target.context, region.target.endpoint), Tone::Dim));
    if region.target.protected {
        pieces.push(("  ".into(), Tone::Plain));
        pieces.push((" protected ".into(), Tone::Protected));
    }
    lines.push(pieces);
}

/// What it said about itself.
fn told(report: &Report, region: &Region, state: &State, width: usize, lines: &mut Vec<Line>) {
    if let Some(identity) = &region.identity {
        let reach = identity.tenants.map_or("the whole region".into(), |it| many(it, "tenant"));
        let words = format!("{}, {}, {reach}", identity.operator, identity.role);
        text::fields([("you are", words)], width, lines);
    }
    text::fields(report.facts.iter().map(|(name, value)| (*name, value.clone())), width, lines);
    for component in &report.components {
        let (sign, word, tone) = frame::health(component.health, &state.theme);
        let since = component.since.map(|since| age(seconds_since(since, state.now)));
        let since = since.map_or(String::new(), |since| format!("for {since}"));
        let name = &component.name;
        lines.push(vec![
            (format!("{name:VALUES$}"), Tone::Dim),
            (format!("{:HEALTH$}", format!("{sign} {word}").trim_start()), tone),
            (format!(" {since}"), Tone::Dim),
        ]);
        if component.health != Health::Ok {
            text::words(&component.message, Tone::Plain, width, lines);
        }
    }
}

/// Why nothing is known of it.
fn unknown(region: &Region, state: &State, width: usize, lines: &mut Vec<Line>) {
    let words = match &region.link {
        Link::Lost { error, .. } | Link::Failed { error } => error,
        _ => region.report_error.as_deref().unwrap_or("it has not answered yet"),
    };
    text::words(words, Tone::Warn, width, lines);
    if let Some(report) = &region.report {
        let old = age(seconds_since(report.at, state.now));
        text::words(&format!("it last said how it is {old} ago"), Tone::Dim, width, lines);
    }
}
