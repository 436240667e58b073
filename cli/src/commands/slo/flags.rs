//! The fields of an SLO as flags, for `create` and `set` alike.

use std::time::Duration;

use clap::ValueEnum;
use streamspace_client::parse_duration;
use streamspace_proto::v1::{
    AlertSeverity, BudgetAction, BudgetStep, BurnRule, CreditStep, LatencySli, OwnCounter, OwnSli,
    PerTenant, ProbeSli, PushedSli, RatioSli, Sli, Slo, SloWindow, sli, slo_window::Window,
};

use crate::{
    errors::{Failure, Outcome},
    quantity::parse_multiple,
    time::proto_duration,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  ssctl slo create checkout --service shop --objective 99.9 \\
    --bad 'http_requests_total{code=~\"5..\"}' --total http_requests_total
  ssctl slo create api-fast --service api --objective 99 --own calls-in-time
  ssctl slo create starts --service sessions --own session-starts --per-tenant --by-plan \\
    --at 80=notify --at 100=freeze --credit 99.0=10";

const DAY: u64 = 86_400;

/// An entry of a list, or that the list is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry<T> {
    None,
    Is(T),
}

/// What the daemon counts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Own {
    /// Calls that the daemon did not fail
    Calls,
    /// Calls that were answered within half a second
    CallsInTime,
    /// Starts of sessions, by tenant
    SessionStarts,
    /// Minutes in which metering was not behind
    MeteringFresh,
}

#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "SLO")]
pub(super) struct SloFlags {
    /// A name for people
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// What is promised, in a sentence or two
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The service, for example api
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// What share of events must be good, in percent: 99.9
    #[arg(long, value_name = "PERCENT", value_parser = parse_objective)]
    objective: Option<String>,
    /// Over how many days up to now: 30d
    #[arg(long, value_name = "DAYS", value_parser = parse_days, conflicts_with = "calendar_month")]
    window: Option<i32>,
    /// Over the calendar month in a time zone: Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    calendar_month: Option<String>,
    /// A selector of counters of good events
    #[arg(long, value_name = "SELECTOR", requires = "total", conflicts_with = "bad")]
    good: Option<String>,
    /// A selector of counters of bad events
    #[arg(long, value_name = "SELECTOR", requires = "total")]
    bad: Option<String>,
    /// A selector of counters of all events; with --good or --bad
    #[arg(long, value_name = "SELECTOR", group = "indicator")]
    total: Option<String>,
    /// A selector of a histogram, without _bucket
    #[arg(long, value_name = "HISTOGRAM", group = "indicator", requires = "threshold")]
    latency: Option<String>,
    /// Its bucket up to which an event is good: 0.5
    #[arg(long, value_name = "LE", requires = "latency")]
    threshold: Option<String>,
    /// A selector of a gauge that is 1 or 0
    #[arg(long, value_name = "SELECTOR", group = "indicator")]
    probe: Option<String>,
    /// What the daemon counts itself
    #[arg(long, value_enum, group = "indicator")]
    own: Option<Own>,
    /// What somebody pushes with `ssctl slo push`
    #[arg(long, group = "indicator")]
    pushed: bool,
    /// A budget for each tenant; LABEL names it in series of Prometheus
    #[arg(long, value_name = "LABEL", num_args = 0..=1, default_missing_value = "")]
    per_tenant: Option<String>,
    /// The label holds the tenant's namespace
    #[arg(long, requires = "per_tenant")]
    label_is_namespace: bool,
    /// The objective is the availability of the tenant's plan
    #[arg(long, requires = "per_tenant", conflicts_with = "objective")]
    by_plan: bool,
    /// No alert by a long window with fewer events
    #[arg(long, value_name = "NUMBER")]
    least_total: Option<i64>,
    /// No alert by a long window with fewer bad events
    #[arg(long, value_name = "NUMBER")]
    least_bad: Option<i64>,
    /// When it alerts: page:1h/5m@14.4; repeated, or 'default'
    #[arg(long = "rule", value_name = "RULE", value_parser = parse_rule)]
    rules: Option<Vec<Entry<BurnRule>>>,
    /// What happens when so much is used: 80=notify, 100=freeze; repeated, or 'none'
    #[arg(long = "at", value_name = "PERCENT=ACTION", value_parser = parse_step)]
    policy: Option<Vec<Entry<BudgetStep>>>,
    /// What is owed below an availability: 99.0=10; repeated, or 'none'
    #[arg(long = "credit", value_name = "PERCENT=PERCENT", value_parser = parse_credit)]
    credits: Option<Vec<Entry<CreditStep>>>,
    /// Where to read what to do, an https URL
    #[arg(long, value_name = "URL")]
    runbook: Option<String>,
}

