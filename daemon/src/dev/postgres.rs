//! A PostgreSQL that we start and stop ourselves, in a folder of its own.
//!
//! It listens on a Unix socket alone, in a folder that only its account may enter, and
//! lets in whoever comes through there. A server that a killed daemon left behind is
//! taken over. All of this blocks, for up to some seconds: call it from a thread that may.

mod account;
mod binaries;
mod server;

use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use account::Account;
use binaries::Binaries;
use rustix::process::Signal;
use server::Server;

/// The longest path of a Unix socket that every system takes, in bytes.
const LONGEST_SOCKET_PATH: usize = 103;

/// What PostgreSQL calls its socket. The port is only a part of that name.
const SOCKET_NAME: &str = ".s.PGSQL.5432";

/// The superuser of the private server.
const SUPERUSER: &str = "postgres";

/// How long an orderly stop may take before it is cut short.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// How the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostgresOptions {
    /// Whether what was committed survives a crash of the machine.
    pub durable: bool,
    /// Whether the server and its folder go when this process ends, in whatever way.
    /// Otherwise it outlives a kill of this process, and the next one takes it over.
    pub ephemeral: bool,
    /// The most connections.
    pub max_connections: u16,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { durable: true, ephemeral: false, max_connections: 100 }
    }
}

impl PostgresOptions {
    /// For tests: fast, many connections, and nothing stays.
    pub const fn scratch() -> Self {
        Self { durable: false, ephemeral: true, max_connections: 400 }
    }
}

/// Why the private PostgreSQL does not run.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// There is none on this machine.
    #[error(
        "PostgreSQL 15 or newer is not installed; install it with `apt-get install postgresql` (Debian, \
         Ubuntu), `dnf install postgresql-server` (Fedora) or `brew install postgresql@17` (macOS)"
    )]
    NotInstalled,
    /// The data were made by a version that is not on this machine.
    #[error(
        "the data in {data} are of PostgreSQL {major}, which is not installed; install that version, or move the folder away to start anew"
    )]
    OtherVersion {
        /// The major version that made the data.
        major: u32,
        /// The data folder.
        data: PathBuf,
    },
    /// Root has no account to run it under.
    #[error(
        "PostgreSQL does not run as root, and there is neither an account `postgres` nor `nobody`; make one, or run this as another user"
    )]
    NoAccount,
    /// The account cannot come to the folder.
    #[error(
        "PostgreSQL runs as `{account}`, which cannot enter {closed}, so it cannot come to {folder}; choose a \
         data folder that is open to it, such as one under /var/lib, or `chmod a+x {closed}`"
    )]
    NoWay {
        /// The account.
        account: &'static str,
        /// The folder that is closed to it.
        closed: PathBuf,
        /// Where it should go.
        folder: PathBuf,
    },
    /// Somebody else's folder stands where ours should.
    #[error("{0} is not a folder of ours; remove it, or choose another data folder")]
    Foreign(PathBuf),
    /// Another process uses the folder.
    #[error("another process uses the PostgreSQL in {0}; stop it first")]
    Busy(PathBuf),
    /// A file or folder could not be read or written.
    #[error("{path}: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program could not be started.
    #[error("{program} could not be started: {source}")]
    Program {
        /// Which.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The data folder could not be made.
    #[error("initdb failed: {0}")]
    Init(String),
    /// The server ended, or was not ready in time.
    #[error("PostgreSQL did not start: {reason}; its log is {log}")]
    Start {
        /// The last lines of its log.
        reason: String,
        /// The log file.
        log: PathBuf,
    },
    /// The server did not stop.
    #[error("PostgreSQL (process {0}) does not stop")]
    Stop(i32),
}

/// A running private PostgreSQL. Dropping it stops it as well as it can.
#[derive(Debug)]
pub struct PrivatePostgres {
    folder: PathBuf,
    sockets: PathBuf,
    account: Account,
    binaries: Binaries,
    options: PostgresOptions,
    server: Option<Server>,
    guard: Option<Child>,
    /// Held while this lives, so that nobody else takes the server over.
    _lock: File,
}

