//! `ssctl usage explain`: from a number down to the five minutes and the events behind it.

use jiff::Timestamp;
use streamspace_proto::{
    json::to_value,
    v1::{ExplainUsageRequest, ExplainUsageResponse, ExplainedSubject, Tenant},
};

use super::{
    amounts::{Amounts, UNITS},
    period::{Period, day, zone},
    show::{known, told},
};
use crate::{
    errors::{Doing as _, Failure, Outcome},
    output::{Cell, Format, Layout, Listing, Tone, details},
    resource::{call, full_name},
    shell::Shell,
    time::proto_instant,
};
use tables::Sums;

mod tables;

pub(super) const EXAMPLES: &str = "\
Examples:
  ssctl usage explain acme-corp --day 2026-11-29
  ssctl usage explain acme-corp --day 2026-11-29 --session desk-1
  ssctl usage explain acme-corp --day 2026-11-29 --user ada --zone Europe/Berlin";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tenant
    tenant: String,
    /// The day, as 2026-11-29; today without it
    #[arg(long, value_name = "DAY")]
    day: Option<String>,
    /// Only of the user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only of the template
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// Only of the session: its name in the tenant, or its UID
    #[arg(long, value_name = "NAME|UID")]
    session: Option<String>,
    /// The zone that the day is cut in, as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC", hide_default_value = true)]
    zone: String,
}

/// A day of a tenant with its sums, and what does not add up.
struct Explained {
    reply: ExplainUsageResponse,
    total: Amounts,
    subjects: Vec<Sums>,
    faults: Vec<String>,
}

pub(super) async fn run(shell: &Shell, args: &Args) -> Outcome {
    let tenant = full_name::<Tenant>(&args.tenant);
    let period = period(args, shell.now)?;
    let request = ExplainUsageRequest {
        tenant: tenant.clone(),
        start_time: Some(proto_instant(period.start)),
        end_time: Some(proto_instant(period.end)),
        user: args.user.clone().unwrap_or_default(),
        template: args.template.clone().unwrap_or_default(),
        session: args.session.clone().unwrap_or_default(),
    };
    let read = shell.read(async |connection| {
        let reply = call!(connection, usage.explain_usage(request.clone()))
            .doing(|| format!("explain the usage of {tenant}"))?;
        added(reply)
    });
    let read = read.await?;
    let faults: usize = read.answers.iter().map(|(_, explained)| explained.faults.len()).sum();
    let printed = match shell.format() {
        Format::Table | Format::Wide => {
            for (at, (context, explained)) in read.answers.iter().enumerate() {
                let between = if at == 0 { "" } else { "\n" };
                let context = read.several.then_some(context.as_str());
                let page = page(shell, context, &tenant, &period, explained);
                shell.print(&format!("{between}{page}"))?;
            }
            read.end(shell)
        }
        Format::Csv | Format::Name => {
            read.map(|_, explained| Ok(explained.subjects))?.print_rows(shell, &listing())
        }
        _ => read.print_answer(shell, |_| Vec::new(), |explained| Ok(to_value(&explained.reply)?)),
    };
    match printed {
        Ok(()) | Err(Failure::Unread { .. }) if faults > 0 => Err(Failure::CheckFailed {
            message: "what the daemon told does not add up".into(),
            next: "`ssctl usage verify` finds where; report it with the output of -o json".into(),
        }),
        other => other,
    }
}

fn period(args: &Args, now: Timestamp) -> Outcome<Period> {
    let zone = zone(&args.zone)?;
    let text = match &args.day {
        Some(day) => day.clone(),
        None => now.to_zoned(zone.clone()).strftime("%Y-%m-%d").to_string(),
    };
    let (start, end) = day(&text, &zone)?;
    Ok(Period { start, end, zone, zone_name: args.zone.clone() })
}

