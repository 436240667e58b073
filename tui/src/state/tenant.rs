//! A tenant as the dashboard shows it: the text made safe and the verdict reached
//! once, when it comes in.

use std::{fmt::Write as _, sync::Arc};

use jiff::Timestamp;
use streamspace_client::text::escape;
use streamspace_proto::v1::{self, Condition, ConditionStatus, TenantState};

use crate::{
    format::{count, instant},
    pen::cells,
};

/// Why a cluster may hold back a tenant that is being deleted, without anything
/// being wrong.
const DELETION_TAKES_ITS_TIME: [&str; 2] = ["NamespaceTerminating", "Deleted"];

/// The identity of a tenant: its uid, which is never used again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TenantKey(Arc<str>);

impl TenantKey {
    pub(crate) fn of(tenant: &v1::Tenant) -> Self {
        let identity = if tenant.uid.is_empty() { &tenant.name } else { &tenant.uid };
        Self(identity.as_str().into())
    }
}

/// How a tenant is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wellness {
    /// It should work and does not.
    Failing,
    /// It cannot become what it should.
    Hindered,
    /// It cannot be told.
    Unknown,
    /// It is on its way.
    Changing,
    /// Somebody wanted it so.
    SetAside,
    /// Nothing to look at.
    Well,
}

impl Wellness {
    /// Whether somebody should look.
    pub(crate) fn needs_attention(self) -> bool {
        self <= Self::Unknown
    }

    fn of(tenant: &v1::Tenant) -> Self {
        let has = |status| tenant.conditions.iter().any(|c| c.status() == status);
        let broken = has(ConditionStatus::False);
        let expected = tenant
            .conditions
            .iter()
            .filter(|condition| condition.status() == ConditionStatus::False)
            .all(|condition| DELETION_TAKES_ITS_TIME.contains(&condition.reason.as_str()));
        match tenant.state() {
            TenantState::Purging if broken && expected => Self::Changing,
            TenantState::Provisioning | TenantState::Purging if broken => Self::Hindered,
            _ if broken => Self::Failing,
            _ if has(ConditionStatus::Unknown) => Self::Unknown,
            TenantState::Provisioning | TenantState::Purging => Self::Changing,
            TenantState::Unspecified => Self::Unknown,
            TenantState::Cordoned | TenantState::Suspended | TenantState::Archived => {
                Self::SetAside
            }
            TenantState::Active if tenant.pause.is_some() => Self::SetAside,
            TenantState::Active | TenantState::Gone => Self::Well,
        }
    }
}

/// One tenant.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    pub(crate) key: TenantKey,
    /// The last part of the name.
    pub(crate) id: String,
    pub(crate) id_width: u16,
    pub(crate) plan: String,
    pub(crate) plan_width: u16,
    pub(crate) seats: String,
    pub(crate) namespace: String,
    pub(crate) namespace_width: u16,
    pub(crate) wellness: Wellness,
    /// What is wrong, or what it waits for; empty where it is well.
    pub(crate) words: String,
    pub(crate) created: Option<Timestamp>,
    /// What a filter looks through, in lower case.
    haystack: String,
    /// All of it, as the daemon sent it: escape what is shown.
    pub(crate) whole: Box<v1::Tenant>,
}

impl Tenant {
    pub(crate) fn new(tenant: v1::Tenant) -> Self {
        let id = escape(short(&tenant.name)).into_owned();
        let plan = escape(short(&tenant.plan)).into_owned();
        let namespace = escape(&tenant.namespace).into_owned();
        let wellness = Wellness::of(&tenant);
        let words = words(&tenant);
        let state = state_word(tenant.state());
        let display_name = &tenant.display_name;
        let haystack =
            format!("{id}\n{display_name}\n{state}\n{plan}\n{namespace}\n{words}").to_lowercase();
        Self {
            key: TenantKey::of(&tenant),
            id_width: cells(&id),
            plan_width: cells(&plan),
            namespace_width: cells(&namespace),
            seats: count(usize::try_from(tenant.seats).unwrap_or(0)),
            created: instant(tenant.create_time.as_ref()),
            whole: Box::new(tenant),
            id,
            plan,
            namespace,
            wellness,
            words,
            haystack,
        }
    }

    /// Whether it contains the text, which is in lower case.
    pub(crate) fn contains(&self, text: &str) -> bool {
        self.haystack.contains(text)
    }

    /// The id as a shell takes it.
    pub(crate) fn shell_word(&self) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !self.id.is_empty() && self.id.chars().all(plain) {
            self.id.clone()
        } else {
            format!("'{}'", self.id.replace('\'', r"'\''"))
        }
    }
}

/// `acme-corp` of `tenants/acme-corp`.
pub(crate) fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

pub(crate) fn state_word(state: TenantState) -> &'static str {
    match state {
        TenantState::Unspecified => "unknown",
        TenantState::Provisioning => "provisioning",
        TenantState::Active => "active",
        TenantState::Cordoned => "cordoned",
        TenantState::Suspended => "suspended",
        TenantState::Archived => "archived",
        TenantState::Purging => "purging",
        TenantState::Gone => "gone",
    }
}

pub(crate) fn condition_word(status: ConditionStatus) -> &'static str {
    match status {
        ConditionStatus::True => "true",
        ConditionStatus::False => "false",
        ConditionStatus::Unspecified | ConditionStatus::Unknown => "unknown",
    }
}

/// In one line: that the daemon leaves the tenant alone, then every condition that
/// does not hold, what is false before what is not known.
fn words(tenant: &v1::Tenant) -> String {
    let mut words = String::new();
    if let Some(pause) = &tenant.pause {
        // Writing to a string does not fail.
        let _ = write!(words, "paused: {}", escape(&pause.reason));
    }
    let with = |status| {
        let conditions = tenant.conditions.iter();
        conditions.filter(move |condition: &&Condition| condition.status() == status)
    };
    for condition in with(ConditionStatus::False).chain(with(ConditionStatus::Unknown)) {
        if !words.is_empty() {
            words.push_str("; ");
        }
        let name = if condition.reason.is_empty() { &condition.r#type } else { &condition.reason };
        words.push_str(&escape(name));
        if !condition.message.is_empty() {
            // Writing to a string does not fail.
            let _ = write!(words, ": {}", escape(&condition.message));
        }
    }
    words
}
