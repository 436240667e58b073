//! What is shown of a tenant.

use jiff::Timestamp;
use streamspace_proto::v1::{Condition, ConditionStatus, Plan, SubjectKind, Tenant, TenantState};

use crate::{
    output::{Cell, Column, Tone},
    resource::{Noun, short, word},
    time::{age, local},
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

/// What the first condition that does not hold says; nothing where all hold.
pub(super) fn message(tenant: &Tenant) -> String {
    tenant
        .conditions
        .iter()
        .find(|condition| condition.status() != ConditionStatus::True)
        .map(told)
        .unwrap_or_default()
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
