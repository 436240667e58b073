//! `ssctl audit`.

use clap::Subcommand;
use jiff::Timestamp;
use streamspace_proto::v1::{AuditDecision, AuditEntry, AuditPhase, ListAuditEntriesRequest};

use crate::{
    errors::{Doing as _, Outcome},
    output::{Cell, Column, Tone, print_all},
    resource::{ListArgs, Noun, word},
    shell::Shell,
    time::{instant, local, parse_since},
};

/// How many entries are shown where neither a time nor a limit is given.
const RECENT: usize = 100;
const PAGE: i32 = 1000;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List entries, newest first: the last 100 where no time is given
    List(ListCommand),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListCommand {
    /// Since when: 12h, 7d, 2026-05-01 or 2026-05-01T12:00:00Z
    #[arg(long, value_parser = parse_since, value_name = "TIME")]
    since: Option<Timestamp>,
    #[command(flatten)]
    list: ListArgs,
}

pub(crate) async fn run(shell: &Shell, command: Command) -> Outcome {
    let Command::List(args) = command;
    let connection = shell.connect()?;
    let default = if args.since.is_some() { usize::MAX } else { RECENT };
    let limit = args.list.limit.unwrap_or(default);
    let mut entries: Vec<AuditEntry> = Vec::new();
    let mut page_token = String::new();
    loop {
        let left = limit.saturating_sub(entries.len());
        let page_size = i32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let filter = args.list.filter.clone();
        let request = ListAuditEntriesRequest { page_size, page_token, filter };
        let reply = connection
            .call(|| {
                let (mut client, request) = (connection.audit(), request.clone());
                async move { client.list_audit_entries(request).await }
            })
            .await
            .doing(|| "list audit entries".into())?;
        // Newest first: behind an entry that is too old there are only older ones.
        let is_over = reply.entries.iter().any(|entry| !is_since(entry, args.since));
        entries.extend(reply.entries.into_iter().filter(|entry| is_since(entry, args.since)));
        page_token = reply.next_page_token;
        if page_token.is_empty() || is_over || entries.len() >= limit {
            break;
        }
    }
    entries.truncate(limit);
    print_all(shell, &entries)
}

fn is_since(entry: &AuditEntry, since: Option<Timestamp>) -> bool {
    match (since, instant(entry.time.as_ref())) {
        (Some(since), Some(time)) => time >= since,
        _ => true,
    }
}

impl Noun for AuditEntry {
    const PLURAL: &'static str = "audit entries";
    const PREFIX: &'static str = "";

    fn resource_name(&self) -> &str {
        &self.call_id
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("TIME", |entry: &Self, _| local(entry.time.as_ref()).into()),
            Column::new("PHASE", |entry, _| phase(entry).into()),
            Column::new("ACTOR", |entry, _| actor(entry).into()),
            Column::new("METHOD", |entry, _| method(&entry.method).into()),
            Column::new("RESOURCE", |entry, _| entry.resource.clone().into()),
            Column::new("DECISION", |entry, _| decision(entry)),
            Column::new("REASON", |entry, _| entry.reason.clone().into()),
            Column::wide("MESSAGE", |entry, _| entry.status_message.clone().into()),
            Column::wide("RULE", |entry, _| entry.rule.clone().into()),
            Column::wide("ROLE", |entry, _| entry.role.clone().into()),
            Column::wide("PEER", |entry, _| entry.peer.clone().into()),
            Column::wide("POSITION", |entry, _| entry.position.into()),
            Column::wide("CALL", |entry, _| entry.call_id.clone().into()),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, Cell)> {
        let columns = Self::columns();
        columns.iter().map(|column| (column.title, (column.cell)(self, now))).collect()
    }
}

fn phase(entry: &AuditEntry) -> String {
    match entry.phase() {
        AuditPhase::Unspecified => String::new(),
        phase => word("AUDIT_PHASE_", phase.as_str_name()),
    }
}

fn actor(entry: &AuditEntry) -> &str {
    if entry.actor.is_empty() { "(unverified)" } else { &entry.actor }
}

/// `streamspace.admin.v1.TenantService/CreateTenant` is
/// `TenantService.CreateTenant` to people.
fn method(full: &str) -> String {
    let (service, method) = full.rsplit_once('/').unwrap_or(("", full));
    let service = service.rsplit('.').next().unwrap_or(service);
    if service.is_empty() { method.to_owned() } else { format!("{service}.{method}") }
}

fn decision(entry: &AuditEntry) -> Cell {
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
