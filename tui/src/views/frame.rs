//! What is there on every page: the banner, the health of the region, what is
//! wrong, and at the bottom the command and the keys.

use ratatui::layout::Rect;
use streamspace_client::text::escape;
use streamspace_proto::v1::Health;

use super::{View, alerts};
use crate::{
    format::{age, clock, count, many, seconds_since, time_of_day},
    pen::{Pen, cells},
    prompt::{Prompt, PromptKind},
    recording::Place,
    state::{Link, Region, RegionIndex, Report, State},
    theme::{Theme, Tone},
};

/// From this height on there are lines between the parts.
const ROOMY: u16 = 16;
/// From this height on something is told above the page.
const FIRST: u16 = 10;
/// Rows of the banner and of the health.
const HEAD: u16 = 2;

/// Something wrong, above all tables.
struct Wrong {
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
    let fires = fires(state);
    let shown = shown_wrong(area.height, fires, wrong(state).len());
    let rules = if area.height >= ROOMY { 2 } else { 0 };
    let top = HEAD + fires + shown + rules / 2;
    let bottom = 2 + rules / 2;
    Rect { y: top.min(area.height), height: area.height.saturating_sub(top + bottom), ..area }
}

/// How many lines tell of what fires: it comes before what is wrong, where there is little
/// room.
fn fires(state: &State) -> u16 {
    u16::from(state.size.height >= FIRST && alerts::is_told(state))
}

fn shown_wrong(height: u16, fires: u16, wrong: usize) -> u16 {
    let room = match height {
        ..FIRST => 0,
        FIRST..ROOMY => 1 - fires,
        ROOMY..30 => 2,
        _ => 4,
    };
    room.min(u16::try_from(wrong).unwrap_or(u16::MAX))
}

pub(super) fn draw(state: &State, view: &dyn View, pen: &mut Pen<'_>) {
    let (width, height) = (pen.width(), pen.height());
    let body = body(state);
    banner(state, view, pen);
    health_line(state, pen);
    let wrong = wrong(state);
    let fires = fires(state);
    if fires > 0 {
        alerts::draw_line(state, HEAD, pen);
    }
    let shown = shown_wrong(height, fires, wrong.len());
    let top = HEAD + fires;
    for (y, one) in (top..top + shown).zip(&wrong) {
        draw_wrong(one, y, pen);
    }
    if height >= ROOMY {
        pen.rule(top + shown);
        let hidden = wrong.len().saturating_sub(shown.into());
        if hidden > 0 {
            pen.text(2, top + shown, &format!(" {} more ", count(hidden)), Tone::Dim);
        }
        pen.rule(height.saturating_sub(2));
    }
    view.draw(state, &mut pen.part(0, body.y, width, body.height));
    goes_on(state, view, &mut pen.part(0, body.y, width, body.height));
    super::overlay::draw(state, &mut pen.part(0, body.y, width, body.height));
    let command_row = body.y.saturating_add(body.height);
    if body.height > 0 {
        let begins = state.place.as_ref().map(|at| place(at, command_row, pen));
        let end = begins.map_or(width, |x| x.saturating_sub(1));
        command(state, &mut pen.part(0, command_row, end, 1));
    }
    help(state, height.saturating_sub(1), pen);
}

/// Says of a page of text that it goes on, in place of the first and the last line in view.
fn goes_on(state: &State, view: &dyn View, pen: &mut Pen<'_>) {
    let (height, glyphs) = (usize::from(pen.height()), pen.theme.glyphs);
    let below = view.length(state, pen.width()).saturating_sub(state.scroll + height);
    let mut say = |y: u16, words: String| {
        let mut row = pen.part(0, y, pen.width(), 1);
        row.clear();
        row.text(1, 0, &words, Tone::Dim);
    };
    if height > super::MARKS && state.scroll > 0 {
        say(0, format!("{} {} above", glyphs.ascending, many(state.scroll + 1, "line")));
    }
    if height > super::MARKS && below > 0 {
        let last = u16::try_from(height - 1).unwrap_or(u16::MAX);
        say(last, format!("{} {} below", glyphs.descending, many(below + 1, "more line")));
    }
}

