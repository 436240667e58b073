//! What is used: by one tenant over time, or by all of them now.

use jiff::Timestamp;
use streamspace_client::text::escape;
use streamspace_proto::v1::{self, QueryUsageResponse, UsageAmounts, UsageRow};

use super::{
    View,
    text::{self, Line},
};
use crate::{
    chart::{Bars, Resample, sparkline},
    format::{age, cores, count, gibibytes, hours, instant, many, seconds_since, time_of_day},
    pen::{Pen, text_width},
    rows::{Scope, shell_word, short},
    state::{Answer, LiveUsage, Question, Region, RegionIndex, State, TenantUsage},
    theme::Tone,
};

/// How many hours a chart goes back.
const HOURS: i64 = 48;
const HOUR: i64 = 3600;
/// How high a chart is.
const CHART: usize = 5;
/// The widest chart: two columns an hour.
const WIDEST: usize = 97;
/// The widest line of what ran in the last hour.
const TREND: usize = 60;
/// How many tenants of each of several regions are shown.
const LARGEST_OF_SEVERAL: usize = 10;
/// How many users and templates are shown.
const LARGEST: usize = 8;
/// How wide the gauge of a share is.
const GAUGE: usize = 10;
/// Millicore-seconds of a vCPU-hour.
const VCPU_HOUR: u128 = 3_600_000;
/// Byte-seconds of a GiB-hour.
const GIB_HOUR: u128 = 3600 << 30;
/// Seconds of an hour of a session.
const SESSION_HOUR: u128 = 3600;

/// Of one tenant, or of all.
pub(super) struct Usage(pub(super) Option<Scope>);

impl View for Usage {
    fn crumbs(&self, _: &State) -> Vec<String> {
        match &self.0 {
            Some(scope) => {
                vec!["tenants".into(), escape(&scope.tenant).into_owned(), "usage".into()]
            }
            None => vec!["usage".into()],
        }
    }

    fn command(&self, _: &State) -> Option<String> {
        Some(match &self.0 {
            Some(scope) => format!("ssctl usage show {}", shell_word(&escape(&scope.tenant))),
            None => "ssctl usage top --live".into(),
        })
    }

    fn lines(&self, state: &State, width: u16) -> Vec<Line> {
        let width = usize::from(width).saturating_sub(2);
        let mut lines = Vec::new();
        match &self.0 {
            Some(scope) => of_tenant(scope, state, width, &mut lines),
            None => {
                for (index, region) in (0..).map(RegionIndex).zip(&state.regions) {
                    of_region(index, region, state, width, &mut lines);
                }
            }
        }
        lines
    }

    fn draw(&self, state: &State, pen: &mut Pen<'_>) {
        let live = self.0.as_ref().is_none_or(|scope| state.is_live(scope.region));
        let lines = self.lines(state, pen.width());
        text::draw(&lines, state.scroll, live, pen);
    }
}

fn of_tenant(scope: &Scope, state: &State, width: usize, lines: &mut Vec<Line>) {
    let detail = state.details.get(scope.region, &Question::Usage(scope.name()));
    let Some((detail, (at, Answer::Usage(usage)))) =
        detail.and_then(|detail| Some((detail, detail.answer.as_ref()?)))
    else {
        return text::asking(detail, scope.region, state, width, lines);
    };
    text::grown_old(detail, state, width, lines);
    let hours = Hours::of(usage, *at);
    for (title, of) in [
        ("CPU requested, cores", Measure::Cpu),
        ("MEMORY requested, GiB", Measure::Memory),
        ("SESSIONS running", Measure::Sessions),
    ] {
        text::heading(&format!("{title}: mean of each hour, the last {HOURS}"), lines);
        lines.extend(hours.chart(of, state, width));
    }
    month(usage, lines);
    shares("BY USER, this month", &usage.users, |row| &row.user, state, lines);
    shares("BY TEMPLATE, this month", &usage.templates, |row| &row.template, state, lines);
}

/// What a chart shows.
#[derive(Clone, Copy)]
enum Measure {
    Cpu,
    Memory,
    Sessions,
}

impl Measure {
    /// The mean over an hour: thousandths of a core, bytes, thousandths of a session.
    fn mean(self, amounts: &UsageAmounts) -> u64 {
        let sum = match self {
            Self::Cpu => whole(&amounts.cpu_millicore_seconds),
            Self::Memory => whole(&amounts.memory_byte_seconds),
            Self::Sessions => whole(&amounts.session_seconds).saturating_mul(1000),
        };
        u64::try_from(sum / 3600).unwrap_or(u64::MAX)
    }

    fn words(self) -> fn(u64) -> String {
        match self {
            Self::Cpu | Self::Sessions => |value| cores(i64::try_from(value).unwrap_or(i64::MAX)),
            Self::Memory => |value| gibibytes(i64::try_from(value).unwrap_or(i64::MAX)),
        }
    }
}

