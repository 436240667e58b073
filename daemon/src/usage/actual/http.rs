//! One question to an HTTP server and its answer, of a bounded size and in a bounded time.
//!
//! There is a question a minute or so, so each has a connection of its own: nothing is kept
//! that could be stale, and the files of certificates and the token are read anew.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// How long a question may take, from the connection to the last byte.
const LIMIT: Duration = Duration::from_secs(10);
/// The largest answer: some 200,000 series.
pub(super) const ANSWER_MAXIMUM: usize = 64 << 20;
/// The largest file of certificates or tokens.
const FILE_MAXIMUM: u64 = 1 << 20;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    is_secure: bool,
    /// With brackets where it is an IPv6 address, as it stands in a `Host` header.
    host: String,
    port: Option<u16>,
    /// What stands before each path; does not end with a slash.
    prefix: String,
}

impl Endpoint {
    /// Reads a URL, or says what to write.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{url:?} must be an http or https URL with no user, query or fragment in it, for \
                 example \"http://prometheus.monitoring:9090\""
            )
        };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let is_secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        let host = authority.host();
        if host.is_empty() || authority.as_str().contains('@') {
            return Err(wrong());
        }
        if uri.query().is_some() || url.contains('#') {
            return Err(wrong());
        }
        Ok(Self {
            is_secure,
            host: host.to_owned(),
            port: authority.port_u16(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Whether it proves who it is.
    pub(super) fn is_secure(&self) -> bool {
        self.is_secure
    }

    fn port(&self) -> u16 {
        self.port.unwrap_or(if self.is_secure { 443 } else { 80 })
    }

    /// The host without the brackets of an IPv6 address.
    fn name(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    fn host_header(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }
}

/// Asks one server.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(super) endpoint: Endpoint,
    pub(super) token_file: Option<std::path::PathBuf>,
    pub(super) ca_file: Option<std::path::PathBuf>,
}

/// What a server said.
pub(crate) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Client {
    /// Asks the server at a URL, with the token and by the certificates of these files.
    pub(crate) fn new(
        url: &str,
        token_file: Option<std::path::PathBuf>,
        ca_file: Option<std::path::PathBuf>,
    ) -> Result<Self, String> {
        Ok(Self { endpoint: Endpoint::parse(url)?, token_file, ca_file })
    }

    /// Sends a form to a path of the server. The error is for people and names no secret.
    pub(crate) async fn post(&self, path: &str, form: String) -> Result<Answer, String> {
        match tokio::time::timeout(LIMIT, self.ask(path, form)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("it did not answer within {} s", LIMIT.as_secs())),
        }
    }

    async fn ask(&self, path: &str, form: String) -> Result<Answer, String> {
        let endpoint = &self.endpoint;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", endpoint.prefix))
            .header(HOST, endpoint.host_header())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(file) = &self.token_file {
            request = request.header(AUTHORIZATION, token(file)?);
        }
        let request = request
            .body(Full::new(Bytes::from(form)))
            .map_err(|error| format!("no request can be made: {error}"))?;
        let stream = TcpStream::connect((endpoint.name(), endpoint.port()))
            .await
            .map_err(|error| format!("it cannot be reached: {error}"))?;
        if !endpoint.is_secure {
            return exchange(stream, request).await;
        }
        let file = self.ca_file.as_ref().ok_or("no certificates to trust are configured")?;
        let mut roots = RootCertStore::empty();
        for authority in authorities(file)? {
            // One that rustls cannot read is as good as none; the others still count.
            let _unread = roots.add(authority);
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("no TLS: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(endpoint.name().to_owned())
            .map_err(|error| format!("no name of a server: {error}"))?;
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .map_err(|error| format!("no TLS connection: {error}"))?;
        exchange(stream, request).await
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Answer, String> {
    let failed = |error: hyper::Error| format!("it does not answer: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let asking = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_MAXIMUM).collect().await;
        let body = body.map_err(|error| format!("its answer cannot be read: {error}"))?;
        Ok(Answer { status, body: body.to_bytes() })
    };
    tokio::pin!(asking);
    // The connection moves only while it is polled, and ends with this function.
    tokio::select! {
        answer = &mut asking => answer,
        ended = connection => match ended {
            // What it has read may still be on its way.
            Ok(()) => asking.await,
            Err(error) => Err(failed(error)),
        },
    }
}

/// The certificates of a file.
pub(super) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(format!("{} holds no PEM certificates; name a file that does", path.display())),
    }
}

/// The header that shows the token of a file.
pub(super) fn token(path: &Path) -> Result<HeaderValue, String> {
    let wrong = || format!("{} holds no bearer token on a line of its own", path.display());
    let bytes = read(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong())?.trim();
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err(wrong());
    }
    let mut header = HeaderValue::from_str(&format!("Bearer {text}")).map_err(|_| wrong())?;
    header.set_sensitive(true);
    Ok(header)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("{}: {error}", path.display());
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > FILE_MAXIMUM {
        return Err(format!("{}: is larger than {FILE_MAXIMUM} bytes", path.display()));
    }
    std::fs::read(path).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for url in ["", "x", "ftp://x", "http://", "http://a@b", "http://a?b", "http://a#b", "//a"]
        {
            assert!(read(url).is_err(), "{url}");
        }
    }
}
