//! The tables of `ssctl usage explain`. What is added stands in whole units, with its sum in
//! the last row.

use jiff::Timestamp;
use streamspace_client::text::escape;
use streamspace_proto::v1::{ExplainedInterval, ExplainedPiece, ExplainedSubject};

use super::super::{amounts::Amounts, period::Period};
use crate::{
    output::{Cell, Column, Format, Layout, Tone, plain_table},
    quantity::{bytes, cpu},
    shell::Shell,
    time::instant,
};

/// How long an interval is.
const BUCKET: i64 = 300;

/// One session or home, or their sum.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    kind: String,
    name: String,
    user: String,
    template: String,
    pub(super) uid: String,
    pub(super) amounts: Amounts,
}

impl Sums {
    pub(super) fn of(subject: &ExplainedSubject, amounts: Amounts) -> Self {
        Self {
            kind: subject.kind.clone(),
            name: subject.name.clone(),
            user: subject.user.clone(),
            template: subject.template.clone(),
            uid: subject.uid.clone(),
            amounts,
        }
    }
}

pub(super) fn subject_columns() -> Vec<Column<Sums>> {
    vec![
        Column::new("KIND", |row: &Sums, _| row.kind.clone().into()),
        Column::new("NAME", |row, _| row.name.clone().into()),
        Column::new("USER", |row, _| row.user.clone().into()),
        Column::new("TEMPLATE", |row, _| row.template.clone().into()),
        Column::new("CPU MILLICORE-S", |row, _| row.amounts.cpu.into()),
        Column::new("MEMORY BYTE-S", |row, _| row.amounts.memory.into()),
        Column::new("HOMES BYTE-S", |row, _| row.amounts.storage.into()),
        Column::new("SESSION-S", |row, _| row.amounts.sessions.into()),
        Column::new("VCPU-H", |row, _| row.amounts.vcpu_hours().into()),
        Column::new("MEMORY GIB-H", |row, _| row.amounts.memory_hours().into()),
        Column::new("HOMES GIB-H", |row, _| row.amounts.storage_hours().into()),
    ]
}

/// All of them, and their sum.
pub(super) fn subjects(shell: &Shell, rows: &[Sums], total: &Amounts, cut: bool) -> String {
    let mut rows = rows.to_vec();
    let kind = if cut { "of all" } else { "sum" };
    rows.push(Sums { kind: kind.into(), amounts: *total, ..Sums::default() });
    format!("\n{}", table(shell, &subject_columns(), &rows))
}

/// What is behind one of them: intervals, pieces, events.
pub(super) fn subject(shell: &Shell, period: &Period, subject: &ExplainedSubject) -> String {
    let mut title = format!("{} {}", subject.kind, subject.name);
    for (word, value) in [("of", &subject.user), ("from", &subject.template)] {
        if !value.is_empty() {
            title = format!("{title} {word} {value}");
        }
    }
    let title = escape(&title).into_owned();
    let mut text = format!("\n{title} ({})\n", escape(&subject.uid));
    let committed = runs(period, &subject.intervals);
    if !committed.is_empty() {
        text += "\nCommitted, five minutes each:\n";
        text += &table(shell, &interval_columns(), &with_sum(committed, subject));
    }
    if !subject.pieces.is_empty() {
        let pieces: Vec<Piece> =
            subject.pieces.iter().map(|piece| Piece::of(period, piece)).collect();
        text += "\nIn which nothing changed, as known now:\n";
        text += &table(shell, &piece_columns(), &pieces);
    }
    if !subject.events.is_empty() {
        let events: Vec<Event> = subject
            .events
            .iter()
            .map(|event| Event {
                time: told(period, event.time.as_ref()),
                phase: event.phase.clone(),
                requested: (event.cpu_millicores, event.memory_bytes, event.home_bytes),
                position: event.position,
                cause: event.cause.clone(),
                pod: event.pod_uid.clone(),
            })
            .collect();
        text += "\nBecause of these events:\n";
        text += &table(shell, &event_columns(), &events);
    }
    text
}

