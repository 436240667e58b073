//! Between an SLO as core knows it and as the contract shows it.

use streamspace_core::{
    ids::SloId,
    slo::{
        BudgetAction, BudgetStep, BurnRule, CreditStep, Goal, Objective, OwnCounter, PerTenant,
        Selector, Severity, Sli, Slo, Window, validate,
    },
    violation::{Violation, Violations},
};
use streamspace_proto::v1::{self, sli::Sli as Given, slo_window::Window as GivenWindow};

/// The window where none is given.
const DAYS_UNLESS_SAID: i64 = 30;

/// What the contract shows of an SLO, without what the daemon knows of it.
pub(super) fn to_proto(slo: &Slo) -> v1::Slo {
    v1::Slo {
        name: slo.id.to_name(),
        display_name: slo.display_name.clone(),
        description: slo.description.clone(),
        service: slo.service.clone(),
        objective: match slo.goal {
            Goal::Fixed(objective) => objective.to_string(),
            Goal::ByPlan => String::new(),
        },
        window: Some(v1::SloWindow { window: Some(window(&slo.window)) }),
        sli: Some(v1::Sli { sli: Some(sli(&slo.sli)) }),
        per_tenant: slo.per_tenant.as_ref().map(|tenant| v1::PerTenant {
            label: tenant.label.clone(),
            label_is_namespace: tenant.label_is_namespace,
            by_plan: slo.goal == Goal::ByPlan,
        }),
        rules: slo.rules.iter().map(rule).collect(),
        least_total: i64::try_from(slo.least_total).unwrap_or(i64::MAX),
        least_bad: i64::try_from(slo.least_bad).unwrap_or(i64::MAX),
        policy: slo.policy.iter().copied().map(step).collect(),
        credits: slo
            .credits
            .iter()
            .map(|credit| v1::CreditStep {
                below: credit.below.to_string(),
                credit_percent: credit.percent.into(),
            })
            .collect(),
        runbook_url: slo.runbook_url.clone(),
        ..v1::Slo::default()
    }
}

fn window(window: &Window) -> GivenWindow {
    match window {
        Window::Rolling { days } => GivenWindow::RollingDays((*days).into()),
        Window::CalendarMonth { zone } => {
            GivenWindow::CalendarMonthZone(zone.iana_name().unwrap_or("UTC").to_owned())
        }
    }
}

fn sli(sli: &Sli) -> Given {
    let ratio = |good: String, bad: String, total: &Selector| {
        Given::Ratio(v1::RatioSli { good, bad, total: total.to_string() })
    };
    match sli {
        Sli::Good { good, total } => ratio(good.to_string(), String::new(), total),
        Sli::Bad { bad, total } => ratio(String::new(), bad.to_string(), total),
        Sli::Latency { histogram, threshold } => Given::Latency(v1::LatencySli {
            histogram: histogram.to_string(),
            threshold: threshold.clone(),
        }),
        Sli::Probe { probe } => Given::Probe(v1::ProbeSli { probe: probe.to_string() }),
        Sli::Own(counter) => Given::Own(v1::OwnSli {
            counter: match counter {
                OwnCounter::Calls => v1::OwnCounter::Calls,
                OwnCounter::CallsInTime => v1::OwnCounter::CallsInTime,
                OwnCounter::SessionStarts => v1::OwnCounter::SessionStarts,
                OwnCounter::MeteringFresh => v1::OwnCounter::MeteringFresh,
            }
            .into(),
        }),
        Sli::Pushed => Given::Pushed(v1::PushedSli {}),
    }
}

pub(super) fn severity(severity: Severity) -> v1::AlertSeverity {
    match severity {
        Severity::Page => v1::AlertSeverity::Page,
        Severity::Ticket => v1::AlertSeverity::Ticket,
    }
}

fn rule(rule: &BurnRule) -> v1::BurnRule {
    v1::BurnRule {
        severity: severity(rule.severity).into(),
        long_window: minutes(rule.long),
        short_window: minutes(rule.short),
        burn_rate_milli: i64::try_from(rule.factor_milli).unwrap_or(i64::MAX),
    }
}

