//! Faults as rules: which requests they hit, how often, and what the client sees.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use http::{Request, StatusCode};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, WatchEvent, WatchParams},
};
use serde_json::json;
use streamspace_sim::{
    Effect, FaultConfig, FaultError, FaultRule, Faults, Refusal, Simulator, Verb,
};

fn maps(client: &Client, namespace: &str) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), namespace)
}

async fn put(client: &Client, namespace: &str, name: &str, value: &str) -> kube::Result<ConfigMap> {
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name },
        "data": { "a": value },
    });
    maps(client, namespace).patch(name, &PatchParams::apply("test"), &Patch::Apply(map)).await
}

fn refuse(refusal: Refusal) -> FaultRule {
    FaultRule::new(Effect::Refuse { refusal, retry_after_seconds: None })
}

fn code<T: std::fmt::Debug>(result: kube::Result<T>) -> u16 {
    match result {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("no refusal: {other:?}"),
    }
}

#[tokio::test]
async fn a_rule_hits_what_it_selects_and_nothing_else() {
    let simulator = Simulator::in_memory();
    let (client, faults) = (simulator.client(), simulator.faults());
    put(&client, "default", "one", "1").await.unwrap();
    let rule = FaultRule {
        verbs: vec![Verb::Patch, Verb::Delete],
        kinds: vec!["configmaps".into()],
        namespaces: vec!["default".into()],
        names: vec!["one".into(), "two".into()],
        ..refuse(Refusal::Conflict)
    };
    let id = faults.add(rule.clone()).unwrap();
    assert_eq!(code(put(&client, "default", "one", "2").await), 409);
    assert_eq!(code(maps(&client, "default").delete("one", &DeleteParams::default()).await), 409);
    put(&client, "default", "three", "1").await.unwrap();
    put(&client, "kube-system", "one", "1").await.unwrap();
    maps(&client, "default").get("one").await.unwrap();
    let active = faults.list();
    assert_eq!((active.len(), active[0].id), (1, id));
    assert_eq!((&active[0].rule, active[0].matched, active[0].struck), (&rule, 2, 2));
    assert!(faults.remove(id));
    assert!(!faults.remove(id));
    put(&client, "default", "one", "2").await.unwrap();
}

#[tokio::test]
async fn groups_and_subresources_tell_kinds_apart() {
    let simulator = Simulator::in_memory();
    let (client, faults) = (simulator.client(), simulator.faults());
    let ask = async |path: &str| {
        let request = Request::get(path).body(Vec::new()).unwrap();
        match client.request_text(request).await {
            Ok(_) => 200,
            Err(error) => code::<()>(Err(error)),
        }
    };
    let only =
        |kind: &str| FaultRule { kinds: vec![kind.to_owned()], ..refuse(Refusal::Unavailable) };
    faults.add(only("events.events.k8s.io")).unwrap();
    assert_eq!(ask("/api/v1/namespaces/default/events").await, 200);
    assert_eq!(ask("/apis/events.k8s.io/v1/namespaces/default/events").await, 503);
    faults.clear_all();
    faults.add(only("namespaces/status")).unwrap();
    assert_eq!(ask("/api/v1/namespaces/default").await, 200);
    assert_eq!(ask("/api/v1/namespaces/default/status").await, 503);
    assert_eq!(ask("/readyz").await, 200);
    faults.clear_all();
    faults.add(refuse(Refusal::InternalError)).unwrap();
    assert_eq!(ask("/version").await, 500, "a rule without kinds hits everything");
}

#[tokio::test]
async fn a_rule_is_spent_after_its_count() {
    let simulator = Simulator::in_memory();
    let (client, faults) = (simulator.client(), simulator.faults());
    faults.add(FaultRule { count: Some(3), ..refuse(Refusal::Timeout) }).unwrap();
    for _ in 0..3 {
        assert_eq!(code(put(&client, "default", "one", "1").await), 504);
    }
    put(&client, "default", "one", "1").await.unwrap();
    assert_eq!((faults.list()[0].matched, faults.list()[0].struck), (3, 3));
}

/// Which of a hundred requests are hit.
async fn hits(faults: &Faults, client: &Client, seed: u64) -> Vec<bool> {
    let rule = FaultRule { probability: 0.3, ..refuse(Refusal::TooManyRequests) };
    faults.configure(&FaultConfig { seed, rules: vec![rule] }).unwrap();
    let id = faults.list()[0].id;
    let mut hits = Vec::new();
    for _ in 0..100 {
        hits.push(maps(client, "default").list(&ListParams::default()).await.is_err());
    }
    let struck = hits.iter().filter(|hit| **hit).count();
    assert_eq!(faults.list()[0].struck, u64::try_from(struck).unwrap());
    assert!((15..45).contains(&struck), "{struck} of a hundred");
    assert!(faults.remove(id));
    hits
}

#[tokio::test]
async fn chance_is_replayed_from_its_seed() {
    let simulators = [Simulator::in_memory(), Simulator::in_memory()];
    let first = hits(simulators[0].faults(), &simulators[0].client(), 7).await;
    let second = hits(simulators[1].faults(), &simulators[1].client(), 7).await;
    assert_eq!(first, second);
    let third = Simulator::in_memory();
    assert_ne!(first, hits(third.faults(), &third.client(), 8).await);
}

#[tokio::test]
async fn too_many_requests_say_when_to_come_back() {
    let simulator = Simulator::in_memory();
    let client = simulator.client();
    let effect = Effect::Refuse { refusal: Refusal::TooManyRequests, retry_after_seconds: Some(9) };
    simulator.faults().add(FaultRule::new(effect)).unwrap();
    let request = Request::get("/api/v1/namespaces").body(kube::client::Body::empty()).unwrap();
    let response = client.send(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "9");
    let namespaces: Api<Namespace> = Api::all(client);
    let Err(kube::Error::Api(status)) = namespaces.get("default").await else { panic!() };
    assert_eq!(status.details.unwrap().retry_after_seconds, 9);
}

