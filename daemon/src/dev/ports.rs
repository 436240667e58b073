//! Where a development region listens: where it is told to, else where it was before, else
//! at the first port that is free, so that several regions find room on one machine.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// Where clients come, and where metrics and health are, by default.
const FIRST: Ports = Ports { grpc: 7443, http: 7480 };
/// So many regions find room.
const TRIES: u16 = 30;

/// The two ports of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ports {
    grpc: u16,
    http: u16,
}

/// Where a region listens. They listen already, so that a region that starts at the same
/// moment finds them taken.
#[derive(Debug)]
pub(super) struct Sockets {
    /// For clients.
    pub(super) grpc: TcpListener,
    /// For metrics and health.
    pub(super) http: TcpListener,
}

/// Listens for the region of this folder, and keeps where for the next start: a context of
/// `ssctl` names the port.
pub(super) fn choose(
    data_dir: &Path,
    grpc: Option<SocketAddr>,
    http: Option<SocketAddr>,
) -> anyhow::Result<Sockets> {
    let before = read(data_dir).unwrap_or(FIRST);
    let sockets = Sockets {
        grpc: listen(grpc, before.grpc, FIRST.grpc).context("--listen")?,
        http: listen(http, before.http, FIRST.http).context("--http")?,
    };
    if grpc.is_none() || http.is_none() {
        let port = |socket: &TcpListener| socket.local_addr().map(|address| address.port());
        let text = format!("{} {}\n", port(&sockets.grpc)?, port(&sockets.http)?);
        fs::write(file(data_dir), text)?;
    }
    Ok(sockets)
}

fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("ports")
}

fn read(data_dir: &Path) -> Option<Ports> {
    let text = fs::read_to_string(file(data_dir)).ok()?;
    let (grpc, http) = text.trim().split_once(' ')?;
    // Port 0 is none to come back to.
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0);
    Some(Ports { grpc: port(grpc)?, http: port(http)? })
}

/// Listens where it is told to, else at the preferred port if nobody listens there, else at
/// the first free one.
fn listen(told: Option<SocketAddr>, preferred: u16, first: u16) -> anyhow::Result<TcpListener> {
    let socket = if let Some(address) = told {
        TcpListener::bind(address).with_context(|| {
            format!("cannot listen on {address}; stop what listens there, or name another")
        })?
    } else {
        let last = first.saturating_add(TRIES);
        let places = std::iter::once(preferred).chain(first..last);
        let places = places.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        places.map(TcpListener::bind).find_map(io::Result::ok).with_context(|| {
            format!("no port from {first} on is free; name one, for example 127.0.0.1:0")
        })?
    };
    // Tokio takes no other.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(socket: &TcpListener) -> u16 {
        socket.local_addr().unwrap().port()
    }

    #[test]
    fn what_is_taken_is_left_alone_and_the_choice_is_kept() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = choose(one.path(), None, None).unwrap();
        let second = choose(other.path(), None, None).unwrap();
        assert_ne!(port(&first.grpc), port(&second.grpc));
        assert_ne!(port(&first.http), port(&second.http));
        let kept = port(&second.grpc);
        drop((first, second));
        // The first port is free, and the second region stays where it was.
        let again = choose(other.path(), None, None).unwrap();
        assert_eq!(port(&again.grpc), kept);
    }

    #[test]
    fn what_is_asked_for_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let asked: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let sockets = choose(folder.path(), Some(asked), Some(asked)).unwrap();
        assert!(!file(folder.path()).exists());
        let taken = sockets.grpc.local_addr().unwrap();
        let error = format!("{:#}", choose(folder.path(), Some(taken), None).unwrap_err());
        assert!(error.contains("--listen: cannot listen on"), "{error}");
        fs::write(file(folder.path()), "0 x").unwrap();
        assert_eq!(read(folder.path()), None);
    }
}
