//! The TLS acceptor: TLS 1.3 only, hybrid post-quantum key exchange, no resumption.
//!
//! The handshake asks for a client certificate and proves that the peer holds its
//! key. It judges neither chain nor expiry: an alert mostly reaches the client as
//! "broken pipe", so [`super::peer`] judges and answers in words. A resumed session
//! would skip even the proof, so there are no tickets and no session storage.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
    time::Duration,
};

use futures::Stream;
use rustls::{
    DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime},
    server::{
        ClientHello, NoServerSessionStorage, ResolvesServerCert,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use super::{
    limits::{ConnectionLimits, PeerSlot, PeerSlots},
    peer::PeerInfo,
};

/// Why the acceptor cannot be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The certificate and the key do not go together, or the key is of a kind that
    /// cannot sign.
    #[error("the server certificate cannot be used ({0}): check that it belongs to its key")]
    Certificate(#[source] rustls::Error),
    /// The cryptographic provider lacks TLS 1.3.
    #[error("TLS 1.3 cannot be set up: {0}")]
    Protocol(#[source] rustls::Error),
}

/// The server's own certificate. It can be replaced while connections are served;
/// each handshake takes the one of its moment.
pub struct ServingCertificate {
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl ServingCertificate {
    /// Begins with this chain (leaf first) and key.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Arc<Self>, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let current =
            CertifiedKey::from_der(chain, key, &provider).map_err(TlsError::Certificate)?;
        Ok(Arc::new(Self { provider, current: RwLock::new(Arc::new(current)) }))
    }

    /// Uses this chain and key from the next handshake on. Where they do not go
    /// together, the former ones stay.
    pub fn replace(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<(), TlsError> {
        let next =
            CertifiedKey::from_der(chain, key, &self.provider).map_err(TlsError::Certificate)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        Ok(())
    }
}

impl fmt::Debug for ServingCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServingCertificate(…)")
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Asks for a certificate and proves possession of its key, nothing more.
#[derive(Debug)]
struct PossessionVerifier {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for PossessionVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // No hint: a client with a certificate of another authority shall send it, so
        // that it can be told what is wrong.
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The configuration of every handshake.
pub fn server_config(serving: Arc<ServingCertificate>) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::clone(&serving.provider);
    let verifier = PossessionVerifier { algorithms: provider.signature_verification_algorithms };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Protocol)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(serving);
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.send_tls13_tickets = 0;
    config.max_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

/// A connection after its handshake.
#[derive(Debug)]
pub struct Connection {
    stream: TlsStream<TcpStream>,
    peer: PeerInfo,
    _slot: PeerSlot,
}

impl Connected for Connection {
    type ConnectInfo = PeerInfo;

    fn connect_info(&self) -> PeerInfo {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

/// How long to wait after the system refused to accept, for example for lack of
/// file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that are ready and not yet taken by the server.
const READY: usize = 16;

/// Accepts connections and finishes their handshakes, until told to stop. A failed
/// handshake is logged and costs nobody else anything; the stream yields no errors.
pub fn incoming(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    limits: ConnectionLimits,
    stop: CancellationToken,
) -> impl Stream<Item = io::Result<Connection>> + Send + 'static {
    let (ready, connections) = mpsc::channel(READY);
    tokio::spawn(async move {
        let slots = PeerSlots::new(limits.connections_per_peer, limits.connections);
        let handshakes = Arc::new(Semaphore::new(limits.handshakes));
        let acceptor = TlsAcceptor::from(config);
        let accept = async {
            while let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await {
                let Some((stream, address)) = accept(&listener).await else { continue };
                let Some(slot) = slots.take(address.ip()) else {
                    tracing::warn!(peer = %address, "too many connections of this peer; closed");
                    continue;
                };
                tokio::spawn(handshake(
                    acceptor.clone(),
                    stream,
                    (address, slot, permit),
                    limits.handshake_time,
                    ready.clone(),
                ));
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = ready.closed() => {}
            () = accept => {}
        }
    });
    ReceiverStream::new(connections)
}

async fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            tracing::warn!(%error, "a connection cannot be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn handshake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    (address, slot, permit): (SocketAddr, PeerSlot, OwnedSemaphorePermit),
    time: Duration,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    // Small messages back and forth: waiting to fill a segment only adds delay.
    let _ = stream.set_nodelay(true);
    let stream = match timeout(time, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(peer = %address, %error, "a handshake failed");
            return;
        }
        Err(_) => {
            tracing::debug!(peer = %address, "a handshake took too long");
            return;
        }
    };
    drop(permit);
    let certificates = stream
        .get_ref()
        .1
        .peer_certificates()
        .unwrap_or_default()
        .iter()
        .cloned()
        .map(CertificateDer::into_owned)
        .collect();
    let peer = PeerInfo::new(address, certificates);
    // An error means that the server is gone, and so is the connection.
    let _ = ready.send(Ok(Connection { stream, peer, _slot: slot })).await;
}
