//! From what a request says to a checked wish. Nothing here reads any state but
//! what it is given.

use streamspace_core::{
    ids::{PlanId, RegionId, TenantId},
    tenant::{Subject, SubjectKind, TenantSpec, validate},
    violation::Violation,
};
use streamspace_proto::v1;

use crate::rpc::errors::{RpcError, RpcResult};

/// The fields of a tenant that an update may name. `labels.KEY` is one label alone, which is
/// taken away where the tenant of the request has none of that key.
pub(super) const MUTABLE_FIELDS: [&str; 9] = [
    "display_name",
    "plan",
    "seats",
    "allowed_regions",
    "billing_account",
    "admin_subjects",
    "labels",
    "labels.KEY",
    "protected",
];

/// The wish of a create request.
pub(super) fn spec_of_create(
    request: &v1::CreateTenantRequest,
    own_region: &RegionId,
) -> RpcResult<TenantSpec> {
    let mut faults = Vec::new();
    let id = TenantId::parse(&request.tenant_id)
        .map_err(|error| faults.push(violation("tenant_id", &error)));
    let Some(tenant) = &request.tenant else {
        faults.push(violation("tenant", &"is required"));
        return Err(RpcError::Invalid(faults));
    };
    // A value that this version does not know may ask for more than it can give.
    let isolation = v1::Isolation::try_from(tenant.isolation);
    if !matches!(isolation, Ok(v1::Isolation::Unspecified | v1::Isolation::Namespace)) {
        return Err(RpcError::Refused {
            reason: "ISOLATION_UNAVAILABLE",
            message: "tenant.isolation: only NAMESPACE is available in this version".into(),
        });
    }
    let plan = PlanId::from_name(&tenant.plan)
        .map_err(|error| faults.push(violation("tenant.plan", &error)));
    let home_region = if tenant.home_region.is_empty() {
        Ok(own_region.clone())
    } else {
        RegionId::from_name(&tenant.home_region)
            .map_err(|error| faults.push(violation("tenant.home_region", &error)))
    };
    let allowed_regions = regions(&tenant.allowed_regions, &mut faults);
    let admin_subjects = subjects(&tenant.admin_subjects, &mut faults);
    let (Ok(id), Ok(plan), Ok(home_region)) = (id, plan, home_region) else {
        return Err(RpcError::Invalid(faults));
    };
    if home_region != *own_region {
        faults.push(violation(
            "tenant.home_region",
            &format!("this daemon serves {}; ask the daemon of that region", own_region.to_name()),
        ));
    }
    let display_name = match tenant.display_name.as_str() {
        "" => id.as_str().to_owned(),
        given => given.to_owned(),
    };
    let spec = TenantSpec {
        id,
        display_name,
        plan,
        seats: tenant.seats,
        home_region,
        allowed_regions,
        billing_account: tenant.billing_account.clone(),
        admin_subjects,
        labels: tenant.labels.clone().into_iter().collect(),
        protected: tenant.protected,
    };
    checked(spec, faults)
}

/// The wish after an update: the current one with the named fields replaced.
pub(super) fn spec_of_update(
    current: &TenantSpec,
    tenant: &v1::Tenant,
    fields: &[String],
) -> RpcResult<TenantSpec> {
    let mut faults = Vec::new();
    let mut spec = current.clone();
    if fields.is_empty() {
        faults.push(violation("update_mask", &"name at least one field"));
    }
    for field in fields {
        match field.as_str() {
            "display_name" if tenant.display_name.is_empty() => {
                current.id.as_str().clone_into(&mut spec.display_name);
            }
            "display_name" => spec.display_name.clone_from(&tenant.display_name),
            "plan" => match PlanId::from_name(&tenant.plan) {
                Ok(plan) => spec.plan = plan,
                Err(error) => faults.push(violation("tenant.plan", &error)),
            },
            "seats" => spec.seats = tenant.seats,
            "allowed_regions" => {
                spec.allowed_regions = regions(&tenant.allowed_regions, &mut faults);
            }
            "billing_account" => spec.billing_account.clone_from(&tenant.billing_account),
            "admin_subjects" => {
                spec.admin_subjects = subjects(&tenant.admin_subjects, &mut faults);
            }
            "labels" => spec.labels = tenant.labels.clone().into_iter().collect(),
            "protected" => spec.protected = tenant.protected,
            label if label.strip_prefix("labels.").is_some_and(|key| !key.is_empty()) => {
                let key = label.trim_start_matches("labels.");
                match tenant.labels.get(key) {
                    Some(value) => spec.labels.insert(key.to_owned(), value.clone()),
                    None => spec.labels.remove(key),
                };
            }
            other => faults.push(violation(
                "update_mask",
                &format!(
                    "{:?} cannot be changed; what can: {}",
                    other.chars().take(64).collect::<String>(),
                    MUTABLE_FIELDS.join(", ")
                ),
            )),
        }
    }
    checked(spec, faults)
}

fn checked(spec: TenantSpec, mut faults: Vec<Violation>) -> RpcResult<TenantSpec> {
    // The rules name the field of the resource; on the wire it stands in `tenant`.
    faults.extend(validate(&spec).into_iter().map(|fault| Violation {
        field: format!("tenant.{}", fault.field),
        description: fault.description,
    }));
    if faults.is_empty() { Ok(spec) } else { Err(RpcError::Invalid(faults)) }
}

fn regions(names: &[String], faults: &mut Vec<Violation>) -> Vec<RegionId> {
    let mut regions = Vec::new();
    for (index, name) in names.iter().enumerate() {
        match RegionId::from_name(name) {
            Ok(region) => regions.push(region),
            Err(error) => {
                faults.push(violation(&format!("tenant.allowed_regions[{index}]"), &error));
            }
        }
    }
    regions
}

fn subjects(given: &[v1::Subject], faults: &mut Vec<Violation>) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for (index, subject) in given.iter().enumerate() {
        let kind = match subject.kind() {
            v1::SubjectKind::User => SubjectKind::User,
            v1::SubjectKind::Group => SubjectKind::Group,
            v1::SubjectKind::Unspecified => {
                let field = format!("tenant.admin_subjects[{index}].kind");
                faults.push(violation(&field, &"must be USER or GROUP"));
                continue;
            }
        };
        subjects.push(Subject { kind, name: subject.name.clone() });
    }
    subjects
}

fn violation(field: &str, description: &dyn std::fmt::Display) -> Violation {
    Violation { field: field.into(), description: description.to_string() }
}
