//! The outermost layer: every call gets a span that its log lines share, and is
//! counted and timed.

use std::{
    collections::HashSet,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, Request, Response};
use streamspace_proto::policy::Method;
use tonic::body::Body;
use tower::{Layer, Service};
use tracing::Instrument as _;

/// Is told of every call that was answered. For a stream that is its beginning.
pub trait CallObserver: Send + Sync + 'static {
    /// `method` is a method of the contract, or `other`; `code` the gRPC status code.
    fn finished(&self, method: &str, code: i32, took: Duration);
}

/// Makes [`ObserveService`]s. It stands outside all others.
#[derive(Clone)]
pub struct ObserveLayer {
    observer: Arc<dyn CallObserver>,
    /// The known paths: what a peer makes up must not become a label.
    known: Arc<HashSet<String>>,
}

impl ObserveLayer {
    /// Tells `observer` of calls of these methods, and of all others as `other`.
    pub fn new(observer: Arc<dyn CallObserver>, methods: &[Method]) -> Self {
        let known = methods.iter().map(|method| method.path.clone()).collect();
        Self { observer, known: Arc::new(known) }
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = ObserveService<S>;

    fn layer(&self, inner: S) -> ObserveService<S> {
        ObserveService { inner, layer: self.clone() }
    }
}

/// A service whose calls are observed.
#[derive(Clone)]
pub struct ObserveService<S> {
    inner: S,
    layer: ObserveLayer,
}

impl<S> Service<Request<Body>> for ObserveService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path().trim_start_matches('/');
        let method = if self.layer.known.contains(path) { path } else { "other" }.to_owned();
        let observer = Arc::clone(&self.layer.observer);
        let begin = Instant::now();
        // The policy layer fills in the id.
        let span = tracing::info_span!("call", method, call_id = tracing::field::Empty);
        let answer = self.inner.call(request);
        async move {
            let response = answer.await?;
            let took = begin.elapsed();
            let code = code_of(response.headers());
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(code, took_ms, "call answered");
            observer.finished(&method, code, took);
            Ok(response)
        }
        .instrument(span)
        .boxed()
    }
}

/// An answer without a status in its headers carries it in its trailers: a stream
/// that began, or a reply.
fn code_of(headers: &HeaderMap) -> i32 {
    headers
        .get("grpc-status")
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}
