//! Comma-separated values (RFC 4180), for spreadsheets.

use jiff::Timestamp;

use super::{Cell, Column};

/// All columns of a noun, with titles.
pub(super) fn encode<T>(columns: &[Column<T>], rows: &[T], now: Timestamp) -> String {
    let rows = rows.iter().map(|row| csv_line(columns, row, now));
    csv_titles(columns) + &rows.collect::<String>()
}

/// The titles of a noun's columns.
pub(crate) fn csv_titles<T>(columns: &[Column<T>]) -> String {
    record(columns.iter().map(|column| field(column.title)))
}

/// One row.
pub(crate) fn csv_line<T>(columns: &[Column<T>], row: &T, now: Timestamp) -> String {
    record(columns.iter().map(|column| field(&(column.cell)(row, now).text)))
}

fn record(fields: impl Iterator<Item = String>) -> String {
    fields.collect::<Vec<_>>().join(",") + "\r\n"
}

/// One answer: its names, then its values.
pub(super) fn pairs(pairs: &[(&str, Cell)]) -> String {
    let names = record(pairs.iter().map(|(name, _)| field(name)));
    names + &record(pairs.iter().map(|(_, cell)| field(&cell.text)))
}

fn field(text: &str) -> String {
    // A spreadsheet would run a formula that came in as somebody's name.
    let guarded = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if guarded.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", guarded.replace('"', "\"\""))
    } else {
        guarded
    }
}