/// Adds up what was told, and compares.
fn added(mut reply: ExplainUsageResponse) -> Outcome<Explained> {
    // Homes behind the sessions, each by its name.
    reply.subjects.sort_by_key(|subject| subject.kind != "session");
    let total = Amounts::read(reply.total.as_ref())?;
    let mut faults = Vec::new();
    let mut subjects = Vec::new();
    for subject in &reply.subjects {
        let own = Amounts::read(subject.amounts.as_ref())?;
        let intervals = intervals(subject)?;
        if intervals != own {
            faults.push(format!(
                "the intervals of {} {} are not what it is told to have used",
                subject.kind, subject.name
            ));
        }
        subjects.push(Sums::of(subject, own));
    }
    let sum = Amounts::sum(subjects.iter().map(|subject| subject.amounts))?;
    if sum != total && !reply.truncated {
        faults.push("the sessions and homes are not the total".into());
    }
    Ok(Explained { reply, total, subjects, faults })
}

fn intervals(subject: &ExplainedSubject) -> Outcome<Amounts> {
    let amounts = subject.intervals.iter().map(|interval| Amounts::read(interval.amounts.as_ref()));
    Amounts::sum(amounts.collect::<Outcome<Vec<_>>>()?)
}

/// The subjects as rows, for CSV and names.
fn listing() -> Listing<Sums> {
    Listing {
        plural: "sessions and homes in that time",
        columns: tables::subject_columns(),
        name: |row| row.uid.clone(),
        value: |_| Ok(serde_json::Value::Null),
    }
}

fn page(
    shell: &Shell,
    context: Option<&str>,
    tenant: &str,
    period: &Period,
    explained: &Explained,
) -> String {
    let layout = Layout::new(shell.terminal, false);
    let Explained { reply, total, subjects, faults } = explained;
    let mut pairs: Vec<(&str, Cell)> = vec![
        ("Tenant", tenant.into()),
        ("Time", period.told().into()),
        ("Total", told(total).into()),
        ("Known", known(total).into()),
        ("Units", UNITS.into()),
    ];
    if let Some(context) = context {
        pairs.insert(0, ("Context", context.into()));
    }
    for fault in faults {
        pairs.push(("Wrong", Cell::toned(fault.clone(), Tone::Bad)));
    }
    if reply.truncated {
        let text = "more than 500 sessions and homes: the others are in the total and not below";
        pairs.push(("Left out", Cell::toned(text, Tone::Doubtful)));
    }
    let mut text = details(&pairs, layout);
    if subjects.is_empty() {
        return text + "\nNothing that was asked for lived in that time, and nothing was used.\n";
    }
    text += &tables::subjects(shell, subjects, total, reply.truncated);
    for subject in &reply.subjects {
        text += &tables::subject(shell, period, subject);
    }
    text
}

#[cfg(test)]
mod tests {
    use streamspace_proto::v1::{ExplainedInterval, UsageAmounts};

    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "the fields of messages are options")]
    fn cpu(amount: i64) -> Option<UsageAmounts> {
        Some(UsageAmounts { cpu_millicore_seconds: amount.to_string(), ..UsageAmounts::default() })
    }

    fn reply(total: i64, subject: i64, intervals: &[i64]) -> ExplainUsageResponse {
        let interval = |amount: &i64| ExplainedInterval {
            amounts: cpu(*amount),
            ..ExplainedInterval::default()
        };
        let subject = ExplainedSubject {
            amounts: cpu(subject),
            intervals: intervals.iter().map(interval).collect(),
            ..ExplainedSubject::default()
        };
        ExplainUsageResponse { total: cpu(total), subjects: vec![subject], truncated: false }
    }

    #[test]
    fn what_does_not_add_up_is_told() {
        let faults = |reply| added(reply).unwrap().faults.len();
        assert_eq!(faults(reply(340_000, 340_000, &[150_000, 190_000])), 0);
        assert_eq!(faults(reply(340_000, 340_000, &[150_000, 190_000, 0])), 0);
        assert_eq!(faults(reply(340_000, 340_000, &[150_000, 200_000, -10_000])), 0);
        assert_eq!(faults(reply(340_000, 340_000, &[150_000])), 1);
        assert_eq!(faults(reply(340_001, 340_000, &[340_000])), 1);
        let cut = ExplainUsageResponse { truncated: true, ..reply(9, 1, &[1]) };
        assert_eq!(faults(cut), 0);
    }
}
