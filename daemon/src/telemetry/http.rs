//! `/metrics`, `/livez` and `/readyz` over plain HTTP.

use std::sync::Arc;

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::metrics;
use crate::regions::health::{Health, HealthBoard, Part};

#[derive(Clone)]
struct Sources {
    registry: Arc<Registry>,
    board: HealthBoard,
}

/// Serves until it is stopped.
pub async fn serve(
    listener: TcpListener,
    registry: Registry,
    board: HealthBoard,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(show_metrics))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(Sources { registry: Arc::new(registry), board });
    axum::serve(listener, router)
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await
}

async fn show_metrics(State(sources): State<Sources>) -> impl IntoResponse {
    const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match metrics::text(&sources.registry) {
        Ok(text) => Ok(([("content-type", FORMAT)], text)),
        Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Ready is who can answer reads: the database is there. The cluster may be away; its
/// health is in the body.
async fn ready(State(sources): State<Sources>) -> impl IntoResponse {
    let lines: Vec<String> = sources
        .board
        .read()
        .into_iter()
        .map(|(part, report)| {
            format!("{} {:?}: {}\n", part.as_str(), report.health, report.message)
        })
        .collect();
    let code = match sources.board.health_of(Part::Database) {
        Health::Ok | Health::Degraded => StatusCode::OK,
        Health::Unknown | Health::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    (code, lines.concat())
}
