//! What every call carries beside its message, and what every answer does: the
//! incident that a change belongs to, and the daemon's version.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response};
use thiserror::Error;
use tonic::{body::Body, transport::Channel};
use tower::Service;

/// The request metadata that names the incident a change belongs to.
pub const INCIDENT_HEADER: &str = "streamspace-incident";

/// The response metadata that names the daemon's version.
pub const VERSION_HEADER: &str = "streamspace-version";

/// The longest name of an incident.
const INCIDENT_MAXIMUM: usize = 64;

/// A version is shorter; more would be something else, and is shown to people.
const VERSION_MAXIMUM: usize = 64;

/// The name of an incident, such as `INC-7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    name: String,
    header: HeaderValue,
}

/// Why a text is no name of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{text:?} is not the name of an incident: write it as INC-7, a letter first, then letters, \
     digits and `-`, {INCIDENT_MAXIMUM} characters at most"
)]
pub struct IncidentError {
    text: String,
}

impl Incident {
    /// The name as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl std::str::FromStr for Incident {
    type Err = IncidentError;

    fn from_str(text: &str) -> Result<Self, IncidentError> {
        let wrong = || IncidentError { text: text.chars().take(2 * INCIDENT_MAXIMUM).collect() };
        let starts = text.starts_with(|c: char| c.is_ascii_alphabetic());
        let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !starts || !fits || text.len() > INCIDENT_MAXIMUM {
            return Err(wrong());
        }
        let header = HeaderValue::from_str(text).map_err(|_| wrong())?;
        Ok(Self { name: text.to_owned(), header })
    }
}

/// A channel that carries the incident with each call, and notes which version
/// answers. Clones note in the same place.
#[derive(Clone, Debug)]
pub struct Carrier {
    channel: Channel,
    incident: Option<HeaderValue>,
    version: Arc<OnceLock<String>>,
}

impl Carrier {
    pub(crate) fn new(channel: Channel, incident: Option<&Incident>) -> Self {
        let incident = incident.map(|incident| incident.header.clone());
        Self { channel, incident, version: Arc::default() }
    }

    /// The same with another channel.
    pub(crate) fn over(&self, channel: Channel) -> Self {
        Self { channel, ..self.clone() }
    }

    /// The version of the daemon that answered first; none before an answer, and
    /// from a daemon that does not tell.
    pub(crate) fn version(&self) -> Option<&str> {
        self.version.get().map(String::as_str)
    }
}

impl Service<Request<Body>> for Carrier {
    type Response = Response<Body>;
    type Error = tonic::transport::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(incident) = &self.incident {
            request.headers_mut().insert(INCIDENT_HEADER, incident.clone());
        }
        let answer = self.channel.call(request);
        let version = Arc::clone(&self.version);
        Box::pin(async move {
            let response = answer.await?;
            if let Some(told) = told_version(&response) {
                // Another answer was first.
                let _ = version.set(told);
            }
            Ok(response)
        })
    }
}

fn told_version(response: &Response<Body>) -> Option<String> {
    let told = response.headers().get(VERSION_HEADER)?.to_str().ok()?;
    (told.len() <= VERSION_MAXIMUM).then(|| told.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_has_a_plain_name() {
        for name in ["INC-7", "a", "Sev1-2026-05-01"] {
            assert_eq!(name.parse::<Incident>().unwrap().name(), name);
        }
        let longest = "I".repeat(INCIDENT_MAXIMUM);
        assert!(longest.parse::<Incident>().is_ok());
        for name in ["", "7", "-7", "INC 7", "INC_7", "INC-7\n", "Störung", &(longest + "x")] {
            let error = name.parse::<Incident>().unwrap_err().to_string();
            assert!(error.contains("INC-7"), "{error}");
        }
    }

    #[test]
    fn only_a_version_is_noted() {
        let response = |value: &str| {
            let response = Response::builder().header(VERSION_HEADER, value);
            told_version(&response.body(Body::empty()).unwrap())
        };
        assert_eq!(response("0.1.0").as_deref(), Some("0.1.0"));
        assert_eq!(response(&"1".repeat(65)), None);
        assert_eq!(told_version(&Response::new(Body::empty())), None);
    }
}
