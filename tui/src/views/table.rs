//! Any table: what is counted above it, its heading, and the rows in view.

use ratatui::style::Style;

use crate::{
    format::count,
    keys::{Action, Mode},
    pen::{Pen, cells},
    rows::{Align, Look, Row, tone},
    state::{Detail, Question, RegionIndex, State},
    table::{AnyTable as _, Table},
    theme::Tone,
};

/// Rows above the first one: the counts and the heading.
pub(super) const HEAD: u16 = 2;
/// Marker and sign.
const MARGIN: u16 = 3;
/// What is left of a column beside a gauge: ` 100.00 %`.
const PERCENT: u16 = 10;
/// The widest name of a region, and when it goes: before all but the state.
const REGION: u16 = 14;
const REGION_RANK: u8 = 1;
/// Columns up to this rank say what a row is. They are whole, up to a width, before
/// others have a place.
const WHOLE: u8 = 2;
const COMFORT: u16 = 30;

/// What stands there instead of rows: what is so, and what to do.
pub(super) struct Empty {
    pub(super) what: String,
    pub(super) next: String,
}

/// Draws a table; `title` stands before its counts.
pub(super) fn draw<R: Row>(
    state: &State,
    table: &Table<R>,
    title: &str,
    empty: impl FnOnce() -> Empty,
    pen: &mut Pen<'_>,
) {
    counts(state, table, title, pen);
    if table.shown() == 0 {
        let Empty { what, next } =
            if table.total() > 0 { filtered_out(state, table) } else { empty() };
        pen.text(3, 2, &what, Tone::Plain);
        pen.text(3, 3, &next, Tone::Dim);
        return;
    }
    let columns = columns(state, table, pen.width());
    heading(table, &columns, pen);
    for (y, (row, selected)) in (HEAD..pen.height()).zip(table.window()) {
        draw_row(state, row, selected, &columns, y, pen);
    }
}

/// What was asked for the rows of a region.
fn detail<R: Row>(state: &State, region: RegionIndex) -> Option<&Detail> {
    state.details.get(region, &R::ASKED?)
}

/// Whether the rows of a region are what is.
fn is_current<R: Row>(state: &State, region: RegionIndex) -> bool {
    let is_answered = |detail: &Detail| detail.answer.is_some() && detail.error.is_none();
    state.is_live(region)
        && (R::ASKED.is_none() || detail::<R>(state, region).is_some_and(is_answered))
}

/// What stands in a table whose rows are asked for: why there are none yet, or that there are
/// none.
pub(super) fn asked(state: &State, question: &Question, none: impl FnOnce() -> Empty) -> Empty {
    let regions = (0..).map(RegionIndex).zip(&state.regions);
    let details = regions.filter_map(|(region, _)| state.details.get(region, question));
    let details: Vec<_> = details.collect();
    if let Some(error) = details.iter().find_map(|detail| detail.error.as_ref()) {
        let what = format!("{} {error}", state.theme.glyphs.alarm);
        return Empty { what, next: "It is asked again in a moment.".into() };
    }
    if details.iter().any(|detail| detail.answer.is_some()) {
        return none();
    }
    let what = if details.is_empty() {
        "Not asked: no region is live.".to_owned()
    } else {
        format!("asking{}", state.theme.glyphs.ellipsis)
    };
    Empty { what, next: String::new() }
}

fn filtered_out<R: Row>(state: &State, table: &Table<R>) -> Empty {
    let total = crate::format::many(table.total(), R::NOUN);
    let verb = if table.query().is_expression() { "matches" } else { "contains" };
    Empty {
        what: format!("None of {total} {verb} {}.", quoted(table)),
        next: format!("{} shows all of them.", state.keys.of(Mode::Table, Action::Back)),
    }
}

/// What was typed: a text in quotes, an expression as it is.
fn quoted<R: Row>(table: &Table<R>) -> String {
    let text = table.filter().trim();
    if table.query().is_expression() { text.to_owned() } else { format!("\"{text}\"") }
}

