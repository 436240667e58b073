//! The bare limit of a call: a gRPC server in a process of its own that has the daemon's
//! TLS and none of its layers, and answers every call with the same tenant.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{FutureExt as _, future::BoxFuture};
use prost::Message;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use streamspace_proto::v1::{GetTenantRequest, Tenant, UpdateTenantRequest};
use streamspaced::rpc::{limits::ConnectionLimits, tls};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
    process::{Child, Command},
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService, UnaryService},
    transport::{Channel, Server},
};
use tonic_prost::ProstCodec;
use tower::Service;

use streamspace_tests::rpc::{self, Identity};

/// The argument that makes this program the server.
pub(crate) const WORD: &str = "echo";

/// The server's process. It ends with its input.
#[derive(Debug)]
pub(crate) struct Echo {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    _child: Child,
    _folder: TempDir,
}

impl Echo {
    /// Starts one that answers with this.
    pub(crate) async fn start(reply: &Tenant) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
        let certificate = CertificateDer::from(cert);
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        };
        write("certificate", &certificate);
        write("key", &signing_key.serialize_der());
        write("reply", &reply.encode_to_vec());
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(WORD)
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).await.unwrap();
        let address = line.trim().parse().expect("the server says where it listens");
        Self { address, certificate, _child: child, _folder: folder }
    }

    /// A connection to it.
    pub(crate) async fn channel(&self, identity: &Identity) -> Channel {
        rpc::channel(self.address, &self.certificate, Some(identity)).await
    }
}

/// The server, until its input ends.
pub(crate) async fn serve(folder: &Path) {
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let chain = vec![CertificateDer::from(read("certificate"))];
    let key = PrivateKeyDer::try_from(read("key")).unwrap();
    let config = tls::server_config(tls::ServingCertificate::new(chain, key).unwrap()).unwrap();
    let reply = Tenant::decode(read("reply").as_slice()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let connections = tls::incoming(listener, config, ConnectionLimits::default(), stop.clone());
    let ended = async {
        let _end = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin())).await;
    };
    Server::builder()
        .add_service(Answers { reply: Arc::new(reply) })
        .serve_with_incoming_shutdown(connections, ended)
        .await
        .unwrap();
}

/// Takes the calls of the tenants' service.
#[derive(Clone)]
struct Answers {
    reply: Arc<Tenant>,
}

impl NamedService for Answers {
    const NAME: &'static str = "streamspace.admin.v1.TenantService";
}

impl Service<http::Request<Body>> for Answers {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = Answer(Arc::clone(&self.reply));
        async move {
            if request.uri().path().ends_with("/GetTenant") {
                let codec = ProstCodec::<Tenant, GetTenantRequest>::default();
                Ok(Grpc::new(codec).unary(answer, request).await)
            } else {
                let codec = ProstCodec::<Tenant, UpdateTenantRequest>::default();
                Ok(Grpc::new(codec).unary(answer, request).await)
            }
        }
        .boxed()
    }
}

struct Answer(Arc<Tenant>);

impl<R> UnaryService<R> for Answer {
    type Response = Tenant;
    type Future = Ready<Result<Response<Tenant>, Status>>;

    fn call(&mut self, _request: Request<R>) -> Self::Future {
        ready(Ok(Response::new(Tenant::clone(&self.0))))
    }
}
