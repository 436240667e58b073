//! Handshakes over real sockets.

use std::{net::SocketAddr, time::Duration};

use rustls::{
    ClientConfig, NamedGroup, ProtocolVersion, RootCertStore, SignatureScheme,
    client::{ResolvesClientCert, Resumption},
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    sign::CertifiedKey,
};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected as _;

use super::*;
use crate::rpc::{
    limits::ConnectionLimits,
    tls::{Connection, ServingCertificate, incoming, server_config},
};

struct Server {
    region: Region,
    address: SocketAddr,
    serving: Arc<ServingCertificate>,
    connections: tokio::sync::mpsc::Receiver<Connection>,
    stop: CancellationToken,
}

impl Server {
    async fn start(limits: ConnectionLimits) -> Self {
        let region = Region::of("test.example", Timestamp::now() - hours(1));
        let credential = region.authority.issue_server(&names(), Timestamp::now()).unwrap();
        let serving = ServingCertificate::new(credential.chain, credential.key).unwrap();
        let config = server_config(serving.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let mut accepted = Box::pin(incoming(listener, config, limits, stop.clone()));
        let (sender, connections) = tokio::sync::mpsc::channel(16);
        tokio::spawn(async move {
            while let Some(connection) = accepted.next().await {
                sender.send(connection.unwrap()).await.unwrap();
            }
        });
        Self { region, address, serving, connections, stop }
    }

    fn client(&self) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
        let mut roots = RootCertStore::empty();
        roots.add(self.region.authority.certificates()[0].clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
    }

    async fn connect(&self, mut config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

fn names() -> Vec<String> {
    vec!["localhost".into(), "127.0.0.1".into()]
}

fn der(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

#[tokio::test]
async fn a_handshake_is_new_hybrid_and_without_resumption() {
    let mut server = Server::start(ConnectionLimits::default()).await;
    let mut config = server.client().with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(8);
    for _ in 0..2 {
        let mut stream = server.connect(config.clone()).await.unwrap();
        let (_, session) = stream.get_ref();
        assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        let group =
            session.negotiated_key_exchange_group().map(rustls::crypto::SupportedKxGroup::name);
        assert_eq!(group, Some(NamedGroup::X25519MLKEM768));
        assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
        let kind = session.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::Full), "the second is as whole as the first");
        let connection = server.connections.recv().await.unwrap();
        assert!(connection.connect_info().certificates.is_empty(), "none is required");
        drop(connection);
        // A ticket, if there were one, would be read by now.
        let _ = stream.read(&mut [0; 1]).await;
    }
}

#[tokio::test]
async fn any_certificate_comes_through_to_be_judged_in_words() {
    let mut server = Server::start(ConnectionLimits::default()).await;
    let elsewhere = Region::of("other.example", Timestamp::now());
    let ours = server.region.client("viewer", &[]);
    let theirs = elsewhere.client("viewer", &[]);
    for (issued, key) in [ours, theirs] {
        let config = server
            .client()
            .with_client_auth_cert(vec![issued.certificate.clone()], der(&key))
            .unwrap();
        let _stream = server.connect(config).await.unwrap();
        let peer = server.connections.recv().await.unwrap().connect_info();
        assert_eq!(*peer.certificates, [issued.certificate]);
        assert!(peer.addr.ip().is_loopback());
    }
}

/// Presents one certificate and signs with the key of another.
#[derive(Debug)]
struct Impostor(Arc<CertifiedKey>);

impl ResolvesClientCert for Impostor {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_certificate_without_its_key_is_worth_nothing() {
    let mut server = Server::start(ConnectionLimits::default()).await;
    let (stolen, _) = server.region.client("admin", &[]);
    let (_, own_key) = server.region.client("viewer", &[]);
    let key = aws_lc_rs::sign::any_supported_type(&der(&own_key)).unwrap();
    let impostor = CertifiedKey::new(vec![stolen.certificate], key);
    let config = server.client().with_client_cert_resolver(Arc::new(Impostor(Arc::new(impostor))));
    // The client ends its part first; it hears of the refusal at its first read.
    if let Ok(mut stream) = server.connect(config).await {
        assert!(stream.read(&mut [0; 1]).await.is_err());
    }
    server.stop.cancel();
    assert!(server.connections.recv().await.is_none(), "no connection came out of it");
}

#[tokio::test]
async fn a_new_certificate_serves_the_next_handshake() {
    let mut server = Server::start(ConnectionLimits::default()).await;
    let leaf = |stream: &TlsStream<TcpStream>| {
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        assert_eq!(chain.len(), 2, "the authority comes along, to be known by its fingerprint");
        chain[0].clone().into_owned()
    };
    let first = server.connect(server.client().with_no_client_auth()).await.unwrap();
    let _held = server.connections.recv().await.unwrap();
    let next = server.region.authority.issue_server(&names(), Timestamp::now()).unwrap();
    let expected = next.chain[0].clone();
    server.serving.replace(next.chain, next.key).unwrap();
    let second = server.connect(server.client().with_no_client_auth()).await.unwrap();
    assert_ne!(leaf(&first), leaf(&second));
    assert_eq!(leaf(&second), expected);

    let (chain, other) = (
        server.region.authority.issue_server(&names(), Timestamp::now()).unwrap().chain,
        server.region.authority.issue_server(&names(), Timestamp::now()).unwrap().key,
    );
    assert!(server.serving.replace(chain, other).is_err(), "a key that does not belong");
    let third = server.connect(server.client().with_no_client_auth()).await.unwrap();
    assert_eq!(leaf(&third), expected, "leaves what there was");
}

#[tokio::test]
async fn a_silent_peer_holds_up_nobody() {
    let limits = ConnectionLimits {
        handshakes: 2,
        handshake_time: Duration::from_millis(200),
        ..ConnectionLimits::default()
    };
    let mut server = Server::start(limits).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    let _stream = server.connect(server.client().with_no_client_auth()).await.unwrap();
    assert!(server.connections.recv().await.is_some());
    for mut stream in silent {
        assert!(matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_)), "and is shown out");
    }
}

#[tokio::test]
async fn a_peer_with_its_fill_of_connections_gets_no_more() {
    let limits = ConnectionLimits { connections_per_peer: 2, ..ConnectionLimits::default() };
    let mut server = Server::start(limits).await;
    let open = || server.connect(server.client().with_no_client_auth());
    let _first = open().await.unwrap();
    let _second = open().await.unwrap();
    assert!(open().await.is_err());
    let freed = server.connections.recv().await.unwrap();
    drop(freed);
    assert!(server.connect(server.client().with_no_client_auth()).await.is_ok());
}

#[test]
fn the_verifier_takes_every_kind_of_key_that_the_authority_does() {
    let schemes =
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes();
    for algorithm in
        [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519]
    {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let key = aws_lc_rs::sign::any_supported_type(&der(&key)).unwrap();
        assert!(key.choose_scheme(&schemes).is_some());
    }
}