fn counts<R: Row>(state: &State, table: &Table<R>, title: &str, pen: &mut Pen<'_>) {
    let live = state.all_live();
    let old = |tone| if live { tone } else { Tone::Dim };
    let dot = format!(" {} ", pen.theme.glyphs.dot);
    // Before anything was heard there are not none, it is not known how many.
    let is_answered = |question: Question| {
        let regions = (0..).map(RegionIndex).zip(&state.regions);
        let mut details = regions.filter_map(|(region, _)| state.details.get(region, &question));
        details.any(|detail| detail.answer.is_some())
    };
    let known = state.heard() && (table.total() > 0 || R::ASKED.is_none_or(is_answered));
    let total = if known { count(table.total()) } else { pen.theme.glyphs.unknown.into() };
    let mut pieces = vec![
        (format!(" {title} "), Tone::Dim),
        (total, old(Tone::Strong)),
        ("  ".to_owned(), Tone::Dim),
    ];
    if !table.filter().trim().is_empty() {
        let shown = count(table.shown());
        let with = if table.query().is_expression() { "where" } else { "with" };
        pieces.push((format!("{shown} {with} {}  ", quoted(table)), Tone::Strong));
    }
    let mut first = true;
    let mut add = |text: String, tone: Tone, pieces: &mut Vec<_>| {
        if !std::mem::replace(&mut first, false) {
            pieces.push((dot.clone(), Tone::Dim));
        }
        pieces.push((text, tone));
    };
    for (region, index) in state.regions.iter().zip((0..).map(RegionIndex)) {
        let error = detail::<R>(state, index).and_then(|detail| detail.error.as_ref());
        if let Some(error) = error.filter(|_| table.total() > 0) {
            let text = format!("{} {}: {error}", pen.theme.glyphs.alarm, region.name());
            add(text, Tone::Warn, &mut pieces);
        }
    }
    let attention = table.tally().attention;
    if attention > 0 {
        let text = format!("{} {} {}", pen.theme.glyphs.alarm, count(attention), R::ATTENTION);
        add(text, old(Tone::Warn), &mut pieces);
    }
    for (word, number) in table.counts() {
        add(format!("{word} {}", count(number)), old(Tone::Plain), &mut pieces);
    }
    let mut end = pen.width();
    if end >= 60 {
        let mut order = order(table);
        if table.shown() > 0 {
            order = format!("{}/{}  {order}", count(table.position()), count(table.shown()));
        }
        end = pen.right(end - 1, 0, &order, pen.theme.style(Tone::Dim)) - 2;
    }
    pen.pieces(0, 0, end, &pieces);
}

/// What the table is sorted by, in words.
fn order<R: Row>(table: &Table<R>) -> String {
    let sort = table.sort();
    match sort.column.and_then(|column| R::COLUMNS.get(column)) {
        None if sort.reversed => "worst last".into(),
        None => "worst first".into(),
        Some(column) => format!("by {}", column.title.to_lowercase()),
    }
}

/// One column where it is drawn.
struct Place {
    /// None is the region.
    column: Option<usize>,
    x: u16,
    width: u16,
    align: Align,
}

/// A column that may get a place.
struct Candidate {
    column: Option<usize>,
    least: u16,
    wanted: u16,
    rank: u8,
    align: Align,
}

fn candidates<R: Row>(state: &State, table: &Table<R>) -> Vec<Candidate> {
    let mut candidates = Vec::with_capacity(R::COLUMNS.len() + 1);
    for (index, column) in R::COLUMNS.iter().enumerate() {
        // With room for the arrow that shows the order.
        let title = cells(column.title) + 1;
        let measured = table.widths().get(index).copied().unwrap_or(0);
        if column.sparse && measured == 0 {
            continue;
        }
        let wanted = match column.align {
            _ if column.most == u16::MAX => u16::MAX,
            Align::Right => column.most,
            Align::Left => measured.max(title).min(column.most),
        };
        let least =
            if column.align == Align::Left { column.least.max(title) } else { column.least };
        candidates.push(Candidate {
            column: Some(index),
            least: least.min(wanted),
            wanted,
            rank: column.rank,
            align: column.align,
        });
    }
    if state.several() {
        let widest = state.regions.iter().map(|region| cells(region.name())).max();
        let width = widest.unwrap_or(0).clamp(6, REGION);
        let region = Candidate {
            column: None,
            least: width,
            wanted: width,
            rank: REGION_RANK,
            align: Align::Left,
        };
        candidates.insert(1.min(candidates.len()), region);
    }
    candidates
}

/// The columns that fit, the least important left out, and what is left given to those
/// that want more.
fn columns<R: Row>(state: &State, table: &Table<R>, width: u16) -> Vec<Place> {
    let mut candidates = candidates(state, table);
    let room = u32::from(width.saturating_sub(MARGIN));
    // What a row is called is read whole before there is more of it.
    let comfort = |candidate: &Candidate| match candidate.rank {
        0..=WHOLE => candidate.wanted.min(COMFORT).max(candidate.least),
        _ => candidate.least,
    };
    drop_while(&mut candidates, room, WHOLE + 1, comfort);
    drop_while(&mut candidates, room, 0, |candidate| candidate.least);
    let needed = needs(&candidates, |candidate| candidate.least);
    let mut spare = u16::try_from(room.saturating_sub(needed)).unwrap_or(0);
    let mut by_rank: Vec<_> = candidates.iter_mut().collect();
    by_rank.sort_by_key(|candidate| (candidate.wanted == u16::MAX, candidate.rank));
    for candidate in by_rank {
        let more = candidate.wanted.saturating_sub(candidate.least).min(spare);
        candidate.least += more;
        spare -= more;
    }
    let mut x = MARGIN;
    let mut places = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let width = candidate.least.min(width.saturating_sub(x));
        places.push(Place { column: candidate.column, x, width, align: candidate.align });
        x = x.saturating_add(width + 1);
    }
    places
}

