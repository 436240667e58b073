//! `ssctl maintenance`: times in which something may be down.

use std::time::Duration;

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::Value;
use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::to_value,
    v1::{ListMaintenancesRequest, Maintenance, Slo, StartMaintenanceRequest, Tenant},
};

use crate::{
    change::{Action, ChangeArgs, Given, Reply, act, send},
    errors::{Doing as _, Failure, Outcome},
    output::{Cell, Column, Tone, print_one},
    resource::{Noun, call, full_name, short},
    shell::Shell,
    time::{instant, local, parse_duration, parse_when, proto_duration, proto_instant, remaining},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a maintenance: its minutes do not count, its alerts page nobody
    ///
    /// The status page is told. It ends by itself.
    #[command(after_long_help = EXAMPLES)]
    Start(StartArgs),
    /// End a maintenance before its time
    End(EndArgs),
    /// List maintenances that go on or will begin
    List {
        /// Also those that ended in the last 90 days
        #[arg(long)]
        ended: bool,
    },
}

const EXAMPLES: &str = "\
Examples:
  ssctl maintenance start 'moving disks' --for 30m
  ssctl maintenance start 'new database' --for 2h --from 2026-12-24T03:00 --slo api-latency";

#[derive(Debug, clap::Args)]
pub(crate) struct StartArgs {
    /// What is done; the status page tells it, and it is the reason where none is given
    title: String,
    /// How long it goes on: 30m, 2h, up to 7d
    #[arg(long = "for", value_parser = parse_duration, value_name = "DURATION")]
    length: Duration,
    /// When it begins, up to 30 days ahead; now without
    #[arg(long, value_parser = parse_when, value_name = "TIME")]
    from: Option<Timestamp>,
    /// An SLO whose minutes do not count; all without
    #[arg(long = "slo", value_name = "SLO")]
    slos: Vec<String>,
    /// A tenant that it is about; all without
    #[arg(long = "tenant", value_name = "TENANT")]
    tenants: Vec<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EndArgs {
    /// The maintenance, by its number
    name: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Reply for Maintenance {}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::Start(args) => start(shell, &args).await,
        Command::End(args) => end(shell, &args).await,
        Command::List { ended } => {
            let read = shell.read(async |connection| {
                list(connection, ended).await.doing(|| "list maintenances".into())
            });
            read.await?.print_all(shell)
        }
    }
}

/// Those that go on or will begin, and those that ended where they are wanted too.
pub(crate) async fn list(
    connection: &Connection,
    show_ended: bool,
) -> Result<Vec<Maintenance>, ClientError> {
    let request = ListMaintenancesRequest { show_ended };
    Ok(call!(connection, maintenance.list_maintenances(request))?.maintenances)
}

async fn start(shell: &Shell, args: &StartArgs) -> Outcome {
    let connection = shell.connect()?;
    let mut change = args.change.clone();
    // What is done says why it may be down.
    change.reason = change.given_reason().or_else(|| Some(args.title.clone()));
    let request = StartMaintenanceRequest {
        title: args.title.clone(),
        duration: proto_duration(Some(args.length))?,
        start_time: args.from.map(proto_instant),
        slos: args.slos.iter().map(|it| full_name::<Slo>(it)).collect(),
        tenants: args.tenants.iter().map(|it| full_name::<Tenant>(it)).collect(),
        ..StartMaintenanceRequest::default()
    };
    let action = Action {
        method: "MaintenanceService.StartMaintenance",
        doing: "start a maintenance".into(),
        name: "maintenances/-".into(),
        ..Action::default()
    };
    let send = async |given: &Given| {
        send!(&connection, given, maintenance.start_maintenance, new StartMaintenanceRequest {
            ..request.clone()
        })
    };
    let done = |it: &Maintenance| {
        let number = short(Maintenance::PREFIX, &it.name);
        format!(
            "maintenance {number} ends by itself at {}; `ssctl maintenance end {number}` ends it now",
            local(it.end_time.as_ref())
        )
    };
    let before = async || Ok(Value::Null);
    print_one(shell, &act(shell, &change, action, before, send, done).await?)
}

async fn end(shell: &Shell, args: &EndArgs) -> Outcome {
    let connection = shell.connect()?;
    let name = full_name::<Maintenance>(&args.name);
    let action = Action {
        method: "MaintenanceService.EndMaintenance",
        doing: format!("end {name}"),
        name: name.clone(),
        ..Action::default()
    };
    let before = async || {
        let all = list(&connection, true).await.doing(|| format!("read {name}"))?;
        let found = all.into_iter().find(|it| it.name == name);
        Ok(to_value(&found.ok_or_else(|| Failure::not_found(&name))?)?)
    };
    let send = async |given: &Given| {
        send!(&connection, given, maintenance.end_maintenance, EndMaintenanceRequest {})
    };
    let done = |it: &Maintenance| format!("{} is over", it.name);
    print_one(shell, &act(shell, &args.change, action, before, send, done).await?)
}

impl Noun for Maintenance {
    const PLURAL: &'static str = "maintenances";
    const PREFIX: &'static str = "maintenances/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NUMBER", |it: &Self, _| short(Self::PREFIX, &it.name).into()),
            Column::new("STATE", state),
            Column::new("FROM", |it, _| local(it.start_time.as_ref()).into()),
            Column::new("ENDS IN", |it, now| {
                if it.ended { String::new() } else { remaining(it.end_time.as_ref(), now) }.into()
            }),
            Column::new("TITLE", |it, _| it.title.clone().into()),
            Column::new("WHO", |it, _| it.actor.clone().into()),
            Column::wide("UNTIL", |it, _| local(it.end_time.as_ref()).into()),
            Column::wide("SLOS", |it, _| names(Slo::PREFIX, &it.slos).into()),
            Column::wide("TENANTS", |it, _| names(Tenant::PREFIX, &it.tenants).into()),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, Cell)> {
        let ended_by = match (self.ended, self.ended_by.as_str()) {
            (true, "") => "itself",
            (_, who) => who,
        };
        let mut pairs = vec![
            ("Number", short(Self::PREFIX, &self.name).into()),
            ("Title", self.title.clone().into()),
            ("State", state(self, now)),
            ("From", local(self.start_time.as_ref()).into()),
            ("Until", local(self.end_time.as_ref()).into()),
            ("SLOs", names(Slo::PREFIX, &self.slos).into()),
            ("Tenants", names(Tenant::PREFIX, &self.tenants).into()),
            ("Who", self.actor.clone().into()),
            ("Ended by", ended_by.into()),
        ];
        pairs.retain(|(_, cell): &(_, Cell)| !cell.text.is_empty());
        pairs
    }
}

fn names(prefix: &str, names: &[String]) -> String {
    if names.is_empty() {
        return "all".to_owned();
    }
    names.iter().map(|name| short(prefix, name)).collect::<Vec<_>>().join(", ")
}

fn state(it: &Maintenance, now: Timestamp) -> Cell {
    if it.ended {
        return "over".into();
    }
    // One that begins now begins by the daemon's clock, a moment after the command did.
    let soon = now.saturating_add(Duration::from_secs(5)).unwrap_or(now);
    match instant(it.start_time.as_ref()) {
        Some(start) if start > soon => "planned".into(),
        _ => Cell::toned("goes on", Tone::Doubtful),
    }
}
