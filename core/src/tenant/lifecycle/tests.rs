use proptest::prelude::*;

use super::*;

const fn delete(protected: bool, retention: Retention) -> Event {
    Event::DeleteRequested { protected, retention }
}

const EVENTS: [Event; 14] = [
    Event::Provisioned,
    Event::Cordon,
    Event::Uncordon,
    Event::CordonExpired,
    Event::Suspend,
    Event::Resume,
    Event::Archive,
    Event::Restore,
    Event::ClusterEmpty,
    delete(false, Retention::Over),
    delete(false, Retention::Running),
    delete(false, Retention::Waived),
    delete(true, Retention::Over),
    delete(true, Retention::Waived),
];

#[test]
fn the_whole_table() {
    #[rustfmt::skip]
    let table = [
        // provisioned, cordon, uncordon, cordon expired, suspend, resume, archive, restore, empty,
        // delete: over, running, waived, protected and over, protected and waived
        ("provisioning", [
            "active", "provisioning!", "provisioning!", "provisioning", "provisioning!",
            "provisioning!", "provisioning!", "provisioning!", "not-purging!",
            "purging", "purging", "purging", "protected!", "protected!"]),
        ("active", [
            "active", "cordoned", "not-cordoned!", "active", "suspended",
            "not-suspended!", "archived", "not-archived!", "not-purging!",
            "delete-archived-only!", "delete-archived-only!", "delete-archived-only!", "protected!", "protected!"]),
        ("cordoned", [
            "cordoned", "cordoned", "active", "active", "suspended",
            "not-suspended!", "archived", "not-archived!", "not-purging!",
            "delete-archived-only!", "delete-archived-only!", "delete-archived-only!", "protected!", "protected!"]),
        ("suspended", [
            "suspended", "nothing-starts!", "not-cordoned!", "suspended", "suspended",
            "active", "archived", "not-archived!", "not-purging!",
            "delete-archived-only!", "delete-archived-only!", "delete-archived-only!", "protected!", "protected!"]),
        ("archived", [
            "archived", "nothing-starts!", "not-cordoned!", "archived", "nothing-runs!",
            "not-suspended!", "archived", "active", "not-purging!",
            "purging", "retention!", "purging", "protected!", "protected!"]),
        ("purging", [
            "already-purging!", "already-purging!", "already-purging!", "purging", "already-purging!",
            "already-purging!", "already-purging!", "already-purging!", "gone",
            "already-purging!", "already-purging!", "already-purging!", "already-purging!", "already-purging!"]),
        ("gone", [
            "no-way-back!", "no-way-back!", "no-way-back!", "gone", "no-way-back!",
            "no-way-back!", "no-way-back!", "no-way-back!", "gone",
            "already-gone!", "already-gone!", "already-gone!", "already-gone!", "already-gone!"]),
    ];
    assert_eq!(table.len(), TenantState::ALL.len());
    for (word, expected) in table {
        let state = TenantState::parse(word).unwrap();
        let found = EVENTS.map(|event| match advance(state, event) {
            Ok(next) => next.to_string(),
            Err(refusal) => format!("{}!", refusal.rule),
        });
        assert_eq!(found, expected, "{word}");
    }
}

/// A life after these events, none of which is refused.
fn lived(events: &[Event]) -> Life {
    let start = Life::from(TenantState::Active);
    events.iter().fold(start, |life, event| life.advance(*event).unwrap())
}

#[test]
fn what_ends_leads_back_to_where_it_began() {
    use Event::{Archive, Cordon, CordonExpired, Restore, Resume, Suspend};
    let cases = [
        (vec![Suspend, Resume], TenantState::Active),
        (vec![Cordon, Suspend, Resume], TenantState::Cordoned),
        (vec![Cordon, Archive, Restore], TenantState::Cordoned),
        (vec![Suspend, Archive, Restore], TenantState::Suspended),
        (vec![Cordon, Suspend, Archive, Restore, Resume], TenantState::Cordoned),
        // A cordon ends in its time, also while the tenant is elsewhere.
        (vec![Cordon, CordonExpired], TenantState::Active),
        (vec![Cordon, Suspend, CordonExpired, Resume], TenantState::Active),
        (vec![Cordon, Archive, CordonExpired, Restore], TenantState::Active),
        (vec![Cordon, Suspend, Archive, CordonExpired, Restore, Resume], TenantState::Active),
        // What is wished already changes nothing.
        (vec![Cordon, Suspend, Suspend, Resume], TenantState::Cordoned),
        (vec![Suspend, Archive, Archive, Restore], TenantState::Suspended),
    ];
    for (events, state) in cases {
        assert_eq!(lived(&events).state, state, "{events:?}");
    }
    assert!(lived(&[Cordon, Suspend]).keeps_cordon());
    assert!(!lived(&[Suspend]).keeps_cordon());
}

