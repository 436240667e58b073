//! Incidents by the shipped binaries: one page whoever is killed when, and from an alert to
//! the post-mortem by `ssctl` alone.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};
use streamspace_tests::{
    http,
    ports::Port,
    receiver::{Mood, Receiver},
    region::Region,
    runtime::story,
    ssctl::Ssctl,
    wait::{holds, until},
};

/// A file of a secret.
fn secret(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
    path.display().to_string()
}

/// Has the region page this receiver, from its next start on.
pub(crate) fn pages(region: &Region, receiver: &Receiver) {
    let folder = region.config();
    let folder = folder.parent().unwrap();
    let channel = toml::Table::from_iter([
        ("kind".to_owned(), "pagerduty".into()),
        ("for".to_owned(), toml::Value::Array(vec!["page".into()])),
        ("url".to_owned(), receiver.url().into()),
        ("routing_key_file".to_owned(), secret(folder, "routing-key").into()),
    ]);
    region.set("notify", "channels", toml::Table::from_iter([("duty".to_owned(), channel.into())]));
}

pub(crate) async fn again(region: &Region) {
    region.kill().await;
    region.launch().await;
    region.is_well().await;
}

async fn kinds(ssctl: &Ssctl, name: &str) -> Vec<String> {
    let shown = ssctl.json(&["incident", "show", name]).await;
    let timeline = shown["timeline"].as_array().unwrap();
    timeline.iter().map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn one_page_arrives_though_the_daemon_is_killed_before_and_after_it_is_sent() {
    story(async {
        let region = Region::start().await;
        let receiver = Receiver::start(Mood::Unwell).await;
        pages(&region, &receiver);
        again(&region).await;
        let ssctl = region.admin();
        ssctl.ok(&["incident", "declare", "API errors", "--severity", "p1"]).await;
        // It is persisted, and nobody took it.
        until("it was tried", async || {
            holds(!receiver.sent("trigger").is_empty(), || "nothing was sent".to_owned())
        })
        .await;
        assert_eq!(receiver.keys("trigger"), BTreeSet::new());
        let waiting = ssctl.json(&["notify", "list", "--state", "waiting"]).await;
        assert_eq!(waiting.as_array().unwrap().len(), 1, "{waiting}");

        // Killed between the persist and the send.
        region.kill().await;
        receiver.becomes(Mood::Silent);
        region.launch().await;
        until("the next leader sends it", async || {
            holds(!receiver.keys("trigger").is_empty(), || "nothing was taken".to_owned())
        })
        .await;
        // Killed between the send and the note: the receiver has it, nobody knows.
        region.kill().await;
        receiver.becomes(Mood::Takes);
        region.launch().await;
        until("it is noted as sent", async || {
            let run = ssctl.run(&["notify", "list", "--state", "sent", "-o", "json"]).await;
            let sent: Value = serde_json::from_str(&run.stdout).unwrap_or_default();
            let count = sent.as_array().map_or(0, Vec::len);
            holds(count == 1, || format!("{count} are sent; {}", run.stderr))
        })
        .await;
        let keys = receiver.keys("trigger");
        assert_eq!(keys.len(), 1, "exactly one page by its key: {keys:?}");
        assert!(keys.first().unwrap().ends_with("/incidents/INC-1"), "{keys:?}");
        assert!(receiver.sent("trigger").len() >= 3, "it was killed too late to prove anything");
        let paged = kinds(ssctl, "INC-1").await;
        assert_eq!(paged.iter().filter(|kind| *kind == "paged").count(), 1, "{paged:?}");

        // Who takes it and who ends it is told under the same key.
        ssctl.ok(&["incident", "ack", "INC-1"]).await;
        ssctl.ok(&["incident", "resolve", "INC-1"]).await;
        until("its end arrives", async || {
            holds(receiver.keys("resolve") == keys, || format!("{:?}", receiver.keys("resolve")))
        })
        .await;
        assert_eq!(receiver.keys("acknowledge"), keys);
    });
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Where a region hears of an Alertmanager's alerts.
pub(crate) struct Door(Port);

impl Door {
    /// The region opens it at its next start.
    pub(crate) fn of(region: &Region) -> Self {
        let port = Port::take();
        let folder = region.config();
        let token = secret(folder.parent().unwrap(), "inbound-token");
        let inbound = toml::Table::from_iter([
            ("listen".to_owned(), port.address().to_string().into()),
            ("token_file".to_owned(), token.into()),
        ]);
        region.set("notify", "inbound", inbound);
        Self(port)
    }

    /// Posts an alert, as an Alertmanager does; the code of the answer.
    async fn post(&self, token: &str, status: &str) -> std::io::Result<u16> {
        let path = "/v1/alertmanager";
        http::post(self.0.address(), path, token, &posted(status)).await.map(|(code, _)| code)
    }

    /// Posts it until it is taken.
    pub(crate) async fn tell(&self, status: &str) {
        until("the alert is taken", async || {
            let code = self.post(TOKEN, status).await.map_err(|error| error.to_string())?;
            holds((200..300).contains(&code), || format!("answered {code}"))
        })
        .await;
    }
}

/// What an Alertmanager posts.
fn posted(status: &str) -> String {
    let end = if status == "firing" { "0001-01-01T00:00:00Z" } else { "2026-01-01T00:05:00Z" };
    json!({
        "version": "4", "groupKey": "{}:{}", "status": status, "receiver": "streamspace",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://x",
        "alerts": [{
            "status": status, "fingerprint": "c1a2b3c4d5e6f708",
            "labels": { "alertname": "CheckoutDown", "severity": "critical" },
            "annotations": { "summary": "checkout answers nobody" },
            "startsAt": "2026-01-01T00:00:00Z", "endsAt": end, "generatorURL": "http://x/graph"
        }]
    })
    .to_string()
}

#[test]
fn an_alert_becomes_a_post_mortem_in_under_ten_commands() {
    story(async {
        let region = Region::start().await;
        let receiver = Receiver::start(Mood::Takes).await;
        pages(&region, &receiver);
        let door = Door::of(&region);
        again(&region).await;
        let ssctl = region.admin();
        let create = ["tenant", "create", "acme-shop", "--plan", "business", "--seats", "1"];
        ssctl.ok(&[&create[..], &["--wait"]].concat()).await;

        door.tell("firing").await;
        assert_eq!(door.post("wrong", "firing").await.unwrap(), 401);
        door.tell("firing").await;
        until("the alert has paged", async || {
            holds(receiver.keys("trigger").len() == 1, || format!("{:?}", receiver.keys("trigger")))
        })
        .await;

        // The person who is woken.
        let open = ssctl.json(&["incident", "list"]).await;
        let open = open.as_array().unwrap();
        assert_eq!(open.len(), 1, "an alert that is told twice is one incident");
        assert_eq!(open[0]["title"], "checkout answers nobody");
        ssctl.ok(&["incident", "ack", "1"]).await;
        ssctl.ok(&["incident", "triage", "1", "--severity", "p1", "--tenant", "acme-shop"]).await;
        let act = ["tenant", "set", "acme-shop", "--seats", "2", "--incident", "INC-1"];
        ssctl.ok(&act).await;
        ssctl.ok(&["incident", "mitigate", "1", "more seats"]).await;
        ssctl.ok(&["incident", "resolve", "1"]).await;
        ssctl.ok(&["incident", "action", "1", "warn before seats run out", "--owner", "lee"]).await;
        let page = ssctl.ok(&["incident", "export", "1"]).await.stdout;
        ssctl.ok(&["incident", "review", "1"]).await;

        for part in [
            "# INC-1: checkout answers nobody\n",
            "| Severity | P1 |",
            "| acme-shop | business |",
            "| Mitigated | ",
            "UpdateTenant tenants/acme-shop seats 1 → 2",
            "more seats",
            "- [ ] warn before seats run out, lee",
        ] {
            assert!(page.contains(part), "no {part:?} in\n{page}");
        }
        // Its end tells nothing new, and changes nothing.
        door.tell("resolved").await;
        until("the end is in the timeline", async || {
            let kinds = kinds(ssctl, "1").await;
            holds(kinds.iter().any(|kind| kind == "alert"), || format!("{kinds:?}"))
        })
        .await;
        let shown = ssctl.json(&["incident", "show", "1"]).await;
        assert_eq!(shown["incident"]["state"], "INCIDENT_STATE_REVIEWED");
    });
}
