//! `ssctl silence`: alerts that page nobody for a time.

use std::time::Duration;

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::Value;
use streamspace_client::{ClientError, Connection};
use streamspace_proto::{
    json::to_value,
    v1::{ListSilencesRequest, Silence, SilenceMatcher},
};

use crate::{
    change::{Action, ChangeArgs, Given, Reply, act, send},
    errors::{Doing as _, Failure, Outcome},
    output::{Cell, Column, Tone, print_one},
    resource::{Noun, call, full_name, short},
    shell::Shell,
    time::{local, parse_duration, proto_duration, remaining},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Have alerts page nobody for a time, here and in the Alertmanagers; they are still shown
    #[command(after_long_help = EXAMPLES)]
    Create(CreateArgs),
    /// End a silence before its time
    End(EndArgs),
    /// List silences that hold
    List {
        /// Also those that ended in the last 90 days
        #[arg(long)]
        ended: bool,
    },
}

const EXAMPLES: &str = "\
Examples:
  ssctl silence create alertname=SloBurn subject=slos/api-latency --for 2h --reason 'known'
  ssctl silence create alertname=DiskSpaceLow instance!=db-1 --for 1d --incident INC-7

Labels of the daemon's alerts: alertname, rule, subject, tenant, severity.";

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// Which alerts: LABEL=VALUE or LABEL!=VALUE; those that fit all of them
    #[arg(required = true, value_parser = matcher, value_name = "MATCHER")]
    matchers: Vec<SilenceMatcher>,
    /// How long: 30m, 2h, up to 30d
    #[arg(long = "for", value_parser = parse_duration, value_name = "DURATION")]
    length: Duration,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EndArgs {
    /// The silence, by its number
    name: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Reply for Silence {}

/// `alertname=SloBurn`, `tenant!=acme`.
fn matcher(text: &str) -> Result<SilenceMatcher, String> {
    let (label, value) = text.split_once('=').ok_or("write it as LABEL=VALUE or LABEL!=VALUE")?;
    let (label, negative) = match label.strip_suffix('!') {
        Some(label) => (label, true),
        None => (label, false),
    };
    if label.is_empty() {
        return Err("it names no label: LABEL=VALUE".to_owned());
    }
    Ok(SilenceMatcher { label: label.to_owned(), value: value.to_owned(), negative })
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::Create(args) => create(shell, &args).await,
        Command::End(args) => end(shell, &args).await,
        Command::List { ended } => {
            let read = shell.read(async |connection| {
                list(connection, ended).await.doing(|| "list silences".into())
            });
            read.await?.print_all(shell)
        }
    }
}

async fn list(connection: &Connection, show_ended: bool) -> Result<Vec<Silence>, ClientError> {
    let request = ListSilencesRequest { show_ended };
    Ok(call!(connection, maintenance.list_silences(request))?.silences)
}

async fn create(shell: &Shell, args: &CreateArgs) -> Outcome {
    let connection = shell.connect()?;
    let duration = proto_duration(Some(args.length))?;
    let action = Action {
        method: "MaintenanceService.CreateSilence",
        doing: "create a silence".into(),
        name: "silences/-".into(),
        ..Action::default()
    };
    let send = async |given: &Given| {
        send!(&connection, given, maintenance.create_silence, new CreateSilenceRequest {
            matchers: args.matchers.clone(),
            duration: duration,
        })
    };
    let done = |it: &Silence| {
        let number = short(Silence::PREFIX, &it.name);
        let end = local(it.end_time.as_ref());
        format!(
            "silence {number} ends by itself at {end}; `ssctl silence end {number}` ends it now"
        )
    };
    let before = async || Ok(Value::Null);
    print_one(shell, &act(shell, &args.change, action, before, send, done).await?)
}

async fn end(shell: &Shell, args: &EndArgs) -> Outcome {
    let connection = shell.connect()?;
    let name = full_name::<Silence>(&args.name);
    let action = Action {
        method: "MaintenanceService.EndSilence",
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
        send!(&connection, given, maintenance.end_silence, EndSilenceRequest {})
    };
    let done = |it: &Silence| format!("{} is over", it.name);
    print_one(shell, &act(shell, &args.change, action, before, send, done).await?)
}

impl Noun for Silence {
    const PLURAL: &'static str = "silences";
    const PREFIX: &'static str = "silences/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NUMBER", |it: &Self, _| short(Self::PREFIX, &it.name).into()),
            Column::new("STATE", |it, _| state(it)),
            Column::new("ENDS IN", |it, now| {
                if it.ended { String::new() } else { remaining(it.end_time.as_ref(), now) }.into()
            }),
            Column::new("WHICH", |it, _| rules(it).into()),
            Column::new("WHY", |it, _| it.comment.clone().into()),
            Column::new("WHO", |it, _| it.actor.clone().into()),
            Column::wide("FROM", |it, _| local(it.start_time.as_ref()).into()),
            Column::wide("UNTIL", |it, _| local(it.end_time.as_ref()).into()),
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, Cell)> {
        vec![
            ("Number", short(Self::PREFIX, &self.name).into()),
            ("State", state(self)),
            ("Which", rules(self).into()),
            ("Why", self.comment.clone().into()),
            ("Who", self.actor.clone().into()),
            ("From", local(self.start_time.as_ref()).into()),
            ("Until", local(self.end_time.as_ref()).into()),
        ]
    }
}

fn state(it: &Silence) -> Cell {
    if it.ended { "over".into() } else { Cell::toned("holds", Tone::Doubtful) }
}

fn rules(it: &Silence) -> String {
    let rule = |matcher: &SilenceMatcher| {
        let sign = if matcher.negative { "!=" } else { "=" };
        format!("{}{sign}{}", matcher.label, matcher.value)
    };
    it.matchers.iter().map(rule).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matcher_is_a_label_and_a_value() {
        let read = |text| matcher(text).map(|it| (it.label, it.value, it.negative));
        assert_eq!(read("tenant=acme"), Ok(("tenant".into(), "acme".into(), false)));
        assert_eq!(read("a!=b=c"), Ok(("a".into(), "b=c".into(), true)));
        assert_eq!(read("a="), Ok(("a".into(), String::new(), false)));
        for wrong in ["", "tenant", "=x", "!=x"] {
            assert!(matcher(wrong).is_err(), "{wrong}");
        }
    }
}
