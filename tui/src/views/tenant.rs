//! All about one tenant: its quota, its sessions, every condition, the wish, and what
//! changed.

use jiff::Timestamp;
use streamspace_client::text::escape;
use streamspace_proto::v1::{self, Isolation, Quota, QuotaLine, TenantObject, TenantObjectState};

use super::{
    View, changes, conditions,
    text::{self, Line},
};
use crate::{
    format::{age, date_and_time, instant, many, seconds_since},
    keys::{Action, Mode},
    pen::{Pen, text_width},
    rows::{Key, Row as _, Tenant, shell_word, tone},
    state::{Answer, Detail, Question, RegionIndex, State},
    theme::Tone,
};

/// The widest column of the quota.
const WIDEST: usize = 32;
/// How wide a gauge is.
const GAUGE: usize = 12;
/// From here on a limit is about to be met, in thousandths.
const NEARLY_FULL: i32 = 850;

pub(super) struct TenantPage<'a>(pub(super) &'a Key);

impl View for TenantPage<'_> {
    fn crumbs(&self, state: &State) -> Vec<String> {
        let id = state.tenants.get(self.0).map_or("gone", |tenant| tenant.id.as_str());
        vec!["tenants".into(), id.to_owned()]
    }

    fn command(&self, state: &State) -> Option<String> {
        let tenant = state.tenants.get(self.0)?;
        Some(format!("ssctl tenant show {}", shell_word(&tenant.id)))
    }

    fn lines(&self, state: &State, width: u16) -> Vec<Line> {
        lines(self.0, state, width.into())
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let lines = self.lines(state, pen.width());
        text::draw(&lines, state.scroll, state.is_live(self.0.region), pen);
    }
}

fn lines(key: &Key, state: &State, width: usize) -> Vec<Line> {
    let width = width.saturating_sub(2);
    let mut lines = Vec::new();
    match state.tenants.get(key) {
        Some(tenant) => {
            let whole = tenant.whole();
            head(tenant, &whole, state, &mut lines);
            let about = |question: Question| state.details.get(key.region, &question);
            let region = key.region;
            quota(about(Question::Quota(tenant.name())), region, state, width, &mut lines);
            objects(about(Question::Objects(tenant.name())), region, state, width, &mut lines);
            conditions::lines(&whole.conditions, state.now, width, &mut lines);
            wish(&whole, state.now, width, &mut lines);
        }
        None => lines.push(text::gone("tenant", state)),
    }
    text::heading("CHANGED since this was opened", &mut lines);
    changes::lines_about(state, key, &mut lines);
    lines
}

