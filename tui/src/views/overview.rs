//! How everything is, on one screen: the regions, what is not well, how sessions are,
//! what is under way, and what changed.

use streamspace_client::text::escape;

mod budgets;

use super::{View, changes, table::region_name};
use crate::{
    chart::{Resample, sparkline},
    format::{age, count, many},
    keys::{Action, Mode},
    pen::{Pen, cells},
    rows::{Key, Operation, Row, Session, Tenant, Wellness, tone},
    state::{Link, Region, RegionIndex, State},
    table::{AnyTable as _, Tally},
    theme::Tone,
};

/// From this width on the changes are beside the rest.
const WIDE: u16 = 130;
/// From this width on there is room for a gauge.
const ROOMY: u16 = 100;
/// The columns of the regions: name, health, then numbers.
const NAME: u16 = 15;
const HEALTH: u16 = 14;
const NUMBER: u16 = 10;
/// The least that is shown of what changed: a title and three entries.
const CHANGES: u16 = 4;
/// As many budgets are shown, also where all of them are well.
const BUDGETS: usize = 3;
/// What is not well, is under way and has changed needs so many lines before others have any.
const SECTIONS: u16 = 16;
/// The widest line of what ran in the last hour.
const TREND: u16 = 60;
/// `loading`, `? 12s old`.
const DATA: u16 = 11;
/// How many of the sessions run: a gauge, and in percent.
const SHARE: u16 = 12;
const GAUGE: usize = 6;

pub(super) struct Overview;

impl View for Overview {
    fn crumbs(&self, _: &State) -> Vec<String> {
        vec!["overview".into()]
    }

    fn command(&self, _: &State) -> Option<String> {
        Some("ssctl status".into())
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let (width, height) = (pen.width(), pen.height());
        let left = if width >= WIDE { width - (width / 3).clamp(44, 70) } else { width };
        let mut y = regions(state, &mut pen.part(0, 0, left, height)) + 1;
        let of_trends = u16::try_from(state.regions.len()).unwrap_or(u16::MAX).saturating_add(2);
        if height.saturating_sub(y) >= of_trends.saturating_add(SECTIONS) {
            y += trends(state, &mut pen.part(0, y, left, height.saturating_sub(y)));
        }
        let below = height.saturating_sub(y);
        let is_beside = left < width;
        let changed = if is_beside { 0 } else { CHANGES.min(below) };
        let [worst, tenants, sessions, operations] = share(
            below - changed,
            [
                budgets::wanted(state),
                Some(state.tenants.needy().take(below.into()).count()),
                Some(state.sessions.needy().take(below.into()).count()),
                Some(open(state).take(below.into()).count()),
            ],
        );
        let mut part = |height: u16, draw: &dyn Fn(&mut Pen<'_>)| {
            draw(&mut pen.part(0, y, left, height));
            y += height;
        };
        part(worst, &|pen| budgets::draw(state, pen));
        part(tenants, &|pen| sick_tenants(state, pen));
        part(sessions, &|pen| sick_sessions(state, pen));
        part(operations, &|pen| under_way(state, pen));
        if is_beside {
            let mut pen = pen.part(left, 0, width - left, height);
            pen.bar(0);
            pen.text(2, 0, changes::TITLE, Tone::Dim);
            let mut below = pen.part(2, 1, width - left - 2, height.saturating_sub(1));
            changes::draw(state, 0, &mut below);
        } else {
            let mut pen = pen.part(0, y, width, height.saturating_sub(y));
            pen.text(1, 0, changes::TITLE, Tone::Dim);
            let mut below = pen.part(1, 1, width.saturating_sub(1), pen.height().saturating_sub(1));
            changes::draw(state, 0, &mut below);
        }
    }
}

