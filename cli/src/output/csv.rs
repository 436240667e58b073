//! Comma-separated values (RFC 4180), for spreadsheets.

use jiff::Timestamp;
use streamspace_client::text::escape_lines;

use super::{Cell, Column};

/// The titles of a noun's columns.
pub(crate) fn csv_titles<T>(columns: &[Column<T>]) -> String {
    record(columns.iter().map(|column| field(column.title)))
}

/// One row.
pub(crate) fn csv_line<T>(columns: &[Column<T>], row: &T, now: Timestamp) -> String {
    record(columns.iter().map(|column| field(&(column.cell)(row, now).text)))
}

/// A row of texts.
pub(super) fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    record(texts.into_iter().map(field))
}

fn record(fields: impl Iterator<Item = String>) -> String {
    fields.collect::<Vec<_>>().join(",") + "\r\n"
}

/// One answer: its names, then its values.
pub(super) fn pairs(pairs: &[(&str, Cell)]) -> String {
    let names = record(pairs.iter().map(|(name, _)| field(name)));
    names + &record(pairs.iter().map(|(_, cell)| field(&cell.text)))
}

/// Whether it is a plain number, perhaps a share: `-0.5`, `12`, `-3.1 %`.
fn is_number(text: &str) -> bool {
    let digits = text.strip_suffix(" %").unwrap_or(text);
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all(whole) && all(fraction)
}

/// One field of a row, which no spreadsheet runs and no terminal acts on.
pub(crate) fn field(text: &str) -> String {
    // The file may be shown on a terminal later.
    let text = escape_lines(text);
    // A spreadsheet would run a formula that came in as somebody's name; some
    // look behind leading space.
    let formula = !is_number(&text)
        && text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    let guarded = if formula || text.starts_with('\n') { format!("'{text}") } else { text.into() };
    if guarded.contains([',', '"', '\n', ';']) {
        format!("\"{}\"", guarded.replace('"', "\"\""))
    } else {
        guarded
    }
}
