//! How a quota is shown: its limits, its users, and what else is to know.

use jiff::Timestamp;
use streamspace_client::text::escape;
use streamspace_proto::{
    json::to_value,
    v1::{Quota, QuotaLine, UserQuota},
};

use super::super::tenant::override_words;
use crate::{
    errors::Outcome,
    output::{Cell, Column, Format, Layout, Tone, details, plain_table},
    quantity::decimal,
    read::Read,
    resource::Noun,
    shell::Shell,
    time::{instant, remaining},
};

/// What is used up within so many seconds is told in red.
const SOON: i64 = 7 * 24 * 3600;

/// The lines as a table, and below it what else is to know; else the whole value.
pub(super) fn print(shell: &Shell, quota: Read<Quota>) -> Outcome {
    if shell.format().is_data() {
        return quota.print_answer(shell, |_| Vec::new(), |quota| Ok(to_value(quota)?));
    }
    let mut notes = Vec::new();
    let lines = quota.map(|context, quota| {
        notes.extend(users(shell, context, &quota.users));
        notes.extend(note(shell, context, &quota));
        Ok(quota.lines)
    })?;
    let told = lines.print_all(shell);
    if matches!(shell.format(), Format::Table | Format::Wide) {
        for note in &notes {
            shell.print(note)?;
        }
    }
    told
}

/// Who of the tenant holds how much, if anybody does: who holds most is first.
fn users(shell: &Shell, context: &str, users: &[UserQuota]) -> Option<String> {
    if users.is_empty() {
        return None;
    }
    let layout = Layout::new(shell.terminal, false);
    let table = plain_table(Format::Table, &user_columns(), users, layout, shell.now);
    let whose = if shell.several() { format!("{}:\n", escape(context)) } else { String::new() };
    Some(format!("\n{whose}{table}"))
}

fn user_columns() -> Vec<Column<UserQuota>> {
    vec![
        Column::new("USER", |one: &UserQuota, _| one.user.clone().into()),
        Column::new("SESSIONS", |one, _| one.sessions.into()),
        Column::new("AT MOST", |one, _| match one.sessions_hard {
            -1 => "no limit".into(),
            most if one.sessions >= most => Cell::toned(most.to_string(), Tone::Doubtful),
            most => most.into(),
        }),
        Column::new("MEMORY", |one, _| one.memory.clone().into()),
        Column::new("AT MOST", |one, _| match one.memory_hard.as_str() {
            "" => "no limit".into(),
            most => most.into(),
        }),
    ]
}

/// What is to know beside the lines, if anything is.
fn note(shell: &Shell, context: &str, quota: &Quota) -> Option<String> {
    let overrides = quota.overrides.iter().map(|set| override_words(set, shell.now));
    let overrides = overrides.collect::<Vec<_>>().join("\n");
    let unseen = if quota.observed { "" } else { "what is used is not known" };
    let why = [unseen, &quota.message];
    let why: Vec<_> = why.into_iter().filter(|part| !part.is_empty()).collect();
    let mut pairs: Vec<(&str, Cell)> = vec![
        ("Overrides", overrides.into()),
        ("Note", Cell::toned(why.join(": "), Tone::Doubtful)),
    ];
    if pairs.iter().all(|(_, cell)| cell.text.is_empty()) {
        return None;
    }
    if shell.several() {
        pairs.insert(0, ("Context", context.into()));
    }
    Some(details(&pairs, Layout::new(shell.terminal, false)))
}

impl Noun for QuotaLine {
    const PLURAL: &'static str = "limits";
    const PREFIX: &'static str = "";

    fn resource_name(&self) -> &str {
        &self.resource
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("RESOURCE", |line: &Self, _| line.resource.clone().into()),
            Column::new("LIMIT", |line, _| line.hard.clone().into()),
            Column::new("USED", |line, _| line.used.clone().into()),
            Column::new("LEFT", |line, _| line.headroom.clone().into()),
            Column::new("USE", |line, _| used(line)),
            Column::new("PLAN", |line, _| line.plan.clone().into()),
            Column::new("FULL IN", forecast),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, Cell)> {
        let columns = Self::columns();
        columns.iter().map(|column| (column.title, (column.cell)(self, now))).collect()
    }
}

/// How long it lasts if it goes on as in the last day; nothing where it does not grow.
fn forecast(line: &QuotaLine, now: Timestamp) -> Cell {
    let Some(end) = instant(line.exhaust_time.as_ref()) else { return "".into() };
    let tone = match end.as_second().saturating_sub(now.as_second()) {
        ..=SOON => Tone::Bad,
        _ => Tone::Doubtful,
    };
    Cell::toned(remaining(line.exhaust_time.as_ref(), now), tone)
}

/// How much is used, in percent; nothing where it was not observed.
fn used(line: &QuotaLine) -> Cell {
    if line.used.is_empty() {
        return "".into();
    }
    let tone = match line.used_permille {
        ..800 => Tone::Good,
        800..=1000 => Tone::Doubtful,
        _ => Tone::Bad,
    };
    Cell::toned(format!("{} %", decimal(line.used_permille, 1)), tone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_is_told_by_its_tone_and_nothing_where_it_is_not_known() {
        let line = |used: &str, used_permille| QuotaLine {
            used: used.into(),
            used_permille,
            ..QuotaLine::default()
        };
        assert_eq!(used(&line("", 0)), Cell::from(""));
        assert_eq!(used(&line("1", 125)), Cell::toned("12.5 %", Tone::Good));
        assert_eq!(used(&line("9", 900)), Cell::toned("90 %", Tone::Doubtful));
        assert_eq!(used(&line("12", 1200)), Cell::toned("120 %", Tone::Bad));
    }

    #[test]
    fn a_forecast_is_told_where_there_is_one() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let line = |seconds: Option<i64>| QuotaLine {
            exhaust_time: seconds
                .map(|seconds| prost_types::Timestamp { seconds: 1_000_000 + seconds, nanos: 0 }),
            ..QuotaLine::default()
        };
        assert_eq!(forecast(&line(None), now), Cell::from(""));
        assert_eq!(forecast(&line(Some(7200)), now), Cell::toned("2h", Tone::Bad));
        assert_eq!(forecast(&line(Some(30 * 86_400)), now), Cell::toned("30d", Tone::Doubtful));
        assert_eq!(forecast(&line(Some(-1)), now), Cell::toned("over", Tone::Bad));
    }
}
