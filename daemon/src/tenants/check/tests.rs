use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
};

use http::{Request, Response, StatusCode};
use kube::{Client, client::Body};
use serde_json::json;

use super::*;
use crate::{
    kube::{Cluster, Kind},
    tenants::service::tests::World,
};

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

/// A cluster that refuses all that is tried, the first pods for want of an account.
fn without_account_for(pods: usize) -> Cluster {
    let asked = AtomicUsize::new(0);
    let service = tower::service_fn(move |request: Request<Body>| {
        let pod = request.uri().path().ends_with("/pods");
        let early = pod && asked.fetch_add(1, Ordering::Relaxed) < pods;
        let message = if early {
            "pods \"streamspace-isolation-check\" is forbidden: error looking up service account \
             tenant-acme/default: serviceaccount \"default\" not found"
        } else {
            "forbidden: violates PodSecurity \"restricted\": exceeded quota"
        };
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "reason": "Forbidden", "code": 403, "message": message,
        });
        let mut response = Response::new(Body::from(status.to_string().into_bytes()));
        *response.status_mut() = StatusCode::FORBIDDEN;
        async move { Ok::<_, Infallible>(response) }
    });
    Cluster::from_client(Client::new(service, "default"), "stand-in")
}

#[tokio::test]
async fn a_namespace_whose_account_comes_late_is_proven_all_the_same() {
    let world = World::start().await;
    world.tenant("acme", "active", "").await;
    let mut tx = world.test.database().begin(&Scope::Region).await.unwrap();
    let acme = crate::tenants::list(&mut tx, false).await.unwrap().remove(0);
    drop(tx);
    for verdict in trials(&without_account_for(8), 1, &acme).await {
        assert_eq!(verdict.holds, Some(true), "{verdict:?}");
    }

    // One that never comes is told as what it is, with what to do.
    tokio::time::pause();
    let verdicts = trials(&without_account_for(usize::MAX), 1, &acme).await;
    let (pods, services): (Vec<_>, Vec<_>) =
        verdicts.into_iter().partition(|verdict| verdict.holds.is_none());
    assert_eq!((pods.len(), services.len()), (5, 2));
    for verdict in pods {
        assert!(verdict.message.contains("service account default of"), "{verdict:?}");
        assert!(verdict.message.contains("check again"), "{verdict:?}");
    }
}
