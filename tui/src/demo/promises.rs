//! What was promised, and what fires because it is not kept: sessions do not start in the
//! second region while it is slow.

use streamspace_core::load::random::Random;
use streamspace_proto::v1::{
    Alert, AlertSeverity, Budget, BudgetState, BurnChart, BurnRate, BurnRule, BurnStep, FiringRule,
    Slo,
};

use super::{script::SLOW, time};
use crate::state::{Budgets, RegionIndex, SloDetail};

/// So long after a region got slow somebody is paged, and so long after that has it.
const PAGED: i64 = 8;
const TAKEN: i64 = 95;

/// What fires in a region so many seconds after the begin.
pub(super) fn alerts(region: RegionIndex, second: i64) -> Vec<Alert> {
    let runbook = |page: &str| format!("https://docs.example.com/runbooks/{page}");
    let budget = |id: &str, rule: &str, severity: AlertSeverity| Alert {
        name: format!("alerts/{id}"),
        kind: "SloBurn".into(),
        rule: rule.into(),
        severity: severity.into(),
        firing: true,
        runbook_url: runbook("slo-burn.md"),
        ..Alert::default()
    };
    match region.0 {
        0 => vec![
            Alert {
                kind: "SloBudgetUsed".into(),
                subject: "slos/api-availability-business".into(),
                summary: "api-availability-business (99.9 %) used 80 % of its error budget; 19.4 % of it is left".into(),
                start_time: time(-7_900),
                acknowledged_by: "ops-2".into(),
                acknowledge_time: time(-7_320),
                runbook_url: runbook("slo-budget-used.md"),
                ..budget("019ab1c2-8e10-7c3f-9d55-1b2a3c4d5e6f", "budget-80", AlertSeverity::Ticket)
            },
            Alert {
                kind: "SloNoData".into(),
                subject: "slos/checkout-probe".into(),
                summary: "nothing was measured of checkout-probe for 10 minutes: the Prometheus does not answer".into(),
                start_time: time(-1_520),
                runbook_url: runbook("slo-no-data.md"),
                ..budget("019ab22a-3f01-7a90-8c21-77d0e1f2a3b4", "no-data", AlertSeverity::Ticket)
            },
        ],
        1 if (SLOW.start + PAGED..SLOW.end + 300).contains(&second) => {
            let has_it = second >= SLOW.start + PAGED + TAKEN;
            vec![Alert {
                subject: "slos/session-start".into(),
                summary: "session-start (98 %) burned its error budget 21.3 times too fast over 1h; 61.4 % of it is left".into(),
                start_time: time(SLOW.start + PAGED),
                acknowledged_by: if has_it { "ops-2".into() } else { String::new() },
                acknowledge_time: if has_it { time(SLOW.start + PAGED + TAKEN) } else { None },
                ..budget("019ab2f0-5d17-7f4e-a6b0-90c1d2e3f405", "burn-1h", AlertSeverity::Page)
            }]
        }
        _ => Vec::new(),
    }
}

const DAY: i64 = 86_400;
/// The window of each SLO.
const WINDOW: i64 = 30 * DAY;
/// The windows of the rules: long and short, and the factor of a page or a ticket.
const RULES: [(i64, i64, i64, AlertSeverity); 4] = [
    (3600, 300, 14_400, AlertSeverity::Page),
    (6 * 3600, 1800, 6_000, AlertSeverity::Page),
    (DAY, 2 * 3600, 3_000, AlertSeverity::Ticket),
    (3 * DAY, 6 * 3600, 1_000, AlertSeverity::Ticket),
];

/// A promise: its name, its service, how much may be bad and how much of that is left in each
/// region, in millionths.
struct Promise {
    id: &'static str,
    service: &'static str,
    about: &'static str,
    objective: &'static str,
    allowed: i64,
    left: [i64; 3],
}

