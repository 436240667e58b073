//! One question to an HTTP server and its answer, of a bounded size and in a bounded time.
//!
//! Questions are few, so each has a connection of its own: nothing is kept that could be
//! stale, and the files of certificates and tokens are read anew. A redirection is an answer
//! like others and is not followed: a token goes to nobody else.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri,
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

mod access;
#[cfg(test)]
mod tests;

pub(crate) use access::{Keys, prometheus_access};

/// The largest file of certificates or tokens.
const FILE_MAXIMUM: u64 = 1 << 20;

/// How long a question may take, from the connection to the last byte, and how large its
/// answer may be, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) deadline: Duration,
    pub(crate) answer_maximum: usize,
}

impl Terms {
    /// For a Prometheus: its answer may have some 200,000 series.
    pub(crate) const QUERY: Self =
        Self { deadline: Duration::from_secs(10), answer_maximum: 64 << 20 };
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    is_secure: bool,
    /// With brackets where it is an IPv6 address, as it stands in a `Host` header.
    host: String,
    port: Option<u16>,
    /// What stands before each path; does not end with a slash.
    prefix: String,
}

impl Endpoint {
    /// Reads a URL, or says what to write.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
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
    pub(crate) fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Whether it may be shown a token: it proves who it is, or is this machine by its address.
    /// A name is believed to nobody, also not `localhost`.
    pub(crate) fn may_have_token(&self) -> bool {
        let local = self.name().parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        self.is_secure || local
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

/// One question.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) method: Method,
    /// What follows the path of the server's URL.
    pub(crate) path: String,
    /// The type of the body; empty where there is none.
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    /// What else is in its head.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Question {
    /// One without a body.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            content_type: "",
            body: Bytes::new(),
            headers: Vec::new(),
        }
    }

    /// One that takes something away.
    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }
    }

    /// One that brings JSON.
    pub(crate) fn json(method: Method, path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { method, content_type: "application/json", body: body.into(), ..Self::get(path) }
    }

    /// One that brings a form.
    fn form(path: &str, form: String) -> Self {
        Self {
            method: Method::POST,
            content_type: "application/x-www-form-urlencoded",
            body: form.into(),
            ..Self::get(path)
        }
    }
}

/// Asks one server.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    endpoint: Endpoint,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    scheme: &'static str,
    terms: Terms,
}

/// What a server said.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    /// Asks the server at a URL, with the token and by the certificates of these files.
    pub(crate) fn new(
        url: &str,
        token_file: Option<PathBuf>,
        ca_file: Option<PathBuf>,
        terms: Terms,
    ) -> Result<Self, String> {
        let endpoint = Endpoint::parse(url)?;
        Ok(Self { endpoint, token_file, ca_file, scheme: "Bearer", terms })
    }

    /// The word before the token, where it is not `Bearer`.
    pub(crate) fn with_scheme(self, scheme: &'static str) -> Self {
        Self { scheme, ..self }
    }

    /// Sends a form to a path of the server. The error is for people and names no secret.
    pub(crate) async fn post(&self, path: &str, form: String) -> Result<Answer, String> {
        self.ask(Question::form(path, form)).await
    }

    /// Asks a question. The error is for people and names no secret.
    pub(crate) async fn ask(&self, question: Question) -> Result<Answer, String> {
        let deadline = self.terms.deadline;
        match tokio::time::timeout(deadline, self.answer(question)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("it did not answer within {} s", deadline.as_secs_f32())),
        }
    }

    async fn answer(&self, question: Question) -> Result<Answer, String> {
        let endpoint = &self.endpoint;
        let path = format!("{}{}", endpoint.prefix, question.path);
        let mut request = Request::builder()
            .method(question.method)
            .uri(if path.is_empty() { "/".to_owned() } else { path })
            .header(HOST, endpoint.host_header())
            .header(ACCEPT, "application/json");
        if !question.content_type.is_empty() {
            request = request.header(CONTENT_TYPE, question.content_type);
        }
        if let Some(file) = &self.token_file {
            if !endpoint.may_have_token() {
                return Err("a token is not sent over http, where others can read it".into());
            }
            request = request.header(AUTHORIZATION, token(self.scheme, file)?);
        }
        for (name, value) in question.headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(question.body))
            .map_err(|error| format!("no request can be made: {error}"))?;
        let stream = TcpStream::connect((endpoint.name(), endpoint.port()))
            .await
            .map_err(|error| format!("it cannot be reached: {error}"))?;
        let maximum = self.terms.answer_maximum;
        if !endpoint.is_secure {
            return exchange(stream, request, maximum).await;
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
        exchange(stream, request, maximum).await
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    maximum: usize,
) -> Result<Answer, String> {
    let failed = |error: hyper::Error| format!("it does not answer: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let asking = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, maximum).collect().await;
        let body = body.map_err(|error| format!("its answer cannot be read: {error}"))?;
        Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
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
pub(crate) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(format!("{} holds no PEM certificates; name a file that does", path.display())),
    }
}

/// The secret of a file: one word. The error names the file and not what is in it.
pub(crate) fn secret(path: &Path) -> Result<String, String> {
    let wrong = || format!("{} holds no bearer token on a line of its own", path.display());
    let bytes = read(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong())?.trim();
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err(wrong());
    }
    Ok(text.to_owned())
}

/// The header that shows the token of a file.
fn token(scheme: &str, path: &Path) -> Result<HeaderValue, String> {
    let mut header = HeaderValue::from_str(&format!("{scheme} {}", secret(path)?))
        .map_err(|_| format!("{} holds no token", path.display()))?;
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