/// Five minutes, several alike in a row, a correction, or the sum of them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    from: String,
    to: String,
    /// Where it ends, for the one that follows; nothing behind a correction.
    end: Option<i64>,
    count: usize,
    /// What each of them is.
    each: Amounts,
    sum: Amounts,
    why: String,
}

/// The intervals, those that are alike and follow each other as one row.
fn runs(period: &Period, intervals: &[ExplainedInterval]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for interval in intervals {
        // What cannot be read failed before, where it was added up.
        let Ok(amounts) = Amounts::read(interval.amounts.as_ref()) else { continue };
        let start = interval.start_time.as_ref().map(|time| time.seconds);
        if let Some(last) = runs.last_mut()
            && interval.correction == 0
            && last.end.is_some()
            && last.end == start
            && last.each == amounts
            && last.why == interval.doubts
            && let Ok(sum) = last.sum.plus(amounts)
        {
            last.sum = sum;
            last.count += 1;
            last.end = start.map(|start| start + BUCKET);
            last.to = second(period, last.end);
            continue;
        }
        let end = start.map(|start| start + BUCKET);
        let why = match (interval.correction, interval.doubts.as_str()) {
            (0, doubts) => doubts.to_owned(),
            (number, "") => format!("correction {number}"),
            (number, doubts) => format!("correction {number}: {doubts}"),
        };
        runs.push(Run {
            from: second(period, start),
            to: second(period, end),
            end: end.filter(|_| interval.correction == 0),
            count: 1,
            each: amounts,
            sum: amounts,
            why,
        });
    }
    runs
}

/// The rows and what they come to. It was compared with what the daemon told.
fn with_sum(mut runs: Vec<Run>, subject: &ExplainedSubject) -> Vec<Run> {
    let sum = Amounts::read(subject.amounts.as_ref()).unwrap_or_default();
    let count = subject.intervals.len();
    runs.push(Run {
        from: "sum".into(),
        to: String::new(),
        end: None,
        count,
        each: sum,
        sum,
        why: String::new(),
    });
    runs
}

fn interval_columns() -> Vec<Column<Run>> {
    vec![
        Column::new("FROM", |run: &Run, _| run.from.clone().into()),
        Column::new("TO", |run, _| run.to.clone().into()),
        Column::new("ROWS", |run, _| run.count.into()),
        Column::new("CPU MILLICORE-S", |run, _| run.sum.cpu.into()),
        Column::new("MEMORY BYTE-S", |run, _| run.sum.memory.into()),
        Column::new("HOMES BYTE-S", |run, _| run.sum.storage.into()),
        Column::new("SESSION-S", |run, _| run.sum.sessions.into()),
        Column::new("MEASURED-S", |run, _| run.sum.measured.into()),
        Column::new("ESTIMATED-S", |run, _| run.sum.estimated.into()),
        Column::new("UNBILLED-S", |run, _| run.sum.unbilled.into()),
        Column::new("WHY", |run, _| run.why.clone().into()),
    ]
}

/// A time in which nothing changed, with what it multiplies to.
#[derive(Clone, Debug)]
struct Piece {
    from: String,
    to: String,
    seconds: i64,
    coverage: String,
    reason: String,
    rates: (i64, i64, i64),
}

impl Piece {
    fn of(period: &Period, piece: &ExplainedPiece) -> Self {
        let seconds = match (&piece.start_time, &piece.end_time) {
            (Some(start), Some(end)) => end.seconds.saturating_sub(start.seconds),
            _ => 0,
        };
        Self {
            from: told(period, piece.start_time.as_ref()),
            to: told(period, piece.end_time.as_ref()),
            seconds,
            coverage: piece.coverage.clone(),
            reason: piece.reason.clone(),
            rates: (piece.cpu_millicores, piece.memory_bytes, piece.home_bytes),
        }
    }

    fn times(&self, rate: i64) -> i128 {
        i128::from(self.seconds).saturating_mul(i128::from(rate))
    }
}