/// The hours that charts show.
struct Hours<'a> {
    first: i64,
    rows: &'a [UsageRow],
    /// When counting began, and up to when it is known.
    known: (i64, i64),
}

impl<'a> Hours<'a> {
    fn of(usage: &'a TenantUsage, now: Timestamp) -> Self {
        let now = now.as_second();
        let seconds =
            |time: Option<&prost_types::Timestamp>| instant(time).map(Timestamp::as_second);
        let status = &usage.status;
        let begin = seconds(status.begin_time.as_ref()).unwrap_or(i64::MAX);
        let end = seconds(usage.hours.closed_through_time.as_ref()).unwrap_or(i64::MIN);
        let first = now - now.rem_euclid(HOUR) - (HOURS - 1) * HOUR;
        Self { first, rows: &usage.hours.rows, known: (begin, end) }
    }

    /// What was used in each hour; none where it is not known, which is not zero.
    fn values(&self, measure: Measure) -> Vec<Option<u64>> {
        let begins = |row: &UsageRow| row.start_time.as_ref().map(|time| time.seconds);
        let (begin, end) = self.known;
        let of_hour = |hour: i64| {
            let start = self.first + hour * HOUR;
            let row = self.rows.iter().find(|row| begins(row) == Some(start));
            match row.and_then(|row| row.amounts.as_ref()) {
                Some(amounts) => Some(measure.mean(amounts)),
                None => (begin <= start && start < end).then_some(0),
            }
        };
        (0..HOURS).map(of_hour).collect()
    }

    fn chart(&self, measure: Measure, state: &State, width: usize) -> Vec<Line> {
        let at = |hour: i64| {
            let time = Timestamp::from_second(self.first + hour * HOUR).unwrap_or_default();
            time_of_day(time).get(..5).unwrap_or_default().to_owned()
        };
        let times: Vec<String> = [0, 12, 24, 36, 48].map(at).into();
        let bars = Bars {
            values: &self.values(measure),
            by: Resample::Mean,
            width: width.min(WIDEST),
            height: CHART,
            tone: Tone::Plain,
            words: measure.words(),
            times: &times,
        };
        bars.lines(state.theme.glyphs)
    }
}

/// The sums of this month, and how well they are known.
fn month(usage: &TenantUsage, lines: &mut Vec<Line>) {
    text::heading("THIS MONTH", lines);
    let total = usage.days.total.clone().unwrap_or_default();
    for (name, amount, unit) in [
        ("cpu", hours(whole(&total.cpu_millicore_seconds), VCPU_HOUR), "vCPU-h"),
        ("memory", hours(whole(&total.memory_byte_seconds), GIB_HOUR), "GiB-h"),
        ("homes", hours(whole(&total.storage_byte_seconds), GIB_HOUR), "GiB-h"),
        ("sessions", hours(whole(&total.session_seconds), SESSION_HOUR), "h"),
    ] {
        lines.push(vec![
            (format!("{name:10}"), Tone::Dim),
            (format!("{amount:>16}"), Tone::Plain),
            (format!(" {unit}"), Tone::Dim),
        ]);
    }
    let [measured, estimated, unbilled] =
        [&total.measured_seconds, &total.estimated_seconds, &total.unbilled_seconds]
            .map(|it| whole(it));
    let all = (measured + estimated + unbilled).max(1);
    let of = |part: u128| {
        let permille = part * 1000 / all;
        format!("{}.{} %", permille / 10, permille % 10)
    };
    let doubt = if estimated > 0 { Tone::Warn } else { Tone::Dim };
    lines.push(vec![
        (format!("measured {}  ", of(measured)), Tone::Dim),
        (format!("estimated {}  ", of(estimated)), doubt),
        (format!("not billed {}", of(unbilled)), Tone::Dim),
    ]);
}

/// Who or what used most of the CPU.
fn shares(
    title: &str,
    answer: &QueryUsageResponse,
    name: fn(&UsageRow) -> &String,
    state: &State,
    lines: &mut Vec<Line>,
) {
    let cpu = |row: &UsageRow| {
        row.amounts.as_ref().map_or(0, |amounts| whole(&amounts.cpu_millicore_seconds))
    };
    let mut rows: Vec<_> = answer.rows.iter().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(cpu(row)));
    let all = rows.iter().map(|row| cpu(row)).sum::<u128>().max(1);
    text::heading(title, lines);
    if rows.is_empty() {
        lines.push(vec![("nothing was used".into(), Tone::Dim)]);
    }
    let names: Vec<_> = rows.iter().take(LARGEST).map(|row| escape(name(row))).collect();
    let widest = names.iter().map(|name| text_width(name)).max().unwrap_or(0).min(32);
    for (row, name) in rows.iter().zip(&names) {
        let permille = usize::try_from(cpu(row) * 1000 / all).unwrap_or(0);
        let room = widest.saturating_sub(text_width(name));
        lines.push(vec![
            (format!("{name}{}", " ".repeat(room)), Tone::Plain),
            (format!("  {:>12}", hours(cpu(row), VCPU_HOUR)), Tone::Plain),
            (" vCPU-h  ".into(), Tone::Dim),
            (state.theme.glyphs.gauge(permille, GAUGE), Tone::Plain),
            (format!(" {:>3} %", permille / 10), Tone::Dim),
        ]);
    }
    if rows.len() > names.len() {
        let more = count(rows.len() - names.len());
        let ellipsis = state.theme.glyphs.ellipsis;
        lines.push(vec![(format!("{ellipsis} {more} more"), Tone::Dim)]);
    }
}

