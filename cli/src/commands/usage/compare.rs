//! `ssctl usage compare`: two months beside each other.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde_json::{Value, json};
use streamspace_client::Connection;
use streamspace_proto::v1::{Tenant, UsageGroup};

use super::{
    amounts::{Amounts, GIB_HOUR, HOUR, UNITS, VCPU_HOUR, odd, parts_of, rounded},
    period::{Period, bounds, zone},
    show::query,
};
use crate::{
    errors::Outcome,
    output::{Cell, Column, Format, Layout, Listing, Tone, details},
    resource::{Noun as _, full_name, short},
    shell::Shell,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  ssctl usage compare 2026-10 2026-11
  ssctl usage compare 2026-10 2026-11 acme-corp
  ssctl usage compare 2026-10 2026-11 --by memory -o csv";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The month to compare with, as 2026-10
    first: String,
    /// The month to compare, as 2026-11
    second: String,
    /// The tenant; all of them without
    tenant: Option<String>,
    /// Compare this alone
    #[arg(long, value_enum)]
    by: Option<Measure>,
    /// The zone that months are cut in, as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC", hide_default_value = true)]
    zone: String,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// CPU, in vCPU-hours
    Cpu,
    /// Memory, in GiB-hours
    Memory,
    /// Homes, in GiB-hours
    Homes,
    /// Sessions, in hours
    Sessions,
}

impl Measure {
    const ALL: [Self; 4] = [Self::Cpu, Self::Memory, Self::Homes, Self::Sessions];

    fn words(self) -> &'static str {
        match self {
            Self::Cpu => "CPU, vCPU-h",
            Self::Memory => "memory, GiB-h",
            Self::Homes => "homes, GiB-h",
            Self::Sessions => "sessions, h",
        }
    }

    fn per(self) -> i128 {
        match self {
            Self::Cpu => VCPU_HOUR,
            Self::Memory | Self::Homes => GIB_HOUR,
            Self::Sessions => HOUR,
        }
    }

    fn of(self, amounts: &Amounts) -> i128 {
        match self {
            Self::Cpu => amounts.cpu,
            Self::Memory => amounts.memory,
            Self::Homes => amounts.storage,
            Self::Sessions => amounts.sessions,
        }
    }
}

/// One measure of one tenant in both months.
#[derive(Clone, Debug)]
struct Pair {
    tenant: String,
    measure: Measure,
    before: i128,
    after: i128,
    difference: i128,
}

pub(super) async fn run(shell: &Shell, args: &Args) -> Outcome {
    let parent = full_name::<Tenant>(args.tenant.as_deref().unwrap_or("-"));
    let (first, second) = (period(&args.first, &args.zone)?, period(&args.second, &args.zone)?);
    let read = shell.read(async |connection| {
        let before = sums(connection, &parent, &first).await?;
        let after = sums(connection, &parent, &second).await?;
        pairs(args.by, &before, &after)
    });
    let printed = read.await?.print_rows(shell, &listing());
    if matches!(shell.format(), Format::Table | Format::Wide) {
        let notes: [(&str, Cell); 3] = [
            ("Before", first.told().into()),
            ("After", second.told().into()),
            ("Units", UNITS.into()),
        ];
        let text = details(&notes, Layout::new(shell.terminal, false));
        shell.print(&format!("\n{text}"))?;
    }
    printed
}

fn period(month: &str, name: &str) -> Outcome<Period> {
    let zone = zone(name)?;
    let (start, end) = bounds(month, &zone)?;
    Ok(Period { start, end, zone, zone_name: name.to_owned() })
}

/// The sums of each tenant; those that had one name are told apart by their UID.
async fn sums(
    connection: &Connection,
    parent: &str,
    period: &Period,
) -> Outcome<BTreeMap<(String, String), Amounts>> {
    let reply = query(connection, parent, period, UsageGroup::Unspecified).await?;
    let mut sums: BTreeMap<(String, String), Amounts> = BTreeMap::new();
    for row in &reply.rows {
        let key = (short(Tenant::PREFIX, &row.tenant).to_owned(), row.tenant_uid.clone());
        let sum = sums.entry(key).or_default();
        *sum = sum.plus(Amounts::read(row.amounts.as_ref())?)?;
    }
    Ok(sums)
}