fn piece_columns() -> Vec<Column<Piece>> {
    vec![
        Column::new("FROM", |piece: &Piece, _| piece.from.clone().into()),
        Column::new("TO", |piece, _| piece.to.clone().into()),
        Column::new("SECONDS", |piece, _| piece.seconds.into()),
        Column::new("KNOWN", |piece, _| {
            let tone = match piece.coverage.as_str() {
                "measured" => Tone::Good,
                "estimated" => Tone::Doubtful,
                _ => Tone::Plain,
            };
            Cell::toned(piece.coverage.clone(), tone)
        }),
        Column::new("CPU", |piece, _| cpu(piece.rates.0).into()),
        Column::new("MEMORY", |piece, _| bytes(piece.rates.1).into()),
        Column::new("HOME", |piece, _| bytes(piece.rates.2).into()),
        Column::new("= MILLICORE-S", |piece, _| piece.times(piece.rates.0).into()),
        Column::new("= MEMORY BYTE-S", |piece, _| piece.times(piece.rates.1).into()),
        Column::new("= HOME BYTE-S", |piece, _| piece.times(piece.rates.2).into()),
        Column::new("WHY", |piece, _| piece.reason.clone().into()),
    ]
}

/// One fact of the cluster.
#[derive(Clone, Debug)]
struct Event {
    time: String,
    phase: String,
    requested: (i64, i64, i64),
    position: i64,
    cause: String,
    pod: String,
}

fn event_columns() -> Vec<Column<Event>> {
    vec![
        Column::new("FROM", |event: &Event, _| event.time.clone().into()),
        Column::new("PHASE", |event, _| event.phase.clone().into()),
        Column::new("CPU", |event, _| cpu(event.requested.0).into()),
        Column::new("MEMORY", |event, _| bytes(event.requested.1).into()),
        Column::new("HOME", |event, _| bytes(event.requested.2).into()),
        Column::new("VERSION", |event, _| event.position.into()),
        Column::new("CAUSE", |event, _| event.cause.clone().into()),
        Column::new("POD", |event, _| event.pod.clone().into()),
    ]
}

fn table<T>(shell: &Shell, columns: &[Column<T>], rows: &[T]) -> String {
    // Nothing may be left out of what is to be added up.
    let layout = Layout::new(shell.terminal, true);
    plain_table(Format::Wide, columns, rows, layout, shell.now)
}

fn told(period: &Period, time: Option<&prost_types::Timestamp>) -> String {
    instant(time).map(|time| period.second(time)).unwrap_or_default()
}

fn second(period: &Period, second: Option<i64>) -> String {
    let time = second.and_then(|second| Timestamp::from_second(second).ok());
    time.map(|time| period.second(time)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use streamspace_proto::v1::UsageAmounts;

    use super::*;

    fn period() -> Period {
        let at = |second| Timestamp::from_second(second).unwrap();
        Period { start: at(0), end: at(86_400), zone: TimeZone::UTC, zone_name: "UTC".into() }
    }

    fn interval(start: i64, cpu: i64, correction: i32) -> ExplainedInterval {
        ExplainedInterval {
            start_time: Some(prost_types::Timestamp { seconds: start, nanos: 0 }),
            amounts: Some(UsageAmounts {
                cpu_millicore_seconds: cpu.to_string(),
                ..UsageAmounts::default()
            }),
            correction,
            doubts: String::new(),
        }
    }

    #[test]
    fn intervals_that_are_alike_are_one_row_with_their_sum() {
        let rows = runs(
            &period(),
            &[
                interval(0, 150_000, 0),
                interval(300, 300_000, 0),
                interval(600, 300_000, 0),
                interval(900, 300_000, 0),
                // Not the next one.
                interval(1500, 300_000, 0),
                interval(1500, -50_000, 1),
            ],
        );
        let told: Vec<_> =
            rows.iter().map(|row| (row.count, row.sum.cpu, row.why.as_str())).collect();
        assert_eq!(
            told,
            [(1, 150_000, ""), (3, 900_000, ""), (1, 300_000, ""), (1, -50_000, "correction 1")]
        );
        assert_eq!(
            (rows[1].from.as_str(), rows[1].to.as_str()),
            ("1970-01-01 00:05:00", "1970-01-01 00:20:00")
        );
        let sum: i128 = rows.iter().map(|row| row.sum.cpu).sum();
        assert_eq!(sum, 150_000 + 4 * 300_000 - 50_000);
    }
}