/// The title of the column at a place, where the table can be sorted by it.
pub(super) fn column_at<R: Row>(
    state: &State,
    table: &Table<R>,
    width: u16,
    x: u16,
) -> Option<&'static str> {
    if table.shown() == 0 {
        return None;
    }
    let places = columns(state, table, width);
    let place = places.iter().find(|place| (place.x..place.x + place.width).contains(&x))?;
    let column = R::COLUMNS.get(place.column?)?;
    column.order.map(|_| column.title)
}

fn needs(candidates: &[Candidate], width: impl Fn(&Candidate) -> u16) -> u32 {
    candidates.iter().map(|candidate| u32::from(width(candidate)) + 1).sum()
}

/// Leaves out the least important above a rank until the others have room.
fn drop_while(
    candidates: &mut Vec<Candidate>,
    room: u32,
    above: u8,
    width: impl Fn(&Candidate) -> u16,
) {
    while needs(candidates, &width) > room {
        let least = candidates.iter().enumerate().max_by_key(|(_, candidate)| candidate.rank);
        match least {
            Some((index, candidate)) if candidate.rank > above => drop(candidates.remove(index)),
            _ => break,
        }
    }
}

fn heading<R: Row>(table: &Table<R>, places: &[Place], pen: &mut Pen<'_>) {
    let sort = table.sort();
    let glyphs = pen.theme.glyphs;
    let style = pen.theme.style(Tone::Dim);
    for place in places {
        let column = place.column.and_then(|index| R::COLUMNS.get(index));
        let mut title = column.map_or("REGION", |column| column.title).to_owned();
        if place.column.is_some() && place.column == sort.column {
            let falls = column.is_some_and(|column| column.falls) != sort.reversed;
            title.push_str(if falls { glyphs.descending } else { glyphs.ascending });
        }
        write(place, 1, &title, style, pen);
    }
}

fn write(place: &Place, y: u16, text: &str, style: Style, pen: &mut Pen<'_>) {
    match place.align {
        Align::Left => {
            pen.clipped(place.x, y, place.width, text, style);
        }
        Align::Right if cells(text) <= place.width => {
            pen.right(place.x + place.width, y, text, style);
        }
        // A number that is cut off is another number.
        Align::Right => {}
    }
}

/// The text, and before it how full something is.
fn gauged(place: &Place, y: u16, permille: usize, text: &str, style: Style, pen: &mut Pen<'_>) {
    write(place, y, text, style, pen);
    let room = place.width.saturating_sub(PERCENT);
    let gauge = pen.theme.glyphs.gauge(permille, room.into());
    pen.clipped(place.x, y, room, &gauge, style);
}

fn draw_row<R: Row>(
    state: &State,
    row: &R,
    selected: bool,
    places: &[Place],
    y: u16,
    pen: &mut Pen<'_>,
) {
    let live = is_current::<R>(state, row.key().region);
    let glyphs = pen.theme.glyphs;
    let verdict = if live { tone(row.wellness()) } else { Tone::Dim };
    let base = if live { Tone::Plain } else { Tone::Dim };
    let (base, verdict, aside) = if selected {
        let style = pen.theme.style(if live { Tone::Selected } else { Tone::SelectedOld });
        pen.paint_row(y, style);
        (style, style, style)
    } else {
        let style = |tone| pen.theme.style(tone);
        (style(base), style(verdict), style(Tone::Dim))
    };
    // What is old is not drawn as healthy.
    let sign = match pen.theme.glyph(row.wellness()) {
        " " if !live => glyphs.unknown,
        sign => sign,
    };
    if selected {
        pen.clipped(0, y, 1, glyphs.marker, base);
    }
    pen.clipped(1, y, 1, sign, verdict);
    for place in places {
        let Some(column) = place.column.and_then(|index| R::COLUMNS.get(index)) else {
            write(place, y, region_name(state, row.key().region), aside, pen);
            continue;
        };
        let style = match column.look {
            Look::Plain => base,
            Look::Verdict => verdict,
            Look::Aside => aside,
        };
        let text = (column.text)(row, state.now);
        match column.gauge.and_then(|gauge| gauge(row)) {
            Some(permille) => gauged(place, y, permille, &text, style, pen),
            None => write(place, y, &text, style, pen),
        }
    }
}

pub(super) fn region_name(state: &State, index: RegionIndex) -> &str {
    state.region(index).map_or("", crate::state::Region::name)
}
