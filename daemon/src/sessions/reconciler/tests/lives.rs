//! Lives of sessions, from their start to their end.

use streamspace_core::session::lifecycle::{ACTIVITY_UNKNOWN, AWAKE, IDLE};

use super::*;

fn reason<'a>(session: &'a SeenSession, type_: &str) -> &'a str {
    session.condition(type_).map_or("", |condition| condition.reason.as_str())
}

#[tokio::test]
async fn a_session_starts_sleeps_wakes_and_ends_and_its_home_stays() {
    let world = World::start().await;
    world.create("ada-firefox", json!({})).await;
    let running = world.phase("ada-firefox", SessionPhase::Running).await;
    assert_eq!(running.metadata.finalizers, [METERING_FINALIZER]);
    assert_eq!(running.status.url, "https://ada-firefox.acme.example.com/");
    let run = running.status.run.unwrap();
    assert!(run.container_start.is_some() && run.node.starts_with("node-"));
    let allotted = running.status.allotted.unwrap();
    assert_eq!(allotted.each.memory_request.canonical(), "2Gi");
    for kind in [SessionKind::Deployment, SessionKind::Service, SessionKind::Ingress] {
        assert!(world.child(kind, "ada-firefox").await.is_some(), "{kind}");
    }
    assert!(world.child(SessionKind::Autoscaler, "ada-firefox").await.is_none());
    assert!(world.home("ada").await.is_some());

    world.wish("ada-firefox", json!({"state": "hibernated"})).await;
    let asleep = world.phase("ada-firefox", SessionPhase::Hibernated).await;
    assert_eq!((asleep.status.pod_name.as_str(), &asleep.status.run), ("", &None));
    let scaled = replicas(world.child(SessionKind::Deployment, "ada-firefox").await);
    assert_eq!(scaled, Some(0));
    assert!(world.home("ada").await.is_some());

    world.wish("ada-firefox", json!({"state": "running"})).await;
    let awake = world.phase("ada-firefox", SessionPhase::Running).await;
    assert_ne!(awake.status.run.unwrap().pod_uid, run.pod_uid, "another run");

    world.wish("ada-firefox", json!({"state": "terminated"})).await;
    let ended = world.phase("ada-firefox", SessionPhase::Terminated).await;
    assert_eq!(ended.status.url, "");
    world
        .eventually("all but the home is gone", || async {
            world.child(SessionKind::Deployment, "ada-firefox").await.is_none()
                && world.child(SessionKind::Service, "ada-firefox").await.is_none()
                && world.child(SessionKind::Ingress, "ada-firefox").await.is_none()
        })
        .await;
    assert!(world.home("ada").await.is_some());
}

#[tokio::test]
async fn a_deleted_session_goes_when_its_usage_is_stored() {
    let world = World::start().await;
    world.create("ada-firefox", json!({})).await;
    world.phase("ada-firefox", SessionPhase::Running).await;
    world.delete("ada-firefox").await;
    world.phase("ada-firefox", SessionPhase::Terminated).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(world.session("ada-firefox").await.is_some(), "its usage is not stored yet");
    assert!(world.child(SessionKind::Deployment, "ada-firefox").await.is_none());
    world.metering.0.store(true, Ordering::Relaxed);
    world.eventually("gone", || async { world.session("ada-firefox").await.is_none() }).await;
    assert!(world.home("ada").await.is_some());
}

