//! A clean Debian of a story's own, with a real systemd as its first process: namespaces of this
//! machine, without an image or a virtual machine.

#![allow(clippy::panic, clippy::expect_used, reason = "a panic fails the story, as it should")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::{
    janitor,
    ssctl::Ran,
    wait::{holds, until},
};

const BOOT: &str = include_str!("machine/boot.sh");

/// The longest command installs packages.
const LIMIT: Duration = Duration::from_mins(5);

/// A booted Debian. It is switched off when this is dropped.
#[derive(Debug)]
pub struct Machine {
    // In the order in which they go.
    _process: Child,
    init: u32,
    folder: TempDir,
}

impl Drop for Machine {
    fn drop(&mut self) {
        let group = fs::read_to_string(self.folder.path().join("group")).unwrap_or_default();
        // Its last process takes a moment to go. What cannot be removed holds nothing.
        let script = "for _ in $(seq 50); do \
                          find \"$1\" -depth -type d -exec rmdir {} + 2>/dev/null && exit; sleep 0.1; \
                      done";
        let init = self.init.to_string();
        let _ended = std::process::Command::new("kill").args(["-KILL", &init]).status();
        let _removed = std::process::Command::new("sh")
            .args(["-c", script, "sh", group.trim()])
            .stderr(Stdio::null())
            .status();
    }
}

/// Whether a machine can be booted here: by root, on Linux, who may make namespaces. Where it
/// cannot, `STREAMSPACE_MACHINE=required` makes that a failure.
pub fn can_boot() -> bool {
    let namespaces =
        ["--mount", "--pid", "--ipc", "--uts", "--net", "--cgroup", "--fork", "--", "true"];
    let made = std::process::Command::new("unshare").args(namespaces).output();
    if rustix::process::geteuid().is_root() && made.is_ok_and(|made| made.status.success()) {
        return true;
    }
    let required = std::env::var_os("STREAMSPACE_MACHINE").is_some_and(|value| value == "required");
    assert!(!required, "a machine is booted by root on Linux alone, who may make namespaces");
    false
}

impl Machine {
    /// Boots one, and returns when its services run.
    pub async fn boot() -> Self {
        let root = clean_root().await;
        let folder = TempDir::with_prefix("streamspace-machine-").expect("a temporary folder");
        janitor::folder(folder.path());
        let script = folder.path().join("boot.sh");
        fs::write(&script, BOOT).expect("the folder is ours");
        let process = Command::new("bash")
            .arg(&script)
            .arg(&root)
            .arg(folder.path())
            .stdin(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .expect("bash starts");
        let id = process.id().expect("it was not waited for yet");
        janitor::process(id);
        let init = until("the machine has a first process", async || {
            let path = format!("/proc/{id}/task/{id}/children");
            let children = fs::read_to_string(path).map_err(|error| error.to_string())?;
            let init = children.split_whitespace().next().and_then(|first| first.parse().ok());
            let init: u32 = init.ok_or("not yet")?;
            let name = fs::read_to_string(format!("/proc/{init}/comm")).unwrap_or_default();
            holds(name.trim() == "systemd", || format!("it is {name}"))?;
            Ok::<_, String>(init)
        })
        .await;
        let machine = Self { _process: process, init, folder };
        until("the machine runs", async || {
            let ran = machine.run("systemctl is-system-running").await;
            holds(ran.stdout.trim() == "running", || format!("{}{}", ran.stdout, ran.stderr))
        })
        .await;
        machine
    }

    /// Runs a script of its `bash`, as root.
    pub async fn run(&self, script: &str) -> Ran {
        let output = timeout(LIMIT, self.command(script).output()).await;
        let Ok(output) = output else { panic!("{script} took more than {} s", LIMIT.as_secs()) };
        let output = output.expect("nsenter starts");
        Ran::new(script.to_owned(), &output)
    }

    /// Runs a script that must succeed, and gives what it prints.
    pub async fn ok(&self, script: &str) -> String {
        self.run(script).await.exits(0).stdout
    }

    /// A script that is still to be started.
    pub fn command(&self, script: &str) -> Command {
        let mut command = self.entering("nsenter");
        command
            .args(["--mount", "--root", "--wd", "--", "/usr/bin/bash", "-euo", "pipefail", "-c"])
            .arg(script);
        command
    }

    /// A program of this machine here, which is still to be started, in the network of that one.
    pub fn beside(&self, program: &Path) -> Command {
        let mut command = self.entering("nsenter");
        command.arg("--").arg(program);
        command
    }

    fn entering(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .args(["--target", &self.init.to_string()])
            .args(["--uts", "--ipc", "--net", "--pid"])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    /// Where one of its files is seen from here.
    pub fn path(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{file}", self.init))
    }

    /// A folder of this machine here, for what runs beside it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

async fn clean_root() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/dev/machine-root");
    let output = Command::new(script).output().await.expect("the script starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "packaging/dev/machine-root: {}", text(&output.stderr));
    PathBuf::from(text(&output.stdout).trim())
}
