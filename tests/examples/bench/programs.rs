//! How soon the programs are there.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use streamspace_tests::{
    daemon::{Daemon, program},
    wait::{holds, until},
};

use crate::table::{Line, middle, milliseconds, times, verdict};

const STARTS: usize = 200;
/// What `ssctl version` may take.
const VERSION_LIMIT: Duration = Duration::from_millis(5);
/// How soon a development region is to be ready.
const READY_LIMIT: Duration = Duration::from_secs(5);

/// The programs as they are shipped.
pub(crate) fn build() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--workspace", "--bins"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    assert!(command.status().expect("cargo starts").success(), "the programs do not build");
}

fn start(program: &Path, arguments: &[&str]) -> Duration {
    let begin = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let took = begin.elapsed();
    assert!(status.expect("it starts").success(), "{}", program.display());
    took
}

fn starts(name: &str, arguments: &[&str]) -> (Duration, Duration) {
    let (ours, bare) = (program(name), PathBuf::from("/bin/true"));
    // In turns, so that both meet the same machine.
    let pairs = (0..STARTS).map(|_| (start(&ours, arguments), start(&bare, &[])));
    let (ours, bare): (Vec<_>, Vec<_>) = pairs.unzip();
    (middle(ours), middle(bare))
}

/// The shortest command there is.
pub(crate) fn version() -> Line {
    let (ours, bare) = starts("ssctl", &["version"]);
    Line {
        what: format!("`ssctl version`, start to end (p50 of {STARTS})"),
        ours: milliseconds(ours),
        against: "`/bin/true`".into(),
        bare: milliseconds(bare),
        ratio: times(ours, bare),
        remark: verdict(ours <= VERSION_LIMIT, "≤ 5 ms"),
    }
}

/// The daemon's file alone, mapped and linked: it does nothing.
pub(crate) fn daemon() -> Line {
    let (ours, bare) = starts("streamspaced", &["--version"]);
    Line {
        what: format!("`streamspaced --version`, start to end (p50 of {STARTS})"),
        ours: milliseconds(ours),
        against: "`/bin/true`".into(),
        bare: milliseconds(bare),
        ratio: times(ours, bare),
        remark: String::new(),
    }
}

/// A long page of help.
pub(crate) fn help() -> Line {
    let (ours, bare) = starts("ssctl", &["tenant", "create", "--help"]);
    Line {
        what: format!("`ssctl tenant create --help` (p50 of {STARTS})"),
        ours: milliseconds(ours),
        against: "`/bin/true`".into(),
        bare: milliseconds(bare),
        ratio: times(ours, bare),
        remark: String::new(),
    }
}

/// From the start of the program to the lines that invite to try it: with a new folder,
/// and with one that is there.
pub(crate) async fn development() -> Line {
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    let folder = tempfile::Builder::new().prefix("ss-bench-").permissions(open).tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (data, home, log) = (path("data"), path("home"), folder.path().join("log"));
    let arguments =
        ["dev", "--data-dir", &data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let variables = [
        ("HOME", home.as_str()),
        ("XDG_CONFIG_HOME", home.as_str()),
        ("SSCTL_CREDENTIAL_STORE", "file"),
    ];
    let mut took = Vec::new();
    for _ in 0..2 {
        let before = std::fs::read_to_string(&log).unwrap_or_default().len();
        let begin = Instant::now();
        let daemon = Daemon::start(&arguments, &log, &variables).gently();
        until("the development region is ready", async || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let said = text.get(before..).unwrap_or_default();
            holds(said.contains("Ctrl-C stops everything"), || said.to_owned())
        })
        .await;
        took.push(begin.elapsed());
        daemon.stop(Signal::INT).await;
    }
    let (first, second) = (took.remove(0), took.remove(0));
    Line {
        what: "`streamspaced dev`, new folder, until it invites to try it".into(),
        ours: milliseconds(first),
        against: "the second start".into(),
        bare: milliseconds(second),
        ratio: times(first, second),
        remark: verdict(first <= READY_LIMIT, "≤ 5 s"),
    }
}
