//! What is left of an error budget.

use super::{
    Bounds, BurnRule, CreditStep, Objective, Severity, Sums, burn::detection, objective::WHOLE,
};

const NANOS: i128 = 1_000_000_000;
const MINUTE_NANOS: i128 = 60 * NANOS;
const MILLION: i128 = 1_000_000;

/// An error budget at an instant. Times are in nanoseconds of total outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What the budget pays for: `B · P`.
    pub allowed: i128,
    /// What of it is used, rounded up: `r · (what of P is over)`.
    pub used: i128,
    /// How long the window is, in nanoseconds.
    whole: i128,
    /// How much of it is to come, in nanoseconds: 0 of a rolling one.
    left: i128,
    objective: Objective,
    sums: Sums,
}

impl Budget {
    /// Of an objective, a window, and what was counted in it.
    pub fn new(objective: Objective, bounds: Bounds, sums: Sums) -> Self {
        let nanos = |minutes: u32| i128::from(minutes) * MINUTE_NANOS;
        let whole = nanos(bounds.minutes());
        Self {
            allowed: whole * i128::from(objective.budget()) / i128::from(WHOLE),
            used: share_of(nanos(bounds.elapsed()), &sums),
            whole,
            left: nanos(bounds.left()),
            objective,
            sums,
        }
    }

    /// What is left; negative where the promise is broken.
    pub fn remaining(&self) -> i128 {
        self.allowed - self.used
    }

    /// The share that is left, in millionths, rounded down; negative where the promise is
    /// broken. All of it where the window has no time.
    pub fn remaining_ppm(&self) -> i64 {
        self.after(self.used)
    }

    /// The share of good events, in millionths, rounded down; `None` without events.
    pub fn availability_ppm(&self) -> Option<i64> {
        let total = i128::from(self.sums.counts.total);
        let good = i128::from(self.sums.counts.good());
        (good * MILLION).checked_div(total).map(narrow)
    }

    /// How many more bad events the budget pays for, by the events so far; negative where
    /// the promise is broken.
    pub fn remaining_events(&self) -> i64 {
        let (total, bad) = (i128::from(self.sums.counts.total), i128::from(self.sums.counts.bad));
        narrow((total * i128::from(self.objective.budget())).div_euclid(i128::from(WHOLE)) - bad)
    }

    /// Whether nothing is left.
    pub fn is_exhausted(&self) -> bool {
        self.remaining() <= 0
    }

    /// The share that is used, in percent, rounded down. 100 from the moment on that
    /// nothing is left.
    pub fn used_percent(&self) -> i64 {
        narrow((self.used.saturating_mul(100)).checked_div(self.allowed).unwrap_or_default())
    }

    /// How long it lasts if it goes on as in `recent`, in nanoseconds; `None` where it does
    /// not burn, 0 where nothing is left.
    pub fn exhausted_in(&self, recent: &Sums) -> Option<i128> {
        if recent.counts.bad == 0 {
            return None;
        }
        let left = self.remaining().max(0);
        left.checked_mul(i128::from(recent.counts.total))
            .map(|left| left / i128::from(recent.counts.bad))
    }

    /// What will be left at the end of the window if it goes on as in `recent`, in
    /// millionths; of a rolling window, a whole window from now. `None` without events.
    pub fn forecast_ppm(&self, recent: &Sums) -> Option<i64> {
        if recent.counts.total == 0 {
            return None;
        }
        let used = if self.left == 0 {
            share_of(self.whole, recent)
        } else {
            self.used + share_of(self.left, recent)
        };
        Some(self.after(used))
    }

    fn after(&self, used: i128) -> i64 {
        let left = (self.allowed - used).saturating_mul(MILLION);
        // Rounded down also where it is negative.
        left.checked_div_euclid(self.allowed).map_or(narrow(MILLION), narrow)
    }
}

/// `r · time`, rounded up; nothing without events.
fn share_of(time: i128, sums: &Sums) -> i128 {
    let (total, bad) = (i128::from(sums.counts.total), i128::from(sums.counts.bad));
    if total == 0 {
        return 0;
    }
    // Times are below 2^53 nanoseconds and counts below 2^63: the product fits.
    let (whole, rest) = (time * bad / total, time * bad % total);
    whole + i128::from(rest > 0)
}

fn narrow(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// What is owed for what was counted in a month, in percent of its price: the largest
/// credit of the steps that lie above its availability. Nothing without events.
pub fn credit(steps: &[CreditStep], month: &Sums) -> u8 {
    let (total, bad) = (u128::from(month.counts.total), u128::from(month.counts.bad));
    let broken =
        |step: &&CreditStep| bad * u128::from(WHOLE) > total * u128::from(step.below.budget());
    steps.iter().filter(broken).map(|step| step.percent).max().unwrap_or(0)
}

/// What a total outage would cost of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The share of the whole budget that it would use, in millionths, rounded up.
    pub cost_ppm: i64,
    /// What would be left, in millionths, rounded down.
    pub remaining_ppm: i64,
    /// The longest one that the budget pays for now, in nanoseconds; 0 where nothing is left.
    pub longest: i128,
    /// After how long the first page goes out, in nanoseconds, if everything was good before.
    pub page_after: Option<u64>,
    /// What would be used, in percent, rounded down.
    pub used_percent: i64,
}

/// What a total outage of so many nanoseconds would cost.
pub fn outage(budget: &Budget, rules: &[BurnRule], nanos: i128) -> Outage {
    let cost = (nanos.saturating_mul(MILLION)).div_euclid(budget.allowed.max(1));
    let rest = (nanos.saturating_mul(MILLION)).rem_euclid(budget.allowed.max(1));
    let used = budget.used.saturating_add(nanos);
    let pages = rules.iter().filter(|rule| rule.severity == Severity::Page);
    let first = pages.filter_map(|rule| detection(budget.objective, rule)).min();
    Outage {
        cost_ppm: narrow(cost + i128::from(rest > 0)),
        remaining_ppm: budget.after(used),
        longest: budget.remaining().max(0),
        page_after: first.filter(|after| i128::from(*after) < nanos),
        used_percent: narrow(used.saturating_mul(100).checked_div(budget.allowed).unwrap_or(0)),
    }
}
