//! A real Alertmanager: what we send is there and ends, and what it sends reaches us.

use std::{net::SocketAddr, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};

use super::{sending::until, *};
use crate::{
    http_client::{Client, Question, Terms},
    notify::{InboundAlert, Matcher, Silence},
};

/// The program, which Debian names by its package.
fn program() -> &'static str {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_debian =
        std::env::split_paths(&path).any(|it| it.join("prometheus-alertmanager").exists());
    if is_debian { "prometheus-alertmanager" } else { "alertmanager" }
}

/// An Alertmanager of one test, which goes with it. It tells what it hears to a webhook.
struct Alertmanager {
    _process: Child,
    client: Client,
    url: String,
}

impl Alertmanager {
    async fn start(world: &World, webhook: &str) -> Self {
        // Free a moment ago; nobody else takes it so soon.
        let address: SocketAddr =
            TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let config = json!({
            "route": {
                "receiver": "us", "group_by": ["..."],
                "group_wait": "10ms", "group_interval": "100ms", "repeat_interval": "1h",
            },
            "receivers": [{ "name": "us", "webhook_configs": [{
                "url": format!("{webhook}/v1/alertmanager"),
                "send_resolved": true,
                "http_config": { "authorization": { "credentials_file": world.secret() } },
            }]}],
        });
        let file = world.folder.path().join("alertmanager.yml");
        // JSON is YAML.
        std::fs::write(&file, config.to_string()).unwrap();
        let process = Command::new(program())
            .current_dir(world.folder.path())
            .arg(format!("--config.file={}", file.display()))
            .args(["--storage.path=alertmanager", "--cluster.listen-address="])
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("no program alertmanager: run packaging/dev/needs alertmanager");
        let url = format!("http://{address}");
        let client = Client::new(&url, None, None, Terms::QUERY).unwrap();
        let ready = async || {
            let answer = client.ask(Question::get("/-/ready")).await;
            answer.is_ok_and(|answer| answer.status.is_success())
        };
        until(ready).await;
        Self { _process: process, client, url }
    }

    async fn get(&self, path: &str) -> Vec<Value> {
        let answer = self.client.ask(Question::get(path)).await.unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }

    async fn alerts(&self) -> Vec<Value> {
        self.get("/api/v2/alerts").await
    }

    /// The silences that are not over.
    async fn silences(&self) -> Vec<Value> {
        let mut all = self.get("/api/v2/silences").await;
        all.retain(|silence| silence["status"]["state"] != "expired");
        all
    }
}

fn channel(alertmanager: &Alertmanager) -> String {
    format!(
        "[channels.am]\nkind = 'alertmanager'\nfor = ['ticket', 'silence']\nurl = '{}'\n",
        alertmanager.url
    )
}

#[tokio::test]
async fn an_alert_that_we_send_is_there_ends_and_comes_back_to_us() {
    let mut world = World::start().await;
    let door = inbound::open(&world).await;
    let alertmanager = Alertmanager::start(&world, &door).await;
    let sender = world.sender(&world.channels(&channel(&alertmanager)));
    let alert = notice("a", Action::Trigger, &["am"]);
    world.enqueue("", &alert).await;
    // Sent, killed, sent again: one alert.
    let claimed = sender.claim(&world.leadership, "am", 8).await.unwrap();
    sender.send(&claimed[0]).await.unwrap();
    world.next_leader().await;
    sender.round(&world.leadership, "am").await;
    let alerts = alertmanager.alerts().await;
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(
        alerts[0]["labels"],
        json!({
            "alertname": "StreamSpace", "dedup_key": "a", "severity": "critical",
            "source": "regions/us-west-2",
        })
    );
    assert_eq!(alerts[0]["annotations"], json!({ "summary": "it burns", "budget_left": "12 %" }));
    assert_eq!(alerts[0]["generatorURL"], "https://runbooks.example.com/slo-burn.md");
    let heard = Heard::default();
    heard.hears(&world, "critical", true).await;
    // With another severity it is another alert there; the one before ends.
    let mut worse = alert.clone();
    worse.message.severity = Level::Warning;
    world.enqueue("2", &worse).await;
    sender.round(&world.leadership, "am").await;
    let alerts = alertmanager.alerts().await;
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(alerts[0]["labels"]["severity"], "warning");
    heard.hears(&world, "warning", true).await;
    // The end is told with yet another one, and ends what is there.
    world.enqueue("", &notice("a", Action::Acknowledge, &["am"])).await;
    sender.round(&world.leadership, "am").await;
    world.enqueue("", &notice("a", Action::Resolve, &["am"])).await;
    sender.round(&world.leadership, "am").await;
    assert_eq!(alertmanager.alerts().await, Vec::<Value>::new());
    world.enqueue("", &notice("a", Action::Test, &["am"])).await;
    sender.round(&world.leadership, "am").await;
    assert_eq!(world.states().await, [NoticeState::Sent; 5]);

    // It told us of the ends of both, through its webhook.
    heard.hears(&world, "critical", false).await;
    heard.hears(&world, "warning", false).await;
    let told = heard.0.into_inner().unwrap();
    assert!(told.iter().all(|alert| alert.labels["dedup_key"] == "a"), "{told:?}");
}

