//! `ssctl simulator`: the simulated cluster of a development region, and its faults.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use streamspace_client::Connection;
use streamspace_proto::{
    json::to_value,
    v1::{DeleteFaultResponse, Fault, FaultKind, ListFaultsRequest},
};

use crate::{
    change::{Action, ChangeArgs, ForArgs, Given, Reply, act, send},
    errors::{Doing as _, Outcome},
    output::{Format, print_all, print_one},
    resource::{Noun as _, call, full_name},
    shell::Shell,
    time::{parse_duration, proto_duration, until},
};

mod noun;

/// All faults, as a name.
const EVERY: &str = "faults/-";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the simulated cluster of a development region fail, to practise on it
    ///
    /// A region on a real cluster refuses all of these. A fault is gone when
    /// `streamspaced dev` ends.
    #[command(subcommand, visible_alias = "faults")]
    Fault(FaultCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum FaultCommand {
    /// List the faults, newest first, with how often each acted
    List,
    /// Add a fault, which acts at once
    ///
    /// A request meets it where all that it names fits; without any, it meets every request to
    /// the cluster. Of several faults that fit, the delays add up and the oldest of the others
    /// acts.
    Create(Box<CreateArgs>),
    /// End a fault, or all of them
    Delete(DeleteArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// How it fails
    #[arg(long, value_enum)]
    kind: KindArg,
    /// Only requests of this verb; repeat it
    #[arg(long, value_name = "VERB", value_parser = VERBS)]
    verb: Vec<String>,
    /// Only requests for this resource, as in paths: namespaces, networkpolicies
    #[arg(long, value_name = "PLURAL")]
    resource: Option<String>,
    /// Only requests in this namespace
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Only requests for the object of this name
    #[arg(long, value_name = "NAME")]
    object: Option<String>,
    /// How many of a hundred requests fail; all without it
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..=100))]
    percent: Option<i32>,
    /// So many requests fail, then no more
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
    limit: Option<i64>,
    /// How long each request is held up, up to 1m; with --kind latency
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    #[arg(required_if_eq("kind", "latency"))]
    latency: Option<Duration>,
    /// What a refused client is told to wait; with --kind too-many-requests
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    retry_after: Option<Duration>,
    /// Which of the requests fail with --percent: the same ones for the same seed
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(0..))]
    seed: Option<i64>,
    #[command(flatten)]
    end: ForArgs,
    #[command(flatten)]
    change: ChangeArgs,
}

const VERBS: [&str; 7] = ["get", "list", "watch", "create", "update", "patch", "delete"];

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteArgs {
    /// The fault, as `ssctl simulator fault list` names it
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    name: Option<String>,
    /// All of them
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    change: ChangeArgs,
}

/// The kinds of faults, as they are typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KindArg {
    /// The answer comes late, by --latency
    Latency,
    /// 409: the object has changed meanwhile
    Conflict,
    /// 410: the resource version is too old
    Gone,
    /// 429, with Retry-After
    TooManyRequests,
    /// 500
    InternalError,
    /// A watch is cut off
    CutWatch,
    /// The connection is dropped without an answer
    DropConnection,
}

impl From<KindArg> for FaultKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Latency => Self::Latency,
            KindArg::Conflict => Self::Conflict,
            KindArg::Gone => Self::Gone,
            KindArg::TooManyRequests => Self::TooManyRequests,
            KindArg::InternalError => Self::InternalError,
            KindArg::CutWatch => Self::CutWatch,
            KindArg::DropConnection => Self::DropConnection,
        }
    }
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    let Command::Fault(command) = command;
    match command {
        FaultCommand::List => list(shell).await,
        FaultCommand::Create(args) => create(shell, &shell.connect()?, &args).await,
        FaultCommand::Delete(args) => delete(shell, &shell.connect()?, &args).await,
    }
}

async fn list(shell: &Shell) -> Outcome {
    let read = shell.read(async |connection| all(connection).await).await?;
    read.print_all(shell)
}

async fn all(connection: &Connection) -> Outcome<Vec<Fault>> {
    let reply = call!(connection, simulator.list_faults(ListFaultsRequest {}));
    Ok(reply.doing(|| "list the faults".into())?.faults)
}

impl Reply for Fault {
    // A level below, where no field counts as one that only the daemon writes: the
    // namespace of a fault is what somebody asked for.
    fn compared(&self) -> Outcome<Value> {
        let mut fault = to_value(self)?;
        if let Some(fields) = fault.as_object_mut() {
            fields.remove("createTime");
        }
        Ok(json!({ "fault": fault }))
    }
}

async fn create(shell: &Shell, connection: &Connection, args: &CreateArgs) -> Outcome {
    let wish = Fault {
        kind: FaultKind::from(args.kind).into(),
        verbs: args.verb.clone(),
        resource: args.resource.clone().unwrap_or_default(),
        namespace: args.namespace.clone().unwrap_or_default(),
        object: args.object.clone().unwrap_or_default(),
        percent: args.percent.unwrap_or_default(),
        limit: args.limit.unwrap_or_default(),
        latency: proto_duration(args.latency)?,
        retry_after: proto_duration(args.retry_after)?,
        seed: args.seed.unwrap_or_default(),
        ..Fault::default()
    };
    let action = Action {
        method: "SimulatorService.CreateFault",
        doing: "make a fault".into(),
        // It gets its name when it is made.
        name: Fault::PREFIX.trim_end_matches('/').into(),
        lifetime: args.end.lifetime,
        ..Action::default()
    };
    let before = async || Ok(Value::Null);
    let send = async |given: &Given| {
        send!(connection, given, simulator.create_fault, new CreateFaultRequest {
            fault: Some(wish.clone()),
            ttl,
        })
    };
    let done = |fault: &Fault| {
        let end = until(fault.expire_time.as_ref(), shell.now);
        let end = if end.is_empty() { "until somebody ends it".into() } else { end };
        format!("{}: the simulated cluster fails from now on, {end}", fault.name)
    };
    print_one(shell, &act(shell, &args.change, action, before, send, done).await?)
}

impl Reply for DeleteFaultResponse {
    fn compared(&self) -> Outcome<Value> {
        Ok(to_value(self)?)
    }
}

async fn delete(shell: &Shell, connection: &Connection, args: &DeleteArgs) -> Outcome {
    let name = args.name.as_ref().map_or_else(|| EVERY.into(), |typed| full_name::<Fault>(typed));
    let action = Action {
        method: "SimulatorService.DeleteFault",
        doing: if args.all { "end the faults".into() } else { format!("end {name}") },
        name: name.clone(),
        ends_it: true,
        ..Action::default()
    };
    let before = async || {
        let found = all(connection).await?.into_iter();
        let found: Vec<Fault> = found.filter(|fault| args.all || fault.name == name).collect();
        Ok(match found.as_slice() {
            [] => Value::Null,
            [fault] => fault.compared()?,
            _ => to_value(&DeleteFaultResponse { faults: found })?,
        })
    };
    let send = async |given: &Given| {
        send!(connection, given, simulator.delete_fault, DeleteFaultRequest {})
    };
    let done = |reply: &DeleteFaultResponse| match reply.faults.as_slice() {
        [] => "there was no fault".into(),
        [fault] => format!("{} does not act any more; it acted {}", fault.name, noun::times(fault)),
        faults => format!("{} faults do not act any more", faults.len()),
    };
    let reply = act(shell, &args.change, action, before, send, done).await?;
    match shell.format() {
        // A table of them would read as if they were still there.
        Format::Table | Format::Wide => Ok(()),
        _ => print_all(shell, &reply.faults),
    }
}
