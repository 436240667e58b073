//! Usage as FOCUS 1.2, the `FinOps` Open Cost and Usage Specification: one row for each of
//! CPU, memory and homes that was used.

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use streamspace_proto::v1::{Tenant, UsageRow};

use super::{
    amounts::{Amounts, GIB_HOUR, VCPU_HOUR, odd, parts_of},
    export::time,
};
use crate::{
    errors::Outcome,
    output::csv_field,
    resource::{Noun as _, short},
    time::instant,
};

/// The columns that FOCUS 1.2 makes mandatory, in the order of their names.
const MANDATORY: [&str; 21] = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
];

/// What a dataset has where usage is measured, and what is ours.
const FURTHER: [&str; 6] =
    ["ConsumedQuantity", "ConsumedUnit", "x_ExactQuantity", "x_ExactUnit", "x_Template", "x_User"];

/// Places of a quantity; the exact one stands beside it.
const PLACES: u32 = 9;

/// Who provides, publishes and invoices.
const WHO: &str = "StreamSpace";

/// The first line.
pub(super) fn titles() -> String {
    let titles: Vec<_> = MANDATORY.into_iter().chain(FURTHER).collect();
    titles.join(",") + "\r\n"
}

/// Something that is used.
struct Metered {
    /// As in "CPU of sessions".
    what: &'static str,
    service: &'static str,
    category: &'static str,
    unit: &'static str,
    per: i128,
    exact_unit: &'static str,
    of: fn(&Amounts) -> i128,
}

const METERED: [Metered; 3] = [
    Metered {
        what: "CPU requested by sessions",
        service: "StreamSpace Sessions",
        category: "Compute",
        unit: "vCPU-Hours",
        per: VCPU_HOUR,
        exact_unit: "Millicore-Seconds",
        of: |amounts| amounts.cpu,
    },
    Metered {
        what: "Memory requested by sessions",
        service: "StreamSpace Sessions",
        category: "Compute",
        unit: "GiB-Hours",
        per: GIB_HOUR,
        exact_unit: "B-Seconds",
        of: |amounts| amounts.memory,
    },
    Metered {
        what: "Storage of homes",
        service: "StreamSpace Homes",
        category: "Storage",
        unit: "GiB-Hours",
        per: GIB_HOUR,
        exact_unit: "B-Seconds",
        of: |amounts| amounts.storage,
    },
];

