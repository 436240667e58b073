//! A development region, as `streamspaced dev` starts it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic fails the story, as it should"
)]

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    daemon::{Daemon, Log},
    janitor,
    ssctl::Ssctl,
    wait::{PATIENCE, holds, until, within},
};

/// A development region that can be started again.
#[derive(Debug)]
pub struct Development {
    daemon: Option<Daemon>,
    log: Log,
    ssctl: Ssctl,
    data: PathBuf,
    _folder: TempDir,
}

impl Default for Development {
    fn default() -> Self {
        Self::new()
    }
}

impl Development {
    /// A region that was never started, and a person without contexts.
    pub fn new() -> Self {
        Self::of(None)
    }

    /// Another region of the same person.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self::of(Some(self.ssctl.clone()))
    }

    fn of(person: Option<Ssctl>) -> Self {
        // PostgreSQL runs under another account where the tests run as root.
        let mut builder = tempfile::Builder::new();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        let folder = builder.prefix("ss-dev-").permissions(open).tempdir().unwrap();
        janitor::folder(folder.path());
        Self {
            daemon: None,
            log: Log::new(folder.path().join("streamspaced.log")),
            ssctl: person.unwrap_or_else(|| Ssctl::new(folder.path().join("home"))),
            data: folder.path().join("data"),
            _folder: folder,
        }
    }

    /// Its person.
    pub fn ssctl(&self) -> &Ssctl {
        &self.ssctl
    }

    /// Where its data are.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Starts it, and returns what it says once it is ready.
    pub async fn start(&mut self, more: &[&str]) -> String {
        let data = self.data.display().to_string();
        let mut arguments =
            vec!["dev", "--data-dir", &data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        arguments.extend(more);
        let variables = self.ssctl.all_variables();
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let before = self.log.text().len();
        let mut daemon = Daemon::start(&arguments, self.log.path(), &variables).gently();
        let said = until("the development region is ready", async || {
            assert!(daemon.ended().is_none(), "it ended by itself: {:?}", daemon.ended());
            let said = self.log.text().split_off(before);
            holds(said.contains("Ctrl-C stops everything"), || said.clone())?;
            Ok::<_, String>(said)
        })
        .await;
        self.daemon = Some(daemon);
        said
    }

    /// Ctrl-C, until it has stopped.
    pub async fn interrupt(&mut self) {
        let status = self.daemon.take().unwrap().stop(Signal::INT).await;
        assert_eq!(status.code(), Some(0), "{status}");
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        self.daemon.take().unwrap().kill().await;
    }

    /// The tenants and their states.
    pub async fn tenants(&self) -> Vec<(String, String)> {
        let list = self.ssctl.json(&["--context", "dev", "tenant", "list"]).await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = list.as_array().unwrap().iter();
        all.map(|tenant| (text(&tenant["name"]), text(&tenant["state"]))).collect()
    }

    /// Waits until these tenants are active, and no others there.
    pub async fn are_active(&self, wanted: &[&str]) {
        let wanted: Vec<(String, String)> = wanted
            .iter()
            .map(|id| (format!("tenants/{id}"), "TENANT_STATE_ACTIVE".to_owned()))
            .collect();
        // Errors of the cluster back off, up to half a minute each time.
        within(PATIENCE * 3, "these tenants are active, and no others there", async || {
            let found = self.tenants().await;
            holds(found == wanted, || format!("{found:?}"))
        })
        .await;
    }
}
