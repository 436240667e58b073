//! What is used of a quota, what is left, and what a change would put over it.

use std::collections::BTreeMap;

use super::{Amount, Quantities, Resource, unit_of};
use crate::quantity::{QuantityError, observed};

/// One limit of a tenant and its use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The key, for example `requests.memory`.
    pub key: String,
    /// The limit, in the key's unit.
    pub hard: i64,
    /// What is used, in the key's unit; `None` where the cluster has not said it.
    pub used: Option<i64>,
}

impl Line {
    /// What is left, in the key's unit: 0 where more is used than allowed.
    pub fn headroom(&self) -> Option<i64> {
        self.used.map(|used| self.hard.saturating_sub(used).max(0))
    }

    /// How much is used, in thousandths rounded up: more than 1,000 where the limit was
    /// lowered below what runs, the largest number where something is used of nothing.
    pub fn used_permille(&self) -> Option<i32> {
        let used = i128::from(self.used?);
        let hard = i128::from(self.hard);
        if used <= 0 {
            return Some(0);
        }
        if hard <= 0 {
            return Some(i32::MAX);
        }
        let share = (used * 1000 + hard - 1) / hard;
        Some(i32::try_from(share).unwrap_or(i32::MAX))
    }

    /// Shows an amount of this key to people.
    pub fn show(&self, amount: i64) -> String {
        unit_of(&self.key).show(amount)
    }
}

/// The limits of a hard map with their use, in the order of their keys.
pub fn lines(hard: &Quantities, used: &Quantities) -> Result<Vec<Line>, QuantityError> {
    let line = |(key, limit): (&String, &String)| {
        let unit = unit_of(key);
        let used = used.get(key).map(|used| observed(unit, used)).transpose()?;
        Ok(Line { key: key.clone(), hard: observed(unit, limit)?, used })
    };
    hard.iter().map(line).collect()
}

/// A need that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// The key that refuses it.
    pub key: String,
    /// How much is missing, in the key's unit.
    pub missing: i64,
    /// A sentence for people.
    pub message: String,
}

/// The needs that would not fit beside what is used; nothing where all fit. A resource
/// without a limit fits; one whose use the cluster has not said counts as unused.
pub fn fits(
    hard: &Quantities,
    used: &Quantities,
    needed: &BTreeMap<Resource, Amount>,
) -> Result<Vec<Shortfall>, QuantityError> {
    let lines = lines(hard, used)?;
    let mut shortfalls = Vec::new();
    for (resource, need) in needed {
        // A pod's limits are no less than its requests, so each key must have the need.
        // The first that has not says enough.
        let mut of_it =
            resource.keys().iter().filter_map(|key| lines.iter().find(|l| l.key == *key));
        let tight = of_it.find_map(|line| shortfall(line, *resource, *need));
        shortfalls.extend(tight);
    }
    Ok(shortfalls)
}

fn shortfall(line: &Line, resource: Resource, need: Amount) -> Option<Shortfall> {
    let used = line.used.unwrap_or(0);
    let left = line.hard.saturating_sub(used).max(0);
    let missing = need.0.saturating_sub(left);
    if missing <= 0 {
        return None;
    }
    let show = |amount| line.show(amount);
    let message = format!(
        "{resource}: {} needed, {} left ({} of {} {} used): {} missing",
        show(need.0),
        show(left),
        show(used),
        show(line.hard),
        line.key,
        show(missing)
    );
    Some(Shortfall { key: line.key.clone(), missing, message })
}

/// What a change brings with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consequence {
    /// One word for programs.
    pub code: &'static str,
    /// A sentence for people, with the numbers.
    pub message: String,
}

/// More is used than the new limit allows.
const OVER_QUOTA: &str = "OVER_QUOTA";

/// What would be over its limit after a change of the hard map, in the order of the keys.
/// A limit that the change does not lower is no consequence of it, and neither is one
/// whose numbers cannot be read: those are the cluster's own trouble.
pub fn consequences(used: &Quantities, old: &Quantities, new: &Quantities) -> Vec<Consequence> {
    let of_key = |(key, after): (&String, &String)| {
        let unit = unit_of(key);
        let number = |text: &String| observed(unit, text).ok();
        let after = number(after)?;
        let before = old.get(key).and_then(number);
        let used = used.get(key).and_then(number)?;
        let is_lowered = before.is_none_or(|before| after < before);
        (is_lowered && used > after).then(|| Consequence {
            code: OVER_QUOTA,
            message: format!(
                "{key}: {} used, {} after the change: what runs goes on, nothing new starts until \
                 {} are freed",
                unit.show(used),
                unit.show(after),
                unit.show(used.saturating_sub(after))
            ),
        })
    };
    new.iter().filter_map(of_key).collect()
}
