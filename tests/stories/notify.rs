//! What is to be told reaches its receiver, whatever becomes of the daemon; and an
//! Alertmanager reaches the daemon.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use streamspace_tests::{
    development::Development,
    http,
    ports::Port,
    runtime::story,
    wait::{holds, until},
};
use tokio::net::TcpListener;

/// A receiver that is ill until it is made well, and the keys of what it got.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<(bool, Vec<String>)>>);

impl Receiver {
    async fn start(&self) -> String {
        let receive = async |State(receiver): State<Self>, headers: HeaderMap| {
            let mut inner = receiver.0.lock().unwrap();
            inner.1.push(headers["idempotency-key"].to_str().unwrap().to_owned());
            if inner.0 { StatusCode::ACCEPTED } else { StatusCode::SERVICE_UNAVAILABLE }
        };
        let router = Router::new().fallback(receive).with_state(self.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn got(&self) -> Vec<String> {
        self.0.lock().unwrap().1.clone()
    }

    fn is_well(&self) {
        self.0.lock().unwrap().0 = true;
    }
}

/// The status of a notification of an Alertmanager.
async fn tell(port: &Port, token: &str) -> u16 {
    let body = r#"{"version":"4","alerts":[]}"#;
    http::post(port.address(), "/v1/alertmanager", token, body).await.unwrap().0
}

#[test]
fn what_is_to_be_told_outlives_the_daemon() {
    story(async {
        let receiver = Receiver::default();
        let url = receiver.start().await;
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "0123456789abcdef").unwrap();
        let port = Port::take();
        let config = folder.path().join("dev.toml");
        let text = format!(
            "[notify.channels.hook]\nkind = 'webhook'\nfor = ['page']\nurl = '{url}'\n\
             [notify.inbound]\nlisten = '{}'\ntoken_file = '{}'\n",
            port.address(),
            token.display()
        );
        std::fs::write(&config, text).unwrap();
        let config = config.display().to_string();
        let arguments = ["--no-samples", "--config", &config];
        let mut dev = Development::new();
        dev.start(&arguments).await;
        dev.ssctl().ok(&["notify", "test", "hook", "--reason", "story"]).await;
        until("it was tried, and the receiver is ill", async || {
            holds(!receiver.got().is_empty(), || "nothing came".to_owned())
        })
        .await;
        assert_eq!(tell(&port, "wrong").await, 401);
        assert_eq!(tell(&port, "0123456789abcdef").await, 200);

        dev.kill().await;
        receiver.is_well();
        dev.start(&arguments).await;
        until("it was sent", async || {
            let list = dev.ssctl().json(&["notify", "list"]).await;
            holds(list[0]["state"] == "NOTICE_STATE_SENT", || list.to_string())
        })
        .await;
        let got = receiver.got();
        assert!(got.len() > 1 && got.iter().all(|key| *key == got[0]), "{got:?}");
        let channels = dev.ssctl().json(&["notify", "channels"]).await;
        assert_eq!(channels[0]["name"], "channels/hook");
        assert!(channels[0]["lastSuccessTime"].is_string(), "{channels}");
        let tested = ["notify", "test", "hook", "--wait", "--reason", "story"];
        dev.ssctl().ok(&tested).await.says("hook");
        dev.interrupt().await;
    });
}
