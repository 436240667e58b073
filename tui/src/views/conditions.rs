//! What was observed of something, the worst first.

use jiff::Timestamp;
use streamspace_client::text::escape;
use streamspace_proto::v1::{Condition, ConditionStatus};

use super::text::{self, Line};
use crate::{
    format::{age, instant, seconds_since},
    rows::condition_word,
    theme::Tone,
};

pub(super) fn lines(conditions: &[Condition], now: Timestamp, width: usize, lines: &mut Vec<Line>) {
    text::heading("CONDITIONS", lines);
    if conditions.is_empty() {
        lines.push(vec![("nothing was observed yet".into(), Tone::Dim)]);
    }
    let mut sorted: Vec<_> = conditions.iter().collect();
    sorted.sort_by_key(|condition| match condition.status() {
        ConditionStatus::False => 0,
        ConditionStatus::Unknown | ConditionStatus::Unspecified => 1,
        ConditionStatus::True => 2,
    });
    for condition in sorted {
        let tone = match condition.status() {
            ConditionStatus::True => Tone::Plain,
            ConditionStatus::False => Tone::Warn,
            ConditionStatus::Unspecified | ConditionStatus::Unknown => Tone::Dim,
        };
        let since = instant(condition.last_transition_time.as_ref());
        let since = since.map(|since| age(seconds_since(since, now)));
        lines.push(vec![
            (format!("{} ", escape(&condition.r#type)), Tone::Strong),
            (format!("{} ", condition_word(condition.status())), tone),
            (format!("{} ", escape(&condition.reason)), tone),
            (since.map_or(String::new(), |since| format!(" for {since}")), Tone::Dim),
        ]);
        text::words(&escape(&condition.message), Tone::Plain, width, lines);
    }
}
