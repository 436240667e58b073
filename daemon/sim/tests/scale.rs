//! Many namespaces, each with its objects: lists, pages and watches of all of them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams},
    runtime::watcher::{self, Event, watcher},
};
use serde_json::json;
use streamspace_sim::Simulator;

/// Namespaces; ten objects in each. Set in the environment for more.
fn size() -> usize {
    let asked = std::env::var("STREAMSPACE_SIM_TEST_NAMESPACES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(300)
}

async fn fill(client: &Client, count: usize) {
    let params = PatchParams::apply("streamspaced").force();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for index in 0..count {
        let name = format!("tenant-{index:05}");
        let namespace =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        namespaces.patch(&name, &params, &Patch::Apply(namespace)).await.unwrap();
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &name);
        for object in 0..10 {
            let object = format!("object-{object}");
            let map = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": object, "labels": { "managed": "yes", "tenant": name } },
                "data": { "text": "x".repeat(200) },
            });
            maps.patch(&object, &params, &Patch::Apply(map)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn all_objects_are_listed_paged_and_watched() {
    let simulator = Simulator::in_memory();
    let client = simulator.client();
    let count = size();
    let start = std::time::Instant::now();
    fill(&client, count).await;
    println!("filled after {:?}", start.elapsed());
    let all: Api<ConfigMap> = Api::all(client.clone());
    let whole = all.list(&ListParams::default().labels("managed=yes")).await.unwrap();
    assert_eq!(whole.items.len(), count * 10);
    println!("listed after {:?}", start.elapsed());
    let mut found = BTreeSet::new();
    let mut params = ListParams::default().labels("managed=yes").limit(500);
    loop {
        let page = all.list(&params).await.unwrap();
        found.extend(page.items.iter().map(|map| (map.namespace().unwrap(), map.name_any())));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    assert_eq!(found.len(), count * 10, "every object on one page");
    println!("paged after {:?}", start.elapsed());
    let events = watcher(all, watcher::Config::default().labels("managed=yes"));
    let seen = events
        .try_take_while(|event| {
            let more = !matches!(event, Event::InitDone);
            async move { Ok(more) }
        })
        .filter(|event| {
            let is_object = matches!(event, Ok(Event::InitApply(_)));
            async move { is_object }
        })
        .count()
        .await;
    assert_eq!(seen, count * 10);
    println!("watched after {:?}", start.elapsed());
    assert_eq!(simulator.writes(), u64::try_from(count * 11).unwrap());
}