pub(super) fn step(step: BudgetStep) -> v1::BudgetStep {
    v1::BudgetStep {
        used_percent: step.used_percent.into(),
        action: match step.action {
            BudgetAction::Notify => v1::BudgetAction::Notify,
            BudgetAction::Freeze => v1::BudgetAction::Freeze,
        }
        .into(),
    }
}

/// Whole minutes on the wire.
#[allow(clippy::unnecessary_wraps, reason = "a message in a message is optional")]
pub(super) fn minutes(minutes: u32) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds: i64::from(minutes) * 60, nanos: 0 })
}

/// Nanoseconds on the wire.
#[allow(clippy::unnecessary_wraps, reason = "a message in a message is optional")]
pub(super) fn nanos(nanos: i128) -> Option<prost_types::Duration> {
    const SECOND: i128 = 1_000_000_000;
    Some(prost_types::Duration {
        seconds: i64::try_from(nanos / SECOND).unwrap_or(i64::MAX),
        nanos: i32::try_from(nanos % SECOND).unwrap_or_default(),
    })
}

/// An SLO as it was given; every fault with its field.
pub(super) fn of_proto(id: SloId, given: &v1::Slo) -> Result<Slo, Vec<Violation>> {
    let mut faults = Violations::new();
    let by_plan = given.per_tenant.as_ref().is_some_and(|tenant| tenant.by_plan);
    let goal = match (given.objective.as_str(), by_plan) {
        ("", true) => Some(Goal::ByPlan),
        ("", false) => {
            faults.add("objective", "is required: the share that must be good, for example 99.9");
            None
        }
        (_, true) => {
            faults.add("objective", "must be empty where it is what each tenant's plan promises");
            None
        }
        (text, false) => faults.check("objective", text.parse().map(Goal::Fixed)),
    };
    let window = match given.window.as_ref().and_then(|window| window.window.as_ref()) {
        None => faults.check("window", Window::rolling(DAYS_UNLESS_SAID)),
        Some(GivenWindow::RollingDays(days)) => {
            faults.check("window.rolling_days", Window::rolling((*days).into()))
        }
        Some(GivenWindow::CalendarMonthZone(zone)) => {
            faults.check("window.calendar_month_zone", Window::calendar_month(zone))
        }
    };
    let sli = of_sli(given.sli.as_ref().and_then(|sli| sli.sli.as_ref()), &mut faults);
    let rules = given
        .rules
        .iter()
        .enumerate()
        .filter_map(|(index, rule)| of_rule(&format!("rules[{index}]"), rule, &mut faults));
    let rules: Vec<BurnRule> = rules.collect();
    let policy = given.policy.iter().enumerate().filter_map(|(index, step)| {
        let field = format!("policy[{index}]");
        let action = match step.action() {
            v1::BudgetAction::Notify => BudgetAction::Notify,
            v1::BudgetAction::Freeze => BudgetAction::Freeze,
            v1::BudgetAction::Unspecified => {
                faults.add(format!("{field}.action"), "must be notify or freeze");
                return None;
            }
        };
        let used_percent =
            percent(&format!("{field}.used_percent"), step.used_percent, &mut faults);
        Some(BudgetStep { used_percent: used_percent?, action })
    });
    let policy: Vec<BudgetStep> = policy.collect();
    let credits = given.credits.iter().enumerate().filter_map(|(index, credit)| {
        let field = format!("credits[{index}]");
        let below: Option<Objective> = faults.check(format!("{field}.below"), credit.below.parse());
        let owed = percent(&format!("{field}.credit_percent"), credit.credit_percent, &mut faults);
        Some(CreditStep { below: below?, percent: owed? })
    });
    let credits: Vec<CreditStep> = credits.collect();
    let least_total = count("least_total", given.least_total, &mut faults);
    let least_bad = count("least_bad", given.least_bad, &mut faults);
    let (Some(goal), Some(window), Some(sli)) = (goal, window, sli) else {
        return Err(faults.into_vec());
    };
    faults.into_result()?;
    let slo = Slo {
        id,
        display_name: given.display_name.clone(),
        description: given.description.clone(),
        service: given.service.clone(),
        goal,
        window,
        sli,
        per_tenant: given.per_tenant.as_ref().map(|tenant| PerTenant {
            label: tenant.label.clone(),
            label_is_namespace: tenant.label_is_namespace,
        }),
        rules,
        least_total,
        least_bad,
        policy,
        credits,
        runbook_url: given.runbook_url.clone(),
    };
    validate(&slo)?;
    Ok(slo)
}

