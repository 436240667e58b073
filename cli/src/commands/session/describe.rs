//! `ssctl session describe`: a session with all that the cluster has and says of it.

use streamspace_proto::{
    json::to_value,
    v1::{DescribeSessionRequest, DescribeSessionResponse},
};

use super::{
    name::full,
    noun::{Summary as _, condition_columns, event_columns, object_columns},
};
use crate::{
    errors::{Doing as _, Outcome},
    output::{Cell, Column, Format, Layout, Tone, details, plain_table},
    resource::{Noun as _, call},
    shell::Shell,
};

pub(super) async fn run(shell: &Shell, typed: &str) -> Outcome {
    let name = full(typed)?;
    let read = shell.read(async |connection| {
        let request = DescribeSessionRequest { name: name.clone() };
        call!(connection, sessions.describe_session(request)).doing(|| format!("describe {name}"))
    });
    let read = read.await?;
    match shell.format() {
        Format::Table | Format::Wide => {
            for (at, (context, told)) in read.answers.iter().enumerate() {
                let between = if at == 0 { "" } else { "\n" };
                let context = read.several.then_some(context.as_str());
                shell.print(&format!("{between}{}", page(shell, context, told)))?;
            }
            read.end(shell)
        }
        Format::Name | Format::Csv => {
            read.map(|_, told| Ok(told.session.unwrap_or_default()))?.print_one(shell)
        }
        _ => read.print_answer(
            shell,
            |told| told.session.as_ref().map(|it| it.details(shell.now)).unwrap_or_default(),
            |told| Ok(to_value(told)?),
        ),
    }
}

/// The session, then its conditions, objects and events, each in a table of its own.
fn page(shell: &Shell, context: Option<&str>, told: &DescribeSessionResponse) -> String {
    let layout = Layout::new(shell.terminal, false);
    let session = told.session.clone().unwrap_or_default();
    let mut pairs = session.summary(shell.now);
    if let Some(context) = context {
        pairs.insert(0, ("Context", context.into()));
    }
    if !told.message.is_empty() {
        pairs.push(("Not read", Cell::toned(told.message.clone(), Tone::Bad)));
    }
    let mut text = details(&pairs, layout);
    text += &table(shell, &condition_columns(), &session.conditions);
    text += &table(shell, &object_columns(), &told.objects);
    text += &table(shell, &event_columns(), &told.events);
    if told.events.is_empty() && told.message.is_empty() {
        text += "\nThe cluster says nothing of it.\n";
    }
    text
}

/// A table below an empty line; nothing where there are no rows.
fn table<T>(shell: &Shell, columns: &[Column<T>], rows: &[T]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let layout = Layout::new(shell.terminal, false);
    format!("\n{}", plain_table(Format::Table, columns, rows, layout, shell.now))
}
