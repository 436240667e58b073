//! `ssctl usage verify`: everything is added up again.

use jiff::{Timestamp, tz::TimeZone};
use streamspace_proto::{
    json::to_value,
    v1::{Tenant, UsageCheck, VerifyUsageRequest, VerifyUsageResponse},
};

use super::period::{Period, bounds, tomorrow};
use crate::{
    errors::{Doing as _, Failure, Outcome},
    output::{Cell, Column, Format, Listing, Tone},
    read::Read,
    resource::{call, full_name},
    shell::Shell,
    time::proto_instant,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  ssctl usage verify
  ssctl usage verify acme-corp --month 2026-11";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tenant; all of them without
    tenant: Option<String>,
    /// The month of UTC, as 2026-11; the current one without it
    #[arg(long, value_name = "MONTH")]
    month: Option<String>,
}

pub(super) async fn run(shell: &Shell, args: &Args) -> Outcome {
    let parent = full_name::<Tenant>(args.tenant.as_deref().unwrap_or("-"));
    let period = period(args.month.as_deref(), shell.now)?;
    let request = VerifyUsageRequest {
        parent: parent.clone(),
        start_time: Some(proto_instant(period.start)),
        end_time: Some(proto_instant(period.end)),
    };
    let read = shell.read(async |connection| {
        call!(connection, usage.verify_usage(request.clone()))
            .doing(|| format!("verify the usage of {parent}"))
    });
    let read = read.await?;
    let (holds, faults) = judged(&read);
    let printed = if shell.format().is_data() {
        read.print_answer(shell, |_| Vec::new(), |proof| Ok(to_value(proof)?))
    } else {
        print(shell, read, &period)
    };
    match printed {
        // Regions that were not read were told, and something is known to be wrong.
        Ok(()) | Err(Failure::Unread { .. }) if !holds => Err(Failure::CheckFailed {
            message: match faults {
                1 => format!("the usage of {parent} does not hold: 1 fault"),
                many => format!("the usage of {parent} does not hold: {many} faults"),
            },
            next: "each is above; `ssctl usage explain TENANT --day DAY` goes down to the events"
                .into(),
        }),
        other => other,
    }
}

/// A month as far as it has come: whole days of UTC.
fn period(month: Option<&str>, now: Timestamp) -> Outcome<Period> {
    let zone = TimeZone::UTC;
    let month = match month {
        Some(month) => month.to_owned(),
        None => now.to_zoned(zone.clone()).strftime("%Y-%m").to_string(),
    };
    let (start, end) = bounds(&month, &zone)?;
    let seen = tomorrow(now);
    let end = if start < seen { end.min(seen) } else { end };
    Ok(Period { start, end, zone, zone_name: "UTC".into() })
}

/// Whether all of it holds everywhere, and how many things do not. What says that it holds
/// and names faults does not.
fn judged(read: &Read<VerifyUsageResponse>) -> (bool, i64) {
    let proofs = || read.answers.iter().map(|(_, proof)| proof);
    let faults: i64 = proofs().flat_map(|proof| &proof.checks).map(|check| check.faults).sum();
    let told = proofs().map(|proof| proof.faults.len()).sum::<usize>();
    let holds = proofs().all(|proof| proof.holds) && faults == 0 && told == 0;
    (holds, faults.max(i64::try_from(told).unwrap_or(i64::MAX)))
}

/// The checks as a table, then what does not hold.
fn print(shell: &Shell, read: Read<VerifyUsageResponse>, period: &Period) -> Outcome {
    let mut lines = String::new();
    let several = read.several;
    let checks = read.map(|context, proof| {
        for fault in &proof.faults {
            let whose = if several { format!("{context}: ") } else { String::new() };
            let text = format!("! {whose}{fault}");
            lines.push_str(&streamspace_client::text::escape(&text));
            lines.push('\n');
        }
        Ok(proof.checks)
    })?;
    let printed = checks.print_rows(shell, &listing());
    match shell.format() {
        Format::Table | Format::Wide => {
            shell.print(&format!("{lines}Time:  {}\n", period.told()))?;
        }
        _ if !lines.is_empty() => shell.talk(lines.trim_end()),
        _ => {}
    }
    printed
}

fn listing() -> Listing<UsageCheck> {
    Listing {
        plural: "checks",
        columns: vec![
            Column::new("RULE", |check: &UsageCheck, _| check.rule.clone().into()),
            Column::new("CHECKED", |check, _| check.checked.into()),
            Column::new("FAULTS", |check, _| match check.faults {
                0 => Cell::toned("0", Tone::Good),
                some => Cell::toned(some.to_string(), Tone::Bad),
            }),
        ],
        name: |check| check.rule.clone(),
        value: |check| Ok(to_value(check)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_faults_does_not_hold() {
        let read = |holds, faults: i64, told: &[&str]| {
            let check = UsageCheck { rule: "hours = days".into(), checked: 9, faults };
            let faults = told.iter().map(|&text| text.to_owned()).collect();
            let proof = VerifyUsageResponse { holds, checks: vec![check], faults };
            let answers = vec![("dev".to_owned(), proof)];
            judged(&Read { several: false, answers, unread: Vec::new(), asked: 1 })
        };
        assert_eq!(read(true, 0, &[]), (true, 0));
        assert_eq!(read(false, 0, &[]), (false, 0));
        assert_eq!(read(true, 3, &[]), (false, 3));
        assert_eq!(read(true, 0, &["x"]), (false, 1));
    }

    #[test]
    fn the_current_month_is_verified_as_far_as_it_has_come() {
        let now: Timestamp = "2026-11-29T06:20:30Z".parse().unwrap();
        let of = |month| {
            let period = period(month, now).unwrap();
            (period.start.to_string(), period.end.to_string())
        };
        assert_eq!(of(None), ("2026-11-01T00:00:00Z".into(), "2026-11-30T00:00:00Z".into()));
        assert_eq!(of(Some("2026-10")).1, "2026-11-01T00:00:00Z");
        assert_eq!(of(Some("2027-01")).1, "2027-02-01T00:00:00Z");
    }
}
