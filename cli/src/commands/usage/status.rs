//! `ssctl usage status`: how far the metering has come.

use jiff::Timestamp;
use streamspace_proto::{
    json::to_value,
    v1::{GetUsageStatusRequest, UsageGap, UsageStatus},
};

use super::{
    actual,
    amounts::Amounts,
    show::{known, told},
};
use crate::{
    errors::{Doing as _, Outcome},
    output::{Cell, Tone},
    resource::call,
    shell::Shell,
    time::{age, instant, local},
};

/// So many gaps are told on the page; the data formats have all.
const GAPS: usize = 10;

pub(super) async fn run(shell: &Shell) -> Outcome {
    let read = shell.read(async |connection| {
        let status = call!(connection, usage.get_usage_status(GetUsageStatusRequest {}))
            .doing(|| "read how far the metering is".into())?;
        let sums = Amounts::read(status.last_30_days.as_ref())?;
        Ok((status, sums))
    });
    read.await?.print_answer(
        shell,
        |(status, sums)| page(status, sums, shell.now),
        |(status, _)| Ok(to_value(status)?),
    )
}

fn page(status: &UsageStatus, sums: &Amounts, now: Timestamp) -> Vec<(&'static str, Cell)> {
    if status.begin_time.is_none() {
        let text = "metering has not begun: nothing is counted";
        return vec![("Metering", Cell::toned(text, Tone::Bad))];
    }
    let mut pairs: Vec<(&'static str, Cell)> = vec![
        ("Begun", begun(status.begin_time.as_ref(), now)),
        ("Complete through", through(status.complete_through_time.as_ref(), now)),
        ("Closed through", through(status.closed_through_time.as_ref(), now)),
        ("Leader term", status.leader_term.into()),
        ("Last 30 days", told(sums).into()),
        ("Known", known(sums).into()),
        ("Waiting", waiting(status).into()),
        ("Corrections", format!("{} in 30 days", status.corrections).into()),
    ];
    pairs.extend(actual::sources(&status.actual_sources, now));
    if status.gaps.is_empty() {
        pairs.push(("Gaps", Cell::toned("none in 30 days", Tone::Good)));
    }
    for (at, gap) in status.gaps.iter().take(GAPS).enumerate() {
        let title = if at == 0 { "Gaps" } else { "" };
        pairs.push((title, Cell::toned(spoken(gap), Tone::Doubtful)));
    }
    if status.gaps.len() > GAPS {
        let more = status.gaps.len() - GAPS;
        pairs.push(("", format!("and {more} more; -o json has them").into()));
    }
    pairs
}

/// A region begins with the next whole five minutes.
fn begun(time: Option<&prost_types::Timestamp>, now: Timestamp) -> Cell {
    match instant(time) {
        Some(begin) if begin > now => {
            let words = format!("nothing is counted before {}", local(time));
            Cell::toned(words, Tone::Doubtful)
        }
        _ => local(time).into(),
    }
}

fn through(time: Option<&prost_types::Timestamp>, now: Timestamp) -> Cell {
    match time {
        None => Cell::toned("nothing yet", Tone::Doubtful),
        Some(_) => format!("{} ({} ago)", local(time), age(time, now)).into(),
    }
}

fn waiting(status: &UsageStatus) -> String {
    format!(
        "{} hours to be added up anew, {} spans that facts came late for",
        status.dirty_hours, status.late_spans
    )
}

/// A gap: from when to when, and how long that is.
pub(super) fn spoken(gap: &UsageGap) -> String {
    let (start, end) = (instant(gap.start_time.as_ref()), instant(gap.end_time.as_ref()));
    let seconds = match (start, end) {
        (Some(start), Some(end)) => end.as_second().saturating_sub(start.as_second()),
        _ => 0,
    };
    format!(
        "{} to {} ({seconds} s that nobody watched)",
        local(gap.start_time.as_ref()),
        local(gap.end_time.as_ref())
    )
}
