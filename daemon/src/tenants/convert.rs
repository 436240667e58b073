//! Between a tenant as the daemon holds it and as the contract shows it.

use prost::Message;
use streamspace_core::{
    conditions::{Condition, ConditionStatus},
    ids::RegionId,
    tenant::{Subject, SubjectKind, TenantState},
};
use streamspace_proto::v1;

use super::{QuotaOverride, TenantRecord};
use crate::{
    db::changes::{ChangeKind, ChangeType, NewChange},
    plans,
    rpc::time::timestamp,
};

/// The etag of a tenant: its identity and the generation of its wish.
pub fn etag(tenant: &TenantRecord) -> String {
    let uid = tenant.uid.0.simple().to_string();
    let tail: String = uid.chars().skip(24).collect();
    format!("{tail}-{}", tenant.generation)
}

/// A tenant as the contract shows it.
pub fn to_proto(tenant: &TenantRecord) -> v1::Tenant {
    into_proto(tenant.clone())
}

/// The same of a tenant that is needed no more, as in a list.
pub fn into_proto(tenant: TenantRecord) -> v1::Tenant {
    let (etag, quota) = (etag(&tenant), tenant.quota());
    let spec = tenant.spec;
    v1::Tenant {
        name: spec.id.to_name(),
        uid: tenant.uid.0.to_string(),
        display_name: spec.display_name,
        plan: spec.plan.to_name(),
        plan_version: tenant.plan_version,
        seats: spec.seats,
        home_region: spec.home_region.to_name(),
        allowed_regions: spec.allowed_regions.iter().map(RegionId::to_name).collect(),
        billing_account: spec.billing_account,
        admin_subjects: spec.admin_subjects.into_iter().map(subject).collect(),
        isolation: v1::Isolation::Namespace.into(),
        labels: spec.labels.into_iter().collect(),
        protected: spec.protected,
        state: state(tenant.state).into(),
        conditions: tenant.conditions.into_iter().map(condition).collect(),
        namespace: tenant.namespace,
        generation: tenant.generation,
        observed_generation: tenant.observed_generation,
        etag,
        create_time: timestamp(tenant.create_time),
        update_time: timestamp(tenant.update_time),
        quota: Some(plans::quota_to_proto(&quota)),
        quota_overrides: tenant.overrides.iter().map(quota_override).collect(),
        pause: tenant.pause.map(|pause| v1::Pause {
            expire_time: timestamp(pause.until),
            reason: pause.reason,
            actor: pause.actor,
        }),
        cordon_expire_time: tenant.cordon_until.and_then(timestamp),
        cordon_reason: tenant.cordon_reason,
        archive_time: tenant.archive_time.and_then(timestamp),
        retention_end_time: tenant.purge_after.and_then(timestamp),
        adopt: tenant.adopt,
        consequences: Vec::new(),
    }
}

/// An override as the contract shows it.
pub fn quota_override(entry: &QuotaOverride) -> v1::QuotaOverride {
    v1::QuotaOverride {
        resource: entry.set.resource.as_str().into(),
        amount: entry.set.amount.0,
        expire_time: entry.set.expire_time.and_then(timestamp),
        actor: entry.actor.clone(),
        reason: entry.reason.clone(),
        create_time: timestamp(entry.set.create_time),
    }
}

/// The entry of the change log that tells of a tenant.
pub fn change(tenant: &TenantRecord, change: ChangeType, actor: &str) -> NewChange {
    let resource =
        v1::Resource { resource: Some(v1::resource::Resource::Tenant(to_proto(tenant))) };
    NewChange {
        kind: ChangeKind::Tenant,
        change,
        tenant_uid: tenant.uid,
        name: tenant.spec.id.to_name(),
        actor: actor.to_owned(),
        resource: resource.encode_to_vec(),
    }
}

fn subject(subject: Subject) -> v1::Subject {
    let kind = match subject.kind {
        SubjectKind::User => v1::SubjectKind::User,
        SubjectKind::Group => v1::SubjectKind::Group,
    };
    v1::Subject { kind: kind.into(), name: subject.name }
}

fn condition(condition: Condition) -> v1::Condition {
    let status = match condition.status {
        ConditionStatus::True => v1::ConditionStatus::True,
        ConditionStatus::False => v1::ConditionStatus::False,
        ConditionStatus::Unknown => v1::ConditionStatus::Unknown,
    };
    v1::Condition {
        r#type: condition.type_,
        status: status.into(),
        reason: condition.reason,
        message: condition.message,
        observed_generation: condition.observed_generation,
        last_transition_time: timestamp(condition.last_transition_time),
    }
}

fn state(state: TenantState) -> v1::TenantState {
    match state {
        TenantState::Provisioning => v1::TenantState::Provisioning,
        TenantState::Active => v1::TenantState::Active,
        TenantState::Cordoned => v1::TenantState::Cordoned,
        TenantState::Suspended => v1::TenantState::Suspended,
        TenantState::Archived => v1::TenantState::Archived,
        TenantState::Purging => v1::TenantState::Purging,
        TenantState::Gone => v1::TenantState::Gone,
    }
}

/// The same the other way; `None` where it is not given.
pub(super) fn read_state(written: v1::TenantState) -> Option<TenantState> {
    TenantState::ALL.into_iter().find(|it| state(*it) == written)
}
