//! A machine on which the built program runs, and the files that its words are
//! compared with.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

/// A machine of its own: no contexts, no variables, no terminal.
pub struct Machine {
    pub home: tempfile::TempDir,
}

impl Machine {
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssctl"));
        command
            .args(arguments)
            .env_clear()
            .env("TZ", "UTC")
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.home.path())
            .env("SSCTL_CREDENTIAL_STORE", "file")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::new(self.command(arguments).output().unwrap())
    }

    /// Runs with text on standard input.
    pub fn feed(&self, arguments: &[&str], input: &str) -> Run {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Run::new(child.wait_with_output().unwrap())
    }

    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Contexts whose daemons are at these addresses; the first is current. There
    /// are no keys.
    pub fn with_contexts(&self, contexts: &[(&str, &str)]) {
        let (authority, _) = certificate_and_key();
        let mut text = format!("current = \"{}\"\n", contexts.first().unwrap().0);
        for (name, endpoint) in contexts {
            let keys = self.home.path().join("none.toml");
            let context = format!(
                "[contexts.{name}]\nendpoint = \"{endpoint}\"\nregion = \"{name}\"\n\
                 authorities = \"\"\"{authority}\"\"\"\n\
                 credential = {{ store = \"file\", path = \"{}\" }}\n",
                keys.display()
            );
            text += &context;
        }
        self.file("streamspace/contexts.toml", &text);
    }

    /// Text without what differs from machine to machine.
    pub fn plain(&self, text: &str) -> String {
        text.replace(self.home.path().to_str().unwrap(), "HOME")
    }
}

pub struct Run {
    pub stdout: String,
    pub stderr: String,
    pub exit: i32,
}

impl Run {
    pub fn new(output: Output) -> Self {
        Self {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            exit: output.status.code().unwrap(),
        }
    }
}

/// Compares with a committed file, in which a carriage return is a sign that editors leave
/// alone. `UPDATE_GOLDEN=1` writes it anew.
pub fn golden(name: &str, actual: &str) {
    let actual = actual.replace('\r', "␍");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        actual, expected,
        "{name} differs; if that is meant, run UPDATE_GOLDEN=1 cargo test -p ssctl"
    );
}

/// A certificate and the key that belongs to it, as PEM.
pub fn certificate_and_key() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["nobody".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[cfg(unix)]
pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
pub fn set_mode(_: &Path, _: u32) {}