fn banner(state: &State, view: &dyn View, pen: &mut Pen<'_>) {
    let width = pen.width();
    let crumb = format!(" {} ", pen.theme.glyphs.crumb);
    let mut place = Vec::new();
    if let [Region { target, .. }] = state.regions.as_slice()
        && !target.region.is_empty()
        && target.region != target.context
    {
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
    let who = who(state).filter(|_| width >= 60).unwrap_or_default();
    let who_at = clock_at.saturating_sub(cells(&who) + 3);
    // Where one is comes before the names of the contexts.
    let crumbs = place.iter().map(|(text, _)| cells(text)).fold(1, u16::saturating_add);
    let names = contexts(state, who_at.saturating_sub(crumbs).min(width / 2));
    let mut x = names.iter().fold(0, |x, (name, tone)| pen.text(x, 0, name, *tone));
    let who_at = who_at.max(x);
    x = pen.pieces(x, 0, who_at.saturating_sub(2), &place);
    let style = pen.theme.style(Tone::Plain);
    pen.clipped(who_at.max(x + 1), 0, clock_at.saturating_sub(who_at + 1), &who, style);
    pen.text(clock_at, 0, &clock, Tone::Plain);
}

/// The contexts that are looked at, or how many where their names have no room. Where
/// mistakes are dear in one of them it looks so.
fn contexts(state: &State, room: u16) -> Vec<(String, Tone)> {
    let tone = |protected| if protected { Tone::Protected } else { Tone::Strong };
    let names: Vec<_> = state
        .regions
        .iter()
        .map(|region| &region.target)
        .map(|target| (format!(" {} ", target.context), tone(target.protected)))
        .collect();
    let width: u16 = names.iter().map(|(name, _)| cells(name)).fold(0, u16::saturating_add);
    if !state.several() || width <= room {
        return names;
    }
    let dear = state.regions.iter().any(|region| region.target.protected);
    vec![(format!(" {} contexts ", names.len()), tone(dear))]
}

/// Who looks, and as what; of several regions only what is the same in all.
fn who(state: &State) -> Option<String> {
    let mut known = state.regions.iter().filter_map(|region| region.identity.as_ref());
    let first = known.next()?;
    let role = if known.clone().all(|other| other.role == first.role) { &*first.role } else { "" };
    let name = known.all(|other| other.operator == first.operator);
    let name = if name { &*first.operator } else { "" };
    let reach = first.tenants.filter(|_| !state.several());
    let reach = reach.map_or(String::new(), |reach| format!(", {}", many(reach, "tenant")));
    Some(format!("{name}  {role}{reach}").trim().to_owned())
}

/// One line: how the regions are as a whole, and how old all of it is.
fn health_line(state: &State, pen: &mut Pen<'_>) {
    let (tone, label) = freshness(state, pen);
    let end = pen.width().saturating_sub(1);
    let start = pen.right(end, 1, &label, pen.theme.style(tone)).saturating_sub(2);
    let pieces = match state.regions.as_slice() {
        [region] => health_of_one(region, state, pen),
        regions => health_of_several(regions, state, pen),
    };
    pen.pieces(0, 1, start, &pieces);
}

fn health_of_one(region: &Region, state: &State, pen: &Pen<'_>) -> Vec<(String, Tone)> {
    let glyphs = pen.theme.glyphs;
    let mut pieces = vec![(" region ".to_owned(), Tone::Dim)];
    let Some(report) = region.fresh_report(state.now) else {
        pieces.push((format!("{} unknown", glyphs.unknown), Tone::Dim));
        if let Some(last) = &region.report {
            let was = health_word(last.health());
            let ago = age(seconds_since(last.at, state.now));
            pieces.push((format!(", was {was} {ago} ago"), Tone::Dim));
        }
        return pieces;
    };
    let tone = health_tone(report.health());
    let verdict = format!("{} {}", sign(tone, pen.theme), health_word(report.health()));
    pieces.push((verdict.trim_start().to_owned(), tone));
    let is_wide = pen.width() >= 110;
    let well: Vec<_> = report
        .components
        .iter()
        .filter(|component| component.health == Health::Ok)
        .map(|component| component.name.as_str())
        .collect();
    if !well.is_empty() {
        let between = if is_wide { format!(" {} ", glyphs.dot) } else { " ".to_owned() };
        let lead = if well.len() == report.components.len() { "   " } else { "   ok: " };
        pieces.push((format!("{lead}{}", well.join(&between)), Tone::Dim));
    }
    if is_wide {
        pieces.push((format!("   daemon {}", report.daemon_version), Tone::Dim));
    }
    pieces
}

/// The worst first, each with the regions that are so.
fn health_of_several(regions: &[Region], state: &State, pen: &Pen<'_>) -> Vec<(String, Tone)> {
    let mut pieces = vec![(format!(" {} regions ", regions.len()), Tone::Dim)];
    let health = |region: &Region| {
        region.fresh_report(state.now).map_or(Health::Unspecified, Report::health)
    };
    for wanted in [Health::Unavailable, Health::Degraded, Health::Unspecified, Health::Ok] {
        let names: Vec<_> =
            regions.iter().filter(|it| health(it) == wanted).map(Region::name).collect();
        if !names.is_empty() {
            let tone = health_tone(wanted);
            let word = format!("{} {}", sign(tone, pen.theme), health_word(wanted));
            pieces.push((format!("  {} ", word.trim_start()), tone));
            pieces.push((names.join(" "), Tone::Dim));
        }
    }
    pieces
}

/// How old what is shown is: of several regions, of the oldest.
fn freshness(state: &State, pen: &Pen<'_>) -> (Tone, String) {
    let glyphs = pen.theme.glyphs;
    let live = state.regions.iter().filter(|region| region.is_live(state.now)).count();
    if live == state.regions.len() {
        return (Tone::Plain, format!("{} live", glyphs.live));
    }
    let is_loading = |(_, region): &(u16, &Region)| region.link == Link::Loading;
    let loading = (0..).zip(&state.regions).find(is_loading);
    if let Some((index, region)) = loading {
        let index = RegionIndex(index);
        let loaded = state.tenants.loaded(index)
            + state.sessions.loaded(index)
            + state.operations.loaded(index);
        let of = count(region.expected.max(loaded));
        return (Tone::Dim, format!("{} loading {} of {of}", glyphs.changing, count(loaded)));
    }
    if state.several() {
        return (Tone::Dim, format!("{} {live} of {} live", glyphs.unknown, state.regions.len()));
    }
    let old = state.regions.first().and_then(|region| region.data_age(state.now)).map(age);
    let label = match (state.regions.first().map(|region| &region.link), old) {
        (Some(Link::Connecting), _) => format!("{} connecting", glyphs.changing),
        (Some(Link::Failed { .. }), None) => format!("{} no data", glyphs.unknown),
        (_, None) => format!("{} no data yet", glyphs.changing),
        (_, Some(old)) => format!("{} {old} old", glyphs.unknown),
    };
    (Tone::Dim, label)
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
fn sign(tone: Tone, theme: &Theme) -> &'static str {
    match tone {
        Tone::Warn | Tone::Hurt => theme.glyphs.alarm,
        Tone::Dim => theme.glyphs.unknown,
        _ => "",
    }
}

/// How a region is: its sign, its word, and how it looks.
pub(super) fn verdict(
    report: Option<&Report>,
    theme: &Theme,
) -> (&'static str, &'static str, Tone) {
    health(report.map_or(Health::Unspecified, Report::health), theme)
}

/// How something is: its sign, its word, and how it looks.
pub(super) fn health(health: Health, theme: &Theme) -> (&'static str, &'static str, Tone) {
    let tone = health_tone(health);
    (sign(tone, theme), health_word(health), tone)
}

/// What is wrong, the worst first.
fn wrong(state: &State) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    for region in &state.regions {
        wrong_with(region, state, &mut wrong);
    }
    wrong.sort_by_key(|one| match one.tone {
        Tone::Hurt => 0,
        Tone::Warn => 1,
        _ => 2,
    });
    wrong
}

