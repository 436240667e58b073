//! A receiver of pages, as PagerDuty's Events API v2 is one: it takes events by HTTP, and
//! those of one key are one incident.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It takes the event.
    Takes,
    /// It is unwell, and takes nothing.
    Unwell,
    /// It takes the event and never answers.
    Silent,
}

#[derive(Debug)]
struct Inner {
    mood: Mood,
    /// All that were sent, with whether it took them.
    events: Vec<(Value, bool)>,
}

/// A receiver that listens until the runtime ends.
#[derive(Clone, Debug)]
pub struct Receiver {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

impl Receiver {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// Where no port is free.
    pub async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        #[allow(clippy::expect_used, reason = "a panic fails the story, as it should")]
        let listener = listener.expect("a free port");
        #[allow(clippy::expect_used, reason = "a panic fails the story, as it should")]
        let address = listener.local_addr().expect("it listens");
        let inner = Arc::new(Mutex::new(Inner { mood, events: Vec::new() }));
        let router = Router::new().route("/v2/enqueue", post(take)).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, inner }
    }

    /// Where it takes events.
    pub fn url(&self) -> String {
        format!("http://{}/v2/enqueue", self.address)
    }

    /// Changes how it answers.
    pub fn becomes(&self, mood: Mood) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).mood = mood;
    }

    /// The events of an action that were sent to it, taken or not.
    pub fn sent(&self, action: &str) -> Vec<Value> {
        self.events(action, |_| true)
    }

    /// The keys of the incidents that it has by events of an action.
    pub fn keys(&self, action: &str) -> BTreeSet<String> {
        let taken = self.events(action, |taken| taken);
        let key = |event: &Value| Some(event.get("dedup_key")?.as_str()?.to_owned());
        taken.iter().filter_map(key).collect()
    }

    fn events(&self, action: &str, which: impl Fn(bool) -> bool) -> Vec<Value> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |event: &Value| event.get("event_action") == Some(&json!(action));
        let found = inner.events.iter().filter(|(event, taken)| which(*taken) && of(event));
        found.map(|(event, _)| event.clone()).collect()
    }
}

async fn take(State(inner): State<Arc<Mutex<Inner>>>, body: Bytes) -> (StatusCode, String) {
    let Ok(event) = serde_json::from_slice(&body) else {
        return (StatusCode::BAD_REQUEST, json!({ "status": "invalid event" }).to_string());
    };
    let mood = {
        let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mood = inner.mood;
        inner.events.push((event, mood != Mood::Unwell));
        mood
    };
    match mood {
        Mood::Takes => (StatusCode::ACCEPTED, json!({ "status": "success" }).to_string()),
        Mood::Unwell => {
            (StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "unwell" }).to_string())
        }
        Mood::Silent => std::future::pending().await,
    }
}
