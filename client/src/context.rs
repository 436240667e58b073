//! Contexts: which daemon a command speaks to, whom it trusts there, and where
//! the keys for it are.
//!
//! They stand in one TOML file. A command takes the context of its flag, else of
//! `SSCTL_CONTEXT`, else the one that `SSCTL_ENDPOINT` and its companions make,
//! else the file's current one.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    files::{self, Lock, Privacy},
    pem,
};

mod address;
mod environment;

pub use address::{Address, AddressError, DEFAULT_PORT};
pub use environment::Environment;

/// How long a command waits for another that changes the context file.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// What is wrong with the contexts of this machine.
#[derive(Clone, Debug, Error)]
pub enum ContextError {
    /// The file cannot be read or written.
    #[error("cannot use the context file {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: Arc<io::Error>,
    },
    /// The file is not what it should be.
    #[error("the context file {} is broken: {why}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Where and how.
        why: String,
    },
    /// There is no such context.
    #[error("there is no context {name}{}", did_you_mean(.suggestion.as_deref()))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nearest name that exists.
        suggestion: Option<String>,
        /// All names that exist.
        known: Vec<String>,
    },
    /// No context was named and none is current.
    #[error("{}", none_chosen(.known))]
    NoneChosen {
        /// All names that exist.
        known: Vec<String>,
    },
    /// A variable of the environment is wrong.
    #[error("{variable} is wrong: {why}")]
    Variable {
        /// The variable.
        variable: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A name that a context cannot have.
    #[error("{0:?} is not a name for a context: use letters, digits, `-`, `_` and `.`")]
    BadName(String),
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

fn none_chosen(known: &[String]) -> &'static str {
    if known.is_empty() {
        "this machine is not logged in to any region"
    } else {
        "no context is chosen"
    }
}

impl ContextError {
    pub(crate) fn next_step(&self) -> String {
        match self {
            Self::File { path, .. } => {
                format!("check who owns {}, or name another in SSCTL_CONFIG", path.display())
            }
            Self::Broken { path, .. } => format!(
                "mend it by hand, or move {} away and run `ssctl login` again",
                path.display()
            ),
            Self::Unknown { known, .. } | Self::NoneChosen { known } if known.is_empty() => {
                "run `ssctl login HOST --token TOKEN`; an administrator makes the token with \
                 `ssctl token create`"
                    .into()
            }
            Self::Unknown { known, .. } => {
                format!("`ssctl context list` shows them: {}", known.join(", "))
            }
            Self::NoneChosen { known } => format!(
                "choose one with `ssctl context use NAME` or `--context NAME`: {}",
                known.join(", ")
            ),
            Self::Variable { variable, .. } => format!("set {variable} right, or unset it"),
            Self::BadName(_) => "choose another name with `--context NAME`".into(),
        }
    }
}

/// One daemon to speak to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// What people call it; the region's name by default.
    pub name: String,
    /// Where the daemon is.
    pub endpoint: Address,
    /// The region that it serves, as `regions/{region}` without the prefix. Empty
    /// where it is not known.
    pub region: String,
    /// The certificate authorities that may vouch for the daemon.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Where the keys are.
    pub credential: CredentialReference,
    /// Whether destructive work asks for the name of its target even where
    /// `--yes` is given.
    pub protected: bool,
}

/// Where the keys of a context are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "store", rename_all = "lowercase", deny_unknown_fields)]
pub enum CredentialReference {
    /// In the operating system's keyring.
    Keyring {
        /// The entry's user name; the service is `streamspace`.
        entry: String,
    },
    /// In a file that only its owner may read.
    File {
        /// The file.
        path: PathBuf,
    },
    /// In PEM files that somebody else renews, for CI.
    Plain {
        /// The client certificate, followed by its chain.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
}

/// The file as TOML has it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default)]
    contexts: BTreeMap<String, StoredContext>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredContext {
    endpoint: String,
    #[serde(default)]
    region: String,
    #[serde(default)]
    protected: bool,
    authorities: String,
    credential: CredentialReference,
}

/// The contexts of this machine.
#[derive(Clone, Debug, Default)]
pub struct Contexts {
    path: PathBuf,
    current: Option<String>,
    by_name: BTreeMap<String, Context>,
}

impl Contexts {
    /// Reads the file of the environment. No file is no contexts.
    pub fn load(environment: &Environment) -> Result<Self, ContextError> {
        Self::read(&environment.contexts_file())
    }