fn pairs(
    by: Option<Measure>,
    before: &BTreeMap<(String, String), Amounts>,
    after: &BTreeMap<(String, String), Amounts>,
) -> Outcome<Vec<Pair>> {
    let mut tenants: Vec<_> = before.keys().chain(after.keys()).collect();
    tenants.sort();
    tenants.dedup();
    let mut pairs = Vec::new();
    for key in tenants {
        for measure in Measure::ALL.into_iter().filter(|one| by.is_none_or(|by| by == *one)) {
            let of = |sums: &BTreeMap<_, Amounts>| sums.get(key).map_or(0, |sum| measure.of(sum));
            let (before, after) = (of(before), of(after));
            if (before, after) == (0, 0) {
                continue;
            }
            let difference = after.checked_sub(before).ok_or_else(|| odd("a sum is too large"))?;
            pairs.push(Pair { tenant: key.0.clone(), measure, before, after, difference });
        }
    }
    Ok(pairs)
}

fn listing() -> Listing<Pair> {
    Listing {
        plural: "usage in these months",
        columns: vec![
            Column::new("TENANT", |pair: &Pair, _| pair.tenant.clone().into()),
            Column::new("OF", |pair, _| pair.measure.words().into()),
            Column::new("BEFORE", |pair, _| rounded(pair.before, pair.measure.per()).into()),
            Column::new("AFTER", |pair, _| rounded(pair.after, pair.measure.per()).into()),
            Column::new("DIFFERENCE", |pair, _| {
                rounded(pair.difference, pair.measure.per()).into()
            }),
            Column::new("CHANGE", |pair, _| change(pair)),
        ],
        name: |pair| format!("{}{}", Tenant::PREFIX, pair.tenant),
        value: |pair| Ok(value(pair)),
    }
}

/// How much more or less, in percent of what was before.
fn change(pair: &Pair) -> Cell {
    if pair.before == 0 {
        return if pair.after == 0 { "".into() } else { Cell::toned("new", Tone::Doubtful) };
    }
    let Some(parts) = pair.difference.checked_mul(100) else { return "".into() };
    format!("{} %", parts_of(parts, pair.before, 1)).into()
}

/// Exact units for programs.
fn value(pair: &Pair) -> Value {
    let unit = match pair.measure {
        Measure::Cpu => "millicore-seconds",
        Measure::Memory | Measure::Homes => "byte-seconds",
        Measure::Sessions => "seconds",
    };
    let measure = match pair.measure {
        Measure::Cpu => "cpu",
        Measure::Memory => "memory",
        Measure::Homes => "homes",
        Measure::Sessions => "sessions",
    };
    json!({
        "tenant": format!("{}{}", Tenant::PREFIX, pair.tenant),
        "measure": measure,
        "unit": unit,
        "before": pair.before.to_string(),
        "after": pair.after.to_string(),
        "difference": pair.difference.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_in_one_month_alone_is_in_the_table_too() {
        let of = |tenants: &[(&str, i128)]| -> BTreeMap<(String, String), Amounts> {
            let one = |(name, cpu): &(&str, i128)| {
                let amounts = Amounts { cpu: *cpu, ..Amounts::default() };
                (((*name).to_owned(), "u".to_owned()), amounts)
            };
            tenants.iter().map(one).collect()
        };
        let found =
            pairs(Some(Measure::Cpu), &of(&[("a", 100), ("b", 50)]), &of(&[("b", 75), ("c", 1)]));
        let told: Vec<_> = found
            .unwrap()
            .iter()
            .map(|pair| (pair.tenant.clone(), pair.difference, change(pair).text))
            .collect();
        assert_eq!(
            told,
            [
                ("a".into(), -100, "-100.0 %".into()),
                ("b".into(), 25, "50.0 %".into()),
                ("c".into(), 1, "new".into())
            ]
        );
        // Of what nobody used in either there is no row.
        assert_eq!(pairs(None, &of(&[("a", 1)]), &of(&[])).unwrap().len(), 1);
    }
}
