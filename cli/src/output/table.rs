//! Tables and pages of details: within the terminal's width there, plain columns
//! in a pipe.

use std::{borrow::Cow, fmt::Write as _, iter::repeat_n};

use comfy_table::{
    Attribute, Color, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, presets,
};
use jiff::Timestamp;
use streamspace_client::text;
use unicode_width::UnicodeWidthStr as _;

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
#[derive(Debug)]
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
    /// Where they go.
    to: Terminal,
    wide: bool,
    /// A width to fit instead of the terminal's own, for tests.
    width: Option<u16>,
}

impl Layout {
    /// For a terminal or a pipe.
    pub(crate) fn new(to: Terminal, wide: bool) -> Self {
        Self { to, wide, width: None }
    }

    #[cfg(test)]
    pub(crate) fn within(self, width: u16) -> Self {
        Self { width: Some(width), ..self }
    }
}

/// Rows of cells under titles.
#[derive(Debug)]
pub(crate) struct Grid {
    titles: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

/// What became of a grid.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub(crate) text: String,
    /// The titles that the terminal was too narrow for.
    pub(crate) left_out: Vec<&'static str>,
    /// How wide the first column is, with the space behind it.
    pub(crate) lead: usize,
}

impl Grid {
    /// The columns of a noun; without the wide ones unless they are asked for.
    pub(crate) fn new<T>(columns: &[Column<T>], wide: bool) -> Self {
        let titles = columns.iter().filter(|column| wide || !column.wide);
        Self { titles: titles.map(|column| column.title).collect(), rows: Vec::new() }
    }

    /// A column before all others; [`Grid::push`] takes its cells.
    pub(crate) fn led_by(mut self, title: &'static str) -> Self {
        self.titles.insert(0, title);
        self
    }

    /// One row more.
    pub(crate) fn push<T>(
        &mut self,
        lead: Option<Cell>,
        columns: &[Column<T>],
        wide: bool,
        row: &T,
        now: Timestamp,
    ) {
        let shown = columns.iter().filter(|column| wide || !column.wide);
        let cells = shown.map(|column| (column.cell)(row, now));
        self.rows.push(lead.into_iter().chain(cells).collect());
    }

    /// Draws it. On a terminal that is too narrow for all columns some are left
    /// out: the empty ones first, then from the right, unless `-o wide` asks for
    /// all of them.
    pub(crate) fn draw(&self, layout: Layout) -> Drawn {
        if !layout.to.output.terminal && !layout.to.output.colour {
            return self.plain();
        }
        let mut table = frame(layout);
        table.set_header(self.titles.iter().map(|title| {
            let cell = comfy_table::Cell::new(title);
            if layout.to.output.colour { cell.add_attribute(Attribute::Bold) } else { cell }
        }));
        for row in &self.rows {
            table.add_row(row.iter().map(|cell| styled(cell, layout)));
        }
        let widths: Vec<usize> =
            table.column_max_content_widths().into_iter().map(usize::from).collect();
        let mut left_out = Vec::new();
        if let Some(width) = table.width().filter(|_| layout.to.output.terminal).map(usize::from) {
            let hidden = self.too_many(&widths, width);
            if layout.wide && hidden.contains(&true) {
                // All were asked for: lines that run on can still be read.
                table.set_content_arrangement(ContentArrangement::Disabled);
            } else {
                for (at, (hidden, title)) in hidden.iter().zip(&self.titles).enumerate() {
                    if *hidden {
                        left_out.push(*title);
                        if let Some(column) = table.column_mut(at) {
                            column.set_constraint(ColumnConstraint::Hidden);
                        }
                    }
                }
                keep_whole(&mut table, &widths, &hidden, width);
            }
        }
        let space = if layout.to.output.terminal { TERMINAL_SPACE } else { PIPE_SPACE };
        let lead = widths.first().map_or(0, |width| width + space);
        Drawn { text: finish(&mut table), left_out, lead }
    }

