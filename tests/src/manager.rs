//! A service manager of a story's own: it hears what `sd_notify(3)` sends.

#![allow(clippy::panic, clippy::expect_used, reason = "a panic fails the story, as it should")]

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{net::UnixDatagram, task::JoinSet};

use crate::wait::until;

/// Listens as systemd does, until it is dropped.
#[derive(Debug)]
pub struct Manager {
    path: PathBuf,
    heard: Arc<Mutex<Vec<String>>>,
    _listening: JoinSet<()>,
}

impl Manager {
    /// Listens at a socket in this folder.
    pub fn listen(folder: &Path) -> Self {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut listening = JoinSet::new();
        let notes = Arc::clone(&heard);
        listening.spawn(async move {
            let mut buffer = vec![0; 4096];
            while let Ok(length) = socket.recv(&mut buffer).await {
                let message = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
                notes.lock().unwrap_or_else(PoisonError::into_inner).push(message.into_owned());
            }
        });
        Self { path, heard, _listening: listening }
    }

    /// What `NOTIFY_SOCKET` is.
    pub fn address(&self) -> String {
        self.path.display().to_string()
    }

    /// All messages so far.
    pub fn messages(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many messages have this line.
    pub fn count(&self, line: &str) -> usize {
        self.messages().iter().filter(|message| message.lines().any(|each| each == line)).count()
    }

    /// Waits for a message after the first `from` that fits, and says how many messages
    /// there were up to it.
    pub async fn hears(&self, from: usize, what: &str, fits: impl Fn(&str) -> bool) -> usize {
        until(what, async || {
            let messages = self.messages();
            let later = messages.get(from..).unwrap_or_default();
            match later.iter().position(|message| fits(message)) {
                Some(place) => Ok(from + place + 1),
                None => Err(format!("{later:?}")),
            }
        })
        .await
    }
}
