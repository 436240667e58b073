//! `ssctl usage export`: what was used, for other programs, as it comes.

use std::fmt::Write as _;

use clap::ValueEnum;
use serde_json::Value;
use streamspace_client::ClientError;
use streamspace_proto::{
    json::to_value,
    v1::{ExportUsageRequest, Tenant, UsageGroup, UsageRow},
};

use super::{
    amounts::Amounts,
    focus,
    period::{Period, PeriodArgs},
};
use crate::{
    errors::{Doing as _, Failure, Outcome},
    output::csv_field,
    resource::{call, full_name},
    shell::Shell,
    time::{instant, proto_instant},
};

pub(super) const HELP: &str = "\
Examples:
  ssctl usage export --month 2026-11 --format csv > november.csv
  ssctl usage export --month 2026-11 --format focus --by hour > focus.csv
  ssctl usage export acme-corp --since 2026-11-01 --until 2026-11-08 --format jsonl

csv and jsonl have whole millicore-seconds, byte-seconds and seconds. focus is FOCUS 1.2: its 21
mandatory columns, ConsumedQuantity and ConsumedUnit in vCPU-Hours and GiB-Hours rounded to nine
places (GiB are 1,073,741,824 bytes), and columns of our own that begin with x_, among them the
same amount in whole units. Costs are 0, as nothing is billed yet. A row is one tenant, user,
template and time; in focus one for each of CPU, memory and homes that was used.";

/// So much is written at once.
const CHUNK: usize = 64 * 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tenant; all of them without
    tenant: Option<String>,
    /// What is written
    #[arg(long, value_enum, default_value_t = Kind::Csv)]
    format: Kind,
    /// How long a row's time is
    #[arg(long, value_enum, default_value_t = By::Day)]
    by: By,
    #[command(flatten)]
    period: PeriodArgs,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Comma-separated values in whole units
    Csv,
    /// One JSON object a line, as the contract has it
    Jsonl,
    /// FOCUS 1.2, the `FinOps` Open Cost and Usage Specification, as CSV
    Focus,
}

/// How long a row's time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// An hour
    Hour,
    /// A day of UTC
    Day,
}

impl By {
    fn group(self) -> UsageGroup {
        match self {
            Self::Hour => UsageGroup::Hour,
            Self::Day => UsageGroup::Day,
        }
    }
}

pub(super) async fn run(shell: &Shell, args: &Args) -> Outcome {
    if shell.global.output.is_some() {
        return Err(Failure::Usage {
            message: "an export is written as --format says, and -o does not go with it".into(),
            next: "leave -o out, and write --format csv, jsonl or focus".into(),
        });
    }
    let parent = full_name::<Tenant>(args.tenant.as_deref().unwrap_or("-"));
    let period = args.period.resolve(shell.now)?;
    let connection = shell.connect()?;
    let doing = || format!("export the usage of {parent}");
    let request = request(&parent, &period, args.by);
    let mut rows = call!(&connection, usage.export_usage(request)).doing(doing)?;
    let mut text = match args.format {
        Kind::Csv => titles(),
        Kind::Jsonl => String::new(),
        Kind::Focus => focus::titles(),
    };
    let mut count = 0_u64;
    loop {
        // Half a file that looks like a whole one would be worse than none.
        let next = rows.message().await.map_err(ClientError::from).doing(|| {
            format!("go on with the export after {count} rows; what was written is not all")
        })?;
        let Some(row) = next else { break };
        count += 1;
        match args.format {
            Kind::Csv => text.push_str(&record(&row)?),
            Kind::Jsonl => {
                let value: Value = to_value(&row)?;
                // Writing to a string does not fail.
                let _ = writeln!(text, "{value}");
            }
            Kind::Focus => text.push_str(&focus::records(&row)?),
        }
        if text.len() >= CHUNK {
            shell.print(&text)?;
            text.clear();
        }
    }
    shell.print(&text)?;
    shell.talk(&format!("{count} rows, {}", period.told()));
    Ok(())
}

fn request(parent: &str, period: &Period, by: By) -> ExportUsageRequest {
    ExportUsageRequest {
        parent: parent.to_owned(),
        start_time: Some(proto_instant(period.start)),
        end_time: Some(proto_instant(period.end)),
        group: by.group().into(),
    }
}

/// The columns of the CSV: the contract's names.
const COLUMNS: [&str; 14] = [
    "tenant",
    "tenant_uid",
    "user",
    "template",
    "start_time",
    "end_time",
    "cpu_millicore_seconds",
    "memory_byte_seconds",
    "storage_byte_seconds",
    "session_seconds",
    "sessions_started",
    "measured_seconds",
    "estimated_seconds",
    "unbilled_seconds",
];

fn titles() -> String {
    COLUMNS.join(",") + "\r\n"
}

fn record(row: &UsageRow) -> Outcome<String> {
    let amounts = Amounts::read(row.amounts.as_ref())?;
    let texts = [&row.tenant, &row.tenant_uid, &row.user, &row.template];
    let mut fields: Vec<String> = texts.iter().map(|text| csv_field(text)).collect();
    fields.push(time(row.start_time.as_ref()));
    fields.push(time(row.end_time.as_ref()));
    // Numbers stand as they are: a minus begins no formula here.
    fields.extend(
        [
            amounts.cpu,
            amounts.memory,
            amounts.storage,
            amounts.sessions,
            amounts.started,
            amounts.measured,
            amounts.estimated,
            amounts.unbilled,
        ]
        .map(|amount| amount.to_string()),
    );
    Ok(fields.join(",") + "\r\n")
}

/// An instant of UTC, to the second: `2026-11-01T00:00:00Z`.
pub(super) fn time(time: Option<&prost_types::Timestamp>) -> String {
    instant(time).map(|time| time.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use streamspace_proto::v1::UsageAmounts;

    use super::*;

    #[test]
    fn a_row_has_a_field_for_each_column_and_numbers_stay_numbers() {
        let row = UsageRow {
            tenant: "tenants/acme".into(),
            user: "=1+1".into(),
            template: "a,b".into(),
            start_time: Some(prost_types::Timestamp { seconds: 1_793_491_200, nanos: 0 }),
            amounts: Some(UsageAmounts {
                cpu_millicore_seconds: "-5".into(),
                ..UsageAmounts::default()
            }),
            ..UsageRow::default()
        };
        let record = record(&row).unwrap();
        assert_eq!(
            record,
            "tenants/acme,,'=1+1,\"a,b\",2026-11-01T00:00:00Z,,-5,0,0,0,0,0,0,0\r\n"
        );
        assert_eq!(titles().matches(',').count() + 1, COLUMNS.len());
    }
}
