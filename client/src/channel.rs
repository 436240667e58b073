//! One HTTP/2 connection to the daemon: TCP, TLS, and who we are at that moment.

use std::{
    error::Error,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::{CertificateError, ClientConfig};
use thiserror::Error;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint};
use tower::Service;

use crate::{ClientError, connection::Options, context::Address, renew::Renewer, tls};

/// Why there is no connection.
#[derive(Clone, Debug, Error)]
pub enum ConnectFault {
    /// The name has no address.
    #[error("the host name cannot be resolved: {0}")]
    Resolve(String),
    /// The host answered that nobody listens.
    #[error("nobody listens there")]
    Refused,
    /// The network gave up.
    #[error("{0}")]
    Network(String),
    /// Nothing answered.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// Whoever answered cannot prove to be the daemon.
    #[error("it cannot prove to be the daemon: {0}")]
    Untrusted(String),
    /// Whoever answered does not speak our TLS.
    #[error("the TLS handshake failed: {0}")]
    Handshake(String),
}

impl ConnectFault {
    pub(crate) fn next_step(&self) -> String {
        match self {
            Self::Resolve(_) => "check the host's name with `ssctl context show`".into(),
            Self::Refused => {
                "check that streamspaced runs, and the port with `ssctl context show`".into()
            }
            Self::Network(_) | Self::TimedOut(_) => {
                "check the network and the address with `ssctl context show`".into()
            }
            Self::Untrusted(_) => {
                "do not go on before you know why: if the region was set up anew, get a new token \
                 and run `ssctl login`"
                    .into()
            }
            Self::Handshake(_) => "check that the port is the daemon's gRPC port".into(),
        }
    }

    pub(crate) fn is_transient(&self) -> bool {
        !matches!(self, Self::Untrusted(_))
    }
}

/// What the connector reports through tonic, to be found again in the chain of a
/// status.
#[derive(Clone, Debug, Error)]
pub(crate) enum ConnectError {
    #[error("cannot reach {address}: {fault}")]
    Fault { address: Address, fault: ConnectFault },
    #[error(transparent)]
    Credential(Arc<ClientError>),
}

/// Who we are on a connection.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// Always the same.
    Fixed(Arc<ClientConfig>),
    /// The client certificate, renewed when it is due.
    Renewing(Arc<Renewer>),
}

#[derive(Clone, Debug)]
struct Connector {
    address: Address,
    proof: Proof,
    patience: Duration,
}

impl Connector {
    async fn connect(self) -> Result<TlsStream<TcpStream>, ConnectError> {
        let config = match &self.proof {
            Proof::Fixed(config) => Arc::clone(config),
            Proof::Renewing(renewer) => {
                renewer.tls().await.map_err(|error| ConnectError::Credential(Arc::new(error)))?
            }
        };
        let fault = |fault| ConnectError::Fault { address: self.address.clone(), fault };
        match timeout(self.patience, self.reach(config)).await {
            Ok(result) => result.map_err(fault),
            Err(_) => Err(fault(ConnectFault::TimedOut(self.patience))),
        }
    }

    async fn reach(&self, config: Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, ConnectFault> {
        let host = self.address.host();
        let addresses: Vec<_> = tokio::net::lookup_host((host, self.address.port()))
            .await
            .map_err(|error| ConnectFault::Resolve(error.to_string()))?
            .collect();
        let stream =
            TcpStream::connect(addresses.as_slice()).await.map_err(|error| tcp_fault(&error))?;
        // Small messages must not wait for more of their kind.
        stream.set_nodelay(true).map_err(|error| tcp_fault(&error))?;
        let name =
            self.address.server_name().map_err(|error| ConnectFault::Resolve(error.to_string()))?;
        TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|error| tls_fault(&error, host))
    }
}

pub(crate) fn tcp_fault(error: &io::Error) -> ConnectFault {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectFault::Refused,
        _ => ConnectFault::Network(error.to_string()),
    }
}

pub(crate) fn tls_fault(error: &io::Error, host: &str) -> ConnectFault {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(certificate)) => {
            ConnectFault::Untrusted(certificate_fault(certificate, host))
        }
        Some(rustls::Error::General(why)) if why == tls::OTHER_AUTHORITY => {
            ConnectFault::Untrusted(why.clone())
        }
        Some(other) => ConnectFault::Handshake(other.to_string()),
        None => ConnectFault::Handshake(error.to_string()),
    }
}

fn certificate_fault(error: &CertificateError, host: &str) -> String {
    match error {
        // A region that was set up anew has an authority of the same name with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "an authority that this context does not trust signed its certificate".into()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired (or this machine's clock is wrong)".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet (or this machine's clock is wrong)".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate is not for the name {host}")
        }
        other => other.to_string(),
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect().await.map(TokioIo::new) })
    }
}

/// A channel that connects at its first call and again after every loss.
pub(crate) fn lazy(
    address: &Address,
    proof: Proof,
    options: &Options,
) -> Result<Channel, ClientError> {
    let (endpoint, connector) = parts(address, proof, options)?;
    Ok(endpoint.connect_with_connector_lazy(connector))
}

/// A channel that is connected.
pub(crate) async fn connected(
    address: &Address,
    proof: Proof,
    options: &Options,
) -> Result<Channel, ClientError> {
    let (endpoint, connector) = parts(address, proof, options)?;
    Ok(endpoint.connect_with_connector(connector).await?)
}

fn parts(
    address: &Address,
    proof: Proof,
    options: &Options,
) -> Result<(Endpoint, Connector), ClientError> {
    let unexpected = |error: &dyn Error| ClientError::Unexpected(error.to_string());
    // TLS is the connector's own work; with `https` here tonic would want to do it.
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| unexpected(&error))?
        .user_agent(options.user_agent.as_str())
        .map_err(|error| unexpected(&error))?
        .timeout(options.request_timeout)
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(1 << 22);
    let connector =
        Connector { address: address.clone(), proof, patience: options.connect_timeout };
    Ok((endpoint, connector))
}