impl PrivatePostgres {
    /// Starts the server of a folder, or takes it over if a killed process left it
    /// running. The folder is made if it is missing; it should hold nothing else.
    pub fn start(folder: &Path) -> Result<Self, PostgresError> {
        Self::start_with(folder, PostgresOptions::default())
    }

    /// As [`PrivatePostgres::start`], with options.
    pub fn start_with(folder: &Path, options: PostgresOptions) -> Result<Self, PostgresError> {
        let account = Account::find()?;
        if let Some(parent) = folder.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|source| PostgresError::Folder { path: parent.to_owned(), source })?;
        }
        account.private_folder(folder)?;
        let folder = folder
            .canonicalize()
            .map_err(|source| PostgresError::Folder { path: folder.to_owned(), source })?;
        account.require_way_to(&folder)?;
        let lock = lock(&folder)?;
        let binaries = Binaries::find(&folder.join("data"))?;
        let sockets = socket_folder(&folder);
        account.private_folder(&sockets)?;
        let mut postgres = Self {
            guard: options.ephemeral.then(|| guard(&folder, &sockets)).transpose()?,
            folder,
            sockets,
            account,
            binaries,
            options,
            server: None,
            _lock: lock,
        };
        postgres.initialize()?;
        postgres.start_again()?;
        Ok(postgres)
    }

    /// The URL of a login and a database on this server.
    pub fn url(&self, login: &str, database: &str) -> String {
        let folder = percent_encode(&self.sockets);
        format!("postgres://{login}@localhost/{database}?host={folder}")
    }

    /// The superuser's URL.
    pub fn superuser_url(&self) -> String {
        self.url(SUPERUSER, SUPERUSER)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The id of the server's process, while it runs.
    pub fn process_id(&self) -> Option<i32> {
        self.server.as_ref().map(Server::process_id)
    }

    /// Stops in order: sessions are ended, what was committed is written. It may be
    /// started again.
    pub fn stop(&mut self) -> Result<(), PostgresError> {
        let Some(mut server) = self.server.take() else {
            return Ok(());
        };
        // Fast, then immediate, then without asking.
        for (signal, patience) in [
            (Signal::INT, STOP_PATIENCE),
            (Signal::QUIT, Duration::from_secs(5)),
            (Signal::KILL, Duration::from_secs(5)),
        ] {
            if server.signal(signal, patience) {
                return Ok(());
            }
        }
        let process_id = server.process_id();
        self.server = Some(server);
        Err(PostgresError::Stop(process_id))
    }

    /// Ends the server at once, as a crash would; the next start recovers.
    pub fn kill_server(&mut self) -> Result<(), PostgresError> {
        let Some(mut server) = self.server.take() else {
            return Ok(());
        };
        if server.signal(Signal::QUIT, Duration::from_secs(10)) {
            return Ok(());
        }
        let process_id = server.process_id();
        self.server = Some(server);
        Err(PostgresError::Stop(process_id))
    }

    /// Starts the server after [`PrivatePostgres::stop`] or
    /// [`PrivatePostgres::kill_server`]. Does nothing while it runs.
    pub fn start_again(&mut self) -> Result<(), PostgresError> {
        if self.server.is_some() {
            return Ok(());
        }
        let data = self.folder.join("data");
        if let Some((server, sockets)) = Server::take_over(&data) {
            tracing::info!(process_id = server.process_id(), "took over the running PostgreSQL");
            self.sockets = sockets;
            self.server = Some(server);
            return Ok(());
        }
        let mut command = Command::new(&self.binaries.postgres);
        self.account.prepare(&mut command);
        command.arg("-D").arg(&data);
        for setting in self.settings() {
            command.arg("-c").arg(setting);
        }
        self.server = Some(Server::launch(command, &data, &self.folder.join("postgres.log"))?);
        Ok(())
    }

    fn settings(&self) -> Vec<String> {
        let mut settings = vec![
            "listen_addresses=".to_owned(),
            "port=5432".to_owned(),
            format!("unix_socket_directories={}", self.sockets.display()),
            "unix_socket_permissions=0700".to_owned(),
            format!("max_connections={}", self.options.max_connections),
            "timezone=UTC".to_owned(),
            "log_timezone=UTC".to_owned(),
            "jit=off".to_owned(),
            // Nobody replicates from here; it makes commits and copies cheaper.
            "wal_level=minimal".to_owned(),
            "max_wal_senders=0".to_owned(),
        ];
        if !self.options.durable {
            // Commits still reach the system at once, so they outlive the server's crash.
            settings.extend(["fsync=off".to_owned(), "full_page_writes=off".to_owned()]);
        }
        settings
    }

    /// Makes the data folder once: aside, then renamed, so that half of one is never
    /// taken for a whole.
    fn initialize(&self) -> Result<(), PostgresError> {
        let data = self.folder.join("data");
        if data.join("PG_VERSION").exists() {
            return Ok(());
        }
        let unfinished = self.folder.join("data.unfinished");
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| PostgresError::Folder { path, source }
        };
        match std::fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(&unfinished)(error));
            }
            _ => {}
        }
        let mut command = Command::new(&self.binaries.initdb);
        self.account.prepare(&mut command);
        let output = command
            .arg("-D")
            .arg(&unfinished)
            .args(["--username", SUPERUSER, "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync", "--no-instructions"])
            .stdin(Stdio::null())
            .output()
            .map_err(|source| PostgresError::Program {
                program: self.binaries.initdb.clone(),
                source,
            })?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr);
            return Err(PostgresError::Init(reason.trim().to_owned()));
        }
        let access = unfinished.join("pg_hba.conf");
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&access)
            .and_then(|mut file| {
                file.write_all(
                    b"# The socket's folder is what keeps others out.\nlocal all all trust\n",
                )
            })
            .map_err(failed(&access))?;
        std::fs::rename(&unfinished, &data).map_err(failed(&data))
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::warn!(%error, "the private PostgreSQL stays");
        }
        if let Some(mut guard) = self.guard.take() {
            // It ends when its input does, and takes the folders with it.
            drop(guard.stdin.take());
            let _ = guard.wait();
        }
    }
}

