//! What fires: the table, all about one alert, and the line that every page has while
//! something does.

use ratatui::layout::Rect;
use streamspace_client::text::escape;

use super::{
    View,
    table::{self, Empty, region_name},
    text::{self, Line},
};
use crate::{
    format::{age, count, date_and_time, instant, many, seconds_since, span},
    keys::{Action, Mode},
    pen::{Pen, cells},
    rows::{Alert, Incident, Key, Row as _, short},
    state::{Detail, Question, RegionIndex, State},
    theme::Tone,
};

/// From these widths on the line says where it is, and how to see the others.
const ROOMY: u16 = 60;
const WIDE: u16 = 100;

pub(super) struct Alerts;

impl View for Alerts {
    fn crumbs(&self, _: &State) -> Vec<String> {
        vec!["alerts".into()]
    }

    fn command(&self, _: &State) -> Option<String> {
        Some("ssctl alert list".into())
    }

    fn column_at(&self, state: &State, area: Rect, x: u16) -> Option<&'static str> {
        table::column_at(state, &state.alerts, area.width, x)
    }

    fn table_rows(&self, area: Rect) -> usize {
        area.height.saturating_sub(table::HEAD).into()
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let empty = || {
            table::asked(state, &Question::Alerts, || Empty {
                what: "Nothing fires.".into(),
                next: "What does stands here, and the worst of it on every page.".into(),
            })
        };
        table::draw(state, &state.alerts, "ALERTS that fire", empty, pen);
    }
}

/// All about one.
pub(super) struct AlertPage<'a>(pub(super) &'a Key);

impl View for AlertPage<'_> {
    fn crumbs(&self, state: &State) -> Vec<String> {
        let kind = state.alerts.get(self.0).map_or("gone", |alert| alert.kind.as_str());
        vec!["alerts".into(), kind.to_owned()]
    }

    fn command(&self, _: &State) -> Option<String> {
        Some("ssctl alert list -o wide".into())
    }

    fn lines(&self, state: &State, width: u16) -> Vec<Line> {
        let width = usize::from(width).saturating_sub(2);
        let mut lines = Vec::new();
        let Some(alert) = state.alerts.get(self.0) else {
            let back = state.keys.of(Mode::Page, Action::Back);
            let words = format!("This alert does not fire any more. {back} goes back.");
            lines.push(vec![(words, Tone::Plain)]);
            return lines;
        };
        about(alert, state, width, &mut lines);
        lines
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let lines = self.lines(state, pen.width());
        text::draw(&lines, state.scroll, is_known(state, self.0.region, &Question::Alerts), pen);
    }
}

fn about(alert: &Alert, state: &State, width: usize, lines: &mut Vec<Line>) {
    let tone = tone(alert);
    let sign = state.theme.glyphs.alarm;
    lines.push(vec![
        (format!("{}  ", alert.kind), Tone::Strong),
        (format!("{sign} {}", alert.severity_word()), tone),
        (format!("  {}", age_of(alert, state)), Tone::Plain),
        (format!("  {}", alert.has_it()), if alert.owner.is_empty() { tone } else { Tone::Plain }),
    ]);
    text::words(&alert.summary, Tone::Plain, width, lines);
    if let Some(detail) = state.details.get(alert.key().region, &Question::Alerts) {
        text::grown_old(detail, state, width, lines);
    }
    let whole = &alert.whole;
    text::heading("WHAT TO DO", lines);
    let runbook = if whole.runbook_url.is_empty() { "none is known" } else { &whole.runbook_url };
    let acknowledge = state.keys.of(Mode::Page, Action::Acknowledge);
    let words = if alert.owner.is_empty() {
        format!("{acknowledge} tells the others that you have it in hand")
    } else {
        format!("{}: speak to them", alert.has_it())
    };
    let fields = [("runbook", runbook), ("then", &words)];
    let safe = |(name, value): (&'static str, &str)| (name, escape(value).into_owned());
    text::fields(fields.map(safe), width, lines);
    text::heading("ALERT", lines);
    let time = |time: Option<&prost_types::Timestamp>| {
        instant(time).map_or(String::new(), |time| {
            let ago = age(seconds_since(time, state.now));
            format!("{} UTC, {ago} ago", date_and_time(time))
        })
    };
    let fields = [
        ("region", region_name(state, alert.key().region).to_owned()),
        ("about", whole.subject.clone()),
        ("tenant", short(&whole.tenant).to_owned()),
        ("began", time(whole.start_time.as_ref())),
        ("who has it", whole.acknowledged_by.clone()),
        ("has it since", time(whole.acknowledge_time.as_ref())),
        ("name", whole.name.clone()),
    ];
    text::fields(fields.map(|(name, value)| (name, escape(&value).into_owned())), width, lines);
}

fn tone(alert: &Alert) -> Tone {
    if alert.is_page() { Tone::Hurt } else { Tone::Warn }
}

fn age_of(alert: &Alert, state: &State) -> String {
    let since = alert.since.map(|since| age(seconds_since(since, state.now)));
    since.unwrap_or_else(|| state.theme.glyphs.unknown.to_owned())
}

/// Whether what is known of a region by a question is what is.
fn is_known(state: &State, region: RegionIndex, question: &Question) -> bool {
    let is_answered = |detail: &Detail| detail.answer.is_some() && detail.error.is_none();
    state.is_live(region) && state.details.get(region, question).is_some_and(is_answered)
}

/// Whether every page has a line for what fires.
pub(super) fn is_told(state: &State) -> bool {
    state.alerts.iter().next().is_some()
        || paging(state).next().is_some()
        || unknown(state).is_some()
}

/// The open incidents that people were called for.
fn paging(state: &State) -> impl Iterator<Item = &Incident> {
    state.incidents.iter().filter(|incident| incident.pages())
}

/// What a region that is live does not tell, which one it is, and why. One that refuses to is
/// told of on the page of what it does not tell.
fn unknown(state: &State) -> Option<(&'static str, &str, &str)> {
    [("alerts", Question::Alerts), ("incidents", Question::Incidents)].iter().find_map(
        |(what, question)| {
            let regions = (0..).map(RegionIndex).zip(&state.regions);
            let mut live = regions.filter(|(index, _)| state.is_live(*index));
            live.find_map(|(index, region)| {
                let detail = state.details.get(index, question)?;
                let error = detail.error.as_deref().filter(|_| !detail.refused)?;
                Some((*what, region.name(), error))
            })
        },
    )
}

/// What the line tells of.
struct Told<'a> {
    region: RegionIndex,
    known: bool,
    tone: Tone,
    /// What it is, and for how long.
    head: String,
    owner: String,
    is_taken: bool,
    /// Whom it hits and what was promised, where there is room.
    aside: Vec<(String, Tone)>,
    words: &'a str,
}

