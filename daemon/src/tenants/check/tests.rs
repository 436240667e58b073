use std::collections::BTreeSet;

use super::*;
use crate::{kube::Kind, tenants::service::tests::World};

#[tokio::test]
async fn the_database_shows_one_tenant_and_no_other() {
    let world = World::start().await;
    world.tenant("acme", "active", "").await;
    world.tenant("other", "active", "").await;
    let mut tx = world.test.database().begin(&Scope::Region).await.unwrap();
    let acme = crate::tenants::list(&mut tx, false).await.unwrap().remove(0);
    let others = namespaces_of_others(&mut tx, acme.uid).await.unwrap();
    assert_eq!(others, ["tenant-other"]);
    drop(tx);
    let verdict = database(world.test.database(), &acme).await;
    assert_eq!(verdict.holds, Some(true), "{verdict:?}");

    // A policy that lets everything through is found out.
    sqlx::query("ALTER TABLE changes DISABLE ROW LEVEL SECURITY")
        .execute(&world.test.owner().await)
        .await
        .unwrap();
    let verdict = database(world.test.database(), &acme).await;
    assert_eq!(verdict.holds, Some(false));
    assert!(verdict.message.contains("1 rows of others"), "{verdict:?}");
}

#[test]
fn an_object_that_is_not_as_wished_breaks_the_rule_and_an_unread_one_leaves_it_open() {
    let object = |state| ObjectStatus {
        kind: Kind::NetworkPolicy,
        name: "streamspace-default-deny".into(),
        namespace: "tenant-acme".into(),
        state,
        message: "spec.egress is wide".into(),
    };
    let judge =
        |states: &[ObjectState]| objects(Ok(states.iter().map(|state| object(*state)).collect()));
    assert_eq!(judge(&[ObjectState::InSync]).holds, Some(true));
    assert_eq!(judge(&[ObjectState::InSync, ObjectState::Unknown]).holds, None);
    for wrong in [ObjectState::Drifted, ObjectState::Missing, ObjectState::Extra] {
        let verdict = judge(&[ObjectState::Unknown, wrong]);
        assert_eq!(verdict.holds, Some(false));
        assert_eq!(verdict.message, "NetworkPolicy streamspace-default-deny: spec.egress is wide");
    }
    assert_eq!(objects(Err("no route".into())).holds, None);
}

/// A cluster that does not answer: what cannot be asked is not said to hold.
#[tokio::test]
async fn what_cannot_be_asked_is_unknown() {
    let world = World::start().await;
    world.tenant("acme", "active", "").await;
    let mut tx = world.test.database().begin(&Scope::Region).await.unwrap();
    let mut acme = crate::tenants::list(&mut tx, false).await.unwrap().remove(0);
    let cluster = &world.tenants.cluster;
    for verdict in rights(cluster, &acme, &[]).await {
        assert_eq!(verdict.holds, Some(true), "nobody is there who could: {verdict:?}");
    }
    acme.spec.admin_subjects.push(streamspace_core::tenant::Subject {
        kind: streamspace_core::tenant::SubjectKind::Group,
        name: "acme:admins".into(),
    });
    world.simulator.set_available(false);
    let mut verdicts = rights(cluster, &acme, &["tenant-other".into()]).await;
    verdicts.extend(trials(cluster, 1, &acme).await);
    let rules: BTreeSet<&str> = verdicts.iter().map(|verdict| verdict.rule).collect();
    assert_eq!(rules.len(), 14);
    for verdict in verdicts {
        assert_eq!(verdict.holds, None, "{verdict:?}");
        assert!(!verdict.message.is_empty(), "{verdict:?}");
    }
}