#[tokio::test]
async fn a_dropped_request_is_not_done_and_a_lost_one_is() {
    let simulator = Simulator::in_memory();
    let (client, faults) = (simulator.client(), simulator.faults());
    let writes =
        |effect| FaultRule { verbs: vec![Verb::Patch], count: Some(1), ..FaultRule::new(effect) };
    faults.add(writes(Effect::Drop)).unwrap();
    assert!(matches!(put(&client, "default", "drop", "1").await, Err(kube::Error::Service(_))));
    assert!(maps(&client, "default").get_opt("drop").await.unwrap().is_none());
    faults.add(writes(Effect::Lose)).unwrap();
    assert!(matches!(put(&client, "default", "lose", "1").await, Err(kube::Error::Service(_))));
    assert!(maps(&client, "default").get_opt("lose").await.unwrap().is_some());
}

#[tokio::test]
async fn delays_add_up_before_what_follows() {
    let simulator = Simulator::in_memory();
    let (client, faults) = (simulator.client(), simulator.faults());
    let slow = || FaultRule::new(Effect::Delay { milliseconds: 300 });
    let rules = vec![slow(), slow(), refuse(Refusal::Forbidden)];
    faults.configure(&FaultConfig { seed: 0, rules }).unwrap();
    let begin = Instant::now();
    assert_eq!(code(put(&client, "default", "one", "1").await), 403);
    assert!(begin.elapsed() >= Duration::from_millis(600), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_watch_breaks_off_after_its_events() {
    let simulator = Simulator::in_memory();
    let (client, faults) = (simulator.client(), simulator.faults());
    for name in ["a", "b", "c"] {
        put(&client, "default", name, "1").await.unwrap();
    }
    faults.add(FaultRule::new(Effect::Cut { after_events: 2 })).unwrap();
    let maps = maps(&client, "default");
    let mut events = maps.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    for _ in 0..2 {
        assert!(matches!(events.try_next().await.unwrap(), Some(WatchEvent::Added(_))));
    }
    // To kube's client the lost connection is an end or an error.
    assert!(!matches!(events.try_next().await, Ok(Some(_))), "the watch is over");
    maps.list(&ListParams::default()).await.unwrap();
}

#[tokio::test]
async fn a_version_that_is_gone_is_told_as_the_api_server_does() {
    let simulator = Simulator::in_memory();
    let (client, faults) = (simulator.client(), simulator.faults());
    faults.add(refuse(Refusal::Gone)).unwrap();
    let maps = maps(&client, "default");
    assert_eq!(code(maps.list(&ListParams::default()).await), 410);
    let mut events = maps.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    let Some(WatchEvent::Error(status)) = events.try_next().await.unwrap() else { panic!() };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
}

#[test]
fn rules_that_cannot_be_followed_are_refused() {
    let faults = Simulator::in_memory().faults().clone();
    for probability in [-0.1, 1.5, f64::NAN] {
        let rule = FaultRule { probability, ..FaultRule::new(Effect::Drop) };
        assert!(matches!(faults.add(rule), Err(FaultError::Probability(_))), "{probability}");
    }
    let empty = FaultRule { names: vec![String::new()], ..FaultRule::new(Effect::Drop) };
    assert_eq!(faults.add(empty), Err(FaultError::Empty("names")));
    let never = FaultRule { count: Some(0), ..FaultRule::new(Effect::Drop) };
    assert_eq!(faults.add(never), Err(FaultError::NoCount));
    let long = FaultRule::new(Effect::Delay { milliseconds: 600_001 });
    assert_eq!(faults.add(long.clone()), Err(FaultError::TooLong(600_001)));
    let cut = Effect::Cut { after_events: 1 };
    let cut = FaultRule { verbs: vec![Verb::Get], ..FaultRule::new(cut) };
    assert_eq!(faults.add(cut), Err(FaultError::NothingToCut));
    // A configuration with one wrong rule changes nothing.
    faults.add(FaultRule::new(Effect::Drop)).unwrap();
    let config = FaultConfig { seed: 1, rules: vec![FaultRule::new(Effect::Lose), long] };
    faults.configure(&config).unwrap_err();
    assert_eq!((faults.list().len(), faults.seed()), (1, 0));
}

#[test]
fn rules_are_plain_data() {
    let config: FaultConfig = serde_json::from_value(json!({
        "seed": 3,
        "rules": [
            { "effect": "drop", "verbs": ["list", "watch"], "probability": 0.25 },
            { "effect": { "delay": { "milliseconds": 200 } }, "kinds": ["pods", "deployments.apps/scale"] },
            { "effect": { "refuse": { "refusal": "too_many_requests", "retry_after_seconds": 5 } }, "count": 2 },
            { "effect": { "refuse": { "refusal": "gone" } } },
            { "effect": { "cut": {} } },
            { "effect": "lose", "namespaces": ["a"], "names": ["b"] },
        ],
    }))
    .unwrap();
    let again: FaultConfig =
        serde_json::from_value(serde_json::to_value(&config).unwrap()).unwrap();
    assert_eq!(config, again);
    let misspelled = json!({ "rules": [{ "effect": "drop", "verb": ["list"] }] });
    let error = serde_json::from_value::<FaultConfig>(misspelled).unwrap_err().to_string();
    assert!(error.contains("unknown field `verb`"), "{error}");
}
