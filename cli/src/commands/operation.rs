//! `ssctl operation`, and the wait that other commands use.

use clap::Subcommand;
use serde_json::json;
use streamspace_client::{ClientError, Connection};
use streamspace_proto::v1::{
    GetOperationRequest, ListOperationItemsRequest, ListOperationsRequest, Operation,
};

use crate::{
    change::{Action, ChangeArgs, Given, act, send},
    errors::{Doing as _, Outcome},
    output::print_one,
    resource::{ListArgs, call, full_name, list},
    shell::Shell,
};

mod follow;
mod noun;

pub(crate) use follow::{PATIENCE, follow, verdict, wait};
pub(crate) use noun::message;

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
    /// Show what became of each tenant or session of an operation over several
    Items {
        /// The operation
        name: String,
        /// Which ones, for example 'state = failed'; fields: target, state
        #[arg(long, default_value = "", hide_default_value = true, value_name = "EXPRESSION")]
        filter: String,
        /// At most so many
        #[arg(long, value_name = "NUMBER")]
        limit: Option<usize>,
    },
    /// Wait until an operation is done; ends with 14 where only a part of it was
    Wait {
        /// The operation
        name: String,
    },
    /// Stop an operation over several; what was done stays
    Cancel(Control),
    /// Go on with what a stopped operation left, and try again what failed
    Resume(Control),
}

/// Stopping an operation, or going on with it.
#[derive(Debug, clap::Args)]
pub(crate) struct Control {
    /// The operation
    name: String,
    #[command(flatten)]
    change: ChangeArgs,
    /// Wait until it is done
    #[arg(long)]
    wait: bool,
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::List(args) => all(shell, &args).await,
        Command::Show { name } => {
            let name = full_name::<Operation>(&name);
            let operation = shell
                .read(async |connection| {
                    get(connection, &name).await.doing(|| format!("show {name}"))
                })
                .await?;
            operation.print_one(shell)
        }
        Command::Items { name, filter, limit } => {
            let name = full_name::<Operation>(&name);
            let items = shell
                .read(async |connection| {
                    list!(connection, limit, operations.list_operation_items,
                        ListOperationItemsRequest { name: name.clone(), filter: filter.clone() }
                        => items)
                })
                .await?;
            items.print_all(shell)
        }
        Command::Wait { name } => {
            let connection = shell.connect_to_wait()?;
            let name = full_name::<Operation>(&name);
            let operation = follow(shell, &connection, &name).await?;
            print_one(shell, &operation)?;
            verdict(shell, &connection, &operation).await
        }
        Command::Cancel(args) => cancel(shell, &args).await,
        Command::Resume(args) => resume(shell, &args).await,
    }
}

async fn all(shell: &Shell, args: &ListArgs) -> Outcome {
    let operations = shell.read(async |connection| {
        list!(connection, args.limit, operations.list_operations,
            ListOperationsRequest { filter: args.filter.clone() } => operations)
    });
    operations.await?.print_all(shell)
}

async fn get(connection: &Connection, name: &str) -> Result<Operation, ClientError> {
    let request = GetOperationRequest { name: name.to_owned() };
    call!(connection, operations.get_operation(request))
}

async fn cancel(shell: &Shell, args: &Control) -> Outcome {
    let effect = "what is under way is finished, what was done stays, the rest is left as it is";
    let action = action(args, "OperationService.CancelOperation", "cancel", effect);
    let done = |operation: &Operation| {
        let stage = if operation.done { "has stopped" } else { "is stopping" };
        format!("{} {stage}", operation.name)
    };
    let connection = connect(shell, args)?;
    let send = async |given: &Given| {
        send!(&connection, given, operations.cancel_operation, CancelOperationRequest {})
    };
    let operation = control(shell, &connection, args, action, send, done).await?;
    // That it was stopped is what was asked for, and no failure.
    print_one(shell, &operation)
}

async fn resume(shell: &Shell, args: &Control) -> Outcome {
    let effect = "what was left goes on, and what failed is tried again, in your name";
    let action = action(args, "OperationService.ResumeOperation", "resume", effect);
    let done = |operation: &Operation| format!("{} goes on", operation.name);
    let connection = connect(shell, args)?;
    let send = async |given: &Given| {
        send!(&connection, given, operations.resume_operation, ResumeOperationRequest {})
    };
    let operation = control(shell, &connection, args, action, send, done).await?;
    print_one(shell, &operation)?;
    if args.wait { verdict(shell, &connection, &operation).await } else { Ok(()) }
}

fn connect(shell: &Shell, args: &Control) -> Outcome<Connection> {
    if args.wait { shell.connect_to_wait() } else { shell.connect() }
}

fn action(
    args: &Control,
    method: &'static str,
    verb: &str,
    effect: &'static str,
) -> Action<'static> {
    let name = full_name::<Operation>(&args.name);
    Action { method, doing: format!("{verb} {name}"), name, effect, ..Action::default() }
}

async fn control(
    shell: &Shell,
    connection: &Connection,
    args: &Control,
    action: Action<'_>,
    send: impl AsyncFn(&Given) -> Result<Operation, ClientError>,
    done: impl FnOnce(&Operation) -> String,
) -> Outcome<Operation> {
    let name = action.name.clone();
    // Its counts move by themselves, so a preview shows the effect alone.
    let before = async || Ok(json!({ "name": name.clone() }));
    let send = async |given: &Given| {
        let reply = send(given).await?;
        Ok(if given.validate_only {
            Operation { name: reply.name, ..Operation::default() }
        } else {
            reply
        })
    };
    let operation = act(shell, &args.change, action, before, send, done).await?;
    if args.wait && !operation.done {
        return follow(shell, connection, &operation.name).await;
    }
    Ok(operation)
}
