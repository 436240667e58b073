//! A server that stops and starts, and a history that is gone, as the runtime's
//! watcher lives through them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde_json::json;
use streamspace_sim::{ObjectRef, Refusal, Simulator, Times, Verb};

type Events = BoxStream<'static, watcher::Result<Event<Namespace>>>;

async fn apply(simulator: &Simulator, name: &str) {
    let wanted = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": { "a": "b" } } });
    let api: Api<Namespace> = Api::all(simulator.client());
    api.patch(name, &PatchParams::apply("test"), &Patch::Apply(wanted)).await.unwrap();
}

fn events(simulator: &Simulator) -> Events {
    let api: Api<Namespace> = Api::all(simulator.client());
    watcher(api, watcher::Config::default().labels("a=b")).default_backoff().boxed()
}

/// Waits for an event that fits; everything before it is let go.
async fn until(events: &mut Events, fits: impl Fn(&watcher::Result<Event<Namespace>>) -> bool) {
    tokio::time::timeout(Duration::from_secs(30), async {
        while !fits(&events.next().await.unwrap()) {}
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_watcher_goes_on_after_the_server_was_stopped() {
    let simulator = Simulator::in_memory();
    let mut events = events(&simulator);
    until(&mut events, |event| matches!(event, Ok(Event::InitDone))).await;
    simulator.set_available(false);
    until(&mut events, Result::is_err).await;
    let api: Api<Namespace> = Api::all(simulator.client());
    assert!(matches!(api.list(&ListParams::default()).await, Err(kube::Error::Service(_))));
    simulator.set_available(true);
    apply(&simulator, "after").await;
    until(
        &mut events,
        |event| matches!(event, Ok(Event::Apply(found)) if found.name_any() == "after"),
    )
    .await;
}

#[tokio::test]
async fn a_watcher_lists_again_when_its_version_is_gone() {
    let simulator = Simulator::in_memory();
    let mut events = events(&simulator);
    until(&mut events, |event| matches!(event, Ok(Event::InitDone))).await;
    simulator.set_available(false);
    until(&mut events, Result::is_err).await;
    simulator.set_available(true);
    apply(&simulator, "missed").await;
    simulator.compact();
    until(
        &mut events,
        |event| matches!(event, Err(watcher::Error::WatchError(status)) if status.code == 410),
    )
    .await;
    until(
        &mut events,
        |event| matches!(event, Ok(Event::InitApply(found)) if found.name_any() == "missed"),
    )
    .await;
}

#[tokio::test]
async fn a_page_whose_moment_is_gone_is_refused() {
    let simulator = Simulator::in_memory();
    let api: Api<Namespace> = Api::all(simulator.client());
    let params = ListParams::default().limit(1);
    let token = api.list(&params).await.unwrap().metadata.continue_.unwrap();
    apply(&simulator, "later").await;
    simulator.compact();
    let Err(kube::Error::Api(status)) = api.list(&params.continue_token(&token)).await else {
        panic!()
    };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
    assert!(status.message.starts_with("The provided continue parameter is too old"));
}

async fn label(api: &Api<Namespace>, name: &str, value: &str) -> kube::Result<Namespace> {
    let patch = json!({ "metadata": { "labels": { "value": value } } });
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
}

#[tokio::test]
async fn writes_of_one_object_are_refused_as_often_as_asked() {
    let simulator = Simulator::in_memory();
    apply(&simulator, "hit").await;
    apply(&simulator, "spared").await;
    let api: Api<Namespace> = Api::all(simulator.client());
    let hit = ObjectRef::cluster("namespaces", "hit");
    for (refusal, code, reason) in [
        (Refusal::Forbidden, 403, "Forbidden"),
        (Refusal::Conflict, 409, "Conflict"),
        (Refusal::Invalid, 422, "Invalid"),
        (Refusal::TooManyRequests, 429, "TooManyRequests"),
        (Refusal::InternalError, 500, "InternalError"),
        (Refusal::Unavailable, 503, "ServiceUnavailable"),
        (Refusal::Timeout, 504, "Timeout"),
    ] {
        simulator.faults().refuse_writes(hit.clone(), refusal, Times::Exactly(2));
        for _ in 0..2 {
            let Err(kube::Error::Api(status)) = label(&api, "hit", "x").await else { panic!() };
            assert_eq!((status.code, status.reason.as_str()), (code, reason));
            label(&api, "spared", reason).await.unwrap();
        }
        label(&api, "hit", reason).await.unwrap();
    }
    simulator.faults().refuse_writes(hit.clone(), Refusal::Forbidden, Times::Always);
    for _ in 0..5 {
        label(&api, "hit", "y").await.unwrap_err();
    }
    api.get("hit").await.unwrap();
    simulator.faults().clear(&hit);
    label(&api, "hit", "y").await.unwrap();
}

#[tokio::test]
async fn writes_of_one_object_can_be_slow() {
    let simulator = Simulator::in_memory();
    apply(&simulator, "hit").await;
    apply(&simulator, "spared").await;
    let api: Api<Namespace> = Api::all(simulator.client());
    let delay = Duration::from_secs(2);
    simulator.faults().delay_writes(ObjectRef::cluster("namespaces", "hit"), delay);
    let start = tokio::time::Instant::now();
    label(&api, "spared", "x").await.unwrap();
    assert!(start.elapsed() < delay);
    label(&api, "hit", "x").await.unwrap();
    assert!(start.elapsed() >= delay);
    simulator.faults().clear_all();
    let start = tokio::time::Instant::now();
    label(&api, "hit", "y").await.unwrap();
    assert!(start.elapsed() < delay);
}

#[tokio::test]
async fn a_watcher_lives_through_cut_and_expired_watches() {
    let simulator = Simulator::in_memory();
    let mut events = events(&simulator);
    until(&mut events, |event| matches!(event, Ok(Event::InitDone))).await;
    // A watch is open once it has told of something.
    apply(&simulator, "first").await;
    until(&mut events, |event| matches!(event, Ok(Event::Apply(_)))).await;
    let watches = simulator.requests(Verb::Watch);
    // The runtime takes the end of a connection for no error and watches anew.
    simulator.faults().cut_watches();
    apply(&simulator, "second").await;
    until(
        &mut events,
        |event| matches!(event, Ok(Event::Apply(found)) if found.name_any() == "second"),
    )
    .await;
    assert!(simulator.requests(Verb::Watch) > watches, "watched anew");
    simulator.faults().expire_next_watches(1);
    simulator.faults().cut_watches();
    until(
        &mut events,
        |event| matches!(event, Err(watcher::Error::WatchError(status)) if status.code == 410),
    )
    .await;
    until(&mut events, |event| matches!(event, Ok(Event::InitDone))).await;
}
