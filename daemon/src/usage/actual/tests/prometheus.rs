//! A real Prometheus that scrapes a small exporter of this test.

use std::{net::SocketAddr, process::Stdio};

use axum::{Router, extract::State, routing::get};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{Api, Client, api::PostParams};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    time::Instant,
};

use super::*;

/// What the exporter says.
type Page = Arc<Mutex<String>>;

/// A server of this test alone, which goes with it.
struct Server {
    process: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Server {
    async fn scraping(exporter: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        std::fs::write(
            &config,
            format!(
                "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
                 scrape_configs: [{{job_name: exporter, static_configs: [{{targets: ['{exporter}']}}]}}]\n"
            ),
        )
        .unwrap();
        // Free a moment ago; nobody else takes it so soon.
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("no program prometheus: run packaging/dev/needs prometheus");
        Self { process, address, _folder: folder }
    }
}

/// Serves the page to whoever scrapes it.
async fn export(page: &Page) -> SocketAddr {
    let show = async |State(page): State<Page>| page.lock().unwrap().clone();
    let router = Router::new().route("/metrics", get(show)).with_state(Arc::clone(page));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn pod(client: &Client) {
    let namespace: Namespace =
        serde_json::from_value(json!({"metadata": {"name": "tenant-acme"}})).unwrap();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "desk-1"},
        "spec": {"containers": [{"name": "desktop", "image": "desktop"}]}
    }))
    .unwrap();
    let pods: Api<Pod> = Api::namespaced(client.clone(), "tenant-acme");
    pods.create(&PostParams::default(), &pod).await.unwrap();
}

/// What a kubelet says: the pod sends by two interfaces, and another is of nobody.
fn said(sent: u64, cpu: f64, memory: u64, recordings: u64) -> String {
    let sends = "container_network_transmit_bytes_total";
    let desk = "namespace=\"tenant-acme\",pod=\"desk-1\"";
    let half = sent / 2;
    format!(
        "# TYPE {sends} counter\n\
         {sends}{{{desk},interface=\"eth0\"}} {half}\n\
         {sends}{{{desk},interface=\"eth1\"}} {}\n\
         {sends}{{namespace=\"kube-system\",pod=\"dns\",interface=\"eth0\"}} 99999\n\
         # TYPE container_cpu_usage_seconds_total counter\n\
         container_cpu_usage_seconds_total{{{desk},container=\"desktop\"}} {cpu}\n\
         # TYPE container_memory_working_set_bytes gauge\n\
         container_memory_working_set_bytes{{{desk},container=\"desktop\"}} {memory}\n\
         # TYPE recordings_bytes gauge\n\
         recordings_bytes{{namespace=\"tenant-acme\"}} {recordings}\n",
        sent - half
    )
}

/// Rounds until the sums are as wished; the server scrapes in its own time.
async fn until(
    world: &World,
    measuring: &mut ActualUse,
    what: &str,
    wished: impl Fn(&Sums, &BTreeMap<Metric, SourceRow>) -> bool,
) -> Sums {
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        measuring.round(&world.leadership).await.unwrap();
        let (sums, sources) = (world.sums(world.acme).await, world.sources().await);
        if wished(&sums, &sources) {
            return sums;
        }
        assert!(Instant::now() < deadline, "{what}: {sums:?} {sources:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn a_real_prometheus_is_read_through_a_reset_and_its_end() {
    let world = World::start().await;
    let page = Page::default();
    let mut server = Server::scraping(export(&page).await).await;
    let simulator = Simulator::in_memory();
    let config: ActualConfig = toml::from_str(&format!(
        "metrics_api = false\nprometheus = 'http://{}'\n\
         cpu_query = 'sum by (namespace, pod) (container_cpu_usage_seconds_total)'\n\
         memory_query = 'sum by (namespace, pod) (container_memory_working_set_bytes)'\n\
         recordings_query = 'sum by (namespace) (recordings_bytes)'\n",
        server.address
    ))
    .unwrap();
    config.check().unwrap();
    let db = world.test.database().clone();
    let cluster = Cluster::from_client(simulator.client(), "simulator");
    let mut measuring = ActualUse::new(db, cluster, Selector::All, &config);
    // Nothing is there yet, and that is measured; the pod begins after it.
    until(&world, &mut measuring, "the server answers", |_, sources| {
        sources.values().all(|source| source.last.is_some() && source.problem.is_empty())
    })
    .await;
    pod(&simulator.client()).await;
    *page.lock().unwrap() = said(1_000, 1.5, 4_096, 10);
    let sums = until(&world, &mut measuring, "the first counters", |sums, _| {
        sums[4] == 1_000 && sums[0] == 1_500 && sums[3] > 0 && sums[7] > 0
    })
    .await;
    // Gauges over the time that they cover, to the unit.
    assert_eq!((sums[2], sums[6]), (sums[3] * 4_096, sums[7] * 10));
    *page.lock().unwrap() = said(4_001, 2.0, 4_096, 10);
    until(&world, &mut measuring, "more", |sums, _| sums[4] == 4_001 && sums[0] == 2_000).await;
    // The network begins again from nothing: what it says now is added.
    *page.lock().unwrap() = said(500, 2.0, 4_096, 10);
    let sums = until(&world, &mut measuring, "a reset", |sums, _| sums[4] == 4_501).await;
    assert_eq!(sums[0], 2_000);

    server.process.kill().await.unwrap();
    let after = until(&world, &mut measuring, "the end", |_, sources| {
        sources.values().all(|source| source.problem.contains("cannot be reached"))
    })
    .await;
    assert_eq!((after[4], after[0]), (4_501, 2_000));
}

#[tokio::test]
async fn a_query_that_is_none_is_told_in_the_servers_words() {
    let world = World::start().await;
    let server = Server::scraping(export(&Page::default()).await).await;
    let config: ActualConfig = toml::from_str(&format!(
        "metrics_api = false\nprometheus = 'http://{}'\negress_query = 'sum by ('\n",
        server.address
    ))
    .unwrap();
    let db = world.test.database().clone();
    let mut measuring = ActualUse::new(db, simulated(), Selector::All, &config);
    until(&world, &mut measuring, "the refusal", |_, sources| {
        sources[&Metric::Egress].problem.contains("it refuses the query with 400")
    })
    .await;
    assert!(world.sources().await[&Metric::Egress].problem.contains("parse error"));
}
