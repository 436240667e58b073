//! A bare gRPC client over TLS with whatever certificate a story wants, so that it sees
//! what a stranger's client would.

#![allow(clippy::panic, clippy::expect_used, reason = "a panic fails the story, as it should")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::{
    Status,
    transport::{Channel, Endpoint, Uri},
};
use tonic_types::StatusExt as _;

const CALL_LIMIT: Duration = Duration::from_secs(30);

/// A certificate with its key.
#[derive(Debug)]
pub struct Identity {
    /// The certificate, DER.
    pub certificate: CertificateDer<'static>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
    /// Both as PEM, for files.
    pub pem: (String, String),
}

impl Identity {
    /// One that is kept as PEM.
    pub fn from_pem(certificate: &str, key: &str) -> Self {
        Self {
            certificate: CertificateDer::from_pem_slice(certificate.as_bytes())
                .expect("a certificate"),
            key: PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key"),
            pem: (certificate.to_owned(), key.to_owned()),
        }
    }
}

/// A connected channel that trusts this authority and shows this certificate.
pub async fn channel(
    address: SocketAddr,
    authority: &CertificateDer<'static>,
    identity: Option<&Identity>,
) -> Channel {
    let tls = connector(authority, identity);
    let connector = tower::service_fn(move |_: Uri| {
        let tls = tls.clone();
        async move {
            let stream = TcpStream::connect(address).await?;
            // Waiting to fill a segment only adds delay.
            stream.set_nodelay(true)?;
            let name = ServerName::IpAddress(address.ip().into());
            tls.connect(name, stream).await.map(TokioIo::new)
        }
    });
    Endpoint::from_shared(format!("http://{address}"))
        .expect("an address")
        .timeout(CALL_LIMIT)
        .connect_with_connector(connector)
        .await
        .unwrap_or_else(|error| panic!("no connection to {address}: {error:?}"))
}

/// The certificate that the daemon there shows, which this authority signed.
pub async fn server_certificate(
    address: SocketAddr,
    authority: &CertificateDer<'static>,
) -> CertificateDer<'static> {
    let stream = TcpStream::connect(address).await.expect("the daemon listens");
    let name = ServerName::IpAddress(address.ip().into());
    let stream = connector(authority, None).connect(name, stream).await.expect("a handshake");
    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
    shown.first().expect("a certificate").clone().into_owned()
}

fn connector(authority: &CertificateDer<'static>, identity: Option<&Identity>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).expect("an authority");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots);
    let mut config = match identity {
        Some(identity) => config
            .with_client_auth_cert(vec![identity.certificate.clone()], identity.key.clone_key())
            .expect("certificate and key go together"),
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// The word for programs in a refusal.
pub fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

/// The fields that a refusal names.
pub fn fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = details.bad_request().map(|bad| bad.field_violations.clone());
    violations.unwrap_or_default().into_iter().map(|violation| violation.field).collect()
}
