//! What is there on every page: the banner, the health of the region, what is
//! wrong, and at the bottom the command and the keys.

use ratatui::layout::Rect;
use streamspace_proto::v1::Health;

use super::View;
use crate::{
    format::{age, clock, count, seconds_since, time_of_day},
    keys::Mode,
    pen::{Pen, cells},
    state::{Link, State},
    theme::Tone,
};

/// From this height on there are lines between the parts.
const ROOMY: u16 = 16;
/// Rows of the banner and of the health.
const HEAD: u16 = 2;

/// Something wrong, above all tables.
struct Alert {
    tone: Tone,
    /// What is wrong.
    subject: String,
    /// How it is and since when.
    state: String,
    /// Its own words.
    words: String,
}

/// Where the page is.
pub(super) fn body(state: &State) -> Rect {
    let area = state.area();
    let alerts = shown_alerts(area.height, alerts(state).len());
    let rules = if area.height >= ROOMY { 2 } else { 0 };
    let top = HEAD + alerts + rules / 2;
    let bottom = 2 + rules / 2;
    Rect { y: top.min(area.height), height: area.height.saturating_sub(top + bottom), ..area }
}

fn shown_alerts(height: u16, alerts: usize) -> u16 {
    let room = match height {
        0..=9 => 0,
        10..ROOMY => 1,
        ROOMY..30 => 2,
        _ => 4,
    };
    room.min(u16::try_from(alerts).unwrap_or(u16::MAX))
}

pub(super) fn draw(state: &State, view: &dyn View, pen: &mut Pen<'_>) {
    let (width, height) = (pen.width(), pen.height());
    let body = body(state);
    banner(state, view, pen);
    health(state, pen);
    let alerts = alerts(state);
    let shown = shown_alerts(height, alerts.len());
    for (y, alert) in (HEAD..HEAD + shown).zip(&alerts) {
        draw_alert(alert, y, pen);
    }
    if height >= ROOMY {
        pen.rule(HEAD + shown);
        let hidden = alerts.len().saturating_sub(shown.into());
        if hidden > 0 {
            pen.text(2, HEAD + shown, &format!(" {} more ", count(hidden)), Tone::Dim);
        }
        pen.rule(height.saturating_sub(2));
    }
    view.draw(state, &mut pen.part(0, body.y, width, body.height));
    let command_row = body.y.saturating_add(body.height);
    if body.height > 0 {
        command(state, view, command_row, pen);
    }
    help(state, height.saturating_sub(1), pen);
}

fn banner(state: &State, view: &dyn View, pen: &mut Pen<'_>) {
    let target = &state.target;
    let width = pen.width();
    let tone = if target.protected { Tone::Protected } else { Tone::Strong };
    let mut x = pen.text(0, 0, &format!(" {} ", target.context), tone);

    let crumb = format!(" {} ", pen.theme.glyphs.crumb);
    let mut place = Vec::new();
    if !target.region.is_empty() && target.region != target.context {
        place.push((format!(" {}", target.region), Tone::Plain));
    }
    for part in view.crumbs(state) {
        let before = if place.is_empty() { " ".into() } else { crumb.clone() };
        place.push((before, Tone::Dim));
        place.push((part, Tone::Plain));
    }

    let clock = match width {
        100.. => clock(state.now),
        50.. => format!("{} UTC", time_of_day(state.now)),
        _ => format!("{}Z", time_of_day(state.now)),
    };
    let clock_at = width.saturating_sub(cells(&clock) + 1);
    let who = state.identity.as_ref().map(|identity| {
        let reach = identity
            .tenants
            .map_or(String::new(), |reach| format!(", {}", crate::format::many(reach, "tenant")));
        format!("{}  {}{reach}", identity.operator, identity.role)
    });
    let who = who.filter(|_| width >= 60).unwrap_or_default();
    let who_at = clock_at.saturating_sub(cells(&who) + 3).max(x);
    x = pen.pieces(x, 0, who_at.saturating_sub(1), &place);
    let style = pen.theme.style(Tone::Plain);
    pen.clipped(who_at.max(x + 1), 0, clock_at.saturating_sub(who_at + 1), &who, style);
    pen.text(clock_at, 0, &clock, Tone::Plain);
}

/// One line: how the region is as a whole, and how old all of it is.
fn health(state: &State, pen: &mut Pen<'_>) {
    let glyphs = pen.theme.glyphs;
    let (tone, glyph, word) = freshness(state, pen);
    let label = format!("{glyph} {word}");
    let end = pen.width().saturating_sub(1);
    let start = pen.right(end, 1, &label, pen.theme.style(tone)).saturating_sub(2);

    let mut pieces = vec![(" region ".to_owned(), Tone::Dim)];
    let Some(region) = state.fresh_region() else {
        pieces.push((format!("{} unknown", glyphs.unknown), Tone::Dim));
        if let Some(last) = &state.region {
            let was = health_word(last.health());
            let ago = age(seconds_since(last.at, state.now));
            pieces.push((format!(", was {was} {ago} ago"), Tone::Dim));
        }
        pen.pieces(0, 1, start, &pieces);
        return;
    };
    let tone = health_tone(region.health());
    let verdict = format!("{} {}", sign(tone, pen), health_word(region.health()));
    pieces.push((verdict.trim_start().to_owned(), tone));
    let is_wide = pen.width() >= 110;
    let well: Vec<_> = region
        .components
        .iter()
        .filter(|component| component.health == Health::Ok)
        .map(|component| component.name.as_str())
        .collect();
    if !well.is_empty() {
        let between = if is_wide { format!(" {} ", glyphs.dot) } else { " ".to_owned() };
        let lead = if well.len() == region.components.len() { "   " } else { "   ok: " };
        pieces.push((format!("{lead}{}", well.join(&between)), Tone::Dim));
    }
    if is_wide {
        pieces.push((format!("   daemon {}", region.daemon_version), Tone::Dim));
    }
    pen.pieces(0, 1, start, &pieces);
}

