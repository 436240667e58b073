//! A person's terminal: one shell that keeps its variables and folder from command to
//! command. Both outputs come as one, in the order in which they are written.

use std::{
    fs,
    io::{PipeReader, Read as _},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use streamspace_tests::{daemon::program, wait::PATIENCE};
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, ChildStdin, Command},
    sync::mpsc,
    time::timeout,
};

/// Stands before an exit code, and in no output of ours.
const MARK: char = '\u{1e}';

/// No command of the documentation takes longer.
const LIMIT: Duration = Duration::from_mins(2);

/// One person's home.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    /// The folder.
    pub(crate) folder: PathBuf,
    /// Further variables.
    pub(crate) variables: Vec<(String, String)>,
}

/// A shell.
pub(crate) struct Terminal {
    child: Child,
    input: ChildStdin,
    output: mpsc::UnboundedReceiver<String>,
    pending: String,
}

impl Home {
    /// A command in this home.
    fn command(&self, program: &str) -> (Command, PipeReader) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let home = self.folder.display().to_string();
        fs::create_dir_all(self.folder.join("work")).expect("a home");
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", path())
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", format!("{home}/config"))
            .env("SSCTL_CREDENTIAL_STORE", "file")
            .env("TERM", "dumb")
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .env("COLUMNS", "100")
            .envs(self.variables.iter().cloned())
            .current_dir(self.folder.join("work"))
            .stdout(writer.try_clone().expect("a second handle"))
            .stderr(writer)
            .process_group(0)
            .kill_on_drop(true);
        (command, reader)
    }

    /// Opens a terminal.
    pub(crate) fn terminal(&self) -> Terminal {
        let (mut command, reader) = self.command("bash");
        command.args(["--norc", "--noprofile"]).stdin(Stdio::piped());
        let mut child = command.spawn().expect("bash starts");
        drop(command);
        let input = child.stdin.take().expect("its input is a pipe");
        Terminal { child, input, output: read(reader), pending: String::new() }
    }

    /// Starts a command that goes on, in a terminal of its own.
    pub(crate) fn start(&self, text: &str) -> Following {
        let (mut command, reader) = self.command("bash");
        command.args(["--norc", "--noprofile", "-c", &format!("exec {text}")]).stdin(Stdio::null());
        let child = command.spawn().expect("bash starts");
        drop(command);
        Following { text: text.to_owned(), child, output: read(reader), pending: String::new() }
    }
}

/// The programs that were built, before those of the machine.
pub(crate) fn path() -> String {
    let ours = program("ssctl").parent().map(Path::to_path_buf).expect("a folder");
    let others = std::env::var("PATH").unwrap_or_default();
    format!("{}:{others}", ours.display())
}

/// What comes out, piece by piece.
fn read(mut reader: PipeReader) -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        let mut bytes = Vec::new();
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..count]);
            // A character may be cut in the middle.
            let whole = match std::str::from_utf8(&bytes) {
                Ok(text) => text.len(),
                Err(error) if error.error_len().is_none() => error.valid_up_to(),
                Err(_) => bytes.len(),
            };
            let text = String::from_utf8_lossy(&bytes[..whole]).into_owned();
            bytes.drain(..whole);
            if sender.send(text).is_err() {
                break;
            }
        }
    });
    receiver
}

impl Terminal {
    /// Runs a command; what it printed, and how it ended.
    pub(crate) async fn run(&mut self, command: &str) -> Result<(String, i32), String> {
        // The command must not read the ones behind it; `$?` is what the one before left.
        let script = format!(
            "(exit ${{__code:-0}})\n{{ {command}\n}} </dev/null\n__code=$?; printf '{MARK}%s\\n' $__code\n"
        );
        self.input.write_all(script.as_bytes()).await.map_err(|e| format!("{command}: {e}"))?;
        let read = async {
            loop {
                if let Some((output, code)) = self.finished() {
                    return Ok((output, code));
                }
                match self.output.recv().await {
                    Some(more) => self.pending.push_str(&more),
                    None => return Err(format!("{command}: the shell ended: {}", self.pending)),
                }
            }
        };
        let read = timeout(LIMIT, read).await;
        read.unwrap_or_else(|_| {
            Err(format!("{command}: no end after {} s: {}", LIMIT.as_secs(), self.pending))
        })
    }

    fn finished(&mut self) -> Option<(String, i32)> {
        let (output, rest) = self.pending.split_once(MARK)?;
        let (code, rest) = rest.split_once('\n')?;
        let done = (output.to_owned(), code.parse().ok()?);
        self.pending = rest.to_owned();
        Some(done)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        end(&self.child, Signal::KILL);
    }
}

/// A command that goes on.
pub(crate) struct Following {
    /// The command.
    pub(crate) text: String,
    child: Child,
    output: mpsc::UnboundedReceiver<String>,
    pending: String,
}

impl Following {
    /// The next line, or `None` at its end.
    pub(crate) async fn line(&mut self) -> Result<Option<String>, String> {
        let read = async {
            loop {
                if let Some(end) = self.pending.find('\n') {
                    let rest = self.pending.split_off(end + 1);
                    let mut line = std::mem::replace(&mut self.pending, rest);
                    line.truncate(end);
                    return Some(line);
                }
                match self.output.recv().await {
                    Some(more) => self.pending.push_str(&more),
                    None if self.pending.is_empty() => return None,
                    None => return Some(std::mem::take(&mut self.pending)),
                }
            }
        };
        timeout(PATIENCE, read)
            .await
            .map_err(|_| format!("{}: nothing for {} s", self.text, PATIENCE.as_secs()))
    }

    /// Interrupts it, as Ctrl-C does; what it still says, and how it ended.
    pub(crate) async fn interrupt(mut self) -> Result<(Vec<String>, i32), String> {
        end(&self.child, Signal::INT);
        let mut lines = Vec::new();
        while let Some(line) = self.line().await? {
            lines.push(line);
        }
        let status = timeout(PATIENCE, self.child.wait()).await;
        let status = status.map_err(|_| format!("{} does not end", self.text))?;
        Ok((lines, status.map_err(|e| e.to_string())?.code().unwrap_or(-1)))
    }
}

/// Sends a signal to all that the shell started.
fn end(child: &Child, signal: Signal) {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(id) = id {
        let _gone = kill_process_group(id, signal);
    }
}
