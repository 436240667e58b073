//! `ssctl` as a person or a script runs it: each with a configuration folder of its own.

#![allow(clippy::panic, clippy::expect_used, reason = "a panic fails the story, as it should")]

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use streamspace_client::{Connection, Contexts, Environment, Options};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::{daemon::Version, wait::PATIENCE};

/// No command of a story takes longer.
const LIMIT: Duration = Duration::from_mins(3);

/// One person's `ssctl`.
#[derive(Clone, Debug)]
pub struct Ssctl {
    home: PathBuf,
    variables: Vec<(String, String)>,
    version: Version,
}

/// What a command did.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The command, for messages.
    pub command: String,
    /// How it ended.
    pub code: i32,
    /// Data.
    pub stdout: String,
    /// Talk.
    pub stderr: String,
}

#[allow(clippy::return_self_not_must_use, reason = "the checks can be the end of the chain")]
impl Ran {
    /// What a program that ended has done.
    pub fn new(command: String, output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            command,
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Fails the story unless it ended so.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(
            self.code == code,
            "{} ended with {} instead of {code}\n--- stdout\n{}\n--- stderr\n{}",
            self.command,
            self.code,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Fails the story unless standard error says this.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        // Long lines may be broken for the terminal's sake.
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            flat(&self.stderr).contains(&flat(words)),
            "{} does not say {words:?}:\n{}",
            self.command,
            self.stderr
        );
        self
    }

    /// Fails the story unless standard output has this.
    #[track_caller]
    pub fn prints(self, words: &str) -> Self {
        assert!(
            self.stdout.contains(words),
            "{} does not print {words:?}:\n{}",
            self.command,
            self.stdout
        );
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{}: {error}: {:?}", self.command, self.stdout))
    }
}

impl Ssctl {
    /// A person whose home is this folder.
    pub fn new(home: PathBuf) -> Self {
        std::fs::create_dir_all(&home).expect("a home");
        Self { home, variables: Vec::new(), version: Version::This }
    }

    /// The same with one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// The same person with the same files, who uses this version of the program.
    #[must_use]
    pub fn with_version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// The same person with the same credential, who calls another replica.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Self {
        let text = std::fs::read_to_string(self.environment().contexts_file()).expect("a login");
        let mut table: toml::Table = toml::from_str(&text).expect("it is TOML");
        redirect(&mut table, &address.to_string());
        let path = self.home.join(format!("contexts-{}.toml", address.port()));
        std::fs::write(&path, table.to_string()).expect("the home is ours");
        self.clone().with("SSCTL_CONFIG", path.display().to_string())
    }

    /// The person's home.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The whole environment of their commands.
    pub fn all_variables(&self) -> Vec<(String, String)> {
        let home = self.home.display().to_string();
        let mut all = vec![
            ("HOME".to_owned(), home.clone()),
            ("XDG_CONFIG_HOME".to_owned(), format!("{home}/config")),
            // No keyring of the machine's user is asked.
            ("SSCTL_CREDENTIAL_STORE".to_owned(), "file".to_owned()),
            ("TERM".to_owned(), "dumb".to_owned()),
            ("TZ".to_owned(), "UTC".to_owned()),
        ];
        all.extend(self.variables.iter().cloned());
        all
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.version.program("ssctl"));
        command
            .args(arguments)
            .env_clear()
            .envs(self.all_variables())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ran {
        let shown: Vec<String> =
            arguments.iter().map(|a| a.chars().take(60).collect::<String>()).collect();
        let command = format!("ssctl {}", shown.join(" "));
        let output = timeout(LIMIT, self.command(arguments).output()).await;
        let Ok(output) = output else { panic!("{command} took more than {} s", LIMIT.as_secs()) };
        let output = output.unwrap_or_else(|error| panic!("{command}: {error}"));
        Ran::new(command, &output)
    }

    /// Runs a command with text on its standard input.
    pub async fn feed(&self, arguments: &[&str], input: &str) -> Ran {
        let command = format!("ssctl {}", arguments.join(" "));
        let mut child =
            self.command(arguments).stdin(Stdio::piped()).spawn().expect("ssctl starts");
        let mut stdin = child.stdin.take().expect("its input is a pipe");
        let input = input.to_owned();
        // It may end without having read all of it.
        let writing = tokio::spawn(async move {
            let _sent = stdin.write_all(input.as_bytes()).await;
        });
        let output = timeout(LIMIT, child.wait_with_output()).await;
        let Ok(output) = output else { panic!("{command} took more than {} s", LIMIT.as_secs()) };
        let output = output.unwrap_or_else(|error| panic!("{command}: {error}"));
        writing.abort();
        Ran::new(command, &output)
    }

    /// Runs a command that must succeed.
    pub async fn ok(&self, arguments: &[&str]) -> Ran {
        self.run(arguments).await.exits(0)
    }

    /// Runs a command that must succeed and prints JSON.
    pub async fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.extend(["-o", "json"]);
        self.ok(&all).await.json()
    }

    /// Starts a command that goes on.
    pub fn start(&self, arguments: &[&str]) -> Following {
        let mut child = self.command(arguments).spawn().expect("ssctl starts");
        let output = child.stdout.take().expect("its output is a pipe");
        Following {
            command: format!("ssctl {}", arguments.join(" ")),
            lines: BufReader::new(output).lines(),
            child,
        }
    }

    /// The same environment for the client library.
    pub fn environment(&self) -> Environment {
        let variables = self.all_variables();
        Environment::new(|name| {
            variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        })
    }

    /// A connection of the client library, as this person.
    pub fn connection(&self) -> Connection {
        let environment = self.environment();
        let contexts = Contexts::load(&environment).expect("the contexts");
        let context = contexts.resolve(None, &environment).expect("a current context");
        Connection::open(&context, &Options::new(environment)).expect("good options")
    }
}