    /// Plain columns. Lists of thousands go into pipes; there is nothing to arrange.
    fn plain(&self) -> Drawn {
        let mut lines: Vec<Vec<Cow<'_, str>>> = Vec::with_capacity(self.rows.len() + 1);
        lines.push(self.titles.iter().map(|title| Cow::Borrowed(*title)).collect());
        for row in &self.rows {
            lines.push(row.iter().map(|cell| text::escape(&cell.text)).collect());
        }
        let mut widths = vec![0; self.titles.len()];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.width());
            }
        }
        let mut text = String::new();
        for line in &lines {
            for (width, cell) in widths.iter().zip(line) {
                text.push_str(cell);
                text.extend(repeat_n(' ', width.saturating_sub(cell.width()) + PIPE_SPACE));
            }
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
        let lead = widths.first().map_or(0, |width| width + PIPE_SPACE);
        Drawn { text, left_out: Vec::new(), lead }
    }

    /// Which columns a terminal of this width has no room for.
    fn too_many(&self, widths: &[usize], width: usize) -> Vec<bool> {
        let mut hidden = vec![false; widths.len()];
        let fits = |hidden: &[bool]| {
            let shown = widths.iter().zip(hidden).filter(|(_, hidden)| !**hidden);
            // Longer texts are broken into lines of their column.
            let needed: usize =
                shown.map(|(width, _)| (*width).min(BREAKS_AT) + TERMINAL_SPACE).sum();
            needed <= width + 1
        };
        let is_empty =
            |at: usize| self.rows.iter().all(|row| row.get(at).is_none_or(|c| c.text.is_empty()));
        let from_right = || (KEPT..widths.len()).rev();
        for at in from_right().filter(|at| is_empty(*at)).chain(from_right()) {
            if fits(&hidden) {
                break;
            }
            if let Some(hidden) = hidden.get_mut(at) {
                *hidden = true;
            }
        }
        hidden
    }
}

/// Columns that always stay: what is shown, and in which region or of what kind.
const KEPT: usize = 2;

/// What is longer may be broken into lines.
const BREAKS_AT: usize = 16;

/// Space behind a column on a terminal, with the place of the line between columns,
/// and in a pipe.
const TERMINAL_SPACE: usize = 3;
const PIPE_SPACE: usize = 2;

/// Short texts stay whole, and so do names where the rest still has room; longer
/// ones are broken into lines.
fn keep_whole(table: &mut Table, widths: &[usize], hidden: &[bool], width: usize) {
    let shown = || widths.iter().enumerate().zip(hidden).filter(|(_, hidden)| !**hidden);
    let all: usize = shown().map(|((_, own), _)| own + TERMINAL_SPACE).sum();
    if all <= width + 1 {
        return;
    }
    let mut needed: usize =
        shown().map(|((_, own), _)| (*own).min(BREAKS_AT) + TERMINAL_SPACE).sum();
    for ((at, own), _) in shown() {
        let more = own.saturating_sub(BREAKS_AT);
        let is_name = at < KEPT && needed + more <= width + 1;
        if more > 0 && !is_name {
            continue;
        }
        needed += more;
        if let Some(column) = table.column_mut(at) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
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
        if layout.to.output.colour {
            name = name.add_attribute(Attribute::Bold);
        }
        table.add_row([name, styled_lines(cell, layout)]);
    }
    if let Some(names) = table.column_mut(0) {
        names.set_constraint(ColumnConstraint::ContentWidth);
    }
    finish(&mut table)
}

fn frame(layout: Layout) -> Table {
    let mut table = Table::new();
    if layout.to.output.terminal {
        // One line under the titles; more would take rows from the screen.
        let dash = if layout.to.unicode { '─' } else { '-' };
        let under = LineStyle::none().fill(dash).junction(dash);
        table.load_style(TableStyle::new().header_separator(under));
        table.set_content_arrangement(ContentArrangement::Dynamic);
        if let Some(width) = layout.width {
            table.set_width(width);
        }
    } else {
        table.load_style(presets::NOTHING);
        table.force_no_tty();
    }
    if layout.to.output.colour {
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
        _ if !layout.to.output.colour => return cell,
        Tone::Plain => return cell,
        Tone::Good => Color::Green,
        Tone::Doubtful => Color::Yellow,
        Tone::Bad => Color::Red,
    };
    cell.fg(colour)
}
