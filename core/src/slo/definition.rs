//! What an SLO is.

use super::{BurnRule, Objective, Selector, Window, default_rules};
use crate::{ids::SloId, text, violation::Violation, violation::Violations};

/// A service level objective.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slo {
    /// What people call it.
    pub id: SloId,
    /// A name for people.
    pub display_name: String,
    /// What is promised.
    pub description: String,
    /// The service.
    pub service: String,
    /// How much must be good.
    pub goal: Goal,
    /// Over which time.
    pub window: Window,
    /// By what it is measured.
    pub sli: Sli,
    /// Where each tenant has a budget of its own.
    pub per_tenant: Option<PerTenant>,
    /// When it alerts; empty for [`default_rules`].
    pub rules: Vec<BurnRule>,
    /// A long window with fewer events alerts nobody.
    pub least_total: u64,
    /// A long window with fewer bad events alerts nobody.
    pub least_bad: u64,
    /// What happens when so much of the budget is used.
    pub policy: Vec<BudgetStep>,
    /// What is owed where less was good in a month.
    pub credits: Vec<CreditStep>,
    /// Where to read what to do; may be empty.
    pub runbook_url: String,
}

/// How much must be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// So much.
    Fixed(Objective),
    /// What the plan of each tenant promises.
    ByPlan,
}

/// By what an SLO is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sli {
    /// Good events and all, by counters of a Prometheus.
    Good {
        /// The good ones.
        good: Selector,
        /// All.
        total: Selector,
    },
    /// Bad events and all, by counters of a Prometheus.
    Bad {
        /// The bad ones.
        bad: Selector,
        /// All.
        total: Selector,
    },
    /// A histogram of a Prometheus: what is in the bucket of the threshold is good.
    Latency {
        /// The histogram, without `_bucket`.
        histogram: Selector,
        /// The bucket's `le`.
        threshold: String,
    },
    /// A gauge of a Prometheus that is 1 or 0.
    Probe {
        /// The gauge.
        probe: Selector,
    },
    /// What the daemon counts itself.
    Own(OwnCounter),
    /// What somebody pushes.
    Pushed,
}

/// What the daemon counts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnCounter {
    /// Calls; bad are those that the daemon failed.
    Calls,
    /// Calls that are no streams; bad are those that took more than half a second.
    CallsInTime,
    /// Starts of sessions, by tenant.
    SessionStarts,
    /// Minutes; bad are those in which the metering was behind.
    MeteringFresh,
}

impl OwnCounter {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Calls, Self::CallsInTime, Self::SessionStarts, Self::MeteringFresh];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::CallsInTime => "calls-in-time",
            Self::SessionStarts => "session-starts",
            Self::MeteringFresh => "metering-fresh",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|counter| counter.as_str() == word)
    }

    /// Whether it is counted by tenant.
    pub const fn by_tenant(self) -> bool {
        matches!(self, Self::SessionStarts)
    }
}

/// Gives each tenant a budget of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerTenant {
    /// The label that names the tenant; empty where the indicator is no Prometheus'.
    pub label: String,
    /// Whether it holds the namespace and not the name.
    pub label_is_namespace: bool,
}

/// What happens when so much of a budget is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetStep {
    /// From so many percent on.
    pub used_percent: u8,
    /// What happens.
    pub action: BudgetAction,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetAction {
    /// A ticket.
    Notify,
    /// It is shown as frozen: who gates risky changes holds them back.
    Freeze,
}

impl BudgetAction {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notify => "notify",
            Self::Freeze => "freeze",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Notify, Self::Freeze].into_iter().find(|action| action.as_str() == word)
    }
}

/// What is owed where less was good in a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreditStep {
    /// Below this.
    pub below: Objective,
    /// So many percent of the month's price.
    pub percent: u8,
}

impl Slo {
    /// When it alerts: its own rules or those of its window.
    pub fn rules(&self) -> Vec<BurnRule> {
        if self.rules.is_empty() { default_rules(&self.window) } else { self.rules.clone() }
    }

    /// What holds for a tenant whose plan promises this; `None` where the plan promises
    /// nothing that can be kept or broken.
    pub fn objective(&self, plan_ppm: i32) -> Option<Objective> {
        match self.goal {
            Goal::Fixed(objective) => Some(objective),
            Goal::ByPlan => Objective::from_ppm(plan_ppm),
        }
    }
}

const NAME_MAXIMUM: usize = 120;
const DESCRIPTION_MAXIMUM: usize = 1_000;
const SERVICE_MAXIMUM: usize = 63;
const URL_MAXIMUM: usize = 500;
/// More rules than anybody can tell apart at night.
const RULES_MAXIMUM: usize = 10;
const STEPS_MAXIMUM: usize = 10;
/// The longest long window: seven days.
const LONG_MAXIMUM: u32 = 7 * 1_440;
/// A window of fewer minutes has too few samples to be told apart from noise.
const SHORT_MINIMUM: u32 = 2;

