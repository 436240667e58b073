//! The table of tenants, and beside or below it what changed lately.

use ratatui::layout::Rect;

use super::{View, changes};
use crate::{
    format::{age, count, seconds_since},
    pen::{Pen, cells},
    state::{Link, Sort, State, Tenant, state_word},
    theme::{Theme, Tone},
};

/// Rows above the first tenant: the counts and the heading.
const HEAD: u16 = 2;
/// From this width on the changes are beside the table.
const WIDE: u16 = 150;
/// From this height of the page on they are below it.
const TALL: u16 = 14;
/// Their heading and the least that is worth a look.
const CHANGES_BELOW: u16 = 5;

const LONGEST_ID: u16 = 40;
const LONGEST_NAMESPACE: u16 = 32;
const LONGEST_PLAN: u16 = 16;
/// `23h59m`.
const AGE: u16 = 6;
/// Words about what is wrong need at least this to be worth reading.
const WORDS: u16 = 18;
/// Marker and sign.
const MARGIN: u16 = 3;

pub(super) struct Tenants;

/// How the page is divided.
struct Layout {
    table: Rect,
    changes: Option<Rect>,
}

fn layout(area: Rect) -> Layout {
    if area.width >= WIDE {
        let width = (area.width / 3).clamp(40, 64);
        let (table, changes) = (area.width - width, width);
        return Layout {
            table: Rect { width: table, ..area },
            changes: Some(Rect { x: area.x + table, width: changes, ..area }),
        };
    }
    if area.height >= TALL {
        let height = CHANGES_BELOW.max(area.height / 4);
        let table = area.height - height;
        return Layout {
            table: Rect { height: table, ..area },
            changes: Some(Rect { y: area.y + table, height, ..area }),
        };
    }
    Layout { table: area, changes: None }
}

impl View for Tenants {
    fn crumbs(&self, _: &State) -> Vec<String> {
        vec!["tenants".into()]
    }

    fn command(&self, state: &State) -> Option<String> {
        let tenant = state.tenants.selected();
        Some(tenant.map_or("ssctl tenant list".into(), |tenant| {
            format!("ssctl tenant show {}", tenant.shell_word())
        }))
    }

    fn table_rows(&self, area: Rect) -> usize {
        layout(area).table.height.saturating_sub(HEAD).into()
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let page = Rect { x: 0, y: 0, width: pen.width(), height: pen.height() };
        let Layout { table, changes } = layout(page);
        let mut left = pen.part(table.x, table.y, table.width, table.height);
        counts(state, &mut left);
        if state.tenants.shown() == 0 {
            nothing(state, &mut left);
        } else {
            rows(state, &mut left);
        }
        if let Some(area) = changes {
            let beside = area.x > 0;
            let mut pen = pen.part(area.x, area.y, area.width, area.height);
            let title = "CHANGED since this was opened, newest first";
            if beside {
                pen.bar(0);
                pen.text(2, 0, title, Tone::Dim);
            } else {
                pen.rule(0);
                pen.text(2, 0, &format!(" {title} "), Tone::Dim);
            }
            let margin = 1 + u16::from(beside);
            let (width, height) = (area.width.saturating_sub(margin), area.height);
            changes::draw(state, &mut pen.part(margin, 1, width, height.saturating_sub(1)));
        }
    }
}

fn counts(state: &State, pen: &mut Pen<'_>) {
    let list = &state.tenants;
    let live = state.is_live();
    let old = |tone| if live { tone } else { Tone::Dim };
    let dot = format!(" {} ", pen.theme.glyphs.dot);
    // Before anything was heard there are not none, it is not known how many.
    let total =
        if state.heard.is_some() { count(list.total()) } else { pen.theme.glyphs.unknown.into() };
    let mut pieces = vec![
        (" TENANTS ".to_owned(), Tone::Dim),
        (total, old(Tone::Strong)),
        ("  ".to_owned(), Tone::Dim),
    ];
    if !list.filter().is_empty() {
        let shown = count(list.shown());
        pieces.push((format!("{shown} with \"{}\"  ", list.filter()), Tone::Strong));
    }
    let mut first = true;
    let mut add = |text: String, tone: Tone, pieces: &mut Vec<_>| {
        if !std::mem::replace(&mut first, false) {
            pieces.push((dot.clone(), Tone::Dim));
        }
        pieces.push((text, tone));
    };
    if list.attention() > 0 {
        let text = format!("{} {} not well", pen.theme.glyphs.alarm, count(list.attention()));
        add(text, old(Tone::Warn), &mut pieces);
    }
    for (state, number) in list.counts() {
        let text = format!("{} {}", state_word(state), count(number));
        add(text, old(Tone::Plain), &mut pieces);
    }
    let order = match list.sort().0 {
        Sort::Worst if list.sort().1 => "worst last",
        Sort::Worst => "worst first",
        Sort::Name => "by name",
        Sort::State => "by state",
        Sort::Plan => "by plan",
        Sort::Seats => "by seats",
        Sort::Age => "by age",
    };
    let mut end = pen.width();
    if end >= 60 {
        end = pen.right(end - 1, 0, order, pen.theme.style(Tone::Dim)) - 2;
    }
    pen.pieces(0, 0, end, &pieces);
}