impl SloFlags {
    /// Puts what was given into an SLO, and returns the names of those fields.
    pub(super) fn put(&self, slo: &mut Slo) -> Outcome<Vec<&'static str>> {
        let mut fields = Vec::new();
        for (given, field, name) in [
            (&self.display_name, &mut slo.display_name, "display_name"),
            (&self.description, &mut slo.description, "description"),
            (&self.service, &mut slo.service, "service"),
            (&self.objective, &mut slo.objective, "objective"),
            (&self.runbook, &mut slo.runbook_url, "runbook_url"),
        ] {
            if let Some(given) = given {
                field.clone_from(given);
                fields.push(name);
            }
        }
        let window = self.window.map(Window::RollingDays);
        let window = window.or_else(|| self.calendar_month.clone().map(Window::CalendarMonthZone));
        if window.is_some() {
            slo.window = Some(SloWindow { window });
            fields.push("window");
        }
        if let Some(sli) = self.sli()? {
            slo.sli = Some(Sli { sli: Some(sli) });
            fields.push("sli");
        }
        if let Some(label) = &self.per_tenant {
            slo.per_tenant = Some(PerTenant {
                label: label.clone(),
                label_is_namespace: self.label_is_namespace,
                by_plan: self.by_plan,
            });
            fields.push("per_tenant");
            if self.by_plan {
                // An objective from before would stand beside the plan's.
                fields.push("objective");
            }
        }
        for (given, field, name) in [
            (self.least_total, &mut slo.least_total, "least_total"),
            (self.least_bad, &mut slo.least_bad, "least_bad"),
        ] {
            if let Some(given) = given {
                *field = given;
                fields.push(name);
            }
        }
        if let Some(rules) = &self.rules {
            slo.rules = entries(rules);
            fields.push("rules");
        }
        if let Some(policy) = &self.policy {
            slo.policy = entries(policy);
            fields.push("policy");
        }
        if let Some(credits) = &self.credits {
            slo.credits = entries(credits);
            fields.push("credits");
        }
        Ok(fields)
    }

    fn sli(&self) -> Outcome<Option<sli::Sli>> {
        if let Some(total) = &self.total {
            if self.good.is_none() && self.bad.is_none() {
                return Err(Failure::Usage {
                    message: "--total alone does not say what is good".into(),
                    next: "give --good SELECTOR or --bad SELECTOR with it".into(),
                });
            }
            return Ok(Some(sli::Sli::Ratio(RatioSli {
                good: self.good.clone().unwrap_or_default(),
                bad: self.bad.clone().unwrap_or_default(),
                total: total.clone(),
            })));
        }
        if let Some(histogram) = &self.latency {
            let threshold = self.threshold.clone().unwrap_or_default();
            let latency = LatencySli { histogram: histogram.clone(), threshold };
            return Ok(Some(sli::Sli::Latency(latency)));
        }
        if let Some(probe) = &self.probe {
            return Ok(Some(sli::Sli::Probe(ProbeSli { probe: probe.clone() })));
        }
        if let Some(own) = self.own {
            let counter = match own {
                Own::Calls => OwnCounter::Calls,
                Own::CallsInTime => OwnCounter::CallsInTime,
                Own::SessionStarts => OwnCounter::SessionStarts,
                Own::MeteringFresh => OwnCounter::MeteringFresh,
            };
            return Ok(Some(sli::Sli::Own(OwnSli { counter: counter.into() })));
        }
        Ok(self.pushed.then_some(sli::Sli::Pushed(PushedSli {})))
    }
}

fn entries<T: Clone>(given: &[Entry<T>]) -> Vec<T> {
    let entry = |entry: &Entry<T>| match entry {
        Entry::None => None,
        Entry::Is(one) => Some(one.clone()),
    };
    given.iter().filter_map(entry).collect()
}

/// Whether it is a decimal such as `99.9`; its bounds are the daemon's.
fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part),
        None => digits(text),
    }
}

fn parse_objective(text: &str) -> Result<String, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    if is_decimal(number) {
        return Ok(number.to_owned());
    }
    Err(format!("{text:?} is no percentage: write 99.9"))
}

fn parse_days(text: &str) -> Result<i32, String> {
    let wrong = || format!("{text:?} is no number of days: write 7d or 30d");
    let span = parse_duration(text).map_err(|_| wrong())?;
    if span.as_secs() % DAY != 0 || span.subsec_nanos() != 0 {
        return Err(wrong());
    }
    i32::try_from(span.as_secs() / DAY).map_err(|_| wrong())
}

