//! A receiver that answers as it is told, and remembers what it got.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use serde_json::Value;
use tokio::net::TcpListener;

/// What it does with a question.
#[derive(Clone, Debug)]
pub(super) enum Manner {
    /// Answers so, with this `Retry-After` where there is one, and this body.
    Answers(u16, Option<&'static str>, String),
    /// Says nothing.
    Hangs,
    /// Ends the connection in the middle of its answer.
    Closes,
}

impl Manner {
    pub(super) fn status(code: u16) -> Self {
        Self::Answers(code, None, String::new())
    }

    pub(super) fn json(body: &Value) -> Self {
        Self::Answers(200, None, body.to_string())
    }
}

/// A question that it got.
#[derive(Clone, Debug)]
pub(super) struct Got {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) text: String,
}

impl Got {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

#[derive(Default)]
struct Memory {
    manners: VecDeque<Manner>,
    got: Vec<Got>,
}

/// A receiver of one test. It answers 202 where it is not told otherwise.
#[derive(Clone)]
pub(super) struct Receiver {
    url: String,
    memory: Arc<Mutex<Memory>>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let memory = Arc::new(Mutex::new(Memory::default()));
        let router = Router::new().fallback(receive).with_state(Arc::clone(&memory));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, memory }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What it does with the next questions, in their order.
    pub(super) fn next(&self, manners: impl IntoIterator<Item = Manner>) {
        self.memory.lock().unwrap().manners.extend(manners);
    }

    /// What it got so far.
    pub(super) fn got(&self) -> Vec<Got> {
        self.memory.lock().unwrap().got.clone()
    }
}

async fn receive(State(memory): State<Arc<Mutex<Memory>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let text = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()));
    let got = Got {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: headers.collect(),
        text,
    };
    let manner = {
        let mut memory = memory.lock().unwrap();
        memory.got.push(got);
        memory.manners.pop_front().unwrap_or(Manner::status(202))
    };
    match manner {
        Manner::Answers(code, wait, body) => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::from_u16(code).unwrap();
            if let Some(wait) = wait {
                response.headers_mut().insert("retry-after", wait.parse().unwrap());
            }
            response
        }
        Manner::Hangs => std::future::pending().await,
        Manner::Closes => {
            let broken = futures::stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("gone"))]);
            Response::new(Body::from_stream(broken))
        }
    }
}