/// What stands there instead of rows.
fn nothing(state: &State, pen: &mut Pen<'_>) {
    let list = &state.tenants;
    let (what, next) = if list.total() > 0 {
        let total = crate::format::many(list.total(), "tenant");
        (format!("None of {total} contains \"{}\".", list.filter()), "esc shows all of them.")
    } else {
        match (&state.link, state.heard) {
            (Link::Live, _) => (
                "No tenants yet. Create one:".into(),
                "$ ssctl tenant create acme-corp --plan business --seats 10",
            ),
            (Link::Failed { .. }, _) => {
                ("Nothing to show: the daemon refused.".into(), "The reason is above.")
            }
            (_, None) => (
                format!("Nothing heard yet from {}.", state.target.endpoint),
                "It connects by itself; q leaves.",
            ),
            (_, Some(_)) => ("No tenants were there.".into(), ""),
        }
    };
    pen.text(3, 2, &what, Tone::Plain);
    pen.text(3, 3, next, Tone::Dim);
}

/// Where the columns are: start and width each. A width of 0 is a column that has
/// no room.
#[derive(Default)]
struct Columns {
    id: (u16, u16),
    state: (u16, u16),
    plan: (u16, u16),
    seats: (u16, u16),
    namespace: (u16, u16),
    age: (u16, u16),
    words: (u16, u16),
}

/// A column besides the name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    State,
    Plan,
    Seats,
    Namespace,
    Age,
    Words,
}

impl Columns {
    /// The richest choice of columns that fits. Where the namespace has no column
    /// of its own it shares one with the words: who is not well is looked up by
    /// its words, not by its namespace.
    fn new(state: &State, width: u16) -> Self {
        use Column::{Age, Namespace, Plan, Seats, State as Life, Words};

        let widths = state.tenants.widths();
        let id = widths.id.clamp(4, LONGEST_ID);
        let plan = widths.plan.clamp(4, LONGEST_PLAN);
        let namespace = widths.namespace.clamp(9, LONGEST_NAMESPACE);
        // The headings need their room, with the arrow that shows the order.
        let (seats, life) = (widths.seats.max(6), widths.state.max(6));
        let rest = width.saturating_sub(MARGIN);

        let choices: [(u16, &[Column]); 6] = [
            (id, &[Life, Plan, Seats, Namespace, Age, Words]),
            (id.min(24), &[Life, Plan, Seats, Age, Words]),
            (id.min(24), &[Life, Plan, Age, Words]),
            (id.min(20), &[Life, Age, Words]),
            (id.min(20), &[Life, Plan, Age]),
            (id.min(12), &[Life, Age]),
        ];
        let width_of = |column: Column| match column {
            Life => life,
            Plan => plan,
            Seats => seats,
            Namespace => namespace,
            Age => AGE,
            Words => WORDS,
        };
        let needs = |id: u16, choice: &[Column]| {
            choice.iter().fold(id, |sum, column| sum + width_of(*column) + 1)
        };
        let found = choices.into_iter().find(|(id, choice)| needs(*id, choice) <= rest);
        let Some((least, choice)) = found else {
            return Self { id: (MARGIN, rest.min(id)), ..Self::default() };
        };
        let spare = rest - needs(least, choice);
        let words = choice.contains(&Words);
        let id = id.min(least + if words { spare / 2 } else { spare });

        let mut x = MARGIN + id + 1;
        let mut take = |column: Column| {
            if !choice.contains(&column) {
                return (0, 0);
            }
            let (start, width) = (x, width_of(column));
            x += width + 1;
            (start, width)
        };
        let mut columns = Self {
            id: (MARGIN, id),
            state: take(Life),
            plan: take(Plan),
            seats: take(Seats),
            namespace: take(Namespace),
            age: take(Age),
            words: (0, 0),
        };
        if words {
            columns.words = (x + 1, width.saturating_sub(x + 1));
            if !choice.contains(&Namespace) {
                columns.namespace = columns.words;
            }
        }
        columns
    }

