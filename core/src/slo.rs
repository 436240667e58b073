//! Service level objectives and their error budgets, in whole numbers.
//!
//! What is measured is kept as counts by the minute ([`Hour`]); each hour knows what was
//! counted before it, so the sums of any time that ends at a minute are a difference of
//! two of its points, exact and independent of how long the time is. With `T` the
//! objective, `B = 1 − T` the budget, `P` the window and `r(w)` the share of bad events in
//! a time `w` ([the formulas](https://sre.google/workbook/alerting-on-slos/)):
//!
//! - burn rate of `w`: `r(w) / B`;
//! - consumed: `r(P) / B`; remaining: `1 − r(P) / B`;
//! - allowed: `B · P`, the total outage that the budget pays for; used: `r(P) · P`;
//! - left until exhausted: `(allowed − used) / r(1 h)`.
//!
//! A minute in which nothing was measured is a gap and neither good nor bad; one with no
//! events was measured and adds nothing; one that is excluded is known and not counted.

mod budget;
mod burn;
mod counts;
mod definition;
mod hour;
mod objective;
pub mod openslo;
pub mod promql;
mod selector;
pub mod series;
#[cfg(test)]
mod tests;
mod window;

pub use budget::{Budget, Outage, credit, outage};
pub use burn::{BurnRule, Severity, Windows, default_rules, detection, exceeds, rate_milli};
pub use counts::{Counts, Sums};
pub use definition::{
    BudgetAction, BudgetStep, CreditStep, Goal, OwnCounter, PerTenant, Sli, Slo, validate,
};
pub use hour::{Cell, DecodeError, Hour, MINUTES, Point};
pub use objective::{Objective, ObjectiveError};
pub use selector::{Selector, SelectorError};
pub use window::{Bounds, Minute, Window, WindowError};
