//! Comma-separated values (RFC 4180), for spreadsheets.

use jiff::Timestamp;

use super::{Cell, Column};

/// All columns of a noun, with titles.
pub(super) fn encode<T>(columns: &[Column<T>], rows: &[T], now: Timestamp) -> String {
    let titles = columns.iter().map(|column| field(column.title)).collect::<Vec<_>>();
    let rows = rows.iter().map(|row| {
        let cells = columns.iter().map(|column| field(&(column.cell)(row, now).text));
        cells.collect::<Vec<_>>().join(",")
    });
    let mut text = titles.join(",") + "\r\n";
    for row in rows {
        text.push_str(&row);
        text.push_str("\r\n");
    }
    text
}

/// One answer: its names, then its values.
pub(super) fn pairs(pairs: &[(&str, Cell)]) -> String {
    let names: Vec<_> = pairs.iter().map(|(name, _)| field(name)).collect();
    let values: Vec<_> = pairs.iter().map(|(_, cell)| field(&cell.text)).collect();
    format!("{}\r\n{}\r\n", names.join(","), values.join(","))
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
