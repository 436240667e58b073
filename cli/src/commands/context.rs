//! `ssctl context`: no daemon is asked.

use clap::Subcommand;
use serde_json::{Value, json};
use streamspace_client::{ClientError, Context, Contexts, credentials::Credential};

use crate::{
    errors::Outcome,
    output::{Cell, Column, Listing, Tone, print_answer, print_rows},
    shell::Shell,
    time,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the contexts
    List,
    /// Make a context the one that is used where none is named
    Use {
        /// The context
        name: String,
    },
    /// Show a context: where it leads, whom it trusts, how long its keys last
    #[command(visible_aliases = ["get", "describe"])]
    Show {
        /// The context; the one in use where it is not given
        name: Option<String>,
    },
    /// Forget a context and its keys
    Delete {
        /// The context
        name: String,
    },
}

pub(crate) fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::List => list(shell),
        Command::Use { name } => choose(shell, &name),
        Command::Show { name } => show(shell, name.as_deref()),
        Command::Delete { name } => delete(shell, &name),
    }
}

fn load(shell: &Shell) -> Outcome<Contexts> {
    Ok(Contexts::load(&shell.environment).map_err(ClientError::from)?)
}

struct Row {
    context: Context,
    in_use: bool,
}

fn list(shell: &Shell) -> Outcome {
    let contexts = load(shell)?;
    // Several named ones are no mistake here: they only mark what is in use.
    let named = shell.named_context().ok().flatten();
    let in_use = contexts.resolve(named, &shell.environment).ok().map(|context| context.name);
    let rows: Vec<Row> = contexts
        .iter()
        .map(|context| Row {
            in_use: in_use.as_deref() == Some(&context.name),
            context: context.clone(),
        })
        .collect();
    if rows.is_empty() && !shell.format().is_data() {
        shell.talk("`ssctl login HOST --token TOKEN` makes one");
    }
    print_rows(shell, &listing(), &rows)
}

fn listing() -> Listing<Row> {
    Listing {
        plural: "contexts",
        columns: columns(),
        name: |row| row.context.name.clone(),
        value: |row| Ok(value(&row.context, row.in_use)),
    }
}

fn columns() -> Vec<Column<Row>> {
    vec![
        Column::new("NAME", |row: &Row, _| row.context.name.clone().into()),
        Column::new("CURRENT", |row, _| if row.in_use { "yes" } else { "" }.into()),
        Column::new("REGION", |row, _| row.context.region.clone().into()),
        Column::new("ENDPOINT", |row, _| row.context.endpoint.clone().into()),
        Column::new("PROTECTED", |row, _| if row.context.protected { "yes" } else { "" }.into()),
        Column::wide("KEYS", |row, _| row.context.credential.clone().into()),
    ]
}

fn value(context: &Context, in_use: bool) -> Value {
    json!({
        "name": context.name,
        "current": in_use,
        "region": context.region,
        "endpoint": context.endpoint.to_string(),
        "protected": context.protected,
        "keys": context.credential.to_string(),
    })
}

fn choose(shell: &Shell, name: &str) -> Outcome {
    Contexts::change(&shell.environment, |contexts| contexts.choose(name))
        .map_err(ClientError::from)?;
    shell.talk(&format!("context {name} is now current"));
    if let Some(other) = shell.environment.context().filter(|other| *other != name) {
        shell.talk(&format!("SSCTL_CONTEXT={other} goes before it in this shell"));
    }
    Ok(())
}

fn show(shell: &Shell, name: Option<&str>) -> Outcome {
    let contexts = load(shell)?;
    let named = match name {
        Some(name) => Some(name),
        None => shell.named_context()?,
    };
    let context = contexts.resolve(named, &shell.environment).map_err(ClientError::from)?;
    let credential = Credential::load(&context.credential);
    let now = shell.now;
    let (device, client) = match &credential {
        Ok(credential) => {
            let ends = |until: jiff::Timestamp| {
                let time = prost_types::Timestamp { seconds: until.as_second(), nanos: 0 };
                let tone = if until <= now { Tone::Bad } else { Tone::Plain };
                let left = time::remaining(Some(&time), now);
                Cell::toned(format!("{} (in {left})", time::local(Some(&time))), tone)
            };
            let device = credential.device.as_ref().map(|device| ends(device.validity().until));
            (device.unwrap_or_else(|| "".into()), ends(credential.client.validity().until))
        }
        Err(error) => ("".into(), Cell::toned(error.to_string(), Tone::Bad)),
    };
    let pairs: [(&str, Cell); 8] = [
        ("Name", context.name.clone().into()),
        ("Endpoint", context.endpoint.clone().into()),
        ("Region", context.region.clone().into()),
        ("Protected", if context.protected { "yes" } else { "no" }.into()),
        ("Keys", context.credential.clone().into()),
        ("Client certificate ends", client),
        ("Device certificate ends", device),
        ("File", contexts.path().display().into()),
    ];
    let in_use = contexts.current() == Some(&context.name);
    print_answer(shell, &pairs, &value(&context, in_use))
}

fn delete(shell: &Shell, name: &str) -> Outcome {
    let context = Contexts::change(&shell.environment, |contexts| contexts.remove(name))
        .map_err(ClientError::from)?;
    Credential::forget(&context.credential).map_err(ClientError::from)?;
    shell.talk(&format!("context {name} and its keys are gone from this machine"));
    Ok(())
}
