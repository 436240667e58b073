//! Tables and pages of details: within the terminal's width there, plain columns
//! in a pipe.

use std::fmt::Write as _;

use comfy_table::{Attribute, Color, ContentArrangement, LineStyle, Table, TableStyle, presets};
use jiff::Timestamp;
use streamspace_client::text;

use crate::shell::Terminal;

/// What a cell means, from which its colour comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing special.
    Plain,
    /// As it should be.
    Good,
    /// On its way, or in part.
    Doubtful,
    /// Wrong.
    Bad,
}

/// One cell. Its text is made safe for a terminal where it is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

impl Cell {
    /// With a meaning.
    pub(crate) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.to_string(), tone: Tone::Plain }
    }
}

/// One column of a noun.
pub(crate) struct Column<T> {
    pub(crate) title: &'static str,
    /// Shown only with `-o wide`.
    pub(crate) wide: bool,
    pub(crate) cell: fn(&T, Timestamp) -> Cell,
}

impl<T> Column<T> {
    /// Always shown.
    pub(crate) fn new(title: &'static str, cell: fn(&T, Timestamp) -> Cell) -> Self {
        Self { title, wide: false, cell }
    }

    /// Shown with `-o wide`.
    pub(crate) fn wide(title: &'static str, cell: fn(&T, Timestamp) -> Cell) -> Self {
        Self { title, wide: true, cell }
    }
}

/// How tables look where they go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    terminal: bool,
    colour: bool,
    wide: bool,
}

impl Layout {
    /// For a terminal or a pipe.
    pub(crate) fn new(terminal: Terminal, wide: bool) -> Self {
        Self { terminal: terminal.output.terminal, colour: terminal.output.colour, wide }
    }
}

/// Rows of a noun under their titles.
pub(crate) fn table<T>(
    columns: &[Column<T>],
    rows: &[T],
    layout: Layout,
    now: Timestamp,
) -> String {
    let shown: Vec<_> = columns.iter().filter(|column| layout.wide || !column.wide).collect();
    let mut table = frame(layout);
    table.set_header(shown.iter().map(|column| {
        let cell = comfy_table::Cell::new(column.title);
        if layout.colour { cell.add_attribute(Attribute::Bold) } else { cell }
    }));
    for row in rows {
        table.add_row(shown.iter().map(|column| styled(&(column.cell)(row, now), layout)));
    }
    finish(&mut table)
}

/// The titles above [`line`]s.
pub(crate) fn titles<T>(columns: &[Column<T>], widths: &[usize]) -> String {
    padded(columns.iter().map(|column| column.title.to_owned()), widths)
}

/// One row without borders, for streams, where the widest cell is not known yet.
pub(crate) fn line<T>(columns: &[Column<T>], widths: &[usize], row: &T, now: Timestamp) -> String {
    padded(columns.iter().map(|column| (column.cell)(row, now).text), widths)
}

fn padded(cells: impl Iterator<Item = String>, widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.zip(widths.iter().copied().chain(std::iter::repeat(0))) {
        // Writing to a string does not fail.
        let _ = write!(line, "{:<width$}  ", text::escape(&cell));
    }
    line.truncate(line.trim_end().len());
    line + "\n"
}

/// A page: names on the left, values on the right; lines within a value stay
/// below each other.
pub(crate) fn details(pairs: &[(&str, Cell)], layout: Layout) -> String {
    let mut table = frame(layout);
    table.load_style(presets::NOTHING);
    for (name, cell) in pairs.iter().filter(|(_, cell)| !cell.text.is_empty()) {
        // A row without a name goes on with what the one above began.
        let name = if name.is_empty() { String::new() } else { format!("{name}:") };
        let mut name = comfy_table::Cell::new(name);
        if layout.colour {
            name = name.add_attribute(Attribute::Bold);
        }
        table.add_row([name, styled_lines(cell, layout)]);
    }
    finish(&mut table)
}

fn frame(layout: Layout) -> Table {
    let mut table = Table::new();
    if layout.terminal {
        // One line under the titles; more would take rows from the screen.
        let under = LineStyle::none().fill('─').junction('─');
        table.load_style(TableStyle::new().header_separator(under));
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.load_style(presets::NOTHING);
        table.force_no_tty();
    }
    if layout.colour {
        table.enforce_styling();
    }
    table
}

fn finish(table: &mut Table) -> String {
    table.discover_columns();
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn styled(cell: &Cell, layout: Layout) -> comfy_table::Cell {
    toned(comfy_table::Cell::new(text::escape(&cell.text)), cell.tone, layout)
}

fn styled_lines(cell: &Cell, layout: Layout) -> comfy_table::Cell {
    toned(comfy_table::Cell::new(text::escape_lines(&cell.text)), cell.tone, layout)
}

fn toned(cell: comfy_table::Cell, tone: Tone, layout: Layout) -> comfy_table::Cell {
    let colour = match tone {
        _ if !layout.colour => return cell,
        Tone::Plain => return cell,
        Tone::Good => Color::Green,
        Tone::Doubtful => Color::Yellow,
        Tone::Bad => Color::Red,
    };
    cell.fg(colour)
}
