//! The way to a daemon, step by step, for who looks where it ends: a name, an address,
//! a connection, a handshake. Calls go another way, through [`Connection`], which takes
//! all steps at once.
//!
//! [`Connection`]: crate::Connection

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

use crate::{
    Address, ConnectFault, Context,
    channel::{tcp_fault, tls_fault},
    credentials::{Identity, Validity, validity},
    tls,
};

/// The addresses of a host.
pub async fn resolve(
    address: &Address,
    patience: Duration,
) -> Result<Vec<SocketAddr>, ConnectFault> {
    let found = tokio::net::lookup_host((address.host(), address.port()));
    match timeout(patience, found).await {
        Ok(Ok(addresses)) => Ok(addresses.collect()),
        Ok(Err(error)) => Err(ConnectFault::Resolve(error.to_string())),
        Err(_) => Err(ConnectFault::TimedOut(patience)),
    }
}

/// A TCP connection to the first address that takes one.
pub async fn reach(
    addresses: &[SocketAddr],
    patience: Duration,
) -> Result<TcpStream, ConnectFault> {
    match timeout(patience, TcpStream::connect(addresses)).await {
        Ok(connected) => connected.map_err(|error| tcp_fault(&error)),
        Err(_) => Err(ConnectFault::TimedOut(patience)),
    }
}

/// What came of a handshake.
#[derive(Debug)]
pub struct Greeting {
    /// What whoever answered showed, also where it is not trusted.
    pub certificate: Option<ServerCertificate>,
    /// Why there is no connection; nothing where there is one.
    pub fault: Option<ConnectFault>,
}

/// What a daemon's certificate says. It comes from whoever answered: escape it before it
/// is printed.
#[derive(Clone, Debug)]
pub struct ServerCertificate {
    /// The names and addresses that it is for.
    pub names: Vec<String>,
    /// Who signed it.
    pub issuer: String,
    /// From when until when it is good.
    pub validity: Validity,
}

/// Makes the handshake as the identity, or as nobody where there is none, and ends the
/// connection.
pub async fn greet(
    stream: TcpStream,
    context: &Context,
    identity: Option<&Identity>,
    patience: Duration,
) -> Greeting {
    let host = context.endpoint.host();
    let fault = |fault| Greeting { certificate: None, fault: Some(fault) };
    let broken = |why: String| fault(ConnectFault::Handshake(why));
    let recorder = match Recorder::new(&context.authorities) {
        Ok(recorder) => Arc::new(recorder),
        Err(error) => return broken(error.to_string()),
    };
    let config = match config(Arc::clone(&recorder), identity) {
        Ok(config) => config,
        Err(error) => return broken(error.to_string()),
    };
    let name = match context.endpoint.server_name() {
        Ok(name) => name,
        Err(error) => return fault(ConnectFault::Resolve(error.to_string())),
    };
    let shaken = timeout(patience, TlsConnector::from(config).connect(name, stream)).await;
    let fault = match shaken {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(tls_fault(&error, host)),
        Err(_) => Some(ConnectFault::TimedOut(patience)),
    };
    Greeting { certificate: recorder.seen().and_then(|seen| describe(&seen)), fault }
}

fn config(
    recorder: Arc<Recorder>,
    identity: Option<&Identity>,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let config = ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(recorder);
    let config = match identity {
        Some(identity) => {
            config.with_client_auth_cert(identity.certificates().to_vec(), identity.key())?
        }
        None => config.with_no_client_auth(),
    };
    Ok(tls::finish(config))
}

fn describe(certificate: &CertificateDer<'_>) -> Option<ServerCertificate> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let names = parsed
        .subject_alternative_name()
        .ok()
        .flatten()
        .map(|found| found.value.general_names.iter().filter_map(name_of).collect())
        .unwrap_or_default();
    Some(ServerCertificate {
        names,
        issuer: parsed.issuer().to_string(),
        validity: validity(certificate).ok()?,
    })
}

fn name_of(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            let sixteen = <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from);
            four.or(sixteen).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// Judges as usual, and keeps what it judged.
struct Recorder {
    judge: Arc<WebPkiServerVerifier>,
    seen: Mutex<Option<CertificateDer<'static>>>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Recorder {
    fn new(authorities: &[CertificateDer<'static>]) -> Result<Self, rustls::Error> {
        Ok(Self { judge: tls::verifier(authorities)?, seen: Mutex::default() })
    }

    fn seen(&self) -> Option<CertificateDer<'static>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some(end_entity.clone().into_owned());
        self.judge.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}