fn wrong_with(region: &Region, state: &State, wrong: &mut Vec<Wrong>) {
    let named = |subject: &str| {
        if state.several() { format!("{} {subject}", region.name()) } else { subject.to_owned() }
    };
    let report = region.fresh_report(state.now);
    match &region.link {
        Link::Failed { error } => wrong.push(Wrong {
            tone: Tone::Hurt,
            subject: named("refused"),
            state: String::new(),
            words: error.clone(),
        }),
        Link::Lost { error, since } => wrong.push(Wrong {
            tone: Tone::Warn,
            subject: named("not live"),
            state: age(seconds_since(*since, state.now)),
            words: error.clone(),
        }),
        // The watch works and the region does not answer.
        Link::Connecting | Link::Loading | Link::Live => {
            if let Some(error) = region.report_error.clone().filter(|_| report.is_none()) {
                wrong.push(Wrong {
                    tone: Tone::Dim,
                    subject: named("region"),
                    state: "unknown".into(),
                    words: error,
                });
            }
        }
    }
    let components = report.into_iter().flat_map(|report| &report.components);
    for component in components.filter(|component| component.health != Health::Ok) {
        let since = component.since.map(|since| age(seconds_since(since, state.now)));
        let word = health_word(component.health);
        wrong.push(Wrong {
            tone: health_tone(component.health),
            subject: named(&component.name),
            state: format!("{word} {}", since.unwrap_or_default()).trim_end().to_owned(),
            words: component.message.clone(),
        });
    }
}

