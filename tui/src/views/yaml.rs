//! All of one resource, as the contract has it.

use streamspace_client::text::escape;

use super::{
    View,
    text::{self, Line},
};
use crate::{
    pen::Pen,
    rows::{shell_word, short},
    state::{Answer, Question, RegionIndex, State},
    theme::Tone,
};

/// Of a resource in a region, by its name.
pub(super) struct Yaml<'a>(pub(super) RegionIndex, pub(super) &'a str);

impl View for Yaml<'_> {
    fn crumbs(&self, _: &State) -> Vec<String> {
        let mut crumbs: Vec<String> = self.1.split('/').map(|it| escape(it).into_owned()).collect();
        crumbs.push("yaml".into());
        crumbs
    }

    fn command(&self, _: &State) -> Option<String> {
        let id = shell_word(&escape(short(self.1)));
        let (collection, rest) = self.1.split_once('/')?;
        let shown = match collection {
            "tenants" => match rest.split_once("/sessions/") {
                Some((tenant, id)) => {
                    format!("session show {}", shell_word(&escape(&format!("{tenant}/{id}"))))
                }
                None => format!("tenant show {id}"),
            },
            "operations" => format!("operation show {id}"),
            "certificates" => format!("cert show {id}"),
            "incidents" => format!("incident show {id}"),
            "slos" => format!("slo show {id}"),
            "alerts" => "alert list".into(),
            _ => "region show".into(),
        };
        Some(format!("ssctl {shown} -o yaml"))
    }

    fn document(&self, state: &State) -> Option<(String, String)> {
        let detail = state.details.get(self.0, &Question::Yaml(self.1.to_owned()))?;
        let (_, Answer::Yaml(yaml)) = detail.answer.as_ref()? else { return None };
        Some((format!("{}.yaml", short(self.1)), yaml.clone()))
    }

    fn lines(&self, state: &State, width: u16) -> Vec<Line> {
        let width = usize::from(width).saturating_sub(2);
        let detail = state.details.get(self.0, &Question::Yaml(self.1.to_owned()));
        let mut lines = Vec::new();
        match detail.and_then(|detail| Some((detail, detail.answer.as_ref()?))) {
            Some((detail, (_, Answer::Yaml(yaml)))) => {
                text::grown_old(detail, state, width, &mut lines);
                lines.extend(yaml.lines().map(line));
            }
            _ => text::asking(detail, self.0, state, width, &mut lines),
        }
        lines
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let lines = self.lines(state, pen.width());
        text::draw(&lines, state.scroll, state.is_live(self.0), pen);
    }
}

/// A name is quieter than what it has.
fn line(yaml: &str) -> Line {
    match yaml.split_once(": ") {
        Some((name, value)) if !name.trim_start().starts_with(['"', '\'']) => vec![
            (format!("{}: ", escape(name)), Tone::Dim),
            (escape(value).into_owned(), Tone::Plain),
        ],
        _ if yaml.ends_with(':') => vec![(escape(yaml).into_owned(), Tone::Dim)],
        _ => vec![(escape(yaml).into_owned(), Tone::Plain)],
    }
}
