//! What stands before a page: a box with what can be done, or the way to a change.

use ratatui::layout::Rect;

use super::text::{self, Line};
use crate::{
    actions::{Dialog, Kind, Menu, Rehearsal, Stage, Subject},
    keys::{Action, Mode},
    pen::{Pen, wrap},
    rows::Key,
    state::{Overlay, State},
    theme::Tone,
};

/// The widest box, and what stays free beside it.
const WIDEST: u16 = 84;
const MARGIN: u16 = 2;
/// Where what is written into a field begins.
const VALUES: usize = 10;

pub(super) fn draw(state: &State, pen: &mut Pen<'_>) {
    let width = WIDEST.min(pen.width().saturating_sub(2 * MARGIN));
    let (title, lines) = match &state.overlay {
        None => return,
        Some(Overlay::Menu(menu)) => {
            (format!("{} can be", called(&menu.subject, state)), of_menu(menu, state))
        }
        Some(Overlay::Dialog(dialog)) => (
            format!("{} {}", dialog.verb.word(), called(&dialog.subject, state)),
            of_dialog(dialog, state, usize::from(width).saturating_sub(4)),
        ),
    };
    let region = state.overlay.as_ref().and_then(|overlay| {
        let index = match overlay {
            Overlay::Menu(menu) => menu.subject.region,
            Overlay::Dialog(dialog) => dialog.subject.region,
        };
        state.region(index)
    });
    let wanted = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let height = wanted.min(pen.height());
    let place = Rect {
        x: pen.width().saturating_sub(width) / 2,
        y: pen.height().saturating_sub(height) / 2,
        width,
        height,
    };
    let mut inside = pen.part(place.x, place.y, place.width, place.height);
    inside.clear();
    inside.frame();
    let tone = match region {
        Some(region) if region.target.protected => Tone::Protected,
        _ => Tone::Strong,
    };
    let context = region.map_or("", |region| &region.target.context);
    let x = inside.text(2, 0, &format!(" {context} "), tone);
    let room = width.saturating_sub(x + 1);
    let style = inside.theme.style(Tone::Strong);
    inside.clipped(x, 0, room, &format!(" {title} "), style);
    let mut body = inside.part(1, 1, width.saturating_sub(2), height.saturating_sub(2));
    let over = lines.len().saturating_sub(body.height().into());
    // Where not all fits, the selected line is in view, or the end, which is being typed.
    let hidden = match &state.overlay {
        Some(Overlay::Menu(menu)) => {
            over.min((menu.selected + 3).saturating_sub(body.height().into()))
        }
        _ => over,
    };
    text::draw(&lines, hidden, true, &mut body);
}

/// What people call it. Nobody knows an alert by its UUID.
fn called(subject: &Subject, state: &State) -> String {
    let key = Key::new(subject.region, "", &subject.name);
    let alert = state.alerts.get(&key).filter(|_| subject.kind == Kind::Alert);
    alert.map_or_else(|| subject.id.clone(), |alert| format!("{} of {}", alert.kind, alert.subject))
}

fn of_menu(menu: &Menu, state: &State) -> Vec<Line> {
    let mut lines = vec![Vec::new()];
    for (index, item) in menu.items.iter().enumerate() {
        let selected = index == menu.selected;
        let marker = if selected { state.theme.glyphs.marker } else { " " };
        let (key, label) = (item.verb.key().to_string(), item.verb.label());
        lines.push(match &item.missing {
            None => {
                let tone = if selected { Tone::Selected } else { Tone::Plain };
                vec![
                    (marker.to_owned(), Tone::Plain),
                    (format!(" {key} "), Tone::Key),
                    (format!(" {label} "), tone),
                ]
            }
            Some(missing) => vec![
                (marker.to_owned(), Tone::Dim),
                (format!(" {key}  {label}  ({missing})"), Tone::Dim),
            ],
        });
    }
    lines.push(Vec::new());
    lines
}

fn of_dialog(dialog: &Dialog, state: &State, width: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    would(&dialog.rehearsal, state, width, &mut lines);
    lines.push(Vec::new());
    for (index, entry) in dialog.entries.iter().enumerate() {
        let here = index == dialog.at && dialog.stage != Stage::Sent;
        let label = format!("{:VALUES$}", entry.field.label());
        let mut line = vec![(label, if here { Tone::Key } else { Tone::Dim })];
        // The end of a long text is what matters while it is typed.
        let text = crate::prompt::tail(&entry.text, width.saturating_sub(VALUES + 2));
        line.push((text.to_owned(), Tone::Plain));
        if here {
            line.push((" ".into(), Tone::Selected));
        }
        if entry.text.is_empty() {
            let optional = if dialog.verb.requires(entry.field) { "" } else { " (may be empty)" };
            let behind = if here { " " } else { "" };
            line.push((format!("{behind}{}{optional}", entry.field.hint()), Tone::Dim));
        }
        lines.push(line);
    }
    lines.push(Vec::new());
    outcome(dialog, state, width, &mut lines);
    let context = state.region(dialog.subject.region).map_or("", |region| &region.target.context);
    let command = format!("$ {} --context {context}", dialog.command());
    lines.extend(wrap(&command, width).into_iter().map(|part| vec![(part, Tone::Dim)]));
    lines
}

/// What it would do.
fn would(rehearsal: &Rehearsal, state: &State, width: usize, lines: &mut Vec<Line>) {
    let mut add = |text: &str, tone: Tone| {
        lines.extend(wrap(text, width).into_iter().map(|part| vec![(part, tone)]));
    };
    match rehearsal {
        Rehearsal::Waiting => add("what it would do is told once you have written what", Tone::Dim),
        Rehearsal::Asking => {
            add(&format!("asking what it would do{}", state.theme.glyphs.ellipsis), Tone::Dim);
        }
        Rehearsal::Told(told) => {
            for line in told {
                add(line, Tone::Plain);
            }
        }
        Rehearsal::Refused(why) => {
            add(&format!("{} it would be refused: {why}", state.theme.glyphs.alarm), Tone::Warn);
        }
    }
}

/// How far it is, or what is wrong.
fn outcome(dialog: &Dialog, state: &State, width: usize, lines: &mut Vec<Line>) {
    let alarm = state.theme.glyphs.alarm;
    let (text, tone) = match &dialog.stage {
        Stage::Editing(None) => return,
        Stage::Editing(Some(wrong)) => (format!("{alarm} {wrong}"), Tone::Warn),
        Stage::Sent => (format!("doing it{}", state.theme.glyphs.ellipsis), Tone::Strong),
        Stage::Failed(why) => {
            let key = state.keys.of(Mode::Dialog, Action::Accept);
            (format!("{alarm} {why}; {key} tries it again, once more is not twice"), Tone::Hurt)
        }
    };
    lines.extend(wrap(&text, width).into_iter().map(|part| vec![(part, tone)]));
    lines.push(Vec::new());
}
