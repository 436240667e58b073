//! `ssctl alert`: what the daemon alerts for.

use clap::Subcommand;
use jiff::Timestamp;
use streamspace_client::Connection;
use streamspace_proto::{
    json::to_value,
    v1::{Alert, AlertSeverity, ListAlertsRequest, Tenant},
};

use super::slo::severity_word;
use crate::{
    change::{Action, ChangeArgs, Given, Reply, act, send},
    errors::{Failure, Outcome},
    output::{Cell, Column, Tone, print_all, print_one},
    resource::{Noun, full_name, list, short},
    shell::Shell,
    time::{age, local},
};

/// How long a whole name is: a UUID. It needs no look at the list.
const WHOLE: usize = 36;
/// So much of a name a table shows: enough to acknowledge it by.
const SHOWN: usize = 13;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List alerts: those that fire, the newest first
    List {
        /// Also those that ended in the last 30 days
        #[arg(long)]
        ended: bool,
        /// At most so many; of each region where several are asked
        #[arg(long, value_name = "NUMBER")]
        limit: Option<usize>,
    },
    /// Say that you have an alert in hand
    ///
    /// Of two who do so at once the first has it; the other is told who.
    Ack(AckArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct AckArgs {
    /// The alert, or a beginning of its name that no other has
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    name: Option<String>,
    /// All that fire and nobody has
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    change: ChangeArgs,
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    match command {
        Command::List { ended, limit } => {
            let read = shell.read(async |connection| list(connection, limit, ended).await);
            read.await?.print_all(shell)
        }
        Command::Ack(args) => ack(shell, &args).await,
    }
}

/// Alerts that fire, and those that ended where they are wanted too.
pub(crate) async fn list(
    connection: &Connection,
    limit: Option<usize>,
    show_ended: bool,
) -> Outcome<Vec<Alert>> {
    list!(connection, limit, alerts.list_alerts, ListAlertsRequest {
        show_ended: show_ended
    } => alerts)
}

impl Reply for Alert {}

async fn ack(shell: &Shell, args: &AckArgs) -> Outcome {
    let connection = shell.connect()?;
    let Some(name) = &args.name else { return ack_all(shell, &connection, args).await };
    let alert = named(&connection, name).await?;
    print_one(shell, &ack_one(shell, &connection, &args.change, &alert).await?)
}

/// The alert of a whole name, whatever became of it, or the one that fires whose name begins
/// so.
pub(crate) async fn named(connection: &Connection, typed: &str) -> Outcome<Alert> {
    let typed = short(Alert::PREFIX, typed);
    let alerts = list(connection, None, false).await?;
    if typed.len() != WHOLE {
        return chosen(typed, alerts);
    }
    let full = full_name::<Alert>(typed);
    let found = alerts.into_iter().find(|alert| alert.name == full);
    Ok(found.unwrap_or(Alert { name: full, ..Alert::default() }))
}

/// The one alert whose name begins so.
fn chosen(typed: &str, alerts: Vec<Alert>) -> Outcome<Alert> {
    // Every name begins with nothing: an empty variable of a script takes no alert.
    if typed.is_empty() {
        return Err(Failure::Usage {
            message: "no alert was named".into(),
            next: "`ssctl alert list` shows their names; --all takes all that nobody has".into(),
        });
    }
    let begins = |alert: &Alert| short(Alert::PREFIX, &alert.name).starts_with(typed);
    let mut found: Vec<_> = alerts.into_iter().filter(begins).collect();
    match found.len() {
        0 => Err(Failure::not_found(&full_name::<Alert>(typed))),
        1 => Ok(found.swap_remove(0)),
        many => Err(Failure::Usage {
            message: format!("{typed:?} is the beginning of {many} alerts"),
            next: "write more of its name; `ssctl alert list -o wide` shows the whole".into(),
        }),
    }
}

async fn ack_one(
    shell: &Shell,
    connection: &Connection,
    change: &ChangeArgs,
    alert: &Alert,
) -> Outcome<Alert> {
    let action = Action {
        method: "AlertService.AcknowledgeAlert",
        doing: format!("acknowledge {}", alert.name),
        name: alert.name.clone(),
        ..Action::default()
    };
    let send = async |given: &Given| {
        send!(connection, given, alerts.acknowledge_alert, AcknowledgeAlertRequest {})
    };
    let before = async || Ok(to_value(alert)?);
    let done =
        |alert: &Alert| format!("{} has {}: {}", alert.acknowledged_by, alert.name, alert.summary);
    act(shell, change, action, before, send, done).await
}

/// Takes all that nobody has. One that somebody else was quicker with fails alone.
async fn ack_all(shell: &Shell, connection: &Connection, args: &AckArgs) -> Outcome {
    let alerts = list(connection, None, false).await?;
    let open: Vec<_> = alerts.into_iter().filter(is_open).collect();
    let mut done = Vec::new();
    let mut failed = Vec::new();
    let mut changes = false;
    for alert in &open {
        match ack_one(shell, connection, &args.change, alert).await {
            Ok(alert) => done.push(alert),
            Err(Failure::Changes) => changes = true,
            Err(Failure::NothingToDo) => {}
            Err(failure) => {
                shell.report(&failure);
                failed.push(failure.exit());
            }
        }
    }
    if !done.is_empty() || (!args.change.dry_run && failed.is_empty()) {
        print_all(shell, &done)?;
    }
    match (failed.first(), done.len()) {
        (Some(exit), 0) => Err(Failure::AllFailed(*exit)),
        (Some(_), done) => Err(Failure::PartlyDone { done, failed: failed.len() }),
        (None, _) if changes => Err(Failure::Changes),
        (None, _) if args.change.dry_run => {
            shell.talk("no alerts that nobody has; nothing would change");
            Err(Failure::NothingToDo)
        }
        (None, _) => Ok(()),
    }
}

/// Whether it fires and nobody has it.
pub(crate) fn is_open(alert: &Alert) -> bool {
    alert.firing && alert.acknowledged_by.is_empty()
}

impl Noun for Alert {
    const PLURAL: &'static str = "alerts";
    const PREFIX: &'static str = "alerts/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |alert: &Self, _| {
                short(Self::PREFIX, &alert.name).chars().take(SHOWN).collect::<String>().into()
            }),
            Column::new("SEVERITY", |alert, _| severity(alert)),
            Column::new("KIND", |alert, _| kind(alert).into()),
            Column::new("SUBJECT", |alert, _| alert.subject.clone().into()),
            Column::new("TENANT", |alert, _| short(Tenant::PREFIX, &alert.tenant).into()),
            Column::new("STATE", |alert, _| state(alert)),
            Column::new("AGE", |alert, now| age(alert.start_time.as_ref(), now).into()),
            Column::new("SUMMARY", |alert, _| alert.summary.clone().into()),
            Column::wide("ID", |alert, _| short(Self::PREFIX, &alert.name).into()),
            Column::wide("RUNBOOK", |alert, _| alert.runbook_url.clone().into()),
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, Cell)> {
        vec![
            ("Name", short(Self::PREFIX, &self.name).into()),
            ("Severity", severity(self)),
            ("Kind", kind(self).into()),
            ("Subject", self.subject.clone().into()),
            ("Tenant", short(Tenant::PREFIX, &self.tenant).into()),
            ("State", state(self)),
            ("Summary", self.summary.clone().into()),
            ("Runbook", self.runbook_url.clone().into()),
            ("Began", local(self.start_time.as_ref()).into()),
            ("Ended", local(self.end_time.as_ref()).into()),
            ("Has it", self.acknowledged_by.clone().into()),
            ("Since", local(self.acknowledge_time.as_ref()).into()),
        ]
    }
}

