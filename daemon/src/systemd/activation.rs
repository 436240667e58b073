//! Sockets that the service manager opened (`systemd.socket`): they listen before the daemon
//! does and go on while it is replaced, so that whoever connects meanwhile waits and is not
//! refused.

use std::{env, net::TcpListener};

use listenfd::ListenFd;
use thiserror::Error;

/// `FileDescriptorName=` of the socket of gRPC.
pub const GRPC: &str = "grpc";
/// `FileDescriptorName=` of the socket of metrics and health.
pub const HTTP: &str = "http";

/// The sockets that were handed over. What was not is bound as the configuration says.
#[derive(Debug, Default)]
pub struct Handed {
    /// gRPC.
    pub grpc: Option<TcpListener>,
    /// Metrics and health.
    pub http: Option<TcpListener>,
}

/// Why handed sockets cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ActivationError {
    /// There are not as many names as sockets.
    #[error(
        "LISTEN_FDNAMES: {names} names for {sockets} sockets; give each socket unit \
         FileDescriptorName=grpc or FileDescriptorName=http"
    )]
    Count {
        /// So many names.
        names: usize,
        /// So many sockets.
        sockets: usize,
    },
    /// A name is none of ours.
    #[error(
        "LISTEN_FDNAMES: {0:?} names no socket of this daemon; write FileDescriptorName=grpc or \
         FileDescriptorName=http in the socket unit"
    )]
    Name(String),
    /// A name stands twice.
    #[error(
        "LISTEN_FDNAMES: two sockets are named {0}; each has one address, so write one \
         ListenStream= in a socket unit, and a unit of its own for the other name"
    )]
    Twice(&'static str),
    /// It is not what the daemon listens on.
    #[error("the socket {name}: {message}; write ListenStream= with an address and a port")]
    Socket {
        /// Which.
        name: &'static str,
        /// What the system says.
        message: String,
    },
}

/// Takes the sockets that were handed to this very process. It takes the variables that tell
/// of them out of the environment, so it is called before there is a second thread.
pub fn take() -> Result<Handed, ActivationError> {
    let own = std::process::id().to_string();
    // A child inherits the variables, and has none of the sockets.
    if env::var("LISTEN_PID").ok().as_deref() != Some(own.as_str()) {
        return Ok(Handed::default());
    }
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut sockets = ListenFd::from_env();
    let places = places(&names, sockets.len())?;
    let mut listener = |place: Option<usize>, name: &'static str| {
        let Some(place) = place else { return Ok(None) };
        let taken = sockets.take_tcp_listener(place).and_then(|taken| {
            taken.as_ref().map_or(Ok(()), |listener| listener.set_nonblocking(true))?;
            Ok(taken)
        });
        taken.map_err(|error| ActivationError::Socket { name, message: error.to_string() })
    };
    Ok(Handed { grpc: listener(places.grpc, GRPC)?, http: listener(places.http, HTTP)? })
}

/// Which of the sockets is which.
#[derive(Debug, Default, PartialEq, Eq)]
struct Places {
    grpc: Option<usize>,
    http: Option<usize>,
}

fn places(names: &str, sockets: usize) -> Result<Places, ActivationError> {
    let mut places = Places::default();
    if sockets == 0 {
        return Ok(places);
    }
    let names: Vec<&str> = names.split(':').filter(|name| !name.is_empty()).collect();
    if names.len() != sockets {
        return Err(ActivationError::Count { names: names.len(), sockets });
    }
    for (place, name) in names.into_iter().enumerate() {
        let (name, found) = match name {
            GRPC => (GRPC, &mut places.grpc),
            HTTP => (HTTP, &mut places.http),
            other => return Err(ActivationError::Name(other.to_owned())),
        };
        if found.replace(place).is_some() {
            return Err(ActivationError::Twice(name));
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_which_socket_is_which_and_wrong_ones_are_refused() {
        assert_eq!(places("", 0), Ok(Places::default()));
        let both = |grpc, http| Ok(Places { grpc, http });
        assert_eq!(places("grpc:http", 2), both(Some(0), Some(1)));
        assert_eq!(places("http:grpc", 2), both(Some(1), Some(0)));
        assert_eq!(places("grpc", 1), both(Some(0), None), "the other is bound");
        for (names, sockets, wanted) in [
            ("grpc", 2, ActivationError::Count { names: 1, sockets: 2 }),
            ("", 2, ActivationError::Count { names: 0, sockets: 2 }),
            ("grpc:web", 2, ActivationError::Name("web".into())),
            ("streamspaced.socket", 1, ActivationError::Name("streamspaced.socket".into())),
            ("grpc:grpc", 2, ActivationError::Twice(GRPC)),
        ] {
            assert_eq!(places(names, sockets), Err(wanted), "{names}");
        }
    }
}