    fn shares_last(&self) -> bool {
        self.namespace.1 > 0 && self.namespace.0 == self.words.0
    }
}

fn rows(state: &State, pen: &mut Pen<'_>) {
    let columns = Columns::new(state, pen.width());
    heading(state, &columns, pen);
    for (y, (tenant, selected)) in (HEAD..pen.height()).zip(state.tenants.window()) {
        row(state, tenant, selected, &columns, y, pen);
    }
}

fn heading(state: &State, columns: &Columns, pen: &mut Pen<'_>) {
    let (sort, reversed) = state.tenants.sort();
    let glyphs = pen.theme.glyphs;
    // Seats and age begin with the most and the newest, and say so.
    let falls = matches!(sort, Sort::Seats | Sort::Age) != reversed;
    let arrow = if falls { glyphs.descending } else { glyphs.ascending };
    let by = |column: Sort, text: &str| {
        if sort == column { format!("{text}{arrow}") } else { text.to_owned() }
    };
    let last = if columns.shares_last() { "NAMESPACE / TROUBLE" } else { "TROUBLE" };
    let style = pen.theme.style(Tone::Dim);
    let mut left = |(x, width): (u16, u16), text: String| pen.clipped(x, 1, width, &text, style);
    left(columns.id, by(Sort::Name, "NAME"));
    left(columns.state, by(Sort::State, "STATE"));
    left(columns.plan, by(Sort::Plan, "PLAN"));
    if !columns.shares_last() {
        left(columns.namespace, "NAMESPACE".into());
    }
    left(columns.words, last.into());
    for ((x, width), text) in
        [(columns.seats, by(Sort::Seats, "SEATS")), (columns.age, by(Sort::Age, "AGE"))]
    {
        if width > 0 {
            pen.right(x + width, 1, &text, style);
        }
    }
}

fn row(
    state: &State,
    tenant: &Tenant,
    selected: bool,
    columns: &Columns,
    y: u16,
    pen: &mut Pen<'_>,
) {
    let live = state.is_live();
    let glyphs = pen.theme.glyphs;
    let verdict = if live { Theme::tone(tenant.wellness) } else { Tone::Dim };
    let base = if live { Tone::Plain } else { Tone::Dim };
    let (base, verdict, aside) = if selected {
        let style = pen.theme.style(Tone::Selected).patch(pen.theme.style(base));
        pen.paint_row(y, style);
        (style, style, style)
    } else {
        let style = |tone| pen.theme.style(tone);
        (style(base), style(verdict), style(Tone::Dim))
    };
    // What is old is not drawn as healthy.
    let sign = match pen.theme.glyph(tenant.wellness) {
        " " if !live => glyphs.unknown,
        sign => sign,
    };
    if selected {
        pen.clipped(0, y, 1, glyphs.marker, base);
    }
    pen.clipped(1, y, 1, sign, verdict);
    let mut left =
        |(x, width): (u16, u16), text: &str, style| pen.clipped(x, y, width, text, style);
    left(columns.id, &tenant.id, base);
    left(columns.state, state_word(tenant.whole.state()), verdict);
    left(columns.plan, &tenant.plan, base);
    if !columns.shares_last() || tenant.words.is_empty() {
        left(columns.namespace, &tenant.namespace, aside);
    }
    left(columns.words, &tenant.words, verdict);
    let created = tenant.created.map(|created| age(seconds_since(created, state.now)));
    for ((x, width), text) in
        [(columns.seats, tenant.seats.as_str()), (columns.age, created.as_deref().unwrap_or("?"))]
    {
        if width >= cells(text) {
            pen.right(x + width, y, text, base);
        }
    }
}