const PROMISES: [Promise; 7] = [
    Promise {
        id: "api-availability-enterprise",
        service: "api",
        about: "What plan enterprise promises: calls that the control plane did not fail",
        objective: "99.99",
        allowed: 100,
        left: [871_200, 642_900, 994_100],
    },
    Promise {
        id: "api-availability-business",
        service: "api",
        about: "What plan business promises: calls that the control plane did not fail",
        objective: "99.9",
        allowed: 1_000,
        left: [194_000, 700_000, 981_300],
    },
    Promise {
        id: "api-availability-professional",
        service: "api",
        about: "What plan professional promises: calls that the control plane did not fail",
        objective: "99.5",
        allowed: 5_000,
        left: [838_800, 881_000, 996_200],
    },
    Promise {
        id: "api-latency",
        service: "api",
        about: "99 of 100 calls that are no streams are answered within half a second",
        objective: "99",
        allowed: 10_000,
        left: [912_400, 903_800, 958_100],
    },
    Promise {
        id: "session-start",
        service: "sessions",
        about: "98 of 100 sessions start, and within their time",
        objective: "98",
        allowed: 20_000,
        left: [951_700, 640_000, 972_500],
    },
    Promise {
        id: "metering-freshness",
        service: "metering",
        about: "The metering is at most ten minutes behind in 995 of 1,000 minutes",
        objective: "99.5",
        allowed: 5_000,
        left: [1_000_000, 1_000_000, 1_000_000],
    },
    Promise {
        id: "checkout-probe",
        service: "shop",
        about: "The shop's door answers",
        objective: "99.9",
        allowed: 1_000,
        left: [-42_100, 655_000, 890_000],
    },
];

