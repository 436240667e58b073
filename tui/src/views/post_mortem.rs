//! The post-mortem of an incident: the Markdown that `ssctl incident export` prints.

use streamspace_client::text::escape;

use super::{
    View,
    text::{self, Line},
};
use crate::{
    pen::Pen,
    pen::wrap,
    rows::{shell_word, short},
    state::{Answer, Detail, Question, RegionIndex, State},
    theme::Tone,
};

/// Of an incident in a region, by its name.
pub(super) struct PostMortem<'a>(pub(super) RegionIndex, pub(super) &'a str);

impl PostMortem<'_> {
    fn detail<'a>(&self, state: &'a State) -> Option<&'a Detail> {
        state.details.get(self.0, &Question::PostMortem(self.1.to_owned()))
    }
}

impl View for PostMortem<'_> {
    fn crumbs(&self, _: &State) -> Vec<String> {
        let id = escape(short(self.1)).into_owned();
        vec!["incidents".into(), id, "post-mortem".into()]
    }

    fn command(&self, _: &State) -> Option<String> {
        Some(format!("ssctl incident export {}", shell_word(&escape(short(self.1)))))
    }

    fn document(&self, state: &State) -> Option<(String, String)> {
        let (_, answer) = self.detail(state)?.answer.as_ref()?;
        let Answer::PostMortem(markdown) = answer else { return None };
        Some((format!("{}.md", short(self.1)), markdown.clone()))
    }

    fn lines(&self, state: &State, width: u16) -> Vec<Line> {
        let width = usize::from(width).saturating_sub(2);
        let detail = self.detail(state);
        let mut lines = Vec::new();
        match detail.and_then(|detail| Some((detail, detail.answer.as_ref()?))) {
            Some((detail, (_, Answer::PostMortem(markdown)))) => {
                text::grown_old(detail, state, width, &mut lines);
                for written in markdown.lines() {
                    let tone = if written.starts_with('#') { Tone::Strong } else { Tone::Plain };
                    let parts = wrap(&escape(written), width);
                    lines.extend(parts.into_iter().map(|part| vec![(part, tone)]));
                    if written.is_empty() {
                        lines.push(Vec::new());
                    }
                }
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
