use streamspace_core::{
    quota::{Amount, Override},
    tenant::SubjectKind,
};
use uuid::Uuid;

use super::*;
use crate::tenants::{Pause, QuotaOverride, store::testing::a_tenant};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn after(change: impl FnOnce(&mut TenantRecord)) -> String {
    let before = a_tenant();
    let mut after = before.clone();
    change(&mut after);
    changed(&before, &after)
}

#[test]
fn each_field_is_told_with_what_it_was_and_people_outside_are_counted() {
    let before = a_tenant();
    let told = after(|tenant| {
        tenant.spec.seats += 10;
        tenant.spec.protected = !tenant.spec.protected;
        tenant.spec.labels.insert("tier".into(), "gold".into());
        let name = "somebody@acme.example".to_owned();
        tenant.spec.admin_subjects.push(Subject { kind: SubjectKind::User, name });
        tenant.generation += 1;
        tenant.conditions.clear();
    });
    let seats = before.spec.seats;
    assert!(told.contains(&format!("seats {seats} → {}", seats + 10)), "{told}");
    assert!(told.contains("admins added: 1") && !told.contains("somebody"), "{told}");
    assert!(told.contains("label tier none → gold"), "{told}");
    assert!(told.contains("protected "), "{told}");
    assert!(!told.contains("generation") && !told.contains("condition"), "{told}");
}

#[test]
fn an_override_is_told_with_its_end_and_its_end_with_what_comes_back() {
    let mut before = a_tenant();
    before.overrides.clear();
    let plan = Resource::Cpu.show(Resource::Cpu.of(&before.quota()));
    let mut raised = before.clone();
    raised.overrides.push(QuotaOverride {
        id: Uuid::now_v7(),
        set: Override {
            resource: Resource::Cpu,
            amount: Amount(120_000),
            create_time: at("2026-05-01T20:00:00Z"),
            expire_time: Some(at("2026-05-02T08:00:00.5Z")),
        },
        reason: "raid night".into(),
        actor: "kim".into(),
    });
    assert_eq!(changed(&before, &raised), format!("cpu {plan} → 120 until 2026-05-02T08:00:00Z"));
    assert_eq!(changed(&raised, &before), format!("cpu 120 → {plan}"));
    let mut longer = raised.clone();
    longer.overrides[0].set.expire_time = None;
    assert_eq!(changed(&raised, &longer), "cpu 120 without an end");
}

#[test]
fn a_life_is_told_by_its_states() {
    let told = after(|tenant| {
        tenant.state = TenantState::Cordoned;
        tenant.cordon_until = Some(at("2026-05-02T08:00:00Z"));
    });
    assert!(told.contains("→ cordoned until 2026-05-02T08:00:00Z"), "{told}");
    let told = after(|tenant| {
        tenant.pause = Some(Pause {
            until: at("2026-05-02T08:00:00Z"),
            reason: String::new(),
            actor: "kim".into(),
        });
    });
    assert_eq!(told, "paused until 2026-05-02T08:00:00Z");
    assert_eq!(after(|_| {}), "");
    assert!(created(&a_tenant()).starts_with("created: plan "));
}
