//! The table of results.

use std::time::Duration;

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Line {
    /// What was measured.
    pub(crate) what: String,
    /// The daemon's or the tool's number.
    pub(crate) ours: String,
    /// What it is measured against.
    pub(crate) against: String,
    /// The number of that.
    pub(crate) bare: String,
    /// The one against the other, in the sense of the target.
    pub(crate) ratio: String,
    /// The target, and what else is worth knowing.
    pub(crate) remark: String,
}

/// The lines so far. Each is told at once, so that a run that is cut off tells something.
#[derive(Debug, Default)]
pub(crate) struct Table {
    lines: Vec<Line>,
}

impl Table {
    /// Adds a line.
    pub(crate) fn add(&mut self, line: Line) {
        let Line { what, ours, against, bare, ratio, remark } = &line;
        eprintln!("== {what}: {ours} against {bare} ({against}), {ratio}; {remark}");
        self.lines.push(line);
    }

    /// Prints all, ready for a document.
    pub(crate) fn print(&self) {
        println!("\n| what | ours | bare | ratio | |\n|--|--|--|--|--|");
        for Line { what, ours, against, bare, ratio, remark } in &self.lines {
            let bare = if against.is_empty() { bare.clone() } else { format!("{against}: {bare}") };
            println!("| {what} | {ours} | {bare} | {ratio} | {remark} |");
        }
    }
}

/// The median.
pub(crate) fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    *times.get(times.len() / 2).expect("at least one")
}

/// What so many of a thousand stay below.
pub(crate) fn permille(times: &mut [Duration], share: usize) -> Duration {
    times.sort_unstable();
    *times.get(times.len() * share / 1000).expect("enough")
}

/// A time in milliseconds.
pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// A time in seconds.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// So many in that time.
pub(crate) fn rate(count: usize, time: Duration) -> String {
    format!("{:.0} /s", per_second(count, time))
}

/// So many in that time, as a number a second.
pub(crate) fn per_second(count: usize, time: Duration) -> f64 {
    let count = f64::from(u32::try_from(count).expect("not that many"));
    count / time.as_secs_f64()
}

/// How many times as long.
pub(crate) fn times(ours: Duration, bare: Duration) -> String {
    format!("{:.2}", ours.as_secs_f64() / bare.as_secs_f64())
}

/// Whether a target is met, in a word.
pub(crate) fn verdict(met: bool, target: &str) -> String {
    let word = if met { "met" } else { "MISSED" };
    format!("{target}: {word}")
}
