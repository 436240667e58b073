//! `ssctl usage show`.

use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::Value;
use streamspace_client::Connection;
use streamspace_proto::{
    json::to_value,
    v1::{QueryUsageRequest, QueryUsageResponse, Tenant, UsageGroup, UsageRow},
};

use super::{
    actual::Actual,
    amounts::{Amounts, HOUR, UNITS, rounded},
    period::{Period, PeriodArgs},
};
use crate::{
    errors::{Doing as _, Outcome},
    output::{Cell, Column, Format, Layout, Listing, Tone, details},
    resource::{Noun as _, call, full_name, short},
    shell::Shell,
    time::{instant, local, proto_instant},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  ssctl usage show acme-corp --month 2026-11
  ssctl usage show acme-corp --month 2026-11 --by user
  ssctl usage show acme-corp --since 7d --by day --zone Europe/Berlin
  ssctl usage show acme-corp -o json";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tenant; - for all of them
    tenant: String,
    /// What to group by
    #[arg(long, value_enum)]
    by: Option<By>,
    #[command(flatten)]
    period: PeriodArgs,
}

/// What usage is grouped by, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// A row a user
    User,
    /// A row a template
    Template,
    /// A row a day of the zone
    Day,
    /// A row an hour
    Hour,
}

impl By {
    fn group(by: Option<Self>) -> UsageGroup {
        match by {
            None => UsageGroup::Unspecified,
            Some(Self::User) => UsageGroup::User,
            Some(Self::Template) => UsageGroup::Template,
            Some(Self::Day) => UsageGroup::Day,
            Some(Self::Hour) => UsageGroup::Hour,
        }
    }

    fn title(by: Option<Self>) -> &'static str {
        match by {
            None => "FROM",
            Some(Self::User) => "USER",
            Some(Self::Template) => "TEMPLATE",
            Some(Self::Day) => "DAY",
            Some(Self::Hour) => "HOUR",
        }
    }

    fn label(by: Option<Self>, row: &UsageRow, period: &Period) -> String {
        let start = instant(row.start_time.as_ref()).unwrap_or(period.start);
        match by {
            Some(Self::User) => unnamed(&row.user),
            Some(Self::Template) => unnamed(&row.template),
            Some(Self::Day) | None => period.day(start),
            Some(Self::Hour) => period.minute(start),
        }
    }
}

/// Homes have no template, and a session of an older time may have no user.
fn unnamed(name: &str) -> String {
    if name.is_empty() { "-".into() } else { name.to_owned() }
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) tenant: String,
    pub(super) label: String,
    pub(super) amounts: Amounts,
    actual: Actual,
    value: Value,
}

/// Asks for sums of a time.
pub(super) async fn query(
    connection: &Connection,
    parent: &str,
    period: &Period,
    group: UsageGroup,
) -> Outcome<QueryUsageResponse> {
    let request = QueryUsageRequest {
        parent: parent.to_owned(),
        start_time: Some(proto_instant(period.start)),
        end_time: Some(proto_instant(period.end)),
        group: group.into(),
        time_zone: period.zone_name.clone(),
    };
    call!(connection, usage.query_usage(request)).doing(|| format!("read the usage of {parent}"))
}

pub(super) async fn run(shell: &Shell, args: &Args) -> Outcome {
    let parent = full_name::<Tenant>(&args.tenant);
    let period = args.period.resolve(shell.now)?;
    let group = By::group(args.by);
    let read =
        shell.read(async |connection| query(connection, &parent, &period, group).await).await?;
    if shell.format().is_data() {
        return read.print_answer(shell, |_| Vec::new(), |reply| Ok(to_value(reply)?));
    }
    let mut notes = Vec::new();
    let lines = read.map(|context, reply| {
        notes.push(note(shell, context, &period, &reply)?);
        lines(args.by, &period, &reply)
    })?;
    let told = lines.print_rows(shell, &listing(By::title(args.by), parent == "tenants/-"));
    if matches!(shell.format(), Format::Table | Format::Wide) {
        for note in &notes {
            shell.print(note)?;
        }
    }
    told
}

/// The rows, and their sum where they are several.
fn lines(by: Option<By>, period: &Period, reply: &QueryUsageResponse) -> Outcome<Vec<Line>> {
    let each = reply.rows.iter().map(|row| {
        Ok(Line {
            tenant: short(Tenant::PREFIX, &row.tenant).to_owned(),
            label: By::label(by, row, period),
            amounts: Amounts::read(row.amounts.as_ref())?,
            actual: Actual::read(row.actual.as_ref())?,
            value: to_value(row)?,
        })
    });
    each.collect()
}

