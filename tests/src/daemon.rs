//! `streamspaced` as a child process.

#![allow(clippy::panic, clippy::expect_used, reason = "a panic fails the story, as it should")]

use std::{
    fs::{self, OpenOptions},
    net::TcpListener,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::janitor;

/// How long an orderly stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(40);

/// A shipped program, beside the folder of the tests' own.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("the tests' own program");
    // Tests are in target/PROFILE/deps, examples in target/PROFILE/examples.
    let folder = own.parent().and_then(Path::parent).expect("a target folder");
    let program = folder.join(name);
    assert!(
        program.is_file(),
        "{} is not there: build it with `cargo build --workspace --bins`, as `make test` does",
        program.display()
    );
    program
}

/// Which version of the shipped programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// The one that is built of these sources.
    #[default]
    This,
    /// The one that `packaging/release/previous` names.
    Before,
}

impl Version {
    /// A shipped program of this version.
    pub fn program(self, name: &str) -> PathBuf {
        if self == Self::This {
            return program(name);
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), PathBuf::from)
            .join("previous");
        let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
        let (wanted, built) = (read(root.join(PREVIOUS)), read(target.join("built")));
        assert!(
            wanted.split_whitespace().nth(1) == Some(built.trim()),
            "the programs of the version before are not in {}: build them with \
             `packaging/dev/previous`, as `make test` does",
            target.display()
        );
        target.join("bin").join(name)
    }

    /// Its number, as its programs tell it.
    pub fn number(self) -> String {
        match self {
            Self::This => env!("CARGO_PKG_VERSION").to_owned(),
            Self::Before => {
                let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
                let text = fs::read_to_string(root.join(PREVIOUS)).expect("the version before");
                text.split_whitespace().next().expect("its number").to_owned()
            }
        }
    }
}

/// The number and the commit of the version before.
const PREVIOUS: &str = "packaging/release/previous";

/// How long a dropped daemon that has children of its own may take to end them.
const FAREWELL: Duration = Duration::from_secs(15);

/// A running daemon. It is killed when this is dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    id: u32,
    gently: bool,
}

impl Daemon {
    /// Starts `streamspaced` with these arguments, in a process group of its own. Both
    /// outputs are added to the file.
    pub fn start(arguments: &[&str], log: &Path, variables: &[(&str, &str)]) -> Self {
        Self::start_as(Version::This, arguments, log, variables)
    }

    /// As [`Daemon::start`], of this version.
    pub fn start_as(
        version: Version,
        arguments: &[&str],
        log: &Path,
        variables: &[(&str, &str)],
    ) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(log).expect("a log file");
        let output = file.try_clone().expect("a second handle");
        let child = Command::new(version.program("streamspaced"))
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(file)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .expect("streamspaced starts");
        let id = child.id().expect("it was not waited for yet");
        janitor::process(id);
        Self { child, id, gently: false }
    }

    /// As [`Daemon::start`], and hands it these listening sockets under these names, as
    /// `systemd.socket(5)` says. A shell becomes the daemon, so that the number of its
    /// process is known before.
    pub fn start_handed(
        arguments: &[&str],
        log: &Path,
        names: &str,
        [first, second]: [TcpListener; 2],
    ) -> Self {
        const HAND: &str = "log=$1; shift; export LISTEN_PID=$$ LISTEN_FDS=2; \
                            exec \"$@\" 3<&0 4<&1 0</dev/null 1>>\"$log\" 2>&1";
        let child = Command::new("sh")
            .args(["-c", HAND, "sh"])
            .arg(log)
            .arg(program("streamspaced"))
            .args(arguments)
            .env("LISTEN_FDNAMES", names)
            .stdin(OwnedFd::from(first))
            .stdout(OwnedFd::from(second))
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .expect("a shell starts");
        let id = child.id().expect("it was not waited for yet");
        janitor::process(id);
        Self { child, id, gently: false }
    }

    /// Waits for its end by itself.
    pub async fn ends(mut self) -> ExitStatus {
        let Ok(status) = timeout(STOP_LIMIT, self.child.wait()).await else {
            panic!("streamspaced did not end within {} s", STOP_LIMIT.as_secs())
        };
        status.expect("its state")
    }

    /// It has children of its own, so when this is dropped it is asked to stop first.
    #[must_use]
    pub fn gently(mut self) -> Self {
        self.gently = true;
        self
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How it ended, where it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("its state can be asked for")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id).ok().and_then(Pid::from_raw).expect("a process number");
        kill_process(id, signal).expect("it is ours and was not waited for");
    }

    /// Ends it at once, as a crash would.
    pub async fn kill(mut self) {
        self.child.start_kill().expect("it is ours");
        self.child.wait().await.expect("it ends");
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        let Ok(status) = timeout(STOP_LIMIT, self.child.wait()).await else {
            panic!("streamspaced did not stop within {} s", STOP_LIMIT.as_secs())
        };
        status.expect("its state")
    }

    /// Waits for its end, but not for ever.
    fn reap(&mut self, limit: Duration) {
        let end = Instant::now() + limit;
        while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.gently && matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::TERM);
            self.reap(FAREWELL);
        }
        // Killed and reaped before its number is forgotten.
        let _gone = self.child.start_kill();
        self.reap(Duration::from_secs(5));
        janitor::ended(self.id);
    }
}

/// A log that is shown where the story fails.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
}

/// So much of a log helps; more hides it.
const SHOWN_LINES: usize = 150;

impl Log {
    /// The log in this file.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of it.
    pub fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap_or_default()
    }
}

impl Drop for Log {
    #[expect(clippy::print_stderr, reason = "shown with the story's failure")]
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
        eprintln!("--- the end of {}\n{}\n---", self.path.display(), tail.join("\n"));
    }
}
