//! Where the cluster asks whether a session may start: a listener of its own over TLS,
//! which every replica serves.
//!
//! It is asked by the API server, and reached by whoever reaches its address. So it
//! believes nothing: a question has a largest size and a longest time, and what it can
//! ask for at worst is a reservation, which ends by itself.

use std::{convert::Infallible, io, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::{HttpService, service_fn},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::reservations::Admission;
use crate::rpc::{
    limits::ConnectionLimits,
    tls::{self, ServingCertificate},
};

pub mod reach;
mod review;
#[cfg(test)]
mod tests;

/// Where it answers.
pub const PATH: &str = "/admit";
/// The largest question. A session and what it was before are far smaller.
const SIZE: usize = 1 << 20;
/// The longest that an answer takes: less than the API server waits for it, so that it
/// hears why.
const TIME: Duration = Duration::from_millis(4500);
/// The longest that a connection rests: longer than the API server keeps one, so that it
/// is the API server who closes it, and never while it asks.
const IDLE: Duration = Duration::from_mins(2);
/// The longest that a stop waits for answers under way.
const FAREWELL: Duration = Duration::from_secs(5);

/// Answers until it is stopped; then the questions under way are answered.
pub async fn serve(
    listener: TcpListener,
    certificate: Arc<ServingCertificate>,
    admission: Admission,
    stop: CancellationToken,
) -> io::Result<()> {
    let config = tls::server_config(certificate).map_err(io::Error::other)?;
    // The API server asks in HTTP/1.1, so that its connections spread over replicas.
    let mut config = ServerConfig::clone(&config);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let limits = ConnectionLimits::default();
    let mut connections = Box::pin(tls::incoming(listener, Arc::new(config), limits, stop.clone()));
    let under_way = TaskTracker::new();
    while let Some(Some(connection)) = stop.run_until_cancelled(connections.next()).await {
        let Ok(connection) = connection else { continue };
        let admission = admission.clone();
        let service = service_fn(move |request| {
            let admission = admission.clone();
            async move { Ok::<_, Infallible>(answer(&admission, request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .serve_connection(TokioIo::new(connection), service);
        under_way.spawn(converse(connection, stop.clone()));
    }
    under_way.close();
    under_way.wait().await;
    Ok(())
}

/// Answers what comes over one connection. After a stop that is what was asked before it;
/// whoever is still slow then is cut off.
async fn converse<S>(
    connection: http1::Connection<TokioIo<tls::Connection>, S>,
    stop: CancellationToken,
) where
    S: HttpService<Incoming, ResBody = Full<Bytes>, Error = Infallible>,
{
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(FAREWELL, connection).await.ok()
        }
    };
    if let Some(Err(error)) = ended {
        tracing::debug!(%error, "a connection of the webhook broke");
    }
}

/// Answers one question within the time.
async fn answer<B>(admission: &Admission, request: Request<B>) -> Response<Full<Bytes>>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send,
{
    if request.uri().path() != PATH {
        return plain(StatusCode::NOT_FOUND, "the webhook answers at /admit");
    }
    if request.method() != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "an AdmissionReview is sent with POST");
    }
    let reviewed = tokio::time::timeout(TIME, reviewed(admission, request));
    reviewed.await.unwrap_or_else(|_elapsed| {
        admission.could_not_judge();
        plain(StatusCode::GATEWAY_TIMEOUT, "the answer took too long; try again")
    })
}

async fn reviewed<B>(admission: &Admission, request: Request<B>) -> Response<Full<Bytes>>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send,
{
    let body = match Limited::new(request.into_body(), SIZE).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return plain(StatusCode::PAYLOAD_TOO_LARGE, "an AdmissionReview has at most 1 MiB");
        }
        Err(_) => return plain(StatusCode::BAD_REQUEST, "the AdmissionReview broke off"),
    };
    match review::review(admission, &body).await {
        Ok(answer) => json(answer.to_string()),
        Err(fault) => plain(StatusCode::BAD_REQUEST, &fault),
    }
}

fn json(body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    let kind = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn plain(status: StatusCode, words: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{words}\n"))));
    *response.status_mut() = status;
    response
}
