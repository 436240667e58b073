use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{CertificateError, NamedGroup, ProtocolVersion, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use super::*;
use crate::pem;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn leaf(authority: &Authority, names: &[&str]) -> Identity {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, authority).unwrap();
    Identity::new(vec![certificate.der().clone()], pem::pkcs8(&key)).unwrap()
}

/// Shakes hands with a server that shows the leaf and then the authorities.
async fn shake(
    client: Arc<ClientConfig>,
    leaf: &Identity,
    shown: &[&Authority],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut chain = leaf.certificates().to_vec();
    chain.extend(shown.iter().map(|authority| authority.der().clone()));
    let mut server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, leaf.key())
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accept = async {
        let (stream, _) = listener.accept().await.unwrap();
        TlsAcceptor::from(Arc::new(server)).accept(stream).await
    };
    let connect = async {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("region.example").unwrap();
        TlsConnector::from(client).connect(name, stream).await
    };
    let (_, connected) = tokio::join!(accept, connect);
    connected
}

fn why(result: std::io::Result<TlsStream<TcpStream>>) -> rustls::Error {
    let error = result.expect_err("the handshake must fail");
    error.get_ref().unwrap().downcast_ref::<rustls::Error>().unwrap().clone()
}

#[tokio::test]
async fn a_token_trusts_the_authority_that_it_names_and_no_other() {
    let (ours, other) = (authority("ours"), authority("other"));
    let pinned_to = |authority: &Authority| pinned(fingerprint(authority.der())).unwrap();

    let good = leaf(&ours, &["region.example"]);
    shake(pinned_to(&ours), &good, &[&ours]).await.unwrap();
    shake(pinned_to(&ours), &good, &[&other, &ours]).await.unwrap();

    let error = why(shake(pinned_to(&other), &good, &[&ours]).await);
    assert_eq!(error, rustls::Error::General(OTHER_AUTHORITY.into()));
    // The authority's certificate is public: to show it proves nothing.
    let forged = leaf(&other, &["region.example"]);
    let error = why(shake(pinned_to(&ours), &forged, &[&other, &ours]).await);
    assert!(matches!(error, rustls::Error::InvalidCertificate(_)), "{error}");
    // Nor does another host of the same region.
    let elsewhere = leaf(&ours, &["elsewhere.example"]);
    let error = why(shake(pinned_to(&ours), &elsewhere, &[&ours]).await);
    assert!(
        matches!(
            error,
            rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_connection_is_tls_1_3_post_quantum_and_begun_in_full() {
    let ours = authority("ours");
    let server = leaf(&ours, &["region.example"]);
    let client = mutual(&[ours.der().clone()], &leaf(&ours, &["client"])).unwrap();
    for _ in 0..2 {
        let stream = shake(Arc::clone(&client), &server, &[]).await.unwrap();
        let (_, session) = stream.get_ref();
        assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
        let group = session.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, NamedGroup::X25519MLKEM768);
        assert_eq!(session.handshake_kind(), Some(rustls::HandshakeKind::Full));
    }
}

#[tokio::test]
async fn a_daemon_of_another_authority_is_not_trusted() {
    let (ours, other) = (authority("ours"), authority("other"));
    let client = mutual(&[ours.der().clone()], &leaf(&ours, &["client"])).unwrap();
    let server = leaf(&other, &["region.example"]);
    let error = why(shake(client, &server, &[&other]).await);
    assert_eq!(error, rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer));
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let ours = authority("ours");
    let (one, two) = (leaf(&ours, &["one"]), leaf(&ours, &["two"]));
    let mixed = Identity::new(one.certificates().to_vec(), two.key()).unwrap();
    assert!(mutual(&[ours.der().clone()], &mixed).is_err());
}
