//! The gRPC server: services behind the layers, over connections whose handshakes
//! are done.

use std::{io, sync::Arc, time::Duration};

use streamspace_proto::{FILE_DESCRIPTOR_SET, policy::Method};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{
    service::{Routes, RoutesBuilder},
    transport::Server,
};

use super::{
    Clock,
    audit::{AuditLayer, AuditSink},
    limits::ConnectionLimits,
    observe::{CallObserver, ObserveLayer},
    peer::PeerJudge,
    policy::PolicyLayer,
    tls::{self, ServingCertificate},
};

/// Open connections are made anew after this long, so that a renewed certificate and
/// a new replica are taken up. With jitter, by the server.
const CONNECTION_AGE: Duration = Duration::from_hours(1);
const CONNECTION_GRACE: Duration = Duration::from_secs(30);
const KEEPALIVE_PERIOD: Duration = Duration::from_secs(20);
const KEEPALIVE_LIMIT: Duration = Duration::from_secs(10);
/// Streams of one connection at a time, and what of them is worked on.
const STREAMS: u32 = 128;

/// What stands between a connection and the services.
pub struct Layers {
    /// Every method and its rule.
    pub methods: Vec<Method>,
    /// Who is who.
    pub judge: Arc<PeerJudge>,
    /// Where intents and outcomes go.
    pub sink: Arc<dyn AuditSink>,
    /// Who counts and times the calls.
    pub observer: Arc<dyn CallObserver>,
    /// The time by which certificates are judged.
    pub clock: Clock,
    /// Mutations under way, which run to their end also while the daemon stops.
    pub calls: TaskTracker,
}

/// Serves until it is stopped; then calls under way end, and streams are ended by
/// their services.
pub async fn serve(
    listener: TcpListener,
    certificate: Arc<ServingCertificate>,
    layers: Layers,
    services: Routes,
    stop: CancellationToken,
) -> io::Result<()> {
    let config = tls::server_config(certificate).map_err(io::Error::other)?;
    let connections = tls::incoming(listener, config, ConnectionLimits::default(), stop.clone());
    Server::builder()
        .max_connection_age(CONNECTION_AGE)
        .max_connection_age_grace(CONNECTION_GRACE)
        .http2_keepalive_interval(Some(KEEPALIVE_PERIOD))
        .http2_keepalive_timeout(Some(KEEPALIVE_LIMIT))
        .max_concurrent_streams(STREAMS)
        .layer(ObserveLayer::new(layers.observer, &layers.methods))
        .layer(PolicyLayer::new(
            layers.methods,
            layers.judge,
            Arc::clone(&layers.sink),
            layers.clock,
        ))
        .layer(AuditLayer::new(layers.sink, layers.calls))
        .add_routes(services)
        .serve_with_incoming_shutdown(connections, async move { stop.cancelled().await })
        .await
        .map_err(io::Error::other)
}

/// Adds the services that every gRPC server has: health, and reflection over the
/// contract.
pub fn add_health_and_reflection(services: &mut RoutesBuilder) {
    let (reporter, health) = tonic_health::server::health_reporter();
    // The server as a whole serves as long as it answers.
    drop(reporter);
    services.add_service(health);
    let contract = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
    };
    match (contract().build_v1(), contract().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => {
            services.add_service(v1).add_service(v1alpha);
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "reflection is not served");
        }
    }
}
