//! What is known of certificates and people, on every replica.

use super::*;

#[tokio::test]
async fn known_revocations_keep_counting_while_the_database_is_away() {
    let world = World::new().await;
    let credential = world.enrolled().await;
    let serial = world.caller(&credential.client_certificate).serial;
    sqlx::query(
        "UPDATE certificates SET revoke_time = now(), revoke_reason = 'left' WHERE serial = $1",
    )
    .bind(&serial)
    .execute(world.test.database().operator())
    .await
    .unwrap();
    assert_eq!(
        world.standings.standing(&serial, "ada", Timestamp::now()),
        Standing::Good,
        "not read yet"
    );
    let fresh = Standings::new();
    assert!(!fresh.is_known(), "so nobody is let in by it");
    fresh.refresh(world.test.database()).await.unwrap();
    assert!(fresh.is_known());
    world.standings.refresh(world.test.database()).await.unwrap();
    assert!(
        matches!(world.standings.standing(&serial, "ada", Timestamp::now()), Standing::Revoked { reason, .. } if reason == "left")
    );
    let away = world.test.another().await;
    away.close().await;
    assert!(world.standings.refresh(&away).await.is_err());
    assert!(matches!(
        world.standings.standing(&serial, "ada", Timestamp::now()),
        Standing::Revoked { .. }
    ));
}

#[tokio::test]
async fn whatever_one_replica_changes_counts_on_another_within_a_second() {
    let world = World::new().await;
    let credential = world.enrolled().await;
    let serial = world.caller(&credential.client_certificate).serial;
    let root = world.person("root", Role::Admin).await;
    let other = Arc::new(Standings::new());
    let stop = CancellationToken::new();
    let running = {
        let (other, database, stop) = (other.clone(), world.test.another().await, stop.clone());
        tokio::spawn(async move { other.run(&database, stop).await })
    };
    let standing = || other.standing(&serial, "ada", Timestamp::now());
    // Until it listens, its poll is what finds changes.
    let mut changes = other.changes();

    let lock = v1::LockOperatorRequest {
        name: "operators/ada".into(),
        reason: "left".into(),
        ..Default::default()
    };
    world.access.lock_operator(by(&root, lock)).await.unwrap();
    let committed = Instant::now();
    changes.wait_for(|_| matches!(standing(), Standing::Locked { .. })).await.unwrap();
    assert!(committed.elapsed() < Duration::from_secs(1), "{:?}", committed.elapsed());

    let unlock = v1::UnlockOperatorRequest { name: "operators/ada".into(), ..Default::default() };
    world.access.unlock_operator(by(&root, unlock)).await.unwrap();
    changes.wait_for(|_| standing() == Standing::Good).await.unwrap();

    let revoke = v1::RevokeCertificateRequest {
        name: format!("certificates/{serial}"),
        reason: "lost".into(),
        ..Default::default()
    };
    world.access.revoke_certificate(by(&root, revoke)).await.unwrap();
    let committed = Instant::now();
    changes.wait_for(|_| matches!(standing(), Standing::Revoked { .. })).await.unwrap();
    assert!(committed.elapsed() < Duration::from_secs(1), "{:?}", committed.elapsed());

    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_change_whose_notification_is_lost_is_found_all_the_same() {
    let world = World::new().await;
    let other = Arc::new(Standings::new());
    let stop = CancellationToken::new();
    let running = {
        let (other, database, stop) = (other.clone(), world.test.another().await, stop.clone());
        tokio::spawn(async move { other.run(&database, stop).await })
    };
    let mut changes = other.changes();
    // As another hand would do it: nobody is notified.
    sqlx::query("INSERT INTO operator_locks (operator, reason, actor) VALUES ('ada', 'x', 'root')")
        .execute(world.database().operator())
        .await
        .unwrap();
    let locked =
        |_: &u64| matches!(other.standing("1", "ada", Timestamp::now()), Standing::Locked { .. });
    changes.wait_for(locked).await.unwrap();
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn what_has_an_end_ends_while_the_database_is_away() {
    let world = World::new().await;
    let database = world.database().operator();
    sqlx::query(
        "INSERT INTO operator_locks (operator, reason, actor, expire_time)
         VALUES ('ada', 'x', 'root', now() + interval '1 hour')",
    )
    .execute(database)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO break_glass (grant_id, operator, role, reason, expire_time)
         VALUES (gen_random_uuid(), 'grace', 'operator', 'fire', now() + interval '1 hour')",
    )
    .execute(database)
    .await
    .unwrap();
    world.standings.refresh(world.database()).await.unwrap();
    let later = |minutes| Timestamp::now() + SignedDuration::from_mins(minutes);
    assert!(matches!(world.standings.standing("1", "ada", later(59)), Standing::Locked { .. }));
    assert_eq!(world.standings.standing("1", "ada", later(61)), Standing::Good);
    assert!(world.standings.break_glass("grace", later(59)).is_some());
    assert_eq!(world.standings.break_glass("grace", later(61)), None);
    assert_eq!(*world.standings.active_grants().borrow(), 1);
}
