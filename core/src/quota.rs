//! What a tenant may use: the plan's quota, what was set instead of it, what becomes of
//! it in the cluster, and what is left.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use thiserror::Error;

use crate::{
    plan::{Plan, Quota},
    quantity::{Bytes, Millicores, QuantityError, Unit},
    suggest, text,
    violation::{Violation, Violations},
};

pub use hard::{SESSIONS_KEY, hard, hard_in, unit_of};
pub use usage::{Consequence, Line, Shortfall, consequences, fits, lines};

pub mod forecast;
mod hard;
#[cfg(test)]
mod tests;
mod usage;

/// The most CPU of a quota: a million cores. Twice as much can still be counted.
pub const CPU_MAXIMUM: Millicores = Millicores(1_000_000_000);
/// The most memory or storage of a quota: 1Ei. Twice as much can still be counted.
pub const BYTES_MAXIMUM: Bytes = Bytes(1 << 60);
/// The most pods of a quota.
pub const PODS_MAXIMUM: i32 = 1_000_000;

/// What a quota limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// CPU, in millicores.
    Cpu,
    /// Memory, in bytes.
    Memory,
    /// Persistent storage, in bytes.
    Storage,
    /// Pods.
    Pods,
}

/// How much of a resource, in its unit: millicores, bytes, pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(pub i64);

/// A word that names no resource.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{word}` is no resource: write {remedy}")]
pub struct UnknownResource {
    /// The word, escaped and shortened.
    pub word: String,
    /// What was meant, or what there is.
    pub remedy: String,
}

impl Resource {
    /// Every resource, in the order that people read them.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Memory, Self::Storage, Self::Pods];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Storage => "storage",
            Self::Pods => "pods",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Result<Self, UnknownResource> {
        let words = Self::ALL.map(Self::as_str);
        Self::ALL.into_iter().find(|resource| resource.as_str() == word).ok_or_else(|| {
            let remedy = match suggest::nearest(word, words) {
                Some(meant) => format!("`{meant}`"),
                None => format!("one of {}", words.join(", ")),
            };
            UnknownResource { word: text::excerpt(word), remedy }
        })
    }

    /// The unit that it is counted in.
    pub fn unit(self) -> Unit {
        match self {
            Self::Cpu => Unit::Millicores,
            Self::Memory | Self::Storage => Unit::Bytes,
            Self::Pods => Unit::Count,
        }
    }

    /// Shows an amount of it to people.
    pub fn show(self, amount: Amount) -> String {
        self.unit().show(amount.0)
    }

    /// How much of it a quota has.
    pub fn of(self, quota: &Quota) -> Amount {
        Amount(match self {
            Self::Cpu => quota.cpu.0,
            Self::Memory => quota.memory.0,
            Self::Storage => quota.storage.0,
            Self::Pods => i64::from(quota.pods),
        })
    }

    /// The most that a quota can have of it.
    pub fn maximum(self) -> Amount {
        Amount(match self {
            Self::Cpu => CPU_MAXIMUM.0,
            Self::Memory | Self::Storage => BYTES_MAXIMUM.0,
            Self::Pods => i64::from(PODS_MAXIMUM),
        })
    }

