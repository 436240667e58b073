//! A region in miniature: real TLS and real gRPC on loopback, with a certificate
//! authority of its own, and answers that a test decides.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex},
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, IsCa,
    KeyPair,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use streamspace_client::{Environment, Options, enrol::Enrolment};
use streamspace_proto::{
    token::{EnrolmentToken, Secret},
    v1::{
        self, CreateEnrolmentTokenRequest, Credential, EnrolRequest, EnrolResponse,
        EnrolmentToken as MadeToken, ExplainAccessRequest, ExplainAccessResponse,
        RenewCredentialRequest, RenewCredentialResponse, WatchRequest, WatchResponse,
        WhoAmIRequest, WhoAmIResponse,
        access_service_server::{AccessService, AccessServiceServer},
        watch_service_server::{WatchService, WatchServiceServer},
    },
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, service::Routes};

pub const SECRET: [u8; 32] = [7; 32];

/// How long a client certificate is good, and how much of that is over.
#[derive(Clone, Copy, Debug)]
pub enum Life {
    Fresh,
    Due,
    Over,
}

/// A device and a client certificate.
pub type Pair = (CertificateDer<'static>, CertificateDer<'static>);

/// What one call of Watch is answered.
pub type Script = Result<Vec<Result<WatchResponse, Status>>, Status>;

/// What the region does and saw.
pub struct Book {
    /// The life of the certificates that it makes next.
    pub life: Life,
    /// Whether a device may renew.
    pub renews: bool,
    /// The answers to Watch, in turn.
    pub watches: VecDeque<Script>,
    /// The revisions that Watch was asked to go on after.
    pub asked_after: Vec<i64>,
    /// Renewals so far.
    pub renewals: usize,
    /// The certificates made last: device, client.
    pub made: Option<Pair>,
    spent: bool,
}

pub struct Region {
    authority: Arc<CertifiedIssuer<'static, KeyPair>>,
    address: std::net::SocketAddr,
    pub book: Arc<Mutex<Book>>,
    pub folder: tempfile::TempDir,
}

impl Region {
    pub async fn start() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Arc::new(authority);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let book = Arc::new(Mutex::new(Book {
            life: Life::Fresh,
            renews: true,
            watches: VecDeque::new(),
            asked_after: Vec::new(),
            renewals: 0,
            made: None,
            spent: false,
        }));
        tokio::spawn(serve(listener, Arc::clone(&authority), Arc::clone(&book)));
        Self { authority, address, book, folder: tempfile::tempdir().unwrap() }
    }

    pub fn environment(&self) -> Environment {
        let folder = self.folder.path().to_str().unwrap().to_owned();
        Environment::new(move |name| match name {
            "XDG_CONFIG_HOME" => Some(folder.clone()),
            "SSCTL_CREDENTIAL_STORE" => Some("file".into()),
            _ => None,
        })
    }

    pub fn options(&self) -> Options {
        Options::new(self.environment())
    }

    pub fn enrolment(&self) -> Enrolment {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.authority.der());
        let token = EnrolmentToken {
            authority: digest.as_ref().try_into().unwrap(),
            secret: Secret::new(SECRET),
        };
        Enrolment {
            endpoint: self.address.to_string().parse().unwrap(),
            token,
            context: None,
            device_name: "laptop".into(),
            protected: false,
        }
    }
}