/// How high sections are, by how many entries each has: a title, the entries and a line of
/// room where there is room, else as much as each needs of an equal part. None is a section
/// that is not shown.
fn share<const N: usize>(room: u16, entries: [Option<usize>; N]) -> [u16; N] {
    let wanted = entries.map(|entries| {
        let entries = entries.map(|count| u16::try_from(count).unwrap_or(u16::MAX));
        entries.map_or(0, |count| count.saturating_add(2))
    });
    let mut left = room;
    let mut heights = [0; N];
    // Who needs little is served first, so that nobody gets more than is needed.
    let mut order: [usize; N] = std::array::from_fn(|place| place);
    order.sort_by_key(|place| wanted.get(*place).copied());
    for (served, place) in order.into_iter().enumerate() {
        let part = left / u16::try_from(N - served).unwrap_or(1);
        if let (Some(height), Some(wanted)) = (heights.get_mut(place), wanted.get(place)) {
            *height = part.min(*wanted);
            left -= *height;
        }
    }
    heights
}

/// How many of all entries are shown: where there is room for one alone it is the worst, else
/// the last line tells how many more there are.
fn fitting(all: usize, room: usize) -> usize {
    if all > room && room > 1 { room - 1 } else { all.min(room) }
}

/// A number of a region: its heading, and how soon it goes where there is no room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Number {
    Tenants,
    NotWell,
    Sessions,
    Running,
}

/// From left to right.
const NUMBERS: [Number; 4] = [Number::Tenants, Number::NotWell, Number::Sessions, Number::Running];
/// What stays the longest comes first.
const NEEDED: [Number; 4] = [Number::NotWell, Number::Sessions, Number::Tenants, Number::Running];

impl Number {
    fn heading(self) -> &'static str {
        match self {
            Self::Tenants => "TENANTS",
            Self::NotWell => "NOT WELL",
            Self::Sessions => "SESSIONS",
            Self::Running => "RUNNING",
        }
    }

    fn of(self, tenants: &Tally, sessions: &Tally) -> usize {
        match self {
            Self::Tenants => tenants.total,
            Self::NotWell => tenants.attention + sessions.attention,
            Self::Sessions => sessions.total,
            Self::Running => sessions.in_state(Session::RUNNING),
        }
    }
}

/// One line a region. Returns how many lines were drawn.
fn regions(state: &State, pen: &mut Pen<'_>) -> u16 {
    let dim = pen.theme.style(Tone::Dim);
    pen.text(3, 0, "REGION", Tone::Dim);
    pen.text(3 + NAME, 0, "STATE", Tone::Dim);
    let begin = 3 + NAME + HEALTH;
    let fit = usize::from(pen.width().saturating_sub(begin + DATA) / NUMBER);
    let kept: Vec<_> = NEEDED.into_iter().take(fit).collect();
    let numbers: Vec<_> = (1..)
        .zip(NUMBERS.into_iter().filter(|number| kept.contains(number)))
        .map(|(place, number)| (begin + place * NUMBER, number))
        .collect();
    for (end, number) in &numbers {
        pen.right(*end, 0, number.heading(), dim);
    }
    let gauge = numbers.last().map_or(begin, |(end, _)| *end) + 2;
    let is_roomy = pen.width() >= ROOMY;
    let data = gauge + if is_roomy { SHARE + 3 } else { 0 };
    if is_roomy {
        pen.text(gauge, 0, "OF SESSIONS", Tone::Dim);
    }
    pen.text(data, 0, "DATA", Tone::Dim);
    for (index, region) in (0..).zip(&state.regions) {
        let (y, at) = (index + 1, RegionIndex(index));
        let live = region.is_live(state.now);
        let old = |tone| if live { tone } else { Tone::Dim };
        let (sign, word, verdict) =
            super::frame::verdict(region.fresh_report(state.now), pen.theme);
        pen.text(1, y, sign, verdict);
        let name = pen.theme.style(old(Tone::Strong));
        pen.clipped(3, y, NAME - 1, region.name(), name);
        pen.text(3 + NAME, y, word, verdict);
        if region.heard.is_some() {
            let tenants = state.tenants.tally_of(at).cloned().unwrap_or_default();
            let sessions = state.sessions.tally_of(at).cloned().unwrap_or_default();
            for (end, kind) in &numbers {
                let number = kind.of(&tenants, &sessions);
                let hurts = *kind == Number::NotWell && number > 0;
                let tone = if hurts { Tone::Warn } else { Tone::Plain };
                pen.right(*end, y, &count(number), pen.theme.style(old(tone)));
            }
            if is_roomy {
                pen.text(gauge, y, &running_share(&sessions, pen), old(Tone::Plain));
            }
        }
        let (word, tone) = data_word(region, state);
        pen.text(data, y, &word, tone);
    }
    u16::try_from(state.regions.len()).unwrap_or(u16::MAX).saturating_add(1)
}