/// Checks what the types alone do not; every fault with its field.
pub fn validate(slo: &Slo) -> Result<(), Vec<Violation>> {
    let mut faults = Violations::new();
    faults.check("display_name", text::check(&slo.display_name, NAME_MAXIMUM));
    faults.check("description", text::check(&slo.description, DESCRIPTION_MAXIMUM));
    faults.check("service", text::check(&slo.service, SERVICE_MAXIMUM));
    if slo.service.is_empty() {
        faults.add("service", "is required: name the service, for example api");
    }
    faults.check("runbook_url", text::check(&slo.runbook_url, URL_MAXIMUM));
    if !slo.runbook_url.is_empty() && !slo.runbook_url.starts_with("https://") {
        faults.add("runbook_url", "must begin with https://, or be empty");
    }
    sli(slo, &mut faults);
    rules(slo, &mut faults);
    policy(slo, &mut faults);
    faults.into_result()
}

fn sli(slo: &Slo, faults: &mut Violations) {
    if let Sli::Latency { threshold, .. } = &slo.sli {
        let (whole, part) = threshold.split_once('.').unwrap_or((threshold, "0"));
        let digits = |text: &str| {
            !text.is_empty() && text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole) || !digits(part) {
            faults.add(
                "sli.latency.threshold",
                "must be the decimal of a bucket's `le` label as the histogram has it, for example \
                 0.5",
            );
        }
    }
    let by_prometheus = !matches!(slo.sli, Sli::Own(_) | Sli::Pushed);
    match (&slo.per_tenant, &slo.sli) {
        (None, _) => {
            if slo.goal == Goal::ByPlan {
                faults.add("per_tenant.by_plan", "needs a budget for each tenant");
            }
        }
        (Some(_), Sli::Own(counter)) if !counter.by_tenant() => faults.add(
            "per_tenant",
            format!(
                "`{}` is counted for the region and not by tenant: leave it out, or measure by \
                 session-starts",
                counter.as_str()
            ),
        ),
        (Some(tenant), _) if by_prometheus => {
            if !Selector::is_label(&tenant.label) {
                faults.add(
                    "per_tenant.label",
                    "must be the label of the series that names the tenant: letters, digits and \
                     underscores, for example namespace",
                );
            }
        }
        (Some(tenant), _) => {
            if !tenant.label.is_empty() {
                faults.add("per_tenant.label", "is for indicators of a Prometheus: leave it empty");
            }
        }
    }
}

fn rules(slo: &Slo, faults: &mut Violations) {
    if slo.rules.len() > RULES_MAXIMUM {
        faults.add("rules", "at most 10: nobody tells more apart at night");
    }
    let given = !slo.rules.is_empty();
    for (index, rule) in slo.rules().iter().enumerate() {
        let field = if given { format!("rules[{index}]") } else { "objective".to_owned() };
        if rule.short < SHORT_MINIMUM || rule.short >= rule.long {
            faults.add(
                format!("{field}.short_window"),
                "must be at least 2 minutes and shorter than the long window, for example a \
                 twelfth of it",
            );
        }
        if rule.long > LONG_MAXIMUM || rule.long > slo.window.nominal_minutes() {
            faults.add(
                format!("{field}.long_window"),
                "must not be longer than seven days, nor than the SLO's window",
            );
        }
        if rule.factor_milli == 0 {
            faults.add(format!("{field}.burn_rate_milli"), "must be more than 0");
        }
        let twin = slo.rules.iter().take(index).any(|other| other.long == rule.long);
        if twin {
            faults.add(
                format!("{field}.long_window"),
                "another rule has the same long window, and rules are named by it",
            );
        }
        // What a plan promises is looked at when a budget is evaluated.
        if let Goal::Fixed(objective) = slo.goal
            && rule.can_never_fire(objective)
        {
            faults.add(field, never(objective, rule, given));
        }
    }
}

fn never(objective: Objective, rule: &BurnRule, given: bool) -> String {
    let factor = super::burn::decimal(rule.factor_milli);
    let remedy = if given {
        "give a lower burn rate"
    } else {
        "give rules of its own with lower burn rates, or a higher objective"
    };
    format!(
        "{objective} % with a burn rate of {factor} over {} could never fire: no share of bad events \
         is that large; {remedy}",
        super::burn::duration(rule.long)
    )
}

fn policy(slo: &Slo, faults: &mut Violations) {
    if slo.policy.len() > STEPS_MAXIMUM {
        faults.add("policy", "at most 10 steps");
    }
    for (index, step) in slo.policy.iter().enumerate() {
        if !(1..=100).contains(&step.used_percent) {
            faults.add(format!("policy[{index}].used_percent"), "must be 1 to 100");
        }
    }
    if slo.credits.len() > STEPS_MAXIMUM {
        faults.add("credits", "at most 10 steps");
    }
    for (index, step) in slo.credits.iter().enumerate() {
        if !(1..=100).contains(&step.percent) {
            faults.add(format!("credits[{index}].credit_percent"), "must be 1 to 100");
        }
    }
}
