//! How data is printed: one set of formats for every noun.

mod csv;
mod diff;
mod table;

use clap::ValueEnum;
use serde_json::Value;
use streamspace_proto::json::to_value;

pub(crate) use csv::{csv_line, csv_titles};
pub(crate) use diff::preview;
pub(crate) use table::{Cell, Column, Layout, Tone, details, line, titles};

use crate::{
    errors::{Failure, Outcome},
    resource::Noun,
    shell::Shell,
};

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table for people
    Table,
    /// A table with more columns
    Wide,
    /// JSON as the contract defines it
    Json,
    /// The same as YAML
    Yaml,
    /// The same, one object a line
    Jsonl,
    /// The table's columns, separated by commas
    Csv,
    /// Names alone, one a line
    Name,
}

/// Prints several of a noun.
pub(crate) fn print_all<N: Noun>(shell: &Shell, all: &[N]) -> Outcome {
    let text = match shell.format() {
        Format::Json => pretty(&Value::Array(values(all)?))?,
        Format::Yaml => yaml(&values(all)?)?,
        Format::Jsonl => values(all)?
            .iter()
            .map(|value| {
                value.to_string()
                    + "
"
            })
            .collect(),
        Format::Name => names(all),
        Format::Csv => csv::encode(&N::columns(), all, shell.now),
        format => {
            if all.is_empty() {
                shell.talk(&format!("no {}", N::PLURAL));
                return Ok(());
            }
            let layout = Layout::new(shell.terminal, format == Format::Wide);
            table::table(&N::columns(), all, layout, shell.now)
        }
    };
    shell.print(&text)
}

/// Prints one of a noun, as a page of details where people read it.
pub(crate) fn print_one<N: Noun>(shell: &Shell, one: &N) -> Outcome {
    match shell.format() {
        Format::Table | Format::Wide => {
            let layout = Layout::new(shell.terminal, shell.format() == Format::Wide);
            shell.print(&details(&one.details(shell.now), layout))
        }
        Format::Json | Format::Yaml | Format::Jsonl => print_value(shell, &to_value(one)?),
        Format::Csv | Format::Name => print_all(shell, std::slice::from_ref(one)),
    }
}

/// Prints an answer that is no resource: details for people, else its value.
pub(crate) fn print_answer(shell: &Shell, pairs: &[(&str, Cell)], value: &Value) -> Outcome {
    match shell.format() {
        Format::Json | Format::Yaml | Format::Jsonl => print_value(shell, value),
        Format::Name => Err(no_name()),
        Format::Csv => shell.print(&csv::pairs(pairs)),
        Format::Table | Format::Wide => {
            shell.print(&details(pairs, Layout::new(shell.terminal, false)))
        }
    }
}

/// A format that this command cannot print.
fn no_name() -> Failure {
    Failure::Usage {
        message: "this answer has no name to print".into(),
        next: "use -o json or -o yaml".into(),
    }
}

/// Prints values that are not of the contract.
pub(crate) fn print_values(shell: &Shell, values: &[Value]) -> Outcome {
    let text = match shell.format() {
        Format::Yaml => yaml(&values)?,
        Format::Jsonl => values
            .iter()
            .map(|value| {
                value.to_string()
                    + "
"
            })
            .collect(),
        _ => pretty(&Value::Array(values.to_vec()))?,
    };
    shell.print(&text)
}

/// Rows that are not of the contract, as a table or CSV.
pub(crate) fn plain_table<T>(
    format: Format,
    columns: &[Column<T>],
    rows: &[T],
    layout: Layout,
    now: jiff::Timestamp,
) -> String {
    match format {
        Format::Csv => csv::encode(columns, rows, now),
        _ => table::table(columns, rows, layout, now),
    }
}

fn print_value(shell: &Shell, value: &Value) -> Outcome {
    let text = match shell.format() {
        Format::Yaml => yaml(value)?,
        Format::Jsonl => format!("{value}\n"),
        _ => pretty(value)?,
    };
    shell.print(&text)
}

fn values<N: Noun>(all: &[N]) -> Outcome<Vec<Value>> {
    Ok(all.iter().map(to_value).collect::<Result<_, _>>()?)
}

fn names<N: Noun>(all: &[N]) -> String {
    let name = |one: &N| streamspace_client::text::escape(one.resource_name()).into_owned();
    all.iter()
        .map(|one| {
            name(one)
                + "
"
        })
        .collect()
}

fn pretty(value: &Value) -> Outcome<String> {
    let text = serde_json::to_string_pretty(value).map_err(|error| broken(&error))?;
    Ok(text + "\n")
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