#[tokio::test]
async fn a_session_of_another_installation_is_let_go_by_nobody_else() {
    let world = World::start().await;
    world.namespace("tenant-of-another").await;
    let theirs = world.api(&follow::session_resource(), "tenant-of-another");
    let body = json!({
        "apiVersion": "stream.space/v1alpha1", "kind": "Session",
        "metadata": {"name": "bob-firefox", "finalizers": [METERING_FINALIZER]},
        "spec": {"user": "bob", "template": "firefox", "state": "running"},
    });
    let body = serde_json::from_value(body).unwrap();
    theirs.create(&PostParams::default(), &body).await.unwrap();
    world.metering.0.store(true, Ordering::Relaxed);
    theirs.delete("bob-firefox", &DeleteParams::default()).await.unwrap();
    // One of a tenant that was deleted later is looked at, and let go.
    world.create("ada-firefox", json!({})).await;
    world.phase("ada-firefox", SessionPhase::Running).await;
    world.delete("ada-firefox").await;
    world.eventually("it is gone", || async { world.session("ada-firefox").await.is_none() }).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let live = theirs.get("bob-firefox").await.unwrap();
    assert_eq!(live.metadata.finalizers.unwrap(), [METERING_FINALIZER]);
}

#[tokio::test]
async fn a_session_made_anew_under_its_name_is_another() {
    let world = World::start().await;
    world.metering.0.store(true, Ordering::Relaxed);
    world.create("ada-firefox", json!({})).await;
    let first = world.phase("ada-firefox", SessionPhase::Running).await;
    world.delete("ada-firefox").await;
    world.eventually("gone", || async { world.session("ada-firefox").await.is_none() }).await;
    world.create("ada-firefox", json!({})).await;
    let second = world.phase("ada-firefox", SessionPhase::Running).await;
    assert_ne!(first.metadata.uid, second.metadata.uid);
    assert_ne!(first.status.run.unwrap().pod_uid, second.status.run.unwrap().pod_uid);
}

#[tokio::test]
async fn two_sessions_of_one_user_and_template_run_side_by_side() {
    let world = World::start().await;
    world.create("ada-1", json!({})).await;
    world.create("ada-2", json!({})).await;
    let one = world.phase("ada-1", SessionPhase::Running).await;
    let two = world.phase("ada-2", SessionPhase::Running).await;
    assert_ne!(one.status.pod_name, two.status.pod_name);
    assert!(one.status.pod_name.starts_with("ada-1-"));
    world.wish("ada-1", json!({"state": "terminated"})).await;
    world.phase("ada-1", SessionPhase::Terminated).await;
    assert_eq!(world.session("ada-2").await.unwrap().status.phase, Some(SessionPhase::Running));
}

#[tokio::test]
async fn a_shared_session_is_scaled_by_its_autoscaler() {
    let world = World::start().await;
    let shared = json!({"shared": {"maxReplicas": 3}, "persistentHome": false});
    world.create("class", shared).await;
    world.phase("class", SessionPhase::Running).await;
    assert!(world.child(SessionKind::Autoscaler, "class").await.is_some());
    assert!(world.home("ada").await.is_none());
    let service = world.child(SessionKind::Service, "class").await.unwrap();
    assert!(!is_headless(&service.data), "a browser stays with the copy that it began with");
    let api = world.api(&SessionKind::Deployment.api_resource(), TENANT);
    let three = Patch::Merge(json!({"spec": {"replicas": 3}}));
    api.patch("class", &PatchParams::default(), &three).await.unwrap();
    let copies = |session: &SeenSession| session.status.allotted.map(|it| it.replicas);
    let session = world.until("class", "of three", |it| copies(it) == Some(3)).await;
    assert_eq!(session.status.run, None);
    world.quiet().await;
    assert_eq!(replicas(world.child(SessionKind::Deployment, "class").await), Some(3));
    world.wish("class", json!({"state": "hibernated"})).await;
    world.phase("class", SessionPhase::Hibernated).await;
    world.wish("class", json!({"state": "running"})).await;
    world.phase("class", SessionPhase::Running).await;
    world.wish("class", json!({"shared": null})).await;
    world
        .eventually("no autoscaler", || async {
            world.child(SessionKind::Autoscaler, "class").await.is_none()
        })
        .await;
    // A Service keeps its address, and a session of one has none: another takes its place.
    world
        .eventually("no address", || async {
            let service = world.child(SessionKind::Service, "class").await;
            service.is_some_and(|service| is_headless(&service.data))
        })
        .await;
}