/// The rows of one row: of what was not used there is none.
pub(super) fn records(row: &UsageRow) -> Outcome<String> {
    let amounts = Amounts::read(row.amounts.as_ref())?;
    let start = instant(row.start_time.as_ref()).ok_or_else(|| odd("a row has no time"))?;
    let (period_start, period_end) = billing_period(start)?;
    let mut text = String::new();
    for metered in METERED.iter().filter(|metered| (metered.of)(&amounts) != 0) {
        let exact = (metered.of)(&amounts);
        let quantity = parts_of(exact, metered.per, PLACES);
        let tenant = short(Tenant::PREFIX, &row.tenant);
        let fields = [
            "0".to_owned(),
            csv_field(&row.tenant_uid),
            csv_field(tenant),
            "USD".to_owned(),
            period_end.to_string(),
            period_start.to_string(),
            "Usage".to_owned(),
            // Null: a correction is part of the sum of its time, and of no other period.
            String::new(),
            csv_field(&description(metered.what, row)),
            time(row.end_time.as_ref()),
            time(row.start_time.as_ref()),
            "0".to_owned(),
            "0".to_owned(),
            WHO.to_owned(),
            "0".to_owned(),
            quantity.clone(),
            metered.unit.to_owned(),
            WHO.to_owned(),
            WHO.to_owned(),
            metered.category.to_owned(),
            metered.service.to_owned(),
            quantity,
            metered.unit.to_owned(),
            exact.to_string(),
            metered.exact_unit.to_owned(),
            csv_field(&row.template),
            csv_field(&row.user),
        ];
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    Ok(text)
}

fn description(what: &str, row: &UsageRow) -> String {
    let mut text = what.to_owned();
    for (word, value) in [("of", &row.user), ("from", &row.template)] {
        if !value.is_empty() {
            text = format!("{text} {word} {value}");
        }
    }
    text
}

/// The calendar month of UTC that the instant is in.
fn billing_period(time: Timestamp) -> Outcome<(Timestamp, Timestamp)> {
    let wrong = |_| odd("a row is of a time that no calendar has");
    let first = time.to_zoned(TimeZone::UTC).date().first_of_month();
    let next = first.checked_add(1.month()).map_err(wrong)?;
    let begin = |date: jiff::civil::Date| {
        date.to_zoned(TimeZone::UTC).map(|day| day.timestamp()).map_err(wrong)
    };
    Ok((begin(first)?, begin(next)?))
}

#[cfg(test)]
mod tests {
    use streamspace_proto::v1::UsageAmounts;

    use super::*;

    fn row() -> UsageRow {
        let at = |text: &str| {
            let time: Timestamp = text.parse().unwrap();
            Some(prost_types::Timestamp { seconds: time.as_second(), nanos: 0 })
        };
        UsageRow {
            tenant: "tenants/acme".into(),
            tenant_uid: "0190a3b4".into(),
            user: "ada".into(),
            template: "firefox".into(),
            start_time: at("2026-11-30T23:00:00Z"),
            end_time: at("2026-12-01T00:00:00Z"),
            amounts: Some(UsageAmounts {
                cpu_millicore_seconds: "340000".into(),
                memory_byte_seconds: (680_i128 << 30).to_string(),
                ..UsageAmounts::default()
            }),
            actual: None,
        }
    }

    /// By hand: 340,000 / 3,600,000 and 680 / 3,600.
    #[test]
    fn a_row_is_one_for_each_thing_used_with_every_mandatory_column() {
        let text = records(&row()).unwrap();
        let rows: Vec<Vec<&str>> =
            text.split_terminator("\r\n").map(|row| row.split(',').collect()).collect();
        assert_eq!(rows.len(), 2, "{text}");
        let titles = titles();
        let titles: Vec<&str> = titles.trim_end().split(',').collect();
        assert_eq!(titles.len(), 27);
        let of = |row: usize, title: &str| {
            let at = titles.iter().position(|known| *known == title).unwrap();
            rows[row][at]
        };
        for row in [0, 1] {
            assert_eq!(rows[row].len(), titles.len());
            assert_eq!(of(row, "BillingPeriodStart"), "2026-11-01T00:00:00Z");
            assert_eq!(of(row, "BillingPeriodEnd"), "2026-12-01T00:00:00Z");
            assert_eq!(of(row, "ChargePeriodStart"), "2026-11-30T23:00:00Z");
            assert_eq!(of(row, "ServiceCategory"), "Compute");
            assert_eq!(of(row, "BilledCost"), "0");
            assert_eq!(of(row, "PricingQuantity"), of(row, "ConsumedQuantity"));
        }
        assert_eq!(
            (of(0, "ConsumedQuantity"), of(0, "ConsumedUnit")),
            ("0.094444444", "vCPU-Hours")
        );
        assert_eq!(
            (of(1, "ConsumedQuantity"), of(1, "ConsumedUnit")),
            ("0.188888889", "GiB-Hours")
        );
        assert_eq!(of(1, "x_ExactQuantity"), "730144440320");
        assert_eq!(of(0, "ChargeDescription"), "CPU requested by sessions of ada from firefox");
    }

    #[test]
    fn nothing_may_be_empty_where_the_specification_forbids_it() {
        let nullable =
            ["BillingAccountName", "ChargeClass", "ChargeDescription", "PricingQuantity"];
        let text = records(&row()).unwrap();
        let first = text.split("\r\n").next().unwrap();
        for (title, value) in MANDATORY.iter().zip(first.split(',')) {
            assert!(!value.is_empty() || nullable.contains(title), "{title}");
        }
    }
}
