//! While an operator's hand is in the cluster, the daemon's is not.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_leaves_drift_alone_and_shows_it() {
    let world = World::start().await;
    let uid = world.create("acme").await;
    world.active(uid).await;
    world
        .change(uid, "pause_until = now() + interval '1 hour', pause_reason = 'surgery', pause_actor = 'kim'")
        .await;
    world.until(uid, "paused", |it| message(it, "Paused").contains("surgery")).await;
    let hard = |pods: &str| json!({"spec": {"hard": {"pods": pods}}});
    world.patch(Kind::ResourceQuota, "acme", "limits", hard("999")).await;
    let words = "ResourceQuota limits: spec.hard.pods is \"999\", wished \"20\"";
    world.until(uid, "drifted", |it| message(it, "Drifted") == words).await;
    assert_eq!(
        pods(world.object(Kind::ResourceQuota, "acme", "limits").await.as_ref()),
        Some("999")
    );
    // It ends by itself, and what waited is done.
    world.change(uid, "pause_until = now() + interval '1 second'").await;
    world.until_object(Kind::ResourceQuota, "acme", "limits", |it| pods(it) == Some("20")).await;
    let tenant = world.until(uid, "well", |it| message(it, "Drifted").is_empty()).await;
    assert_eq!(message(&tenant, "Paused"), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_of_the_region_holds_everything_until_it_ends() {
    let world = World::start().await;
    let uid = world.create("acme").await;
    world.active(uid).await;
    world.sql("UPDATE region_controls SET pause_time = now(), pause_reason = 'storm'").await;
    world
        .patch(Kind::ResourceQuota, "acme", "limits", json!({"spec": {"hard": {"pods": "1"}}}))
        .await;
    let new = world.create("new").await;
    world.until(uid, "shown", |it| message(it, "Drifted").contains("limits")).await;
    world.until(new, "shown", |it| message(it, "Paused").contains("storm")).await;
    assert!(world.object(Kind::Namespace, "new", "tenant-new").await.is_none());
    // Held until the tick saw it too.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    world.sql("UPDATE region_controls SET pause_time = NULL").await;
    world.active(new).await;
    world.until_object(Kind::ResourceQuota, "acme", "limits", |it| pods(it) == Some("20")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_under_a_pause_writes_nothing_and_no_event_either() {
    let world = World::start().await;
    let uid = world.create("acme").await;
    world.active(uid).await;
    world
        .change(uid, "pause_until = now() + interval '1 hour', pause_reason = 'surgery', pause_actor = 'kim'")
        .await;
    world.until(uid, "paused", |it| message(it, "Paused").contains("surgery")).await;
    // The events on its state come a little later than the state.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let writes = world.simulator.writes();
    world.change(uid, "state = 'purging'").await;
    world.until(uid, "told", |it| message(it, "NamespaceReady").contains("surgery")).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.simulator.writes(), writes);
    assert!(world.object(Kind::Namespace, "acme", "tenant-acme").await.is_some());
}