fn of_sli(given: Option<&Given>, faults: &mut Violations) -> Option<Sli> {
    let mut select =
        |field: &str, text: &str| faults.check(format!("sli.{field}"), Selector::parse(text));
    match given {
        None => {
            faults.add("sli", "is required: ratio, latency, probe, own or pushed");
            None
        }
        Some(Given::Ratio(ratio)) => match (ratio.good.as_str(), ratio.bad.as_str()) {
            ("", "") => {
                faults.add("sli.ratio", "needs good or bad events");
                None
            }
            (good, "") => {
                let good = select("ratio.good", good);
                let total = select("ratio.total", &ratio.total);
                Some(Sli::Good { good: good?, total: total? })
            }
            ("", bad) => {
                let bad = select("ratio.bad", bad);
                let total = select("ratio.total", &ratio.total);
                Some(Sli::Bad { bad: bad?, total: total? })
            }
            _ => {
                faults.add("sli.ratio", "has both good and bad events: leave one out");
                None
            }
        },
        Some(Given::Latency(latency)) => Some(Sli::Latency {
            histogram: select("latency.histogram", &latency.histogram)?,
            threshold: latency.threshold.clone(),
        }),
        Some(Given::Probe(probe)) => {
            Some(Sli::Probe { probe: select("probe.probe", &probe.probe)? })
        }
        Some(Given::Own(own)) => match own.counter() {
            v1::OwnCounter::Calls => Some(Sli::Own(OwnCounter::Calls)),
            v1::OwnCounter::CallsInTime => Some(Sli::Own(OwnCounter::CallsInTime)),
            v1::OwnCounter::SessionStarts => Some(Sli::Own(OwnCounter::SessionStarts)),
            v1::OwnCounter::MeteringFresh => Some(Sli::Own(OwnCounter::MeteringFresh)),
            v1::OwnCounter::Unspecified => {
                let known = OwnCounter::ALL.map(OwnCounter::as_str).join(", ");
                faults.add("sli.own.counter", format!("must be one of {known}"));
                None
            }
        },
        Some(Given::Pushed(_)) => Some(Sli::Pushed),
    }
}

fn of_rule(field: &str, rule: &v1::BurnRule, faults: &mut Violations) -> Option<BurnRule> {
    let severity = match rule.severity() {
        v1::AlertSeverity::Page => Severity::Page,
        v1::AlertSeverity::Ticket => Severity::Ticket,
        v1::AlertSeverity::Unspecified => {
            faults.add(format!("{field}.severity"), "must be page or ticket");
            return None;
        }
    };
    let long = whole_minutes(&format!("{field}.long_window"), rule.long_window.as_ref(), faults);
    let short = whole_minutes(&format!("{field}.short_window"), rule.short_window.as_ref(), faults);
    let factor_milli = count(&format!("{field}.burn_rate_milli"), rule.burn_rate_milli, faults);
    Some(BurnRule { severity, long: long?, short: short?, factor_milli })
}

fn whole_minutes(
    field: &str,
    span: Option<&prost_types::Duration>,
    faults: &mut Violations,
) -> Option<u32> {
    let minutes = span
        .filter(|span| span.nanos == 0 && span.seconds > 0 && span.seconds % 60 == 0)
        .and_then(|span| u32::try_from(span.seconds / 60).ok());
    if minutes.is_none() {
        faults.add(field, "must be whole minutes, for example 3600s");
    }
    minutes
}

fn count(field: &str, value: i64, faults: &mut Violations) -> u64 {
    faults
        .check(field, u64::try_from(value).map_err(|_| "must not be negative"))
        .unwrap_or_default()
}

fn percent(field: &str, value: i32, faults: &mut Violations) -> Option<u8> {
    let read = u8::try_from(value).ok().filter(|value| (1..=100).contains(value));
    faults.check(field, read.ok_or("must be 1 to 100"))
}
