//! `ssctl operation`, and the wait that other commands use.

use std::time::Duration;

use clap::Subcommand;
use jiff::Timestamp;
use streamspace_client::{ClientError, Connection};
use streamspace_proto::v1::{
    GetOperationRequest, ListOperationsRequest, Operation, WaitOperationRequest,
};
use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::{
    errors::{Doing as _, Failure, Outcome},
    output::{Cell, Column, Tone, print_all, print_one},
    resource::{ListArgs, Noun, call, full_name, list, short},
    shell::Shell,
    time::{age, local},
};

/// How long a wait lasts where `--timeout` does not say.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);
/// How long the daemon holds one call of a wait. Below a call's deadline.
const ONE_CALL: Duration = Duration::from_secs(10);

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List operations, newest first
    List(ListArgs),
    /// Show an operation
    #[command(visible_aliases = ["get", "describe"])]
    Show {
        /// The operation
        name: String,
    },
    /// Wait until an operation is done
    Wait {
        /// The operation
        name: String,
    },
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::List(args) => all(shell, &args).await,
        Command::Show { name } => {
            let connection = shell.connect()?;
            let name = full_name::<Operation>(&name);
            let request = GetOperationRequest { name: name.clone() };
            let operation = call!(&connection, operations.get_operation(request))
                .doing(|| format!("show {name}"))?;
            print_one(shell, &operation)
        }
        Command::Wait { name } => {
            let connection = shell.connect_to_wait()?;
            let operation = wait(shell, &connection, &full_name::<Operation>(&name)).await?;
            print_one(shell, &operation)
        }
    }
}

async fn all(shell: &Shell, args: &ListArgs) -> Outcome {
    let connection = shell.connect()?;
    let operations = list!(&connection, args.limit, operations.list_operations,
        ListOperationsRequest { filter: args.filter.clone() } => operations);
    print_all(shell, &operations?)
}

/// Waits until an operation is done, through losses of the connection. An
/// operation that failed is a failure.
pub(crate) async fn wait(shell: &Shell, connection: &Connection, name: &str) -> Outcome<Operation> {
    let end = Instant::now() + shell.global.timeout.unwrap_or(PATIENCE);
    let mut told = String::new();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match wait_once(connection, name, left.min(ONE_CALL)).await {
            Ok(operation) if operation.done => return ended(operation),
            Ok(operation) => tell(shell, name, &operation.progress, &mut told),
            Err(error) if error.is_transient() => {
                tell(shell, name, &format!("{error}; still trying"), &mut told);
                sleep(Duration::from_millis(500).min(left)).await;
            }
            Err(error) => return Err(error).doing(|| format!("wait for {name}")),
        }
        if Instant::now() >= end {
            return Err(Failure::Waited {
                message: format!("{name} is not done yet: {told}"),
                next: format!("it goes on; `ssctl operation wait {name}` waits again"),
            });
        }
    }
}

async fn wait_once(
    connection: &Connection,
    name: &str,
    patience: Duration,
) -> Result<Operation, ClientError> {
    let request = WaitOperationRequest {
        name: name.to_owned(),
        timeout: prost_types::Duration::try_from(patience).ok(),
    };
    call!(connection, operations.wait_operation(request))
}

fn ended(operation: Operation) -> Outcome<Operation> {
    match &operation.error {
        None => Ok(operation),
        Some(error) => Err(Failure::Operation {
            name: operation.name.clone(),
            code: Code::from_i32(error.code),
            message: error.message.clone(),
        }),
    }
}

/// Tells what is new, once.
fn tell(shell: &Shell, name: &str, news: &str, told: &mut String) {
    if !news.is_empty() && news != told {
        shell.talk(&format!("{name}: {news}"));
        news.clone_into(told);
    }
}

impl Noun for Operation {
    const PLURAL: &'static str = "operations";
    const PREFIX: &'static str = "operations/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |operation: &Self, _| short(Self::PREFIX, &operation.name).into()),
            Column::new("KIND", |operation, _| operation.kind.clone().into()),
            Column::new("TARGET", |operation, _| operation.target.clone().into()),
            Column::new("STATE", |operation, _| state(operation)),
            Column::new("PROGRESS", |operation, _| operation.progress.clone().into()),
            Column::new("AGE", |operation, now| age(operation.create_time.as_ref(), now).into()),
            Column::wide("ACTOR", |operation, _| operation.actor.clone().into()),
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, Cell)> {
        let error = self.error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
        vec![
            ("Name", self.name.clone().into()),
            ("Kind", self.kind.clone().into()),
            ("Target", self.target.clone().into()),
            ("State", state(self)),
            ("Progress", self.progress.clone().into()),
            ("Error", Cell::toned(error, Tone::Bad)),
            ("Asked by", self.actor.clone().into()),
            ("Begun", local(self.create_time.as_ref()).into()),
            ("Ended", local(self.end_time.as_ref()).into()),
        ]
    }
}

fn state(operation: &Operation) -> Cell {
    match (operation.done, &operation.error) {
        (false, _) => Cell::toned("running", Tone::Doubtful),
        (true, None) => Cell::toned("done", Tone::Good),
        (true, Some(_)) => Cell::toned("failed", Tone::Bad),
    }
}