/// What the tenants of a region take now, and how far the metering is.
fn of_region(
    index: RegionIndex,
    region: &Region,
    state: &State,
    width: usize,
    lines: &mut Vec<Line>,
) {
    if !lines.is_empty() {
        lines.push(Vec::new());
    }
    lines.push(vec![(region.name().to_owned(), Tone::Strong), (" now".into(), Tone::Dim)]);
    let looks = region.trend.shape();
    let running = sparkline(&looks, looks.len().min(TREND), Resample::Maximum, state.theme.glyphs);
    lines.push(vec![("running, the last hour ".into(), Tone::Dim), (running, Tone::Plain)]);
    let detail = state.details.get(index, &Question::LiveUsage);
    let Some((detail, (_, Answer::LiveUsage(usage)))) =
        detail.and_then(|detail| Some((detail, detail.answer.as_ref()?)))
    else {
        return text::asking(detail, index, state, width, lines);
    };
    text::grown_old(detail, state, width, lines);
    let total = usage.live.total.clone().unwrap_or_default();
    let most = if state.several() { LARGEST_OF_SEVERAL } else { usize::MAX };
    let names = usage.live.tenants.iter().take(most).map(|it| escape(short(&it.tenant)));
    let names: Vec<_> = names.collect();
    let widest = names.iter().map(|name| text_width(name)).max().unwrap_or(0).clamp(11, 32);
    lines.push(taken("all tenants", widest, &total, &total, state));
    metering(usage, state.now, width, lines);
    text::heading("TENANTS that take most", lines);
    for (tenant, name) in usage.live.tenants.iter().zip(&names) {
        lines.push(taken(name, widest, tenant, &total, state));
    }
    if names.is_empty() {
        lines.push(vec![("nobody has a session".into(), Tone::Dim)]);
    }
}

/// What one takes of what all take.
fn taken(
    name: &str,
    widest: usize,
    one: &v1::LiveUsage,
    all: &v1::LiveUsage,
    state: &State,
) -> Line {
    let number = |number: i64| count(usize::try_from(number).unwrap_or(0));
    let permille = one.cpu_millicores.max(0).saturating_mul(1000) / all.cpu_millicores.max(1);
    let permille = usize::try_from(permille).unwrap_or(0);
    let room = widest.saturating_sub(text_width(name));
    let running = format!("{}/{}", number(one.running_sessions), number(one.total_sessions));
    vec![
        (format!("{name}{}", " ".repeat(room)), Tone::Plain),
        (format!("  {running:>13}"), Tone::Plain),
        (" running  ".into(), Tone::Dim),
        (format!("{:>9}", cores(one.cpu_millicores)), Tone::Plain),
        (" cores  ".into(), Tone::Dim),
        (format!("{:>9}", gibibytes(one.memory_bytes)), Tone::Plain),
        (" GiB  ".into(), Tone::Dim),
        (state.theme.glyphs.gauge(permille, GAUGE), Tone::Plain),
        (format!(" {:>3} %", permille / 10), Tone::Dim),
    ]
}

/// How far the metering is, and what it does not know.
fn metering(usage: &LiveUsage, now: Timestamp, width: usize, lines: &mut Vec<Line>) {
    let status = &usage.status;
    let ago = |time: Option<&prost_types::Timestamp>| {
        instant(time).map_or("not yet".into(), |at| format!("{} ago", age(seconds_since(at, now))))
    };
    lines.push(vec![
        ("metered to ".into(), Tone::Dim),
        (ago(status.complete_through_time.as_ref()), Tone::Plain),
        (", closed to ".into(), Tone::Dim),
        (ago(status.closed_through_time.as_ref()), Tone::Plain),
    ]);
    let gaps = status.gaps.len();
    let tone = if gaps > 0 { Tone::Warn } else { Tone::Dim };
    lines.push(vec![(format!("{} in 30 days that nobody watched", many(gaps, "gap")), tone)]);
    for source in status.actual_sources.iter().filter(|source| !source.problem.is_empty()) {
        let words = format!("{}: {}", source.metric, source.problem);
        text::words(&escape(&words), Tone::Warn, width, lines);
    }
}

/// An amount of the contract: a whole number in decimal.
fn whole(amount: &str) -> u128 {
    amount.parse().unwrap_or(0)
}
