//! What is shown of a tenant.

use jiff::Timestamp;
use streamspace_proto::v1::{
    Condition, ConditionStatus, Pause, Plan, QuotaOverride, SubjectKind, Tenant, TenantState,
};

use crate::{
    output::{Cell, Column, Tone},
    quantity::{amount, quota},
    resource::{Noun, short, word},
    time::{age, local, remaining, until},
};

impl Noun for Tenant {
    const PLURAL: &'static str = "tenants";
    const PREFIX: &'static str = "tenants/";

    fn resource_name(&self) -> &str {
        &self.name
    }

    fn columns() -> Vec<Column<Self>> {
        vec![
            Column::new("NAME", |tenant: &Self, _| short(Self::PREFIX, &tenant.name).into()),
            Column::new("PLAN", |tenant, _| short(Plan::PREFIX, &tenant.plan).into()),
            Column::new("SEATS", |tenant, _| tenant.seats.into()),
            Column::new("STATE", |tenant, _| state(tenant)),
            Column::new("MESSAGE", |tenant, _| message(tenant).into()),
            Column::new("AGE", |tenant, now| age(tenant.create_time.as_ref(), now).into()),
            Column::wide("DISPLAY NAME", |tenant, _| tenant.display_name.clone().into()),
            Column::wide("NAMESPACE", |tenant, _| tenant.namespace.clone().into()),
            Column::wide("ADMINS", |tenant, _| admins(tenant).join(" ").into()),
            Column::wide("PROTECTED", |tenant, _| {
                if tenant.protected { "yes" } else { "no" }.into()
            }),
            Column::wide("PAUSED", |tenant, now| match &tenant.pause {
                Some(pause) => {
                    Cell::toned(remaining(pause.expire_time.as_ref(), now), Tone::Doubtful)
                }
                None => "".into(),
            }),
            Column::wide("OVERRIDES", |tenant, now| overrides(tenant, now).join("; ").into()),
            Column::wide("RETAINED", |tenant, now| {
                remaining(tenant.retention_end_time.as_ref(), now).into()
            }),
            Column::wide("LABELS", |tenant, _| labels(tenant).join(" ").into()),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, Cell)> {
        let mut pairs: Vec<(&'static str, Cell)> = vec![
            ("Name", short(Self::PREFIX, &self.name).into()),
            ("Display name", self.display_name.clone().into()),
            ("State", state(self)),
            (
                "Plan",
                format!("{} (version {})", short(Plan::PREFIX, &self.plan), self.plan_version)
                    .into(),
            ),
            ("Seats", self.seats.into()),
            ("Home region", short("regions/", &self.home_region).into()),
            ("Allowed regions", self.allowed_regions.join("\n").into()),
            ("Billing account", self.billing_account.clone().into()),
            ("Admins", admins(self).join("\n").into()),
            ("Labels", labels(self).join("\n").into()),
            ("Protected", if self.protected { "yes" } else { "no" }.into()),
            ("Quota", self.quota.as_ref().map(quota).unwrap_or_default().into()),
            ("Overrides", overrides(self, now).join("\n").into()),
            ("Cordon", cordon(self, now).into()),
            ("Paused", Cell::toned(paused(self, now), Tone::Doubtful)),
            ("Archived", local(self.archive_time.as_ref()).into()),
            ("Retained", until(self.retention_end_time.as_ref(), now).into()),
            ("Namespace", self.namespace.clone().into()),
            ("Generation", generation(self).into()),
            ("Created", local(self.create_time.as_ref()).into()),
            ("Updated", local(self.update_time.as_ref()).into()),
            ("Etag", self.etag.clone().into()),
            ("Uid", self.uid.clone().into()),
        ];
        for (at, condition) in self.conditions.iter().enumerate() {
            let title = if at == 0 { "Conditions" } else { "" };
            pairs.push((title, condition_cell(condition, now)));
        }
        for (at, consequence) in self.consequences.iter().enumerate() {
            let title = if at == 0 { "Consequences" } else { "" };
            pairs.push((title, consequence.message.clone().into()));
        }
        pairs
    }
}

/// Where a tenant is in its life, in one word.
pub(super) fn state_word(tenant: &Tenant) -> String {
    word("TENANT_STATE_", tenant.state().as_str_name())
}

fn state(tenant: &Tenant) -> Cell {
    let tone = match tenant.state() {
        TenantState::Active => Tone::Good,
        TenantState::Gone | TenantState::Unspecified | TenantState::Archived => Tone::Plain,
        TenantState::Provisioning
        | TenantState::Cordoned
        | TenantState::Suspended
        | TenantState::Purging => Tone::Doubtful,
    };
    Cell::toned(state_word(tenant), tone)
}

/// What the first condition that does not hold says, behind that the daemon leaves
/// the tenant alone where it does; nothing where all is well.
pub(super) fn message(tenant: &Tenant) -> String {
    let wrong = tenant
        .conditions
        .iter()
        .find(|condition| condition.status() != ConditionStatus::True)
        .map(told);
    let paused = tenant.pause.as_ref().map(|pause| format!("paused: {}", pause.reason));
    paused.into_iter().chain(wrong).collect::<Vec<_>>().join("; ")
}

/// Why nothing new starts, and until when.
fn cordon(tenant: &Tenant, now: Timestamp) -> String {
    let end = tenant.cordon_expire_time.as_ref();
    let parts = [until(end, now), tenant.cordon_reason.clone()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

fn paused(tenant: &Tenant, now: Timestamp) -> String {
    tenant.pause.as_ref().map(|pause| pause_words(pause, now)).unwrap_or_default()
}

/// A pause: until when, by whom, and why.
pub(crate) fn pause_words(pause: &Pause, now: Timestamp) -> String {
    format!("{}, by {}: {}", until(pause.expire_time.as_ref(), now), pause.actor, pause.reason)
}

fn overrides(tenant: &Tenant, now: Timestamp) -> Vec<String> {
    tenant.quota_overrides.iter().map(|set| override_words(set, now)).collect()
}

/// An override: what, until when, by whom, and why.
pub(crate) fn override_words(set: &QuotaOverride, now: Timestamp) -> String {
    let mut text = format!("{} {}", set.resource, amount(&set.resource, set.amount));
    for part in [until(set.expire_time.as_ref(), now), format!("by {}", set.actor)] {
        if !part.is_empty() {
            text = text + " " + &part;
        }
    }
    if set.reason.is_empty() { text } else { text + ": " + &set.reason }
}

/// A condition in words.
pub(super) fn told(condition: &Condition) -> String {
    let holds = match condition.status() {
        ConditionStatus::True => "yes",
        ConditionStatus::False => "no",
        ConditionStatus::Unknown | ConditionStatus::Unspecified => "unknown",
    };
    let mut text = format!("{}: {holds}", condition.r#type);
    for part in [&condition.reason, &condition.message] {
        if !part.is_empty() {
            text.push_str(", ");
            text.push_str(part);
        }
    }
    text
}

fn condition_cell(condition: &Condition, now: Timestamp) -> Cell {
    let tone = match condition.status() {
        ConditionStatus::True => Tone::Good,
        ConditionStatus::False => Tone::Bad,
        ConditionStatus::Unknown | ConditionStatus::Unspecified => Tone::Doubtful,
    };
    let since = age(condition.last_transition_time.as_ref(), now);
    Cell::toned(format!("{} (for {since})", told(condition)), tone)
}

fn generation(tenant: &Tenant) -> String {
    if tenant.generation == tenant.observed_generation {
        tenant.generation.to_string()
    } else {
        format!("{} (the cluster has {})", tenant.generation, tenant.observed_generation)
    }
}

fn admins(tenant: &Tenant) -> Vec<String> {
    let subjects = tenant.admin_subjects.iter();
    subjects
        .map(|subject| match subject.kind() {
            SubjectKind::Group => format!("group:{}", subject.name),
            SubjectKind::User | SubjectKind::Unspecified => subject.name.clone(),
        })
        .collect()
}

fn labels(tenant: &Tenant) -> Vec<String> {
    let mut labels: Vec<_> =
        tenant.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    labels.sort();
    labels
}
