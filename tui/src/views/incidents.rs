//! The table of incidents, and all about one: who has it, whom it hits, what it costs,
//! what is left to do, and what happened.

use jiff::Timestamp;
use ratatui::layout::Rect;
use streamspace_client::text::escape;
use streamspace_proto::v1::{self, ActionItem, IncidentImpact, TimelineEntry};

use super::{
    View,
    table::{self, Empty, region_name},
    text::{self, Line},
};
use crate::{
    format::{age, count, instant, many, percent, seconds_since, span, time_of_day},
    keys::{Action, Mode},
    pen::{Pen, text_width, wrap},
    rows::{Incident, Key, Row as _, shell_word, short, tone},
    state::{Answer, IncidentDetail, Question, State},
    theme::Tone,
};

/// How many tenants that it hits are told by name.
const TENANTS: usize = 12;
/// How many of the timeline stand before all else.
const LATEST: usize = 8;
/// Where the words of the timeline begin, and how wide who did it is.
const WHO: usize = 13;
const KIND: usize = 13;

pub(super) struct Incidents;

impl View for Incidents {
    fn crumbs(&self, _: &State) -> Vec<String> {
        vec!["incidents".into()]
    }

    fn command(&self, _: &State) -> Option<String> {
        Some("ssctl incident list".into())
    }

    fn column_at(&self, state: &State, area: Rect, x: u16) -> Option<&'static str> {
        table::column_at(state, &state.incidents, area.width, x)
    }

    fn table_rows(&self, area: Rect) -> usize {
        area.height.saturating_sub(table::HEAD).into()
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let empty = || {
            table::asked(state, &Question::Incidents, || Empty {
                what: "There is no incident.".into(),
                next: format!(
                    "{} declares one; an alert that pages opens one by itself.",
                    state.keys.of(Mode::Table, Action::Declare)
                ),
            })
        };
        table::draw(state, &state.incidents, "INCIDENTS", empty, pen);
    }
}

/// All about one.
pub(super) struct IncidentPage<'a>(pub(super) &'a Key);

impl View for IncidentPage<'_> {
    fn crumbs(&self, state: &State) -> Vec<String> {
        let id = state.incidents.get(self.0).map_or("gone", |incident| incident.id.as_str());
        vec!["incidents".into(), id.to_owned()]
    }

    fn command(&self, state: &State) -> Option<String> {
        let incident = state.incidents.get(self.0)?;
        Some(format!("ssctl incident show {}", shell_word(&incident.id)))
    }

    fn lines(&self, state: &State, width: u16) -> Vec<Line> {
        let width = usize::from(width).saturating_sub(2);
        let mut lines = Vec::new();
        let Some(row) = state.incidents.get(self.0) else {
            let back = state.keys.of(Mode::Page, Action::Back);
            let words =
                format!("This incident is not among the latest any more. {back} goes back.");
            lines.push(vec![(words, Tone::Plain)]);
            return lines;
        };
        let detail = state.details.get(self.0.region, &Question::Incident(row.whole.name.clone()));
        let answered = detail.and_then(|detail| Some((detail, detail.answer.as_ref()?)));
        if let Some((detail, (_, Answer::Incident(answer)))) = answered {
            let incident = answer.incident.as_ref().unwrap_or(&row.whole);
            head(&Incident::new(self.0.region, incident), state, width, &mut lines);
            text::grown_old(detail, state, width, &mut lines);
            all(answer, incident, state, width, &mut lines);
        } else {
            head(row, state, width, &mut lines);
            lines.push(Vec::new());
            text::asking(detail, self.0.region, state, width, &mut lines);
        }
        lines
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let lines = self.lines(state, pen.width());
        text::draw(&lines, state.scroll, state.is_live(self.0.region), pen);
    }
}

