//! Burn rates and the rules that alert by them.

use super::{Objective, Sums, Window, objective::WHOLE};

/// How an alert reaches people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It wakes somebody.
    Page,
    /// Somebody looks at it in the morning.
    Ticket,
}

impl Severity {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Page, Self::Ticket].into_iter().find(|severity| severity.as_str() == word)
    }
}

/// Alerts while a budget burns faster than a factor in two windows at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BurnRule {
    /// How it reaches people.
    pub severity: Severity,
    /// The long window, in minutes: it says that it is worth it.
    pub long: u32,
    /// The short window, in minutes: it says that it still goes on.
    pub short: u32,
    /// The burn rate that must be exceeded, in thousandths.
    pub factor_milli: u64,
}

/// The severity, the windows in minutes and the share of the budget in thousandths that
/// the long one may use up, of the multi-window rules of the SRE Workbook.
const SHARES: [(Severity, u32, u32, u64); 4] = [
    (Severity::Page, 60, 5, 20),
    (Severity::Page, 360, 30, 50),
    (Severity::Ticket, 1_440, 120, 100),
    (Severity::Ticket, 4_320, 360, 100),
];

/// A burn rate at which the budget lasts just as long as its window. Below it nothing is
/// used up before its time.
const LASTING_MILLI: u64 = 1_000;

/// The rules of a window where none are given: `share · P / long`, which is 14.4, 6, 3 and 1
/// for 30 days, and 1 where that is less. Rules whose long window is longer than the window
/// itself are left out.
pub fn default_rules(window: &Window) -> Vec<BurnRule> {
    let whole = window.nominal_minutes();
    let rule = |(severity, long, short, share): (Severity, u32, u32, u64)| {
        let factor_milli = (share * u64::from(whole) / u64::from(long)).max(LASTING_MILLI);
        BurnRule { severity, long, short, factor_milli }
    };
    SHARES.into_iter().map(rule).filter(|rule| rule.long <= whole).collect()
}

/// How fast a budget burned, in thousandths rounded down; `None` without events.
pub fn rate_milli(objective: Objective, sums: &Sums) -> Option<u64> {
    let below = u128::from(sums.counts.total).checked_mul(u128::from(objective.budget()))?;
    let above = u128::from(sums.counts.bad) * u128::from(WHOLE) * 1_000;
    above.checked_div(below).map(|rate| u64::try_from(rate).unwrap_or(u64::MAX))
}

/// Whether the share of bad events is more than `factor · B`. Without events it is not.
pub fn exceeds(objective: Objective, factor_milli: u64, sums: &Sums) -> bool {
    let (bad, total) = (u128::from(sums.counts.bad), u128::from(sums.counts.total));
    let (scale, threshold) = threshold(objective, factor_milli);
    bad.saturating_mul(scale) > threshold.saturating_mul(total)
}

/// The share `factor · B` as a fraction: `(below, above)`, in their lowest terms by ten.
pub(super) fn threshold(objective: Objective, factor_milli: u64) -> (u128, u128) {
    let mut below = u128::from(WHOLE) * 1_000;
    let mut above = u128::from(factor_milli) * u128::from(objective.budget());
    while above > 0 && above.is_multiple_of(10) && below > 1 {
        (below, above) = (below / 10, above / 10);
    }
    (below, above)
}

/// After how many nanoseconds of a total outage a rule fires, if everything was good before
/// and events are as frequent as before: `factor · B · long`; `None` where it never does.
pub fn detection(objective: Objective, rule: &BurnRule) -> Option<u64> {
    if rule.can_never_fire(objective) {
        return None;
    }
    let seconds = u128::from(rule.long) * 60;
    let nanos = u128::from(rule.factor_milli) * u128::from(objective.budget()) * seconds / 1_000;
    u64::try_from(nanos).ok()
}

/// The sums of the windows of some rules.
pub trait Windows {
    /// What was counted in the last so many minutes.
    fn last(&self, minutes: u32) -> Sums;
}

impl BurnRule {
    /// Its name, by its long window: `burn-1h`.
    pub fn name(&self) -> String {
        format!("burn-{}", duration(self.long))
    }

    /// Whether no share of bad events reaches it: the share is at most one.
    pub fn can_never_fire(&self, objective: Objective) -> bool {
        let (below, above) = threshold(objective, self.factor_milli);
        above >= below
    }

    /// Whether it holds: both windows burn faster than the factor, and the long one has at
    /// least so many events and so many bad ones.
    pub fn holds(
        &self,
        objective: Objective,
        least: (u64, u64),
        windows: &(impl Windows + ?Sized),
    ) -> bool {
        let long = windows.last(self.long);
        long.counts.total >= least.0
            && long.counts.bad >= least.1
            && exceeds(objective, self.factor_milli, &long)
            && exceeds(objective, self.factor_milli, &windows.last(self.short))
    }
}

/// Minutes as Prometheus writes them: `5m`, `1h`, `3d`.
pub(super) fn duration(minutes: u32) -> String {
    match minutes {
        whole if whole > 0 && whole.is_multiple_of(1_440) => format!("{}d", whole / 1_440),
        whole if whole > 0 && whole.is_multiple_of(60) => format!("{}h", whole / 60),
        minutes => format!("{minutes}m"),
    }
}

/// Thousandths as a decimal without zeros at its end.
pub(super) fn decimal(milli: u64) -> String {
    let text = format!("{}.{:03}", milli / 1_000, milli % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
