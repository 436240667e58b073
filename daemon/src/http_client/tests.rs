//! A server behind TLS and a token.

use std::{net::SocketAddr, path::PathBuf};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// Serves one answer to whoever shows the token `word`; where it listens, and its
/// certificate.
async fn serve() -> (SocketAddr, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let answer = service_fn(|request: Request<Incoming>| async move {
                    let shown = request.headers().get(AUTHORIZATION);
                    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
                    if shown.is_none_or(|shown| shown != "Bearer word") {
                        *response.status_mut() = StatusCode::UNAUTHORIZED;
                    }
                    Ok::<_, hyper::Error>(response)
                });
                let _served =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    (address, cert.pem())
}

#[tokio::test]
async fn who_is_not_proved_gets_no_token_and_who_is_does() {
    let (address, certificate) = serve().await;
    let (_, other) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let ask = async |ca_file: PathBuf, token_file: Option<PathBuf>| {
        let url = format!("https://localhost:{}", address.port());
        let client = Client::new(&url, token_file, Some(ca_file), Terms::QUERY).unwrap();
        client.post("/api/v1/query", "query=up".into()).await.map(|answer| answer.status)
    };
    let (ca, wrong) = (file("ca.pem", &certificate), file("other.pem", &other));
    let token = file("token", "word\n");
    assert_eq!(ask(ca.clone(), Some(token.clone())).await, Ok(StatusCode::OK));
    assert_eq!(ask(ca.clone(), None).await, Ok(StatusCode::UNAUTHORIZED));
    let error = ask(wrong, Some(token)).await.unwrap_err();
    assert!(error.contains("no TLS connection"), "{error}");
    let error = ask(ca, Some(file("empty", "\n"))).await.unwrap_err();
    assert!(error.contains("holds no bearer token"), "{error}");
}

#[test]
fn an_endpoint_is_read_or_refused() {
    let read = |url| Endpoint::parse(url);
    let plain = read("http://prometheus.monitoring:9090").unwrap();
    assert_eq!(
        (plain.name(), plain.port(), plain.prefix.as_str()),
        ("prometheus.monitoring", 9090, "")
    );
    let six = read("https://[::1]/prom/").unwrap();
    assert_eq!((six.name(), six.port(), six.prefix.as_str()), ("::1", 443, "/prom"));
    assert_eq!(six.host_header(), "[::1]");
    for (url, may) in [
        ("https://far.example", true),
        ("http://127.0.0.1:1", true),
        ("http://[::1]", true),
        ("http://localhost", false),
        ("http://127.0.0.1.far.example", false),
    ] {
        assert_eq!(read(url).unwrap().may_have_token(), may, "{url}");
    }
    for url in ["", "x", "ftp://x", "http://", "http://a@b", "http://a?b", "http://a#b", "//a"] {
        assert!(read(url).is_err(), "{url}");
    }
}