    /// The keys of the hard map that limit it, the request first.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Cpu => &["requests.cpu", "limits.cpu"],
            Self::Memory => &["requests.memory", "limits.memory"],
            Self::Storage => &["requests.storage"],
            Self::Pods => &["pods"],
        }
    }

    /// The quota with this much of the resource.
    fn set(self, quota: &mut Quota, amount: Amount) {
        match self {
            Self::Cpu => quota.cpu = Millicores(amount.0),
            Self::Memory => quota.memory = Bytes(amount.0),
            Self::Storage => quota.storage = Bytes(amount.0),
            // What cannot be counted is over every maximum either way.
            Self::Pods => quota.pods = i32::try_from(amount.0).unwrap_or(i32::MAX),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A wished change of one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// More, or where it is negative less, than what applies now.
    Add(i64),
    /// This much, whatever applies now.
    Set(i64),
}

/// Why a change leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{resource} would be {would_be}, and must be more than 0 and at most {maximum}: {remedy}")]
pub struct ChangeError {
    /// Of what.
    pub resource: Resource,
    /// What would come of it, for people.
    pub would_be: String,
    /// The most that there can be, for people.
    pub maximum: String,
    /// What to do.
    pub remedy: String,
}

impl Change {
    /// Reads a wished change: `80` sets, `+40` adds to what applies. There is no
    /// sign for less: a hand that means "-1" rarely means one byte.
    pub fn parse(resource: Resource, value: &str) -> Result<Self, QuantityError> {
        let unit = resource.unit();
        if let Some(more) = value.strip_prefix('+') {
            return unit.parse(more).map(Self::Add);
        }
        unit.parse(value).map(Self::Set)
    }

    /// The amount that it leads to from the one that applies.
    pub fn apply(self, resource: Resource, applies: Amount) -> Result<Amount, ChangeError> {
        let (wished, base) = match self {
            Self::Set(amount) => (i128::from(amount), String::new()),
            Self::Add(more) => (
                i128::from(applies.0) + i128::from(more),
                format!("{} applies now, ", resource.show(applies)),
            ),
        };
        let maximum = resource.maximum();
        match i64::try_from(wished) {
            Ok(amount) if (1..=maximum.0).contains(&amount) => Ok(Amount(amount)),
            counted => Err(ChangeError {
                resource,
                would_be: counted
                    .map_or_else(|_| "too much to count".to_owned(), |a| resource.show(Amount(a))),
                maximum: resource.show(maximum),
                remedy: format!(
                    "{base}write the amount that is wished, for example `{}`",
                    match resource {
                        Resource::Cpu => "40",
                        Resource::Memory | Resource::Storage => "80Gi",
                        Resource::Pods => "200",
                    }
                ),
            }),
        }
    }
}

/// What one resource of a tenant's quota is instead of the plan's. Those that were ended
/// by hand are none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    /// Of what.
    pub resource: Resource,
    /// How much, whatever the plan has.
    pub amount: Amount,
    /// When it was set. The newest counts.
    pub create_time: Timestamp,
    /// When it ends by itself; never where it is absent.
    pub expire_time: Option<Timestamp>,
}

impl Override {
    /// Whether it counts. At the instant of its end it does no more.
    pub fn applies(&self, now: Timestamp) -> bool {
        self.expire_time.is_none_or(|end| now < end)
    }
}

/// The quota that applies: of each resource the newest override that has not ended, else
/// the plan's. Of two of the same instant the later in the list counts.
pub fn effective(plan: &Quota, overrides: &[Override], now: Timestamp) -> Quota {
    let mut quota = *plan;
    for resource in Resource::ALL {
        let of_it = overrides.iter().filter(|set| set.resource == resource && set.applies(now));
        if let Some(newest) = of_it.max_by_key(|set| set.create_time) {
            resource.set(&mut quota, newest.amount);
        }
    }
    quota
}

/// When the quota that applies may change by itself next.
pub fn next_end(overrides: &[Override], now: Timestamp) -> Option<Timestamp> {
    overrides.iter().filter_map(|set| set.expire_time).filter(|end| *end > now).min()
}

/// What contradicts itself in a quota of this plan; nothing where it can be. Fields are
/// the words of the resources.
pub fn check(quota: &Quota, plan: &Plan) -> Vec<Violation> {
    let mut violations = Violations::new();
    for resource in Resource::ALL {
        let (amount, maximum) = (resource.of(quota), resource.maximum());
        let shown = resource.show(amount);
        if !(1..=maximum.0).contains(&amount.0) {
            let maximum = resource.show(maximum);
            violations.add(
                resource.as_str(),
                format!("is {shown}, and must be more than 0 and at most {maximum}"),
            );
            continue;
        }
        let least = match resource {
            Resource::Memory => plan.user_memory.map(|memory| memory.0),
            Resource::Pods => plan.user_sessions.map(i64::from),
            Resource::Cpu | Resource::Storage => None,
        };
        if let Some(least) = least.filter(|least| amount.0 < *least) {
            let least = resource.show(Amount(least));
            let promise = match resource {
                Resource::Pods => "may run as sessions",
                _ => "is promised",
            };
            violations.add(
                resource.as_str(),
                format!(
                    "is {shown}, less than the {least} that one user of plan {} {promise}: set at \
                     least {least}",
                    plan.id
                ),
            );
        }
    }
    violations.into_vec()
}

/// What a namespace may hold, and what it does: the keys and quantities of a
/// `ResourceQuota`.
pub type Quantities = BTreeMap<String, String>;
