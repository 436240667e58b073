use super::*;
use crate::tenants::service::tests::World;

async fn leader(world: &World) -> Leadership {
    world.sql("UPDATE leader SET leader_term = 3, replica = 'a'").await;
    Leadership { replica: "a".into(), leader_term: 3, leads: true }
}

async fn record(world: &World, uid: TenantUid) -> TenantRecord {
    let mut tx = world.test.database().begin(&Scope::Region).await.unwrap();
    store::by_uid(&mut tx, uid).await.unwrap().unwrap()
}

async fn set_override(world: &World, uid: TenantUid, amount: i64, created: &str, expires: &str) {
    world
        .sql(&format!(
            "INSERT INTO quota_overrides (tenant_uid, override_id, resource, amount, reason, actor, \
             create_time, expire_time) VALUES ('{}', gen_random_uuid(), 'cpu', {amount}, '', 'kim', \
             now() + '{created}', now() + '{expires}')",
            uid.0
        ))
        .await;
}

#[tokio::test]
async fn what_is_over_ends_and_what_was_before_comes_back() {
    let world = World::start().await;
    let leadership = leader(&world).await;
    let db = world.test.database();
    let uid = world.test.insert_tenant("acme").await;
    set_override(&world, uid, 5000, "-3 minutes", "1 hour").await;
    set_override(&world, uid, 9000, "-2 minutes", "-1 second").await;
    world
        .sql(
            "UPDATE tenants SET state = 'suspended', resume_state = 'cordoned', cordon_reason = 'x', \
             cordon_until = now() - interval '1 second', pause_until = now() - interval '1 second'",
        )
        .await;
    let before = record(&world, uid).await;
    assert_eq!(before.quota().cpu.0, 9000, "it applies until it is ended");
    assert_eq!(end_what_has_ended(db, &leadership).await.unwrap(), [uid]);
    let after = record(&world, uid).await;
    assert_eq!(after.quota().cpu.0, 5000);
    assert_eq!(
        (after.state, after.resume_state),
        (TenantState::Suspended, Some(TenantState::Active))
    );
    assert!(
        after.cordon_until.is_none() && after.cordon_reason.is_empty() && after.pause.is_none()
    );
    assert_eq!(after.generation, before.generation + 1);
    let told: i64 = sqlx::query_scalar("SELECT count(*) FROM changes WHERE actor = 'streamspaced'")
        .fetch_one(db.operator())
        .await
        .unwrap();
    assert_eq!(told, 1);
    assert!(end_what_has_ended(db, &leadership).await.unwrap().is_empty());
    let next = next_end(db).await.unwrap().unwrap();
    assert!(next > Duration::from_secs(3500) && next <= Duration::from_hours(1), "{next:?}");
}

#[tokio::test]
async fn a_cordon_opens_a_tenant_again_and_another_leader_ends_nothing() {
    let world = World::start().await;
    let leadership = leader(&world).await;
    let db = world.test.database();
    let uid = world.test.insert_tenant("acme").await;
    world
        .sql("UPDATE tenants SET state = 'cordoned', cordon_until = now() - interval '1 second'")
        .await;
    let replaced = Leadership { leader_term: 2, ..leadership.clone() };
    assert!(end_what_has_ended(db, &replaced).await.unwrap().is_empty());
    assert_eq!(record(&world, uid).await.state, TenantState::Cordoned);
    end_what_has_ended(db, &leadership).await.unwrap();
    assert_eq!(record(&world, uid).await.state, TenantState::Active);
}

/// As after a restart: what ended while no daemon ran is ended at once.
#[tokio::test]
async fn the_loop_ends_what_is_over_and_waits_for_what_comes() {
    let world = World::start().await;
    let leadership = leader(&world).await;
    let uid = world.test.insert_tenant("acme").await;
    set_override(&world, uid, 9000, "-1 hour", "-30 minutes").await;
    set_override(&world, uid, 7000, "-1 minute", "300 milliseconds").await;
    let (_sender, receiver) = watch::channel(leadership);
    let stop = CancellationToken::new();
    let task = tokio::spawn(run(world.test.database().clone(), receiver, stop.clone()));
    let ended = async {
        while record(&world, uid).await.quota().cpu.0 != 4000 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
    stop.cancel();
    task.await.unwrap();
}
