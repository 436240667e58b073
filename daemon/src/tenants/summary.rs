//! What a change of a tenant changed, for people who read the audit log. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use streamspace_core::{
    ids::RegionId,
    quota::Resource,
    tenant::{Subject, TenantSpec, TenantState},
};

use super::TenantRecord;
use crate::rpc::summary::{Summary, instant, until};

/// What is new with a tenant.
pub fn created(tenant: &TenantRecord) -> String {
    let mut summary = Summary::new();
    let seats = tenant.spec.seats;
    let seats = if seats == 1 { "1 seat".to_owned() } else { format!("{seats} seats") };
    summary.tell(format!("created: plan {}, {seats}", tenant.spec.plan));
    if tenant.adopt {
        summary.tell(format!("takes over namespace {} where it exists", tenant.namespace));
    }
    if tenant.spec.protected {
        summary.tell("protected");
    }
    summary.into_text()
}

/// What differs between a tenant before a change and after it. What the daemon observes is
/// no part of it, and people outside are counted and not named: the audit log is for ever.
pub fn changed(before: &TenantRecord, after: &TenantRecord) -> String {
    let mut summary = Summary::new();
    spec(&mut summary, &before.spec, &after.spec);
    if before.spec.plan == after.spec.plan {
        let versions = (before.plan_version, after.plan_version);
        summary.field(&format!("version of plan {}", after.spec.plan), versions.0, versions.1);
    }
    quota(&mut summary, before, after);
    life(&mut summary, before, after);
    pause(&mut summary, before, after);
    summary.into_text()
}

fn spec(summary: &mut Summary, before: &TenantSpec, after: &TenantSpec) {
    // Whoever adds a field is asked here how it is told.
    let TenantSpec {
        id: _,
        display_name,
        plan,
        seats,
        home_region,
        allowed_regions,
        billing_account,
        admin_subjects,
        labels,
        protected,
    } = before;
    let regions = |regions: &[RegionId]| {
        regions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    summary.field("display name", display_name, &after.display_name);
    summary.field("plan", plan, &after.plan);
    summary.field("seats", seats, after.seats);
    summary.field("home region", home_region, &after.home_region);
    summary.field("allowed regions", regions(allowed_regions), regions(&after.allowed_regions));
    summary.field("billing account", billing_account, &after.billing_account);
    admins(summary, admin_subjects, &after.admin_subjects);
    labelled(summary, labels, &after.labels);
    let yes_no = |yes: bool| if yes { "yes" } else { "no" };
    summary.field("protected", yes_no(*protected), yes_no(after.protected));
}

fn admins(summary: &mut Summary, before: &[Subject], after: &[Subject]) {
    let (old, new): (BTreeSet<_>, BTreeSet<_>) = (before.iter().collect(), after.iter().collect());
    let (added, removed) = (new.difference(&old).count(), old.difference(&new).count());
    if added > 0 {
        summary.tell(format!("admins added: {added}"));
    }
    if removed > 0 {
        summary.tell(format!("admins removed: {removed}"));
    }
}

fn labelled(
    summary: &mut Summary,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) {
    let nothing = String::new();
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let value = |labels: &BTreeMap<String, String>| labels.get(key).cloned();
        match (value(before), value(after)) {
            // An empty value is a value.
            (None, Some(new)) if new.is_empty() => summary.tell(format!("label {key} added")),
            (Some(old), None) if old.is_empty() => summary.tell(format!("label {key} removed")),
            (old, new) => summary.field(
                &format!("label {key}"),
                old.as_ref().unwrap_or(&nothing),
                new.as_ref().unwrap_or(&nothing),
            ),
        }
    }
}

/// The quota that applies, where overrides of it changed. That of another plan is told by
/// its name.
fn quota(summary: &mut Summary, before: &TenantRecord, after: &TenantRecord) {
    if before.overrides == after.overrides {
        return;
    }
    let end = |tenant: &TenantRecord, resource: Resource| {
        let of_it = tenant.overrides.iter().map(|entry| entry.set);
        let newest = of_it.filter(|set| set.resource == resource).max_by_key(|set| set.create_time);
        newest.map(|set| set.expire_time)
    };
    for resource in Resource::ALL {
        let (old, new) = (resource.of(&before.quota()), resource.of(&after.quota()));
        let (old_end, new_end) = (end(before, resource), end(after, resource));
        let last = until(new_end.flatten());
        if old != new {
            summary.tell(format!(
                "{resource} {} → {}{last}",
                resource.show(old),
                resource.show(new)
            ));
        } else if old_end != new_end {
            let of_plan = if new_end.is_none() { ", as the plan has it" } else { "" };
            let kept =
                if last.is_empty() && of_plan.is_empty() { " without an end" } else { &last };
            summary.tell(format!("{resource} {}{kept}{of_plan}", resource.show(new)));
        }
    }
}

fn life(summary: &mut Summary, before: &TenantRecord, after: &TenantRecord) {
    let cordoned = |tenant: &TenantRecord| tenant.life().keeps_cordon();
    let end = if cordoned(after) { until(after.cordon_until) } else { String::new() };
    if before.state != after.state {
        summary.tell(format!("state {} → {}{end}", before.state, after.state));
    } else if cordoned(after) && (!cordoned(before) || before.cordon_until != after.cordon_until) {
        let end = if end.is_empty() { " without an end" } else { &end };
        summary.tell(format!("cordoned{end}"));
    } else if cordoned(before) && !cordoned(after) {
        summary.tell("cordon ended");
    }
    if cordoned(before) && cordoned(after) {
        summary.field("reason of the cordon", &before.cordon_reason, &after.cordon_reason);
    }
    if after.state == TenantState::Archived && before.state != after.state {
        let kept = after.purge_after.map(instant);
        summary.tell(format!("its data is kept until {}", kept.unwrap_or_default()));
    }
}

fn pause(summary: &mut Summary, before: &TenantRecord, after: &TenantRecord) {
    let end = |tenant: &TenantRecord| -> Option<Timestamp> {
        tenant.pause.as_ref().map(|pause| pause.until)
    };
    match (end(before), end(after)) {
        (Some(_), None) => summary.tell("pause ended"),
        (old, Some(new)) if old != Some(new) => {
            summary.tell(format!("paused{}", until(Some(new))));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
