//! From what a request says of a quota to checked changes. Pure.

use std::collections::BTreeMap;

use streamspace_core::{
    plan::{Plan, Quota},
    quota::{self, Amount, Change, Resource},
    violation::Violations,
};
use streamspace_proto::v1;

use crate::rpc::errors::{RpcError, RpcResult};

/// The changes of a request, in its order, so that a fault can name its place.
pub(super) fn changes(given: &[v1::QuotaChange]) -> RpcResult<Vec<(Resource, Change)>> {
    each("changes", given, |resource, amount| {
        Change::parse(resource, amount).map_err(|error| error.to_string())
    })
}

/// What is needed of each resource. Needs have no sign.
pub(super) fn needs(given: &[v1::QuotaChange]) -> RpcResult<BTreeMap<Resource, Amount>> {
    let needs = each("needs", given, |resource, amount| {
        resource.unit().parse(amount).map(Amount).map_err(|error| error.to_string())
    })?;
    Ok(needs.into_iter().collect())
}

/// The resources of these words; all where there are none.
pub(super) fn resources(given: &[String]) -> RpcResult<Vec<Resource>> {
    if given.is_empty() {
        return Ok(Resource::ALL.to_vec());
    }
    let mut faults = Violations::new();
    let read = given.iter().take(Resource::ALL.len() * 2).enumerate();
    let resources = read
        .filter_map(|(index, word)| {
            faults.check(format!("resources[{index}]"), Resource::parse(word))
        })
        .collect();
    faults.into_result().map_err(RpcError::Invalid)?;
    Ok(resources)
}

fn each<T>(
    field: &str,
    given: &[v1::QuotaChange],
    read: impl Fn(Resource, &str) -> Result<T, String>,
) -> RpcResult<Vec<(Resource, T)>> {
    let mut faults = Violations::new();
    if given.is_empty() {
        faults.add(field, "name at least one resource and its amount, for example `memory=80Gi`");
    }
    let mut found: Vec<(Resource, T)> = Vec::new();
    // Each resource once: more than twice as many are not even looked at.
    for (index, change) in given.iter().take(Resource::ALL.len() * 2).enumerate() {
        let place = format!("{field}[{index}]");
        let resource = faults.check(format!("{place}.resource"), Resource::parse(&change.resource));
        let Some(resource) = resource else { continue };
        if found.iter().any(|(other, _)| *other == resource) {
            faults.add(format!("{place}.resource"), format!("repeats `{resource}`: remove it"));
            continue;
        }
        if let Some(amount) =
            faults.check(format!("{place}.amount"), read(resource, &change.amount))
        {
            found.push((resource, amount));
        }
    }
    faults.into_result().map_err(RpcError::Invalid)?;
    Ok(found)
}

/// The amounts that changes lead to from the quota that applies. Relative ones are
/// resolved here, and what contradicts the plan's promises is refused.
pub(super) fn resolve(
    changes: &[(Resource, Change)],
    applies: &Quota,
    plan: &Plan,
) -> RpcResult<Vec<(Resource, Amount)>> {
    let mut faults = Violations::new();
    let mut wished = *applies;
    let mut amounts = Vec::new();
    for (index, (resource, change)) in changes.iter().enumerate() {
        let field = format!("changes[{index}].amount");
        let amount = faults.check(field, change.apply(*resource, resource.of(applies)));
        let Some(amount) = amount else { continue };
        wished = quota_with(&wished, *resource, amount);
        amounts.push((*resource, amount));
    }
    for fault in quota::check(&wished, plan) {
        // What was so before is no fault of this change.
        let place = changes.iter().position(|(resource, _)| resource.as_str() == fault.field);
        if let Some(index) = place {
            faults.add(format!("changes[{index}].amount"), fault.description);
        }
    }
    faults.into_result().map_err(RpcError::Invalid)?;
    Ok(amounts)
}

fn quota_with(quota: &Quota, resource: Resource, amount: Amount) -> Quota {
    let set =
        quota::Override { resource, amount, create_time: jiff::Timestamp::MIN, expire_time: None };
    quota::effective(quota, &[set], jiff::Timestamp::MIN)
}
