//! Days that frames are of.

use streamspace_proto::v1::{
    ChangeType, ConditionStatus, Health, OperationCounts, Pause, SessionPhase, Tenant, TenantState,
};

use super::*;
use crate::testing::{
    broken, change, component, identity, item, live, operation, session, snapshot, tenant, watched,
    well,
};

/// A day with some of everything.
pub(super) fn tenants() -> Vec<Tenant> {
    use TenantState::{Active, Cordoned, Provisioning, Purging, Suspended};
    let mut tenants = vec![
        tenant("acme-corp", "business", 10, Active),
        tenant("beta-inc", "professional", 25, Active),
        tenant("charlie-llc", "free", 1, Active),
        tenant("fjord-media", "business", 1200, Active),
        tenant("hollow-pines", "professional", 40, Cordoned),
        tenant("island-air", "business", 80, Suspended),
        broken(
            "kestrel-bank",
            Active,
            ConditionStatus::False,
            "Forbidden",
            "namespaces \"tenant-kestrel-bank\" is forbidden: User \"streamspaced\" cannot patch",
        ),
        broken(
            "northwind",
            Provisioning,
            ConditionStatus::False,
            "NamespaceExists",
            "namespace tenant-northwind exists and does not belong to this tenant",
        ),
        broken(
            "old-harbour",
            Purging,
            ConditionStatus::False,
            "NamespaceTerminating",
            "Some resources are remaining: pods. has 3 resource instances",
        ),
        broken("quiet-bay", Active, ConditionStatus::Unknown, "NoAnswer", "the cluster is away"),
    ];
    for number in 1..=23 {
        tenants.push(tenant(&format!("tenant-{number:02}"), "free", number, Active));
    }
    let fresh = &mut tenants[2];
    fresh.create_time = crate::testing::time(NOW - 18_360);
    tenants[3].pause = Some(Pause {
        expire_time: crate::testing::time(NOW + 2520),
        reason: "network policy by hand".into(),
        actor: "ops-2".into(),
    });
    tenants
}

pub(super) fn busy(width: u16, height: u16) -> State {
    let mut state = live(width, height, tenants());
    let mut acme = tenant("acme-corp", "business", 12, TenantState::Active);
    let resized = change(ChangeType::Updated, acme.clone(), "ops-2", NOW - 34);
    acme.protected = true;
    acme.display_name = "Acme Corporation".into();
    acme.labels = [("tier".to_owned(), "gold".to_owned())].into();
    let shielded = change(ChangeType::Updated, acme, "ops-1", NOW - 12);
    let zebra = tenant("zebra-works", "free", 3, TenantState::Provisioning);
    let created = change(ChangeType::Created, zebra.clone(), "ops-1", NOW - 5);
    let active = Tenant { state: TenantState::Active.into(), ..zebra };
    let active = change(ChangeType::Updated, active, "streamspaced", NOW - 4);
    feed(&mut state, NOW, watched(vec![resized, shielded, created, active]));
    state
}

/// A region with tenants, sessions in every phase and work under way.
pub(super) fn inhabited(state: &mut State, region: u16) {
    let at = |news| EventKind::News(RegionIndex(region), news);
    let mut items: Vec<_> = tenants().into_iter().map(item).collect();
    for number in 0..40 {
        let tenant = ["acme-corp", "beta-inc", "fjord-media"][number % 3];
        let phase = [SessionPhase::Running, SessionPhase::Running, SessionPhase::Hibernated];
        let path = format!("{tenant}/ada-{number:02}");
        items.push(item(session(&path, phase[number / 3 % 3], "")));
    }
    let waits = "0/12 nodes are available: 12 Insufficient cpu";
    items.push(item(session("acme-corp/bob-blender", SessionPhase::Pending, waits)));
    let fails = "image example.com/firefox:1 cannot be pulled: not found";
    items.push(item(session("beta-inc/cyd-1", SessionPhase::Failed, fails)));
    let counts = OperationCounts {
        total: 1200,
        pending: 700,
        changed: 498,
        failed: 2,
        ..OperationCounts::default()
    };
    items.push(item(operation("0198", "tenants/fjord-media", counts)));
    feed(state, NOW, at(News::Watch(snapshot(items))));
    let mut report = well();
    if region == 1 {
        report[1] = component("cluster", Health::Degraded, "12 of 40 calls were throttled");
    }
    let EventKind::News(_, report) = region_report(report) else { unreachable!() };
    feed(state, NOW, at(report));
    // The others keep the names that they were called by.
    if region == 0 {
        feed(state, NOW, identity());
    }
    let mut acme = tenant("acme-corp", "business", 12, TenantState::Active);
    acme.protected = true;
    let changes = vec![
        change(ChangeType::Updated, acme, "ops-2", NOW - 34),
        change(
            ChangeType::Updated,
            session("acme-corp/ada-00", SessionPhase::Hibernated, ""),
            "ops-1",
            NOW - 12,
        ),
    ];
    feed(state, NOW, at(News::Watch(changes)));
}

pub(super) fn one_region(width: u16, height: u16) -> State {
    let mut state = fresh(width, height);
    inhabited(&mut state, 0);
    state
}