/// How many sessions ran in the last hour, a line a region. Returns how many lines were drawn,
/// with one of room: none before there is something to compare.
fn trends(state: &State, pen: &mut Pen<'_>) -> u16 {
    if state.regions.iter().all(|region| region.trend.shape().len() < 2) {
        return 0;
    }
    pen.text(1, 0, "RUNNING in the last hour, as far as this saw it", Tone::Dim);
    let room = TREND.min(pen.width().saturating_sub(3 + NAME + 2 * NUMBER));
    for (y, region) in (1..).zip(&state.regions) {
        let tone = if region.is_live(state.now) { Tone::Plain } else { Tone::Dim };
        let style = pen.theme.style(tone);
        pen.clipped(3, y, NAME - 1, region.name(), style);
        let looks = region.trend.shape();
        let line =
            sparkline(&looks, looks.len().min(room.into()), Resample::Maximum, pen.theme.glyphs);
        let x = pen.text(3 + NAME, y, &line, tone);
        if let Some((least, most)) = region.trend.range() {
            let number = |number: u64| count(usize::try_from(number).unwrap_or(usize::MAX));
            let words = format!("{} to {}", number(least), number(most));
            pen.text(x + 2, y, &words, Tone::Dim);
        }
    }
    u16::try_from(state.regions.len()).unwrap_or(u16::MAX).saturating_add(2)
}

/// How fresh what is known of a region is.
fn data_word(region: &Region, state: &State) -> (String, Tone) {
    if region.is_live(state.now) {
        return ("live".into(), Tone::Plain);
    }
    match (&region.link, region.data_age(state.now)) {
        (Link::Loading, _) => ("loading".into(), Tone::Dim),
        (Link::Failed { .. }, None) => ("refused".into(), Tone::Hurt),
        (_, None) => ("no data yet".into(), Tone::Dim),
        (_, Some(seconds)) => {
            (format!("{} {} old", state.theme.glyphs.unknown, age(seconds)), Tone::Warn)
        }
    }
}

/// How many of the sessions run; nothing where there are none.
fn running_share(sessions: &Tally, pen: &Pen<'_>) -> String {
    let running = sessions.in_state(Session::RUNNING) * 1000;
    let Some(permille) = running.checked_div(sessions.total) else { return String::new() };
    format!("{} {:>3} %", pen.theme.glyphs.gauge(permille, GAUGE), permille / 10)
}

fn sick_tenants(state: &State, pen: &mut Pen<'_>) {
    let attention = state.tenants.tally().attention;
    let all = many(state.tenants.total(), "tenant");
    title("TENANTS NOT WELL", attention, &all, state, pen);
    let lines = state.tenants.needy().map(|tenant: &Tenant| Sick {
        key: tenant.key(),
        wellness: tenant.wellness(),
        name: tenant.id.clone(),
        state: tenant.state_word(),
        words: &tenant.words,
    });
    sick(lines, attention, Action::Tenants, state, pen);
}

fn sick_sessions(state: &State, pen: &mut Pen<'_>) {
    // Not of the tenant whose sessions are looked at, but of all.
    let tallies = (0..).map(RegionIndex).zip(&state.regions);
    let tallies: Vec<_> = tallies.filter_map(|(at, _)| state.sessions.tally_of(at)).collect();
    let attention = tallies.iter().map(|tally| tally.attention).sum();
    let all = many(tallies.iter().map(|tally| tally.total).sum(), "session");
    title("SESSIONS NOT WELL", attention, &all, state, pen);
    let lines = state.sessions.needy().map(|session: &Session| Sick {
        key: session.key(),
        wellness: session.wellness(),
        name: escape(session.path()).into_owned(),
        state: session.phase_word(),
        words: &session.message,
    });
    sick(lines, attention, Action::AllSessions, state, pen);
}

