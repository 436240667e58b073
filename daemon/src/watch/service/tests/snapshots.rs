//! What a snapshot holds, and in which order.

use streamspace_core::ids::OperationId;

use super::*;
use crate::operations::{self, NewOperation};

#[tokio::test]
async fn a_watch_begins_with_what_is_in_scope() {
    let world = Watched::start().await;
    let (zeta, alpha) =
        (world.test.insert_tenant("zeta").await, world.test.insert_tenant("alpha").await);
    // The one whose name the other's begins with stands before it, with all that it has.
    let later = world.test.insert_tenant("alpha-1").await;
    world.session(alpha, &session("alpha", "a", "ada")).await;
    world.session(later, &session("alpha-1", "a", "ada")).await;
    world.session(zeta, &session("zeta", "b", "ada")).await;
    world.session(zeta, &session("zeta", "c", "ada")).await;
    let all = [
        "tenants/alpha/sessions/a",
        "tenants/alpha-1/sessions/a",
        "tenants/zeta/sessions/b",
        "tenants/zeta/sessions/c",
    ];
    let kinds = |kinds: &[ResourceKind]| v1::WatchRequest {
        kinds: kinds.iter().map(|kind| i32::from(*kind)).collect(),
        ..Default::default()
    };
    let sessions = kinds(&[ResourceKind::Session]);
    let held = world.open(sessions.clone()).await.snapshot().await;
    assert_eq!(held.names(), all);
    assert_eq!(held.told, [(ResourceKind::Session, 4)]);
    assert_eq!(held.sent, held.told);

    let of_zeta = Scope::Tenants(vec![zeta]);
    let held = world.try_open(of_zeta, sessions).await.unwrap().snapshot().await;
    assert_eq!(held.names(), all[2..]);

    let held = world.open(kinds(&[])).await.snapshot().await;
    let counts =
        [(ResourceKind::Tenant, 3), (ResourceKind::Operation, 0), (ResourceKind::Session, 4)];
    assert_eq!((held.told.as_slice(), held.sent.as_slice()), (&counts[..], &counts[..]));
    assert_eq!(held.names()[..3], ["tenants/alpha", "tenants/alpha-1", "tenants/zeta"]);
    assert_eq!(held.names()[3..], all);
}

#[tokio::test]
async fn tenants_come_filtered_in_order_and_with_the_fields_that_are_asked_for() {
    let world = Watched::start().await;
    for (id, seats) in [("delta", 5), ("bravo", 20), ("alpha", 5), ("charlie", 1)] {
        let uid = world.test.insert_tenant(id).await;
        sqlx::query("UPDATE tenants SET seats = $2, labels = $3 WHERE tenant_uid = $1")
            .bind(uid.0)
            .bind(seats)
            .bind(serde_json::json!({"tier": if seats > 1 { "gold" } else { "lead" }}))
            .execute(world.test.database().operator())
            .await
            .unwrap();
    }
    let selection = Selection {
        order_by: "seats desc".into(),
        read_mask: mask(&["seats", "plan"]),
        ..filtered(ResourceKind::Tenant, "labels.tier = gold AND plan = free")
    };
    let held = world.select([selection.clone()]).await.snapshot().await;
    // Equal ones stand by name.
    assert_eq!(held.names(), ["tenants/bravo", "tenants/alpha", "tenants/delta"]);
    assert_eq!((&held.told, &held.sent), (&held.sent, &vec![(ResourceKind::Tenant, 3)]));
    for item in &held.items {
        let AnyResource::Tenant(tenant) = item else { panic!("{item:?}") };
        let bare = v1::Tenant {
            name: tenant.name.clone(),
            uid: tenant.uid.clone(),
            plan: "plans/free".into(),
            seats: tenant.seats,
            ..v1::Tenant::default()
        };
        assert_eq!(*tenant, bare);
        assert!(!tenant.uid.is_empty() && tenant.seats >= 5);
    }

    let names = vec!["tenants/delta".into(), "tenants/charlie".into(), "tenants/none".into()];
    let request =
        v1::WatchRequest { selections: vec![selection], names, ..v1::WatchRequest::default() };
    let held = world.open(request).await.snapshot().await;
    assert_eq!(held.names(), ["tenants/delta"]);
    assert_eq!(held.told, [(ResourceKind::Tenant, 1)]);
}

