//! The daemon beside a real Prometheus, on the same series: a server that holds a replayed
//! day is read by the evaluator, and the exported rules are evaluated by Prometheus' own
//! engine. Both must alert for the same, in the same minutes.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    process::{Child, Command},
    time::Instant,
};

use super::*;

/// How long a replay is: ten hours.
const LENGTH: usize = 600;

/// What two counters stand at, minute by minute; nothing where they were not scraped.
type Replay = Vec<Option<(u64, u64)>>;

/// A replay from what happens in each minute: events, and bad ones among them; nothing
/// where nobody scrapes.
fn replay(of: impl Fn(usize) -> Option<(u64, u64)>) -> Replay {
    let (mut good, mut bad) = (1_000, 0);
    let mut all = vec![Some((good, bad))];
    for minute in 0..LENGTH {
        let seen = of(minute);
        if let Some((total, broken)) = seen {
            good += total - broken;
            bad += broken;
        }
        all.push(seen.map(|_| (good, bad)));
    }
    all
}

struct Case {
    name: &'static str,
    replay: Replay,
    /// What must be told of burns, in its order.
    burns: Vec<Told>,
    no_data: Vec<Told>,
}

fn told(rule: &str, from: i64, to: Option<i64>) -> Told {
    (rule.into(), from, to)
}

/// Half of all fails for ten minutes, and nothing for ten: the fast page goes on and off with
/// the five minutes' window, and the slow one stays.
fn flapping() -> Vec<Told> {
    let mut all = vec![
        told("burn-1d", 121, None),
        told("burn-3d", 121, None),
        told("burn-1h", 122, Some(135)),
        told("burn-6h", 122, None),
    ];
    all.extend((141..LENGTH).step_by(20).filter_map(|from| {
        let from = i64::try_from(from).ok()?;
        Some(told("burn-1h", from, Some(from + 14)))
    }));
    all
}

fn cases() -> Vec<Case> {
    let outage = |minute: usize| (300..324).contains(&minute);
    let slow = |minute: usize| Some((1_000, if minute < 120 { 0 } else { 5 }));
    let flaps = |minute: usize| minute >= 120 && (minute / 10).is_multiple_of(2);
    let scraped = |minute: usize| !(200..260).contains(&minute);
    vec![
        Case {
            name: "an outage of 24 minutes",
            replay: replay(|minute| Some((100, if outage(minute) { 100 } else { 0 }))),
            burns: vec![
                told("burn-1d", 301, Some(444)),
                told("burn-1h", 301, Some(329)),
                told("burn-3d", 301, None),
                told("burn-6h", 302, Some(354)),
            ],
            no_data: vec![],
        },
        Case {
            name: "a slow burn",
            replay: replay(slow),
            // 0.5 % is no page. It is 0.1 % of all after a quarter of the first two hours.
            burns: vec![told("burn-3d", 151, None), told("burn-1d", 301, None)],
            no_data: vec![],
        },
        Case {
            name: "a service that flaps",
            replay: replay(|minute| Some((60, if flaps(minute) { 30 } else { 0 }))),
            burns: flapping(),
            no_data: vec![],
        },
        Case {
            name: "no traffic",
            replay: replay(|minute| match minute {
                100..300 => Some((0, 0)),
                300.. => Some((10, 1)),
                _ => Some((10, 0)),
            }),
            // Nothing is decided while there is nothing to decide by.
            burns: vec![
                told("burn-1h", 301, None),
                told("burn-3d", 302, None),
                told("burn-1d", 304, None),
                told("burn-6h", 307, None),
            ],
            no_data: vec![],
        },
        Case {
            name: "data that is missing",
            replay: replay(|minute| scraped(minute).then_some((50, u64::from(minute >= 150)))),
            burns: vec![
                told("burn-3d", 158, None),
                told("burn-1d", 177, None),
                told("burn-1h", 194, Some(205)),
                told("burn-1h", 262, None),
                told("burn-6h", 276, None),
            ],
            // What was scraped last is good for five minutes, and then for as many there is
            // none; the first minute after the gap cannot be told from it.
            no_data: vec![told("no-data", 210, Some(262))],
        },
    ]
}

fn http() -> v1::Slo {
    let ratio = v1::RatioSli {
        good: String::new(),
        bad: "http_requests_total{code=\"500\"}".into(),
        total: "http_requests_total".into(),
    };
    v1::Slo {
        sli: Some(v1::Sli { sli: Some(v1::sli::Sli::Ratio(ratio)) }),
        ..own(v1::OwnCounter::Calls)
    }
}