/// Puts another endpoint into every context of the file.
fn redirect(table: &mut toml::Table, address: &str) {
    for (key, value) in table.iter_mut() {
        if key == "endpoint" {
            *value = address.into();
        } else if let Some(table) = value.as_table_mut() {
            redirect(table, address);
        }
    }
}

/// A command that goes on, such as a watch.
#[derive(Debug)]
pub struct Following {
    command: String,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Following {
    /// The next line of its output.
    pub async fn line(&mut self) -> String {
        let Ok(read) = timeout(PATIENCE, self.lines.next_line()).await else {
            panic!("{} printed nothing for {} s", self.command, PATIENCE.as_secs())
        };
        match read {
            Ok(Some(line)) => line,
            Ok(None) => {
                let talk = self.talk().await;
                panic!("{} ended: {talk}", self.command)
            }
            Err(error) => panic!("{}: {error}", self.command),
        }
    }

    /// Reads lines until one is as wanted, and returns it.
    pub async fn line_with(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let line = self.line().await;
            if wanted(&line) {
                return line;
            }
        }
    }

    /// Reads what it talks until it says this.
    pub async fn says(&mut self, words: &str) {
        let stderr = self.child.stderr.as_mut().expect("its talk is a pipe");
        let mut talk = Vec::new();
        while !String::from_utf8_lossy(&talk).contains(words) {
            let read = timeout(PATIENCE, stderr.read_buf(&mut talk)).await;
            let more = matches!(read, Ok(Ok(1..)));
            let said = String::from_utf8_lossy(&talk);
            assert!(more, "{} does not say {words:?}:\n{said}", self.command);
        }
    }

    /// Interrupts it, as Ctrl-C does, and returns its exit code.
    pub async fn interrupt(mut self) -> i32 {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(id.expect("it runs"), Signal::INT).expect("it is ours");
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends");
        status.expect("its state").code().unwrap_or(-1)
    }

    /// Waits until it ends by itself, and returns its exit code.
    pub async fn ends(mut self) -> i32 {
        // What it still says must not fill the pipe.
        while let Ok(Ok(Some(_))) = timeout(PATIENCE, self.lines.next_line()).await {}
        let Ok(status) = timeout(PATIENCE, self.child.wait()).await else {
            panic!("{} went on for {} s", self.command, PATIENCE.as_secs())
        };
        status.expect("its state").code().unwrap_or(-1)
    }

    async fn talk(&mut self) -> String {
        let mut text = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            let _read = stderr.read_to_string(&mut text).await;
        }
        text
    }
}
