//! The server's process.

use std::fs::OpenOptions;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{PostgresError, SOCKET_NAME};

/// How long a start may take; after a crash there may be much to recover.
const START_PATIENCE: Duration = Duration::from_mins(2);

/// How long a server that a killed process left may take to become ready, or to end.
const TAKE_OVER_PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// A log file that has grown beyond this, in bytes, is begun anew.
const LARGEST_LOG: u64 = 8 << 20;

/// A running server: our child, or one that another process left.
#[derive(Debug)]
pub(super) struct Server {
    pid: Pid,
    child: Option<Child>,
    /// The file that the server removes when it ends.
    pid_file: PathBuf,
}

impl Server {
    /// Starts the server and waits until it takes connections.
    pub(super) fn launch(
        mut command: Command,
        data: &Path,
        log: &Path,
    ) -> Result<Self, PostgresError> {
        let failed = |source| PostgresError::Folder { path: log.to_owned(), source };
        let too_large = std::fs::metadata(log).is_ok_and(|found| found.len() > LARGEST_LOG);
        if too_large {
            std::fs::remove_file(log).map_err(failed)?;
        }
        let output = OpenOptions::new().create(true).append(true).open(log).map_err(failed)?;
        let written_before = output.metadata().map_err(failed)?.len();
        let program = PathBuf::from(command.get_program());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(failed)?)
            .stderr(output)
            .spawn()
            .map_err(|source| PostgresError::Program { program, source })?;
        let pid_file = data.join("postmaster.pid");
        let started = Instant::now();
        let reason = loop {
            if let Ok(Some(status)) = child.try_wait() {
                break format!("it ended with {status}: {}", log_tail(log, written_before));
            }
            let ready = PidFile::read(&pid_file).filter(|found| {
                found.ready && u32::try_from(found.pid.as_raw_nonzero().get()) == Ok(child.id())
            });
            if let Some(found) = ready {
                return Ok(Self { pid: found.pid, child: Some(child), pid_file });
            }
            if started.elapsed() > START_PATIENCE {
                // It may still come up; it must not do so behind our back.
                let _ = child.kill();
                let _ = child.wait();
                break format!("it was not ready in {} s", START_PATIENCE.as_secs());
            }
            std::thread::sleep(LOOK);
        };
        Err(PostgresError::Start { reason, log: log.to_owned() })
    }

    /// The server that a killed process left running in this data folder, and the folder
    /// of its socket. One that is on its way up or down is waited for.
    pub(super) fn take_over(data: &Path) -> Option<(Self, PathBuf)> {
        let pid_file = data.join("postmaster.pid");
        let started = Instant::now();
        while started.elapsed() < TAKE_OVER_PATIENCE {
            let found = PidFile::read(&pid_file)?;
            // The number may be another process's by now. Only the server's account can
            // have made a socket in that folder.
            if !found.is_alive(data) {
                return None;
            }
            if found.ready && UnixStream::connect(found.sockets.join(SOCKET_NAME)).is_ok() {
                let server = Self { pid: found.pid, child: None, pid_file };
                return Some((server, found.sockets));
            }
            std::thread::sleep(LOOK);
        }
        None
    }

    pub(super) fn process_id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends a signal and waits for the server's end. `false` if it goes on.
    pub(super) fn signal(&mut self, signal: Signal, patience: Duration) -> bool {
        if self.has_ended() {
            return true;
        }
        let _ = kill_process(self.pid, signal);
        let started = Instant::now();
        while started.elapsed() < patience {
            if self.has_ended() {
                return true;
            }
            std::thread::sleep(LOOK);
        }
        false
    }

    /// Leaves the server to itself, as a kill of this process would.
    #[cfg(test)]
    pub(super) fn abandon(self) {
        // Someone must reap it when it ends, as the first process would.
        if let Some(mut child) = self.child {
            std::thread::spawn(move || child.wait());
        }
    }

    fn has_ended(&mut self) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(Some(_)) | Err(_)),
            // Not our child: it may stay a zombie, but it has removed its file.
            None => !self.pid_file.exists() || test_kill_process(self.pid).is_err(),
        }
    }
}

/// What the server writes about itself.
struct PidFile {
    pid: Pid,
    sockets: PathBuf,
    ready: bool,
}

impl PidFile {
    /// The lines are: process, data folder, start time, port, socket folder, listening
    /// address, shared memory, state.
    fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let mut lines = text.lines();
        let pid = Pid::from_raw(lines.next()?.trim().parse().ok()?)?;
        let sockets = lines.nth(3).map(PathBuf::from).unwrap_or_default();
        let ready = lines.nth(2).is_some_and(|state| state.trim() == "ready");
        Some(Self { pid, sockets, ready })
    }

    /// Whether that process runs and, where that can be seen, works in this data folder.
    fn is_alive(&self, data: &Path) -> bool {
        let works_in = std::fs::read_link(format!("/proc/{}/cwd", self.pid.as_raw_nonzero()));
        test_kill_process(self.pid).is_ok() && works_in.map_or(true, |folder| folder == data)
    }
}

/// The last lines that were written since, or where nothing was, a word for that.
fn log_tail(log: &Path, written_before: u64) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let since = usize::try_from(written_before).unwrap_or(0);
    let text = String::from_utf8_lossy(text.get(since..).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().rev().take(3).collect();
    if lines.is_empty() {
        return "it said nothing".to_owned();
    }
    lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
}