/// What came back through the webhook.
#[derive(Default)]
struct Heard(std::sync::Mutex<Vec<InboundAlert>>);

impl Heard {
    /// Waits until it was told that an alert of this severity fires, or that it is over. An
    /// Alertmanager tells nobody of one that is over before it was told of.
    async fn hears(&self, world: &World, severity: &str, firing: bool) {
        until(async || {
            let mut taken = world.take(100).await;
            let mut all = self.0.lock().unwrap();
            all.append(&mut taken);
            all.iter().any(|it| it.firing == firing && it.labels["severity"] == severity)
        })
        .await;
    }
}

fn silence(action: Action, minutes: i64) -> Notice {
    let now = Timestamp::now();
    let mut notice = notice("m", action, &["am"]);
    notice.message.silence = Some(Silence {
        matchers: vec![Matcher {
            name: "job".into(),
            value: "sessions|gateway".into(),
            is_regex: true,
            is_equal: true,
        }],
        starts: now,
        ends: now + jiff::SignedDuration::from_mins(minutes),
        created_by: "kim".into(),
        comment: "we change disks".into(),
    });
    notice
}

#[tokio::test]
async fn a_silence_is_made_once_is_extended_and_ended() {
    let mut world = World::start().await;
    let alertmanager = Alertmanager::start(&world, "http://127.0.0.1:9").await;
    let sender = world.sender(&world.channels(&channel(&alertmanager)));
    world.enqueue("1", &silence(Action::Silence, 30)).await;
    // Made, killed, found by its comment.
    let claimed = sender.claim(&world.leadership, "am", 8).await.unwrap();
    sender.send(&claimed[0]).await.unwrap();
    let made = alertmanager.silences().await;
    world.next_leader().await;
    sender.round(&world.leadership, "am").await;
    assert_eq!(world.states().await, [NoticeState::Sent]);
    assert_eq!(alertmanager.silences().await, made, "nothing was made or changed");
    assert_eq!(made.len(), 1);
    assert_eq!(made[0]["comment"], "we change disks [m 1]");
    assert_eq!(
        made[0]["matchers"],
        json!([{ "name": "job", "value": "sessions|gateway", "isRegex": true, "isEqual": true }])
    );
    // Longer: still one.
    world.enqueue("2", &silence(Action::Silence, 90)).await;
    sender.round(&world.leadership, "am").await;
    let longer = alertmanager.silences().await;
    assert_eq!(longer.len(), 1, "{longer:?}");
    assert_ne!(longer[0]["endsAt"], made[0]["endsAt"]);
    world.enqueue("", &silence(Action::Unsilence, 0)).await;
    sender.round(&world.leadership, "am").await;
    assert_eq!(alertmanager.silences().await, Vec::<Value>::new());
    // What is over is not begun, and the end of what is not there is none.
    world.enqueue("3", &silence(Action::Silence, -1)).await;
    sender.round(&world.leadership, "am").await;
    world.enqueue("2", &silence(Action::Unsilence, 0)).await;
    sender.round(&world.leadership, "am").await;
    let states = world.states().await;
    assert_eq!(states[3..], [NoticeState::Expired, NoticeState::Sent]);
}
