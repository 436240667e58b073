//! A region in miniature: real TLS and HTTP/2 on loopback. What it is asked is kept
//! as JSON, and what it answers a test decides.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, StreamBody};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use prost::Message as _;
use prost_reflect::{DynamicMessage, MethodDescriptor, SerializeOptions};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig, pki_types::PrivatePkcs8KeyDer, server::WebPkiClientVerifier,
};
use serde_json::Value;
use streamspace_proto::{ERROR_DOMAIN, policy::pool};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_rustls::TlsAcceptor;
use tonic::{Code, Status, body::Body};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::machine::{Machine, set_mode};

/// An answer: a message as JSON, or a refusal.
pub enum Answer {
    Is(Value),
    /// The messages of a stream, and then its end.
    Are(Vec<Value>),
    /// What a daemon says that has no such service.
    Unknown,
    No(Code, &'static str, &'static str, Vec<(&'static str, &'static str)>),
    /// None: the call is taken and hangs.
    Never,
}

type Answers = Box<dyn Fn(&str, &Value) -> Answer + Send + Sync>;

/// What was asked: `Service.Method` and the request.
pub type Asked = (String, Value);

pub struct Region {
    _runtime: Runtime,
    address: SocketAddr,
    authority: CertifiedIssuer<'static, KeyPair>,
    desk: Arc<Desk>,
}

struct Desk {
    answers: Answers,
    asked: Mutex<Vec<Asked>>,
    /// The incident that each call carried, where it did.
    incidents: Mutex<Vec<Option<String>>>,
    /// What it says its version is.
    version: Option<&'static str>,
}

impl Region {
    pub fn start(answers: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> Self {
        Self::of_version(None, answers)
    }

    /// One that tells its version with each answer.
    pub fn of_version(
        version: Option<&'static str>,
        answers: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Arc::new(Desk {
            answers: Box::new(answers),
            asked: Mutex::default(),
            incidents: Mutex::default(),
            version,
        });
        runtime.spawn(serve(listener, acceptor(&authority), Arc::clone(&desk)));
        Self { _runtime: runtime, address, authority, desk }
    }

    /// A command that finds its keys in plain files, as in CI.
    pub fn command(&self, machine: &Machine, arguments: &[&str]) -> Command {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["ada".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &self.authority).unwrap();
        let key = machine.file("k.pem", &key.serialize_pem());
        set_mode(Path::new(&key), 0o600);
        let mut command = machine.command(arguments);
        command
            .env("SSCTL_ENDPOINT", self.address.to_string())
            .env("SSCTL_CA", machine.file("ca.pem", &self.authority.pem()))
            .env("SSCTL_CLIENT_CERT", machine.file("c.pem", &leaf.pem()))
            .env("SSCTL_CLIENT_KEY", key);
        command
    }

    /// Its context as the context file has it, with keys in plain files.
    pub fn context(&self, machine: &Machine, name: &str) -> String {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["ada".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &self.authority).unwrap();
        let key = machine.file(&format!("{name}-k.pem"), &key.serialize_pem());
        set_mode(Path::new(&key), 0o600);
        let certificate = machine.file(&format!("{name}-c.pem"), &leaf.pem());
        format!(
            "[contexts.{name}]\nendpoint = \"{}\"\nregion = \"{name}\"\n\
             authorities = \"\"\"{}\"\"\"\n\
             credential = {{ store = \"plain\", certificate = \"{certificate}\", key = \"{key}\" }}\n",
            self.address,
            self.authority.pem(),
        )
    }

    /// The incidents that calls carried since the last time.
    pub fn incidents(&self) -> Vec<Option<String>> {
        std::mem::take(&mut *self.desk.incidents.lock().unwrap())
    }

    /// What was asked since the last time.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.desk.asked.lock().unwrap())
    }
}

fn acceptor(authority: &CertifiedIssuer<'static, KeyPair>) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, authority).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![leaf.der().clone(), authority.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, desk: Arc<Desk>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (acceptor, desk) = (acceptor.clone(), Arc::clone(&desk));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = tower::service_fn(move |request: http::Request<_>| {
                let desk = Arc::clone(&desk);
                async move { Ok::<_, Infallible>(desk.answer(request).await) }
            });
            let service = TowerToHyperService::new(service);
            let builder = Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Desk {
    async fn answer<B>(&self, request: http::Request<B>) -> http::Response<Body>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: std::fmt::Debug,
    {
        let method = method(request.uri().path());
        let incident = request.headers().get("streamspace-incident");
        let incident = incident.map(|incident| incident.to_str().unwrap().to_owned());
        self.incidents.lock().unwrap().push(incident);
        let body = request.into_body().collect().await.unwrap().to_bytes();
        // One byte whether it is compressed, four for the length.
        let message = DynamicMessage::decode(method.input(), body.get(5..).unwrap()).unwrap();
        let asked = message
            .serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new())
            .unwrap();
        let name = format!("{}.{}", method.parent_service().name(), method.name());
        let answer = (self.answers)(&name, &asked);
        self.asked.lock().unwrap().push((name, asked));
        let mut response = match answer {
            Answer::Is(value) => granted(&method, vec![value]),
            Answer::Are(values) => granted(&method, values),
            Answer::Unknown => Status::new(Code::Unimplemented, "").into_http(),
            Answer::No(code, message, reason, metadata) => {
                let mut details = ErrorDetails::new();
                let pairs = metadata.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
                let metadata: HashMap<_, _> = pairs.collect();
                details.set_error_info(reason, ERROR_DOMAIN, metadata);
                Status::with_error_details(code, message, details).into_http()
            }
            Answer::Never => std::future::pending().await,
        };
        if let Some(version) = self.version {
            let version = http::HeaderValue::from_static(version);
            response.headers_mut().insert("streamspace-version", version);
        }
        response
    }
}

/// The method of a path, `/package.Service/Method`.
fn method(path: &str) -> MethodDescriptor {
    let (service, name) = path.trim_start_matches('/').split_once('/').unwrap();
    let service = pool().unwrap().get_service_by_name(service).unwrap();
    service.methods().find(|method| method.name() == name).unwrap()
}

fn granted(method: &MethodDescriptor, values: Vec<Value>) -> http::Response<Body> {
    let mut data = BytesMut::new();
    for value in values {
        let message = DynamicMessage::deserialize(method.output(), value).unwrap().encode_to_vec();
        data.put_u8(0);
        data.put_u32(u32::try_from(message.len()).unwrap());
        data.extend_from_slice(&message);
    }
    let trailers = http::HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        http::HeaderValue::from_static("0"),
    )]);
    let frames = [
        Ok::<_, Status>(http_body::Frame::data(data.freeze())),
        Ok(http_body::Frame::trailers(trailers)),
    ];
    http::Response::builder()
        .header("content-type", "application/grpc")
        .body(Body::new(StreamBody::new(tokio_stream::iter(frames))))
        .unwrap()
}
