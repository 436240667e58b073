//! Where a daemon is.

use std::{fmt, net::IpAddr, str::FromStr};

use rustls::pki_types::ServerName;
use thiserror::Error;

/// The port of the daemon's gRPC door where none is given.
pub const DEFAULT_PORT: u16 = 7443;

/// A host name or an IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    host: String,
    port: u16,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text:?} is not an address: write HOST or HOST:PORT, an IPv6 host as [::1]:7443")]
pub struct AddressError {
    text: String,
}

impl Address {
    /// The host without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The name that the daemon's certificate must have.
    pub(crate) fn server_name(&self) -> Result<ServerName<'static>, AddressError> {
        ServerName::try_from(self.host.clone()).map_err(|_| AddressError { text: self.to_string() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError { text: text.to_owned() };
        let (host, port) = split(text).ok_or_else(wrong)?;
        let port = match port {
            Some(port) => port.parse().map_err(|_| wrong())?,
            None => DEFAULT_PORT,
        };
        let address = Self { host: host.to_ascii_lowercase(), port };
        if port == 0 || host.is_empty() {
            return Err(wrong());
        }
        address.server_name().map_err(|_| wrong())?;
        Ok(address)
    }
}

fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    if text.parse::<IpAddr>().is_ok() {
        return Some((text, None));
    }
    match text.split_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_written() {
        for (text, written) in [
            ("localhost", "localhost:7443"),
            ("Region-1.Example.COM:443", "region-1.example.com:443"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("::1", "[::1]:7443"),
            ("[::1]", "[::1]:7443"),
            ("[fe80::1]:9", "[fe80::1]:9"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), written, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", ":1", "a:", "a:0", "a:70000", "a b", "https://a", "[::1", "[::1]x", "a:1:2"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
