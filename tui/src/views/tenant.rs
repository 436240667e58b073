//! All about one tenant: the wish, every condition, and what changed.

use jiff::Timestamp;
use ratatui::style::Style;
use streamspace_client::text::escape;
use streamspace_proto::v1::{self, Condition, ConditionStatus, Isolation};

use super::{View, changes};
use crate::{
    format::{age, date_and_time, instant, seconds_since, time_of_day},
    pen::{Pen, wrap},
    state::{EntryKind, State, Tenant, TenantKey, condition_word, state_word},
    theme::{Theme, Tone},
};

/// Where the values begin.
const VALUES: usize = 17;

/// A line of the page: pieces one after another.
type Line = Vec<(String, Tone)>;

impl View for TenantKey {
    fn crumbs(&self, state: &State) -> Vec<String> {
        let id = state.tenants.get(self).map_or("gone", |tenant| tenant.id.as_str());
        vec!["tenants".into(), id.to_owned()]
    }

    fn command(&self, state: &State) -> Option<String> {
        let tenant = state.tenants.get(self)?;
        Some(format!("ssctl tenant show {}", tenant.shell_word()))
    }

    fn lines(&self, state: &State, width: u16) -> usize {
        lines(self, state, width).len()
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let (width, live) = (pen.width(), state.is_live());
        let lines = lines(self, state, width);
        for (y, line) in (0..pen.height()).zip(lines.iter().skip(state.scroll)) {
            line.iter().fold(1, |x, (text, tone)| {
                let tone = if live { *tone } else { Tone::Dim };
                let style: Style = pen.theme.style(tone);
                pen.clipped(x, y, width.saturating_sub(x), text, style)
            });
        }
    }
}

fn lines(key: &TenantKey, state: &State, width: u16) -> Vec<Line> {
    let width = usize::from(width.saturating_sub(2));
    let mut lines = Vec::new();
    match state.tenants.get(key) {
        Some(tenant) => {
            head(tenant, state, &mut lines);
            conditions(&tenant.whole.conditions, state, width, &mut lines);
            wish(&tenant.whole, state.now, width, &mut lines);
        }
        None => lines.push(vec![("This tenant is gone. esc goes back.".into(), Tone::Plain)]),
    }
    heading("CHANGED since this was opened", &mut lines);
    let before = lines.len();
    for entry in changes::entries(state, Some(key)) {
        if let EntryKind::Change { actor, what, .. } = &entry.kind {
            lines.push(vec![
                (format!("{} ", time_of_day(entry.at)), Tone::Dim),
                (format!("{actor}  {what}"), Tone::Plain),
            ]);
        }
    }
    if lines.len() == before {
        lines.push(vec![("nothing".into(), Tone::Dim)]);
    }
    lines
}

fn head(tenant: &Tenant, state: &State, lines: &mut Vec<Line>) {
    let whole = &tenant.whole;
    let mut line = vec![
        (format!("{}  ", tenant.id), Tone::Strong),
        (state_word(whole.state()).into(), Theme::tone(tenant.wellness)),
        (format!("  {} v{}", tenant.plan, whole.plan_version), Tone::Plain),
        (format!("  {} seats", tenant.seats), Tone::Plain),
    ];
    if whole.protected {
        line.push(("  protected".into(), Tone::Plain));
    }
    if let Some(created) = tenant.created {
        let old = age(seconds_since(created, state.now));
        line.push((format!("  {old} old"), Tone::Dim));
    }
    lines.push(line);
}

fn heading(text: &str, lines: &mut Vec<Line>) {
    lines.push(Vec::new());
    lines.push(vec![(text.into(), Tone::Dim)]);
}

fn conditions(conditions: &[Condition], state: &State, width: usize, lines: &mut Vec<Line>) {
    heading("CONDITIONS", lines);
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
        let since = since.map(|since| age(seconds_since(since, state.now)));
        lines.push(vec![
            (format!("{} ", escape(&condition.r#type)), Tone::Strong),
            (format!("{} ", condition_word(condition.status())), tone),
            (format!("{} ", escape(&condition.reason)), tone),
            (since.map_or(String::new(), |since| format!(" for {since}")), Tone::Dim),
        ]);
        for part in wrap(&escape(&condition.message), width.saturating_sub(2)) {
            lines.push(vec![(format!("  {part}"), Tone::Plain)]);
        }
    }
}

/// Why the daemon leaves a tenant alone, who wanted it, and until when.
fn paused(pause: &v1::Pause) -> String {
    let reason = format!("{} ({})", pause.reason, pause.actor);
    ended(&reason, pause.expire_time.as_ref())
}

/// A reason and when it ends, where either is.
fn ended(reason: &str, end: Option<&prost_types::Timestamp>) -> String {
    let end = instant(end).map(|end| format!("until {} UTC", date_and_time(end)));
    let reason = (!reason.is_empty()).then(|| reason.to_owned());
    reason.into_iter().chain(end).collect::<Vec<_>>().join(", ")
}

fn wish(tenant: &v1::Tenant, now: Timestamp, width: usize, lines: &mut Vec<Line>) {
    heading("TENANT", lines);
    let time = |time: Option<&prost_types::Timestamp>| {
        instant(time).map_or(String::new(), |time| {
            format!("{} UTC, {} ago", date_and_time(time), age(seconds_since(time, now)))
        })
    };
    let subjects = tenant.admin_subjects.iter();
    let admins: Vec<_> = subjects.map(|subject| subject.name.as_str()).collect();
    let mut labels: Vec<_> = tenant.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    labels.sort();
    let isolation = match tenant.isolation() {
        Isolation::Unspecified => "",
        Isolation::Namespace => "namespace",
        Isolation::Database => "database",
        Isolation::Cluster => "cluster",
    };
    let generation = format!("{}, observed {}", tenant.generation, tenant.observed_generation);
    let fields = [
        ("display name", tenant.display_name.clone()),
        ("namespace", tenant.namespace.clone()),
        ("paused", tenant.pause.as_ref().map(paused).unwrap_or_default()),
        ("cordon", ended(&tenant.cordon_reason, tenant.cordon_expire_time.as_ref())),
        ("retained", ended("", tenant.retention_end_time.as_ref())),
        ("home region", tenant.home_region.clone()),
        ("allowed regions", tenant.allowed_regions.join(", ")),
        ("admins", admins.join(", ")),
        ("billing account", tenant.billing_account.clone()),
        ("isolation", isolation.into()),
        ("labels", labels.join(", ")),
        ("generation", generation),
        ("created", time(tenant.create_time.as_ref())),
        ("updated", time(tenant.update_time.as_ref())),
        ("uid", tenant.uid.clone()),
        ("etag", tenant.etag.clone()),
    ];
    for (name, value) in fields {
        let mut name = name;
        for part in wrap(&escape(&value), width.saturating_sub(VALUES).max(10)) {
            lines.push(vec![(format!("{name:VALUES$}"), Tone::Dim), (part, Tone::Plain)]);
            name = "";
        }
    }
}
