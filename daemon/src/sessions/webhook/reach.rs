//! How the API server reaches the webhook, by the configuration.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::pki_types::CertificateDer;

use super::{super::config::WebhookConfig, PATH};
use crate::platform::manifests::{WebhookAddress, WebhookClient};

/// So long are the lines of PEM.
const LINE: usize = 64;

/// Checks what a type alone does not. The error begins with the key.
pub fn check(config: &WebhookConfig) -> Result<(), String> {
    address(config).map(drop)
}

/// How the API server reaches it, and what it trusts there; nothing where no webhook is
/// configured.
pub fn client(
    config: &WebhookConfig,
    authorities: &[CertificateDer<'_>],
) -> Result<Option<WebhookClient>, String> {
    let address = address(config)?;
    Ok(address.map(|address| WebhookClient { address, authorities: pem(authorities) }))
}

/// The name that the API server asks for in the certificate, where the configuration gives
/// one: that of a Service. The host of a URL is among `access.names`, as clients reach the
/// daemon by it too.
pub fn name(config: &WebhookConfig) -> Option<String> {
    match address(config) {
        Ok(Some(WebhookAddress::Service { namespace, name, .. })) => {
            Some(format!("{name}.{namespace}.svc"))
        }
        _ => None,
    }
}

fn address(config: &WebhookConfig) -> Result<Option<WebhookAddress>, String> {
    match (&config.url, &config.service) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err("sessions.webhook: give one of url and service, and leave the \
                                   other out"
            .into()),
        _ if config.listen.is_none() => Err("sessions.webhook.listen: nothing listens for what \
                                             the cluster asks; name an address, for example \
                                             \"0.0.0.0:7444\""
            .into()),
        (Some(url), None) => of_url(url).map(Some),
        (None, Some(service)) => of_service(service).map(Some),
    }
}

fn of_url(url: &str) -> Result<WebhookAddress, String> {
    let wrong = || {
        format!(
            "sessions.webhook.url: {url:?} must be an https URL of the path {PATH}, for example \
             \"https://10.0.0.5:7444{PATH}\""
        )
    };
    let parsed: http::Uri = url.parse().map_err(|_| wrong())?;
    let has_host = parsed.host().is_some_and(|host| !host.is_empty());
    let is_bare = parsed.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    let is_right = parsed.scheme_str() == Some("https") && parsed.path() == PATH;
    // The API server refuses a query.
    if has_host && is_bare && is_right && parsed.query().is_none() && !url.contains('#') {
        Ok(WebhookAddress::Url(url.to_owned()))
    } else {
        Err(wrong())
    }
}

fn of_service(service: &str) -> Result<WebhookAddress, String> {
    let wrong = || {
        format!(
            "sessions.webhook.service: {service:?} must be NAMESPACE/NAME:PORT, for example \
             \"streamspace-system/streamspaced:7444\""
        )
    };
    let (namespace, rest) = service.split_once('/').ok_or_else(wrong)?;
    let (name, port) = rest.split_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    if !is_label(namespace) || !is_label(name) || port == 0 {
        return Err(wrong());
    }
    Ok(WebhookAddress::Service {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        port,
        path: PATH.to_owned(),
    })
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn pem(authorities: &[CertificateDer<'_>]) -> String {
    let mut text = String::new();
    for authority in authorities {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        // Base64 is ASCII, so each character is a byte.
        for (index, character) in STANDARD.encode(authority).chars().enumerate() {
            if index > 0 && index % LINE == 0 {
                text.push('\n');
            }
            text.push(character);
        }
        text.push_str("\n-----END CERTIFICATE-----\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(listen: bool, url: Option<&str>, service: Option<&str>) -> WebhookConfig {
        WebhookConfig {
            listen: listen.then(|| "127.0.0.1:7444".parse().unwrap()),
            url: url.map(str::to_owned),
            service: service.map(str::to_owned),
        }
    }

    #[test]
    fn it_is_reached_by_a_url_or_by_a_service() {
        assert_eq!(client(&config(true, None, None), &[]), Ok(None));
        assert_eq!(client(&config(false, None, None), &[]), Ok(None));
        let url = "https://10.0.0.5:7444/admit";
        let reached = client(&config(true, Some(url), None), &[]).unwrap().unwrap();
        assert_eq!(reached.address, WebhookAddress::Url(url.into()));
        let service = config(true, None, Some("streamspace-system/streamspaced:7444"));
        let expected = WebhookAddress::Service {
            namespace: "streamspace-system".into(),
            name: "streamspaced".into(),
            port: 7444,
            path: "/admit".into(),
        };
        assert_eq!(client(&service, &[]).unwrap().unwrap().address, expected);
        assert_eq!(name(&service).unwrap(), "streamspaced.streamspace-system.svc");
        assert_eq!(name(&config(true, Some(url), None)), None);
    }

    #[test]
    fn what_cannot_be_reached_is_refused_with_its_key() {
        let both = config(true, Some("https://a/admit"), Some("a/b:1"));
        assert!(check(&both).unwrap_err().starts_with("sessions.webhook:"));
        let deaf = config(false, Some("https://a/admit"), None);
        assert!(check(&deaf).unwrap_err().starts_with("sessions.webhook.listen:"));
        for url in [
            "",
            "http://a/admit",
            "https:///admit",
            "https://a/",
            "https://a/admit?x",
            "https://a/admit#x",
            "https://user@a/admit",
            "a",
        ] {
            let error = check(&config(true, Some(url), None)).unwrap_err();
            assert!(error.starts_with("sessions.webhook.url:"), "{url}: {error}");
        }
        for service in ["", "a", "a/b", "a/b:0", "a/b:65536", "A/b:1", "a/-b:1", "a/b:1/x", "/b:1"]
        {
            let error = check(&config(true, None, Some(service))).unwrap_err();
            assert!(error.starts_with("sessions.webhook.service:"), "{service}: {error}");
        }
    }

    #[test]
    fn authorities_are_given_as_pem() {
        let one = CertificateDer::from(vec![7; 100]);
        let text = pem(&[one.clone(), one]);
        assert_eq!(text.matches("-----BEGIN CERTIFICATE-----\n").count(), 2);
        assert!(text.lines().all(|line| line.len() <= LINE), "{text}");
        assert!(text.ends_with("\n-----END CERTIFICATE-----\n"), "{text}");
    }
}
