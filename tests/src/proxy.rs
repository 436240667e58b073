//! A door between the daemon and the API server that can be made to fail: answers of its
//! own, delays, and connections that are cut.

#![allow(clippy::panic, clippy::expect_used, reason = "a panic fails the story, as it should")]

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::stream;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE, request::Parts};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use kube::client::Body;
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use crate::cluster::Cluster;

type Reply = Response<UnsyncBoxBody<hyper::body::Bytes, std::io::Error>>;
type Condition = Box<dyn Fn(&Parts) -> bool + Send + Sync>;

/// What is done instead of passing a request on.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The API server's answer with this status.
    Status(u16),
    /// The request is passed on this much later.
    Late(Duration),
}

/// The door. It closes when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    folder: TempDir,
    _serving: JoinSet<()>,
}

struct Shared {
    client: kube::Client,
    faults: Mutex<Vec<(Condition, Fault)>>,
    cuts: watch::Sender<u64>,
    seen: Mutex<Vec<(Method, String)>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Proxy {
    /// A door to this cluster, open on loopback.
    pub async fn before(cluster: &Cluster) -> Self {
        let shared = Arc::new(Shared {
            client: cluster.client().await.expect("a client"),
            faults: Mutex::default(),
            cuts: watch::Sender::new(0),
            seen: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let folder = TempDir::with_prefix("streamspace-proxy-").expect("a temporary folder");
        write_kubeconfig(&folder.path().join("kubeconfig"), address);
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, Arc::clone(&shared)));
        Self { shared, folder, _serving: serving }
    }

    /// The kubeconfig that leads through the door, as the cluster's administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// From now on every request that meets the condition has this fault.
    pub fn fail(&self, fault: Fault, when: impl Fn(&Parts) -> bool + Send + Sync + 'static) {
        self.shared.faults().push((Box::new(when), fault));
    }

    /// No more faults.
    pub fn mend(&self) {
        self.shared.faults().clear();
    }

    /// Cuts every answer that is under way; watches are.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cut| *cut += 1);
    }

    /// Method and path of every request so far.
    pub fn seen(&self) -> Vec<(Method, String)> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether a request changes something.
pub fn writes(parts: &Parts) -> bool {
    !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether a request opens a watch.
pub fn watches(parts: &Parts) -> bool {
    parts.uri.query().is_some_and(|query| query.contains("watch=true"))
}

impl Shared {
    fn faults(&self) -> std::sync::MutexGuard<'_, Vec<(Condition, Fault)>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(self: Arc<Self>, request: Request<hyper::body::Incoming>) -> Reply {
        let (parts, body) = request.into_parts();
        let seen = (parts.method.clone(), parts.uri.path().to_owned());
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        let fault =
            self.faults().iter().find(|(when, _)| when(&parts)).map(|(_, fault)| fault.clone());
        match fault {
            Some(Fault::Status(code)) => return status(code),
            Some(Fault::Late(delay)) => tokio::time::sleep(delay).await,
            None => {}
        }
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return status(400),
        };
        let mut onward = Request::from_parts(parts, Body::from(body));
        // The client sets its own.
        onward.headers_mut().remove(http::header::HOST);
        let Ok(answer) = self.client.send(onward).await else { return status(502) };
        let cuts = self.cuts.subscribe();
        let (parts, body) = answer.into_parts();
        let frames = stream::unfold((body, cuts), async |(mut body, mut cuts)| {
            let frame = tokio::select! {
                _ = cuts.changed() => Some(Err(std::io::Error::other("cut"))),
                frame = body.frame() => frame.map(|frame| frame.map_err(std::io::Error::other)),
            };
            frame.map(|frame| (frame, (body, cuts)))
        });
        Response::from_parts(parts, StreamBody::new(frames).boxed_unsync())
    }
}

/// An answer as the API server gives it.
fn status(code: u16) -> Reply {
    let words = StatusCode::from_u16(code).ok().and_then(|code| code.canonical_reason());
    let reason = words.unwrap_or("Unknown").replace(' ', "");
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("the door answers {code}"), "reason": reason, "code": code,
    });
    let body = Full::from(status.to_string()).map_err(|never| match never {}).boxed_unsync();
    let reply = Response::builder().status(code).header(CONTENT_TYPE, "application/json");
    reply.body(body).expect("a valid answer")
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = hyper::service::service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, std::convert::Infallible>(shared.answer(request).await) }
    });
    // A connection that breaks is the daemon's to deal with.
    let _ended = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn write_kubeconfig(path: &Path, address: SocketAddr) {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "door",
        "clusters": [{"name": "door", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "door", "user": {}}],
        "contexts": [{"name": "door", "context": {"cluster": "door", "user": "door"}}],
    });
    std::fs::write(path, config.to_string()).expect("the folder is ours");
}