    fn read(path: &Path) -> Result<Self, ContextError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(file_error(path, error)),
        };
        let broken = |why: String| ContextError::Broken { path: path.to_owned(), why };
        let stored: Stored = toml::from_str(&text).map_err(|error| broken(error.to_string()))?;
        let by_name = stored
            .contexts
            .into_iter()
            .map(|(name, stored)| {
                let context = stored
                    .into_context(name.clone())
                    .map_err(|why| broken(format!("context {name}: {why}")))?;
                Ok((name, context))
            })
            .collect::<Result<_, ContextError>>()?;
        Ok(Self { path: path.to_owned(), current: stored.current, by_name })
    }

    /// Changes the file: reads it under a lock, lets `change` work on it, and
    /// writes it as a whole. It blocks the thread for a moment.
    pub fn change<T>(
        environment: &Environment,
        change: impl FnOnce(&mut Self) -> Result<T, ContextError>,
    ) -> Result<T, ContextError> {
        let path = environment.contexts_file();
        let lock = path.with_extension("toml.lock");
        let _lock = Lock::take(&lock, LOCK_PATIENCE).map_err(|error| file_error(&lock, error))?;
        let mut contexts = Self::read(&path)?;
        let result = change(&mut contexts)?;
        contexts.write()?;
        Ok(result)
    }

    fn write(&self) -> Result<(), ContextError> {
        let contexts = self.by_name.values().map(StoredContext::new).collect();
        let stored = Stored { current: self.current.clone(), contexts };
        let text = toml::to_string(&stored).map_err(|error| ContextError::Broken {
            path: self.path.clone(),
            why: error.to_string(),
        })?;
        files::write_atomically(&self.path, text.as_bytes(), Privacy::Open)
            .map_err(|error| file_error(&self.path, error))
    }

    /// The file that they stand in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Context> {
        self.by_name.values()
    }

    /// The name of the one that is used where none is named.
    pub fn current(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// The context of a name.
    pub fn get(&self, name: &str) -> Result<&Context, ContextError> {
        self.by_name.get(name).ok_or_else(|| ContextError::Unknown {
            name: name.to_owned(),
            suggestion: nearest(name, self.by_name.keys()).map(str::to_owned),
            known: self.names(),
        })
    }

    fn names(&self) -> Vec<String> {
        self.by_name.keys().cloned().collect()
    }

    /// Adds a context or replaces the one of the same name.
    pub fn put(&mut self, context: Context) -> Result<(), ContextError> {
        check_name(&context.name)?;
        self.by_name.insert(context.name.clone(), context);
        Ok(())
    }

    /// Makes a context the one that is used where none is named.
    pub fn choose(&mut self, name: &str) -> Result<(), ContextError> {
        self.get(name)?;
        self.current = Some(name.to_owned());
        Ok(())
    }

    /// Takes a context out and returns it.
    pub fn remove(&mut self, name: &str) -> Result<Context, ContextError> {
        let context = self.get(name)?.clone();
        self.by_name.remove(name);
        if self.current.as_deref() == Some(name) {
            self.current = None;
        }
        Ok(context)
    }

    /// The context that a command uses: the one it names, else the environment's,
    /// else the file's current one.
    pub fn resolve(
        &self,
        named: Option<&str>,
        environment: &Environment,
    ) -> Result<Context, ContextError> {
        if let Some(name) = named.or(environment.context()) {
            return self.get(name).cloned();
        }
        if let Some(context) = environment.plain_context()? {
            return Ok(context);
        }
        let name = self.current.as_deref();
        let name = name.ok_or_else(|| ContextError::NoneChosen { known: self.names() })?;
        self.get(name).cloned()
    }
}

/// Refuses a name that could not be a file's name or a bare word.
pub fn check_name(name: &str) -> Result<(), ContextError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let starts = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if starts && name.len() <= 63 && name.chars().all(fits) {
        Ok(())
    } else {
        Err(ContextError::BadName(name.to_owned()))
    }
}

impl StoredContext {
    fn new(context: &Context) -> (String, Self) {
        let stored = Self {
            endpoint: context.endpoint.to_string(),
            region: context.region.clone(),
            protected: context.protected,
            authorities: pem::encode_certificates(&context.authorities),
            credential: context.credential.clone(),
        };
        (context.name.clone(), stored)
    }

    fn into_context(self, name: String) -> Result<Context, String> {
        Ok(Context {
            name,
            endpoint: self.endpoint.parse().map_err(|error: AddressError| error.to_string())?,
            region: self.region,
            authorities: pem::certificates(self.authorities.as_bytes())
                .map_err(|why| format!("authorities: {why}"))?,
            credential: self.credential,
            protected: self.protected,
        })
    }
}

fn file_error(path: &Path, error: io::Error) -> ContextError {
    ContextError::File { path: path.to_owned(), error: Arc::new(error) }
}

/// The candidate that is most probably meant, if any is near enough.
pub fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a String>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate.as_str()))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

impl fmt::Display for CredentialReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyring { entry } => write!(f, "keyring (streamspace/{entry})"),
            Self::File { path } => write!(f, "file {}", path.display()),
            Self::Plain { key, .. } => write!(f, "plain files ({})", key.display()),
        }
    }
}

#[cfg(test)]
mod tests;
