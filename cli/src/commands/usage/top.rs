//! `ssctl usage top`: who used most, or takes most now.

use clap::ValueEnum;
use streamspace_proto::{
    json::to_value,
    v1::{ListLiveUsageRequest, ListLiveUsageResponse, LiveUsage, Tenant, UsageGroup},
};

use super::{
    amounts::{Amounts, UNITS},
    period::{Period, PeriodArgs},
    show::{Line, listing, query, told},
};
use crate::{
    errors::{Doing as _, Outcome},
    output::{Cell, Column, Format, Layout, Listing, details},
    quantity::{bytes, cpu},
    resource::{Noun as _, call, short},
    shell::Shell,
    time::local,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  ssctl usage top --live --by memory
  ssctl usage top --month 2026-11 --by sessions --limit 10
  ssctl usage top --live --all-contexts";

/// So many tenants are shown where no other number is given.
const TOP: usize = 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the order is by
    #[arg(long, value_enum, default_value_t = Measure::Cpu)]
    by: Measure,
    /// What is taken now, in place of what was used in a time
    #[arg(long, conflicts_with_all = ["month", "since", "until"])]
    live: bool,
    /// At most so many; of each region where several are asked
    #[arg(long, value_name = "NUMBER", default_value_t = TOP)]
    limit: usize,
    #[command(flatten)]
    period: PeriodArgs,
}

/// What the largest is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// CPU
    Cpu,
    /// Memory
    Memory,
    /// Sessions: how many run, or how long they ran
    Sessions,
}

impl Measure {
    fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Sessions => "sessions",
        }
    }

    fn of(self, amounts: &Amounts) -> i128 {
        match self {
            Self::Cpu => amounts.cpu,
            Self::Memory => amounts.memory,
            Self::Sessions => amounts.sessions,
        }
    }
}

pub(super) async fn run(shell: &Shell, args: &Args) -> Outcome {
    if args.live { live(shell, args).await } else { used(shell, args).await }
}

async fn used(shell: &Shell, args: &Args) -> Outcome {
    let period = args.period.resolve(shell.now)?;
    let read = shell.read(async |connection| {
        query(connection, "tenants/-", &period, UsageGroup::Unspecified).await
    });
    let mut notes = Vec::new();
    let lines = read.await?.map(|context, reply| {
        let total = Amounts::read(reply.total.as_ref())?;
        notes.push(used_note(shell, context, &period, &total));
        let mut lines = reply.rows.iter().map(Line::of).collect::<Outcome<Vec<_>>>()?;
        lines.sort_by(|one, other| {
            let by = args.by.of(&other.amounts).cmp(&args.by.of(&one.amounts));
            by.then_with(|| one.tenant.cmp(&other.tenant))
        });
        lines.truncate(args.limit);
        Ok(lines)
    })?;
    let printed = lines.print_rows(shell, &listing("TENANT", false));
    print_notes(shell, &notes)?;
    printed
}

fn used_note(shell: &Shell, context: &str, period: &Period, total: &Amounts) -> String {
    let pairs: Vec<(&str, Cell)> = vec![
        ("All tenants", told(total).into()),
        ("Time", period.told().into()),
        ("Units", UNITS.into()),
    ];
    below(shell, context, pairs)
}

async fn live(shell: &Shell, args: &Args) -> Outcome {
    let request = ListLiveUsageRequest {
        parent: "tenants/-".into(),
        order_by: args.by.word().into(),
        page_size: i32::try_from(args.limit).unwrap_or(i32::MAX),
    };
    let read = shell.read(async |connection| {
        call!(connection, usage.list_live_usage(request.clone()))
            .doing(|| "read what tenants take now".into())
    });
    let read = read.await?;
    if shell.format().is_data() {
        return read.print_answer(shell, |_| Vec::new(), |reply| Ok(to_value(reply)?));
    }
    let mut notes = Vec::new();
    let rows = read.map(|context, reply| {
        notes.push(live_note(shell, context, &reply));
        Ok(reply.tenants)
    })?;
    let printed = rows.print_rows(shell, &live_listing());
    print_notes(shell, &notes)?;
    printed
}

fn live_listing() -> Listing<LiveUsage> {
    Listing {
        plural: "running sessions",
        columns: vec![
            Column::new("TENANT", |one: &LiveUsage, _| short(Tenant::PREFIX, &one.tenant).into()),
            Column::new("CPU", |one, _| cpu(one.cpu_millicores).into()),
            Column::new("MEMORY", |one, _| bytes(one.memory_bytes).into()),
            Column::new("RUNNING", |one, _| one.running_sessions.into()),
            Column::new("SESSIONS", |one, _| one.total_sessions.into()),
        ],
        name: |one| one.tenant.clone(),
        value: |one| Ok(to_value(one)?),
    }
}

fn live_note(shell: &Shell, context: &str, reply: &ListLiveUsageResponse) -> String {
    let total = reply.total.clone().unwrap_or_default();
    let all = format!(
        "{} CPU and {} memory requested by {} running sessions, of {}",
        cpu(total.cpu_millicores),
        bytes(total.memory_bytes),
        total.running_sessions,
        total.total_sessions
    );
    let as_of = local(reply.as_of_time.as_ref());
    below(shell, context, vec![("All tenants", all.into()), ("Seen up to", as_of.into())])
}

fn below<'a>(shell: &Shell, context: &'a str, mut pairs: Vec<(&'a str, Cell)>) -> String {
    if shell.several() {
        pairs.insert(0, ("Context", context.into()));
    }
    format!("\n{}", details(&pairs, Layout::new(shell.terminal, false)))
}

fn print_notes(shell: &Shell, notes: &[String]) -> Outcome {
    if matches!(shell.format(), Format::Table | Format::Wide) {
        for note in notes {
            shell.print(note)?;
        }
    }
    Ok(())
}