fn parse_rule(text: &str) -> Result<Entry<BurnRule>, String> {
    if text == "default" {
        return Ok(Entry::None);
    }
    let wrong = || format!("{text:?} is no rule: write page:1h/5m@14.4 or ticket:3d/6h@1");
    let (severity, rest) = text.split_once(':').ok_or_else(wrong)?;
    let (windows, rate) = rest.split_once('@').ok_or_else(wrong)?;
    let (long, short) = windows.split_once('/').ok_or_else(wrong)?;
    let severity = match severity {
        "page" => AlertSeverity::Page,
        "ticket" => AlertSeverity::Ticket,
        _ => return Err(wrong()),
    };
    let window =
        |text: &str| -> Result<Duration, String> { parse_duration(text).map_err(|_| wrong()) };
    let written = |span| proto_duration(Some(span)).map_err(|_| wrong());
    Ok(Entry::Is(BurnRule {
        severity: severity.into(),
        long_window: written(window(long)?)?,
        short_window: written(window(short)?)?,
        burn_rate_milli: parse_multiple(rate).map_err(|_| wrong())?.into(),
    }))
}

fn parse_step(text: &str) -> Result<Entry<BudgetStep>, String> {
    if text == "none" {
        return Ok(Entry::None);
    }
    let wrong = || format!("{text:?} is no step: write 80=notify or 100=freeze");
    let (percent, action) = text.split_once('=').ok_or_else(wrong)?;
    let action = match action {
        "notify" => BudgetAction::Notify,
        "freeze" => BudgetAction::Freeze,
        _ => return Err(wrong()),
    };
    let used_percent = whole_percent(percent).ok_or_else(wrong)?;
    Ok(Entry::Is(BudgetStep { used_percent, action: action.into() }))
}

fn parse_credit(text: &str) -> Result<Entry<CreditStep>, String> {
    if text == "none" {
        return Ok(Entry::None);
    }
    let wrong = || format!("{text:?} is no credit: write 99.0=10, 10 % below 99.0 %");
    let (below, credit) = text.split_once('=').ok_or_else(wrong)?;
    let below = parse_objective(below).map_err(|_| wrong())?;
    Ok(Entry::Is(CreditStep { below, credit_percent: whole_percent(credit).ok_or_else(wrong)? }))
}

fn whole_percent(text: &str) -> Option<i32> {
    let digits = text.strip_suffix('%').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|percent| (1..=100).contains(percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_read_whole_or_refused() {
        let Ok(Entry::Is(rule)) = parse_rule("page:1h/5m@14.4") else { panic!("a rule") };
        assert_eq!(rule.severity(), AlertSeverity::Page);
        assert_eq!(rule.long_window.unwrap().seconds, 3600);
        assert_eq!(rule.short_window.unwrap().seconds, 300);
        assert_eq!(rule.burn_rate_milli, 14_400);
        assert_eq!(parse_rule("default"), Ok(Entry::None));
        for text in
            ["", "page", "page:1h@14.4", "wake:1h/5m@1", "page:1h/5m@0", "page:1h/5m@1.2345"]
        {
            assert!(parse_rule(text).unwrap_err().contains("write page:1h/5m@14.4"), "{text}");
        }
    }

    #[test]
    fn steps_credits_days_and_objectives_are_read_or_refused() {
        let notify = BudgetStep { used_percent: 80, action: BudgetAction::Notify.into() };
        assert_eq!(parse_step("80=notify"), Ok(Entry::Is(notify)));
        for text in ["80", "0=notify", "101=freeze", "+5=notify", "80=stop"] {
            assert!(parse_step(text).is_err(), "{text}");
        }
        let credit = CreditStep { below: "99.0".into(), credit_percent: 10 };
        assert_eq!(parse_credit("99.0=10"), Ok(Entry::Is(credit)));
        assert!(parse_credit("99.0").is_err());
        assert_eq!(parse_days("30d"), Ok(30));
        assert!(parse_days("36h").is_err());
        assert_eq!(parse_objective("99.95%"), Ok("99.95".into()));
        for text in ["99,9", "-1", "1e2", "", ".5", "5."] {
            assert!(parse_objective(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_what_was_given_is_named() {
        let mut slo = Slo::default();
        assert!(SloFlags::default().put(&mut slo).unwrap().is_empty());
        assert_eq!(slo, Slo::default());
        let flags = SloFlags {
            pushed: true,
            per_tenant: Some(String::new()),
            by_plan: true,
            policy: Some(vec![Entry::None]),
            ..SloFlags::default()
        };
        assert_eq!(flags.put(&mut slo).unwrap(), ["sli", "per_tenant", "objective", "policy"]);
        let alone = SloFlags { total: Some("x".into()), ..SloFlags::default() };
        assert_eq!(alone.put(&mut slo).unwrap_err().exit() as u8, 2);
    }
}