#[test]
fn a_refusal_says_what_to_do() {
    let refused = |state, event| advance(state, event).unwrap_err().to_string();
    assert_eq!(
        refused(TenantState::Archived, delete(true, Retention::Over)),
        "the tenant is protected, and never deleted as long as it is: clear `protected` on the \
         tenant first, which a second person must approve"
    );
    assert_eq!(
        refused(TenantState::Active, delete(false, Retention::Over)),
        "the tenant is active, and only an archived one can be deleted: archive it first with \
         `ssctl tenant archive`; restore brings it back"
    );
}

#[test]
fn a_second_person_agrees_to_what_is_hard_on_a_protected_tenant() {
    let active = Life::from(TenantState::Active);
    let archived = Life::from(TenantState::Archived);
    for event in [Event::Suspend, Event::Archive] {
        assert!(needs_second_person(active, event, true).is_some());
        assert!(needs_second_person(active, event, false).is_none());
    }
    assert!(needs_second_person(archived, Event::Archive, true).is_none());
    assert!(needs_second_person(archived, delete(false, Retention::Waived), false).is_some());
    assert!(needs_second_person(archived, delete(false, Retention::Over), false).is_none());
    // Nothing of a tenant that never was active is kept, so nobody need agree.
    let new = Life::from(TenantState::Provisioning);
    assert!(needs_second_person(new, delete(false, Retention::Waived), false).is_none());
    for event in [Event::Cordon, Event::Uncordon, Event::Resume, Event::Restore] {
        assert!(needs_second_person(active, event, true).is_none());
    }
}

#[test]
fn the_retention_is_the_plans_days() {
    let archived: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
    assert_eq!(retention_end(archived, 0), archived);
    assert_eq!(retention_end(archived, 30).to_string(), "2026-03-02T12:00:00Z");
    assert_eq!(retention_end(Timestamp::MAX, 3650), Timestamp::MAX);
    assert_eq!(retention_end(archived, -1), archived);
}

#[test]
fn words_and_states_are_one_to_one() {
    for state in TenantState::ALL {
        assert_eq!(TenantState::parse(state.as_str()), Some(state));
    }
    for other in ["", "Active", "active ", "deleted"] {
        assert_eq!(TenantState::parse(other), None);
    }
}

proptest! {
    /// Whatever happens, a tenant never comes back from `purging`, none is gone that
    /// nobody asked to delete, none is deleted that was active and not archived, and what
    /// it leads back to is remembered exactly while it is needed.
    #[test]
    fn no_life_breaks_the_rules(events in prop::collection::vec(0..EVENTS.len(), 0..80)) {
        let mut life = Life::from(TenantState::Provisioning);
        let mut asked = false;
        for index in events {
            let event = EVENTS[index];
            let before = life;
            let Ok(next) = life.advance(event) else { continue };
            life = next;
            if let Event::DeleteRequested { protected, retention } = event {
                asked = true;
                prop_assert!(!protected);
                let archived = before.state == TenantState::Archived;
                prop_assert!(archived || before.state == TenantState::Provisioning);
                prop_assert!(!archived || retention != Retention::Running);
            }
            prop_assert_eq!(life.state.wants_objects(), !asked);
            prop_assert!(before.state.wants_objects() || !life.state.wants_objects());
            prop_assert!(before.state != TenantState::Gone || life.state == TenantState::Gone);
            let archived = life.state == TenantState::Archived;
            prop_assert_eq!(life.restores_to.is_some(), archived);
            let suspended = [Some(life.state), life.restores_to].contains(&Some(TenantState::Suspended));
            prop_assert_eq!(life.resumes_to.is_some(), suspended);
        }
    }
}
