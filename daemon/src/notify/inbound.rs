//! What an Alertmanager tells: its webhook, on a listener of its own that every replica
//! serves. What it tells is kept until somebody takes it.

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc, time::Duration};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::{StatusCode, header::AUTHORIZATION},
    routing::post,
};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::send::ALERT_NAME;
use crate::{
    db::{Database, DbError, Scope},
    http_client::secret,
};

mod parse;
mod store;

pub(super) use store::prune;
pub use store::{leave_inbound, take_inbound};

/// Where it listens.
const PATH: &str = "/v1/alertmanager";
/// The largest notification: thousands of alerts.
const SIZE: usize = 1 << 20;
/// The longest that a notification takes to come in and to be kept.
const TIME: Duration = Duration::from_secs(10);

/// An alert that an Alertmanager told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundAlert {
    /// Names its labels.
    pub fingerprint: String,
    /// Whether it fires; if not, it has ended. One that fired and ended before anybody took it
    /// is seen only as ended.
    pub firing: bool,
    /// What it is about.
    pub labels: BTreeMap<String, String>,
    /// What it says.
    pub annotations: BTreeMap<String, String>,
    /// Since when.
    pub starts: Timestamp,
    /// Until when, where it has ended.
    pub ends: Option<Timestamp>,
    /// Where it comes from.
    pub generator_url: String,
}

#[derive(Clone)]
struct Door {
    db: Database,
    token_file: Arc<PathBuf>,
}

/// What is answered.
type Answer = (StatusCode, String);

/// Serves until it is stopped.
pub async fn serve(
    listener: TcpListener,
    token_file: PathBuf,
    db: Database,
    stop: CancellationToken,
) -> io::Result<()> {
    let router = Router::new()
        .route(PATH, post(receive))
        .with_state(Door { db, token_file: Arc::new(token_file) });
    axum::serve(listener, router)
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await
}

fn answer(status: StatusCode, words: impl Into<String>) -> Answer {
    let mut words = words.into();
    words.push('\n');
    (status, words)
}

async fn receive(State(door): State<Door>, request: Request) -> Answer {
    if let Err(refusal) = admit(&door, &request) {
        return refusal;
    }
    let received = tokio::time::timeout(TIME, take(&door, request));
    received.await.unwrap_or_else(|_elapsed| {
        answer(StatusCode::SERVICE_UNAVAILABLE, "it took too long; send it again")
    })
}

/// Whether it shows the token.
fn admit(door: &Door, request: &Request) -> Result<(), Answer> {
    let wanted = secret(&door.token_file).map_err(|error| {
        tracing::error!(%error, "no Alertmanager is believed: its token cannot be read");
        answer(StatusCode::SERVICE_UNAVAILABLE, "the daemon cannot read its token_file")
    })?;
    let shown = request.headers().get(AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
    let shown = shown.strip_prefix(b"Bearer ").unwrap_or_default();
    verify_slices_are_equal(shown, wanted.as_bytes()).map_err(|_| {
        answer(
            StatusCode::UNAUTHORIZED,
            "show the bearer token of notify.inbound.token_file: http_config.authorization of \
             the Alertmanager's receiver",
        )
    })
}

async fn take(door: &Door, request: Request) -> Answer {
    let body = match to_bytes(request.into_body(), SIZE).await {
        Ok(body) => body,
        Err(error) if is_too_long(&error) => {
            let words = "a notification has at most 1 MiB: set max_alerts of the receiver";
            return answer(StatusCode::PAYLOAD_TOO_LARGE, words);
        }
        Err(_) => return answer(StatusCode::BAD_REQUEST, "the notification broke off"),
    };
    let alerts = match parse::parse(&body) {
        Ok(alerts) => alerts,
        Err(fault) => return answer(StatusCode::BAD_REQUEST, fault),
    };
    match keep(&door.db, &alerts).await {
        Ok(()) => answer(StatusCode::OK, format!("{} alerts", alerts.len())),
        Err(error) => {
            tracing::warn!(%error, "what an Alertmanager told is not kept; it tells it again");
            answer(StatusCode::SERVICE_UNAVAILABLE, "it cannot be kept now; send it again")
        }
    }
}

/// Whether it is of a daemon like this one, which told an Alertmanager.
fn is_ours(alert: &InboundAlert) -> bool {
    let label = |name: &str| alert.labels.get(name).map(String::as_str).unwrap_or_default();
    label("alertname") == ALERT_NAME && label("dedup_key").starts_with("streamspace/")
}

fn is_too_long(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

async fn keep(db: &Database, alerts: &[InboundAlert]) -> Result<(), DbError> {
    let mut tx = db.begin(&Scope::Region).await?;
    // What we told an Alertmanager comes back to us from it: an incident about our own page
    // would page again.
    for alert in alerts.iter().filter(|alert| !is_ours(alert)) {
        store::keep(&mut tx, alert).await?;
    }
    tx.commit().await?;
    Ok(())
}
