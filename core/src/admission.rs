//! Admission: may this session start?
//!
//! A user has so many sessions and so much memory by the plan, a tenant so much of each
//! resource by its quota. [`check`] compares what is held with what is asked for, and a
//! refusal says the limit, what is used and by what, and what to do. [`Ledger`] knows
//! what is held, and makes the answer exact when many ask at once.
//!
//! Requests count against the limits as they are; the limits of containers against twice
//! as much, as in the tenant's `ResourceQuota`. So nobody gets a large session for a small
//! request. A shared session counts with all the copies that it may have: what an
//! autoscaler could break would be no limit.

use std::fmt;

use crate::{
    ids::PlanId,
    plan::{Plan, Quota},
    quantity::{Bytes, Millicores, Unit},
    session::{Allotment, SessionName, UserName, Wish},
    tenant::TenantState,
};

pub use ledger::{Admitted, Ledger, Observation, RESERVATION_TIME, Request, Reservation};

mod ledger;
#[cfg(test)]
mod tests;

/// Reservations of one tenant that may be open at once. Each ends within seconds when the
/// watch is well, so that more are a flood or a blind watch.
pub const RESERVATIONS_MAXIMUM: usize = 500;
/// How many sessions a refusal names.
const NAMED: usize = 3;
/// A container's limits may come to so many times the requests that are allowed.
const LIMITS_FACTOR: i64 = 2;
const MEBIBYTE: i64 = 1 << 20;

/// What a session takes, or several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// Sessions.
    pub sessions: i64,
    /// Pods.
    pub pods: i64,
    /// CPU, requested.
    pub cpu: Millicores,
    /// CPU, at most.
    pub cpu_limit: Millicores,
    /// Memory, requested.
    pub memory: Bytes,
    /// Memory, at most.
    pub memory_limit: Bytes,
}

impl Place {
    /// What a session takes with all of its copies.
    pub fn of(wish: &Wish, allotment: &Allotment) -> Self {
        let pods = i64::from(wish.pods());
        Self {
            sessions: 1,
            pods,
            cpu: Millicores(allotment.cpu_request.0.saturating_mul(pods)),
            cpu_limit: Millicores(allotment.cpu_limit.0.saturating_mul(pods)),
            memory: Bytes(allotment.memory_request.0.saturating_mul(pods)),
            memory_limit: Bytes(allotment.memory_limit.0.saturating_mul(pods)),
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.each(other, i64::saturating_add)
    }

    /// Of each the larger: what must be held while it is open which of two will be.
    #[must_use]
    pub fn or_larger(self, other: Self) -> Self {
        self.each(other, i64::max)
    }

    fn each(self, other: Self, join: impl Fn(i64, i64) -> i64) -> Self {
        Self {
            sessions: join(self.sessions, other.sessions),
            pods: join(self.pods, other.pods),
            cpu: Millicores(join(self.cpu.0, other.cpu.0)),
            cpu_limit: Millicores(join(self.cpu_limit.0, other.cpu_limit.0)),
            memory: Bytes(join(self.memory.0, other.memory.0)),
            memory_limit: Bytes(join(self.memory_limit.0, other.memory_limit.0)),
        }
    }

    fn amount(&self, measure: Measure) -> i64 {
        match measure {
            Measure::Sessions => self.sessions,
            Measure::Pods => self.pods,
            Measure::Cpu => self.cpu.0,
            Measure::CpuLimit => self.cpu_limit.0,
            Measure::Memory => self.memory.0,
            Measure::MemoryLimit => self.memory_limit.0,
        }
    }
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Sessions at once.
    Sessions,
    /// Pods.
    Pods,
    /// Requested CPU.
    Cpu,
    /// CPU that containers are limited to.
    CpuLimit,
    /// Requested memory.
    Memory,
    /// Memory that containers are limited to.
    MemoryLimit,
}

impl Measure {
    /// The word for it in a sentence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Pods => "pods",
            Self::Cpu => "CPU",
            Self::CpuLimit => "CPU limits",
            Self::Memory => "memory",
            Self::MemoryLimit => "memory limits",
        }
    }

    fn unit(self) -> Unit {
        match self {
            Self::Sessions | Self::Pods => Unit::Count,
            Self::Cpu | Self::CpuLimit => Unit::Millicores,
            Self::Memory | Self::MemoryLimit => Unit::Bytes,
        }
    }

    /// Where a session says how much of it, where it does.
    fn field(self) -> Option<&'static str> {
        match self {
            Self::Sessions => None,
            Self::Pods => Some("spec.shared.maxReplicas"),
            Self::Cpu | Self::CpuLimit => Some("the CPU in spec.resources"),
            Self::Memory | Self::MemoryLimit => Some("the memory in spec.resources"),
        }
    }
}

