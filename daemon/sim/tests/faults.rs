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
use streamspace_sim::Simulator;

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
