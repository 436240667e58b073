//! A further replica of a story's region, on the same database and cluster.

#![allow(clippy::panic, clippy::expect_used, reason = "a panic fails the story, as it should")]

use std::{net::SocketAddr, path::PathBuf, process::ExitStatus};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    daemon::{Daemon, Log},
    http,
    ports::Port,
    region::Region,
    ssctl::Ssctl,
    wait::{holds, until},
};

/// A running replica. It is killed when this is dropped.
#[derive(Debug)]
pub struct Replica {
    daemon: Daemon,
    log: Log,
    name: String,
    grpc: Port,
    http: Port,
    _folder: TempDir,
}

impl Replica {
    /// Starts one under this name, with the region's configuration and addresses of its
    /// own, and returns when it is well.
    pub async fn of(region: &Region, name: &str) -> Self {
        let folder = TempDir::with_prefix("streamspace-replica-").expect("a temporary folder");
        crate::janitor::folder(folder.path());
        let (grpc, http) = (Port::take(), Port::take());
        let config = Self::configure(region, name, &folder, grpc.address(), http.address());
        let log = Log::new(folder.path().join("streamspaced.log"));
        let config = config.display().to_string();
        let daemon = Daemon::start(&["run", "--config", &config], log.path(), &[]);
        let replica = Self { daemon, log, name: name.into(), grpc, http, _folder: folder };
        until("the further replica is well", async || {
            let (code, body) =
                http::get(replica.http(), "/readyz").await.map_err(|e| e.to_string())?;
            holds(code == 200, || format!("{code}: {body}"))
        })
        .await;
        replica
    }

    fn configure(
        region: &Region,
        name: &str,
        folder: &TempDir,
        grpc: SocketAddr,
        http: SocketAddr,
    ) -> PathBuf {
        let text = std::fs::read_to_string(region.config()).expect("the region's configuration");
        let mut table: toml::Table = toml::from_str(&text).expect("it is TOML");
        table.insert("replica".into(), name.into());
        let listen = toml::Table::from_iter([
            ("grpc".to_owned(), grpc.to_string().into()),
            ("http".to_owned(), http.to_string().into()),
        ]);
        table.insert("listen".into(), listen.into());
        let path = folder.path().join("streamspaced.toml");
        std::fs::write(&path, table.to_string()).expect("the folder is ours");
        path
    }

    /// The replica's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is called.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc.address()
    }

    /// Where it is probed.
    pub fn http(&self) -> SocketAddr {
        self.http.address()
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Sends a signal, for example to stop it in its tracks.
    pub fn signal(&self, signal: Signal) {
        self.daemon.signal(signal);
    }

    /// Ends it as `kill -9` does.
    pub async fn kill(self) {
        self.daemon.kill().await;
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(self) -> ExitStatus {
        self.daemon.stop(Signal::TERM).await
    }
}

/// Which replica leads, by whoever answers this person.
pub async fn leader(person: &Ssctl) -> (String, i64) {
    let region = person.json(&["region", "show"]).await;
    let leader = region.get("leader").cloned().unwrap_or_default();
    let term = match leader.get("leaderTerm") {
        Some(Value::String(text)) => text.parse().unwrap_or_default(),
        Some(number) => number.as_i64().unwrap_or_default(),
        None => 0,
    };
    (leader.get("replica").and_then(Value::as_str).unwrap_or_default().to_owned(), term)
}
