//! Every behaviour that the simulator claims, run against the simulator and
//! against a real kube-apiserver. Where the two differ, the simulator is wrong.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]
#![allow(
    clippy::needless_pass_by_value,
    clippy::similar_names,
    reason = "tables of JSON read best when they are written in place"
)]

mod applying;
mod audit;
mod deleting;
mod kinds;
mod manifests;
mod namespaced;
mod owners;
mod pair;
mod policies;
mod quotas;
mod reading;
mod scripts;
mod scripts_admission;
mod scripts_objects;
mod support;
mod transcript;
mod watching;
mod writing;

use std::time::Instant;

use futures::future::BoxFuture;
use kube::Client;
use pair::Pair;
use serde_json::json;
use streamspace_sim::Simulator;
use streamspace_tests::cluster::Cluster;

/// Set, the real cluster's test also takes and tells the time of the whole suite on both:
/// the start of the server, all behaviours at once, all stories, a history that is gone.
const TIMES: &str = "STREAMSPACE_CONFORMANCE_TIMES";

/// A behaviour over any Kubernetes API; it panics where the API behaves otherwise.
type Behaviour = (&'static str, fn(Client) -> BoxFuture<'static, ()>);

fn behaviours() -> Vec<Behaviour> {
    [
        reading::behaviours(),
        writing::behaviours(),
        applying::behaviours(),
        deleting::behaviours(),
        watching::behaviours(),
        namespaced::behaviours(),
        owners::behaviours(),
        quotas::behaviours(),
    ]
    .concat()
}

/// Runs all at once, each in namespaces of its own, and fails with every one that failed.
async fn check_all(client: &Client) {
    let running: Vec<_> = behaviours()
        .into_iter()
        .map(|(name, run)| (name, tokio::spawn(support::within(run(client.clone())))))
        .collect();
    assert!(!running.is_empty());
    let mut failed = Vec::new();
    for (name, task) in running {
        if task.await.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "behaves otherwise: {failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulator_in_memory() {
    check_all(&Simulator::in_memory().client()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulator_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    check_all(&Simulator::open(folder.path()).unwrap().client()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_the_simulator_forgot() {
    let simulator = Simulator::in_memory();
    watching::forgotten_history(&simulator.client(), async || simulator.compact()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kube_apiserver() {
    let begin = Instant::now();
    let cluster = Cluster::start().await.unwrap();
    let client = cluster.client().await.unwrap();
    check_all(&client).await;
    let mut pair = Pair::new(client.clone());
    pair.awaited += begin.elapsed();
    if std::env::var_os(TIMES).is_some() {
        let (begin, simulator) = (Instant::now(), Simulator::in_memory());
        check_all(&simulator.client()).await;
        watching::forgotten_history(&simulator.client(), async || simulator.compact()).await;
        pair.simulated += begin.elapsed();
    }
    transcript::compare(&mut pair).await;
    kinds::compare(&mut pair).await;
    manifests::compare(&mut pair).await;
    scripts::compare(&mut pair).await;
    policies::compare(&mut pair).await;
    if !cluster.is_ours() {
        return support::clean_up(&client).await;
    }
    audit::writes_are_counted(&cluster, &client).await;
    let begin = Instant::now();
    // A new API server remembers nothing from before its start.
    watching::forgotten_history(&client, async || {
        cluster.stop_apiserver().await.unwrap();
        reading::refuses_connections(&client).await;
        cluster.start_apiserver().await.unwrap();
    })
    .await;
    pair.awaited += begin.elapsed();
    if std::env::var_os(TIMES).is_some() {
        let (simulated, awaited) = (pair.simulated.as_millis(), pair.awaited.as_millis());
        eprintln!("times {}", json!({ "simulator": simulated, "apiserver": awaited }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_simulator() {
    let simulator = Simulator::in_memory();
    simulator.set_available(false);
    reading::refuses_connections(&simulator.client()).await;
    simulator.set_available(true);
    support::namespaces(&simulator.client()).get("default").await.unwrap();
}