/// How much there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The tenant's plan, for the words of a refusal.
    pub plan: PlanId,
    /// Sessions of one user at once; absent where they are unlimited.
    pub user_sessions: Option<i32>,
    /// Memory of one user's sessions together; absent where a contract sets it.
    pub user_memory: Option<Bytes>,
    /// The quota that applies to the tenant.
    pub quota: Quota,
    /// Reservations that may be open at once.
    pub reservations: usize,
}

impl Limits {
    /// The limits of a plan and of the quota that applies, which may differ from the plan's.
    pub fn of(plan: &Plan, quota: &Quota) -> Self {
        Self {
            plan: plan.id.clone(),
            user_sessions: plan.user_sessions,
            user_memory: plan.user_memory,
            quota: *quota,
            reservations: RESERVATIONS_MAXIMUM,
        }
    }

    /// The limits of one user.
    fn of_user(&self) -> Vec<(Measure, i64)> {
        let sessions = self.user_sessions.map(|most| (Measure::Sessions, i64::from(most)));
        let memory = self.user_memory.map(|most| (Measure::Memory, most.0));
        let limit = self
            .user_memory
            .map(|most| (Measure::MemoryLimit, most.0.saturating_mul(LIMITS_FACTOR)));
        [sessions, memory, limit].into_iter().flatten().collect()
    }

    /// The limits of the tenant.
    fn of_tenant(&self) -> [(Measure, i64); 5] {
        let Quota { cpu, memory, pods, .. } = self.quota;
        [
            (Measure::Pods, i64::from(pods)),
            (Measure::Cpu, cpu.0),
            (Measure::CpuLimit, cpu.0.saturating_mul(LIMITS_FACTOR)),
            (Measure::Memory, memory.0),
            (Measure::MemoryLimit, memory.0.saturating_mul(LIMITS_FACTOR)),
        ]
    }
}

/// A session and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The session.
    pub name: SessionName,
    /// What it takes.
    pub place: Place,
}

/// What is held beside the session that asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// By each other session of the same user.
    pub by_user: Vec<Holder>,
    /// By all other sessions of the tenant together.
    pub by_tenant: Place,
    /// By the session itself, in its user's name: what it needs not ask for again.
    pub own_by_user: Place,
    /// By the session itself, in whatever user's name.
    pub own: Place,
}

/// A request for a place: whose, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask<'a> {
    /// The session.
    pub name: &'a SessionName,
    /// Its user.
    pub user: &'a UserName,
    /// What it takes.
    pub place: Place,
}

/// Why a session may not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One word for programs.
    pub reason: Reason,
    /// What is in the way, with the numbers.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// Shows what is in the way and what to do.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.message, self.remedy)
    }
}

/// Which limit refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nothing new starts in the tenant.
    TenantClosed(TenantState),
    /// The user has no more of it.
    User(Measure),
    /// The tenant has no more of it.
    Tenant(Measure),
    /// Too many sessions are admitted that nobody has seen yet.
    Reservations,
}

/// All that refuses a session; nothing where it may start.
///
/// What the session holds already is not asked for again, so that the update of a running
/// session passes also where a limit was lowered below what runs or the tenant is
/// cordoned. What it asks for beyond that must fit.
pub fn check(ask: &Ask<'_>, held: &Held, limits: &Limits, tenant: TenantState) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let grows =
        |place: Place, own: Place, measure: Measure| place.amount(measure) > own.amount(measure);
    if grows(ask.place, held.own, Measure::Sessions) {
        refusals.extend(closed(tenant));
    }
    let of_user = held.by_user.iter().fold(Place::default(), |sum, holder| sum.plus(holder.place));
    for (measure, allowed) in limits.of_user() {
        let used = of_user.amount(measure);
        if grows(ask.place, held.own_by_user, measure)
            && used.saturating_add(ask.place.amount(measure)) > allowed
        {
            refusals.push(of_a_user(ask, measure, allowed, used, held, limits));
        }
    }
    for (measure, allowed) in limits.of_tenant() {
        let used = held.by_tenant.amount(measure);
        if grows(ask.place, held.own, measure)
            && used.saturating_add(ask.place.amount(measure)) > allowed
        {
            refusals.push(of_the_tenant(ask, measure, allowed, used));
        }
    }
    refusals
}

