//! `ssctl slo chart`: how fast a budget burned, drawn in text.

use std::fmt::Write as _;

use jiff::Timestamp;
use streamspace_client::text::escape;
use streamspace_proto::{
    json::to_value,
    v1::{BurnChart, BurnStep, GetBurnChartRequest, Slo},
};

use super::{
    amounts::{percent, rate, rate_or_none, span_or_none},
    tenant_name,
};
use crate::{
    errors::{Doing as _, Outcome},
    output::{Column, Format, Listing},
    resource::{call, full_name},
    shell::Shell,
    time::{instant, local, parse_when, proto_instant},
};

/// How many lines the bars have.
const LINES: u64 = 8;
/// Parts of a line, from the lowest.
const EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The SLO
    name: String,
    /// The budget of this tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// From when on: 6h, 7d, 2026-05-01; the SLO's window without
    #[arg(long, value_parser = parse_when, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Until when, written as --since; now without
    #[arg(long, value_parser = parse_when, value_name = "TIME")]
    until: Option<Timestamp>,
    /// In how many steps
    #[arg(long, value_name = "NUMBER", default_value_t = 60,
        value_parser = clap::value_parser!(i32).range(1..=500))]
    steps: i32,
}

pub(super) async fn run(shell: &Shell, args: &Args) -> Outcome {
    let request = GetBurnChartRequest {
        slo: full_name::<Slo>(&args.name),
        tenant: tenant_name(args.tenant.as_deref()),
        start_time: args.since.map(proto_instant),
        end_time: args.until.map(proto_instant),
        steps: args.steps,
    };
    let name = request.slo.as_str();
    let read = shell.read(async |connection| {
        call!(connection, slos.get_burn_chart(request.clone())).doing(|| format!("chart {name}"))
    });
    let read = read.await?;
    match shell.format() {
        // Each region has a scale of its own, and a chart below the other's.
        Format::Table | Format::Wide => {
            read.print_texts(shell, |chart| drawn(name, chart, shell.terminal.unicode))
        }
        Format::Csv | Format::Name => {
            read.map(|_, chart| Ok(chart.steps))?.print_rows(shell, &listing())
        }
        _ => read.print_answer(shell, |_| Vec::new(), |chart| Ok(to_value(chart)?)),
    }
}

/// One column a step: a bar as high as the burn rate, or why there is none.
fn drawn(name: &str, chart: &BurnChart, unicode: bool) -> String {
    let step = span_or_none(chart.step.as_ref());
    let mut text = format!("{}: burn rate, a column is {step}\n", escape(name));
    let rates = chart.steps.iter().filter_map(|one| one.burn_rate_milli);
    // Of a quiet time the scale is 1: a burn rate of less is not drawn as a mountain.
    let top = rates.max().unwrap_or(0).max(1000).unsigned_abs();
    let label = rate(i64::try_from(top).unwrap_or(i64::MAX));
    let width = label.len();
    for line in (0..LINES).rev() {
        let mark = match line {
            0 => "0.00",
            line if line == LINES - 1 => &label,
            _ => "",
        };
        let bars: String = chart.steps.iter().map(|one| bar(one, top, line, unicode)).collect();
        // Writing to a string does not fail.
        let _ = writeln!(text, "{mark:>width$} |{}", bars.trim_end());
    }
    let edges = [chart.steps.first(), chart.steps.last()];
    let [first, last] = edges.map(|one| one.and_then(|one| one.start_time.as_ref()));
    let _ = writeln!(text, "{:width$} +{}", "", "-".repeat(chart.steps.len()));
    let _ = writeln!(text, "{:width$}  {} to {}", "", local(first), local(last));
    if let [Some(first), Some(last)] = edges {
        let (first, last) = (percent(first.remaining_ppm), percent(last.remaining_ppm));
        let _ = writeln!(text, "{:width$}  left of the budget: {first}, then {last}", "");
    }
    let has = |mark: fn(&BurnStep) -> bool| chart.steps.iter().any(mark);
    if has(is_gap) {
        let _ = writeln!(text, "{:width$}  ? nothing was measured", "");
    }
    if has(is_excluded) {
        let _ = writeln!(text, "{:width$}  x excluded", "");
    }
    text
}

fn is_excluded(step: &BurnStep) -> bool {
    step.burn_rate_milli.is_none() && step.excluded.as_ref().is_some_and(|span| span.seconds > 0)
}

fn is_gap(step: &BurnStep) -> bool {
    let measured = step.measured.as_ref().is_some_and(|span| span.seconds > 0);
    step.burn_rate_milli.is_none() && !measured && !is_excluded(step)
}

/// What of a step's bar is in a line, the lowest being 0.
fn bar(step: &BurnStep, top: u64, line: u64, unicode: bool) -> char {
    let Some(milli) = step.burn_rate_milli else {
        return match line {
            0 if is_excluded(step) => 'x',
            0 if is_gap(step) => '?',
            _ => ' ',
        };
    };
    let milli = u128::from(u64::try_from(milli).unwrap_or(0));
    // Eighths of a line, rounded up: what burned at all is seen.
    let eighths = (milli * u128::from(LINES) * 8).div_ceil(u128::from(top.max(1)));
    let here = eighths.saturating_sub(u128::from(line) * 8).min(8);
    match (usize::try_from(here).unwrap_or(8).checked_sub(1), unicode) {
        (None, _) => ' ',
        (Some(part), true) => EIGHTHS.get(part).copied().unwrap_or('█'),
        (Some(_), false) => '#',
    }
}

fn listing() -> Listing<BurnStep> {
    Listing {
        plural: "steps",
        columns: vec![
            Column::new("START", |step: &BurnStep, _| start(step).into()),
            Column::new("TOTAL", |step, _| step.total.into()),
            Column::new("BAD", |step, _| step.bad.into()),
            Column::new("BURN RATE", |step, _| rate_or_none(step.burn_rate_milli).into()),
            Column::new("LEFT", |step, _| percent(step.remaining_ppm).into()),
            Column::new("MEASURED", |step, _| span_or_none(step.measured.as_ref()).into()),
            Column::new("EXCLUDED", |step, _| span_or_none(step.excluded.as_ref()).into()),
        ],
        name: start,
        value: |step| Ok(to_value(step)?),
    }
}

fn start(step: &BurnStep) -> String {
    instant(step.start_time.as_ref()).map(|time| time.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(burn_rate_milli: Option<i64>) -> BurnStep {
        BurnStep { burn_rate_milli, ..BurnStep::default() }
    }

    #[test]
    fn bars_are_as_high_as_the_rates() {
        let column = |milli: i64, unicode: bool| -> String {
            (0..LINES).map(|line| bar(&step(Some(milli)), 16_000, line, unicode)).collect()
        };
        assert_eq!(column(16_000, true), "████████");
        assert_eq!(column(8_000, true), "████    ");
        assert_eq!(column(250, true), "▁       ");
        assert_eq!(column(1, true), "▁       ");
        assert_eq!(column(0, true), "        ");
        assert_eq!(column(-5, false), "        ");
        assert_eq!(column(i64::MAX, false), "########");
    }

    #[test]
    fn what_was_not_measured_is_no_bar_of_nothing() {
        let excluded = Some(prost_types::Duration { seconds: 60, nanos: 0 });
        assert_eq!(bar(&step(None), 1000, 0, true), '?');
        assert_eq!(bar(&BurnStep { excluded, ..step(None) }, 1000, 0, true), 'x');
    }
}