async fn serve(
    listener: TcpListener,
    authority: Arc<CertifiedIssuer<'static, KeyPair>>,
    book: Arc<Mutex<Book>>,
) {
    let acceptor = acceptor(&authority);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (acceptor, authority, book) =
            (acceptor.clone(), Arc::clone(&authority), Arc::clone(&book));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let peer = stream.get_ref().1.peer_certificates().and_then(|all| all.first()).cloned();
            let peer = peer.map(CertificateDer::into_owned);
            let desk = Desk { authority, book, peer };
            let routes = Routes::new(AccessServiceServer::new(desk.clone()))
                .add_service(WatchServiceServer::new(desk));
            let service = TowerToHyperService::new(routes);
            let builder = Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn acceptor(authority: &CertifiedIssuer<'static, KeyPair>) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, authority)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
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

/// The services of one connection.
#[derive(Clone)]
struct Desk {
    authority: Arc<CertifiedIssuer<'static, KeyPair>>,
    book: Arc<Mutex<Book>>,
    peer: Option<CertificateDer<'static>>,
}

impl Desk {
    fn sign(&self, request: &[u8], life: Life) -> CertificateDer<'static> {
        let request = request.to_vec().into();
        let mut request = CertificateSigningRequestParams::from_der(&request).unwrap();
        let year = i32::from(Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year());
        let (from, until) = match life {
            Life::Fresh => (year - 1, year + 20),
            Life::Due => (year - 10, year + 2),
            Life::Over => (year - 10, year - 1),
        };
        request.params.not_before = rcgen::date_time_ymd(from, 1, 1);
        request.params.not_after = rcgen::date_time_ymd(until, 1, 1);
        request.signed_by(&self.authority).unwrap().der().clone()
    }

    fn credential(&self, device_csr: &[u8], client_csr: &[u8]) -> Credential {
        let mut book = self.book.lock().unwrap();
        let device = self.sign(device_csr, Life::Fresh);
        let client = self.sign(client_csr, book.life);
        book.made = Some((device.clone(), client.clone()));
        Credential {
            device_certificate: device.to_vec(),
            client_certificate: client.to_vec(),
            authorities: vec![self.authority.der().to_vec()],
            device_expire_time: None,
            client_expire_time: None,
        }
    }

    /// Whether the peer has the certificate that was made last.
    fn is(&self, pick: fn(&Pair) -> &CertificateDer<'static>) -> bool {
        let book = self.book.lock().unwrap();
        book.made.as_ref().is_some_and(|made| self.peer.as_ref() == Some(pick(made)))
    }
}

#[tonic::async_trait]
impl AccessService for Desk {
    async fn enrol(
        &self,
        request: Request<EnrolRequest>,
    ) -> Result<Response<EnrolResponse>, Status> {
        assert!(self.peer.is_none(), "enrolment shows no certificate");
        let request = request.into_inner();
        let spent = std::mem::replace(&mut self.book.lock().unwrap().spent, true);
        if spent || request.secret != SECRET {
            return Err(Status::permission_denied("the token was used already"));
        }
        let credential = Some(self.credential(&request.device_csr, &request.client_csr));
        Ok(Response::new(EnrolResponse { credential, region: "regions/test".into() }))
    }

    async fn renew_credential(
        &self,
        request: Request<RenewCredentialRequest>,
    ) -> Result<Response<RenewCredentialResponse>, Status> {
        if !self.is(|(device, _)| device) || !self.book.lock().unwrap().renews {
            return Err(Status::permission_denied("the device was revoked"));
        }
        let request = request.into_inner();
        self.book.lock().unwrap().life = Life::Fresh;
        let credential = Some(self.credential(&request.device_csr, &request.client_csr));
        self.book.lock().unwrap().renewals += 1;
        Ok(Response::new(RenewCredentialResponse { credential }))
    }

    async fn create_enrolment_token(
        &self,
        _: Request<CreateEnrolmentTokenRequest>,
    ) -> Result<Response<MadeToken>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn who_am_i(
        &self,
        _: Request<WhoAmIRequest>,
    ) -> Result<Response<WhoAmIResponse>, Status> {
        if !self.is(|(_, client)| client) {
            return Err(Status::unauthenticated("that is not the client certificate"));
        }
        Ok(Response::new(WhoAmIResponse { operator: "ann".into(), ..WhoAmIResponse::default() }))
    }

    async fn explain_access(
        &self,
        _: Request<ExplainAccessRequest>,
    ) -> Result<Response<ExplainAccessResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn list_certificates(
        &self,
        _: Request<v1::ListCertificatesRequest>,
    ) -> Result<Response<v1::ListCertificatesResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn revoke_certificate(
        &self,
        _: Request<v1::RevokeCertificateRequest>,
    ) -> Result<Response<v1::Certificate>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn lock_operator(
        &self,
        _: Request<v1::LockOperatorRequest>,
    ) -> Result<Response<v1::OperatorLock>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn unlock_operator(
        &self,
        _: Request<v1::UnlockOperatorRequest>,
    ) -> Result<Response<v1::OperatorLock>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn list_operator_locks(
        &self,
        _: Request<v1::ListOperatorLocksRequest>,
    ) -> Result<Response<v1::ListOperatorLocksResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn list_enrolment_tokens(
        &self,
        _: Request<v1::ListEnrolmentTokensRequest>,
    ) -> Result<Response<v1::ListEnrolmentTokensResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn revoke_enrolment_token(
        &self,
        _: Request<v1::RevokeEnrolmentTokenRequest>,
    ) -> Result<Response<v1::EnrolmentToken>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn break_glass(
        &self,
        _: Request<v1::BreakGlassRequest>,
    ) -> Result<Response<v1::BreakGlassGrant>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn end_break_glass(
        &self,
        _: Request<v1::EndBreakGlassRequest>,
    ) -> Result<Response<v1::BreakGlassGrant>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn list_break_glass_grants(
        &self,
        _: Request<v1::ListBreakGlassGrantsRequest>,
    ) -> Result<Response<v1::ListBreakGlassGrantsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn review_break_glass(
        &self,
        _: Request<v1::ReviewBreakGlassRequest>,
    ) -> Result<Response<v1::BreakGlassGrant>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

#[tonic::async_trait]
impl WatchService for Desk {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let mut book = self.book.lock().unwrap();
        book.asked_after.push(request.into_inner().after_revision);
        let script =
            book.watches.pop_front().unwrap_or_else(|| Err(Status::permission_denied("the end")));
        Ok(Response::new(Box::pin(tokio_stream::iter(script?))))
    }
}