async fn run(program: &str, folder: &Path, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).current_dir(folder).output().await;
    let output = output.expect("no program promtool: run packaging/dev/needs prometheus");
    assert!(
        output.status.success(),
        "{program} {arguments:?}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A Prometheus that holds a replay and scrapes nothing.
struct Server {
    _process: Child,
}

/// An address that is free, and a folder with the blocks of a replay.
async fn prepare(replay: &Replay, begin: Minute) -> (SocketAddr, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::from("# TYPE http_requests counter\n");
    for (code, of) in [("200", 0), ("500", 1)] {
        for (minute, value) in replay.iter().enumerate() {
            let Some(value) = value else { continue };
            let value = if of == 0 { value.0 } else { value.1 };
            let at = begin.plus(i64::try_from(minute).unwrap()).start().as_second();
            writeln!(text, "http_requests_total{{code=\"{code}\"}} {value} {at}").unwrap();
        }
    }
    text.push_str("# EOF\n");
    std::fs::write(folder.path().join("replay"), text).unwrap();
    std::fs::write(folder.path().join("prometheus.yml"), "{}").unwrap();
    let arguments = ["tsdb", "create-blocks-from", "openmetrics", "-q", "replay", "data"];
    run("promtool", folder.path(), &arguments).await;
    // Free a moment ago; nobody else takes it so soon.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    (address, folder)
}

impl Server {
    async fn start(address: SocketAddr, folder: &Path) -> Self {
        let process = Command::new("prometheus")
            .current_dir(folder)
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg("--storage.tsdb.retention.time=10y")
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("no program prometheus: run packaging/dev/needs prometheus");
        let deadline = Instant::now() + Duration::from_mins(1);
        // It listens before it has read its blocks, and then answers that it is not ready.
        while !is_ready(address).await {
            assert!(Instant::now() < deadline, "the server does not become ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { _process: process }
    }
}

/// Whether a server says that it answers queries.
async fn is_ready(address: SocketAddr) -> bool {
    let ask = async {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        let question =
            format!("GET /-/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(question.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer.starts_with(b"HTTP/1.1 200 "))
    };
    ask.await.unwrap_or(false)
}

/// A whole hour, two days ago: a server takes blocks of the past alone.
fn begin() -> Minute {
    Minute((Minute::holding(Timestamp::now()).hour() - 48) * 60)
}

impl World {
    /// What was told, counted from a minute.
    async fn told_from(&self, id: &str, begin: Minute) -> Vec<Told> {
        let shift = BEGIN.until(begin);
        let told = self.told(id).await.into_iter();
        told.map(|(rule, from, to)| (rule, from - shift, to.map(|to| to - shift))).collect()
    }

    fn go_to(&self, minute: Minute) {
        *self.clock.lock().unwrap() = minute.start() + jiff::SignedDuration::from_secs(5);
    }
}

/// The rules as they are exported, and what Prometheus must say of them minute by minute.
fn rule_test(rules: &str, replay: &Replay, told: &[Told]) -> String {
    let parsed: Value = serde_saphyr::from_str(rules).unwrap();
    let mut alerts: BTreeMap<String, &Value> = BTreeMap::new();
    for rule in parsed["groups"][0]["rules"].as_array().unwrap() {
        if rule["alert"].is_string() {
            alerts.insert(rule["labels"]["rule"].as_str().unwrap().to_owned(), rule);
        }
    }
    let values = |of: usize| -> String {
        let words = replay.iter().map(|value| match value {
            Some(value) => (if of == 0 { value.0 } else { value.1 }).to_string(),
            None => "_".into(),
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let mut checks = Vec::new();
    // In the first minutes Prometheus cannot tell that there was nothing before.
    for minute in 6..=i64::try_from(LENGTH).unwrap() {
        for name in ["SloBurn", "SloNoData"] {
            let holds = told.iter().filter(|(rule, from, to)| {
                alerts[rule]["alert"] == name && *from <= minute && to.is_none_or(|to| minute < to)
            });
            let expected: Vec<Value> = holds
                .map(|(rule, ..)| {
                    let rule = alerts[rule];
                    json!({"exp_labels": rule["labels"], "exp_annotations": rule["annotations"]})
                })
                .collect();
            checks.push(json!({
                "eval_time": format!("{minute}m"), "alertname": name, "exp_alerts": expected,
            }));
        }
    }
    let test = json!({
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m",
            "input_series": [
                {"series": "http_requests_total{code=\"200\"}", "values": values(0)},
                {"series": "http_requests_total{code=\"500\"}", "values": values(1)},
            ],
            "alert_rule_test": checks,
        }],
    });
    // JSON is YAML.
    serde_json::to_string(&test).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_and_the_daemon_alert_for_the_same_in_the_same_minutes() {
    for case in cases() {
        let begin = begin();
        let (address, folder) = prepare(&case.replay, begin).await;
        let _server = Server::start(address, folder.path()).await;
        let mut world = World::start().await;
        world.config.prometheus = Some(format!("http://{address}"));
        world.go_to(begin.plus(i64::try_from(LENGTH).unwrap()));
        let request = v1::CreateSloRequest {
            slo_id: "http".into(),
            slo: Some(http()),
            backfill: Some(prost_types::Duration { seconds: 10 * 3_600, nanos: 0 }),
            ..Default::default()
        };
        world.service().create(&kim(), &request).await.unwrap();
        world.evaluate().await;
        let told = world.told_from("http", begin).await;
        let slo = world.service().get(&kim(), "slos/http").await.unwrap();
        assert_eq!(slo.problem, "", "{}", case.name);

        let burns: Vec<Told> = told.iter().filter(|it| it.0 != "no-data").cloned().collect();
        let no_data: Vec<Told> = told.iter().filter(|it| it.0 == "no-data").cloned().collect();
        assert_eq!(burns, case.burns, "{}", case.name);
        assert_eq!(no_data, case.no_data, "{}", case.name);

        let request =
            v1::ExportSlosRequest { slos: vec![], format: v1::SloFormat::Prometheus.into() };
        let rules = world.service().export(&kim(), &request).await.unwrap().text;
        std::fs::write(folder.path().join("rules.yaml"), &rules).unwrap();
        let test = rule_test(&rules, &case.replay, &told);
        std::fs::write(folder.path().join("test.yaml"), test).unwrap();
        run("promtool", folder.path(), &["check", "rules", "rules.yaml"]).await;
        run("promtool", folder.path(), &["test", "rules", "test.yaml"]).await;

        // A check that cannot fail is none: a minute that is wrong is found.
        if let Some(first) = told.first() {
            let mut wrong = told.clone();
            wrong[0] = (first.0.clone(), first.1 + 1, first.2);
            let test: PathBuf = folder.path().join("wrong.yaml");
            std::fs::write(&test, rule_test(&rules, &case.replay, &wrong)).unwrap();
            let found = Command::new("promtool").args(["test", "rules"]).arg(&test).output();
            assert!(!found.await.unwrap().status.success(), "{}", case.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_that_was_dead_for_an_hour_leaves_a_gap_and_an_alert() {
    let begin = begin();
    // It scraped nothing from minute 120 to 180, and errors went on meanwhile.
    let dead = |minute: usize| (120..180).contains(&minute);
    let replay = replay(|minute| (!dead(minute)).then_some((10, 1)));
    let (address, folder) = prepare(&replay, begin).await;
    let mut world = World::start().await;
    world.config.prometheus = Some(format!("http://{address}"));
    world.go_to(begin.plus(60));
    let request = v1::CreateSloRequest {
        slo_id: "http".into(),
        slo: Some(http()),
        backfill: Some(prost_types::Duration { seconds: 3_600, nanos: 0 }),
        ..Default::default()
    };
    world.service().create(&kim(), &request).await.unwrap();
    {
        let _server = Server::start(address, folder.path()).await;
        world.go_to(begin.plus(119));
        world.evaluate().await;
    }
    let before = world.budget("slos/http", "").await;
    assert_eq!((before.total, before.bad), (1_190, 119));
    // It is dead. Each look says so, and after five minutes it alerts.
    for minute in [121, 130, 150, 179] {
        world.go_to(begin.plus(minute));
        world.evaluate().await;
    }
    let slo = world.service().get(&kim(), "slos/http").await.unwrap();
    assert!(slo.problem.contains("cannot be reached"), "{}", slo.problem);
    let told = world.told_from("http", begin).await;
    let no_data = told.iter().find(|it| it.0 == "no-data").unwrap();
    assert_eq!((no_data.1, no_data.2), (130, None));
    let during = world.budget("slos/http", "").await;
    assert_eq!(during.state(), v1::BudgetState::NoData);
    assert_eq!((during.total, during.bad), (before.total, before.bad), "neither good nor bad");
    // It is back, and has nothing of that hour.
    let _server = Server::start(address, folder.path()).await;
    world.go_to(begin.plus(240));
    world.evaluate().await;
    let after = world.budget("slos/http", "").await;
    let told = world.told_from("http", begin).await;
    let no_data = told.iter().find(|it| it.0 == "no-data").unwrap();
    assert!(no_data.2.is_some(), "{told:?}");
    assert_eq!((after.total, after.bad), (1_190 + 10 + 590, 119 + 1 + 59));
    // What was scraped last is good for five minutes; the first minute after is not known.
    assert_eq!(seconds(after.gaps), 56 * 60);
    assert_eq!(world.service().get(&kim(), "slos/http").await.unwrap().problem, "");
}
