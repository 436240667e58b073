//! A reload: the configuration and the certificates are read anew, and no call is dropped.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::parts::Parts;
use crate::{
    access::{Authority, AuthorityFiles, Serving, trust::TrustFollower},
    config::{
        Config, Fields,
        reference::{FILTER, NAMES},
    },
    sessions::webhook::reach,
    systemd::Manager,
    telemetry::logs::Filter,
};

/// What asks for a reload, and what it reads.
#[derive(Debug)]
pub struct Reloads {
    /// The configuration file.
    pub path: PathBuf,
    /// What stood in it at the start.
    pub fields: Fields,
    /// Which lines are logged.
    pub filter: Filter,
    /// Each message asks for one reload.
    pub asked: mpsc::Receiver<()>,
}

/// Reloads when asked.
pub(super) struct Reloader {
    reloads: Reloads,
    manager: Manager,
    files: AuthorityFiles,
    authority: Arc<Authority>,
    serving: Arc<Serving>,
    trust: Arc<TrustFollower>,
    webhook_name: Option<String>,
}

/// What a reload did.
#[derive(Debug, Default, PartialEq, Eq)]
struct Taken {
    /// What is taken up.
    up: Vec<String>,
    /// What only a restart takes up.
    left: Vec<String>,
}

impl Reloader {
    pub(super) fn new(parts: &Parts, config: &Config, reloads: Reloads, manager: Manager) -> Self {
        Self {
            reloads,
            manager,
            files: AuthorityFiles::in_folder(&config.access.directory),
            authority: Arc::clone(&parts.authority),
            serving: Arc::clone(&parts.serving),
            trust: Arc::clone(&parts.trust),
            webhook_name: reach::name(&config.sessions.webhook),
        }
    }

    /// Reloads until told to stop.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        while let Some(Some(())) = stop.run_until_cancelled(self.reloads.asked.recv()).await {
            self.manager.reloading();
            let words = match self.reload() {
                Ok(taken) => taken.tell(),
                Err(fault) => {
                    tracing::error!(fault, "the reload changed nothing");
                    format!("the reload changed nothing: {fault}")
                }
            };
            self.manager.ready(&words);
        }
    }

    /// What can fail comes first and in such an order that a fault changes nothing.
    fn reload(&mut self) -> Result<Taken, String> {
        let (config, fields) =
            Config::read_with_fields(&self.reloads.path).map_err(|error| error.to_string())?;
        let authority =
            Authority::open(&self.files).map_err(|error| format!("access.directory: {error}"))?;
        let changed = self.reloads.fields.changed(&fields);
        let has = |key: &str| changed.iter().any(|changed| changed == key);
        let mut taken = Taken::default();
        if has(NAMES) {
            let names = config.access.names.into_iter().chain(self.webhook_name.clone());
            self.serving.rename(names.collect()).map_err(|error| format!("{NAMES}: {error}"))?;
            taken.up.push(NAMES.to_owned());
        }
        if has(FILTER) {
            // It was read above.
            self.reloads.filter.set(&config.log.filter)?;
            taken.up.push(FILTER.to_owned());
        }
        match self.trust.look() {
            Ok(true) => taken.up.push("the trust bundle".to_owned()),
            Ok(false) => {}
            Err(error) => return Err(format!("access.directory: {error}")),
        }
        for key in &taken.up {
            self.reloads.fields.take(key, &fields);
        }
        taken.left = self.reloads.fields.changed(&fields);
        if authority.fingerprint() != self.authority.fingerprint() {
            taken.left.push("access.directory (ca.pem is another authority)".to_owned());
        }
        Ok(taken)
    }
}

impl Taken {
    /// Tells the log, and gives the words for the service manager.
    fn tell(&self) -> String {
        for field in &self.left {
            tracing::warn!(
                field,
                "a reload does not take this up; it stays as it was until a restart"
            );
        }
        let up = if self.up.is_empty() { "nothing".to_owned() } else { self.up.join(", ") };
        tracing::info!(taken_up = up, needs_restart = self.left.join(", "), "reloaded");
        if self.left.is_empty() {
            format!("reloaded: {up}")
        } else {
            format!("reloaded: {up}; needs a restart: {}", self.left.join(", "))
        }
    }
}