fn head(tenant: &Tenant, whole: &v1::Tenant, state: &State, lines: &mut Vec<Line>) {
    let mut line = vec![
        (format!("{}  ", tenant.id), Tone::Strong),
        (tenant.state_word().into(), tone(tenant.wellness())),
        (format!("  {} v{}", tenant.plan, whole.plan_version), Tone::Plain),
        (format!("  {} seats", tenant.seats()), Tone::Plain),
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

/// How much it may use, uses, and when that is full.
fn quota(
    detail: Option<&Detail>,
    region: RegionIndex,
    state: &State,
    width: usize,
    lines: &mut Vec<Line>,
) {
    text::heading("QUOTA", lines);
    match detail.and_then(|detail| Some((detail, detail.answer.as_ref()?))) {
        Some((detail, (_, Answer::Quota(quota)))) => {
            limits(quota, state, lines);
            if !quota.message.is_empty() {
                text::words(&escape(&quota.message), Tone::Dim, width, lines);
            }
            text::grown_old(detail, state, width, lines);
        }
        _ => text::asking(detail, region, state, width, lines),
    }
}

/// What it has in the cluster: how many are as they should be, and each that is not.
fn objects(
    detail: Option<&Detail>,
    region: RegionIndex,
    state: &State,
    width: usize,
    lines: &mut Vec<Line>,
) {
    text::heading("OBJECTS in the cluster", lines);
    let Some((detail, (_, Answer::Objects(objects)))) =
        detail.and_then(|detail| Some((detail, detail.answer.as_ref()?)))
    else {
        return text::asking(detail, region, state, width, lines);
    };
    let good = |object: &&TenantObject| object.state() == TenantObjectState::InSync;
    let (in_sync, all) = (objects.iter().filter(good).count(), objects.len());
    let of = format!("{in_sync} of {all} are as they should be");
    let tone = if in_sync == all { Tone::Plain } else { Tone::Warn };
    lines.push(vec![(of, tone)]);
    for object in objects.iter().filter(|object| !good(object)) {
        lines.push(vec![
            (format!("{} ", state.theme.glyphs.alarm), Tone::Warn),
            (format!("{} ", escape(&object.kind)), Tone::Dim),
            (escape(&object.name).into_owned(), Tone::Plain),
            (format!("  {}", object_word(object.state())), Tone::Warn),
        ]);
        text::words(&escape(&object.message), Tone::Plain, width, lines);
    }
    // What there is, by kind, in the order in which it is made.
    let mut kinds: Vec<(String, usize)> = Vec::new();
    for object in objects {
        match kinds.iter_mut().find(|(kind, _)| *kind == object.kind) {
            Some((_, number)) => *number += 1,
            None => kinds.push((object.kind.clone(), 1)),
        }
    }
    let counted = |(kind, number): (String, usize)| match number {
        1 => kind,
        several => format!("{several} {kind}"),
    };
    let kinds: Vec<_> = kinds.into_iter().map(counted).collect();
    text::words(&escape(&kinds.join(", ")), Tone::Dim, width, lines);
    text::grown_old(detail, state, width, lines);
}

fn object_word(state: TenantObjectState) -> &'static str {
    match state {
        TenantObjectState::Unspecified => "unknown",
        TenantObjectState::InSync => "as it should be",
        TenantObjectState::Drifted => "drifted",
        TenantObjectState::Missing => "missing",
        TenantObjectState::Extra => "should not be there",
        TenantObjectState::Unknown => "not known",
    }
}

fn limits(quota: &Quota, state: &State, lines: &mut Vec<Line>) {
    let (now, theme) = (state.now, &state.theme);
    // A daemon's texts are as long as it likes, and a width is not.
    let widest = |of: fn(&QuotaLine) -> &str| {
        let widths = quota.lines.iter().map(|line| text_width(&escape(of(line))));
        widths.max().unwrap_or(0).min(WIDEST)
    };
    let (name, used, hard) =
        (widest(|l| &l.resource), widest(|l| &l.used).max(4), widest(|l| &l.hard).max(5));
    lines.push(vec![(format!("{:name$}  {:>used$} {:>hard$}", "", "used", "limit"), Tone::Dim)]);
    for line in &quota.lines {
        let resource = escape(&line.resource);
        let (is_used, limit) = (escape(&line.used), escape(&line.hard));
        let share = line.used_permille;
        let is_full = quota.observed && share >= NEARLY_FULL;
        let tone = if is_full { Tone::Warn } else { Tone::Plain };
        let sign = if is_full { theme.glyphs.alarm } else { " " };
        let gauge = theme.glyphs.gauge(usize::try_from(share).unwrap_or(0), GAUGE);
        let mut pieces = vec![
            (format!("{resource:name$}  "), Tone::Dim),
            (format!("{is_used:>used$} {limit:>hard$}  "), tone),
        ];
        if quota.observed {
            pieces.push((gauge, tone));
            pieces.push((format!(" {:>3} % {sign}", share / 10), tone));
        }
        if let Some(full) = instant(line.exhaust_time.as_ref()) {
            let left = full.as_second().saturating_sub(now.as_second()).max(0);
            pieces.push((format!(" full in {}", age(left)), tone));
        }
        lines.push(pieces);
    }
    if !quota.users.is_empty() {
        let users = many(quota.users.len(), "user");
        let key = state.keys.of(Mode::Page, Action::Sessions);
        lines.push(vec![(format!("{users} hold sessions; {key} shows them"), Tone::Dim)]);
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
    text::heading("TENANT", lines);
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
    let fields = fields.map(|(name, value)| (name, escape(&value).into_owned()));
    text::fields(fields, width, lines);
}