fn title(title: &str, sick: usize, all: &str, state: &State, pen: &mut Pen<'_>) {
    let number = if state.heard() { count(sick) } else { pen.theme.glyphs.unknown.into() };
    let tone = if !state.all_live() {
        Tone::Dim
    } else if sick > 0 {
        Tone::Warn
    } else {
        Tone::Plain
    };
    let of = if state.heard() { format!(" of {all}") } else { String::new() };
    let pieces = [(format!(" {title} "), Tone::Dim), (number, tone), (of, Tone::Dim)];
    pen.pieces(0, 0, pen.width(), &pieces);
}

/// Something that is not well.
struct Sick<'a> {
    key: &'a Key,
    wellness: Wellness,
    name: String,
    state: &'static str,
    words: &'a str,
}

/// The worst of them, and how many more there are.
fn sick<'a>(
    lines: impl Iterator<Item = Sick<'a>>,
    all: usize,
    shows_all: Action,
    state: &State,
    pen: &mut Pen<'_>,
) {
    // Below the title; a line of room at the end where all fit.
    let room = usize::from(pen.height().saturating_sub(1));
    let lines: Vec<_> = lines.take(fitting(all, room)).collect();
    let widest = |width: fn(&Sick<'_>) -> u16| lines.iter().map(width).max().unwrap_or(0);
    let width = widest(|line| cells(&line.name)).min(pen.width() / 3);
    let states = widest(|line| cells(line.state));
    for (y, line) in (1..).zip(&lines) {
        let live = state.is_live(line.key.region);
        let tone = if live { tone(line.wellness) } else { Tone::Dim };
        pen.text(1, y, pen.theme.glyph(line.wellness), tone);
        let plain = pen.theme.style(if live { Tone::Plain } else { Tone::Dim });
        pen.clipped(3, y, width, &line.name, plain);
        let mut x = 3 + width + 1;
        if state.several() {
            pen.clipped(
                x,
                y,
                NAME - 2,
                region_name(state, line.key.region),
                pen.theme.style(Tone::Dim),
            );
            x += NAME - 1;
        }
        pen.text(x, y, line.state, tone);
        pen.text(x + states + 1, y, line.words, tone);
    }
    more(all, lines.len(), shows_all, state, pen);
}

/// How many more entries there are than are shown, and the key that shows all, where a line is
/// left for it.
fn more(all: usize, shown: usize, shows_all: Action, state: &State, pen: &mut Pen<'_>) {
    let y = u16::try_from(shown).unwrap_or(u16::MAX).saturating_add(1);
    if all > shown && y < pen.height() {
        let key = state.keys.of(Mode::Page, shows_all);
        let more = count(all - shown);
        let text = format!("{} {more} more; {key} shows all", pen.theme.glyphs.ellipsis);
        pen.text(3, y, &text, Tone::Dim);
    }
}

/// What is under way.
fn open(state: &State) -> impl Iterator<Item = &Operation> {
    state.operations.top().filter(|operation| !operation.whole.done)
}

fn under_way(state: &State, pen: &mut Pen<'_>) {
    let number =
        if state.heard() { count(open(state).count()) } else { pen.theme.glyphs.unknown.into() };
    let pieces = [(" UNDER WAY ".to_owned(), Tone::Dim), (number, Tone::Plain)];
    pen.pieces(0, 0, pen.width(), &pieces);
    let room = usize::from(pen.height().saturating_sub(1));
    for (y, operation) in (1..).zip(open(state).take(room)) {
        let live = state.is_live(operation.key().region);
        let tone = if live { tone(operation.wellness()) } else { Tone::Dim };
        pen.text(1, y, pen.theme.glyph(operation.wellness()), tone);
        let mut parts = vec![escape(&operation.whole.kind), escape(&operation.whole.target)];
        if operation.whole.counts.is_none() {
            parts.push(escape(&operation.whole.progress));
        }
        let words = format!("{}  {}", parts.join("  "), operation.progress());
        pen.text(3, y, &words, tone);
    }
}
