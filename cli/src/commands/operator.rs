//! `ssctl operator`: people with a client certificate.

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::Value;
use streamspace_proto::v1::{ListOperatorLocksRequest, OperatorLock};

use crate::{
    change::{Action, ChangeArgs, ForArgs, Given, Loss, Reply, act, send},
    confirm::{ConfirmArgs, Question},
    errors::Outcome,
    output::{Cell, Column, Format, print_one},
    resource::{LimitArgs, Noun, full_name, list, short},
    shell::Shell,
    time::{local, until},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the people that are locked
    List(LimitArgs),
    /// Let a person do nothing, whatever certificate they hold
    Lock(LockArgs),
    /// End the lock of a person
    Unlock {
        /// The operator
        name: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct LockArgs {
    /// The operator
    name: String,
    #[command(flatten)]
    end: ForArgs,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    confirm: ConfirmArgs,
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::List(LimitArgs { limit }) => {
            let locks = shell.read(async |connection| {
                list!(connection, limit, access.list_operator_locks,
                    ListOperatorLocksRequest {} => locks)
            });
            locks.await?.print_all(shell)
        }
        Command::Lock(args) => lock(shell, &args).await,
        Command::Unlock { name, change } => unlock(shell, &name, &change).await,
    }
}

impl Reply for OperatorLock {}

async fn lock(shell: &Shell, args: &LockArgs) -> Outcome {
    let connection = shell.connect()?;
    let name = full_name::<OperatorLock>(&args.name);
    let id = short(OperatorLock::PREFIX, &name);
    let what = format!("{id} will be locked out: no certificate of theirs works any more.");
    let question = Question { what: &what, name: id, protected: connection.context().protected };
    let action = Action {
        method: "AccessService.LockOperator",
        doing: format!("lock {name}"),
        name: name.clone(),
        lifetime: args.end.lifetime,
        loss: Some(Loss { args: &args.confirm, question }),
        ..Action::default()
    };
    let before = async || Ok(Value::Null);
    let send = async |given: &Given| {
        send!(&connection, given, access.lock_operator, LockOperatorRequest { ttl })
    };
    let done = |lock: &OperatorLock| {
        let end = until(lock.expire_time.as_ref(), shell.now);
        format!("{} is locked {end}", lock.name).trim_end().to_owned()
    };
    print_one(shell, &act(shell, &args.change, action, before, send, done).await?)
}

async fn unlock(shell: &Shell, typed: &str, change: &ChangeArgs) -> Outcome {
    let connection = shell.connect()?;
    let name = full_name::<OperatorLock>(typed);
    let action = Action {
        method: "AccessService.UnlockOperator",
        doing: format!("unlock {name}"),
        name,
        effect: "the lock ends",
        ..Action::default()
    };
    let before = async || Ok(Value::Null);
    let send = async |given: &Given| {
        send!(&connection, given, access.unlock_operator, UnlockOperatorRequest {})
    };
    let done = |lock: &OperatorLock| format!("{} is not locked any more", lock.name);
    let lock = act(shell, change, action, before, send, done).await?;
    match shell.format() {
        // A page about the lock would read as if it were still there.
        Format::Table | Format::Wide => Ok(()),
        _ => print_one(shell, &lock),
    }
}

impl Noun for OperatorLock {
    const PLURAL: &'static str = "locked operators";
    const PREFIX: &'static str = "operators/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("OPERATOR", |lock: &Self, _| short(Self::PREFIX, &lock.name).into()),
            Column::new("SINCE", |lock, _| local(lock.lock_time.as_ref()).into()),
            Column::new("END", end),
            Column::new("LOCKED BY", |lock, _| lock.actor.clone().into()),
            Column::new("REASON", |lock, _| lock.reason.clone().into()),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, Cell)> {
        vec![
            ("Operator", short(Self::PREFIX, &self.name).into()),
            ("Locked since", local(self.lock_time.as_ref()).into()),
            ("End", end(self, now)),
            ("Locked by", self.actor.clone().into()),
            ("Reason", self.reason.clone().into()),
        ]
    }
}

fn end(lock: &OperatorLock, now: Timestamp) -> Cell {
    match &lock.expire_time {
        Some(_) => until(lock.expire_time.as_ref(), now).into(),
        None => "until somebody ends it".into(),
    }
}