fn freshness(state: &State, pen: &Pen<'_>) -> (Tone, &'static str, String) {
    let glyphs = pen.theme.glyphs;
    let old = state.data_age().map(age);
    match (&state.link, old) {
        (Link::Live, _) if state.is_live() => (Tone::Plain, glyphs.live, "live".into()),
        (Link::Loading, _) => {
            let loaded = count(state.tenants.loaded());
            (Tone::Dim, glyphs.changing, format!("loading {loaded}"))
        }
        (Link::Connecting, _) => (Tone::Dim, glyphs.changing, "connecting".into()),
        (Link::Failed { .. }, None) => (Tone::Dim, glyphs.unknown, "no data".into()),
        (_, None) => (Tone::Dim, glyphs.changing, "no data yet".into()),
        (_, Some(old)) => (Tone::Dim, glyphs.unknown, format!("{old} old")),
    }
}

fn health_word(health: Health) -> &'static str {
    match health {
        Health::Unspecified => "unknown",
        Health::Ok => "ok",
        Health::Degraded => "degraded",
        Health::Unavailable => "unavailable",
    }
}

fn health_tone(health: Health) -> Tone {
    match health {
        Health::Ok => Tone::Plain,
        Health::Degraded => Tone::Warn,
        Health::Unavailable => Tone::Hurt,
        Health::Unspecified => Tone::Dim,
    }
}

/// What says without colour what the tone says with it.
fn sign(tone: Tone, pen: &Pen<'_>) -> &'static str {
    match tone {
        Tone::Warn | Tone::Hurt => pen.theme.glyphs.alarm,
        Tone::Dim => pen.theme.glyphs.unknown,
        _ => "",
    }
}

/// The watch works and the region does not answer.
fn region_silent(state: &State) -> bool {
    state.region_error.is_some() && state.fresh_region().is_none()
}

/// What is wrong, the worst first.
fn alerts(state: &State) -> Vec<Alert> {
    let mut alerts = Vec::new();
    match &state.link {
        Link::Failed { error } => alerts.push(Alert {
            tone: Tone::Hurt,
            subject: "refused".into(),
            state: String::new(),
            words: error.clone(),
        }),
        Link::Lost { error, since } => alerts.push(Alert {
            tone: Tone::Warn,
            subject: "not live".into(),
            state: age(seconds_since(*since, state.now)),
            words: error.clone(),
        }),
        Link::Connecting | Link::Loading | Link::Live => {
            if let Some(error) = state.region_error.clone().filter(|_| region_silent(state)) {
                alerts.push(Alert {
                    tone: Tone::Dim,
                    subject: "region".into(),
                    state: "unknown".into(),
                    words: error,
                });
            }
        }
    }
    let components = state.fresh_region().into_iter().flat_map(|region| &region.components);
    for component in components.filter(|component| component.health != Health::Ok) {
        let since = component.since.map(|since| age(seconds_since(since, state.now)));
        let word = health_word(component.health);
        alerts.push(Alert {
            tone: health_tone(component.health),
            subject: component.name.clone(),
            state: format!("{word} {}", since.unwrap_or_default()).trim_end().to_owned(),
            words: component.message.clone(),
        });
    }
    alerts.sort_by_key(|alert| match alert.tone {
        Tone::Hurt => 0,
        Tone::Warn => 1,
        _ => 2,
    });
    alerts
}

fn draw_alert(alert: &Alert, y: u16, pen: &mut Pen<'_>) {
    let end = pen.width();
    let sign = sign(alert.tone, pen);
    let mut pieces = vec![(format!(" {sign} {}", alert.subject), alert.tone)];
    if !alert.state.is_empty() {
        pieces.push((format!(" {}", alert.state), alert.tone));
    }
    pieces.push((format!("  {}", alert.words), Tone::Plain));
    pen.pieces(0, y, end, &pieces);
}

fn command(state: &State, view: &dyn View, y: u16, pen: &mut Pen<'_>) {
    if let Some(command) = view.command(state) {
        let x = pen.text(0, y, " $ ", Tone::Dim);
        let context = crate::views::context_flag(state);
        pen.text(x, y, &format!("{command}{context}"), Tone::Plain);
    }
}

/// The keys, as many as fit.
fn help(state: &State, y: u16, pen: &mut Pen<'_>) {
    let mode = state.mode();
    let mut x = 0;
    if mode == Mode::Prompt {
        let filter = state.tenants.filter();
        x = pen.text(x, y, " /", Tone::Key);
        // The end of what is typed is what matters while typing.
        let room = usize::from(pen.width() / 2);
        let mut tail = filter;
        while crate::pen::text_width(tail) > room {
            let mut rest = tail.chars();
            rest.next();
            tail = rest.as_str();
        }
        x = pen.text(x, y, tail, Tone::Plain);
        x = pen.text(x, y, " ", Tone::Selected) + 1;
    }
    for (key, word) in state.keys.hints(mode) {
        let wanted = cells(&key) + cells(word) + 3;
        if x + wanted > pen.width() {
            break;
        }
        x = pen.text(x + 1, y, &key, Tone::Key);
        x = pen.text(x + 1, y, word, Tone::Dim) + 1;
    }
}