/// Which one, how grave it is, who has it, and what comes next.
fn head(incident: &Incident, state: &State, width: usize, lines: &mut Vec<Line>) {
    let verdict = tone(incident.wellness());
    let sign = state.theme.glyph(incident.wellness()).trim();
    let since = incident.since.map(|since| age(seconds_since(since, state.now)));
    let grave = format!("{sign} {}", incident.severity_word()).trim_start().to_owned();
    let mut first = vec![
        (format!("{}  ", incident.id), Tone::Strong),
        (grave, verdict),
        (format!("  {}", incident.state_word()), verdict),
        (format!("  {}", since.unwrap_or_default()), Tone::Plain),
    ];
    if state.several() {
        first.push((format!("  {}", region_name(state, incident.key().region)), Tone::Dim));
    }
    let owner = if incident.is_taken() { Tone::Plain } else { verdict };
    first.push((format!("  {}", incident.has_it()), owner));
    lines.push(first);
    text::words(&incident.title, Tone::Plain, width, lines);
    for (words, time) in [
        ("the next page goes out", incident.whole.next_page_time.as_ref()),
        ("the public hears again", incident.whole.next_update_time.as_ref()),
    ] {
        if let Some(time) = instant(time) {
            let left = time.as_second().saturating_sub(state.now.as_second());
            let (when, tone) = match left {
                ..=0 => (format!("was due {} ago", span(left.saturating_neg())), Tone::Warn),
                left => (format!("in {}", span(left)), Tone::Plain),
            };
            lines.push(vec![(format!("  {words} {when}"), tone)]);
        }
    }
}

fn all(
    answer: &IncidentDetail,
    incident: &v1::Incident,
    state: &State,
    width: usize,
    lines: &mut Vec<Line>,
) {
    lines.push(Vec::new());
    lines.extend(who(incident, width));
    let cut = if answer.truncated { "; older ones are left out" } else { "" };
    text::heading(&format!("TIMELINE, the newest first{cut}"), lines);
    for entry in answer.entries.iter().rev().take(LATEST) {
        told(entry, width, lines);
    }
    if answer.entries.len() > LATEST {
        lines.push(vec![("what was before stands at the end".into(), Tone::Dim)]);
    }
    if let Some(impact) = &answer.impact {
        hit(impact, state, lines);
    }
    let open = incident.action_items.iter().filter(|item| !item.done).count();
    text::heading(&format!("ACTION ITEMS, {} open", count(open)), lines);
    for item in &incident.action_items {
        action(item, width, lines);
    }
    if incident.action_items.is_empty() {
        lines.push(vec![("none yet".into(), Tone::Dim)]);
    }
    if answer.entries.len() > LATEST {
        text::heading("TIMELINE, what was before", lines);
        for entry in answer.entries.iter().rev().skip(LATEST) {
            told(entry, width, lines);
        }
    }
}

/// Who does what, as many in a line as fit.
fn who(incident: &v1::Incident, width: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = vec![Vec::new()];
    let mut room = width;
    for (role, person) in [
        ("commander", &incident.commander),
        ("communications", &incident.communications),
        ("scribe", &incident.scribe),
        ("declared by", &incident.declared_by),
    ] {
        let person = if person.is_empty() { "nobody" } else { person };
        let person = format!("{}   ", escape(person));
        let wanted = text_width(role) + 1 + text_width(&person);
        if wanted > room && room < width {
            lines.push(Vec::new());
            room = width;
        }
        room = room.saturating_sub(wanted);
        if let Some(line) = lines.last_mut() {
            line.extend([(format!("{role} "), Tone::Dim), (person, Tone::Plain)]);
        }
    }
    lines
}