/// Taken for as long as the server is ours; the system releases it when we are killed.
fn lock(folder: &Path) -> Result<File, PostgresError> {
    let path = folder.join("lock");
    let failed = |source| PostgresError::Folder { path: path.clone(), source };
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(PostgresError::Busy(folder.to_owned())),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// A shell that waits for the end of this process, by the end of its own input, then
/// stops the server and removes its folders.
fn guard(folder: &Path, sockets: &Path) -> Result<Child, PostgresError> {
    use std::os::unix::process::CommandExt;
    const SCRIPT: &str = r#"
        cat >/dev/null
        if [ -f "$1/data/postmaster.pid" ]; then
            kill -QUIT "$(head -n 1 "$1/data/postmaster.pid")"
            tries=0
            while [ -f "$1/data/postmaster.pid" ] && [ "$tries" -lt 100 ]; do
                sleep 0.05
                tries=$((tries + 1))
            done
        fi
        rm -rf "$1" "$2"
    "#;
    Command::new("/bin/sh")
        .args(["-c", SCRIPT, "guard"])
        .args([folder, sockets])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|source| PostgresError::Program { program: PathBuf::from("/bin/sh"), source })
}

/// A folder for the socket: within the server's own if the path is short enough, else
/// one under the system's folder for temporary files.
fn socket_folder(folder: &Path) -> PathBuf {
    let own = folder.join("run");
    if socket_fits(&own) {
        return own;
    }
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    let name = format!("streamspace-{:016x}", hasher.finish());
    let temporary = std::env::temp_dir().join(&name);
    if socket_fits(&temporary) { temporary } else { Path::new("/tmp").join(name) }
}

fn socket_fits(folder: &Path) -> bool {
    folder.join(SOCKET_NAME).as_os_str().len() <= LONGEST_SOCKET_PATH
}

/// A path as a part of a URL's query.
fn percent_encode(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt;
    let mut encoded = String::new();
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            encoded.push(char::from(*byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