#[allow(clippy::unnecessary_wraps, reason = "the messages have optional spans")]
fn span(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

/// Whether it burns in a region, and for how many minutes.
fn burning(promise: &Promise, region: RegionIndex, second: i64) -> Option<i64> {
    let burns = promise.id == "session-start" && region.0 == 1 && SLOW.contains(&second);
    burns.then_some((second - SLOW.start) / 60 + 1)
}

fn left(promise: &Promise, region: RegionIndex, second: i64) -> i64 {
    let left = promise.left.get(usize::from(region.0)).copied().unwrap_or(0);
    left - burning(promise, region, second).map_or(0, |minutes| minutes * 26_000)
}

fn slo(promise: &Promise, region: RegionIndex, second: i64) -> Slo {
    let is_blind = promise.service == "shop" && region.0 == 0;
    Slo {
        name: format!("slos/{}", promise.id),
        display_name: promise.id.replace('-', " "),
        description: promise.about.into(),
        service: promise.service.into(),
        objective: promise.objective.into(),
        rules: RULES
            .map(|(long, short, burn_rate_milli, severity)| BurnRule {
                severity: severity.into(),
                long_window: span(long),
                short_window: span(short),
                burn_rate_milli,
            })
            .into(),
        runbook_url: "https://docs.example.com/runbooks/slo-burn.md".into(),
        seeded: promise.service != "shop",
        problem: if is_blind { "the Prometheus does not answer".into() } else { String::new() },
        measured_until: time(if is_blind { -1_500 } else { second.div_euclid(60) * 60 }),
        budgets: 1,
        ..Slo::default()
    }
}

fn budget(promise: &Promise, region: RegionIndex, second: i64) -> Budget {
    let left = left(promise, region, second);
    let burns = burning(promise, region, second);
    let is_blind = promise.service == "shop" && region.0 == 0;
    let (allowed, total) = (WINDOW * promise.allowed / 1_000_000, 1_843_200);
    let remaining = allowed * left / 1_000_000;
    let bad = total * promise.allowed / 1_000_000 * (1_000_000 - left) / 1_000_000;
    let calm = (1_000_000 - left.max(0)) / 4_000;
    let rate = |window: i64| match (burns, window) {
        // The longer the window, the less of it burns.
        (Some(_), 300) => 34_720,
        (Some(_), 1_800) => 28_410,
        (Some(minutes), window) => calm + 21_300 * (59 + minutes) * 60 / window,
        (None, _) => calm,
    };
    let mut windows: Vec<i64> = RULES.iter().flat_map(|rule| [rule.0, rule.1]).collect();
    windows.sort_unstable();
    windows.dedup();
    let as_of = if is_blind { -1_500 } else { second.div_euclid(60) * 60 };
    let is_of_it = |alert: &Alert| alert.subject == format!("slos/{}", promise.id);
    let firing = alerts(region, second).into_iter().filter(is_of_it).map(|fired| FiringRule {
        severity: fired.severity,
        rule: fired.rule,
        start_time: fired.start_time,
    });
    let firing: Vec<_> = firing.collect();
    let state = match firing.first() {
        _ if is_blind => BudgetState::NoData,
        _ if left <= 0 => BudgetState::Exhausted,
        Some(fired) if fired.severity() == AlertSeverity::Page => BudgetState::Page,
        Some(_) => BudgetState::Ticket,
        None => BudgetState::Ok,
    };
    Budget {
        slo: format!("slos/{}", promise.id),
        objective: promise.objective.into(),
        state: state.into(),
        as_of: time(as_of),
        window_start: time(as_of - WINDOW),
        window_end: time(as_of),
        total,
        bad,
        measured: span(WINDOW - if is_blind { 1_500 } else { 0 }),
        gaps: span(if is_blind { 1_500 } else { 0 }),
        excluded: span(1_800),
        availability_ppm: Some(1_000_000 - bad * 1_000_000 / total),
        allowed: span(allowed),
        used: span(allowed - remaining),
        remaining: span(remaining),
        remaining_ppm: left,
        remaining_events: total * promise.allowed / 1_000_000 - bad,
        burn_rates: windows
            .into_iter()
            .map(|window| BurnRate {
                window: span(window),
                burn_rate_milli: Some(rate(window)).filter(|_| !is_blind),
                total: total * window / WINDOW,
                bad: total * window / WINDOW * promise.allowed / 1_000_000,
                measured: span(window),
            })
            .collect(),
        exhausted_in: match (burns, left) {
            (_, ..=0) => span(0),
            (_, left) => (WINDOW * left / 1_000).checked_div(rate(3600)).and_then(span),
        },
        forecast_remaining_ppm: Some(left - calm * 1_000),
        frozen: left < 0,
        firing,
        exhaust_time: if left <= 0 { time(-2 * DAY - 4_000) } else { None },
        ..Budget::default()
    }
}

/// The budgets of a region, those with least left first, and what is promised.
pub(super) fn budgets(region: RegionIndex, second: i64) -> Budgets {
    let mut budgets: Vec<_> = PROMISES.iter().map(|it| budget(it, region, second)).collect();
    budgets.sort_by_key(|budget| budget.remaining_ppm);
    Budgets { budgets, slos: PROMISES.iter().map(|it| slo(it, region, second)).collect() }
}

/// One of them, with how it came to be so.
pub(super) fn detail(region: RegionIndex, name: &str, second: i64) -> SloDetail {
    let of = |promise: &&Promise| name == format!("slos/{}", promise.id);
    let Some(promise) = PROMISES.iter().find(of) else { return SloDetail::default() };
    let begin = second.div_euclid(60) * 60;
    let mut random = Random::of(promise.id.bytes().map(u64::from));
    let steps = 200;
    let length = WINDOW / steps;
    let (end, mut remaining) = (left(promise, region, second), 1_000_000);
    // It falls in a few bad hours, not evenly.
    let mut falls: Vec<i64> =
        (0..steps)
            .map(|_| {
                if random.chance(12) { 1 + random.seconds(30) } else { i64::from(random.chance(3)) }
            })
            .collect();
    if let Some(last) = falls.last_mut() {
        *last = burning(promise, region, second).map_or(0, |_| 40);
    }
    let all = falls.iter().sum::<i64>().max(1);
    let window = (0..steps).zip(&falls).map(|(number, fall)| {
        remaining -= (1_000_000 - end) * fall / all;
        BurnStep {
            start_time: time(begin - WINDOW + number * length),
            total: 9_216,
            // What was measured began two days after the window did.
            measured: span(if number < 13 { 0 } else { length }),
            burn_rate_milli: Some(fall * 700),
            remaining_ppm: remaining,
            ..BurnStep::default()
        }
    });
    let window = BurnChart { step: span(length), steps: window.collect() };
    let burns = burning(promise, region, second);
    let is_blind = promise.service == "shop" && region.0 == 0;
    let minutes = (0..60).map(|minute| {
        let burning = burns.is_some_and(|burns| minute >= 60 - burns - 14);
        let calm = 120 + random.seconds(500);
        let rate = if burning { 14_000 + random.seconds(26_000) } else { calm };
        BurnStep {
            start_time: time(begin - 3600 + minute * 60),
            total: 43,
            measured: span(60),
            burn_rate_milli: Some(rate).filter(|_| !is_blind || minute < 35),
            remaining_ppm: end,
            ..BurnStep::default()
        }
    });
    let hour = BurnChart { step: span(60), steps: minutes.collect() };
    SloDetail {
        slo: Some(slo(promise, region, second)),
        budget: Some(budget(promise, region, second)),
        window: Some(window),
        hour: Some(hour),
    }
}