/// Whom it hits, and what it cost.
fn hit(impact: &IncidentImpact, state: &State, lines: &mut Vec<Line>) {
    let tenants = &impact.tenants;
    text::heading(&format!("HITS {}", many(tenants.len(), "tenant")), lines);
    let names: Vec<_> = tenants.iter().take(TENANTS).map(|it| escape(short(&it.tenant))).collect();
    let widest = names.iter().map(|name| text_width(name)).max().unwrap_or(0).min(32);
    for (tenant, name) in tenants.iter().zip(&names) {
        let room = " ".repeat(widest.saturating_sub(text_width(name)));
        let sessions = many(usize::try_from(tenant.sessions).unwrap_or(0), "session");
        lines.push(vec![
            (format!("{name}{room}"), Tone::Plain),
            (format!("  {:14}{sessions}", escape(short(&tenant.plan))), Tone::Dim),
        ]);
    }
    if tenants.len() > names.len() {
        let more = count(tenants.len() - names.len());
        lines.push(vec![(format!("{} {more} more", state.theme.glyphs.ellipsis), Tone::Dim)]);
    }
    text::heading("BURNED of error budgets", lines);
    let name = |budget: &v1::BudgetImpact| {
        let whose = match short(&budget.tenant) {
            "" => String::new(),
            tenant => format!(" of {}", escape(tenant)),
        };
        format!("{}{whose}", escape(short(&budget.slo)))
    };
    let names: Vec<_> = impact.budgets.iter().map(name).collect();
    let widest = names.iter().map(|name| text_width(name)).max().unwrap_or(0).min(48);
    for (budget, name) in impact.budgets.iter().zip(&names) {
        let room = " ".repeat(widest.saturating_sub(text_width(name)));
        let number = |it: i64| count(usize::try_from(it).unwrap_or(0));
        let (used, tone) = match budget.used_ppm {
            Some(ppm) => (percent(ppm), if ppm > 0 { Tone::Warn } else { Tone::Plain }),
            None => ("not known".to_owned(), Tone::Dim),
        };
        let events = format!("  {} bad of {}", number(budget.bad), number(budget.total));
        lines.push(vec![
            (format!("{name}{room}"), Tone::Plain),
            (format!("  {used:>10}"), tone),
            (events, Tone::Dim),
        ]);
    }
    if names.is_empty() {
        lines.push(vec![("no SLO belongs to it".into(), Tone::Dim)]);
    }
}

fn action(item: &ActionItem, width: usize, lines: &mut Vec<Line>) {
    let (sign, tone) = if item.done { ("done", Tone::Dim) } else { ("open", Tone::Plain) };
    let owner = if item.owner.is_empty() { "nobody" } else { &item.owner };
    let due = if item.due.is_empty() { String::new() } else { format!(", by {}", item.due) };
    let words = format!("{}  ({owner}{due})", item.text);
    let mut first = format!("{sign:5}{:>2} ", item.number);
    for part in wrap(&escape(&words), width.saturating_sub(8).max(10)) {
        lines.push(vec![(first, Tone::Dim), (part, tone)]);
        first = " ".repeat(8);
    }
}

/// What happened: when, who, what, in words.
fn told(entry: &TimelineEntry, width: usize, lines: &mut Vec<Line>) {
    let time = instant(entry.time.as_ref()).map(time_of_day).unwrap_or_default();
    let tone = match entry.kind.as_str() {
        "before" | "change" | "action" => Tone::Dim,
        "declared" | "reopened" | "alert" | "paged" => Tone::Warn,
        "acknowledged" | "triaged" | "mitigated" | "resolved" | "reviewed" | "public" => {
            Tone::Strong
        }
        _ => Tone::Plain,
    };
    let margin = 9 + WHO + KIND;
    let words = escape(&entry.text);
    let mut first = vec![
        (format!("{time:8} "), Tone::Dim),
        (fitted(&escape(&entry.actor), WHO), Tone::Plain),
        (fitted(&escape(&entry.kind), KIND), tone),
    ];
    // Where there is no room beside, the words stand below.
    if width < margin + 20 {
        lines.push(first);
        text::words(&words, Tone::Plain, width, lines);
        return;
    }
    for part in wrap(&words, width - margin) {
        first.push((part, Tone::Plain));
        lines.push(std::mem::replace(&mut first, vec![(" ".repeat(margin), Tone::Plain)]));
    }
    if words.is_empty() {
        lines.push(first);
    }
}

/// A text with blanks up to a width; a longer one has one blank after it.
fn fitted(text: &str, width: usize) -> String {
    let room = width.saturating_sub(text_width(text)).max(1);
    format!("{text}{}", " ".repeat(room))
}

/// How long it is open, for lines.
pub(super) fn age_of(incident: &Incident, now: Timestamp) -> String {
    incident.since.map(|since| age(seconds_since(since, now))).unwrap_or_default()
}
