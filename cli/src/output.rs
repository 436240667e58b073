//! How data is printed: one set of formats for every noun.

mod csv;
mod diff;
mod format;
mod jsonpath;
mod merged;
mod table;

use std::fmt::Write as _;

use serde_json::{Value, json};
use streamspace_client::text::{escape, escape_lines, misleads};
use streamspace_proto::json::to_value;

pub(crate) use csv::{csv_line, csv_titles, field as csv_field};
pub(crate) use diff::preview;
pub(crate) use format::{Format, Output, OutputParser};
pub(crate) use jsonpath::Template;
pub(crate) use table::{Cell, Column, Layout, Tone, details, line, titles};

use crate::{
    errors::{Failure, Outcome},
    resource::Noun,
    shell::Shell,
};
use merged::Rows;

/// How the rows of a list are printed, of a noun or of something else.
#[derive(Debug)]
pub(crate) struct Listing<T> {
    /// As in "no tenants".
    pub(crate) plural: &'static str,
    /// What a table shows.
    pub(crate) columns: Vec<Column<T>>,
    /// What `-o name` shows.
    pub(crate) name: fn(&T) -> String,
    /// What JSON has of it.
    pub(crate) value: fn(&T) -> Outcome<Value>,
}

impl<N: Noun> Listing<N> {
    /// As the noun describes itself.
    pub(crate) fn of_noun() -> Self {
        Self {
            plural: N::PLURAL,
            columns: N::columns(),
            name: |one| one.resource_name().to_owned(),
            value: |one| Ok(to_value(one)?),
        }
    }
}

/// Prints a text as it is: a file gets it byte for byte, a terminal nothing that acts on it.
pub(crate) fn print_text(shell: &Shell, text: &str) -> Outcome {
    if shell.terminal.output.terminal {
        shell.print(&escape_lines(text))
    } else {
        shell.print(text)
    }
}

/// Prints several of a noun.
pub(crate) fn print_all<N: Noun>(shell: &Shell, all: &[N]) -> Outcome {
    print_rows(shell, &Listing::of_noun(), all)
}

/// Prints rows.
pub(crate) fn print_rows<T>(shell: &Shell, listing: &Listing<T>, rows: &[T]) -> Outcome {
    Rows { several: false, groups: vec![("", rows)], unread: &[] }.print(shell, listing)
}

/// Prints one of a noun, as a page of details where people read it.
pub(crate) fn print_one<N: Noun>(shell: &Shell, one: &N) -> Outcome {
    match shell.format() {
        Format::Table | Format::Wide => {
            let layout = Layout::new(shell.terminal, shell.format() == Format::Wide);
            shell.print(&details(&one.details(shell.now), layout))
        }
        Format::Csv | Format::Name => print_all(shell, std::slice::from_ref(one)),
        _ => print_value(shell, &to_value(one)?),
    }
}

/// Prints an answer that is no resource: details for people, else its value.
pub(crate) fn print_answer(shell: &Shell, pairs: &[(&str, Cell)], value: &Value) -> Outcome {
    match shell.format() {
        Format::Name => Err(no_name()),
        Format::Csv => shell.print(&csv::pairs(pairs)),
        Format::Table | Format::Wide => {
            shell.print(&details(pairs, Layout::new(shell.terminal, false)))
        }
        _ => print_value(shell, value),
    }
}

/// A format that this command cannot print.
fn no_name() -> Failure {
    Failure::Usage {
        message: "this answer has no name to print".into(),
        next: "use -o json, -o yaml or -o jsonpath=TEMPLATE".into(),
    }
}

/// Prints a list of values that are not of the contract.
pub(crate) fn print_values(shell: &Shell, values: &[Value]) -> Outcome {
    let text = match shell.format() {
        Format::Jsonl => lines(values),
        Format::JsonPath => filled(shell, &json!({ "items": values })),
        _ => return print_value(shell, &Value::Array(values.to_vec())),
    };
    shell.print(&text)
}

/// Prints one value.
pub(crate) fn print_value(shell: &Shell, value: &Value) -> Outcome {
    let text = match shell.format() {
        Format::Yaml => yaml(value)?,
        Format::Jsonl => lines(std::slice::from_ref(value)),
        Format::JsonPath => filled(shell, value),
        _ => pretty(value)?,
    };
    shell.print(&text)
}

/// One event of a stream in the formats of values: a line, or a YAML document.
pub(crate) fn data_line(shell: &Shell, value: &Value) -> Outcome<String> {
    Ok(match shell.format() {
        Format::Yaml => format!("---\n{}", yaml(value)?),
        Format::JsonPath => shell
            .template()
            .map(|template| template.fill(value, shell.terminal.output.terminal))
            .unwrap_or_default(),
        _ => lines(std::slice::from_ref(value)),
    })
}

/// Fills the template of `-o jsonpath=…`. Where it takes out nothing, a slip in a
/// name is told.
fn filled(shell: &Shell, value: &Value) -> String {
    let Some(template) = shell.template() else { return String::new() };
    let text = template.fill(value, shell.terminal.output.terminal);
    if text.trim().is_empty()
        && let Some(hint) = template.hint(value)
    {
        shell.talk(&format!("jsonpath: {hint}"));
    }
    text
}

/// Rows that are not of the contract, as a table or CSV.
pub(crate) fn plain_table<T>(
    format: Format,
    columns: &[Column<T>],
    rows: &[T],
    layout: Layout,
    now: jiff::Timestamp,
) -> String {
    if format == Format::Csv {
        let rows = rows.iter().map(|row| csv_line(columns, row, now));
        return csv_titles(columns) + &rows.collect::<String>();
    }
    let wide = format == Format::Wide;
    let mut grid = table::Grid::new(columns, wide);
    for row in rows {
        grid.push(None, columns, wide, row, now);
    }
    grid.draw(layout).text
}

fn lines(values: &[Value]) -> String {
    let mut text = String::new();
    for value in values {
        text.push_str(&plain_json(value.to_string()));
        text.push('\n');
    }
    text
}

/// JSON in which nothing acts on a terminal, and which says the same: what the
/// format leaves as it is although it would, stands as `\uXXXX`.
fn plain_json(json: String) -> String {
    let acts = |c: char| c != '\n' && misleads(c);
    if !json.chars().any(acts) {
        return json;
    }
    let mut plain = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if acts(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(plain, "\\u{unit:04x}");
            }
        } else {
            plain.push(character);
        }
    }
    plain
}

/// A name on a line of its own.
fn name_line(name: &str) -> String {
    format!("{}\n", escape(name))
}

fn pretty(value: &Value) -> Outcome<String> {
    let text = serde_json::to_string_pretty(value).map_err(|error| broken(&error))?;
    Ok(plain_json(text) + "\n")
}

/// A value as YAML.
pub(crate) fn yaml(value: &impl serde::Serialize) -> Outcome<String> {
    serde_saphyr::to_string(value).map_err(|error| broken(&error))
}

fn broken(error: &dyn std::error::Error) -> Failure {
    Failure::Local {
        message: format!("cannot print the answer: {error}"),
        next: "use another format with -o".into(),
    }
}

#[cfg(test)]
mod tests;