fn draw_wrong(wrong: &Wrong, y: u16, pen: &mut Pen<'_>) {
    let end = pen.width();
    let sign = sign(wrong.tone, pen.theme);
    let mut pieces = vec![(format!(" {sign} {}", wrong.subject), wrong.tone)];
    if !wrong.state.is_empty() {
        pieces.push((format!(" {}", wrong.state), wrong.tone));
    }
    pieces.push((format!("  {}", wrong.words), Tone::Plain));
    pen.pieces(0, y, end, &pieces);
}

/// Where in a recording this is, so that nobody takes it for now.
/// Returns where that begins.
fn place(place: &Place, y: u16, pen: &mut Pen<'_>) -> u16 {
    let time = |seconds: i64| format!("{:02}:{:02}", seconds / 60, seconds % 60);
    let stands = if place.playing { "" } else { ", stopped" };
    let speed = if place.speed > 1 { format!(", {} x", place.speed) } else { String::new() };
    let cut = if place.cut { ", its end is missing" } else { "" };
    let (at, of) = (time(place.seconds), time(place.of));
    let text = format!(" {} {at} of {of}{speed}{stands}{cut} ", place.title);
    pen.right(pen.width(), y, &text, pen.theme.style(Tone::Protected))
}

fn command(state: &State, pen: &mut Pen<'_>) {
    if let Some(prompt) = &state.prompt
        && choices(prompt, pen)
    {
        return;
    }
    if let Some(notice) = state.notice() {
        pen.text(1, 0, notice, Tone::Strong);
        return;
    }
    if let Some(command) = super::command(state) {
        let x = pen.text(0, 0, " $ ", Tone::Dim);
        pen.text(x, 0, &command, Tone::Plain);
    }
}

/// What is wrong with the line that is being typed, or how it could go on.
fn choices(prompt: &Prompt, pen: &mut Pen<'_>) -> bool {
    if let Some(error) = &prompt.error {
        let sign = pen.theme.glyphs.alarm;
        pen.text(0, 0, &format!(" {sign} {error}"), Tone::Warn);
        return true;
    }
    let mut x = 1;
    for (index, choice) in prompt.choices.iter().enumerate() {
        let tone = if prompt.picked() == Some(index) { Tone::Selected } else { Tone::Dim };
        let choice = escape(choice);
        if x + cells(&choice) > pen.width() {
            break;
        }
        x = pen.text(x, 0, &choice, tone) + 2;
    }
    !prompt.choices.is_empty()
}

/// The line that is typed, and the keys, as many as fit.
fn help(state: &State, y: u16, pen: &mut Pen<'_>) {
    let mode = state.mode();
    let mut x = 0;
    if let Some(prompt) = &state.prompt {
        let sign = match prompt.kind {
            PromptKind::Filter => " /",
            PromptKind::Command => " :",
        };
        x = pen.text(x, y, sign, Tone::Key);
        x = pen.text(x, y, prompt.tail(usize::from(pen.width() / 2)), Tone::Plain);
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
