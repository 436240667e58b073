//! A tenant as the dashboard shows it: the text made safe and the verdict reached
//! once, when it comes in.

use std::{borrow::Cow, fmt::Write as _};

use jiff::Timestamp;
use prost::Message as _;
use streamspace_client::text::escape;
use streamspace_core::filter::{FieldValue, vocabulary};
use streamspace_proto::v1::{self, Condition, ConditionStatus, TenantState};

use super::{Column, Key, Look, Row, SortKey, Wellness, age_of, by_number, by_time};
use crate::{
    format::{count, instant},
    state::RegionIndex,
};

/// Why a cluster may hold back a tenant that is being deleted, without anything
/// being wrong.
const DELETION_TAKES_ITS_TIME: [&str; 2] = ["NamespaceTerminating", "Deleted"];

/// One tenant.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    key: Key,
    /// The last part of the name.
    pub(crate) id: String,
    display_name: String,
    pub(crate) plan: String,
    pub(crate) namespace: String,
    state: TenantState,
    seats: i32,
    wellness: Wellness,
    /// What is wrong, or what it waits for; empty where it is well.
    pub(crate) words: String,
    pub(crate) created: Option<Timestamp>,
    /// All of it, encoded: decoded it is a hundred small pieces of memory that nobody looks at.
    encoded: Box<[u8]>,
}

impl Tenant {
    pub(crate) fn new(region: RegionIndex, tenant: &v1::Tenant) -> Self {
        Self {
            key: Self::key_of(region, tenant),
            id: escape(short(&tenant.name)).into_owned(),
            display_name: tenant.display_name.clone(),
            plan: escape(short(&tenant.plan)).into_owned(),
            namespace: escape(&tenant.namespace).into_owned(),
            state: tenant.state(),
            seats: tenant.seats,
            wellness: wellness(tenant),
            words: words(tenant),
            created: instant(tenant.create_time.as_ref()),
            encoded: tenant.encode_to_vec().into(),
        }
    }

    pub(crate) fn key_of(region: RegionIndex, tenant: &v1::Tenant) -> Key {
        Key::new(region, &tenant.uid, &tenant.name)
    }

    /// All of it, as the daemon sent it: escape what is shown.
    pub(crate) fn whole(&self) -> v1::Tenant {
        // What was encoded here can be decoded.
        v1::Tenant::decode(&*self.encoded).unwrap_or_default()
    }

    /// The whole name, as the contract has it. An id has nothing that is escaped.
    pub(crate) fn name(&self) -> String {
        format!("tenants/{}", self.id)
    }

    pub(crate) fn state_word(&self) -> &'static str {
        state_word(self.state)
    }

    /// The seats that it has, as people write numbers.
    pub(crate) fn seats(&self) -> String {
        count(usize::try_from(self.seats).unwrap_or(0))
    }
}

impl Row for Tenant {
    const NOUN: &'static str = "tenant";
    const FIELDS: &'static [&'static str] = &vocabulary::TENANT;
    const STATES: &'static [&'static str] = &[
        "unknown",
        "provisioning",
        "active",
        "cordoned",
        "suspended",
        "archived",
        "purging",
        "gone",
    ];
    const COLUMNS: &'static [Column<Self>] = &[
        Column::<Self>::left("NAME", 12, 40, 0)
            .showing(|tenant, _| Cow::Borrowed(&tenant.id))
            .ordered(|tenant| SortKey::Text(&tenant.id)),
        Column::<Self>::left("STATE", 6, 12, 1)
            .showing(|tenant, _| Cow::Borrowed(tenant.state_word()))
            .ordered(|tenant| by_number(i32::from(tenant.state)))
            .looking(Look::Verdict),
        Column::<Self>::left("PLAN", 5, 16, 4)
            .showing(|tenant, _| Cow::Borrowed(&tenant.plan))
            .ordered(|tenant| SortKey::Text(&tenant.plan)),
        Column::<Self>::right("SEATS", 6, 5)
            .showing(|tenant, _| Cow::Owned(tenant.seats()))
            .ordered(|tenant| by_number(tenant.seats)),
        Column::<Self>::left("NAMESPACE", 10, 32, 6)
            .showing(|tenant, _| Cow::Borrowed(&tenant.namespace))
            .ordered(|tenant| SortKey::Text(&tenant.namespace))
            .looking(Look::Aside),
        Column::<Self>::right("AGE", 6, 2)
            .showing(|tenant, now| age_of(tenant.created, now))
            .ordered(|tenant| by_time(tenant.created)),
        Column::<Self>::left("TROUBLE", 18, u16::MAX, 3)
            .showing(|tenant, _| Cow::Borrowed(&tenant.words))
            .looking(Look::Verdict),
    ];

    fn key(&self) -> &Key {
        &self.key
    }

    fn wellness(&self) -> Wellness {
        self.wellness
    }

    fn state(&self) -> usize {
        usize::try_from(i32::from(self.state)).unwrap_or(0)
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        let state = self.state_word();
        [&*self.id, &self.display_name, state, &self.plan, &self.namespace, &self.words].into_iter()
    }

    fn field(&self, name: &str, _: Timestamp) -> Option<FieldValue> {
        let text = |text: &str| Some(FieldValue::from(text));
        match name {
            "name" => text(&self.name()),
            "display_name" => text(&self.display_name),
            "plan" => text(&self.plan),
            "seats" => Some(FieldValue::Integer(self.seats.into())),
            "state" => text(self.state_word()),
            "billing_account" => text(&self.whole().billing_account),
            "protected" => Some(FieldValue::Bool(self.whole().protected)),
            label => text(self.whole().labels.get(label.strip_prefix("labels.")?)?),
        }
    }
}

fn wellness(tenant: &v1::Tenant) -> Wellness {
    let has = |status| tenant.conditions.iter().any(|c| c.status() == status);
    let broken = has(ConditionStatus::False);
    let expected = tenant
        .conditions
        .iter()
        .filter(|condition| condition.status() == ConditionStatus::False)
        .all(|condition| DELETION_TAKES_ITS_TIME.contains(&condition.reason.as_str()));
    match tenant.state() {
        TenantState::Purging if broken && expected => Wellness::Changing,
        TenantState::Provisioning | TenantState::Purging if broken => Wellness::Hindered,
        _ if broken => Wellness::Failing,
        _ if has(ConditionStatus::Unknown) => Wellness::Unknown,
        TenantState::Provisioning | TenantState::Purging => Wellness::Changing,
        TenantState::Unspecified => Wellness::Unknown,
        TenantState::Cordoned | TenantState::Suspended | TenantState::Archived => {
            Wellness::SetAside
        }
        TenantState::Active if tenant.pause.is_some() => Wellness::SetAside,
        TenantState::Active | TenantState::Gone => Wellness::Well,
    }
}

/// A text as a shell takes it.
pub(crate) fn shell_word(id: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+=".contains(c);
    // A word that begins with `=` is a command's path to some.
    if !id.is_empty() && !id.starts_with('=') && id.chars().all(plain) {
        id.to_owned()
    } else {
        format!("'{}'", id.replace('\'', r"'\''"))
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