fn closed(tenant: TenantState) -> Option<Refusal> {
    let remedy = match tenant {
        TenantState::Active => return None,
        TenantState::Provisioning => "try again when it is active, in a minute or so",
        TenantState::Cordoned => "wait until an operator ends the cordon",
        TenantState::Suspended => "wait until an operator resumes it",
        TenantState::Archived => "an operator must restore it first",
        TenantState::Purging | TenantState::Gone => "use another tenant",
    };
    Some(Refusal {
        reason: Reason::TenantClosed(tenant),
        message: format!("the tenant is {tenant}, and nothing new starts"),
        remedy: remedy.to_owned(),
    })
}

fn of_a_user(
    ask: &Ask<'_>,
    measure: Measure,
    allowed: i64,
    used: i64,
    held: &Held,
    limits: &Limits,
) -> Refusal {
    let unit = measure.unit();
    let plan = &limits.plan;
    let show = |amount| unit.show(amount);
    let by = named(&held.by_user, measure);
    let message = if measure == Measure::Sessions {
        let one = if allowed == 1 { "session" } else { "sessions" };
        format!(
            "user `{}` may run {allowed} {one} at once by plan {plan}, and {used} run or start \
             ({by})",
            ask.user
        )
    } else {
        let used = if held.by_user.is_empty() {
            "nothing is in use".to_owned()
        } else {
            format!("{} is in use ({by})", show(used))
        };
        format!(
            "user `{}` may have {} of {} by plan {plan}, {used}, and `{}` needs {}",
            ask.user,
            show(allowed),
            measure.as_str(),
            ask.name,
            show(ask.place.amount(measure)),
        )
    };
    let end = largest(&held.by_user, measure).first().map(|largest| {
        format!("hibernate or terminate another session, for example `{}`", largest.name)
    });
    let lower = lower(ask, measure, allowed.saturating_sub(used));
    let ways = [end, lower, Some("move the tenant to a larger plan".to_owned())];
    Refusal { reason: Reason::User(measure), message, remedy: either(ways) }
}

fn of_the_tenant(ask: &Ask<'_>, measure: Measure, allowed: i64, used: i64) -> Refusal {
    let unit = measure.unit();
    let message = format!(
        "the tenant may have {} of {} by its quota, {} is in use by other sessions, and `{}` \
         needs {}",
        unit.show(allowed),
        measure.as_str(),
        unit.show(used),
        ask.name,
        unit.show(ask.place.amount(measure)),
    );
    let end = (used > 0).then(|| "hibernate or terminate other sessions of the tenant".to_owned());
    let lower = lower(ask, measure, allowed.saturating_sub(used));
    let ways = [end, lower, Some("let an operator raise the quota".to_owned())];
    Refusal { reason: Reason::Tenant(measure), message, remedy: either(ways) }
}

/// What would fit, where anything would and the session can say less.
fn lower(ask: &Ask<'_>, measure: Measure, left: i64) -> Option<String> {
    let field = measure.field()?;
    let (each, of_each) = match measure {
        // Each copy of a shared session takes its part.
        Measure::Cpu | Measure::CpuLimit | Measure::Memory | Measure::MemoryLimit
            if ask.place.pods > 1 =>
        {
            (left / ask.place.pods, " for each copy")
        }
        _ => (left, ""),
    };
    let unit = measure.unit();
    // A number that people can write: whole mebibytes.
    let odd = if unit == Unit::Bytes && each >= MEBIBYTE { each % MEBIBYTE } else { 0 };
    (each > 0).then(|| format!("lower {field} to at most {}{of_each}", unit.show(each - odd)))
}

fn either(ways: [Option<String>; 3]) -> String {
    ways.into_iter().flatten().collect::<Vec<_>>().join(", or ")
}

fn largest(holders: &[Holder], measure: Measure) -> Vec<&Holder> {
    let mut sorted: Vec<&Holder> = holders.iter().collect();
    sorted.sort_by(|one, other| {
        let by_size = other.place.amount(measure).cmp(&one.place.amount(measure));
        by_size.then_with(|| one.name.cmp(&other.name))
    });
    sorted
}

/// The largest holders by name, and how many more there are.
fn named(holders: &[Holder], measure: Measure) -> String {
    let sorted = largest(holders, measure);
    let name = |holder: &&Holder| match measure {
        Measure::Sessions => format!("`{}`", holder.name),
        _ => format!("`{}` {}", holder.name, measure.unit().show(holder.place.amount(measure))),
    };
    let names: Vec<String> = sorted.iter().take(NAMED).map(name).collect();
    let names = names.join(", ");
    match sorted.len().saturating_sub(NAMED) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}
