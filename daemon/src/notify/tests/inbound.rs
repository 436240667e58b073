//! What an Alertmanager may tell, and how it is taken.

use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    http_client::{Client, Question, Terms},
    notify::{InboundAlert, inbound, take_inbound},
};

/// The door of a world: where it is.
pub(super) async fn open(world: &World) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let db = world.test.database().clone();
    tokio::spawn(inbound::serve(listener, world.secret(), db, CancellationToken::new()));
    url
}

async fn post(url: &str, token: &str, body: impl Into<bytes::Bytes>) -> (u16, String) {
    let client = Client::new(url, None, None, Terms::QUERY).unwrap();
    let header = HeaderValue::from_str(token).unwrap();
    let question = Question {
        headers: vec![(HeaderName::from_static("authorization"), header)],
        ..Question::json(Method::POST, "/v1/alertmanager", body)
    };
    let answer = client.ask(question).await.unwrap();
    (answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned())
}

fn told(status: &str, fingerprint: &str) -> Value {
    json!({ "version": "4", "alerts": [{
        "status": status, "fingerprint": fingerprint,
        "labels": { "alertname": "Down" }, "annotations": { "summary": "it is down" },
        "startsAt": "2026-03-01T12:00:00Z",
        "endsAt": if status == "firing" { "0001-01-01T00:00:00Z" } else { "2026-03-01T13:00:00Z" },
        "generatorURL": "http://p/graph",
    }]})
}

impl World {
    pub(super) async fn take(&self, limit: i64) -> Vec<InboundAlert> {
        let mut tx = self.test.database().begin(&Scope::Region).await.unwrap();
        let taken = take_inbound(&mut tx, limit).await.unwrap();
        tx.commit().await.unwrap();
        taken
    }
}

const TOKEN: &str = "Bearer 0123456789abcdef";

#[tokio::test]
async fn what_we_told_an_alertmanager_ourselves_is_not_taken() {
    let world = World::start().await;
    let url = open(&world).await;
    let mut ours = told("firing", "aa");
    ours["alerts"][0]["labels"] =
        json!({ "alertname": "StreamSpace", "dedup_key": "streamspace/us-west-2/incidents/INC-1" });
    assert_eq!(post(&url, TOKEN, ours.to_string()).await.0, 200);
    assert!(world.take(10).await.is_empty());
    ours["alerts"][0]["labels"]["alertname"] = json!("Down");
    assert_eq!(post(&url, TOKEN, ours.to_string()).await.0, 200);
    assert_eq!(world.take(10).await.len(), 1);
}

#[tokio::test]
async fn who_shows_no_token_or_no_notification_is_told_why() {
    let world = World::start().await;
    let url = open(&world).await;
    let whole = told("firing", "aa").to_string();
    for (token, body, code, words) in [
        ("Bearer wrong", whole.clone(), 401, "show the bearer token"),
        ("", whole.clone(), 401, "show the bearer token"),
        ("Bearer ", whole.clone(), 401, "show the bearer token"),
        (TOKEN, "{".into(), 400, "no notification"),
        (TOKEN, whole.replace("\"4\"", "\"5\""), 400, "version"),
        (TOKEN, " ".repeat(1 << 20) + &whole, 413, "at most 1 MiB"),
    ] {
        let (got, said) = post(&url, token, body).await;
        assert!(got == code && said.contains(words), "{code}: {got} {said}");
    }
    assert_eq!(world.take(10).await, []);
    std::fs::remove_file(world.secret()).unwrap();
    assert_eq!(post(&url, TOKEN, whole).await.0, 503, "nobody is believed");
}

#[tokio::test]
async fn an_alert_is_taken_once_and_again_when_it_ends() {
    let world = World::start().await;
    let url = open(&world).await;
    let tell = async |status: &str, fingerprint: &str| {
        let (code, said) = post(&url, TOKEN, told(status, fingerprint).to_string()).await;
        assert_eq!(code, 200, "{said}");
    };
    tell("firing", "aa").await;
    tell("firing", "aa").await;
    tell("firing", "bb").await;
    // Who does not commit has taken nothing.
    let mut tx = world.test.database().begin(&Scope::Region).await.unwrap();
    assert_eq!(take_inbound(&mut tx, 1).await.unwrap().len(), 1);
    let other = world.take(10).await;
    assert_eq!(other.len(), 1, "of two who take at once each gets others");
    tx.rollback().await.unwrap();
    let first = world.take(10).await;
    assert_eq!((first.len(), other.len()), (1, 1));
    assert_eq!(first[0].labels["alertname"], "Down");
    assert!(first[0].firing && first[0].ends.is_none());
    tell("firing", "aa").await;
    assert_eq!(world.take(10).await, [], "it is known");
    tell("resolved", "aa").await;
    tell("firing", "aa").await;
    let ended = world.take(10).await;
    assert_eq!(ended.len(), 1);
    assert!(!ended[0].firing, "what comes late undoes nothing");
    assert_eq!(ended[0].ends.unwrap().to_string(), "2026-03-01T13:00:00Z");
}