#[tokio::test]
async fn only_a_fresh_report_puts_an_idle_session_to_sleep() {
    let world = World::start().await;
    world.create("ada-firefox", json!({"idleTimeout": "1s"})).await;
    world.phase("ada-firefox", SessionPhase::Running).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let unwatched = world.phase("ada-firefox", SessionPhase::Running).await;
    assert_eq!(reason(&unwatched, ACTIVITY_UNKNOWN), "NotReported");
    world.report("ada-firefox", "2026-01-01T00:00:00Z").await;
    let asleep = world.phase("ada-firefox", SessionPhase::Hibernated).await;
    assert_eq!(asleep.state, Some(streamspace_core::session::SessionState::Hibernated));
    assert_eq!(reason(&asleep, AWAKE), IDLE);
    assert!(asleep.status.last_activity.is_some(), "the report is left as it was");
    world.wish("ada-firefox", json!({"state": "running"})).await;
    world.phase("ada-firefox", SessionPhase::Running).await;
}

#[tokio::test]
async fn a_run_that_lasted_too_long_ends() {
    let world = World::start().await;
    world.create("ada-firefox", json!({"maxSessionDuration": "1s"})).await;
    let ended = world.phase("ada-firefox", SessionPhase::Terminated).await;
    assert_eq!(reason(&ended, AWAKE), "MaximumDuration");
}

#[tokio::test]
async fn an_unchanged_session_costs_no_write_also_under_a_new_leader() {
    let world = World::start().await;
    for name in ["a", "b"] {
        world.create(name, json!({})).await;
        world.phase(name, SessionPhase::Running).await;
    }
    world.wish("b", json!({"state": "hibernated"})).await;
    world.phase("b", SessionPhase::Hibernated).await;
    let before = world.quiet().await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(world.simulator.writes(), before, "several passes later");
    world.lead(2).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(world.simulator.writes(), before, "a term later");
}

#[tokio::test]
async fn what_a_hand_changes_is_repaired() {
    let world = World::start().await;
    world.create("ada-firefox", json!({})).await;
    world.phase("ada-firefox", SessionPhase::Running).await;
    world.quiet().await;
    let services = world.api(&SessionKind::Service.api_resource(), TENANT);
    services.delete("ada-firefox", &DeleteParams::default()).await.unwrap();
    world
        .eventually("the service is back", || async {
            world.child(SessionKind::Service, "ada-firefox").await.is_some()
        })
        .await;
    let deployments = world.api(&SessionKind::Deployment.api_resource(), TENANT);
    let other = Patch::Merge(json!({"spec": {"replicas": 0}}));
    deployments.patch("ada-firefox", &PatchParams::default(), &other).await.unwrap();
    world
        .eventually("scaled up again", || async {
            replicas(world.child(SessionKind::Deployment, "ada-firefox").await) == Some(1)
        })
        .await;
}

#[tokio::test]
async fn what_the_cluster_refuses_stands_in_the_status() {
    let world = World::start().await;
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "q", "namespace": TENANT}, "spec": {"hard": {"pods": "0"}}});
    let kind = kube::core::GroupVersionKind::gvk("", "v1", "ResourceQuota");
    let quotas = world.api(&ApiResource::from_gvk_with_plural(&kind, "resourcequotas"), TENANT);
    let quota = serde_json::from_value(quota).unwrap();
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.create("ada-firefox", json!({})).await;
    let failed = world.phase("ada-firefox", SessionPhase::Failed).await;
    let ready = failed.condition("Ready").unwrap();
    assert_eq!(ready.reason, "FailedCreate");
    assert!(ready.message.contains("exceeded quota"), "{}", ready.message);
    quotas.delete("q", &DeleteParams::default()).await.unwrap();
    world.phase("ada-firefox", SessionPhase::Running).await;
}