fn severity(alert: &Alert) -> Cell {
    let tone = match alert.severity() {
        AlertSeverity::Page => Tone::Bad,
        AlertSeverity::Ticket => Tone::Doubtful,
        AlertSeverity::Unspecified => Tone::Plain,
    };
    Cell::toned(severity_word(alert.severity()), tone)
}

/// Its kind, and which rule of it.
pub(crate) fn kind(alert: &Alert) -> String {
    match alert.rule.as_str() {
        "" => alert.kind.clone(),
        rule => format!("{} {rule}", alert.kind),
    }
}

fn state(alert: &Alert) -> Cell {
    match (alert.firing, alert.acknowledged_by.as_str()) {
        (false, _) => "ended".into(),
        (true, "") => Cell::toned("fires", Tone::Bad),
        (true, who) => Cell::toned(format!("{who} has it"), Tone::Doubtful),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(id: &str) -> Alert {
        Alert { name: format!("alerts/{id}"), ..Alert::default() }
    }

    #[test]
    fn a_beginning_names_an_alert_where_no_other_has_it() {
        let alerts = || vec![alert("0190aa"), alert("0190ab"), alert("7f")];
        assert_eq!(chosen("7", alerts()).unwrap().name, "alerts/7f");
        assert_eq!(chosen("0190ab", alerts()).unwrap().name, "alerts/0190ab");
        assert_eq!(chosen("0190a", alerts()).unwrap_err().exit() as u8, 2);
        assert_eq!(chosen("8", alerts()).unwrap_err().exit() as u8, 6);
    }
}
