//! Templates: what is told of them, and what a change of one does.

use super::*;

async fn told(world: &World, namespace: &str, name: &str) -> (Option<bool>, String) {
    let api = world.api(&follow::template_resource(), namespace);
    let template = read::template(&api.get(name).await.unwrap());
    (template.valid, template.message)
}

async fn rewrite(world: &World, image: &str) {
    change(world, json!({"baseImage": image})).await;
}

async fn change(world: &World, spec: Value) {
    let patch = Patch::Merge(json!({ "spec": spec }));
    world
        .api(&follow::template_resource(), CATALOGUE)
        .patch("firefox", &PatchParams::default(), &patch)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_broken_template_says_why_and_is_repaired() {
    let world = World::start().await;
    rewrite(&world, "not an image").await;
    world
        .eventually("told to be invalid", || async {
            let (valid, message) = told(&world, CATALOGUE, "firefox").await;
            valid == Some(false) && message.contains("spec.baseImage")
        })
        .await;
    world.create("ada-firefox", json!({})).await;
    let failed = world.phase("ada-firefox", SessionPhase::Failed).await;
    let accepted = failed.condition("Accepted").unwrap();
    assert_eq!(accepted.reason, "TemplateInvalid");
    assert!(accepted.message.contains("spec.baseImage"), "{}", accepted.message);
    rewrite(&world, "registry.example/firefox:2").await;
    world.phase("ada-firefox", SessionPhase::Running).await;
    world
        .eventually("told to be valid", || async {
            told(&world, CATALOGUE, "firefox").await == (Some(true), String::new())
        })
        .await;
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_says_so_and_is_repaired() {
    let world = World::start().await;
    rewrite(&world, "registry.example/firefox:does-not-exist").await;
    world.create("ada-firefox", json!({})).await;
    let failed = world.phase("ada-firefox", SessionPhase::Failed).await;
    assert_eq!(failed.condition("Ready").unwrap().reason, "ImagePullBackOff");
    rewrite(&world, "registry.example/firefox:2").await;
    world.phase("ada-firefox", SessionPhase::Running).await;
}

#[tokio::test]
async fn a_changed_template_ends_nothing_that_runs() {
    let world = World::start().await;
    world.create("ada-firefox", json!({})).await;
    let before = world.phase("ada-firefox", SessionPhase::Running).await;
    let vnc = json!({"enabled": true, "port": 5900});
    change(&world, json!({"baseImage": "registry.example/firefox:2", "vnc": vnc})).await;
    let port = async || {
        let service = world.child(SessionKind::Service, "ada-firefox").await.unwrap();
        service.data.pointer("/spec/ports/0/port").and_then(Value::as_i64)
    };
    world.quiet().await;
    let after = world.session("ada-firefox").await.unwrap();
    assert_eq!(after.status.run, before.status.run, "it runs on");
    world.lead(2).await;
    world.quiet().await;
    let later = world.session("ada-firefox").await.unwrap();
    assert_eq!(later.status.run, before.status.run, "also under another leader");
    let made_of = image(world.child(SessionKind::Deployment, "ada-firefox").await);
    assert_eq!(made_of.as_deref(), Some("registry.example/firefox:1"));
    assert_eq!(port().await, Some(3000), "and is reached where it listens");
    world.wish("ada-firefox", json!({"state": "hibernated"})).await;
    world.phase("ada-firefox", SessionPhase::Hibernated).await;
    world.wish("ada-firefox", json!({"state": "running"})).await;
    world.phase("ada-firefox", SessionPhase::Running).await;
    let made_of = image(world.child(SessionKind::Deployment, "ada-firefox").await);
    assert_eq!(made_of.as_deref(), Some("registry.example/firefox:2"));
    assert_eq!(port().await, Some(5900));
}

#[tokio::test]
async fn what_a_session_says_anew_of_its_pod_holds_at_once() {
    let world = World::start().await;
    world.create("ada-firefox", json!({})).await;
    let before = world.phase("ada-firefox", SessionPhase::Running).await;
    world.wish("ada-firefox", json!({"resources": {"memory": "4Gi", "cpu": "2"}})).await;
    let memory = |session: &SeenSession| {
        session.status.allotted.map(|allotted| allotted.each.memory_limit.canonical())
    };
    let after = world
        .until("ada-firefox", "larger", |session| {
            memory(session).as_deref() == Some("4Gi")
                && session.status.phase == Some(SessionPhase::Running)
                && session.status.run != before.status.run
        })
        .await;
    assert_ne!(after.status.pod_name, before.status.pod_name);
}

#[tokio::test]
async fn the_tenants_own_template_comes_first() {
    let world = World::start().await;
    world.template(TENANT, "firefox", "registry.example/own:1").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.create("ada-firefox", json!({})).await;
    world.phase("ada-firefox", SessionPhase::Running).await;
    let made_of = image(world.child(SessionKind::Deployment, "ada-firefox").await);
    assert_eq!(made_of.as_deref(), Some("registry.example/own:1"));
    world.create("typo", json!({"template": "firefix"})).await;
    let failed = world.phase("typo", SessionPhase::Failed).await;
    let accepted = failed.condition("Accepted").unwrap();
    assert_eq!(accepted.reason, "TemplateNotFound");
    assert!(accepted.message.contains("`firefox` was meant"), "{}", accepted.message);
}
