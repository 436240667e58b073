//! What the environment says about contexts and keys.

use std::{
    collections::HashMap,
    env,
    path::{Path, PathBuf},
};

use super::{Address, Context, ContextError, CredentialReference};
use crate::pem;

/// The variables that are looked at.
const VARIABLES: [&str; 9] = [
    "HOME",
    "XDG_CONFIG_HOME",
    "SSCTL_CONFIG",
    "SSCTL_CONTEXT",
    "SSCTL_CREDENTIAL_STORE",
    "SSCTL_ENDPOINT",
    "SSCTL_CA",
    "SSCTL_CLIENT_CERT",
    "SSCTL_CLIENT_KEY",
];

/// A copy of the environment's variables that matter here, so that nothing
/// deeper reads them.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: HashMap<&'static str, String>,
}

impl Environment {
    /// The process's own.
    pub fn from_process() -> Self {
        Self::new(|name| env::var(name).ok())
    }

    /// From any look-up. A variable that is empty counts as unset.
    pub fn new(look_up: impl Fn(&str) -> Option<String>) -> Self {
        let variables = VARIABLES
            .into_iter()
            .filter_map(|name| Some((name, look_up(name).filter(|value| !value.is_empty())?)))
            .collect();
        Self { variables }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The folder of everything that is kept between commands.
    pub fn folder(&self) -> PathBuf {
        let base = match (self.get("XDG_CONFIG_HOME"), self.get("HOME")) {
            (Some(folder), _) if Path::new(folder).is_absolute() => PathBuf::from(folder),
            (_, Some(home)) => Path::new(home).join(".config"),
            (_, None) => PathBuf::from(".config"),
        };
        base.join("streamspace")
    }

    /// The context file: `SSCTL_CONFIG`, else `streamspace/contexts.toml` in the
    /// XDG configuration folder.
    pub fn contexts_file(&self) -> PathBuf {
        self.get("SSCTL_CONFIG").map_or_else(|| self.folder().join("contexts.toml"), PathBuf::from)
    }

    /// The settings of the dashboard, beside the context file.
    pub fn ui_file(&self) -> PathBuf {
        self.contexts_file().with_file_name("ui.toml")
    }

    /// Where keys go that no keyring takes: beside the context file, so that two
    /// context files do not share keys.
    pub fn credentials_folder(&self) -> PathBuf {
        match self.contexts_file().parent() {
            Some(folder) => folder.join("credentials"),
            None => self.folder().join("credentials"),
        }
    }

    /// `SSCTL_CONTEXT`.
    pub fn context(&self) -> Option<&str> {
        self.get("SSCTL_CONTEXT")
    }

    /// Whether keys go to a file although there is a keyring:
    /// `SSCTL_CREDENTIAL_STORE=file`.
    pub fn prefers_file(&self) -> bool {
        self.get("SSCTL_CREDENTIAL_STORE") == Some("file")
    }

    /// The context that `SSCTL_ENDPOINT`, `SSCTL_CA`, `SSCTL_CLIENT_CERT` and
    /// `SSCTL_CLIENT_KEY` make, where the first is set. Then all must be.
    pub fn plain_context(&self) -> Result<Option<Context>, ContextError> {
        let Some(endpoint) = self.get("SSCTL_ENDPOINT") else {
            return Ok(None);
        };
        let endpoint: Address = endpoint.parse().map_err(|error: super::AddressError| {
            ContextError::Variable { variable: "SSCTL_ENDPOINT", why: error.to_string() }
        })?;
        let file = |variable: &'static str| {
            self.get(variable).map(PathBuf::from).ok_or_else(|| ContextError::Variable {
                variable,
                why: "it names a file and must be set with SSCTL_ENDPOINT".into(),
            })
        };
        let authorities = file("SSCTL_CA")?;
        let authorities = std::fs::read(&authorities)
            .map_err(|error| error.to_string())
            .and_then(|text| pem::certificates(&text))
            .map_err(|why| ContextError::Variable {
                variable: "SSCTL_CA",
                why: format!("{}: {why}", authorities.display()),
            })?;
        let credential = CredentialReference::Plain {
            certificate: file("SSCTL_CLIENT_CERT")?,
            key: file("SSCTL_CLIENT_KEY")?,
        };
        Ok(Some(Context {
            name: "environment".into(),
            endpoint,
            region: String::new(),
            authorities,
            credential,
            // Nobody said that it is not, and nobody is there to be asked.
            protected: true,
        }))
    }
}