#[tokio::test]
async fn sessions_are_ordered_by_any_of_their_fields() {
    let world = Watched::start().await;
    let acme = world.test.insert_tenant("acme").await;
    let beta = world.test.insert_tenant("beta").await;
    let now = jiff::Timestamp::now().as_second();
    for (tenant, id, name, user, age, idle) in [
        (acme, "acme", "a", "mia", 100, None),
        (acme, "acme", "b", "ada", 5000, Some(10)),
        (beta, "beta", "a", "ada", 300, Some(4000)),
    ] {
        let at = |age: i64| Some(prost_types::Timestamp { seconds: now - age, nanos: 0 });
        let session = v1::Session {
            create_time: at(age),
            last_activity_time: idle.and_then(at),
            ..session(id, name, user)
        };
        world.session(tenant, &session).await;
    }
    for (order, names) in [
        ("", ["acme/a", "acme/b", "beta/a"]),
        ("name", ["acme/a", "acme/b", "beta/a"]),
        ("name desc", ["beta/a", "acme/b", "acme/a"]),
        ("user, tenant desc", ["beta/a", "acme/b", "acme/a"]),
        ("create_time", ["acme/b", "beta/a", "acme/a"]),
        // What nobody used comes last, as in PostgreSQL.
        ("last_activity_time", ["beta/a", "acme/b", "acme/a"]),
        ("phase desc, tenant", ["acme/a", "acme/b", "beta/a"]),
    ] {
        let mut stream = world.select([ordered(ResourceKind::Session, order)]).await;
        let held = stream.snapshot().await;
        let expected = names.map(|name| {
            let (tenant, name) = name.split_once('/').unwrap();
            format!("tenants/{tenant}/sessions/{name}")
        });
        assert_eq!(held.names(), expected, "{order}");
    }
    for (filter, names) in [
        ("age > 200 AND idle > 3600", vec!["tenants/beta/sessions/a"]),
        ("age < 60", vec![]),
        ("name = \"tenants/acme/*\" AND user = mia", vec!["tenants/acme/sessions/a"]),
        ("idle : * AND tenant = acme", vec!["tenants/acme/sessions/b"]),
    ] {
        let mut stream = world.select([filtered(ResourceKind::Session, filter)]).await;
        assert_eq!(stream.snapshot().await.names(), names, "{filter}");
    }
}

#[tokio::test]
async fn only_operations_that_are_not_over_are_in_a_snapshot() {
    let world = Watched::start().await;
    let acme = world.test.insert_tenant("acme").await;
    let mut tx = world.test.database().begin(&Scope::Region).await.unwrap();
    let mut begin = async |kind, actor: &str| {
        let (target, actor) = ("tenants/acme".to_owned(), actor.to_owned());
        let new = NewOperation { tenant: acme, kind, target, actor };
        operations::begin(&mut tx, &new).await.unwrap().name
    };
    let (first, second) = (begin("tenant.delete", "kim").await, begin("other", "ada").await);
    let over = begin("over", "kim").await;
    operations::finish(&mut tx, acme, "over", "kim").await.unwrap();
    tx.commit().await.unwrap();
    for (selection, names) in [
        (filtered(ResourceKind::Operation, ""), vec![&first, &second]),
        (filtered(ResourceKind::Operation, "done = true"), vec![]),
        (filtered(ResourceKind::Operation, "kind = tenant.delete"), vec![&first]),
        (
            filtered(
                ResourceKind::Operation,
                "actor = ada AND target = \"tenants/acme\" AND done = false AND name = \"oper*\"",
            ),
            vec![&second],
        ),
        (ordered(ResourceKind::Operation, "actor"), vec![&second, &first]),
    ] {
        let held = world.select([selection]).await.snapshot().await;
        assert_eq!(held.names(), names);
        assert!(!held.names().contains(&over.as_str()));
    }
    assert!(OperationId::from_name(&first).is_ok());
}

/// A client that reads slowly keeps no row from going; and the counts at the end are right.
#[tokio::test]
async fn what_goes_while_a_snapshot_is_sent_is_not_in_it() {
    let world = Watched::start().await;
    let acme = world.test.insert_tenant("acme").await;
    let count = 700;
    for number in 0..count {
        world.session(acme, &session("acme", &format!("s{number:03}"), "ada")).await;
    }
    let mut stream = world.select([filtered(ResourceKind::Session, "user = ada")]).await;
    let Event::Snapshot(snapshot) = stream.next().await else { panic!("no snapshot") };
    assert_eq!(pairs(&snapshot.counts), [(ResourceKind::Session, count)]);
    // Those of the second page, which is not read before the first is sent.
    let sql = "DELETE FROM sessions WHERE name >= 's600' AND name < 's650'";
    let gone = sqlx::query(sql).execute(world.test.database().operator()).await.unwrap();
    assert_eq!(gone.rows_affected(), 50);
    let mut left = 0;
    let synced = loop {
        match stream.next().await {
            Event::Item(_) => left += 1,
            Event::Synced(synced) => break synced,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(left, count - 50);
    assert_eq!(pairs(&synced.counts), [(ResourceKind::Session, left)]);
}
