//! The metrics API: of a cluster that has none, and a stand-in that answers as
//! metrics-server does.

use std::convert::Infallible;

use http::{Request, Response, StatusCode};
use kube::{Client, client::Body};
use serde_json::json;

use super::*;

/// Answers each question with what it is told.
fn stand_in(answer: Arc<Mutex<(StatusCode, String)>>, asked: Arc<Mutex<String>>) -> Cluster {
    let service = tower::service_fn(move |request: Request<Body>| {
        *asked.lock().unwrap() = request.uri().to_string();
        let (status, body) = answer.lock().unwrap().clone();
        async move {
            let mut response = Response::new(Body::from(body.into_bytes()));
            *response.status_mut() = status;
            Ok::<_, Infallible>(response)
        }
    });
    Cluster::from_client(Client::new(service, "default"), "stand-in")
}

fn list(at: Second, millicores: u32) -> String {
    let pod = |namespace: &str, name: &str| {
        json!({
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": null},
            "timestamp": at.timestamp().to_string(),
            "window": "15.5s",
            "containers": [
                {"name": "desktop", "usage": {"cpu": format!("{millicores}m"), "memory": "1Ki"}},
                {"name": "agent", "usage": {"cpu": "500000n", "memory": "0"}}
            ]
        })
    };
    json!({
        "kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {},
        "items": [pod("tenant-acme", "desk-1"), pod("kube-system", "coredns")]
    })
    .to_string()
}

#[tokio::test]
async fn a_cluster_without_it_is_well_and_has_no_use() {
    let world = World::start().await;
    let cluster = simulated();
    let config = ActualConfig::default();
    let db = world.test.database().clone();
    let mut measuring = ActualUse::new(
        db,
        cluster,
        Selector::Label("control.stream.space/session".into()),
        &config,
    );
    measuring.round(&world.leadership).await.unwrap();
    let sources = world.sources().await;
    for metric in [Metric::Cpu, Metric::Memory] {
        let row = &sources[&metric];
        assert_eq!((row.source.as_str(), row.last), ("metrics.k8s.io", None));
        assert!(row.problem.contains("metrics-server"), "{row:?}");
    }
    assert_eq!(world.sums(world.acme).await, Sums::default());
}

#[tokio::test]
async fn pods_are_measured_for_their_tenant() {
    let world = World::start().await;
    let now = world.now().await;
    let answer = Arc::new(Mutex::new((StatusCode::OK, list(now.plus(-60), 100))));
    let asked = Arc::default();
    let cluster = stand_in(Arc::clone(&answer), Arc::clone(&asked));
    let selector = Selector::Label("control.stream.space/session".into());
    let db = world.test.database().clone();
    let mut measuring = ActualUse::new(db, cluster, selector, &ActualConfig::default());
    measuring.round(&world.leadership).await.unwrap();
    assert_eq!(
        *asked.lock().unwrap(),
        "/apis/metrics.k8s.io/v1beta1/pods?labelSelector=control.stream.space%2Fsession"
    );
    // The first one covers the time that it is the average of: 100.5 millicores for 15 s.
    assert_eq!(world.sums(world.acme).await, [1_508, 15, 15_360, 15, 0, 0, 0, 0]);
    *answer.lock().unwrap() = (StatusCode::OK, list(now, 200));
    measuring.round(&world.leadership).await.unwrap();
    // 200.5 millicores for a minute.
    assert_eq!(world.sums(world.acme).await, [13_538, 75, 76_800, 75, 0, 0, 0, 0]);
    for (status, body, words) in [
        (StatusCode::FORBIDDEN, "{}", "give its rights again"),
        (StatusCode::SERVICE_UNAVAILABLE, "", "answers with 503"),
        (StatusCode::OK, "{", "no list of pods"),
    ] {
        *answer.lock().unwrap() = (status, body.into());
        measuring.round(&world.leadership).await.unwrap();
        let row = &world.sources().await[&Metric::Cpu];
        assert!(row.problem.contains(words) && row.last.is_some(), "{row:?}");
    }
    assert_eq!(world.sums(world.acme).await[0], 13_538);
}