/// The sum, the time, how final it is, and the units.
fn note(
    shell: &Shell,
    context: &str,
    period: &Period,
    reply: &QueryUsageResponse,
) -> Outcome<String> {
    let total = Amounts::read(reply.total.as_ref())?;
    let actual = Actual::read(reply.total_actual.as_ref())?;
    let mut pairs: Vec<(&str, Cell)> =
        vec![("Total", told(&total).into()), ("Used", actual.used())];
    pairs.extend(actual.showback().map(|shown| ("Showback", shown.into())));
    pairs.extend([
        ("Known", known(&total).into()),
        ("Time", period.told().into()),
        ("Closed", closed(reply.closed_through_time.as_ref(), period.end)),
        ("Units", UNITS.into()),
    ]);
    if shell.several() {
        pairs.insert(0, ("Context", context.into()));
    }
    Ok(format!("\n{}", details(&pairs, Layout::new(shell.terminal, false))))
}

/// What was used, in a line for people.
pub(super) fn told(amounts: &Amounts) -> String {
    format!(
        "{} vCPU-h, {} GiB-h of memory, {} GiB-h of homes, {} session-h, {} started",
        amounts.vcpu_hours(),
        amounts.memory_hours(),
        amounts.storage_hours(),
        amounts.session_hours(),
        amounts.started
    )
}

/// How the hours of the lives are known.
pub(super) fn known(amounts: &Amounts) -> String {
    let share = match amounts.estimated_share() {
        none if none.is_empty() => none,
        share => format!(" ({share} of what is billed)"),
    };
    let hours = |seconds| match seconds {
        0 => "0".to_owned(),
        seconds => rounded(seconds, HOUR),
    };
    let (measured, estimated) = (hours(amounts.measured), hours(amounts.estimated));
    let unbilled = hours(amounts.unbilled);
    format!("{measured} h measured, {estimated} h estimated{share}, {unbilled} h not billed")
}

/// Until when the sums change by corrections alone.
fn closed(through: Option<&prost_types::Timestamp>, end: Timestamp) -> Cell {
    match instant(through) {
        None => Cell::toned("nothing is closed yet: these sums grow", Tone::Doubtful),
        Some(time) if time >= end => {
            Cell::toned("all of it; it changes by corrections alone", Tone::Good)
        }
        Some(_) => {
            Cell::toned(format!("through {}; what is later grows", local(through)), Tone::Doubtful)
        }
    }
}

/// The columns below a title; with the tenant where there are several.
pub(super) fn listing(label: &'static str, of_all: bool) -> Listing<Line> {
    let mut columns = vec![
        Column::new(label, |line: &Line, _| line.label.clone().into()),
        Column::new("VCPU-H", |line, _| line.amounts.vcpu_hours().into()),
        Column::new("MEMORY GIB-H", |line, _| line.amounts.memory_hours().into()),
        Column::new("HOMES GIB-H", |line, _| line.amounts.storage_hours().into()),
        Column::new("SESSION-H", |line, _| line.amounts.session_hours().into()),
        Column::new("STARTED", |line, _| line.amounts.started.into()),
        Column::new("ESTIMATED", |line, _| line.amounts.estimated_share().into()),
        Column::wide("CPU MILLICORE-S", |line, _| line.amounts.cpu.into()),
        Column::wide("MEMORY BYTE-S", |line, _| line.amounts.memory.into()),
        Column::wide("HOMES BYTE-S", |line, _| line.amounts.storage.into()),
        Column::wide("SESSION-S", |line, _| line.amounts.sessions.into()),
        Column::wide("MEASURED-S", |line, _| line.amounts.measured.into()),
        Column::wide("ESTIMATED-S", |line, _| line.amounts.estimated.into()),
        Column::wide("UNBILLED-S", |line, _| line.amounts.unbilled.into()),
        Column::wide("USED VCPU-H", |line, _| line.actual.cpu_cell()),
        Column::wide("USED GIB-H", |line, _| line.actual.memory_cell()),
        Column::wide("SENT GIB", |line, _| line.actual.egress_cell()),
        Column::wide("RECORDINGS GIB-H", |line, _| line.actual.recordings_cell()),
    ];
    if of_all {
        columns.insert(0, Column::new("TENANT", |line, _| line.tenant.clone().into()));
    }
    Listing {
        plural: "usage in that time",
        columns,
        name: |line| format!("{}{}", Tenant::PREFIX, line.tenant),
        value: |line| Ok(line.value.clone()),
    }
}

impl Line {
    /// A row of a tenant, in a table of its own making.
    pub(super) fn of(row: &UsageRow) -> Outcome<Self> {
        Ok(Self {
            tenant: short(Tenant::PREFIX, &row.tenant).to_owned(),
            label: short(Tenant::PREFIX, &row.tenant).to_owned(),
            amounts: Amounts::read(row.amounts.as_ref())?,
            actual: Actual::read(row.actual.as_ref())?,
            value: to_value(row)?,
        })
    }
}
