//! `ssctl audit`.

use clap::Subcommand;
use jiff::Timestamp;
use streamspace_client::Incident;
use streamspace_proto::v1::{AuditDecision, AuditEntry, AuditPhase, ListAuditEntriesRequest};

use crate::{
    errors::Outcome,
    output::{Cell, Column, Format, Listing, Tone},
    resource::{ListArgs, Noun, list, word},
    shell::Shell,
    time::{Period, PeriodArgs, TIMES, local, proto_instant},
};

/// So many characters of a text have room in a cell of a screen.
const LONGEST_CELL: usize = 160;
/// How many entries are shown where neither a time nor a limit is given.
const RECENT: usize = 100;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List entries, newest first: the last 100 where no time is given
    List(ListCommand),
}

#[derive(Debug, clap::Args)]
#[command(after_long_help = TIMES)]
pub(crate) struct ListCommand {
    #[command(flatten)]
    period: PeriodArgs,
    /// Only what belongs to this incident, as in INC-7
    #[arg(long, value_name = "NAME")]
    incident: Option<Incident>,
    #[command(flatten)]
    list: ListArgs,
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    let Command::List(args) = command;
    let period = args.period.resolve()?;
    let all = period != Period::default();
    let limit = args.list.limit.or(if all { None } else { Some(RECENT) });
    let filter = filter(&args);
    let entries = shell.read(async |connection| {
        list!(connection, limit, audit.list_audit_entries, ListAuditEntriesRequest {
            filter: filter.clone(),
            start_time: period.since.map(proto_instant),
            end_time: period.until.map(proto_instant)
        } => entries)
    });
    let columns = if shell.format() == Format::Table { clipped_columns() } else { columns() };
    entries.await?.print_rows(shell, &Listing { columns, ..Listing::of_noun() })
}

/// The filter that was given, in the incident that was named.
fn filter(args: &ListCommand) -> String {
    let given = args.list.filter.trim();
    let Some(incident) = &args.incident else { return given.to_owned() };
    let of_it = format!("incident = {}", quoted(incident.name()));
    if given.is_empty() { of_it } else { format!("{of_it} AND ({given})") }
}

/// A text as a filter has it: nothing in it means anything.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\' | '*') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted + "\""
}

/// A cell that a screen has room for.
pub(super) fn clipped(cell: Cell) -> Cell {
    let Cell { text, tone } = cell;
    if text.chars().count() <= LONGEST_CELL {
        return Cell { text, tone };
    }
    let kept: String = text.chars().take(LONGEST_CELL - 1).collect();
    Cell { text: kept + "…", tone }
}

impl Noun for AuditEntry {
    const PLURAL: &'static str = "audit entries";
    const PREFIX: &'static str = "";

    fn resource_name(&self) -> &str {
        &self.call_id
    }

    fn columns() -> Vec<Column<Self>> {
        columns()
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, Cell)> {
        let columns = Self::columns();
        columns.iter().map(|column| (column.title, (column.cell)(self, now))).collect()
    }
}

fn columns() -> Vec<Column<AuditEntry>> {
    vec![
        Column::new("TIME", |entry: &AuditEntry, _| local(entry.time.as_ref()).into()),
        Column::new("PHASE", |entry, _| phase(entry).into()),
        Column::new("ACTOR", |entry, _| actor(entry).into()),
        Column::new("METHOD", |entry, _| method(&entry.method).into()),
        Column::new("RESOURCE", |entry, _| entry.resource.clone().into()),
        Column::new("DECISION", |entry, _| decision(entry)),
        Column::new("REASON", |entry, _| entry.reason.clone().into()),
        Column::wide("INCIDENT", |entry, _| entry.incident.clone().into()),
        Column::wide("CHANGE", |entry, _| entry.summary.clone().into()),
        Column::wide("MESSAGE", |entry, _| entry.status_message.clone().into()),
        Column::wide("RULE", |entry, _| entry.rule.clone().into()),
        Column::wide("ROLE", |entry, _| entry.role.clone().into()),
        Column::wide("PEER", |entry, _| entry.peer.clone().into()),
        Column::wide("POSITION", |entry, _| entry.position.into()),
        Column::wide("CALL", |entry, _| entry.call_id.clone().into()),
    ]
}

/// The same for a screen: whoever calls may write thousands of characters into these.
fn clipped_columns() -> Vec<Column<AuditEntry>> {
    let mut columns = columns();
    for column in &mut columns {
        column.cell = match column.title {
            "ACTOR" => |entry, _| clipped(actor(entry).into()),
            "RESOURCE" => |entry, _| clipped(entry.resource.clone().into()),
            "REASON" => |entry, _| clipped(entry.reason.clone().into()),
            _ => column.cell,
        };
    }
    columns
}

fn phase(entry: &AuditEntry) -> String {
    match entry.phase() {
        AuditPhase::Unspecified => String::new(),
        phase => word("AUDIT_PHASE_", phase.as_str_name()),
    }
}

pub(super) fn actor(entry: &AuditEntry) -> &str {
    if entry.actor.is_empty() { "(unverified)" } else { &entry.actor }
}

/// `streamspace.admin.v1.TenantService/CreateTenant` is
/// `TenantService.CreateTenant` to people.
pub(super) fn method(full: &str) -> String {
    let (service, method) = full.rsplit_once('/').unwrap_or(("", full));
    let service = service.rsplit('.').next().unwrap_or(service);
    if service.is_empty() { method.to_owned() } else { format!("{service}.{method}") }
}

pub(super) fn decision(entry: &AuditEntry) -> Cell {
    let decision = entry.decision();
    let tone = match decision {
        AuditDecision::Allowed | AuditDecision::Succeeded => Tone::Good,
        AuditDecision::Denied | AuditDecision::Failed => Tone::Bad,
        AuditDecision::Unknown => Tone::Doubtful,
        AuditDecision::Unspecified => Tone::Plain,
    };
    let text = match decision {
        AuditDecision::Unspecified => String::new(),
        known => word("AUDIT_DECISION_", known.as_str_name()),
    };
    let text = if entry.count > 1 { format!("{text} ×{}", entry.count) } else { text };
    Cell::toned(text, tone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_written_as_they_are_asked_about() {
        let full = "streamspace.admin.v1.TenantService/CreateTenant";
        assert_eq!(method(full), "TenantService.CreateTenant");
        assert_eq!(method("Something"), "Something");
    }
}
