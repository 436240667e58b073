//! `ssctl changes`: who changed what, from the audit log, for people.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use streamspace_client::Incident;
use streamspace_proto::v1::{AuditDecision, AuditEntry, ListAuditEntriesRequest};

use super::audit::{self, clipped, quoted};
use crate::{
    errors::Outcome,
    output::{Cell, Column, Format, Listing, Tone},
    resource::list,
    shell::Shell,
    time::{Period, PeriodArgs, TIMES, instant, proto_instant},
};

/// The time that is looked at where none is named.
const RECENT: SignedDuration = SignedDuration::from_hours(24);
/// So many are read from a region where no limit is given.
const MOST: usize = 10_000;
/// What every client does by itself, again and again.
const RENEWAL: &str = "streamspace.admin.v1.AccessService/RenewCredential";

#[derive(Debug, clap::Args)]
#[command(after_long_help = TIMES)]
pub(crate) struct Args {
    /// Only of these: tenants by their names, others with their kind as in plans/free
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    period: PeriodArgs,
    /// Only what this operator did; streamspaced is the daemon by itself
    #[arg(long, value_name = "OPERATOR")]
    actor: Option<String>,
    /// Only what belongs to this incident
    #[arg(long, value_name = "NAME")]
    incident: Option<Incident>,
    /// Show too what failed, was refused or was denied
    #[arg(long)]
    failed: bool,
    /// The oldest first
    #[arg(long)]
    reverse: bool,
    /// The newest so many of each region; 10,000 where it is not given
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

pub(crate) async fn run(shell: &Shell, args: Args) -> Outcome {
    let period = args.period.resolve()?;
    let since = match period {
        Period { since: None, until: None } => shell.now.checked_sub(RECENT).ok(),
        Period { since, .. } => since,
    };
    let filter = filter(&args);
    let limit = args.limit.unwrap_or(MOST);
    let read = shell.read(async |connection| {
        list!(connection, Some(limit), audit.list_audit_entries, ListAuditEntriesRequest {
            filter: filter.clone(),
            start_time: since.map(proto_instant),
            end_time: period.until.map(proto_instant)
        } => entries)
    });
    let mut read = read.await?;
    for (context, entries) in &read.answers {
        if args.limit.is_none() && entries.len() >= MOST {
            shell.talk(&format!(
                "{context}: only the newest {MOST} are shown: name a shorter time, or --limit"
            ));
        }
    }
    read.answers = merged(read.answers, args.reverse);
    read.print_rows(shell, &listing(shell))
}

/// The entries of all regions, one a group, by their time.
fn merged(
    answers: Vec<(String, Vec<AuditEntry>)>,
    reverse: bool,
) -> Vec<(String, Vec<AuditEntry>)> {
    let each = |(context, entries): (String, Vec<AuditEntry>)| {
        entries.into_iter().map(move |entry| (context.clone(), vec![entry]))
    };
    let mut all: Vec<_> = answers.into_iter().flat_map(each).collect();
    let time = |group: &(String, Vec<AuditEntry>)| {
        let entry = group.1.first();
        entry.map(|entry| (instant(entry.time.as_ref()), entry.position))
    };
    all.sort_by(|a, b| if reverse { time(a).cmp(&time(b)) } else { time(b).cmp(&time(a)) });
    all
}

/// One entry a call: how it ended. Intents alone tell nothing yet.
fn filter(args: &Args) -> String {
    let mut filter = if args.failed {
        r#"(phase = "outcome" OR phase = "denial")"#.to_owned()
    } else {
        r#"phase = "outcome" AND (decision = "succeeded" OR decision = "unknown")"#.to_owned()
    };
    let mut and = |term: &str| {
        filter.push_str(" AND ");
        filter.push_str(term);
    };
    and(&format!("method != {}", quoted(RENEWAL)));
    if let Some(actor) = &args.actor {
        and(&format!("actor = {}", quoted(actor)));
    }
    if let Some(incident) = &args.incident {
        and(&format!("incident = {}", quoted(incident.name())));
    }
    let names: Vec<_> = args
        .names
        .iter()
        .map(|name| {
            let full = if name.contains('/') { name.clone() } else { format!("tenants/{name}") };
            format!("resource = {}", quoted(&full))
        })
        .collect();
    if !names.is_empty() {
        and(&format!("({})", names.join(" OR ")));
    }
    filter
}

fn listing(shell: &Shell) -> Listing<AuditEntry> {
    Listing { columns: columns(shell.format() == Format::Table), ..Listing::of_noun() }
}

/// What a table shows. On the screen of a terminal long texts are clipped; what is asked
/// for whole, and what programs read, is whole.
fn columns(clips: bool) -> Vec<Column<AuditEntry>> {
    let change: fn(&AuditEntry, Timestamp) -> Cell =
        if clips { |entry, _| clipped(change(entry)) } else { |entry, _| change(entry) };
    let why: fn(&AuditEntry, Timestamp) -> Cell =
        if clips { |entry, _| clipped(why(entry).into()) } else { |entry, _| why(entry).into() };
    let what: fn(&AuditEntry, Timestamp) -> Cell =
        if clips { |entry, _| clipped(what(entry).into()) } else { |entry, _| what(entry).into() };
    vec![
        Column::new("TIME", |entry: &AuditEntry, _| minute(entry).into()),
        Column::new("WHO", |entry, _| audit::actor(entry).into()),
        Column::new("WHAT", what),
        Column::new("CHANGE", change),
        Column::new("WHY", why),
        Column::wide("RESULT", |entry, _| audit::decision(entry)),
        Column::wide("INCIDENT", |entry, _| entry.incident.clone().into()),
        Column::wide("ROLE", |entry, _| entry.role.clone().into()),
        Column::wide("METHOD", |entry, _| audit::method(&entry.method).into()),
        Column::wide("RESOURCE", |entry, _| entry.resource.clone().into()),
        Column::wide("INSTANT", |entry, _| {
            instant(entry.time.as_ref()).map(|time| time.to_string()).unwrap_or_default().into()
        }),
        Column::wide("CALL", |entry, _| entry.call_id.clone().into()),
    ]
}

/// Local time to the minute: beside the date more would tell nobody more.
fn minute(entry: &AuditEntry) -> String {
    let Some(time) = instant(entry.time.as_ref()) else { return String::new() };
    time.to_zoned(TimeZone::system()).strftime("%m-%d %H:%M").to_string()
}

/// The verb and the resource in words: `set quota of acme-corp`.
fn what(entry: &AuditEntry) -> String {
    let method = entry.method.rsplit('/').next().unwrap_or_default();
    let verb = words(method);
    let (kind, name) = match entry.resource.split_once('/') {
        Some((kind, name)) => (kind, name),
        None => ("", entry.resource.as_str()),
    };
    // `tenants` is what a `tenant` is among.
    let singular = kind.strip_suffix('s').unwrap_or(kind).to_ascii_lowercase();
    // `lock operator ada`, and `enrol ada`, but `set quota of acme-corp`.
    let mut last = verb.split(' ').rev();
    let of_its_kind = last.next().is_some_and(|last| singular.ends_with(last));
    let named = of_its_kind || last.next().is_none();
    match name {
        "" => verb,
        name if named => format!("{verb} {name}"),
        name => format!("{verb} of {name}"),
    }
}

/// `SetQuota` is `set quota`; what changes fields is called `set` by every noun.
fn words(method: &str) -> String {
    let mut words = String::new();
    for character in method.chars() {
        if character.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(character.to_ascii_lowercase());
    }
    match words.strip_prefix("update ") {
        Some(rest) => format!("set {rest}"),
        None => words,
    }
}

/// What it changed, or how it ended where it did not succeed.
fn change(entry: &AuditEntry) -> Cell {
    let ended = |word: &str, tone| {
        let message = [&entry.status_message, &entry.summary];
        let message = message.into_iter().find(|text| !text.is_empty());
        let times = if entry.count > 1 { format!(" ×{}", entry.count) } else { String::new() };
        let message = message.map(|text| format!(": {text}")).unwrap_or_default();
        Cell::toned(format!("{word}{times}{message}"), tone)
    };
    match entry.decision() {
        AuditDecision::Denied => ended("denied", Tone::Bad),
        AuditDecision::Failed => ended("failed", Tone::Bad),
        AuditDecision::Unknown => ended("unknown", Tone::Doubtful),
        _ => entry.summary.clone().into(),
    }
}

/// The incident, and the reason where it says more.
fn why(entry: &AuditEntry) -> String {
    match (entry.incident.as_str(), entry.reason.as_str()) {
        ("", reason) => reason.to_owned(),
        (incident, reason) if reason.is_empty() || reason == incident => incident.to_owned(),
        (incident, reason) if reason.contains(incident) => reason.to_owned(),
        (incident, reason) => format!("{incident}: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn filter_of(line: &[&str]) -> String {
        filter(&Line::parse_from([&["changes"], line].concat()).args)
    }

    fn entry(method: &str, resource: &str) -> AuditEntry {
        let method = format!("streamspace.admin.v1.{method}");
        AuditEntry { method, resource: resource.into(), ..AuditEntry::default() }
    }

    #[test]
    fn a_call_is_told_in_words() {
        for (method, resource, words) in [
            ("QuotaService/SetQuota", "tenants/acme-corp", "set quota of acme-corp"),
            ("TenantService/UpdateTenant", "tenants/acme-corp", "set tenant acme-corp"),
            ("RegionService/CordonRegion", "regions/dev", "cordon region dev"),
            ("AccessService/LockOperator", "operators/ada", "lock operator ada"),
            (
                "AccessService/CreateEnrolmentToken",
                "operators/ada",
                "create enrolment token of ada",
            ),
            ("AccessService/BreakGlass", "", "break glass"),
            ("AccessService/Enrol", "operators/ada", "enrol ada"),
            ("SimulatorService/CreateFault", "faults/f-1", "create fault f-1"),
        ] {
            assert_eq!(what(&entry(method, resource)), words);
        }
        let own = AuditEntry {
            method: "streamspaced/EndQuotaOverride".into(),
            resource: "tenants/acme".into(),
            ..AuditEntry::default()
        };
        assert_eq!(what(&own), "end quota override of acme");
    }

    #[test]
    fn the_end_is_told_where_it_is_no_success() {
        let of = |decision: AuditDecision, count| {
            let entry = AuditEntry {
                decision: decision.into(),
                count,
                summary: "seats 10 → 20".into(),
                status_message: if decision == AuditDecision::Denied { "no" } else { "" }.into(),
                ..AuditEntry::default()
            };
            change(&entry).text
        };
        assert_eq!(of(AuditDecision::Succeeded, 1), "seats 10 → 20");
        assert_eq!(of(AuditDecision::Denied, 190), "denied ×190: no");
        assert_eq!(of(AuditDecision::Unknown, 1), "unknown: seats 10 → 20");
    }

    #[test]
    fn the_incident_is_told_once() {
        let of = |incident: &str, reason: &str| {
            let (incident, reason) = (incident.into(), reason.into());
            why(&AuditEntry { incident, reason, ..AuditEntry::default() })
        };
        assert_eq!(of("", "a new customer"), "a new customer");
        assert_eq!(of("INC-7", "INC-7"), "INC-7");
        assert_eq!(of("INC-7", "raid night"), "INC-7: raid night");
        assert_eq!(of("INC-7", "kim had set it for: INC-7"), "kim had set it for: INC-7");
    }

    #[test]
    fn flags_become_a_filter_in_which_a_text_is_no_filter() {
        assert_eq!(
            filter_of(&[]),
            "phase = \"outcome\" AND (decision = \"succeeded\" OR decision = \"unknown\") AND \
             method != \"streamspace.admin.v1.AccessService/RenewCredential\""
        );
        let all = filter_of(&[
            "--failed",
            "--actor",
            "a\" OR role = \"*",
            "--incident",
            "INC-7",
            "acme",
            "plans/free",
        ]);
        assert!(all.starts_with("(phase = \"outcome\" OR phase = \"denial\") AND "), "{all}");
        assert!(all.contains(r#" AND actor = "a\" OR role = \"\*""#), "{all}");
        let rest =
            r#" AND incident = "INC-7" AND (resource = "tenants/acme" OR resource = "plans/free")"#;
        assert!(all.ends_with(rest), "{all}");
    }

    #[test]
    fn regions_are_merged_by_time() {
        let at = |seconds, call: &str| AuditEntry {
            time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            call_id: call.into(),
            ..AuditEntry::default()
        };
        let answers = vec![
            ("a".to_owned(), vec![at(30, "a2"), at(10, "a1")]),
            ("b".to_owned(), vec![at(20, "b1")]),
        ];
        let order = |reverse| {
            let merged = merged(answers.clone(), reverse);
            merged.iter().map(|(_, entries)| entries[0].call_id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(order(false), ["a2", "b1", "a1"]);
        assert_eq!(order(true), ["a1", "b1", "a2"]);
    }
}