impl<'a> Told<'a> {
    fn alert(alert: &'a Alert, state: &State) -> Self {
        let region = alert.key().region;
        Self {
            region,
            known: is_known(state, region, &Question::Alerts),
            tone: tone(alert),
            head: format!("{} {}", alert.severity_word(), age_of(alert, state)),
            owner: alert.has_it(),
            is_taken: !alert.owner.is_empty(),
            aside: Vec::new(),
            words: if alert.summary.is_empty() { &alert.kind } else { &alert.summary },
        }
    }

    fn incident(incident: &'a Incident, state: &State) -> Self {
        let region = incident.key().region;
        let age = super::incidents::age_of(incident, state.now);
        Self {
            region,
            known: is_known(state, region, &Question::Incidents),
            tone: if incident.hurts() { Tone::Hurt } else { Tone::Warn },
            head: format!("{} {} {age}", incident.severity_word(), incident.id),
            owner: incident.has_it(),
            is_taken: incident.is_taken(),
            aside: aside(incident, state),
            words: &incident.title,
        }
    }
}

/// How many tenants an incident hits, and when the public hears of it again.
fn aside(incident: &Incident, state: &State) -> Vec<(String, Tone)> {
    let tenants = incident.whole.tenants.len();
    let hit = (tenants > 0).then(|| (format!("  {} hit", many(tenants, "tenant")), Tone::Plain));
    let next = instant(incident.whole.next_update_time.as_ref()).map(|next| {
        match next.as_second().saturating_sub(state.now.as_second()) {
            ..=0 => ("  public update is due".to_owned(), Tone::Warn),
            left => (format!("  public update in {}", span(left)), Tone::Plain),
        }
    });
    hit.into_iter().chain(next).collect()
}

/// The gravest incident or the worst of what fires, who has it, and how many more there are.
pub(super) fn draw_line(state: &State, y: u16, pen: &mut Pen<'_>) {
    let (width, glyphs) = (pen.width(), pen.theme.glyphs);
    let incident = paging(state).min_by_key(|incident| (incident.urgency(), incident.key()));
    let alert = state.alerts.iter().min_by_key(|alert| (alert.urgency(), alert.key()));
    let told = incident.map(|incident| Told::incident(incident, state));
    let Some(told) = told.or_else(|| alert.map(|alert| Told::alert(alert, state))) else {
        if let Some((what, region, error)) = unknown(state) {
            let words = format!(" {} {what} of {region} are not known: {error}", glyphs.unknown);
            pen.text(0, y, &words, Tone::Dim);
        }
        return;
    };
    let sign = if told.known { glyphs.alarm } else { glyphs.unknown };
    let seen = |tone| if told.known { tone } else { Tone::Dim };
    let owner = if told.is_taken { Tone::Plain } else { told.tone };
    let mut pieces = vec![
        (format!(" {sign} {}", told.head), seen(told.tone)),
        (format!("  {}", told.owner), seen(owner)),
    ];
    if state.several() && width >= ROOMY {
        pieces.push((format!("  {}", region_name(state, told.region)), Tone::Dim));
    }
    if width >= WIDE {
        pieces.extend(told.aside.into_iter().map(|(words, tone)| (words, seen(tone))));
    }
    pieces.push((format!("  {}", told.words), seen(Tone::Plain)));
    let end = others(state, y, pen);
    pen.pieces(0, y, end, &pieces);
}

/// How many more there are, at the right. Returns where the rest of the line ends.
fn others(state: &State, y: u16, pen: &mut Pen<'_>) -> u16 {
    let width = pen.width();
    let (incidents, alerts) = (paging(state).count(), state.alerts.iter().count());
    let more = (incidents + alerts).saturating_sub(1);
    if more == 0 {
        return width;
    }
    let key = |action| state.keys.of(Mode::Page, action);
    let keys = match (incidents, alerts) {
        (0, _) => key(Action::Alerts),
        (_, 0) => key(Action::Incidents),
        _ => format!("{} {}", key(Action::Incidents), key(Action::Alerts)),
    };
    let text = match width {
        WIDE.. => format!("{} more: {keys}", count(more)),
        ROOMY.. => format!("{} more ({keys})", count(more)),
        _ => format!("+{}", count(more)),
    };
    pen.right(width.saturating_sub(1), y, &text, pen.theme.style(Tone::Dim));
    width.saturating_sub(cells(&text) + 3)
}
