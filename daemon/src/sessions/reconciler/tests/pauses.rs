//! Tenants that are suspended, paused or gone, and sessions of another controller.

use streamspace_core::session::SessionState;

use super::*;

#[tokio::test]
async fn a_suspended_tenants_sessions_sleep_and_come_back_as_they_were() {
    let world = World::start().await;
    world.create("runs", json!({})).await;
    world.create("sleeps", json!({"state": "hibernated"})).await;
    world.phase("runs", SessionPhase::Running).await;
    world.phase("sleeps", SessionPhase::Hibernated).await;
    world.tenant_is("state = 'suspended'").await;
    let asleep = world.phase("runs", SessionPhase::Hibernated).await;
    assert_eq!(asleep.state, Some(SessionState::Running), "the prior state is kept");
    assert_eq!(asleep.condition("Awake").unwrap().reason, "TenantSuspended");
    assert_eq!(replicas(world.child(SessionKind::Deployment, "runs").await), Some(0));
    world.tenant_is("state = 'active'").await;
    world.phase("runs", SessionPhase::Running).await;
    world.quiet().await;
    assert_eq!(world.session("sleeps").await.unwrap().status.phase, Some(SessionPhase::Hibernated));
}

#[tokio::test]
async fn in_a_cordoned_tenant_nothing_new_starts_and_what_runs_goes_on() {
    let world = World::start().await;
    world.create("before", json!({})).await;
    world.phase("before", SessionPhase::Running).await;
    world.tenant_is("state = 'cordoned'").await;
    world.create("after", json!({})).await;
    let waits = world.phase("after", SessionPhase::Pending).await;
    assert_eq!(waits.condition("Ready").unwrap().reason, "TenantCordoned");
    assert_eq!(world.session("before").await.unwrap().status.phase, Some(SessionPhase::Running));
    world.tenant_is("state = 'active'").await;
    world.phase("after", SessionPhase::Running).await;
}

#[tokio::test]
async fn a_pause_holds_every_write_back() {
    let world = World::start().await;
    let until = "pause_until = now() + interval '1 hour', pause_reason = 'a hand', \
                 pause_actor = 'kim'";
    world.tenant_is(until).await;
    world.quiet().await;
    world.create("ada-firefox", json!({})).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    let session = world.session("ada-firefox").await.unwrap();
    assert_eq!((session.status.phase, session.metadata.finalizers.len()), (None, 0));
    world.tenant_is("pause_until = NULL, pause_reason = '', pause_actor = ''").await;
    world.phase("ada-firefox", SessionPhase::Running).await;
}

#[tokio::test]
async fn a_tenant_that_is_purged_is_left_alone_but_lets_its_sessions_go() {
    let world = World::start().await;
    world.metering.0.store(true, Ordering::Relaxed);
    world.create("ada-firefox", json!({})).await;
    world.phase("ada-firefox", SessionPhase::Running).await;
    world.tenant_is("state = 'purging'").await;
    let before = world.quiet().await;
    assert_eq!(
        world.session("ada-firefox").await.unwrap().status.phase,
        Some(SessionPhase::Running)
    );
    assert_eq!(world.quiet().await, before);
    world.delete("ada-firefox").await;
    world.eventually("gone", || async { world.session("ada-firefox").await.is_none() }).await;
}

#[tokio::test]
async fn of_another_controllers_sessions_only_the_end_is_held_and_suspension_is_passed_on() {
    let world = World::with(SessionConfig { controller: Controller::External, ..config() }).await;
    world.create("ada-firefox", json!({})).await;
    world.until("ada-firefox", "held", |it| it.metadata.finalizers == [METERING_FINALIZER]).await;
    world.quiet().await;
    assert!(world.child(SessionKind::Deployment, "ada-firefox").await.is_none());
    assert_eq!(world.session("ada-firefox").await.unwrap().status.phase, None);
    world.tenant_is("state = 'suspended'").await;
    world.until("ada-firefox", "hibernated", |it| it.state == Some(SessionState::Hibernated)).await;
    world.tenant_is("state = 'active'").await;
    world.until("ada-firefox", "restored", |it| it.state == Some(SessionState::Running)).await;
    world.delete("ada-firefox").await;
    world.phase("ada-firefox", SessionPhase::Terminated).await;
    world.metering.0.store(true, Ordering::Relaxed);
    world.eventually("gone", || async { world.session("ada-firefox").await.is_none() }).await;
}
